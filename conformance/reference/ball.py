"""Balls: arrays with bounds on the error, once for their own kind of numbers and once for the dtype being judged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.formula.arithmetic import Axes, Mask
from conformance.reference.quad import Bound, Quad, is_power, magnitude, once

Hull = tuple[Bound, Bound]
Flags = NDArray[np.uint8]
OVER, UNSURE, OTHER, BEYOND = np.uint8(1), np.uint8(2), np.uint8(4), np.uint8(8)
C = 2.0  # the budget's safety factor


@dataclass(frozen=True, eq=False)
class Ball:
    """An array and how far off it may be.

    Attributes:
        x: the numbers, in binary128 or float64.
        b: absolute error bounds, with one more axis in front: [0] of these numbers, [1] of a sound implementation in
            the dtype; None: exact in both.
        h: how far below and above x a choice at a kink may lie (None: there is no choice). Not an error: c never
            multiplies it.
        flags: OVER where an intermediate may pass the dtype's largest number, OTHER where it has the other sign (a term
            of a sum), UNSURE where the numbers cannot tell which branch of a kink is taken, BEYOND where an infinity or
            NaN may be their own doing (None: nowhere).
        loose: the largest magnitude that the same multiplications and divisions may pass in another order: factors
            below 1 do not count. None: not tracked, or |x| and its error.
    """

    x: Quad
    b: Bound | None = None
    h: Hull | None = None
    flags: Flags | None = None
    loose: Bound | None = None

    @cached_property
    def swell(self) -> Bound:
        """How large the number may become on the way, errors included, in another order of multiplication."""
        if self.loose is not None:
            return self.loose
        return self.m if self.b is None else self.m + C * self.b[1]

    @cached_property
    def m(self) -> Bound:
        """|x|."""
        return magnitude(self.x)

    @cached_property
    def reach(self) -> Bound:
        """The largest magnitude within the hull."""
        return self.m if self.h is None else self.m + np.maximum(*self.h)

    @cached_property
    def signed(self) -> Bound:
        """x to 53 bits."""
        return np.where(np.signbit(self.x), -self.m, self.m)

    @cached_property
    def scale(self) -> Mask | None:
        """Where the number is exactly 0 or a power of two, so that multiplying by it rounds nothing; None: nowhere."""
        exact = is_power(once(self.m))
        if self.b is not None and exact.any():
            exact = exact & (once(self.b) == 0).all(axis=0)
        return exact if exact.any() else None

    def having(self, b: Bound | None, h: Hull | None, flags: Flags | None, loose: Bound | None) -> Ball:
        """The same numbers, of which other things are said; what is known of their magnitude stays known."""
        z = Ball(self.x, b, h, flags, loose)
        if "m" in self.__dict__:
            z.__dict__["m"] = self.__dict__["m"]
        return z

    def only(self, cases: NDArray[np.int64]) -> Ball:
        """The balls of some of the cases."""
        b = None if self.b is None else part(self.b, cases, 1)
        flags, loose = (None if array is None else part(array, cases) for array in (self.flags, self.loose))
        h = None if self.h is None else (part(self.h[0], cases), part(self.h[1], cases))
        z = Ball(part(self.x, cases), b, h, flags, loose)
        if "m" in self.__dict__:
            z.__dict__["m"] = part(self.m, cases)
        return z

    @property
    def doubles(self) -> Mask:
        """Where multiplying by the number keeps whole multiples whole: it is 1, 2, 4, … in magnitude."""
        return np.zeros((), bool) if self.scale is None else self.scale & (self.m >= 1)

    def bound(self) -> Bound:
        """`b`, zeros where it is exact."""
        return np.zeros((2,) + (1,) * self.x.ndim) if self.b is None else self.b


def part(array: NDArray[Any], cases: NDArray[np.int64], axis: int = 0) -> NDArray[Any]:
    """What an array, or one that stands for all cases alike, holds of some of them."""
    return array.take(cases, axis) if array.ndim > axis and array.shape[axis] != 1 else array


def either(*flags: Flags | None) -> Flags | None:
    """All of the flags; None where there are none."""
    found = None
    for item in flags:
        if item is not None:
            found = item if found is None else found | item
    return found


def flagged(mask: Mask | None, flag: np.uint8) -> Flags | None:
    """The flag where `mask` holds; None where it holds nowhere."""
    return mask * flag if mask is not None and mask.any() else None


def opposed(z: Quad, x: Quad, flags: Flags | None) -> Flags | None:
    """OTHER where the term x of the sum z may overflow (`flags`) to the infinity that z is not on the side of."""
    return None if flags is None else flagged(((flags & OVER) != 0) & (np.signbit(z) != np.signbit(x)), OTHER)


def over_axes(x: Ball, axes: Axes) -> Flags | None:
    """The flags of all that a reduction reduces."""
    if x.flags is None:
        return None
    found = np.broadcast_to(x.flags, x.x.shape)
    for axis in axes:
        found = np.bitwise_or.reduce(found, axis=axis, keepdims=True)
    return found


def parts(h: Hull | None, ndim: int) -> Hull:
    """A hull's two halves, zeros where there is none."""
    if h is None:
        zero = np.zeros((1,) * ndim)
        return zero, zero
    return h


def hull_from(formula: Ball, form: Ball) -> Hull:
    """The choices that a form leaves, measured from the formula's number: where a branch is open, the form itself may
    stand on the other side."""
    below, above = parts(form.h, form.x.ndim)
    if form.h is None:
        return below, above
    apart = Ball(form.x - formula.x).signed
    apart = np.where((below + above > 0) & np.isfinite(apart), apart, 0)
    return np.maximum(below - apart, 0), np.maximum(above + apart, 0)


def hull_product(x: Ball, y: Ball) -> Hull | None:
    """The hull of x·y around the product of the centres."""
    if x.h is None and y.h is None:
        return None
    (xl, xh), (yl, yh) = parts(x.h, x.x.ndim), parts(y.h, y.x.ndim)
    corners = [dx * y.signed + x.signed * dy + dx * dy for dx in (-xl, xh) for dy in (-yl, yh)]
    low, high = corners[0], corners[0]
    for corner in corners[1:]:
        low, high = np.minimum(low, corner), np.maximum(high, corner)
    is_open = (xl > 0) | (xh > 0) | (yl > 0) | (yh > 0)
    return np.maximum(-_unknown(low, is_open), 0), np.maximum(_unknown(high, is_open), 0)


def hull_quotient(x: Ball, y: Ball) -> Hull | None:
    """The hull of x/y around the quotient of the centres; y has none."""
    if x.h is None:
        return None
    low, high = x.h[0] / y.m, x.h[1] / y.m
    back = np.signbit(y.x)
    is_open = (x.h[0] > 0) | (x.h[1] > 0)
    return _unknown(np.where(back, high, low), is_open), _unknown(np.where(back, low, high), is_open)


def hull_sum(x: Ball, y: Ball, sign: int) -> Hull | None:
    """The hull of x + sign·y."""
    if x.h is None and y.h is None:
        return None
    (xl, xh), (yl, yh) = parts(x.h, x.x.ndim), parts(y.h, y.x.ndim)
    return (xl + yl, xh + yh) if sign > 0 else (xl + yh, xh + yl)


def _unknown(h: Bound, is_open: Mask) -> Bound:
    """A hull that arithmetic could not bound (0·∞) is unbounded, unless nothing was open there: then it is none."""
    return np.where(np.isnan(h), np.where(is_open, np.inf, 0.0), h)


def added_bounds(x: Ball, y: Ball) -> Bound | None:
    """The errors of both."""
    return y.b if x.b is None else x.b if y.b is None else x.b + y.b


def sane(b: Bound | None) -> Bound | None:
    """0·∞ among bounds: the number itself is 0, infinite or NaN, and is judged as such."""
    return None if b is None else np.where(np.isnan(b), np.inf, b)
