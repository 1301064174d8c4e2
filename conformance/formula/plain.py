"""Plain arithmetic: a dtype's own NumPy numbers, no error analysis. What the embedded `numpy` framework computes with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.formula.arithmetic import Axes, Cond, Mask

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
        if name == "sigmoid":
            e = np.exp(-np.abs(x))
            return np.where(x >= 0, self._one, e) / (self._one + e)
        if name == "softplus":
            return np.maximum(x, self._one * 0) + np.log1p(np.exp(-np.abs(x)))
        return getattr(np, name)(x)  # type: ignore[no-any-return]

    @property
    def _one(self) -> Array:
        return np.ones((), self.dtype)

    def sign(self, x: Array) -> Array:
        return np.sign(x)

    def extreme(self, name: str, x: Array, y: Array) -> Array:
        return getattr(np, name)(x, y)  # type: ignore[no-any-return]

    def compare(self, op: str, x: Array, y: Array) -> Cond:
        return Cond(_COMPARE[op](x, y))

    def tie(self, x: Array, y: Array) -> Cond:
        return Cond(x >= y)

    def top(self, x: Array, axes: Axes) -> Cond:
        best = x == x.max(axis=axes, keepdims=True)
        return Cond(best & (np.cumsum(best, axis=axes[0]) == 1) if len(axes) == 1 else best)

    def select(self, mask: Mask, x: Array, y: Array) -> Array:
        return np.where(mask, x, y)

    def choose(self, cond: Cond, x: Array, y: Array) -> Array:
        return np.where(cond.true, x, y)

    def gate(self, cond: Cond, g: Array) -> Array:
        return np.where(cond.true, g, np.zeros((), self.dtype))

    def sum(self, x: Array, axes: Axes) -> Array:
        return np.sum(x, axis=axes, keepdims=True, dtype=self.dtype)

    def max(self, x: Array, axes: Axes) -> Array:
        return np.max(x, axis=axes, keepdims=True)

    def _scaled(self, x: Array, axes: Axes, mask: Mask | None) -> tuple[Array, Array, Array]:
        lowest = np.array(-np.inf, self.dtype)
        seen = x if mask is None else np.where(mask, x, lowest)
        peak = np.max(seen, axis=axes, keepdims=True, initial=lowest)
        terms = np.where(np.isinf(peak) & (seen == peak), np.where(peak > 0, self._one, 0 * self._one), np.exp(seen - peak))
        return peak, terms, np.sum(terms, axis=axes, keepdims=True, dtype=self.dtype)

    def logsumexp(self, x: Array, axes: Axes, mask: Mask | None) -> Array:
        peak, _, total = self._scaled(x, axes, mask)
        return np.where(np.isinf(peak), peak, peak + np.log(total))

    def softmax(self, x: Array, axes: Axes, mask: Mask | None) -> Array:
        _, terms, total = self._scaled(x, axes, mask)
        return terms / np.where(total == 0, self._one, total)  # where all are -inf, none has a share

    def log_softmax(self, x: Array, axes: Axes) -> Array:
        peak, _, total = self._scaled(x, axes, None)
        return (x - peak) - np.log(total)

    def norm(self, x: Array, p: float, axes: Axes) -> Array:
        size = np.abs(x)
        biggest = np.max(size, axis=axes, keepdims=True, initial=0)
        if np.isinf(p) or x.size == 0:
            return biggest.astype(self.dtype)
        if p == 1:
            return np.sum(size, axis=axes, keepdims=True, dtype=self.dtype)
        scale = np.where(biggest > 0, biggest, self._one)
        total = np.sum(np.power(size / scale, self.dtype.type(p)), axis=axes, keepdims=True, dtype=self.dtype)
        root = np.sqrt(total) if p == 2 else np.power(total, self.dtype.type(1 / p))
        return np.where(np.isinf(biggest), biggest, scale * root)

    def norm_gradient(self, x: Array, norm: Array, p: float, axes: Axes) -> Array:
        if p == 1:
            return np.sign(x)
        if np.isinf(p):
            return self.gate(self.top(np.abs(x), axes), np.sign(x))
        ratio = x / np.where(norm == 0, self._one, norm)
        return ratio if p == 2 else np.sign(x) * np.power(np.abs(ratio), self.dtype.type(p - 1))

    def gather(self, x: Array, index: Array, axis: int) -> Array:
        n = x.shape[axis]
        place = np.clip(index.astype(np.float64).astype(np.int64), 0, max(n - 1, 0))
        shape = list(np.broadcast_shapes(tuple(1 if i == axis else s for i, s in enumerate(x.shape)), place.shape))
        place = np.broadcast_to(place, shape)
        shape[axis] = n
        return np.take_along_axis(np.broadcast_to(x, shape), place, axis)

    def index(self, axis: int, size: int) -> Array:
        shape = [1] * self.rank
        shape[axis] = size
        return np.arange(size).reshape(shape)

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


_COMPARE = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
