"""The values of a tree's nodes, forward: what each operation of the language comes to in a tape's arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from conformance.formula.algebra import Term
from conformance.formula.arithmetic import Axes
from conformance.formula.node import REDUCTIONS, Node

if TYPE_CHECKING:
    from conformance.formula.tape import Tape

_REDUCE = REDUCTIONS | {"log_softmax", "index", "size", "rename"}


def value_of(tape: Tape, node: Node) -> Term:
    """The value of a node that is an operation on numbers."""
    return _reduce(tape, node) if node.op in _REDUCE else _elementwise(tape, node)


def _reduce(tape: Tape, node: Node) -> Term:
    o, a = tape.algebra, tape.algebra.arithmetic
    if node.op == "index":
        return tape.index(node)
    if node.op == "size":
        axis = tape.is_axis(node.args[0])
        shape = (tape.size_of(str(node.args[0].value)),) if axis else o.shape(tape.term(node.args[0]))[1:]
        return o.constant(float(np.prod(shape, dtype=np.int64)))
    if node.op == "ctc_log_likelihood":
        lattice, frame = tape.lattice(node)
        return Term(frame.from_batch(a, lattice.log_likelihood))
    x = tape.term(node.args[0])
    axes = tape.axes(node)
    if node.op == "rename":
        return _renamed(tape, x, axes)
    if node.op == "sum":
        return o.sum(x, axes)
    if node.op == "mean":
        return o.div(o.sum(x, axes), o.constant(float(tape.count(node))))
    if node.op == "pick":
        return Term(a.gather(x.data, tape.term(node.args[1]).data, axes[0]))
    if node.op == "norm":
        return Term(a.norm(x.data, tape.number(node.args[1]), axes))
    if node.op == "logsumexp":
        return Term(a.logsumexp(x.data, axes, tape.mask(node)))
    return Term(a.log_softmax(x.data, axes) if node.op == "log_softmax" else a.max(x.data, axes))


def _renamed(tape: Tape, x: Term, axes: Axes) -> Term:
    """A term with the first of two axes in the place of the second, which it does not have."""
    zero = None if x.zero is None else x.zero.swapaxes(*axes)
    return Term(tape.algebra.arithmetic.restructure(x.data, lambda array: array.swapaxes(*axes)), zero)


def _elementwise(tape: Tape, node: Node) -> Term:
    o = tape.algebra
    if node.op == "where":
        return o.where(tape.cond(node.args[0]), tape.term(node.args[1]), tape.term(node.args[2]))
    args = [tape.term(arg) for arg in node.args]
    match node.op:
        case "+":
            return o.add(*args)
        case "-":
            return o.sub(*args)
        case "*":
            return o.mul(*args)
        case "/":
            return Term(o.arithmetic.div(args[0].data, args[1].data))  # 0/0 has no value, whatever the 0 came from
        case "**":
            return o.power(args[0], int(node.args[1].value or 0))
        case "neg":
            return o.neg(args[0])
        case "maximum" | "minimum":
            return o.extreme(node.op, *args)
        case "xlogy" | "xlog1py":
            zero = o.arithmetic.compare("==", args[0].data, o.constant(0).data)
            product = o.mul(args[0], o.unary("log1p" if node.op == "xlog1py" else "log", args[1]))
            return o.where(zero, o.constant(0), product)
        case "stop_gradient":
            return args[0]
        case _:
            return o.unary(node.op, args[0])
