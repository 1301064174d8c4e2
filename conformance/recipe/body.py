"""A formula's tree as lines of neutral Python, `sum(x, axis)` and the like, which a dialect says in its own words."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence

from conformance.formula import Node
from conformance.formula.node import COMPARISONS
from conformance.recipe.arguments import behind, wider
from conformance.recipe.axes import Axes, Unprintable, expression
from conformance.recipe.contexts import Contexts, Literal
from conformance.recipe.kinds import Kinds, is_whole_number
from conformance.recipe.neutral import (
    COMPARE,
    EQUALITIES,
    HARMLESS,
    HELPED,
    IN_PYTHON,
    OPERATORS,
    OVER,
    SAME,
    call,
    constant,
)
from conformance.spec.model import Spec


class Body:
    """The lines of a function's body.

    Args:
        spec: whose formula.
        names: the names that the formula assigns, with their nodes.
        roots: what is to be computed: the losses under each reduction, and conditions for inputs to be valid.
    """

    def __init__(self, spec: Spec, names: Mapping[str, Node], roots: Sequence[Node]) -> None:
        self.spec = spec
        self.lines: list[str] = []
        self._names = {id(node): name for name, node in reversed(list(names.items()))}
        self.kinds = Kinds(spec, roots)
        self.axes = Axes(spec, self.kinds.dims_used())
        self._contexts = Contexts(roots, self.kinds.static, self.kinds.whole, spec.differentiable, self.kinds.dims)
        self._bound: dict[object, str] = {}
        self._taken: set[str] = {*spec.inputs, *spec.params, *names}

    # statements

    def value(self, node: Node) -> ast.expr:
        """The expression for a node; lines for what it needs go before it."""
        if id(node) in self._names and node.op not in {"name", "const"}:
            return ast.Name(self._bind(id(node), self._names[id(node)], lambda: self._expression(node)))
        return self._expression(node)

    def say(self, name: str, tree: ast.expr) -> None:
        """Adds a line `name = tree`."""
        self.lines.append(f"{name} = {ast.unparse(tree)}")

    def _bind(self, key: object, wanted: str, tree: Callable[[], ast.expr]) -> str:
        """The variable that holds something, with a line for it the first time."""
        if key not in self._bound:
            made = tree()
            name = wanted if isinstance(key, int) else self.fresh(wanted)
            self.say(name, made)
            self._bound[key] = name
        return self._bound[key]

    def fresh(self, wanted: str) -> str:
        """A name that nothing has yet."""
        name, k = wanted, 2
        while name in self._taken:
            name, k = f"{wanted}_{k}", k + 1
        self._taken.add(name)
        return name

    def _of(self, node: Node, child: Node) -> ast.expr:
        """What `node` sees of `child`: cut off from it where the branch that both are in is not taken."""
        literals = self._contexts.cut(node, child)
        if not literals:
            return self.value(child)

        def chosen() -> ast.expr:
            return call("where", self._all_of(literals), self.value(child), ast.Constant(HARMLESS))

        name = str(child.value) if child.op == "name" else self._names.get(id(child))
        if name is None:
            return chosen()
        taken = "_and_".join(("" if holds else "not_") + self._condition(c) for c, holds in literals)
        key = (id(child), tuple((id(c), holds) for c, holds in literals))
        return ast.Name(self._bind(key, f"{name}_if_{taken}", chosen))

    def _condition(self, node: Node) -> str:
        """The variable of a condition."""
        if node.op == "name":
            return str(node.value)
        if id(node) in self._names:
            tree = self.value(node)
            assert isinstance(tree, ast.Name)
            return tree.id
        return self._bind(("condition", id(node)), "taken", lambda: self._expression(node))

    def _all_of(self, literals: Sequence[Literal]) -> ast.expr:
        parts: list[ast.expr] = [
            ast.Name(self._condition(c)) if holds else ast.UnaryOp(ast.Invert(), ast.Name(self._condition(c)))
            for c, holds in literals
        ]
        found = parts[0]
        for part in parts[1:]:
            found = ast.BinOp(found, ast.BitAnd(), part)
        return found

    # expressions

    def _expression(self, node: Node) -> ast.expr:
        if ("condition", id(node)) in self._bound:
            return ast.Name(self._bound["condition", id(node)])
        if node.op == "const":
            return constant(node.value)
        if node.op == "name":
            return self._name(str(node.value))
        if node.op == "size":
            return self._size(node.args[0])
        if id(node) in self.kinds.static:
            return self._python(node)
        return self._array(node)

    def _name(self, name: str) -> ast.expr:
        if name in self.spec.dims:
            return expression(self.axes.size(name))
        return self._framed(name) if name in self.spec.inputs else ast.Name(name)

    def _size(self, of: Node) -> ast.expr:
        if of.op == "name" and of.value in self.spec.dims:
            return expression(self.axes.size(str(of.value)))
        return call("size", self.value(of))

    def _python(self, node: Node) -> ast.expr:
        """A number that is worked out before there are arrays."""
        args = [self.value(arg) for arg in node.args]
        if node.op in OPERATORS:
            return ast.BinOp(args[0], OPERATORS[node.op](), args[1])
        if node.op in COMPARE:
            return ast.Compare(args[0], [COMPARE[node.op]()], [args[1]])
        if node.op == "is":
            name, choice = node.choice
            return ast.Compare(ast.Name(name), [ast.Eq()], [ast.Constant(choice)])
        if node.op in {"and", "or"}:
            return ast.BoolOp(ast.And() if node.op == "and" else ast.Or(), args)
        if node.op in {"neg", "not"}:
            return ast.UnaryOp(ast.USub() if node.op == "neg" else ast.Not(), args[0])
        if node.op == "where":
            return ast.IfExp(args[0], args[1], args[2])
        if node.op in IN_PYTHON:
            return call(IN_PYTHON[node.op], *args)
        if hasattr(math, node.op):
            return ast.Call(expression(f"math.{node.op}"), args, [])
        raise Unprintable(f"{node.op} of parameters alone")

    def _array(self, node: Node) -> ast.expr:
        op = node.op
        if op == "where" and id(node.args[0]) in self.kinds.static:
            condition, *branches = node.args
            then, other = (self._as_array(branch, node) for branch in branches)
            return ast.IfExp(self.value(condition), then, other)
        if op == "index":
            return self._index(node)
        if op == "pick":
            return self._pick(node)
        if op in HELPED:
            return self._helped(node)
        args = [self._of(node, arg) for arg in reversed(node.args)]  # what names a condition, before the condition
        args.reverse()
        if op in {"and", "or"}:
            flags = [
                call("flag", arg) if self.kinds.is_static(of) else arg for of, arg in zip(node.args, args, strict=True)
            ]
            return ast.BinOp(flags[0], ast.BitAnd() if op == "and" else ast.BitOr(), flags[1])
        if op == "not":
            return ast.UnaryOp(ast.Invert(), args[0])
        if op == "neg":
            return ast.UnaryOp(ast.USub(), args[0])
        if op in SAME:
            return call(op, *args)
        if op in OVER:
            return call(f"{op}_all", *args) if node.over is None else call(op, *args, self._over(node))
        if op == "log_softmax":
            return call(op, *args, self._over(node))
        if op == "rename":
            first, second = (expression(self.axes.number(dim, self.axes.frame)) for dim in node.over or ())
            return call("swap", *args, first, second)
        if op == "leading":
            return ast.Compare(
                call("count_true", ast.UnaryOp(ast.Invert(), args[0]), self._over(node)), [ast.Eq()], [ast.Constant(0)]
            )
        return self._matched(node, args)

    def _as_array(self, branch: Node, node: Node) -> ast.expr:
        """A branch of a choice that is made in Python: a number has the dtype of the other branch, an array."""
        if id(branch) not in self.kinds.static or id(node) in self.kinds.whole:
            return self.value(branch)
        return call("full", ast.Tuple([]), self.value(branch), self._like)

    @property
    def _like(self) -> ast.expr:
        """An input of floats."""
        return ast.Name(next(name for name, item in self.spec.inputs.items() if item.dtype == "float"))

    def _matched(self, node: Node, args: list[ast.expr]) -> ast.expr:
        """An operation whose arguments have to be numbers of one kind."""
        if node.op == "/" and node.args[1].op == "norm" and node.args[1].args[0] is node.args[0]:
            return self._unit(node)
        values = list(node.args)
        arrays = [id(value) not in self.kinds.static for value in values]
        whole = [id(value) in self.kinds.whole for value in values]
        first = 1 if node.op == "where" else 0
        is_mixed = any(a and not w for a, w in zip(arrays[first:], whole[first:], strict=True)) or node.op == "/"
        if is_mixed:
            args = [call("like", arg, self._like) if w else arg for arg, w in zip(args, whole, strict=True)]
        if node.op == "where":
            if not any(arrays[1:]) and not all(map(is_whole_number, values[1:])):
                args[1] = call("full", ast.Tuple([]), args[1], self._like)
            return call("where", *args)
        if node.op in {"maximum", "minimum"}:
            return call(node.op, *(args if arrays[0] else args[::-1]))  # a number of Python comes last
        if node.op in EQUALITIES and is_mixed:
            return call(EQUALITIES[node.op], *args)
        if node.op in COMPARISONS:
            return ast.Compare(args[0], [COMPARE[node.op]()], [args[1]])
        if node.op == "**" or (node.op == "/" and arrays[1]):
            return call("power" if node.op == "**" else "divide", *args)
        return ast.BinOp(args[0], OPERATORS[node.op](), args[1])

    def _helped(self, node: Node) -> ast.expr:
        name = f"_{node.op}"
        if node.op == "ctc_log_likelihood":
            found = call(name, *(ast.Name(str(arg.value)) for arg in node.args[:4]), self.value(node.args[4]))
            batch = (node.over or ("", ""))[1]
            return behind(self.axes, found, batch)
        if node.op == "norm":
            return call(name, self._of(node, node.args[0]), self.value(node.args[1]), self._over(node))
        if node.op != "logsumexp":
            return call(name, *(self._of(node, arg) for arg in node.args))
        x, less = node.args[0], None
        over = set(node.over or ())
        if x.op == "-" and id(x) not in self._names and not over & self.kinds.dims(x.args[1]):
            less, x, node_ = self._of(x, x.args[1]), x.args[0], x
        else:
            node_ = node
        found = call(name, self._of(node_, x), self._over(node))
        if node.where is not None:
            found.args.append(self.value(node.where))
        if less is not None:
            found.keywords.append(ast.keyword("less", less))
        return found

    def _unit(self, node: Node) -> ast.expr:
        """A vector over its norm, together: apart, the quotient of a short vector overflows before it is projected."""
        norm = node.args[1]
        return call("_unit", self._of(node, node.args[0]), self.value(norm.args[1]), self._over(norm))

    def _pick(self, node: Node) -> ast.expr:
        x, index = node.args
        (dim,) = node.over or ("",)
        bounds = ast.Constant(0), expression(f"{self.axes.size(dim)} - 1")
        places = call("clip", self.value(index), *bounds)
        if self.kinds.is_table(node, x):
            return call("take", ast.Name(str(x.value)), places)
        return call("gather", self._of(node, x), places, self._over(node))

    def _over(self, node: Node) -> ast.expr:
        return expression(self.axes.numbers(node.over or ()))

    def _index(self, node: Node) -> ast.expr:
        (dim,) = node.over or ("",)
        like = ast.Name(self.axes.anchor.name)

        def tree() -> ast.expr:
            line = call("arange", expression(self.axes.size(dim)), like)
            return behind(self.axes, line, dim)

        return ast.Name(self._bind(("index", dim), f"{dim.lower()}_index", tree))

    # the axes of arguments

    def _framed(self, name: str) -> ast.expr:
        """An input with the axes of the frame: those that it lacks behind its first one are added."""
        item, frame = self.spec.inputs[name], list(self.axes.frame)
        places = [frame.index(dim) for dim in item.shape if dim in frame]
        if places != sorted(places) or len(places) < len(item.shape):
            raise Unprintable(f"the axes of {name} are not in the order of the dims")
        missing = [k for k in range(places[0], len(frame)) if k not in places] if places else []
        if not missing:
            return ast.Name(name)
        if ("framed", name) not in self._bound:
            wanted = self.fresh(f"{name}_wide") if name in self.kinds.raw | self.axes.holders else name
            self.say(wanted, wider(self.axes, name, places, missing))
            self._bound["framed", name] = wanted
        return ast.Name(self._bound["framed", name])
