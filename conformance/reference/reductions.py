"""Ball arithmetic over axes: sums, maxima, and the primitives that exist because they are stable in themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.formula.arithmetic import Axes, Cond, Mask
from conformance.formula.arrays import first_of, places
from conformance.reference.ball import OVER, UNSURE, Ball, C, either, flagged, opposed, over_axes, parts
from conformance.reference.balls import SAFETY, ElementwiseBalls, _always
from conformance.reference.formats import ULPS, sum_factor
from conformance.reference.functions import exponent, signs
from conformance.reference.quad import Bound, Quad, magnitude, peak, total

ALIKE = 121  # up to so many additions, c times the probabilistic bound is no less than the worst case
NOTHING = np.zeros(())  # for a ball that stands for flags alone
SMALL = 2.0**-20  # bounds below which an e^b - 1 is many times as fast
PLACES = 4  # last places of the running sum: below these, too few terms are added to matter


class Balls(ElementwiseBalls):
    """Arithmetic on balls: `conformance.formula.Arithmetic` with errors."""

    def with_rank(self, rank: int) -> Balls:
        balls = Balls(self.format, rank, kind=self.kind, flushes_subnormals=self.flushes, reorders=self.reorders)
        balls.cases = self.cases
        return balls

    def sum(self, x: Ball, axes: Axes) -> Ball:
        n = _count(x.x, axes)
        if n == 1:
            return x
        size = _sum(x.reach, axes)
        b = self.u * self._lost(x.signed, _terms(x, axes), axes) * size
        if x.b is not None:
            b = b + _sum(np.broadcast_to(x.b, (2, *x.x.shape)), axes, 1)
        whole = total(x.x, axes)
        flags = over_axes(x.having(x.b, x.h, either(x.flags, opposed(whole, x.x, x.flags)), x.loose), axes)
        # A running sum may pass the largest number though the sum itself does not.
        if size.size and not size.max() <= self.max_finite:
            flags = either(flags, flagged(np.isfinite(size) & (size > self.max_finite), OVER))
        loose = _sum(np.broadcast_to(x.swell, x.x.shape), axes) if self.reorders else None
        z = self.ball(whole, b, (Ball(NOTHING, None, None, flags),), 0.0, loose, keeps=_always)
        if x.h is None:
            return z
        low, high = (_sum(np.broadcast_to(part, x.x.shape), axes) for part in x.h)
        return Ball(z.x, z.b, (low, high), z.flags, z.loose)

    def _lost(self, terms: Bound, n: Any, axes: Axes) -> Any:
        """How many u a sum of these terms, n of which may be other than 0, may lose relative to their magnitudes'."""
        worst = np.maximum(n - 1, 0)
        if np.max(worst, initial=0) <= ALIKE:
            return sum_factor(n)
        drifting = np.minimum(sum_factor(n) + _drift(terms, self.format.unit, axes), worst)
        return np.where(worst <= ALIKE, sum_factor(n), drifting)

    def max(self, x: Ball, axes: Axes) -> Ball:
        z = peak(x.x, axes)
        b = None if x.b is None else _max(x.b, x.x.shape, axes)
        return Ball(z, b, None, over_axes(x, axes))

    def top(self, x: Ball, axes: Axes) -> Cond:
        self._decide(x)
        z = self.max(x, axes)
        largest = x.x == z.x  # which an infinite one is, too
        gap, room = self._gap(z, x)
        near = largest | (gap <= room)
        true = first_of(largest, axes)
        if not _several(near, axes).any():
            return Cond(true)
        own = SAFETY * (x.bound() + z.bound())[0]
        unsure = _several(largest | (gap <= own), axes) & (own > 0)  # the largest itself is no rival of its own
        return Cond(true, _several(near, axes), unsure)

    def _exponentials(self, x: Ball, axes: Axes, mask: Mask | None) -> _Exponentials:
        return _Exponentials(self, x, axes, mask)

    def logsumexp(self, x: Ball, axes: Axes, mask: Mask | None) -> Ball:
        e = self._exponentials(x, axes, mask)
        log = np.log1p(e.others)
        z = np.where(np.isinf(e.peak), e.peak, e.peak + log)
        b = e.sum_error + self.u * ULPS["log"] * magnitude(log)
        if x.b is not None:
            b = b + e.shift(x.b)
        return self.ball(z, b, (_reduced(x, axes),))

    def softmax(self, x: Ball, axes: Axes, mask: Mask | None) -> Ball:
        e = self._exponentials(x, axes, mask)
        p = e.terms / (e.others + 1.0)
        relative = self.u * (e.distance + ULPS["exp"]) + e.sum_error
        if x.b is not None:
            relative = relative + x.b + e.shift(x.b)
        b = np.minimum(e.growth(relative), 1)
        return self.ball(p, b, (_reduced(x, axes),), alive=lambda: e.gone)

    def log_softmax(self, x: Ball, axes: Axes) -> Ball:
        e = self._exponentials(x, axes, None)
        log = np.log1p(e.others)
        z = (x.x - e.peak) - log
        b = e.sum_error + self.u * (ULPS["log"] * magnitude(log) + e.distance)
        if x.b is not None:
            b = b + x.b + e.shift(x.b)
        return self.ball(z, b, (_reduced(x, axes),))

    def norm(self, x: Ball, p: float, axes: Axes) -> Ball:
        size = np.abs(x.x)
        biggest = peak(size, axes)
        n = _terms(x, axes)
        if p == 1:
            z, k = total(size, axes), self._lost(x.m, n, axes)
        elif p == 2:
            z, k = np.sqrt(total(x.x * x.x, axes)), 0.5 * (self._lost(x.m**2, n, axes) + 1) + ULPS["sqrt"]
        elif np.isinf(p):
            z, k = biggest, np.zeros(())
        else:
            scale = np.where(biggest > 0.0, biggest, 1.0)
            powers = np.power(size / scale, p)
            ratio = total(powers, axes)
            z = scale * np.power(ratio, self.kind.of(1.0) / self.kind.of(p))
            k = 1 + (self._lost(magnitude(powers), n, axes) + ULPS["power"]) / p + ULPS["power"] + 1
        z = np.where(np.isinf(biggest), biggest, z)
        b = None if x.b is None else _norm_of(np.broadcast_to(x.b, (2, *x.x.shape)), p, _shift(axes))
        single = _count(x.x, axes) == 1  # the norm of one number is its magnitude, up to rounding in its powers
        return self.ball(z, b, (_reduced(x, axes),), 0.0 if single and p == 1 else k)

    def norm_gradient(self, x: Ball, norm: Ball, p: float, axes: Axes) -> Ball:
        if p == 1:
            return self.sign(x)
        if np.isinf(p):
            ratio = self.gate(self.top(Ball(np.abs(x.x), x.b), axes), self.sign(x))
        else:
            ratio = self.div(x, norm) if p == 2 else self._signed_power(self.div(x, norm), p - 1)
        near = norm.m <= C * np.sum(norm.bound(), axis=0)
        if not near.any():
            return ratio
        # Near 0 a sound implementation may take any point of the unit ball; the number is that of x, or 0 at 0 itself.
        centre = Ball(np.where(norm.m == 0, 0.0, ratio.x))
        low, high = parts(ratio.h, self.rank)
        own = SAFETY * norm.bound()[0]
        flags = either(ratio.flags, flagged((norm.m <= own) & (own > 0), UNSURE))
        own_only = np.stack(np.broadcast_arrays(ratio.bound()[0], 0 * ratio.m))
        b = np.where(near, np.where(norm.m == 0, 0, own_only), ratio.bound())
        h = np.where(near, 1 + centre.signed, low), np.where(near, 1 - centre.signed, high)
        return Ball(centre.x, b, h, flags, None if ratio.loose is None else np.where(near, centre.m, ratio.loose))

    def _signed_power(self, r: Ball, q: float) -> Ball:
        """sign(r)·|r|^q, 0 ≤ |r| ≤ 1 up to rounding, q > 0."""
        size = np.power(np.abs(r.x), q)
        size = np.where(r.x == 0.0, 0.0, size)
        relative = r.bound() / r.m
        up = magnitude(size) * np.expm1(q * np.log1p(relative))
        down = magnitude(size) * -np.expm1(q * np.log1p(-np.minimum(relative, 1)))
        zero = magnitude(size) == 0  # which it may be by underflow
        b = np.where(zero, np.power(np.asarray(r.m + r.bound(), self.kind.bound), q), np.maximum(up, down))
        return self.ball(size * signs(r.x), b, (r,), ULPS["power"])

    def gather(self, x: Ball, index: Ball, axis: int) -> Ball:
        place, shape = places(self.integers(index), x.x.shape, axis)
        full = self.broadcast(x, shape)
        return self.restructure(full, lambda array: np.take_along_axis(array, place, axis))


class _Exponentials:
    """What logsumexp and softmax share: exp(x − peak) over the axes, its sum and the sum's error, relative.

    `others` is the sum without the peak's own term, which is exactly 1: so log1p(others) keeps its digits.
    """

    def __init__(self, balls: Balls, x: Ball, axes: Axes, mask: Mask | None) -> None:
        u, tiny = balls.u, balls.tiny[0]
        seen = x.x if mask is None else np.where(mask, x.x, -np.inf)
        self.axes = axes
        self.peak = peak(seen, axes)
        is_top, gap = seen == self.peak, seen - self.peak
        if not np.isfinite(self.peak).all():
            gap = np.where(np.isinf(self.peak) & is_top, np.where(self.peak > 0.0, 0.0, -np.inf), gap)
            gap = gap if mask is None else np.where(mask, gap, -np.inf)
        self.terms: Quad = np.exp(gap)
        rest = self.terms.copy()
        np.put_along_axis(rest, _first(is_top, axes), np.zeros((), rest.dtype), axes[0])
        self.others: Quad = total(rest, axes)
        size = magnitude(self.terms)
        others = magnitude(self.others)
        self.p = size / (1 + others)
        finite = np.isfinite(gap)
        self.distance = magnitude(gap if finite.all() else np.where(finite, gap, 0.0))
        # exp of the others, each off by its argument's rounding; then the sum, which cannot lose more than the others
        terms = _sum(np.where(self.distance > 0, self.p * (self.distance + ULPS["exp"]), 0), axes)
        self.gone = finite & (size == 0)
        count = np.count_nonzero((size > 0) | self.gone, axis=axes, keepdims=True)  # masked terms are 0
        factor = balls._lost(size, count, axes)
        self.sum_error = u * terms + np.minimum(u * factor, others)
        if self.gone.any():
            self.sum_error = self.sum_error + _sum(self.gone * tiny, axes)

    def growth(self, b: Bound) -> Bound:
        """By how much each share of the sum grows at most with its argument, which may grow by b.

        A term that underflowed is far below the peak, and yet may come up to it where b is larger still.
        """
        grown = np.where(self.p > 0, self.p * _expm1_above(b), 0)
        if not self.gone.any():
            return grown
        may_rise = self.gone & (b > 0)
        gap = np.broadcast_to(b - self.distance * (1 - 2.0**-50), may_rise.shape)[may_rise]  # exp of it rounded upwards
        grown = np.array(np.broadcast_to(grown, may_rise.shape), np.result_type(grown, gap))
        grown[may_rise] = np.exp(exponent(gap, self.terms))
        return grown

    def shift(self, b: Bound) -> Bound:
        """By how much the logarithm of the sum moves at most, if each argument moves by b."""
        worst = _max(np.where((self.p > 0) | self.gone, b, 0), self.p.shape, self.axes)
        return np.minimum(_sum(self.growth(b), self.axes, 1), worst)


def _expm1_above(b: Bound) -> Bound:
    """e^b - 1, or a little more: of a small b, b + b²."""
    above = b + b * b
    small = b < SMALL
    return above if small.all() else np.where(small, above, np.expm1(b))


def _first(mask: Mask, axes: Axes) -> NDArray[np.int64]:
    """Where the mask holds first along the axis."""
    (axis,) = axes  # the stable primitives reduce one axis
    if not mask.shape[axis]:
        return np.zeros([1 if k == axis else size for k, size in enumerate(mask.shape)], dtype=np.int64)
    first: NDArray[np.int64] = np.argmax(mask, axis=axis, keepdims=True)
    return first


def _count(x: Quad, axes: Axes) -> int:
    return int(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))


def _drift(terms: Bound, unit: float, axes: Axes) -> Bound:
    """How far a running sum may drift, in units of roundoff of the sum of the terms' magnitudes.

    A running sum is a multiple of its own last place, so adding a term errs by what the term lacks to such a multiple.
    Terms that are alike all lack the same, and nothing averages out: 100,000 times log 2, added up one by one in
    float32, is 0.09 % off. The drift is the mean of what terms lack, times their number; the largest over the last
    places that the running sum passes.
    """
    size = _sum(np.abs(terms), axes)
    worst = np.zeros_like(size)
    for k in range(PLACES):
        place = np.ldexp(np.asarray(unit, size.dtype), np.frexp(size)[1] - k)
        parts = terms / place
        worst = np.maximum(worst, np.abs(_sum(np.floor(parts + 0.5) - parts, axes)) * place)
    return np.nan_to_num(worst / (unit * size), posinf=0.0)


def _terms(x: Ball, axes: Axes) -> Any:
    """How many terms of each sum may be other than 0: adding an exact 0 rounds nothing."""
    alive = x.reach > 0
    if alive.all():
        return _count(x.x, axes)
    if x.b is not None:
        alive = alive | (x.b > 0).any(axis=0)
    return np.count_nonzero(np.broadcast_to(alive, x.x.shape), axis=axes, keepdims=True)


def _several(mask: Mask, axes: Axes) -> Mask:
    """The mask where it holds more than once over the axes."""
    several: Mask = mask & (mask.sum(axis=axes, keepdims=True) > 1)
    return several


def _shift(axes: Axes) -> Axes:
    return tuple(axis + 1 for axis in axes)


def _sum(b: Bound, axes: Axes, shift: int = 0) -> Bound:
    z: Bound = np.sum(b, axis=tuple(axis + shift for axis in axes), keepdims=True)
    return z


def _max(b: Bound, shape: tuple[int, ...], axes: Axes) -> Bound:
    """The largest bounds over `axes` of an array of `shape`."""
    z: Bound = np.broadcast_to(b, (2, *shape)).max(axis=_shift(axes), keepdims=True, initial=0)
    return z


def _reduced(x: Ball, axes: Axes) -> Ball:
    return Ball(NOTHING, None, None, over_axes(x, axes))


def _norm_of(b: Bound, p: float, axes: Axes) -> Bound:
    """The p-norm of the errors: by the triangle inequality, the norm is off by no more."""
    if p == 1:
        return _sum(b, axes)
    largest: Bound = b.max(axis=axes, keepdims=True, initial=0)
    if np.isinf(p):
        return largest
    scale = np.where(largest > 0, largest, 1)
    ratio = _sum(np.power(b / scale, p), axes)
    return largest * np.power(ratio, 1 / p)
