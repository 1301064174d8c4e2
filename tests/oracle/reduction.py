"""From a loss per element to the output, and the one loop that fills an array of numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flint import arb

from .scalars import Scalar, Scalars, total


def each(shape: tuple[int, ...], term: Callable[[tuple[int, ...]], Scalar]) -> Scalars:
    """An array whose element at an index is `term(index)`."""
    result = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        result[at] = term(at)
    return result


def spread(values: Scalars | None, shape: tuple[int, ...]) -> Scalars:
    """An optional input, 1 where absent, repeated to a shape."""
    return np.broadcast_to(each((), lambda _: arb(1)) if values is None else values, shape)


def reduced(losses: Scalars, reduction: str, *, mean_over: Scalar | int | None = None) -> Scalars:
    """The losses, their sum, or their sum over `mean_over` (default: their number)."""
    if reduction == "none":
        return losses
    divisors = {"sum": 1, "mean": losses.size if mean_over is None else mean_over}
    if losses.ndim:
        divisors["batchmean"] = losses.shape[0]
    return each((), lambda _: total(losses) / divisors[reduction])
