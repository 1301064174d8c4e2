"""What an expression may name, and whether its parts fit: conditions where conditions are due, axes that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from conformance.errors import FormulaError
from conformance.formula import Node, dims_of, parse_expression, parse_program
from conformance.formula.node import REDUCTIONS, walk
from conformance.spec.schema import close
from conformance.spec.source import Loc, Source

ALONG_ONE = {"index", "pick", "leading"}  # they look along exactly one axis, so never along a `D*`


@dataclass(frozen=True)
class Name:
    """What a name stands for: a number, or a condition, with the dims that it has."""

    dims: tuple[str, ...] = ()
    condition: bool = False


@dataclass(frozen=True)
class Names:
    """The names that an expression of one spec may use."""

    known: Mapping[str, Name]  # inputs, parameters, bare dims, and names that the formula assigns
    dims: Mapping[str, str]  # dim -> "fixed", "optional" or "star"
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of choices: all that is asked of them

    def plus(self, local: Mapping[str, Node]) -> Names:
        """These and the names that a formula assigns."""
        new = {name: Name(self.dims_of(node), self.is_condition(node)) for name, node in local.items()}
        return replace(self, known={**self.known, **new})

    def dims_of(self, node: Node) -> tuple[str, ...]:
        """The dims of an expression's result."""
        return dims_of(node, {name: item.dims for name, item in self.known.items()}, lambda axis: (axis,))

    def is_condition(self, node: Node) -> bool:
        """Whether an expression is true or false, not a number."""
        named = node.op == "name" and self.known.get(str(node.value), Name()).condition
        return node.is_boolean or named

    def faults(self, roots: Iterable[Node]) -> Iterator[FormulaError]:
        """Every fault of these expressions."""
        seen: set[int] = set()
        for root in roots:
            for node in walk(root):
                if id(node) not in seen:
                    seen.add(id(node))
                    yield from self._faults(node)

    def _faults(self, node: Node) -> Iterator[FormulaError]:
        if node.op == "name":
            yield from self._unknown(str(node.value), node)
        if node.op == "is":
            yield from self._not_a_choice(node)
        for k, child in enumerate(node.children):
            due = node.op in {"and", "or", "not", "leading"} or (node.op == "where" and k == 0) or k == len(node.args)
            if due != self.is_condition(child):
                has, wants = ("a number", "a condition") if due else ("a condition", "a number")
                yield FormulaError(f"{has} stands where {node.op!r} takes {wants}", child.line, child.column)
        if node.op == "norm" and node.args[1].op not in {"const", "name"}:
            yield FormulaError("norm takes a number or a parameter as p", node.line, node.column)
        for axis in node.over or ():
            yield from self._axis(axis, node)

    def _unknown(self, name: str, node: Node) -> Iterator[FormulaError]:
        if name in self.choices:
            yield FormulaError(f"{name!r} is a choice: it can be compared with its values only", node.line, node.column)
        elif name not in self.known:
            known = tuple(self.known)
            message = f"unknown name {name!r}{close(name, known)}; known: {', '.join(known)}"
            yield FormulaError(message, node.line, node.column)

    def _not_a_choice(self, node: Node) -> Iterator[FormulaError]:
        name, value = node.choice
        if name not in self.choices:
            hint = close(name, tuple(self.choices))
            yield FormulaError(f"{name!r} is no choice, and is compared with a text{hint}", node.line, node.column)
        elif value not in self.choices[name]:
            there = ", ".join(self.choices[name])
            yield FormulaError(f"{value!r} is none of the choices of {name!r}: {there}", node.line, node.column)

    def _looked_along(self, node: Node) -> set[str]:
        """The dims that a reduction may look along: its term's, and of a lattice's arguments any."""
        parts = node.args if node.op == "ctc_log_likelihood" else node.args[:1]
        return {dim for part in parts for dim in self.dims_of(part)}

    def _axis(self, axis: str, node: Node) -> Iterator[FormulaError]:
        if axis not in self.dims:
            message = f"unknown axis {axis!r}{close(axis, tuple(self.dims))}; known: {', '.join(self.dims)}"
            yield FormulaError(message, node.line, node.column)
        elif node.op in ALONG_ONE and (self.dims[axis] == "star" or len(node.over or ()) != 1):
            yield FormulaError(f"{node.op} looks along one axis, and {axis!r} may be several", node.line, node.column)
        elif node.op in REDUCTIONS | {"log_softmax"} and axis not in self._looked_along(node):
            yield FormulaError(f"{node.op} over {axis!r} of what has no such axis", node.line, node.column)


def check_expression(source: Source, loc: Loc, text: str, names: Names, *, condition: bool = False) -> bool:
    """Whether the expression at `loc` can be used; if not, its faults are noted."""
    try:
        root = parse_expression(text)  # by a builder of its own, so that each node has its own place
    except FormulaError as error:
        source.note(loc, error)
        return False
    faults = list(names.faults([root]))
    if not faults and condition != names.is_condition(root):
        faults = [FormulaError(f"{'a condition' if condition else 'a number'} is due here", root.line, root.column)]
    for fault in faults:
        source.note(loc, fault)
    return not faults


def check_program(source: Source, loc: Loc, text: str, names: Names) -> Mapping[str, Node]:
    """The names that the formula at `loc` assigns, none where it cannot be read; its faults are noted."""
    try:
        local = parse_program(text)
    except FormulaError as error:
        source.note(loc, error)
        return {}
    for fault in names.faults(local.values()):
        source.note(loc, fault)
    for k, line in enumerate(text.splitlines(), 1):
        name = line.partition("=")[0].strip()
        if name in local and (name in names.known or name in names.choices):
            source.note(loc, FormulaError(f"{name!r} is taken: an input, parameter or dim has this name", k))
    if "loss" not in local:
        source.note(loc, FormulaError("the formula does not assign 'loss'"))
        return {}
    return local
