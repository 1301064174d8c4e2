"""Terms: an arithmetic's arrays with their structural zeros, which times anything are 0.

A branch that `where` does not take contributes a structural zero to the gradient; so 0·∞ never arises from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conformance.formula.arithmetic import Arithmetic, Axes, Cond, Data, Mask


@dataclass(frozen=True)
class Term:
    """An array, and where it is zero by structure (None: nowhere)."""

    data: Data
    zero: Mask | None = None


class Algebra:
    """The arithmetic's operations on terms; derivatives are written in them."""

    def __init__(self, arithmetic: Arithmetic, rank: int) -> None:
        self.arithmetic = arithmetic
        self.rank = rank  # of every array: 1 for the case, 1 for each axis
        self._zero = arithmetic.constant(0)

    def constant(self, value: float, *, exact: bool = True) -> Term:
        """A number; a literal 0 is a structural zero."""
        zero = np.ones((1,) * self.rank, bool) if exact and value == 0 else None
        return Term(self.arithmetic.constant(value, exact=exact), zero)

    def shape(self, x: Term) -> tuple[int, ...]:
        """The full-rank shape."""
        return self.arithmetic.shape(x.data)

    def add(self, x: Term, y: Term) -> Term:
        """x + y; a term that is zero throughout leaves the other as it is."""
        for one, other in ((x, y), (y, x)):
            if one.zero is not None and one.zero.all() and self._covers(other, one):
                return other
        both = None if x.zero is None or y.zero is None else x.zero & y.zero
        data = self._kept(y, x.data, self._kept(x, y.data, self.arithmetic.add(x.data, y.data)))
        return Term(data, both)

    def _kept(self, one: Term, other: Data, result: Data) -> Data:
        """`result`, or the other operand, unrounded, where `one` is a structural zero."""
        return result if one.zero is None else self.arithmetic.select(one.zero, other, result)

    def sub(self, x: Term, y: Term) -> Term:
        """x − y."""
        if y.zero is not None and y.zero.all() and self._covers(x, y):
            return x
        return Term(self._kept(y, x.data, self.arithmetic.sub(x.data, y.data)))

    def _covers(self, x: Term, y: Term) -> bool:
        shape = self.shape(x)
        return np.broadcast_shapes(shape, self.shape(y)) == shape

    def neg(self, x: Term) -> Term:
        """−x."""
        return Term(self.arithmetic.neg(x.data), x.zero)

    def mul(self, x: Term, y: Term) -> Term:
        """x · y, 0 where either is a structural zero."""
        zero = x.zero if y.zero is None else y.zero if x.zero is None else x.zero | y.zero
        return self._zeroed(self.arithmetic.mul(x.data, y.data), zero)

    def div(self, x: Term, y: Term) -> Term:
        """An adjoint x / y, 0 where x is a structural zero."""
        return self._zeroed(self.arithmetic.div(x.data, y.data), x.zero)

    def _zeroed(self, data: Data, zero: Mask | None) -> Term:
        return Term(data) if zero is None else Term(self.arithmetic.select(zero, self._zero, data), zero)

    def power(self, x: Term, k: int) -> Term:
        """x to the k-th."""
        if k == 0:
            return self.constant(1)
        return x if k == 1 else Term(self.arithmetic.power(x.data, k), x.zero)

    def unary(self, name: str, x: Term) -> Term:
        """A function of one number."""
        return Term(self.arithmetic.unary(name, x.data), x.zero if name in {"abs", "sqrt", "expm1", "log1p"} else None)

    def sign(self, x: Term) -> Term:
        """The derivative of abs."""
        return Term(self.arithmetic.sign(x.data))

    def extreme(self, name: str, x: Term, y: Term) -> Term:
        """maximum or minimum."""
        return Term(self.arithmetic.extreme(name, x.data, y.data))

    def where(self, cond: Cond, x: Term, y: Term) -> Term:
        """The branch that `cond` takes."""
        data = self.arithmetic.choose(cond, x.data, y.data)
        if x.zero is None and y.zero is None:
            return Term(data)
        none = np.zeros((1,) * self.rank, bool)
        zero = np.where(cond.true, none if x.zero is None else x.zero, none if y.zero is None else y.zero)
        doubt = cond.possible & cond.negated().possible
        return Term(data, zero & ~doubt)

    def gate(self, cond: Cond, g: Term) -> Term:
        """The adjoint g where `cond` holds, a structural zero elsewhere."""
        closed = ~cond.possible
        zero = closed if g.zero is None else closed | g.zero
        return Term(self.arithmetic.gate(cond, g.data), zero)

    def sum(self, x: Term, axes: Axes) -> Term:
        """The sum over `axes`."""
        zero: Mask | None = x.zero
        if zero is not None:
            zero = np.all(np.broadcast_to(zero, self.shape(x)), axis=axes, keepdims=True)
        return Term(self.arithmetic.sum(x.data, axes), zero)

    def sum_to(self, x: Term, shape: tuple[int, ...]) -> Term:
        """x summed over the axes on which `shape` has 1: the adjoint of broadcasting."""
        sizes = enumerate(zip(self.shape(x), shape, strict=True))
        axes = tuple(i for i, (have, want) in sizes if want == 1 and have != 1)
        return self.sum(x, axes) if axes else x

    def broadcast(self, x: Term, shape: tuple[int, ...]) -> Term:
        """x repeated to `shape`."""
        return x if self.shape(x) == shape else Term(self.arithmetic.broadcast(x.data, shape), x.zero)

    def softmax(self, x: Term, axes: Axes, mask: Mask | None) -> Term:
        """Softmax over `axes`, a structural zero where not `mask`."""
        return Term(self.arithmetic.softmax(x.data, axes, mask), None if mask is None else ~mask)
