"""The verdict on every element: a framework's answer against the reference's numbers and budgets.

Severity is an integer, so that the worst of many is a maximum; `NAMES` gives the outcome it stands for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.reference.formats import Format
from conformance.reference.numbers import Numbers, half_ulp, ulp

Array = NDArray[Any]
Float = NDArray[np.float64]
Levels = NDArray[np.int_]
Mask = NDArray[np.bool_]

NAMES = ("agrees", "undecided", "differs", "inaccurate", "error", "fails")
AGREES, UNDECIDED, DIFFERS, INACCURATE, ERROR, FAILS = range(6)
# Where in an interval of slopes an answer lies: at the point nearest to 0, at the end farthest from it, in the middle.
POINTS = ("flattest", "steepest", "middle", "between")


@dataclass(frozen=True)
class Judged:
    """The verdict on one output of a stack; every array has the output's shape, the stack's axis in front."""

    severity: NDArray[np.int8]
    distance: Float  # absolute error, to the nearest admissible choice at a kink; inf where one is not finite
    ulps: Float  # error in ulps of the dtype at the larger of wanted and got; nan where one is not finite
    ratio: Float  # error over the tight budget; inf where a special value is wrong
    answer: Float
    at_kink: Mask  # where the mathematics leaves a choice
    chosen: NDArray[np.int8]  # which of POINTS was taken there; -1 where there is no choice
    overflowed: Mask  # inaccurate because an intermediate passed the largest number
    vacuous: Mask  # undecided because the budget is wider than the number
    multiple: Float | None = None  # of the direction up to which the gradient is defined

    def worst(self) -> NDArray[np.int8]:
        """The severity of each case."""
        flat = self.severity.reshape(self.severity.shape[0], -1)
        worst: NDArray[np.int8] = flat.max(axis=1, initial=AGREES)
        return worst


def judge(numbers: Numbers, answer: Array, fmt: Format) -> Judged:
    """The verdict on `answer`, which has the shape and dtype of the output."""
    with np.errstate(all="ignore"):
        return _judge(numbers, answer.astype(np.float64), fmt)


def bounds(n: Numbers, at: tuple[int, ...], severity: int, answer: float, fmt: Format) -> tuple[float, float]:
    """The least and the greatest number that, answered at the element `at`, would not be judged as `answer` was.

    Twice the same where it must be an infinity or NaN. An overflow on the way is no excuse here: what still overflows
    is not mended.
    """
    wanted = float(n.high[at])
    if not np.isfinite(wanted):
        return wanted, wanted
    # What a stable form may lose is excused where more than that is wrong.
    budget, rest = float((n.sound if severity > INACCURATE else n.tight)[at]), float(n.low[at])
    ends = np.array([wanted + (rest - float(n.below[at]) - budget), wanted + (rest + float(n.above[at]) + budget)])
    half = np.maximum(half_ulp(ends, fmt), half_ulp(np.array(wanted), fmt))
    low, high = float(ends[0]) - float(half[0]), float(ends[1]) + float(half[1])
    if n.modulo is None and low <= answer <= high:  # by a rounding of ours: it was judged to lie outside
        above, below = math.nextafter(answer, math.inf), math.nextafter(answer, -math.inf)
        low, high = (above, high) if answer < wanted else (low, below)
    limit = fmt.max + 2.0 ** (fmt.max_exponent - fmt.digits)  # rounds to infinity
    return (-np.inf if low <= -limit else low), (np.inf if high >= limit else high)


def by_yardstick(judged: Judged, yardstick: Float, fmt: Format) -> Judged:
    """`judged`, with what a wide budget left undecided agreeing where the answer is `yardstick` to 1 ulp.

    `yardstick`: the framework's own result in a wider dtype, found right there and rounded once; nan where it is not.
    """
    with np.errstate(all="ignore"):
        close = np.abs(judged.answer - yardstick) <= np.maximum(ulp(judged.answer, fmt), ulp(yardstick, fmt))
    met = judged.vacuous & (close | (judged.answer == yardstick))
    severity = np.where(met, AGREES, judged.severity).astype(np.int8)
    return replace(judged, severity=severity, vacuous=judged.vacuous & ~met)


def _judge(n: Numbers, a: Float, fmt: Format) -> Judged:
    finite = np.isfinite(n.high) & np.isfinite(a)
    high, low, multiple = (a, 0.0, None) if n.modulo is None else n.modulo(a)
    off = np.where(finite, (high - n.high) + (low - n.low), 0.0)
    # Distance to the interval of admissible choices; away from kinks it is a point.
    distance = np.maximum(np.maximum(off - n.above, -n.below - off), 0.0)
    half = np.maximum(half_ulp(n.high, fmt), half_ulp(a, fmt))
    tight, sound = n.tight + half, n.sound + half
    severity, wide = _finite_severity(n, distance, half, tight, sound)
    if not finite.all():
        special, wide_special = _special_severity(n, a, fmt)
        severity, wide = np.where(finite, severity, special), np.where(finite, wide, wide_special)
        distance = np.where(finite, distance, np.inf)
    overflowed = (severity == INACCURATE) & np.isinf(a)
    size = np.maximum(np.abs(n.high), np.where(np.isfinite(high), np.abs(high), 0))
    ratio = np.where(distance == 0, 0.0, distance / tight)
    ratio = np.where(finite, ratio, np.where(severity >= INACCURATE, np.inf, 0.0))
    width = n.below + n.above
    at_kink = finite & (width > 0) & np.isfinite(width)
    chosen = np.full(a.shape, -1, np.int8)
    if at_kink.any():
        chosen = np.where(at_kink, _point(n, (off + n.below) / width), -1).astype(np.int8)
    # A zero by cancellation may be certified with an error of many of its ulps: these are not the answer's.
    last = ulp(size, fmt)
    ulps = np.where(finite, np.maximum(distance - n.error, 0) / last, np.nan)
    # The largest numbers of both signs are finitely many ulps apart, though float64 cannot hold their difference.
    ulps = np.where(finite & np.isinf(distance), np.abs(high / 2 - n.high / 2) / (last / 2), ulps)
    return Judged(severity.astype(np.int8), distance, ulps, ratio, a, at_kink, chosen, overflowed, wide, multiple)


def _point(n: Numbers, share: Float) -> Levels:
    """Which of POINTS an answer is that lies at `share` of its interval, from the lower end (0) to the upper (1)."""
    low, high, near = n.high - n.below, n.high + n.above, 1e-6
    flattest = np.abs(share - (np.clip(0.0, low, high) - low) / (high - low)) < near
    further = np.abs(np.where(share < 0.5, low, high)) >= np.maximum(np.abs(low), np.abs(high)) * (1 - near)
    steepest = further & (np.abs(share - 0.5) > 0.5 - near)
    return np.select([flattest, steepest, np.abs(share - 0.5) < near], [0, 1, 2], 3)


def _finite_severity(n: Numbers, distance: Float, half: Float, tight: Float, sound: Float) -> tuple[Levels, Mask]:
    """The severity, and where it is undecided because the budget is wider than the number."""
    severity = np.where(distance <= tight, AGREES, np.where(distance <= sound, INACCURATE, FAILS))
    # A budget wider than the number proves nothing, unless the answer is the number correctly rounded.
    vacuous = (severity == AGREES) & (n.tight > _size(n)) & (distance > half + n.error)
    known = n.certified | (distance > sound)
    return np.where(known & ~vacuous, severity, UNDECIDED), vacuous & known


def _size(n: Numbers) -> Float:
    """How large a number is, or what may be chosen beside it at a kink."""
    return np.maximum(np.abs(n.high), np.maximum(n.below, n.above))


def _special_severity(n: Numbers, a: Float, fmt: Format) -> tuple[Levels, Mask]:
    """The same where wanted or got is not finite. NaN is wanted only where the mathematics has no value: no verdict."""
    same_sign = np.signbit(a) == np.signbit(n.high)
    right = np.isinf(a) & np.isinf(n.high) & same_sign
    # A number rounds to infinity from half an ulp above the largest one; `gap` is how far the wanted one is from there,
    # on the answer's side of 0: at a kink, the admissible choice that is nearest.
    half = 2.0 ** (fmt.max_exponent - fmt.digits)
    infinite = np.isinf(a) & ~np.isinf(n.high)
    side = np.copysign(1.0, a)
    gap = (fmt.max - side * n.high) - side * n.low - np.where(side > 0, n.above, n.below) + half
    vacuous = infinite & (gap > 0) & (gap <= n.tight) & (n.tight > _size(n))
    may_overflow = np.where(same_sign, n.overflow_tight | n.overflow_sound, n.overflow_other)
    overflow = infinite & ((gap <= n.sound) | may_overflow)
    # A number beyond float64 that may lie within the range, or be of the other sign.
    lacking = np.isinf(n.high) & ~right & ~np.isnan(a)
    vacuous |= lacking & np.isinf(n.tight)
    overflow |= lacking & np.isinf(n.sound)
    severity = np.where(right | (infinite & (gap <= n.tight)), AGREES, np.where(overflow, INACCURATE, FAILS))
    return np.where(np.isnan(n.high) | vacuous, UNDECIDED, severity), vacuous
