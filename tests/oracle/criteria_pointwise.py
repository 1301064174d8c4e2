"""More elementwise criteria, from their definitions: errors of a prediction, scores of two classes."""

from __future__ import annotations

from collections.abc import Callable

from flint import arb

from .reduction import each, reduced
from .scalars import ZERO, Scalar, Scalars, absolute, exp, log, positive_part, power, sign, xlog


def log_cosh(input: Scalars, target: Scalars, reduction: str = "mean") -> Scalars:
    """log((exp(x - t) + exp(t - x)) / 2)."""

    def term(at: tuple[int, ...]) -> Scalar:
        d = input[at] - target[at]
        return log((exp(d) + exp(-d)) / 2)

    return reduced(each(input.shape, term), reduction)


def _lead(input: Scalars, target: Scalars, at: tuple[int, ...]) -> Scalar:
    """The score on the side of its label: y x, y being 1 or -1."""
    return input[at] if target[at] == 1 else -input[at]


def hinge(input: Scalars, target: Scalars, zero_one: bool = False, reduction: str = "mean") -> Scalars:
    """max(0, 1 - y x)."""
    return reduced(each(input.shape, lambda at: positive_part(1 - _lead(input, target, at))), reduction)


def squared_hinge(input: Scalars, target: Scalars, zero_one: bool = False, reduction: str = "mean") -> Scalars:
    """max(0, 1 - y x)^2, flat at the margin."""

    def term(at: tuple[int, ...]) -> Scalar:
        short = 1 - _lead(input, target, at)
        return short**2 if sign(short) > 0 else ZERO

    return reduced(each(input.shape, term), reduction)


def perceptron(input: Scalars, target: Scalars, reduction: str = "mean") -> Scalars:
    """max(0, -y x)."""
    return reduced(each(input.shape, lambda at: positive_part(-_lead(input, target, at))), reduction)


def quantile(input: Scalars, target: Scalars, quantile: float = 0.5, reduction: str = "mean") -> Scalars:
    """d (q - [d < 0]), d = t - x."""
    q = arb(quantile)

    def term(at: tuple[int, ...]) -> Scalar:
        d = target[at] - input[at]
        return q * positive_part(d) + (1 - q) * positive_part(-d)

    return reduced(each(input.shape, term), reduction)


def _at_least(x: Scalar, bound: arb) -> Scalar:
    """max(x, bound) of an x that is not negative: x itself, or the bound itself."""
    return x if bound.is_zero() or sign(x - bound) > 0 else bound


def msle(input: Scalars, target: Scalars, eps: float = 0.0, reduction: str = "mean") -> Scalars:
    """(log(1 + max(x, eps)) - log(1 + max(t, eps)))^2."""
    e = arb(eps)

    def term(at: tuple[int, ...]) -> Scalar:
        gap = log(1 + _at_least(input[at], e)) - log(1 + _at_least(target[at], e))
        return gap * gap

    return reduced(each(input.shape, term), reduction)


def mape(input: Scalars, target: Scalars, eps: float = 1e-7, scale: float = 100.0, reduction: str = "mean") -> Scalars:
    """100 |x - t| / max(|t|, eps)."""

    def term(at: tuple[int, ...]) -> Scalar:
        return arb(scale) * absolute(input[at] - target[at]) / _at_least(absolute(target[at]), arb(eps))

    return reduced(each(input.shape, term), reduction)


def sigmoid_focal(
    input: Scalars,
    target: Scalars,
    alpha: float = 0.25,
    balanced: bool = True,
    gamma: float = 2.0,
    reduction: str = "mean",
) -> Scalars:
    """-a (1 - p_t)^gamma (t log p + (1 - t) log(1 - p)), p the logistic function, 1 - p_t = t (1 - p) + (1 - t) p."""
    share = arb(alpha)

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], target[at]
        wrong, right = 1 / (1 + exp(x)), 1 / (1 + exp(-x))
        missed = t * wrong + (1 - t) * right
        entropy = -(t * log(right) + (1 - t) * log(wrong))
        weight = share * t + (1 - share) * (1 - t) if balanced else arb(1)
        return weight * entropy * (power(missed, gamma) if gamma else 1)

    return reduced(each(input.shape, term), reduction)


def generalised_kl(input: Scalars, target: Scalars, reduction: str = "mean") -> Scalars:
    """t (log t - x) + exp(x) - t."""

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], target[at]
        return xlog(t, t) - t * x + exp(x) - t

    return reduced(each(input.shape, term), reduction)


FORMULAS: dict[str, Callable[..., Scalars]] = {
    function.__name__: function
    for function in (
        log_cosh,
        hinge,
        squared_hinge,
        perceptron,
        quantile,
        msle,
        mape,
        sigmoid_focal,
        generalised_kl,
    )
}
