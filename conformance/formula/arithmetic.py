"""What an arithmetic must offer so that a formula and its gradient can be evaluated in it.

There is one tree and one tape; binary128 with error bounds, a dtype's own numbers and interval balls are arithmetics.
Arrays have full rank: axis 0 is the case within a stack, then one axis for each axis of the layout, of size 1 where
the expression does not have it. So broadcasting and reducing need no bookkeeping.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Data = Any  # an arithmetic's own array
Axes = tuple[int, ...]


@dataclass(frozen=True)
class Cond:
    """A condition, elementwise.

    `open` marks where its sides lie within their own error of each other in the dtype, so that either may hold;
    `unsure` where even the reference cannot tell.
    """

    true: Mask
    open: Mask | None = None
    unsure: Mask | None = None

    def negated(self) -> Cond:
        """Where this does not hold."""
        return Cond(~self.true, self.open, self.unsure)

    @property
    def possible(self) -> Mask:
        """Where it holds or may hold."""
        return either_mask(self.true, self.open, self.unsure)

    def joined(self, other: Cond, *, every: bool) -> Cond:
        """`and` (every) or `or` of two conditions."""
        true = self.true & other.true if every else self.true | other.true
        pairs = ((self.open, other.open), (self.unsure, other.unsure))
        return Cond(true, *(_join(self.true, a, other.true, b, every) for a, b in pairs))


def either_mask(true: Mask, *others: Mask | None) -> Mask:
    """Where any of the masks holds."""
    for other in others:
        if other is not None:
            true = true | other
    return true


def _join(p: Mask, p_loose: Mask | None, q: Mask, q_loose: Mask | None, every: bool) -> Mask | None:
    """Where `p and q` (or `p or q`) may go either way, if p and q may where they are loose."""
    if p_loose is None and q_loose is None:
        return None
    none = np.zeros((), bool)
    (a, x), (b, y) = (p, none if p_loose is None else p_loose), (q, none if q_loose is None else q_loose)
    low, high = (a & ~x, a | x), (b & ~y, b | y)
    if every:
        return (low[1] & high[1]) & ~(low[0] & high[0])
    return (low[1] | high[1]) & ~(low[0] | high[0])


class Arithmetic(Protocol):
    """Numbers of one kind. `x`, `y`, `g` are its arrays; a method returns a new one."""

    def constant(self, value: float, *, exact: bool = True) -> Data:
        """A number, of size 1 on every axis; `exact=False`: a parameter, which the dtype may have to round."""

    def shape(self, x: Data) -> tuple[int, ...]:
        """Its full-rank shape."""

    def broadcast(self, x: Data, shape: tuple[int, ...]) -> Data:
        """`x` repeated to `shape`."""

    def add(self, x: Data, y: Data) -> Data:
        """x + y."""

    def sub(self, x: Data, y: Data) -> Data:
        """x − y."""

    def mul(self, x: Data, y: Data) -> Data:
        """x · y."""

    def div(self, x: Data, y: Data) -> Data:
        """x / y."""

    def neg(self, x: Data) -> Data:
        """−x."""

    def power(self, x: Data, k: int) -> Data:
        """x to the k-th, k ≥ 2."""

    def unary(self, name: str, x: Data) -> Data:
        """abs, exp, expm1, log, log1p, sqrt, sigmoid or softplus."""

    def sign(self, x: Data) -> Data:
        """The derivative of abs: at 0, any number from −1 to 1."""

    def extreme(self, name: str, x: Data, y: Data) -> Data:
        """maximum or minimum."""

    def compare(self, op: str, x: Data, y: Data) -> Cond:
        """A comparison, open where errors leave it so."""

    def tie(self, x: Data, y: Data) -> Cond:
        """x ≥ y for a kink: open where the two are equal, too."""

    def top(self, x: Data, axes: Axes) -> Cond:
        """Where x is its maximum over `axes`; open where several are."""

    def select(self, mask: Mask, x: Data, y: Data) -> Data:
        """x where `mask`, y elsewhere: a choice that is certain."""

    def choose(self, cond: Cond, x: Data, y: Data) -> Data:
        """The value of `where`."""

    def gate(self, cond: Cond, g: Data) -> Data:
        """An adjoint: g where `cond`, 0 elsewhere; where open, anything between."""

    def sum(self, x: Data, axes: Axes) -> Data:
        """The sum over `axes`, which stay with size 1."""

    def max(self, x: Data, axes: Axes) -> Data:
        """The maximum over `axes`."""

    def logsumexp(self, x: Data, axes: Axes, mask: Mask | None) -> Data:
        """log Σ exp x over `axes` where `mask`; −inf over nothing."""

    def softmax(self, x: Data, axes: Axes, mask: Mask | None) -> Data:
        """exp x / Σ exp x over `axes`, 0 where not `mask`."""

    def log_softmax(self, x: Data, axes: Axes) -> Data:
        """x − logsumexp x."""

    def shed(self, x: Data, parts: int) -> Data:
        """x, a sum of so many parts at most, of which an implementation loses what lies below the normal numbers."""

    def norm(self, x: Data, p: float, axes: Axes) -> Data:
        """The p-norm over `axes`, p ≥ 1."""

    def norm_gradient(self, x: Data, norm: Data, p: float, axes: Axes) -> Data:
        """The gradient of the p-norm; at 0, anything in the dual norm's unit ball."""

    def gather(self, x: Data, index: Data, axis: int) -> Data:
        """x at `index` along `axis`; an index outside picks anything."""

    def index(self, axis: int, size: int) -> Data:
        """0 … size−1 along `axis`."""

    def with_rank(self, rank: int) -> Arithmetic:
        """The same arithmetic for arrays of another rank."""

    def whole(self, array: NDArray[np.int64]) -> Data:
        """Integers as numbers of this kind."""

    def integers(self, x: Data) -> NDArray[np.int64]:
        """The integers that x holds."""

    def restructure(self, x: Data, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Data:
        """x with its elements moved, dropped or repeated, as `move` does with an array of x's shape."""

    def join(self, parts: Sequence[Data], axis: int) -> Data:
        """The parts one behind the other along `axis`."""
