"""Neighbours of floating-point numbers, by the integers that their bits spell: the same code for every dtype."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def smallest_subnormal(dtype: np.dtype[Any]) -> float:
    """The least positive number of the dtype."""
    return float(np.array(1, _integers(dtype)).view(dtype))


def smallest_normal(dtype: np.dtype[Any]) -> float:
    """The least positive number of the dtype that has all its digits."""
    return float(ml_dtypes.finfo(dtype).smallest_normal)  # type: ignore[no-untyped-call]


def largest(dtype: np.dtype[Any]) -> float:
    """The greatest finite number of the dtype."""
    return float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]


def step(array: Array, count: NDArray[np.int64]) -> Array:
    """The numbers `count` steps above those of `array` (below, where negative); finite. Both zeros are one number."""
    signed = _integers(array.dtype)
    bits = array.view(signed)
    top = np.array(largest(array.dtype), array.dtype).view(signed)
    place = np.where(bits >= 0, bits, np.iinfo(signed).min - bits)  # monotone in the number's value
    # the wish is clipped first: near the ends of int64 the sum of float64's own place and a count could wrap
    room_up, room_down = top - place, -top - place
    place = place + np.clip(count, room_down, room_up).astype(signed)
    moved: Array = np.where(place >= 0, place, np.iinfo(signed).min - place).astype(signed).view(array.dtype)
    return moved


def coarse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers with three significant bits left, and halves from 1 on, so that ties and exact kinks turn up."""
    _, exponent = np.frexp(values)
    grain = np.ldexp(1.0, np.maximum(exponent - 3, np.where(np.abs(values) >= 1, -1, -1100)))
    grain = np.maximum(grain, 5e-324)
    rounded: NDArray[np.float64] = np.rint(values / grain) * grain
    return np.where(np.isfinite(rounded), rounded, values)


def _integers(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"int{8 * dtype.itemsize}")
