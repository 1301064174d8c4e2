"""Formula text to Python's syntax tree, within bounds, and the statements it is made of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from conformance.errors import FormulaError

MAX_TEXT = 5_000


class Statement(NamedTuple):
    """A statement `name = expression` of a text, and where in it the expression begins (line from 1, column from 0)."""

    name: str
    text: str
    line: int
    column: int


def statements(text: str) -> list[Statement]:
    """The statements of a text, whose expressions are not looked into.

    Raises:
        FormulaError: with line and column in `text`.
    """
    found = []
    for name, _, statement in assignments(text):
        # From behind the sign on: the expression's own place would leave out parentheses around the whole of it.
        head, sign, rest = (ast.get_source_segment(text, statement) or "").partition("=")
        expression = rest.lstrip(" ")
        column = statement.col_offset + len(head + sign) + len(rest) - len(expression)
        found.append(Statement(name, expression, statement.lineno, column))
    return found


def assignments(text: str) -> Iterator[tuple[str, ast.expr, ast.stmt]]:
    """The assigned names of a text, each with its expression and its statement.

    Raises:
        FormulaError: it holds something else.
    """
    tree = python_of(text, "exec")
    assert isinstance(tree, ast.Module)
    for statement in tree.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name):
            raise fault_at("a statement of a formula is an assignment: name = expression", statement)
        yield target.id, statement.value, statement


def python_of(text: str, mode: str) -> ast.AST:
    """Python's syntax tree of a text, for `ast.parse`'s mode.

    Raises:
        FormulaError: it is too long, or no Python.
    """
    if len(text) > MAX_TEXT:
        raise FormulaError(f"a formula has at most {MAX_TEXT} characters, this one has {len(text)}")
    source = text.strip() if mode == "eval" else text
    try:
        return ast.parse(source, mode=mode)
    except SyntaxError as error:
        line, column = error.lineno or 1, max((error.offset or 1) - 1, 0)
        raise FormulaError(f"not an expression: {error.msg}", line, column) from None
    except (ValueError, RecursionError, MemoryError):
        raise FormulaError("not an expression: nested too deeply, or holding a null character") from None


def fault_at(message: str, at: ast.AST) -> FormulaError:
    """The error that says `message` of a place in the text."""
    return FormulaError(message, getattr(at, "lineno", 1), getattr(at, "col_offset", 0))
