"""The criteria on real targets, from their definitions. Inputs are arrays of scalars, parameters exact floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from flint import arb

from .reduction import each, reduced, spread
from .scalars import (
    ZERO,
    Scalar,
    Scalars,
    absolute,
    constant,
    exp,
    log,
    norm,
    positive_part,
    sign,
    smaller,
    total,
    xlog,
)


def l1(input: Scalars, target: Scalars, weight: Scalars | None = None, reduction: str = "mean") -> Scalars:
    """w |x - t|; mean by the weight."""
    w = spread(weight, input.shape)
    losses = each(input.shape, lambda at: w[at] * absolute(input[at] - target[at]))
    return reduced(losses, reduction, mean_over=total(w))


def mse(input: Scalars, target: Scalars, weight: Scalars | None = None, reduction: str = "mean") -> Scalars:
    """w (x - t)^2; mean by the weight."""
    w = spread(weight, input.shape)
    losses = each(input.shape, lambda at: w[at] * (input[at] - target[at]) ** 2)
    return reduced(losses, reduction, mean_over=total(w))


def smooth_l1(input: Scalars, target: Scalars, beta: float = 1.0, reduction: str = "mean") -> Scalars:
    """d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere."""
    b = arb(beta)

    def term(at: tuple[int, ...]) -> Scalar:
        d = absolute(input[at] - target[at])
        return d**2 / (2 * b) if sign(d - b) < 0 else d - b / 2

    return reduced(each(input.shape, term), reduction)


def huber(input: Scalars, target: Scalars, delta: float = 1.0, reduction: str = "mean") -> Scalars:
    """d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere."""
    k = arb(delta)

    def term(at: tuple[int, ...]) -> Scalar:
        d = absolute(input[at] - target[at])
        return d**2 / 2 if sign(d - k) <= 0 else k * (d - k / 2)

    return reduced(each(input.shape, term), reduction)


def _sigmoid(x: Scalar) -> Scalar:
    return 1 / (1 + exp(-x))


def bce(input: Scalars, target: Scalars, weight: Scalars | None = None, reduction: str = "mean") -> Scalars:
    """-w (t log x + (1 - t) log(1 - x))."""
    w = spread(weight, input.shape)

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], target[at]
        return -(xlog(t, x) + xlog(1 - t, 1 - x)) * w[at]

    return reduced(each(input.shape, term), reduction)


def bce_with_logits(
    input: Scalars,
    target: Scalars,
    weight: Scalars | None = None,
    pos_weight: Scalars | None = None,
    reduction: str = "mean",
) -> Scalars:
    """-w (q t log s(x) + (1 - t) log(1 - s(x))), s the logistic function; 1 - s(x) is s(-x)."""
    w, q = spread(weight, input.shape), spread(pos_weight, input.shape)

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], target[at]
        return -(q[at] * t * log(_sigmoid(x)) + (1 - t) * log(_sigmoid(-x))) * w[at]

    return reduced(each(input.shape, term), reduction)


def kl_div(input: Scalars, target: Scalars, log_target: bool = False, reduction: str = "mean") -> Scalars:
    """t (log t - x), or exp(t) (t - x) for a target that is given as its logarithm."""

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], target[at]
        return exp(t) * (t - x) if log_target else xlog(t, t) - t * x

    return reduced(each(input.shape, term), reduction)


def poisson_nll(
    input: Scalars,
    target: Scalars,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Scalars:
    """exp(x) - t x, or x - t log(x + eps); full: and Stirling's t log t - t + log(2 pi t) / 2 where t > 1."""

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], target[at]
        loss = exp(x) - t * x if log_input else x - t * log(x + arb(eps))
        if full and sign(t - 1) > 0:
            loss = loss + t * log(t) - t + log(2 * arb.pi() * t) / 2
        return loss

    return reduced(each(input.shape, term), reduction)


def gaussian_nll(
    input: Scalars, target: Scalars, var: Scalars, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Scalars:
    """(log v + (x - t)^2 / v) / 2, v = max(var, eps); full: and log(2 pi) / 2.

    As documented, the clamp does not touch derivatives: below eps, v moves with var.
    """
    v = spread(var if var.shape == input.shape or var.ndim == input.ndim else var[..., None], input.shape)

    def term(at: tuple[int, ...]) -> Scalar:
        u = v[at] + positive_part(arb(eps) - constant(v[at]))
        loss = (log(u) + (input[at] - target[at]) ** 2 / u) / 2
        return loss + log(2 * arb.pi()) / 2 if full else loss

    return reduced(each(input.shape, term), reduction)


def soft_margin(input: Scalars, target: Scalars, reduction: str = "mean") -> Scalars:
    """log(1 + exp(-t x))."""
    return reduced(each(input.shape, lambda at: log(1 + exp(-target[at] * input[at]))), reduction)


def hinge_embedding(input: Scalars, target: Scalars, margin: float = 1.0, reduction: str = "mean") -> Scalars:
    """x where t is 1, max(0, margin - x) where t is -1."""

    def term(at: tuple[int, ...]) -> Scalar:
        return input[at] if target[at] == 1 else positive_part(arb(margin) - input[at])

    return reduced(each(input.shape, term), reduction)


def margin_ranking(
    input1: Scalars, input2: Scalars, target: Scalars, margin: float = 0.0, reduction: str = "mean"
) -> Scalars:
    """max(0, -t (x1 - x2) + margin)."""
    t = spread(target, input1.shape)
    losses = each(input1.shape, lambda at: positive_part(arb(margin) - t[at] * (input1[at] - input2[at])))
    return reduced(losses, reduction)


def _dot(xs: Sequence[Scalar], ys: Sequence[Scalar]) -> Scalar:
    return sum((x * y for x, y in zip(xs, ys, strict=True)), ZERO)


def cosine_embedding(
    input1: Scalars, input2: Scalars, target: Scalars, margin: float = 0.0, reduction: str = "mean"
) -> Scalars:
    """1 - cos(x1, x2) where t is 1, max(0, cos(x1, x2) - margin) where t is -1."""

    def term(at: tuple[int, ...]) -> Scalar:
        x, y = input1[at], input2[at]
        cosine = _dot(x, y) / (_dot(x, x).sqrt() * _dot(y, y).sqrt())
        return 1 - cosine if target[at] == 1 else positive_part(cosine - arb(margin))

    return reduced(each(input1.shape[:-1], term), reduction)


def triplet_margin(
    anchor: Scalars,
    positive: Scalars,
    negative: Scalars,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Scalars:
    """max(0, d(a, p) - d(a, n) + margin), d(x, y) = |x - y + eps|_p; swap: the smaller of d(a, n) and d(p, n)."""

    def distance(x: Scalars, y: Scalars) -> Scalar:
        return norm([a - b + arb(eps) for a, b in zip(x, y, strict=True)], p)

    def term(at: tuple[int, ...]) -> Scalar:
        far = distance(anchor[at], negative[at])
        if swap:
            far = smaller(far, distance(positive[at], negative[at]))
        return positive_part(distance(anchor[at], positive[at]) - far + arb(margin))

    return reduced(each(np.shape(anchor)[:-1], term), reduction)


FORMULAS: dict[str, Callable[..., Scalars]] = {
    function.__name__: function
    for function in (
        l1,
        mse,
        smooth_l1,
        huber,
        bce,
        bce_with_logits,
        kl_div,
        poisson_nll,
        gaussian_nll,
        soft_margin,
        hinge_embedding,
        margin_ranking,
        cosine_embedding,
        triplet_margin,
    )
}
