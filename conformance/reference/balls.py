"""Ball arithmetic: the error analysis, one rule per operation, for two formats at once.

For z = f(x), with |x̂ − x| ≤ b, a computed ẑ is off by at most the variation of f over [x − b, x + b] plus the rounding
of the operation itself, u·k·|z| (k: `formats.ULPS`), plus the underflow unit where z is below the normal numbers. The
rules give that variation, not its first-order part, so they hold where b is not small against x: a quotient by a number
that may be zero is unbounded. Gradients are computed in the same arithmetic, so one set of rules serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.formula.arithmetic import Cond, Mask, either_mask
from conformance.formula.arrays import COMPARE, positions
from conformance.reference.ball import (
    OVER,
    UNSURE,
    Ball,
    Flags,
    either,
    flagged,
    hull_product,
    hull_quotient,
    hull_sum,
    parts,
)
from conformance.reference.formats import ULPS, Format
from conformance.reference.quad import BOUND, QUAD, UNIT, ZERO, Bound, Quad, magnitude, quad

C = 2.0  # the budget's safety factor
SAFETY = 16.0  # on binary128's own bound: its elementary functions are measured within 0.75 ulp, not proven
ONE = np.ones((), dtype=QUAD)


class ElementwiseBalls:
    """Arithmetic on balls, element by element; `Balls` adds the reductions."""

    def __init__(self, fmt: Format, rank: int, *, flushes_subnormals: bool = False, reorders: bool = False) -> None:
        self.format = fmt
        self.rank = rank
        self.flushes = flushes_subnormals
        tiny = fmt.min_normal if flushes_subnormals else fmt.tiny
        self.u = self._pair(UNIT, fmt.unit)
        self.tiny = self._pair(0.0, tiny)
        self.tiny[0] = np.ldexp(np.ones((), BOUND), -16494)
        self.min_normal = float(fmt.min_normal)
        self.max_finite = float(fmt.max)
        self.reorders = reorders  # track what other orders of multiplication may reach
        self.largest = 0.0  # the largest magnitude so far

    def _pair(self, first: float, second: float) -> Bound:
        return np.array([first, second]).astype(BOUND).reshape((2,) + (1,) * self.rank)

    def ball(
        self,
        x: Quad,
        b: Bound | None,
        args: tuple[Ball, ...],
        k: float = 1.0,
        loose: Bound | None = None,
        rounds: Mask | None = None,
        keeps: Callable[[], Mask] | None = None,
    ) -> Ball:
        """The result x of an operation on `args` that carried the errors b over and rounds by k·u itself; by u where
        `rounds` and nothing elsewhere, if that is given. Where it `keeps` multiples of the smallest number such, a
        result below the normal numbers is exact, unless subnormals are flushed.
        """
        flags = either(*(arg.flags for arg in args))
        z = Ball(x, b, None, flags, loose)
        m = z.m
        if rounds is not None or k:
            added = self.u * (k if rounds is None else rounds) * m
            b = added if b is None else b + added
        top = m.max(initial=0)
        if m.size and not (m.min() >= self.min_normal and top <= self.max_finite / 2):
            b, flags = self._extremes(m, b, flags, None if self.flushes else keeps)
        if loose is not None:
            flags = either(flags, flagged(np.isfinite(m) & (loose > self.max_finite), OVER))
        if not top <= self.largest:
            # An infinity in one case of a stack must not hide how large the others become.
            finite = top if np.isfinite(top) else np.where(np.isfinite(m), m, 0).max(initial=0)
            self.largest = max(self.largest, float(min(finite, 1e308)))
        if b is z.b and flags is z.flags:
            return z
        done = Ball(x, b, None, flags, loose)
        done.__dict__["m"] = m
        return done

    def _extremes(
        self, m: Bound, b: Bound | None, flags: Flags | None, keeps: Callable[[], Mask] | None
    ) -> tuple[Bound | None, Flags | None]:
        small = (m < self.min_normal) & (m > 0)
        if keeps is not None and small.any():
            small &= ~keeps()
        if small.any():
            added = np.where(small, self.tiny, 0)
            b = added if b is None else b + added
        if b is not None:
            finite = np.isfinite(m)
            large = finite & (m + b[1] > self.max_finite)
            if not finite.all():
                b = np.where(finite, b, 0)
        else:
            large = np.isfinite(m) & (m > self.max_finite)
        return b, either(flags, flagged(large, OVER))

    def constant(self, value: float, *, exact: bool = True) -> Ball:
        x = quad(np.full((1,) * self.rank, value))
        if float(np.ldexp(np.frexp(value)[0], self.format.digits)).is_integer() or not np.isfinite(value):
            return Ball(x)
        return Ball(x, self._pair(0.0, max(self.format.unit * abs(value), self.format.tiny / 2)))

    def shape(self, x: Ball) -> tuple[int, ...]:
        return x.x.shape

    def broadcast(self, x: Ball, shape: tuple[int, ...]) -> Ball:
        b = None if x.b is None else np.broadcast_to(x.b, (2, *shape))
        h = None if x.h is None else (np.broadcast_to(x.h[0], shape), np.broadcast_to(x.h[1], shape))
        flags, loose = (None if item is None else np.broadcast_to(item, shape) for item in (x.flags, x.loose))
        return Ball(np.broadcast_to(x.x, shape), b, h, flags, loose)

    def _with_hull(self, z: Ball, h: tuple[Bound, Bound] | None) -> Ball:
        return z if h is None else Ball(z.x, z.b, h, z.flags, z.loose)

    def add(self, x: Ball, y: Ball) -> Ball:
        loose = x.swell + y.swell if self.reorders else None
        return self._with_hull(self.ball(x.x + y.x, _added(x, y), (x, y), 1.0, loose, keeps=_always), hull_sum(x, y, 1))

    def sub(self, x: Ball, y: Ball) -> Ball:
        return self.add(x, self.neg(y))

    def neg(self, x: Ball) -> Ball:
        return Ball(-x.x, x.b, None if x.h is None else x.h[::-1], x.flags, x.loose)

    def mul(self, x: Ball, y: Ball) -> Ball:
        exact = either_mask(np.zeros((), bool), x.scale, y.scale)
        if x.b is None or y.b is None:
            b = x.reach * y.b if y.b is not None else None if x.b is None else y.reach * x.b
        else:
            b = (x.reach + x.b) * y.b + y.reach * x.b
        loose = np.maximum(x.swell, 1) * np.maximum(y.swell, 1) if self.reorders else None
        z = self.ball(x.x * y.x, _sane(b), (x, y), 1.0, loose, ~exact, keeps=lambda: x.doubles | y.doubles)
        return self._with_hull(z, hull_product(x, y))

    def div(self, x: Ball, y: Ball) -> Ball:
        z = x.x / y.x
        exact = either_mask(np.zeros((), bool), y.scale)
        if y.b is None:
            b = None if x.b is None else x.b / y.m
        else:
            room = y.m - y.b
            b = (x.bound() + (x.reach / y.m) * y.b) / np.where(room > 0, room, np.nan)
            b = np.where(room > 0, b, np.inf)
        loose = np.maximum(x.swell, 1) * np.maximum(1 / y.m, 1) if self.reorders else None
        return self._with_hull(self.ball(z, _sane(b), (x, y), 1.0, loose, ~exact), hull_quotient(x, y))

    def power(self, x: Ball, k: int) -> Ball:
        z = x
        for _ in range(k - 1):
            z = self.mul(z, x)
        return z

    def unary(self, name: str, x: Ball) -> Ball:
        z = _FUNCTIONS[name](x.x)
        b = None if x.b is None else _sane(_VARIATION[name](x, magnitude(z), x.b))
        return self.ball(z, b, (x,), ULPS[name], keeps=_always if name == "abs" else None)

    def sign(self, x: Ball) -> Ball:
        near = x.m <= C * np.sum(x.bound(), axis=0)
        value = Ball(quad(np.sign(x.x.astype(np.float64))) if x.m.min(initial=1.0) > 1e-290 else _sign(x.x))
        if not near.any():
            return value
        s, own = value.signed, SAFETY * x.bound()[0]
        unsure = flagged((x.m <= own) & (own > 0), UNSURE)
        return Ball(value.x, None, (np.where(near, 1 + s, 0), np.where(near, 1 - s, 0)), unsure)

    def _gap(self, x: Ball, y: Ball) -> tuple[Bound, Bound | float]:
        room = 0.0 if x.b is None and y.b is None else C * np.sum(x.bound() + y.bound(), axis=0)
        return magnitude(x.x - y.x), room

    def compare(self, op: str, x: Ball, y: Ball) -> Cond:
        true = COMPARE[op](x.x, y.x)
        if x.b is None and y.b is None:
            return Cond(true)
        gap, room = self._gap(x, y)
        near = (gap <= room) & (room > 0)
        if not near.any():
            return Cond(true)
        unsure = near & (gap <= SAFETY * (x.bound() + y.bound())[0])
        return Cond(true, near, unsure if unsure.any() else None)

    def tie(self, x: Ball, y: Ball) -> Cond:
        gap, room = self._gap(x, y)
        near = gap <= room
        if not near.any():
            return Cond(x.x >= y.x)
        own = SAFETY * (x.bound() + y.bound())[0]
        return Cond(x.x >= y.x, near, near & (gap <= own) & (own > 0))

    def extreme(self, name: str, x: Ball, y: Ball) -> Ball:
        first = self.tie(x, y)
        chosen = first if name == "maximum" else first.negated()
        z = self.choose(Cond(chosen.true), x, y)
        z = Ball((np.maximum if name == "maximum" else np.minimum)(x.x, y.x), z.b, None, z.flags)
        if first.open is None or (x.b is None and y.b is None):
            return z
        b = np.where(first.open, np.maximum(x.bound(), y.bound()), z.bound())
        return Ball(z.x, b, None, z.flags)

    def select(self, mask: Mask, x: Ball, y: Ball) -> Ball:
        b = None if x.b is None and y.b is None else np.where(mask, x.bound(), y.bound())
        h = None
        if x.h is not None or y.h is not None:
            (xl, xh), (yl, yh) = parts(x.h, self.rank), parts(y.h, self.rank)
            h = np.where(mask, xl, yl), np.where(mask, xh, yh)
        flags = None
        if x.flags is not None or y.flags is not None:
            none = np.uint8(0)
            flags = np.where(mask, none if x.flags is None else x.flags, none if y.flags is None else y.flags)
        loose = None if x.loose is None and y.loose is None else np.where(mask, x.swell, y.swell)
        return Ball(np.where(mask, x.x, y.x), b, h, flags, loose)

    def choose(self, cond: Cond, x: Ball, y: Ball) -> Ball:
        z = self.select(cond.true, x, y)
        if cond.open is None:
            return z
        # Either branch may be taken; where the formula is continuous they differ by no more than their errors.
        wide = np.maximum(x.bound(), y.bound()) + magnitude(x.x - y.x)
        unsure = np.zeros_like(cond.open) if cond.unsure is None else cond.unsure
        widen = np.stack(np.broadcast_arrays(unsure, cond.open))
        return Ball(z.x, np.where(widen, wide, z.bound()), None, either(z.flags, x.flags, y.flags), z.loose)

    def gate(self, cond: Cond, g: Ball) -> Ball:
        nothing = Ball(np.zeros((1,) * self.rank).astype(QUAD))
        z = self.select(cond.true, g, nothing)
        if cond.open is None:
            return z
        low, high = parts(g.h, self.rank)
        # Where open: anything from 0 to g; the hull is measured from the branch taken.
        centre = np.where(cond.true, g.signed, 0)
        below = centre - np.minimum(g.signed - low, 0)
        above = np.maximum(g.signed + high, 0) - centre
        zl, zh = parts(z.h, self.rank)
        b = None if g.b is None else np.where(cond.open, g.b, z.bound())
        flags = either(z.flags, g.flags, flagged(cond.unsure, UNSURE))
        return Ball(z.x, b, (np.where(cond.open, below, zl), np.where(cond.open, above, zh)), flags, z.loose)

    def index(self, axis: int, size: int) -> Ball:
        return Ball(quad(positions(axis, size, self.rank)))

    def whole(self, array: NDArray[np.int64]) -> Ball:
        return Ball(quad(array))

    def integers(self, x: Ball) -> NDArray[np.int64]:
        whole: NDArray[np.int64] = x.x.astype(np.float64).astype(np.int64)
        return whole

    def restructure(self, x: Ball, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Ball:
        full = self.broadcast(x, x.x.shape)
        b = None if full.b is None else np.stack([move(full.b[0]), move(full.b[1])])
        h = None if full.h is None else (move(full.h[0]), move(full.h[1]))
        flags, loose = (None if item is None else move(item) for item in (full.flags, full.loose))
        return Ball(move(full.x), b, h, flags, loose)

    def join(self, parts: Sequence[Ball], axis: int) -> Ball:
        shape = np.broadcast_shapes(*(part.x.shape for part in parts))
        full = [self.broadcast(part, shape) for part in parts]
        b = None
        if any(part.b is not None for part in full):
            b = np.concatenate([np.broadcast_to(part.bound(), (2, *shape)) for part in full], axis=axis + 1)
        flags = None
        if any(part.flags is not None for part in full):
            every = (np.uint8(0) if part.flags is None else part.flags for part in full)
            flags = np.concatenate([np.broadcast_to(item, shape) for item in every], axis=axis)
        loose = None
        if any(part.loose is not None for part in full):
            loose = np.concatenate([np.broadcast_to(part.swell, shape) for part in full], axis=axis)
        return Ball(np.concatenate([part.x for part in full], axis=axis), b, None, flags, loose)


def _always() -> Mask:
    """Sums, and magnitudes, of multiples of a number are multiples of it."""
    return np.ones((), bool)


def _added(x: Ball, y: Ball) -> Bound | None:
    return y.b if x.b is None else x.b if y.b is None else x.b + y.b


def _sane(b: Bound | None) -> Bound | None:
    """0·∞ among bounds: the number itself is 0, infinite or NaN, and is judged as such."""
    return b if b is None or not np.isnan(b.max(initial=0)) else np.where(np.isnan(b), np.inf, b)


def _sign(x: Quad) -> Quad:
    return quad(np.where(x > ZERO, 1.0, np.where(x < ZERO, -1.0, 0.0)))


def _sigmoid(x: Quad) -> Quad:
    e = np.exp(-np.abs(x))
    z: Quad = np.where(np.signbit(x), e, ONE) / (ONE + e)
    return z


def _softplus(x: Quad) -> Quad:
    z: Quad = np.maximum(x, ZERO) + np.log1p(np.exp(-np.abs(x)))
    return z


def _exp_variation(x: Bound, b: Bound) -> Bound:
    return np.where(b == 0, 0, np.exp(x + b) * -np.expm1(-b))


def _sigmoid_slope(x: Bound) -> Bound:
    """The derivative of the sigmoid, the largest on an interval at its point nearest to 0."""
    e = np.exp(-x)
    slope: Bound = e / (1 + e) ** 2
    return slope


def _log_variation(x: Bound, b: Bound) -> Bound:
    ratio = b / x
    return np.where(ratio < 1, -np.log1p(-np.minimum(ratio, 1)), np.inf)


def _sqrt_variation(x: Bound, z: Bound, b: Bound) -> Bound:
    inside = b / (z + np.sqrt(np.maximum(x - b, 0)))
    return np.where(b <= x, np.where(b == 0, 0, inside), np.maximum(z, np.sqrt(b)))


_FUNCTIONS: Mapping[str, Callable[[Quad], Quad]] = {
    "abs": np.abs,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
}
# The variation of f over [x − b, x + b], from x, |f(x)| and b.
_VARIATION: Mapping[str, Callable[[Ball, Bound, Bound], Bound]] = {
    "abs": lambda x, z, b: b,
    "exp": lambda x, z, b: _exp_variation(x.signed, b),
    "expm1": lambda x, z, b: _exp_variation(x.signed, b),
    "log": lambda x, z, b: _log_variation(x.m, b),
    "log1p": lambda x, z, b: _log_variation(magnitude(x.x + ONE), b),
    "sqrt": lambda x, z, b: _sqrt_variation(x.m, z, b),
    "sigmoid": lambda x, z, b: np.minimum(b * _sigmoid_slope(np.maximum(x.m - b, 0)), 1),
    "softplus": lambda x, z, b: b * np.exp(np.minimum(x.signed + b, 0)),
}
