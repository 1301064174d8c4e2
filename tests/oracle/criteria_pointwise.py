"""More elementwise criteria, from their definitions: errors of a prediction, scores of two classes."""

from __future__ import annotations

from collections.abc import Callable

from .reduction import each, reduced
from .scalars import Scalar, Scalars, exp, log


def log_cosh(input: Scalars, target: Scalars, reduction: str = "mean") -> Scalars:
    """log((exp(x - t) + exp(t - x)) / 2)."""

    def term(at: tuple[int, ...]) -> Scalar:
        d = input[at] - target[at]
        return log((exp(d) + exp(-d)) / 2)

    return reduced(each(input.shape, term), reduction)


FORMULAS: dict[str, Callable[..., Scalars]] = {function.__name__: function for function in (log_cosh,)}
