"""The words of neutral Python, of which a body is made, and how they are put into a tree."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping

from conformance.recipe.axes import expression

OPERATORS: Mapping[str, type[ast.operator]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "**": ast.Pow}
COMPARE: Mapping[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}
EQUALITIES = {"==": "equal", "!=": "unequal"}  # of floats
SAME = {"exp", "expm1", "log", "log1p", "sqrt", "softplus", "abs", "stop_gradient"}
OVER = {"sum", "mean", "max"}
HELPED = {"sigmoid", "xlogy", "xlog1py", "logsumexp", "norm", "ctc_log_likelihood"}
IN_PYTHON = {"abs": "abs_of", "maximum": "larger", "minimum": "smaller"}
HARMLESS = 1  # what a branch sees where it is not taken: neither 1/x nor log x is infinite there


def call(name: str, *args: ast.expr) -> ast.Call:
    """A call of neutral Python."""
    return ast.Call(ast.Name(name), list(args), [])


def constant(value: int | float | str | None) -> ast.expr:
    """The expression for a number, or a text."""
    for text, known in {"math.inf": math.inf, "-math.inf": -math.inf, "math.pi": math.pi}.items():
        if value == known:
            return expression(text)
    return expression("math.nan") if value != value else ast.Constant(value)


def trailing(tree: ast.expr, number: str) -> ast.expr:
    """An array with an axis of size 1 for each one behind its last in the frame; `number` is where that last one is,
    counted from the end."""
    if number == "-1":
        return tree
    if number.lstrip("-").isdigit():
        return ast.Subscript(tree, expression(f"(..., {', '.join(['None'] * (-1 - int(number)))})"))
    shape = f"*{tree.id}.shape" if isinstance(tree, ast.Name) else "-1"
    return call("reshape", tree, expression(f"({shape}, *[1] * (-1 - {number}))"))
