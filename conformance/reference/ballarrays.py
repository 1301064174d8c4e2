"""Arrays of balls: made, broadcast, chosen from, moved about and joined; nothing here computes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from conformance.formula.arithmetic import Mask
from conformance.formula.arrays import positions
from conformance.reference.ball import BEYOND, Ball, part, parts
from conformance.reference.formats import Format
from conformance.reference.quad import BINARY128, Bound, Kind

NEAR_OVERFLOW = 0.3  # three numbers below this power of the largest one have a product in range
NARROW = 1e3  # float16's 65504**0.3 is 28: what ordinary data reach


@dataclass
class Cases:
    """Which cases, the first axis of all arrays, met something that concerns the whole of them.

    Attributes:
        far: finite numbers so large that the order of multiplications matters, which was not followed.
        lost: a number beyond the kind of numbers, where it decides which branch is taken.
    """

    far: Mask = field(default_factory=lambda: np.zeros(1, bool))
    lost: Mask = field(default_factory=lambda: np.zeros(1, bool))


class BallArrays:
    """Balls of one format and rank as arrays; `ElementwiseBalls` computes with them."""

    def __init__(
        self,
        fmt: Format,
        rank: int,
        *,
        kind: Kind = BINARY128,
        flushes_subnormals: bool = False,
        reorders: bool = False,
    ) -> None:
        self.format = fmt
        self.kind = kind
        self.rank = rank
        self.flushes = flushes_subnormals
        tiny = fmt.min_normal if flushes_subnormals else fmt.tiny
        self.u = self._pair(kind.unit, fmt.unit)
        self.tiny = self._pair(0.0, tiny).astype(kind.bound)
        self.tiny[0] = np.ldexp(np.ones((), kind.bound), kind.underflow)
        self.min_normal = float(fmt.min_normal)
        self.max_finite = float(fmt.max)
        # Near overflow it matters in which order factors are multiplied, and every order is sound. Narrow formats are
        # nearly always near it; of the others, it shows when a first pass meets large numbers.
        self.near = float(fmt.max) ** NEAR_OVERFLOW
        self.reorders = reorders or self.near < NARROW  # track what other orders of multiplication may reach
        self.cases = Cases()
        self._constants: dict[tuple[float, float], Ball] = {}

    def _pair(self, first: float, second: float) -> Bound:
        return np.array([first, second]).reshape((2,) + (1,) * self.rank)

    def constant(self, value: float, *, exact: bool = True) -> Ball:
        key = value, math.copysign(1.0, value)
        if key not in self._constants:
            self._constants[key] = self.constants(np.array([value]))
        return self._constants[key]

    def constants(self, values: NDArray[np.float64]) -> Ball:
        """A number for each case, rounded to the dtype where it is not one of it."""
        value = np.asarray(values, np.float64).reshape((-1,) + (1,) * (self.rank - 1))
        x, size, flags = self.kind.of(value), np.abs(value), None
        if self.kind.reach is not None:
            is_beyond = (size != 0) & ((size < 1 / self.kind.reach) | (size > self.kind.reach)) & np.isfinite(value)
            flags = is_beyond * BEYOND if is_beyond.any() else None
        digits = np.ldexp(np.frexp(value)[0], self.format.digits)
        exact = (digits == np.rint(digits)) | ~np.isfinite(value)
        if exact.all():
            return Ball(x, flags=flags)
        off = np.where(exact, 0, np.maximum(self.format.unit * size, self.format.tiny / 2))
        return Ball(x, np.stack([np.zeros_like(off), off]), flags=flags)

    def shape(self, x: Ball) -> tuple[int, ...]:
        return x.x.shape

    def broadcast(self, x: Ball, shape: tuple[int, ...]) -> Ball:
        if x.x.shape == shape and all(item is None for item in (x.b, x.h, x.flags, x.loose)):
            return x
        b = None if x.b is None else np.broadcast_to(x.b, (2, *shape))
        h = None if x.h is None else (np.broadcast_to(x.h[0], shape), np.broadcast_to(x.h[1], shape))
        flags, loose = (None if item is None else np.broadcast_to(item, shape) for item in (x.flags, x.loose))
        return Ball(np.broadcast_to(x.x, shape), b, h, flags, loose)

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

    def index(self, axis: int, size: int) -> Ball:
        return Ball(self.kind.of(positions(axis, size, self.rank)))

    def whole(self, array: NDArray[np.int64]) -> Ball:
        return Ball(self.kind.of(array))

    def integers(self, x: Ball) -> NDArray[np.int64]:
        whole: NDArray[np.int64] = x.x.astype(np.float64).astype(np.int64)
        return whole

    def only(self, cases: NDArray[np.int64]) -> Self:
        """The arithmetic for some of the cases, which know what they met so far."""
        some = copy.copy(self)
        some.cases = Cases(part(self.cases.far, cases), part(self.cases.lost, cases))
        return some

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
