"""The criteria on two regions, by their definitions: how much of them is common."""

from __future__ import annotations

from collections.abc import Callable

from flint import arb

from .reduction import each, reduced
from .scalars import ZERO, Scalar, Scalars, exp


def _rows(x: Scalars) -> Scalars:
    """[D] or [N, D...] as examples by positions."""
    return x.reshape(x.shape[0], -1)


def _probability(x: Scalar, from_logits: bool) -> Scalar:
    return 1 / (1 + exp(-x)) if from_logits else x


def _each_example(
    input: Scalars, target: Scalars, from_logits: bool, reduction: str, loss: Callable[..., Scalar]
) -> Scalars:
    """The loss of probabilities and targets, example by example."""
    alone = input.ndim == 1
    x, t = (_rows(a[None] if alone else a) for a in (input, target))
    losses = each(x.shape[:1], lambda at: loss([_probability(y, from_logits) for y in x[at]], list(t[at])))
    return reduced(losses[0:1].reshape(()) if alone else losses, reduction)


def dice(
    input: Scalars,
    target: Scalars,
    smooth: float = 0.0,
    eps: float = 0.0,
    squared: bool = False,
    from_logits: bool = False,
    reduction: str = "mean",
) -> Scalars:
    """1 - (2 sum p t + s) / (sum p + sum t + s + e), or with the sums of p^2 and t^2. Of one axis: one example."""
    power = 2 if squared else 1

    def loss(p: list[Scalar], t: list[Scalar]) -> Scalar:
        both = sum((a * b for a, b in zip(p, t, strict=True)), ZERO)
        sizes = sum((a**power + b**power for a, b in zip(p, t, strict=True)), ZERO)
        return 1 - (2 * both + arb(smooth)) / (sizes + arb(smooth) + arb(eps))

    return _each_example(input, target, from_logits, reduction, loss)


def tversky(
    input: Scalars,
    target: Scalars,
    alpha: float = 0.5,
    beta: float = 0.5,
    smooth: float = 0.0,
    eps: float = 0.0,
    from_logits: bool = False,
    reduction: str = "mean",
) -> Scalars:
    """1 - (b + s) / (b + alpha f + beta m + s + e): b = sum p t, f = sum p (1 - t), m = sum (1 - p) t."""

    def loss(p: list[Scalar], t: list[Scalar]) -> Scalar:
        both = sum((a * b for a, b in zip(p, t, strict=True)), ZERO)
        found = sum((a * (1 - b) for a, b in zip(p, t, strict=True)), ZERO)
        missed = sum(((1 - a) * b for a, b in zip(p, t, strict=True)), ZERO)
        below = both + arb(alpha) * found + arb(beta) * missed + arb(smooth) + arb(eps)
        return 1 - (both + arb(smooth)) / below

    return _each_example(input, target, from_logits, reduction, loss)


FORMULAS: dict[str, Callable[..., Scalars]] = {
    "dice": dice,
    "tversky": tversky,
}
