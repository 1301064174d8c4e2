"""The rules of reverse differentiation, in the formula language's own terms.

Each rule gives the adjoints of a node's arguments from the adjoint `g` of its result `z`. Every adjoint is computed in
the arithmetic of the tape, so its error is analysed like any other number's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from conformance.formula.algebra import Term
from conformance.formula.arithmetic import Cond
from conformance.formula.node import Node

if TYPE_CHECKING:
    from conformance.formula.tape import Tape

Rule = Callable[["Tape", Node, Term, Term], tuple[Term | None, ...]]


def _quotient(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    o, y = tape.algebra, tape.term(node.args[1])
    left = o.div(g, y)
    return left, (o.neg(o.mul(left, z)) if tape.is_active(node.args[1]) else None)


def _product(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    o, (x, y) = tape.algebra, node.args
    return tuple(o.mul(g, tape.term(b)) if tape.is_active(a) else None for a, b in ((x, y), (y, x)))


def _power(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    o, x, k = tape.algebra, tape.term(node.args[0]), int(node.args[1].value or 0)
    if k == 0:
        return (None, None)
    return o.mul(g, o.mul(o.constant(k), o.power(x, k - 1))) if k > 1 else g, None


def _xlogy(shift: float) -> Rule:
    def rule(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
        o, x, y = tape.algebra, tape.term(node.args[0]), tape.term(node.args[1])
        log = o.unary("log1p" if shift else "log", y)
        below = o.add(y, o.constant(shift))
        present = tape.algebra.arithmetic.compare("!=", x.data, o.constant(0).data)
        return o.mul(g, log), o.div(o.gate(present, o.mul(g, x)), below)

    return rule


def _gates(tape: Tape, args: Sequence[Node], first: Cond, g: Term) -> tuple[Term | None, ...]:
    """g for the first of two arguments where the condition holds, for the second where it does not."""
    conds = (first, first.negated())
    return tuple(tape.algebra.gate(c, g) if tape.is_active(a) else None for c, a in zip(conds, args, strict=True))


def _where(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    cond = tape.cond(node.args[0])
    return (None, *_gates(tape, node.args[1:], cond, g))


def _extreme(order: int) -> Rule:
    """maximum (1) goes with its first argument where that is not below the other, minimum (-1) where not above."""

    def rule(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
        x, y = (tape.term(arg).data for arg in node.args[::order])
        first = tape.algebra.arithmetic.tie(x, y)
        return _gates(tape, node.args, first, g)

    return rule


def _max(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    x = tape.term(node.args[0]).data
    top = tape.algebra.arithmetic.top(x, tape.axes(node))
    return (tape.algebra.gate(top, tape.algebra.broadcast(g, tape.algebra.arithmetic.shape(x))),)


def _logsumexp(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    o, axes, x = tape.algebra, tape.axes(node), node.args[0]
    # softmax(x - c) is softmax(x) for a c that does not vary along the axis, and x has lost nothing to the difference
    if x.op == "-" and all(o.shape(tape.term(x.args[1]))[axis] == 1 for axis in axes):
        x = x.args[0]
    shape = o.shape(tape.term(node.args[0]))
    return (o.mul(g, tape.slope(node, lambda: o.softmax(o.broadcast(tape.term(x), shape), axes, tape.mask(node)))),)


def _log_softmax(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    o, axes, x = tape.algebra, tape.axes(node), tape.term(node.args[0])

    def shares() -> Term:
        a, p = o.arithmetic, o.softmax(x, axes, None)
        # Where all are -inf the shares are 0/0, as the value is; softmax itself calls them 0, for sums over nothing.
        nothing = a.compare("==", a.max(x.data, axes), a.constant(-math.inf)).true
        return Term(a.select(nothing, a.constant(math.nan), p.data)) if nothing.any() else p

    return (o.sub(g, o.mul(tape.slope(node, shares), o.sum(g, axes))),)


def _pick(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    o, (axis,) = tape.algebra, tape.axes(node)
    place = o.arithmetic.index(axis, o.shape(tape.term(node.args[0]))[axis])
    return o.gate(o.arithmetic.compare("==", place, tape.term(node.args[1]).data), g), None


def _mean(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    o = tape.algebra
    return (o.div(g, o.constant(float(tape.count(node)))),)


def _norm(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    o, x = tape.algebra, tape.term(node.args[0])
    p, axes = tape.number(node.args[1]), tape.axes(node)
    return o.mul(g, tape.slope(node, lambda: Term(o.arithmetic.norm_gradient(x.data, z.data, p, axes)))), None


def _unary(factor: Callable[[Tape, Term, Term], Term]) -> Rule:
    """The rule g · factor(x, z)."""

    def rule(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
        return (tape.algebra.mul(g, tape.slope(node, lambda: factor(tape, tape.term(node.args[0]), z))),)

    return rule


def _log1p(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    o = tape.algebra
    return (o.div(g, o.add(o.constant(1), tape.term(node.args[0]))),)


def _sigmoid_slope(tape: Tape, x: Term, z: Term) -> Term:
    return tape.algebra.mul(z, tape.algebra.unary("sigmoid", tape.algebra.neg(x)))


def _ctc(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    lattice, frame = tape.lattice(node)
    counts = tape.slope(node, lambda: Term(frame.from_frames(tape.algebra.arithmetic, lattice.gradient())))
    return tape.algebra.mul(g, counts), None, None, None, None


def _rename(tape: Tape, node: Node, g: Term, z: Term) -> tuple[Term | None, ...]:
    first, second = tape.axes(node)
    moved = tape.algebra.arithmetic.restructure(g.data, lambda array: array.swapaxes(first, second))
    return (Term(moved, None if g.zero is None else g.zero.swapaxes(first, second)),)


# A primitive without a rule passes no gradient on: stop_gradient, size, index and the conditions.
RULES: Mapping[str, Rule] = {
    "ctc_log_likelihood": _ctc,
    "rename": _rename,
    "+": lambda tape, node, g, z: (g, g),
    "-": lambda tape, node, g, z: (g, tape.algebra.neg(g)),
    "neg": lambda tape, node, g, z: (tape.algebra.neg(g),),
    "*": _product,
    "/": _quotient,
    "**": _power,
    "abs": _unary(lambda tape, x, z: tape.algebra.sign(x)),
    "exp": _unary(lambda tape, x, z: z),
    "expm1": _unary(lambda tape, x, z: tape.algebra.unary("exp", x)),
    "log": lambda tape, node, g, z: (tape.algebra.div(g, tape.term(node.args[0])),),
    "log1p": _log1p,
    "sqrt": lambda tape, node, g, z: (tape.algebra.div(g, tape.algebra.mul(tape.algebra.constant(2), z)),),
    "sigmoid": _unary(_sigmoid_slope),
    "softplus": _unary(lambda tape, x, z: tape.algebra.unary("sigmoid", x)),
    "xlogy": _xlogy(0.0),
    "xlog1py": _xlogy(1.0),
    "where": _where,
    "maximum": _extreme(1),
    "minimum": _extreme(-1),
    "sum": lambda tape, node, g, z: (g,),
    "mean": _mean,
    "max": _max,
    "logsumexp": _logsumexp,
    "log_softmax": _log_softmax,
    "norm": _norm,
    "pick": _pick,
}
