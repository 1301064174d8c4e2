"""Constant expressions: their value, rounded once to float64.

They are evaluated in `arb` balls at growing precision until both ends of the ball round to the same float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from flint import arb, ctx

from conformance.errors import FormulaError
from conformance.formula import Node, parse_expression
from conformance.formula.node import walk

Number = int | float

START_BITS = 200
MAX_BITS = 6400


def number(value: object) -> Number:
    """The number that a YAML value says: itself, or the value of its expression (`"log(2)"`, `-inf`, `"1/3"`).

    Raises:
        FormulaError: where it is none, or names something.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise FormulaError("a number is due, or an expression for one")
    if isinstance(value, int) and abs(value) > 2**63:
        raise FormulaError("an integer beyond 64 bits")
    return evaluate_constant(parse_expression(value)) if isinstance(value, str) else value


def evaluate_constant(root: Node, names: Mapping[str, Number] | None = None) -> Number:
    """The float64 nearest to the expression's value; an integer literal stays one. `names` are taken as exact.

    Raises:
        FormulaError: not a number, or not decided at 6,400 bits (an exact zero that arises by cancellation).
    """
    if root.op == "const" and isinstance(root.value, int | float):
        return root.value
    value = _certain(root, names or {}, lambda ball: _rounded(ball))
    if not isinstance(value, float):
        raise FormulaError("a condition where a number is due", root.line, root.column)
    return value


def holds(root: Node, names: Mapping[str, Number | bool]) -> bool:
    """Whether the condition is true of these values.

    Raises:
        FormulaError: not a condition, or not decided at 6,400 bits.
    """
    value = _certain(root, names, lambda _: None)
    if not isinstance(value, bool):
        raise FormulaError("a number where a condition is due", root.line, root.column)
    return value


def _certain(
    root: Node, names: Mapping[str, Number | bool], settle: Callable[[Any], float | None]
) -> float | bool | None:
    before, bits = ctx.prec, START_BITS
    try:
        while bits <= MAX_BITS:
            ctx.prec = bits
            value = _evaluate(root, names)
            if isinstance(value, bool):
                return value
            found = settle(value) if value is not None else None
            if found is not None:
                return found
            bits *= 2
    finally:
        ctx.prec = before
    raise FormulaError(f"not decided at {MAX_BITS} bits", root.line, root.column)


def _rounded(ball: Any) -> float | None:
    """The float64 that the whole ball rounds to; None: it rounds to several."""
    if isinstance(ball, float):
        return ball
    low, high = _nearest(ball.lower()), _nearest(ball.upper())
    return low if low == high else None


def _nearest(exact: Any) -> float:
    if not exact.is_finite():
        return math.nan
    for sign in (1, -1):
        if sign * exact > arb(2) ** 1100:
            return sign * math.inf
    if abs(exact) < arb(2) ** -1200:
        return 0.0
    mantissa, exponent = exact.man_exp()
    try:
        return float(Fraction(int(mantissa)) * Fraction(2) ** int(exponent))
    except OverflowError:
        return math.copysign(math.inf, int(mantissa))


def _evaluate(root: Node, names: Mapping[str, Number | bool]) -> Any:
    """A ball, a float (an infinity or NaN, which balls do not hold), a bool, or None (undecided)."""
    done: dict[int, Any] = {}
    for node in walk(root):
        args = [done[id(arg)] for arg in node.args]
        done[id(node)] = _apply(node, args, names)
    return done[id(root)]


def _apply(node: Node, args: list[Any], names: Mapping[str, Number | bool]) -> Any:
    if node.op == "const":
        return _ball(node.value)
    if node.op == "name":
        if str(node.value) not in names:
            raise FormulaError(f"{node.value!r} is not known here: this must be a constant", node.line, node.column)
        return _ball(names[str(node.value)])
    if node.op == "where":
        return None if args[0] is None else args[1] if args[0] else args[2]
    if node.op in {"and", "or"}:
        return _logic(node.op == "or", args)
    if any(arg is None for arg in args):
        return None
    if node.op == "not":
        return not args[0]
    if node.op in _COMPARE:
        return _compare(node.op, *args)
    if node.op not in _OPERATIONS or node.where is not None:
        raise FormulaError(f"{node.op!r} has no place in a constant", node.line, node.column)
    if any(isinstance(arg, float) for arg in args):
        raise FormulaError("an infinity or NaN stands alone in a constant", node.line, node.column)
    if node.op == "**":
        return args[0] ** int(node.args[1].value or 0)
    return _OPERATIONS[node.op](*args)


def _ball(value: object) -> Any:
    if isinstance(value, bool):
        return value
    assert isinstance(value, int | float)
    return value if isinstance(value, float) and not math.isfinite(value) else arb(value)


def _logic(absorbing: bool, args: list[Any]) -> bool | None:
    if any(arg is absorbing for arg in args):
        return absorbing
    return None if any(arg is None for arg in args) else not absorbing


_COMPARE = {"==", "!=", "<", "<=", ">", ">="}


def _compare(op: str, x: Any, y: Any) -> bool | None:
    if isinstance(x, float) or isinstance(y, float):
        return _compare_special(op, x, y)
    if op in {"!=", ">", ">="}:
        inverse = _compare({"!=": "==", ">": "<=", ">=": "<"}[op], x, y)
        return None if inverse is None else not inverse
    sure = {"==": bool(x == y), "<": bool(x < y), "<=": bool(x <= y)}[op]
    never = {"==": not x.overlaps(y), "<": bool(x >= y), "<=": bool(x > y)}[op]
    return True if sure else False if never else None


def _compare_special(op: str, x: Any, y: Any) -> bool:
    """IEEE's answer; a finite ball counts as 0 beside an infinity."""
    a, b = (side if isinstance(side, float) else 0.0 for side in (x, y))
    return {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


_OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: None,
    "neg": lambda x: -x,
    "abs": abs,
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.expm1(),
    "log": lambda x: x.log(),
    "log1p": lambda x: x.log1p(),
    "sqrt": lambda x: x.sqrt(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "softplus": lambda x: x.exp().log1p(),
    "maximum": lambda x, y: x.max(y),
    "minimum": lambda x, y: x.min(y),
}
