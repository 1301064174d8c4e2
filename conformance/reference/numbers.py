"""The reference's numbers for one output of a stack, and the distance between floating-point numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import Shapes
from conformance.reference.ball import BEYOND, OTHER, OVER, UNSURE, Ball, C, Flags, either, hull_from, parts
from conformance.reference.balls import SAFETY
from conformance.reference.formats import FORMATS, Format
from conformance.reference.quad import BINARY128, Bound, Kind, split

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from conformance.reference.projection import Modulus

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
T = TypeVar("T", bound="DataclassInstance")
_EXPONENT = 0x7FF << 52  # of a float64's bits
SHARE = 2.0**-10  # of a budget, that the reference's own error may take


@dataclass(frozen=True)
class Numbers:
    """One output of the reference, for a whole stack: every array has the stack's axis in front.

    The exact result is high + low up to `error`. `tight` and `sound` are the budgets without the half ulp of the final
    rounding, infinite for an infinite number that a sound implementation may find to be finite; `below` and `above` the
    interval of choices at a kink, measured from the result. All absolute.
    """

    high: Float
    low: Float
    error: Float
    tight: Float
    sound: Float
    below: Float
    above: Float
    overflow_tight: Mask  # an intermediate of the formula may pass the dtype's largest number
    overflow_sound: Mask  # … or of one of its forms
    overflow_other: Mask  # … towards the infinity of the other sign
    certified: Mask
    unsure: Mask  # which branch of a kink is taken is beyond the digits; the interval of choices holds them all

    bits: NDArray[np.int16]  # of what gave the number: 53 float64, 113 binary128, more `arb`
    modulo: Modulus | None = None  # how an answer is projected before it is compared

    @property
    def doubtful(self) -> Mask:
        """Which numbers are not certified, or may be off by more than a thousandth of an ulp of float64."""
        return (self.error > ulp(self.high, FORMATS["float64"]) * 2.0**-10) | self.unsure | ~self.certified


def cases_of(item: T, cases: slice) -> T:
    """Numbers, or whatever else holds arrays with the stack's axis in front, of some of the cases."""
    held = {f.name: getattr(item, f.name) for f in fields(item)}
    arrays = {name: value[cases] for name, value in held.items() if isinstance(value, np.ndarray)}
    more = {name: cases_of(value, cases) for name, value in held.items() if hasattr(value, "__dataclass_fields__")}
    return replace(item, **arrays, **more)


def with_cases(n: Numbers, cases: NDArray[np.int64], others: Numbers) -> Numbers:
    """The numbers, those of some cases replaced by `others`."""
    changed: dict[str, Any] = {f.name: np.array(getattr(n, f.name)) for f in fields(n) if f.name != "modulo"}
    for name, array in changed.items():
        array[cases] = getattr(others, name)
    return replace(n, **changed)


def ulp(x: Float, fmt: Format) -> Float:
    """The distance between numbers of the format at x's magnitude; nan where x is not finite."""
    bits = np.asarray(x, np.float64).view(np.int64)
    power = np.asarray(bits & _EXPONENT).view(np.float64)  # 0 where x is subnormal in float64
    distance = np.clip(power, 2.0**fmt.min_exponent, 2.0**fmt.max_exponent) * 2.0 ** (1 - fmt.digits)
    return np.where(np.isfinite(x), distance, np.nan)


def half_ulp(x: Float, fmt: Format) -> Float:
    """Half of `ulp`, 0 where x is not finite."""
    half = ulp(x, fmt) / 2
    return np.where(np.isnan(half), 0.0, half)


def numbers_of(balls: list[Ball], shapes: Shapes, fmt: Format, kind: Kind = BINARY128) -> Numbers:
    """The numbers of an output from its balls: the formula's, and those of the forms.

    Certified is what is off by no more than an ulp of float64 or 2⁻¹⁰ of its budget for float64; what was computed in
    float64 has no such digits, and may be off by 2⁻¹⁰ of the budget of the dtype, its last rounding included.
    """
    formula = balls[0]

    def shaped(array: Any) -> Any:
        array = np.asarray(array)
        if not array.ndim:
            return np.full(shapes[1], array)
        return (array if array.shape == shapes[0] else np.broadcast_to(array, shapes[0])).reshape(shapes[1])

    high, low, lost = split(formula.x)
    error = SAFETY * formula.bound()[0] + lost
    tight = C * formula.bound()[1] + error
    sound = tight
    (below, above), flags = parts(formula.h, formula.x.ndim), formula.flags
    for form in balls[1:]:
        sound = np.maximum(sound, C * form.bound()[1] + error)
        more = hull_from(formula, form)
        below, above = np.maximum(below, more[0]), np.maximum(above, more[1])
        flags = either(flags, form.flags)
    if np.isinf(high).any():
        tight, sound = (_of_infinite(formula, high, budget, fmt) for budget in (tight, sound))
    if formula.flags is not None:
        error = np.where(_has(formula.flags, BEYOND), np.inf, error)  # nothing says how far off it is
    if kind is BINARY128:
        of_float64 = C * formula.bound()[1] * (2.0**-53 / fmt.unit)
        small = (error <= of_float64 * SHARE) | (error <= ulp(high, FORMATS["float64"]))
    else:
        small = error <= (C * formula.bound()[1] + half_ulp(high, fmt)) * SHARE
    certified = np.isfinite(error) & small
    certified |= ~np.isfinite(high) & (error == 0)
    arrays = (high, low, _up(error), _up(tight), _up(sound), _up(below), _up(above))
    masks = (_has(formula.flags, OVER), _has(flags, OVER), _has(flags, OTHER), certified, _has(formula.flags, UNSURE))
    return Numbers(*(shaped(array) for array in (*arrays, *masks, np.int16(kind.bits))))


def _of_infinite(formula: Ball, high: Float, budget: Bound, fmt: Format) -> Bound:
    """The budget of numbers that are finite, and infinite in float64: none where a sound implementation overflows for
    certain, or one without end."""
    room = formula.m - np.asarray(fmt.max, formula.m.dtype)
    beyond = np.isinf(high) & np.isfinite(formula.m)
    found: Bound = np.where(beyond, np.where(budget < room, 0, np.inf), budget)
    return found


def _has(flags: Flags | None, flag: np.uint8) -> Mask:
    return np.zeros((), bool) if flags is None else (flags & flag) != 0


def _up(bound: Bound) -> Float:
    """A bound in float64, rounded up; infinite where none is known."""
    if bound.dtype == np.float64:
        return np.where(np.isnan(bound), np.inf, bound)
    rounded = bound.astype(np.float64)
    rounded = np.where(rounded < bound, np.nextafter(rounded, np.inf), rounded)
    return np.where(np.isnan(rounded), np.inf, rounded)
