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
    least = np.iinfo(signed).min
    bits = array.view(signed).astype(np.int64)
    top = int(np.array(largest(array.dtype), array.dtype).view(signed))
    place = np.where(bits >= 0, bits, least - bits)  # monotone in the number's value, and 0 for both zeros
    place = np.clip(place + count, -top, top)  # a float64's place leaves room for 2**52 steps in an int64
    return np.where(place >= 0, place, least - place).astype(signed).view(array.dtype)


def coarse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers with three significant bits left, and halves from 1 on, so that ties and exact kinks turn up."""
    _, exponent = np.frexp(values)
    grain = np.ldexp(1.0, np.maximum(exponent - 3, np.where(np.abs(values) >= 1, -1, -1100)))
    grain = np.maximum(grain, 5e-324)
    with np.errstate(over="ignore"):
        rounded: NDArray[np.float64] = np.rint(values / grain) * grain
    return np.where(np.isfinite(rounded), rounded, values)


def _integers(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"int{8 * dtype.itemsize}")
