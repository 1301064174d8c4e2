"""Arrays of floating-point numbers, drawn as a regime says and rounded to a dtype."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import DTYPES
from conformance.cases.source import Shape, Source
from conformance.cases.steps import coarse, largest, smallest_normal, step
from conformance.spec.model import Draw, Mixed, Near, Uniform, Values

Array = NDArray[Any]
Base = Callable[[str], Array]  # the numbers of another input, in the shape that is drawn
LIMITS = {name: largest(dtype) for name, dtype in DTYPES.items()}
NORMAL = {name: smallest_normal(dtype) for name, dtype in DTYPES.items()}


def draw_array(how: Draw, source: Source, shape: Shape, dtype: str, base: Base, *, is_coarse: bool) -> Array:
    """An array of the dtype. `base` gives what numbers are drawn near to; coarse ones have few bits."""
    match how:
        case Uniform():
            values = uniform(how, source, shape, NORMAL[dtype])
            return to_dtype(coarse(values) if is_coarse else values, dtype)
        case Values():
            values = np.array(how.values, np.float64)
            return to_dtype(values, dtype)[source.below(len(values), shape)]
        case Near():
            return step(base(how.other), source.below(2 * how.ulps + 1, shape) - how.ulps)
        case Mixed():
            parts = [draw_array(part, source, shape, dtype, base, is_coarse=is_coarse) for part in how.parts]
            chosen: Array = np.choose(source.below(len(parts), shape), parts)
            return chosen


def draw_number(how: Draw, source: Source) -> float:
    """A parameter: a float64 of its own, that a narrower dtype need not hold."""
    match how:
        case Uniform():
            return float(uniform(how, source, (), NORMAL["float64"]))
        case Values():
            return float(source.one_of(how.values))
        case Mixed():
            return draw_number(source.one_of(how.parts), source)
        case Near():
            raise TypeError("a parameter is not drawn near an input")


def to_dtype(values: NDArray[np.float64], dtype: str) -> Array:
    """The values rounded to the dtype; what is finite stays finite."""
    limit = LIMITS[dtype]
    values = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)
    return values.astype(DTYPES[dtype])


def uniform(how: Uniform, source: Source, shape: Shape, smallest: float) -> NDArray[np.float64]:
    """Doubles between the bounds; where they are drawn by magnitude and 0 is one, none but 0 is below `smallest`."""
    if not how.log or how.low == how.high:
        return _between(how.low, how.high, source.unit(shape))
    if how.low < 0 < how.high:
        up = _magnitudes(min(smallest, how.high), how.high, source, shape)
        down = _magnitudes(min(smallest, -how.low), -how.low, source, shape)
        return np.where(source.below(2, shape) == 0, up, -down)
    near, far = sorted((abs(how.low), abs(how.high)))
    values = _magnitudes(near or min(smallest, far), far, source, shape)
    return -values if how.high <= 0 else values


def _magnitudes(low: float, high: float, source: Source, shape: Shape) -> NDArray[np.float64]:
    """Positive numbers: each binade between the bounds as often as any other, and evenly within it."""
    first, last = math.frexp(low)[1] - 1, math.frexp(math.nextafter(high, low))[1] - 1
    binade = first + source.below(last - first + 1, shape)
    start = np.maximum(np.ldexp(1.0, binade), low)
    end = np.minimum(np.ldexp(2.0, np.minimum(binade, 1022)), high)
    return _between(start, np.where(binade > 1022, high, end), source.unit(shape))


def _between(low: Any, high: Any, unit: NDArray[np.float64]) -> NDArray[np.float64]:
    # not low + (high - low) * unit: the difference may overflow. Each operation is rounded once, on every machine
    result: NDArray[np.float64] = np.clip(low * (1 - unit) + high * unit, low, high)
    return result
