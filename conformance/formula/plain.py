"""Plain arithmetic: a dtype's own NumPy numbers, no error analysis. The embedded `numpy` framework computes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.formula.arithmetic import Axes, Cond, Mask
from conformance.formula.arrays import COMPARE, first_of, places, positions

Array = NDArray[Any]


class Plain:
    """`conformance.formula.Arithmetic` on NumPy arrays of one dtype; at a kink it takes the first branch."""

    def __init__(self, dtype: np.dtype[Any], rank: int) -> None:
        self.dtype = dtype
        self.rank = rank

    def constant(self, value: float, *, exact: bool = True) -> Array:
        return np.full((1,) * self.rank, value, self.dtype)

    def shape(self, x: Array) -> tuple[int, ...]:
        return x.shape

    def broadcast(self, x: Array, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(x, shape)

    def add(self, x: Array, y: Array) -> Array:
        return x + y

    def sub(self, x: Array, y: Array) -> Array:
        return x - y

    def mul(self, x: Array, y: Array) -> Array:
        return x * y

    def div(self, x: Array, y: Array) -> Array:
        return x / y

    def neg(self, x: Array) -> Array:
        return -x

    def power(self, x: Array, k: int) -> Array:
        z = x
        for _ in range(k - 1):
            z = z * x
        return z

    def unary(self, name: str, x: Array) -> Array:
        z: Array
        if name == "sigmoid":
            e = np.exp(-np.abs(x))
            z = np.where(x >= 0, self._one, e) / (self._one + e)
        elif name == "softplus":
            z = np.maximum(x, self._one * 0) + np.log1p(np.exp(-np.abs(x)))
        else:
            z = getattr(np, name)(x)
        return z

    @property
    def _one(self) -> Array:
        return np.ones((), self.dtype)

    def sign(self, x: Array) -> Array:
        z: Array = np.sign(x)
        return z

    def extreme(self, name: str, x: Array, y: Array) -> Array:
        z: Array = getattr(np, name)(x, y)
        return z

    def compare(self, op: str, x: Array, y: Array) -> Cond:
        return Cond(COMPARE[op](x, y))

    def tie(self, x: Array, y: Array) -> Cond:
        return Cond(x >= y)

    def top(self, x: Array, axes: Axes) -> Cond:
        best = x == x.max(axis=axes, keepdims=True)
        return Cond(first_of(best, axes))

    def select(self, mask: Mask, x: Array, y: Array) -> Array:
        return np.where(mask, x, y)

    def choose(self, cond: Cond, x: Array, y: Array) -> Array:
        return np.where(cond.true, x, y)

    def gate(self, cond: Cond, g: Array) -> Array:
        return np.where(cond.true, g, np.zeros((), self.dtype))

    def sum(self, x: Array, axes: Axes) -> Array:
        z: Array = np.sum(x, axis=axes, keepdims=True, dtype=self.dtype)
        return z

    def max(self, x: Array, axes: Axes) -> Array:
        z: Array = np.max(x, axis=axes, keepdims=True)
        return z

    def _scaled(self, x: Array, axes: Axes, mask: Mask | None) -> tuple[Array, Array, Array]:
        lowest = self.dtype.type(-np.inf)
        seen = x if mask is None else np.where(mask, x, lowest)
        peak: Array = np.max(seen, axis=axes, keepdims=True, initial=lowest)
        at_infinity = np.where(peak > 0, self._one, 0 * self._one)
        terms = np.where(np.isinf(peak) & (seen == peak), at_infinity, np.exp(seen - peak))
        return peak, terms, self.sum(terms, axes)

    def logsumexp(self, x: Array, axes: Axes, mask: Mask | None) -> Array:
        peak, _, total = self._scaled(x, axes, mask)
        return np.where(np.isinf(peak), peak, peak + np.log(total))

    def softmax(self, x: Array, axes: Axes, mask: Mask | None) -> Array:
        _, terms, total = self._scaled(x, axes, mask)
        return terms / np.where(total == 0, self._one, total)  # where all are -inf, none has a share

    def log_softmax(self, x: Array, axes: Axes) -> Array:
        peak, _, total = self._scaled(x, axes, None)
        z: Array = (x - peak) - np.log(total)
        return z

    def shed(self, x: Array, parts: int) -> Array:
        return x

    def norm(self, x: Array, p: float, axes: Axes) -> Array:
        size = np.abs(x)
        biggest: Array = np.max(size, axis=axes, keepdims=True, initial=0)
        if np.isinf(p) or x.size == 0:
            return biggest.astype(self.dtype)
        if p == 1:
            return self.sum(size, axes)
        scale = np.where(biggest > 0, biggest, self._one)
        total = self.sum(np.power(size / scale, self.dtype.type(p)), axes)
        root = np.sqrt(total) if p == 2 else np.power(total, self.dtype.type(1 / p))
        return np.where(np.isinf(biggest), biggest, scale * root)

    def norm_gradient(self, x: Array, norm: Array, p: float, axes: Axes) -> Array:
        if p == 1:
            return self.sign(x)
        if np.isinf(p):
            return self.gate(self.top(np.abs(x), axes), self.sign(x))
        ratio: Array = x / np.where(norm == 0, self._one, norm)
        return ratio if p == 2 else self.sign(x) * np.power(np.abs(ratio), self.dtype.type(p - 1))

    def gather(self, x: Array, index: Array, axis: int) -> Array:
        place, shape = places(self.integers(index), x.shape, axis)
        return np.take_along_axis(np.broadcast_to(x, shape), place, axis)

    def index(self, axis: int, size: int) -> Array:
        return positions(axis, size, self.rank)

    def with_rank(self, rank: int) -> Plain:
        return Plain(self.dtype, rank)

    def whole(self, array: NDArray[np.int64]) -> Array:
        return array

    def integers(self, x: Array) -> NDArray[np.int64]:
        return x.astype(np.float64).astype(np.int64)

    def restructure(self, x: Array, move: Callable[[Array], Array]) -> Array:
        return move(x)

    def join(self, parts: Sequence[Array], axis: int) -> Array:
        return np.concatenate(np.broadcast_arrays(*parts), axis=axis)
