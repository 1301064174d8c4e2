"""What the nodes of a formula are: numbers of Python or arrays, of integers or of floats, and with which dims."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.formula import Node, dims_of
from conformance.formula.node import walk
from conformance.spec.model import Spec


class Kinds:
    """Of all nodes of some trees: `static` holds the ids of those that are numbers of Python, `whole` of arrays of
    integers; `raw` names the inputs that are also looked up in their own shapes."""

    def __init__(self, spec: Spec, roots: Sequence[Node]) -> None:
        self.spec = spec
        self.every = tuple(walk(Node("roots", tuple(roots))))[:-1]
        self.static = {id(node) for node in self.every if self._is_static(node)}
        self.whole = self._integers()
        self.raw = self._looked_up_raw()

    def dims(self, node: Node) -> frozenset[str]:
        """The dims of an expression's result."""
        shapes = {name: item.shape for name, item in self.spec.inputs.items()}
        return frozenset(dims_of(node, shapes, lambda dim: (dim,)))

    def reaches(self, node: Node) -> bool:
        """Whether the roots need a node."""
        return any(item is node for item in self.every)

    def is_static(self, node: Node) -> bool:
        """Whether a node is a number of Python, worked out before there are arrays."""
        return id(node) in self.static

    def first_axis(self, node: Node, frame: Sequence[str]) -> int:
        """The first axis of the frame that an expression's array has."""
        found = len(frame)
        for item in walk(node):
            if item.op in {"name", "index", "rename"} and not (item.op == "name" and item.value in self.raw):
                dims = item.over if item.op != "name" else self.dims(item)
                found = min([found, *(frame.index(dim) for dim in dims or () if dim in frame)])
            elif item.op == "ctc_log_likelihood":
                found = min([found, *(frame.index(dim) for dim in self.dims(item))])
        return found

    def _is_static(self, node: Node) -> bool:
        """Whether a node is a number of Python. Its children are known."""
        return not any(
            item.op == "name" and item.value in self.spec.inputs for item in _arrays_below(node)
        ) and not any(item.op == "index" for item in _arrays_below(node))

    def _integers(self) -> set[int]:
        """The ids of the nodes that are arrays of integers."""
        found: set[int] = set()
        for node in self.every:
            if node.op == "name" and node.value in self.spec.inputs:
                whole = self.spec.inputs[str(node.value)].dtype == "int"
            elif node.op in {"+", "-", "*", "maximum", "minimum", "where"}:
                parts = node.args[1:] if node.op == "where" else node.args
                whole = all(id(arg) in found or is_whole_number(arg) for arg in parts)
            else:
                whole = node.op == "index" or (
                    node.op in {"neg", "abs", "sum", "max", "pick", "rename"} and id(node.args[0]) in found
                )
            if whole:
                found.add(id(node))
        return found

    def _looked_up_raw(self) -> set[str]:
        """The inputs that are also looked up in their own shapes: by the lattice, or as a table of the classes."""
        looking = {"ctc_log_likelihood": 4, "pick": 1}
        looked = (
            arg for node in self.every for arg in node.args[: looking.get(node.op, 0)] if self.is_table(node, arg)
        )
        return {str(arg.value) for arg in looked}

    def is_table(self, node: Node, arg: Node) -> bool:
        """Whether a lattice or `pick` takes an input as it is: as a table with a number for each class."""
        item = self.spec.inputs.get(str(arg.value)) if arg.op == "name" else None
        return item is not None and (node.op != "pick" or item.shape == node.over)

    def dims_used(self) -> set[str]:
        """The dims of all that is computed, the lattice's own apart."""
        inner = {id(arg) for node in self.every if node.op == "ctc_log_likelihood" for arg in node.args}
        outer = {id(arg) for node in self.every if node.op != "ctc_log_likelihood" for arg in node.children}
        return {dim for node in self.every if id(node) not in inner - outer for dim in self.dims(node)}


def _arrays_below(node: Node) -> list[Node]:
    """The nodes that a node's value depends on, sizes apart: a size is a number of Python."""
    found, stack = [], [node]
    while stack:
        item = stack.pop()
        if item.op != "size":
            found.append(item)
            stack.extend(item.children)
    return found


def is_whole_number(node: Node) -> bool:
    """Whether a node is a literal integer."""
    return node.op == "const" and isinstance(node.value, int)
