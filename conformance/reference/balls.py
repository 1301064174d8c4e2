"""Ball arithmetic: the error analysis, one rule per operation, for two formats at once.

For z = f(x), with |x̂ − x| ≤ b, a computed ẑ is off by at most the variation of f over [x − b, x + b] plus the rounding
of the operation itself, u·k·|z| (k: `formats.ULPS`), plus the underflow unit where z is below the normal numbers. The
rules give that variation, not its first-order part, so they hold where b is not small against x: a quotient by a number
that may be zero is unbounded. Gradients are computed in the same arithmetic, so one set of rules serves both.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance.cases.case import by_case
from conformance.formula.arithmetic import Cond, Mask, either_mask
from conformance.formula.arrays import COMPARE
from conformance.reference.ball import (
    BEYOND,
    OVER,
    UNSURE,
    Ball,
    C,
    Flags,
    Hull,
    added_bounds,
    either,
    flagged,
    hull_product,
    hull_quotient,
    hull_sum,
    opposed,
    parts,
    sane,
)
from conformance.reference.ballarrays import BallArrays
from conformance.reference.formats import ULPS
from conformance.reference.functions import FUNCTIONS, POSITIVE, VARIATIONS, signs, sum_is_exact
from conformance.reference.quad import Bound, Quad, magnitude

SAFETY = 16.0  # on the numbers' own bound: binary128's elementary functions are measured within 0.75 ulp, not proven


class ElementwiseBalls(BallArrays):
    """Arithmetic on balls, element by element; `Balls` adds the reductions."""

    def ball(
        self,
        x: Quad,
        b: Bound | None,
        args: tuple[Ball, ...],
        k: float | Bound = 1.0,
        loose: Bound | None = None,
        exact: Mask | None = None,
        own_exact: Mask | None = None,
        keeps: Callable[[], Mask] | None = None,
        poles: Mask | None = None,
        alive: Callable[[], Mask] | None = None,
    ) -> Ball:
        """The result x of an operation on `args` that carried the errors b over and rounds by k·u itself, nothing
        where it is `exact` in both formats, or in the numbers' own. Where it `keeps` multiples of the smallest number
        such, a result below the normal numbers is exact, unless subnormals are flushed. A result of 0 that is `alive`
        has vanished below them. An infinite result of finite numbers is one where `poles`.
        """
        flags = either(*(arg.flags for arg in args))
        z = Ball(x, None)
        m = z.m
        if (k if isinstance(k, float) else k.any()) and not (exact is not None and exact.all()):
            added = self.u * k * (m if exact is None else np.where(exact, 0, m))
            if own_exact is not None:
                np.copyto(added[0], 0, where=own_exact)
            b = added if b is None else b + added
        rough = np.asarray(m, np.float64)  # which is searched ten times as fast
        top, room = rough.max(initial=0), 0.0 if b is None else b.max(initial=0)
        if np.isnan(room):
            b, room = sane(b), np.inf
        if not (rough.min(initial=top) > self.min_normal and top + room <= self.max_finite / 2):
            b = self._low(m, b, None if self.flushes else keeps, alive)
            if not top + room <= self.max_finite:
                top = m.max(initial=0)
                b, flags = self._high(m, b, either(flags, _beyond(m, args, poles)))
        if loose is not None:
            loose = loose * (1 + C * self.u[1])
            flags = either(flags, flagged(np.isfinite(m) & (loose > self.max_finite), OVER))
        if not (self.reorders or top <= self.near):
            self.cases.far = self.cases.far | by_case(np.isfinite(m) & (m > self.near))
        return z.having(b, None, flags, loose)

    def _low(
        self, m: Bound, b: Bound | None, keeps: Callable[[], Mask] | None, alive: Callable[[], Mask] | None
    ) -> Bound | None:
        """The bounds with what underflow adds to them."""
        small = m < self.min_normal
        if not small.any():
            return b
        some = m > 0 if alive is None else (m > 0) | alive()
        small &= some if b is None else some | (b[0] > 0)
        if keeps is not None and small.any():
            small &= ~keeps()
            if self.kind.reach is not None:  # below, the numbers themselves are taken to be off, whatever keeps them
                lost = _own((m > 0) & (m < 1 / self.kind.reach) & ~small, self.tiny[0])
                b = lost if b is None else b + lost
        if small.any():
            added = np.where(small, self.tiny, 0)
            b = added if b is None else b + added
        return b

    def _high(self, m: Bound, b: Bound | None, flags: Flags | None) -> tuple[Bound | None, Flags | None]:
        """The bounds of finite numbers, and the flags with those of overflow."""
        finite = np.isfinite(m)
        large = finite & ((m if b is None else m + b[1]) > self.max_finite)
        if b is not None and not finite.all():
            b = np.where(finite, b, 0)
        if self.kind.reach is not None:
            flags = either(flags, flagged(finite & (m > self.kind.reach), BEYOND))
        return b, either(flags, flagged(large, OVER))

    def _with_hull(self, z: Ball, h: tuple[Bound, Bound] | None) -> Ball:
        return z if h is None else z.having(z.b, h, z.flags, z.loose)

    def add(self, x: Ball, y: Ball) -> Ball:
        return self._sum(x.x + y.x, x, y, y.x, hull_sum(x, y, 1))

    def sub(self, x: Ball, y: Ball) -> Ball:
        return self._sum(x.x - y.x, x, y, -y.x, hull_sum(x, y, -1))

    def _sum(self, z: Quad, x: Ball, y: Ball, second: Quad, h: Hull | None) -> Ball:
        """z, the sum of x and `second`, which is y or −y."""
        loose = x.swell + y.swell if self.reorders else None
        exact = sum_is_exact(x.x, second, z, x.m >= y.m)  # in the dtype, it is taken to round everywhere
        done = self._with_hull(self.ball(z, added_bounds(x, y), (x, y), 1.0, loose, own_exact=exact, keeps=_always), h)
        turned = either(opposed(z, x.x, x.flags), opposed(z, second, y.flags))
        return done if turned is None else done.having(done.b, done.h, either(done.flags, turned), done.loose)

    def neg(self, x: Ball) -> Ball:
        return Ball(-x.x, x.b, None if x.h is None else x.h[::-1], x.flags, x.loose)

    def mul(self, x: Ball, y: Ball) -> Ball:
        scales = [scale for scale in (x.scale, y.scale) if scale is not None]
        exact = either_mask(*scales) if scales else None
        if x.b is None or y.b is None:
            b = x.reach * y.b if y.b is not None else None if x.b is None else y.reach * x.b
        else:
            b = (x.reach + x.b) * y.b + y.reach * x.b
        loose = np.maximum(x.swell, 1) * np.maximum(y.swell, 1) if self.reorders else None
        keeps, alive = (lambda: x.doubles | y.doubles), (lambda: _alive(x) & _alive(y))
        z = self.ball(x.x * y.x, b, (x, y), 1.0, loose, exact, keeps=keeps, alive=alive)
        return self._with_hull(z, hull_product(x, y))

    def div(self, x: Ball, y: Ball) -> Ball:
        z = x.x / y.x
        poles = None if y.m.all() else (x.m > x.bound()[0]) & (y.bound()[0] == 0)
        if y.b is None:
            b = None if x.b is None else x.b / y.m
        else:
            room = y.m - y.b
            b = (x.bound() + (x.reach / y.m) * y.b) / room
            b = b if room.min(initial=1) > 0 else np.where(room > 0, b, np.inf)
        loose = np.maximum(x.swell, 1) * np.maximum(1 / self._least(y), 1) if self.reorders else None
        q = self.ball(z, b, (x, y), 1.0, loose, y.scale, poles=poles, alive=lambda: _alive(x) & np.isfinite(y.m))
        return self._with_hull(q, hull_quotient(x, y))

    def _least(self, y: Ball) -> Bound:
        """How small |y| may be computed."""
        return y.m if y.b is None else np.maximum(y.m - C * y.b[1], 0)

    def power(self, x: Ball, k: int) -> Ball:
        z = x
        for _ in range(k - 1):
            z = self.mul(z, x)
        return z

    def unary(self, name: str, x: Ball) -> Ball:
        z = FUNCTIONS[name](x.x)
        b = None if x.b is None else VARIATIONS[name](x, magnitude(z), x.b)
        poles = x.bound()[0] == 0 if name in {"log", "log1p"} else None
        keeps = _always if name == "abs" else None
        alive = (lambda: np.isfinite(x.m)) if name in POSITIVE else None
        return self.ball(z, b, (x,), ULPS[name], keeps=keeps, poles=poles, alive=alive)

    def _decide(self, *args: Ball) -> None:
        """Notes the cases in which these are to decide something, and left the range of a narrow kind of numbers."""
        if self.kind.reach is not None:
            for flags in (x.flags for x in args if x.flags is not None):
                self.cases.lost = self.cases.lost | by_case((flags & BEYOND) != 0)

    def shed(self, x: Ball, parts: int) -> Ball:
        lost = np.minimum(parts * self.tiny, x.m)
        return x.having(lost if x.b is None else x.b + lost, x.h, x.flags, x.loose)

    def sign(self, x: Ball) -> Ball:
        self._decide(x)
        near = x.m <= C * np.sum(x.bound(), axis=0)
        value = Ball(self.kind.of(np.sign(x.x.astype(np.float64))) if x.m.min(initial=1.0) > 1e-290 else signs(x.x))
        if not near.any():
            return value
        s, own = value.signed, SAFETY * x.bound()[0]
        unsure = flagged((x.m <= own) & (own > 0), UNSURE)
        return Ball(value.x, None, (np.where(near, 1 + s, 0), np.where(near, 1 - s, 0)), unsure)

    def _gap(self, x: Ball, y: Ball) -> tuple[Bound, Bound | float]:
        room = 0.0 if x.b is None and y.b is None else C * np.sum(x.bound() + y.bound(), axis=0)
        is_nothing = y.x.size == 1 and (y.x == 0.0).all()
        return (x.m if is_nothing else magnitude(x.x - y.x)), room

    def compare(self, op: str, x: Ball, y: Ball) -> Cond:
        self._decide(x, y)
        true = COMPARE[op](x.x, y.x)
        if x.b is None and y.b is None:
            return Cond(true)
        gap, room = self._gap(x, y)
        near = (gap <= room) & (room > 0)
        if not near.any():
            return Cond(true)
        own = SAFETY * (x.bound() + y.bound())[0]
        unsure = near & (gap <= own) & (own > 0)
        return Cond(true, near, unsure if unsure.any() else None)

    def tie(self, x: Ball, y: Ball) -> Cond:
        self._decide(x, y)
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
        # What overflows may pass the other side though the number does not.
        spilled = either(x.flags, y.flags)
        flags = z.flags if spilled is None else either(z.flags, spilled & OVER)
        z = Ball((np.maximum if name == "maximum" else np.minimum)(x.x, y.x), z.b, None, flags)
        if first.open is None or (x.b is None and y.b is None):
            return z
        b = np.where(first.open, np.maximum(x.bound(), y.bound()), z.bound())
        return Ball(z.x, b, None, z.flags)

    def choose(self, cond: Cond, x: Ball, y: Ball) -> Ball:
        z = self.select(cond.true, x, y)
        if cond.open is None:
            return z
        # Either branch may be taken; where the formula is continuous they differ by no more than their errors.
        wide = np.maximum(x.bound(), y.bound()) + magnitude(x.x - y.x)
        unsure = np.zeros_like(cond.open) if cond.unsure is None else cond.unsure
        widen = np.stack(np.broadcast_arrays(unsure, cond.open))
        flags = either(z.flags, _where(cond.open, either(x.flags, y.flags)))
        return Ball(z.x, np.where(widen, wide, z.bound()), None, flags, z.loose)

    def gate(self, cond: Cond, g: Ball) -> Ball:
        nothing = self.constant(0.0)
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
        flags = either(z.flags, _where(cond.open, g.flags), flagged(cond.unsure, UNSURE))
        return Ball(z.x, b, (np.where(cond.open, below, zl), np.where(cond.open, above, zh)), flags, z.loose)


def _beyond(m: Bound, args: tuple[Ball, ...], poles: Mask | None) -> Flags | None:
    """BEYOND where a result may be infinite only because its kind is too narrow or off (of finite arguments, and at no
    pole), or NaN only because an argument is off."""
    if np.isfinite(m).all() or not args[0].x.ndim:
        return None
    doubt, finite, numbers = np.zeros((), bool), np.ones((), bool), np.ones((), bool)
    for arg in args:
        doubt = doubt if arg.b is None else doubt | (arg.b[0] > 0)
        finite, numbers = finite & np.isfinite(arg.m), numbers & ~np.isnan(arg.m)
    overflow = finite & np.isinf(m) & (True if poles is None else ~poles)
    return flagged(overflow | (numbers & np.isnan(m) & doubt), BEYOND)


def _where(mask: Mask, flags: Flags | None) -> Flags | None:
    return None if flags is None else flags * mask


def _alive(x: Ball) -> Mask:
    """Where x may be other than 0, by its own error."""
    alive: Mask = x.m > 0 if x.b is None else (x.m > 0) | (x.b[0] > 0)
    return alive


def _always() -> Mask:
    """Sums, and magnitudes, of multiples of a number are multiples of it."""
    return np.ones((), bool)


def _own(mask: Mask, error: Bound) -> Bound:
    """An error of the numbers' own where `mask` holds."""
    return np.stack(np.broadcast_arrays(mask * error, 0.0))
