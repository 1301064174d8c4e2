"""Interval arithmetic of any precision: the tree of a formula once more, in `python-flint`'s balls.

Here every result encloses the exact one, whatever happened on the way: a comparison that the precision cannot decide
takes the union of both branches, so that more precision, or nothing, decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from conformance.formula.arithmetic import Axes, Cond, Mask
from conformance.formula.arrays import first_of, places, positions

Array = NDArray[Any]  # of arb objects

ZERO: Any = arb(0)
ONE: Any = arb(1)
_LOWEST: Any = arb("-inf")
_HIGHEST: Any = arb("inf")


class Arbs:
    """`conformance.formula.Arithmetic` on arrays of `arb`; the precision is flint's own."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def constant(self, value: float, *, exact: bool = True) -> Array:
        return np.full((1,) * self.rank, arb(value), dtype=object)

    def constants(self, values: NDArray[np.float64]) -> Array:
        """A number for each case."""
        return exact(values.reshape((-1,) + (1,) * (self.rank - 1)))

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
        z = x  # not **, which gives NaN for a ball around 0
        for _ in range(k - 1):
            z = z * x
        return z

    def unary(self, name: str, x: Array) -> Array:
        return _each(_FUNCTIONS[name], x)

    def sign(self, x: Array) -> Array:
        return _each(_sign, x)

    def extreme(self, name: str, x: Array, y: Array) -> Array:
        return _each2(arb.max if name == "maximum" else arb.min, x, y)

    def compare(self, op: str, x: Array, y: Array) -> Cond:
        x, y = np.broadcast_arrays(x, y)
        surely = _each2(_COMPARE[op], x, y).astype(bool)
        never = _each2(_COMPARE[_OPPOSITE[op]], x, y).astype(bool)
        return _cond(surely, ~surely & ~never)

    def tie(self, x: Array, y: Array) -> Cond:
        return self.compare(">=", x, y)

    def top(self, x: Array, axes: Axes) -> Cond:
        best = self.max(x, axes)
        rivals = _each2(lambda a, b: bool(a.overlaps(b)), x, best).astype(bool)
        several = (rivals & ~_each2(lambda a, b: bool(a == b), x, best).astype(bool)).any(axis=axes, keepdims=True)
        several &= rivals.sum(axis=axes, keepdims=True) > 1  # surely equal ones are no open question
        return _cond(first_of(rivals, axes), rivals & several)

    def select(self, mask: Mask, x: Array, y: Array) -> Array:
        return np.where(mask, x, y)

    def choose(self, cond: Cond, x: Array, y: Array) -> Array:
        z = np.where(cond.true, x, y)
        return z if cond.unsure is None else np.where(cond.unsure, _each2(arb.union, *np.broadcast_arrays(x, y)), z)

    def gate(self, cond: Cond, g: Array) -> Array:
        return self.choose(cond, g, self.constant(0))

    def sum(self, x: Array, axes: Axes) -> Array:
        return np.add.reduce(x, axis=axes, keepdims=True, initial=ZERO)

    def max(self, x: Array, axes: Axes) -> Array:
        for axis in axes:
            x = np.frompyfunc(arb.max, 2, 1).reduce(x, axis=axis, keepdims=True)
        return x

    def _terms(self, x: Array, axes: Axes, mask: Mask | None) -> tuple[Array, Array, Array]:
        # only what is surely -inf drops out: a ball that merely reaches so far decides nothing
        inside = ~(_each(lambda item: item == _LOWEST, x).astype(bool)) & (True if mask is None else mask)
        middle = _each(arb.mid, np.where(inside, x, _LOWEST))
        shift = self.max(middle, axes)  # any number will do for a shift, if it is exact
        shift = np.where(shift == _LOWEST, ZERO, shift)
        endless = shift == _HIGHEST  # beside +inf, only its like counts
        gap = np.where(endless, np.where(x == _HIGHEST, ZERO, _LOWEST), np.where(inside, x, shift) - shift)
        terms = np.where(inside, _each(arb.exp, gap), ZERO)
        return shift, terms, self.sum(terms, axes)

    def logsumexp(self, x: Array, axes: Axes, mask: Mask | None) -> Array:
        shift, _, total = self._terms(x, axes, mask)
        return shift + _each(lambda item: _LOWEST if item == 0 else item.log(), total)

    def softmax(self, x: Array, axes: Axes, mask: Mask | None) -> Array:
        _, terms, total = self._terms(x, axes, mask)
        return np.where(terms == ZERO, terms, terms / np.where(total == ZERO, ONE, total))

    def log_softmax(self, x: Array, axes: Axes) -> Array:
        return x - self.logsumexp(x, axes, None)

    def shed(self, x: Array, parts: int) -> Array:
        return x

    def norm(self, x: Array, p: float, axes: Axes) -> Array:
        size = np.abs(x)
        if np.isinf(p):
            return self.max(size, axes)
        if p == 1:
            return self.sum(size, axes)
        if p == 2:
            return _each(arb.sqrt, self.sum(x * x, axes))
        total = self.sum(_each(lambda item: _power(item, arb(p)), size), axes)
        return _each(lambda item: _power(item, 1 / arb(p)), total)

    def norm_gradient(self, x: Array, norm: Array, p: float, axes: Axes) -> Array:
        if p == 1:
            return self.sign(x)
        if np.isinf(p):
            return self.gate(self.top(np.abs(x), axes), self.sign(x))
        ratio: Array = np.where(norm == ZERO, ZERO, x / np.where(norm == ZERO, ONE, norm))
        if p == 2:
            return ratio
        z: Array = self.sign(x) * _each(lambda item: _power(item, arb(p) - 1), np.abs(ratio))
        return z

    def gather(self, x: Array, index: Array, axis: int) -> Array:
        place, shape = places(self.integers(index), x.shape, axis)
        return np.take_along_axis(np.broadcast_to(x, shape), place, axis)

    def index(self, axis: int, size: int) -> Array:
        return exact(positions(axis, size, self.rank))

    def with_rank(self, rank: int) -> Arbs:
        return Arbs(rank)

    def whole(self, array: NDArray[np.int64]) -> Array:
        return exact(array)

    def integers(self, x: Array) -> NDArray[np.int64]:
        return _each(lambda item: int(float(item)), x).astype(np.int64)

    def restructure(self, x: Array, move: Callable[[Array], Array]) -> Array:
        return move(x)

    def join(self, parts: Sequence[Array], axis: int) -> Array:
        return np.concatenate(np.broadcast_arrays(*parts), axis=axis)


def exact(array: NDArray[Any]) -> Array:
    """The numbers of a float or integer array as balls of radius 0."""
    return _each(lambda item: arb(float(item)), array)


def _each(function: Callable[[Any], Any], x: Array) -> Array:
    return np.asarray(np.frompyfunc(function, 1, 1)(x), dtype=object)


def _each2(function: Callable[[Any, Any], Any], x: Array, y: Array) -> Array:
    return np.asarray(np.frompyfunc(function, 2, 1)(x, y), dtype=object)


def _cond(surely: Mask, unsure: Mask) -> Cond:
    return Cond(surely, None, unsure if unsure.any() else None)


def _sign(x: arb) -> arb:
    sign: arb = ONE if x > 0 else -ONE if x < 0 else ZERO if x == 0 else ZERO.union(ONE).union(-ONE)
    return sign


def _power(x: arb, p: arb) -> arb:
    """x^p for x ≥ 0; a ball that holds 0 is taken up to its upper end."""
    if x > 0:
        return x**p
    most: arb = ZERO if x == 0 else ZERO.union(x.abs_upper() ** p)
    return most


def _softplus(x: arb) -> arb:
    return x + (-x).exp().log1p() if x > 0 else x.exp().log1p()


def _sigmoid(x: arb) -> arb:
    e = (-abs(x)).exp()  # which of a large number is 0, where flint's exponential would overflow
    sigmoid: arb = 1 / (1 + e) if x >= 0 else e / (1 + e) if x < 0 else 1 / (1 + (-x).exp())
    return sigmoid


def _log(x: arb) -> arb:
    return _LOWEST if x == 0 else x.log()  # flint gives no number for the logarithm of an exact 0


def _log1p(x: arb) -> arb:
    return _LOWEST if x == -1 else x.log1p()


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": abs,
    "exp": arb.exp,
    "expm1": arb.expm1,
    "log": _log,
    "log1p": _log1p,
    "sqrt": arb.sqrt,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda x, y: bool(x == y),
    "!=": lambda x, y: bool(x != y),
    "<": lambda x, y: bool(x < y),
    "<=": lambda x, y: bool(x <= y),
    ">": lambda x, y: bool(x > y),
    ">=": lambda x, y: bool(x >= y),
}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
