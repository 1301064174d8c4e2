"""Formula text to nodes: Python's grammar, read with `ast` through an allow-list. Nothing is ever executed."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass

from conformance.errors import FormulaError
from conformance.formula.node import Node, walk
from conformance.formula.syntax import assignments, fault_at, python_of

MAX_NODES = 500
MAX_DEPTH = 60
MAX_EXPONENT = 16
MAX_INTEGER = 2**53


@dataclass(frozen=True)
class Signature:
    """How a primitive is written: number of positional arguments, and the keywords that it takes."""

    arity: int
    over: bool = False
    over_required: bool = False
    where: bool = False
    keywords: tuple[str, ...] = ()


FUNCTIONS: Mapping[str, Signature] = {
    **{name: Signature(1) for name in ("abs", "exp", "expm1", "log", "log1p", "sqrt")},
    **{name: Signature(1) for name in ("sigmoid", "softplus", "stop_gradient", "size")},
    **{name: Signature(2) for name in ("maximum", "minimum", "xlogy", "xlog1py")},
    "where": Signature(3),
    "clip": Signature(3),
    "index": Signature(1),
    **{name: Signature(1, over=True) for name in ("sum", "mean", "max")},
    "logsumexp": Signature(1, over=True, over_required=True, where=True),
    "log_softmax": Signature(1, over=True, over_required=True),
    "norm": Signature(1, over=True, over_required=True, keywords=("p",)),
    "pick": Signature(2, over=True, over_required=True),
    "leading": Signature(1, over=True, over_required=True),
    "rename": Signature(3),
    "ctc_log_likelihood": Signature(4, over=True, over_required=True, keywords=("blank",)),
}
CONSTANTS = {"pi": math.pi, "inf": math.inf, "nan": math.nan}
BINARY: Mapping[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


class Builder:
    """Makes nodes, each expression once, so that a formula and its forms share what they have in common."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[object, ...], Node] = {}

    def node(
        self,
        op: str,
        *args: Node,
        value: int | float | str | None = None,
        over: tuple[str, ...] | None = None,
        where: Node | None = None,
        at: ast.AST | None = None,
    ) -> Node:
        """The node of this expression; the first one made, if it was made before."""
        key = (op, tuple(map(id, args)), repr(value), over, id(where))
        if key not in self._nodes:
            line, column = getattr(at, "lineno", 1), getattr(at, "col_offset", 0)
            self._nodes[key] = Node(op, args, value, over, where, line, column)
        return self._nodes[key]


def parse_expression(text: str, builder: Builder | None = None, scope: Mapping[str, Node] | None = None) -> Node:
    """The expression that `text` says; names found in `scope` stand for their nodes.

    Raises:
        FormulaError: with line and column in `text`.
    """
    tree = python_of(text, "eval")
    assert isinstance(tree, ast.Expression)
    root = _Reader(builder or Builder(), dict(scope or {}), text).read(tree.body)
    _check_size(root)
    return root


def parse_program(
    text: str, builder: Builder | None = None, replace: Mapping[str, str] | None = None
) -> dict[str, Node]:
    """The assigned names of `text`, each with its expression, in order.

    `replace` maps an assigned name to the text of another expression for it: a form of the formula. Names in that
    text mean what they mean where the assignment stands.

    Raises:
        FormulaError: with line and column in `text`.
    """
    builder = builder or Builder()
    left = dict(replace or {})
    reader = _Reader(builder, {}, text)
    for name, value, place in assignments(text):
        if name in FUNCTIONS or name in CONSTANTS:
            raise fault_at(f"{name!r} is a primitive and cannot be assigned", place)
        if name in reader.scope:
            raise fault_at(f"{name!r} is assigned twice", place)
        if name in left:
            reader.scope[name] = parse_expression(left.pop(name), builder, reader.scope)
        else:
            reader.scope[name] = reader.read(value)
        _check_size(reader.scope[name])
    if left:
        raise FormulaError(f"{next(iter(left))!r} is not assigned in the formula")
    if not reader.scope:
        raise FormulaError("the formula is empty")
    return reader.scope


def _check_size(root: Node) -> None:
    depth: dict[int, int] = {}
    for node in walk(root):
        depth[id(node)] = 1 + max((depth[id(child)] for child in node.children), default=0)
        if depth[id(node)] > MAX_DEPTH:
            raise FormulaError(f"nested deeper than {MAX_DEPTH}", node.line, node.column)
    if len(depth) > MAX_NODES:
        raise FormulaError(f"more than {MAX_NODES} operations", root.line, root.column)


class _Reader:
    """Turns Python's syntax tree into nodes; `scope` holds the names assigned so far."""

    def __init__(self, builder: Builder, scope: dict[str, Node], text: str) -> None:
        self.builder = builder
        self.scope = scope
        self.text = text

    def read(self, tree: ast.expr) -> Node:
        method = getattr(self, f"_{type(tree).__name__.lower()}", None)
        if method is None:
            raise fault_at(f"{_words(tree)} has no place in a formula", tree)
        try:
            node: Node = method(tree)
        except RecursionError:
            raise fault_at("nested too deeply", tree) from None
        return node

    def _constant(self, tree: ast.Constant) -> Node:
        value = tree.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise fault_at(f"{value!r} is not a number", tree)
        if isinstance(value, float) and not math.isfinite(value):
            raise fault_at("a number beyond float64", tree)
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise fault_at("an integer beyond 2**53", tree)
        return self.builder.node("const", value=value, at=tree)

    def _name(self, tree: ast.Name) -> Node:
        if tree.id in self.scope:
            return self.scope[tree.id]
        if tree.id in CONSTANTS:
            return self.builder.node("const", value=CONSTANTS[tree.id], at=tree)
        if tree.id in FUNCTIONS:
            raise fault_at(f"{tree.id!r} is a primitive: call it", tree)
        return self.builder.node("name", value=tree.id, at=tree)

    def _binop(self, tree: ast.BinOp) -> Node:
        op = BINARY.get(type(tree.op))
        if op is None:
            raise fault_at("of the binary operators, a formula knows + - * / **", tree)
        left, right = self.read(tree.left), self.read(tree.right)
        if op == "**":
            power = right.value if right.op == "const" else None
            if not isinstance(power, int) or not 0 <= power <= MAX_EXPONENT:
                raise fault_at(f"an exponent is an integer from 0 to {MAX_EXPONENT}", tree.right)
        return self.builder.node(op, left, right, at=tree)

    def _unaryop(self, tree: ast.UnaryOp) -> Node:
        operand = self.read(tree.operand)
        if isinstance(tree.op, ast.UAdd):
            return operand
        if isinstance(tree.op, ast.USub):
            if operand.op == "const" and isinstance(operand.value, int | float):
                return self.builder.node("const", value=-operand.value, at=tree)
            return self.builder.node("neg", operand, at=tree)
        if isinstance(tree.op, ast.Not):
            return self.builder.node("not", operand, at=tree)
        raise fault_at("of the unary operators, a formula knows + - not", tree)

    def _compare(self, tree: ast.Compare) -> Node:
        if any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in tree.comparators):
            return self._choice(tree)
        sides = [self.read(side) for side in (tree.left, *tree.comparators)]
        parts = []
        for operator, left, right in zip(tree.ops, sides, sides[1:], strict=False):
            if type(operator) not in COMPARE:
                raise fault_at("of the comparisons, a formula knows == != < <= > >=", tree)
            parts.append(self.builder.node(COMPARE[type(operator)], left, right, at=tree))
        return self._join("and", parts, tree)

    def _choice(self, tree: ast.Compare) -> Node:
        """A choice beside one of its values: NAME == 'VALUE'."""
        (operator, *more), text = tree.ops, tree.comparators[0]
        name = tree.left.id if isinstance(tree.left, ast.Name) else ""
        value = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
        if more or not name or not value or type(operator) not in {ast.Eq, ast.NotEq}:
            raise fault_at("a text stands in NAME == 'VALUE' and NAME != 'VALUE' only, for a choice", tree)
        node = self.builder.node("is", value=f"{name} {value}", at=tree)
        return node if isinstance(operator, ast.Eq) else self.builder.node("not", node, at=tree)

    def _boolop(self, tree: ast.BoolOp) -> Node:
        op = "and" if isinstance(tree.op, ast.And) else "or"
        return self._join(op, [self.read(part) for part in tree.values], tree)

    def _join(self, op: str, parts: list[Node], tree: ast.AST) -> Node:
        node = parts[0]
        for part in parts[1:]:
            node = self.builder.node(op, node, part, at=tree)
        return node

    def _call(self, tree: ast.Call) -> Node:
        if not isinstance(tree.func, ast.Name) or tree.func.id not in FUNCTIONS:
            there = ", ".join(sorted(FUNCTIONS))
            raise fault_at(f"{ast.unparse(tree.func)!r} is not a primitive; there are: {there}", tree)
        name, signature = tree.func.id, FUNCTIONS[tree.func.id]
        if len(tree.args) != signature.arity:
            raise fault_at(f"{name} takes {signature.arity} positional argument(s), not {len(tree.args)}", tree)
        if name == "index":
            return self.builder.node("index", over=_axes(tree.args[0]), at=tree)
        if name == "rename":
            axes = (*_axes(tree.args[1]), *_axes(tree.args[2]))
            if len(axes) != 2 or tree.keywords:
                raise fault_at("rename takes a term, an axis and its new name", tree)
            return self.builder.node("rename", self.read(tree.args[0]), over=axes, at=tree)
        args = [self.read(arg) for arg in tree.args]
        over, where = None, None
        for keyword in tree.keywords:
            if keyword.arg == "over" and signature.over and over is None:
                over = _axes(keyword.value)
            elif keyword.arg == "where" and signature.where and where is None:
                where = self.read(keyword.value)
            elif keyword.arg in signature.keywords and len(args) == signature.arity:
                args.append(self.read(keyword.value))
            else:
                raise fault_at(f"{name} takes no keyword {keyword.arg!r} here", tree)
        if signature.over_required and over is None:
            raise fault_at(f"{name} needs over=AXIS", tree)
        if len(args) < signature.arity + len(signature.keywords):
            raise fault_at(f"{name} needs {signature.keywords[0]}=", tree)
        if name == "clip":
            return self.builder.node("minimum", self.builder.node("maximum", *args[:2], at=tree), args[2], at=tree)
        return self.builder.node(name, *args, over=over, where=where, at=tree)


def _axes(tree: ast.expr) -> tuple[str, ...]:
    items = tree.elts if isinstance(tree, ast.Tuple) else [tree]
    names = [item.id for item in items if isinstance(item, ast.Name)]
    if not names or len(names) != len(items):
        raise fault_at("an axis is a name, or several in parentheses", tree)
    return tuple(names)


def _words(tree: ast.AST) -> str:
    return {"Attribute": "an attribute", "Subscript": "an index in brackets", "Lambda": "a lambda"}.get(
        type(tree).__name__, f"this ({type(tree).__name__})"
    )
