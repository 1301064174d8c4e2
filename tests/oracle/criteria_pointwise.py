"""More elementwise criteria, from their definitions: errors of a prediction, scores of two classes."""

from __future__ import annotations

from collections.abc import Callable

from flint import arb

from .reduction import each, reduced
from .scalars import ZERO, Scalar, Scalars, exp, log, positive_part, sign


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


def quantile(input: Scalars, target: Scalars, quantile: float = 0.5, reduction: str = "mean") -> Scalars:
    """d (q - [d < 0]), d = t - x."""
    q = arb(quantile)

    def term(at: tuple[int, ...]) -> Scalar:
        d = target[at] - input[at]
        return q * positive_part(d) + (1 - q) * positive_part(-d)

    return reduced(each(input.shape, term), reduction)


FORMULAS: dict[str, Callable[..., Scalars]] = {
    function.__name__: function
    for function in (
        log_cosh,
        hinge,
        squared_hinge,
        quantile,
    )
}
