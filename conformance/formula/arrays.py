"""What the arithmetics on NumPy arrays share: comparing, indexing and choosing, whatever the numbers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.formula.arithmetic import Axes, Mask

Ints = NDArray[np.int64]

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def places(index: Ints, shape: tuple[int, ...], axis: int) -> tuple[Ints, tuple[int, ...]]:
    """What `gather` takes along `axis` of an array of `shape`, and the shape to broadcast that array to first.

    An index outside is moved to the nearest one inside.
    """
    n = shape[axis]
    place = np.clip(index, 0, max(n - 1, 0))
    full = list(np.broadcast_shapes(tuple(1 if i == axis else s for i, s in enumerate(shape)), place.shape))
    place = np.broadcast_to(place, full)
    full[axis] = n
    return place, tuple(full)


def positions(axis: int, size: int, rank: int) -> Ints:
    """0 … size−1 along `axis` of an array of `rank` axes."""
    shape = [1] * rank
    shape[axis] = size
    return np.arange(size, dtype=np.int64).reshape(shape)


def first_of(mask: Mask, axes: Axes) -> Mask:
    """The first place along the axis where `mask` holds; over several axes, all of them."""
    return mask & (np.cumsum(mask, axis=axes[0]) == 1) if len(axes) == 1 else mask
