"""The yardstick: how far a float64 lies from an exact number, in units in the last place."""

from __future__ import annotations

import math

from flint import arb

LARGEST = arb(float.fromhex("0x1.fffffffffffffp1023"))
_OVERFLOW = arb(2) ** 1024
_ROUNDS_TO_INFINITY = LARGEST + arb(2) ** 970


def ulp(exact: arb) -> arb:
    """The spacing of float64 at `exact`: of its own binade, 2**-1074 among the subnormals and at 0."""
    return arb(math.ulp(_toward_zero(abs(exact.mid()))))


def _toward_zero(size: arb) -> float:
    """The largest float64 not above a number >= 0."""
    if size >= _OVERFLOW:
        return float(LARGEST)
    near = float(size)
    return math.nextafter(near, 0.0) if arb(near) > size else near


def error_in_ulps(got: float, exact: arb) -> float:
    """The distance of `got` from `exact` in ulps of float64 at `exact`, the ball's radius counted against it.

    An infinity is right (0) where round-to-nearest overflows or the number is infinite itself, NaN where it is NaN;
    any other special value is infinitely wrong.
    """
    if math.isnan(got) or exact.is_nan():
        return 0.0 if math.isnan(got) and exact.is_nan() else math.inf
    if not exact.mid().is_finite():
        return 0.0 if arb(got) == exact.mid() else math.inf
    if math.isinf(got):
        return 0.0 if exact * int(math.copysign(1, got)) >= _ROUNDS_TO_INFINITY else math.inf
    distance = abs(arb(got) - exact) / ulp(exact)
    return float(distance.upper())
