"""A dialect: how a framework writes what the generator says in neutral terms, such as `sum(x, axis)`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dialect:
    """A framework's words.

    Args:
        name: what `--as` calls it.
        imports: by the name that they bring, the lines that import it; those that a text uses are printed.
        array: the type of an array, as the documentation of arguments calls it.
        words: for each neutral call, a template: `{0}` is its first argument.
        helpers: neutral source of helper functions of its own; one of the common ones (`conformance.recipe.helpers`) is
            replaced by that of its name.
    """

    name: str
    imports: Mapping[str, str]
    array: str
    words: Mapping[str, str]
    helpers: Mapping[str, str] = field(default_factory=dict)

    def translate(self, tree: ast.AST) -> ast.AST:
        """The tree with every neutral call in this framework's words."""
        return _Translator({**PYTHON, **self.words}).visit(tree)  # type: ignore[no-any-return]


class _Translator(ast.NodeTransformer):
    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id not in self._words:
            return node
        texts = [ast.unparse(arg) for arg in node.args]
        # An argument stands alone, between commas, or is looked into: then it must hold together.
        held = [text if isinstance(arg, _ATOMS) else f"({text})" for arg, text in zip(node.args, texts, strict=True)]
        return ast.parse(self._words[node.func.id].format(*held), mode="eval").body

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """-(-x) is x."""
        inner = node.operand
        if isinstance(node.op, ast.USub) and isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.USub):
            return self.visit(inner.operand)  # type: ignore[no-any-return]
        return self.generic_visit(node)


# What is worked out before there are arrays is Python in every dialect, and what most dialects write as Python does.
PYTHON = {
    "abs_of": "abs({0})",
    "larger": "max({0}, {1})",
    "smaller": "min({0}, {1})",
    "flag": "{0}",
    "power": "{0} ** {1}",
    "divide": "{0} / {1}",
    "equal": "{0} == {1}",
    "unequal": "{0} != {1}",
}
_ATOMS = (ast.Name, ast.Call, ast.Subscript, ast.Attribute, ast.Constant)
