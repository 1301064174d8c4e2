"""Nodes of an expression tree: immutable, shared where equal, with the place in the text where each began."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}


@dataclass(frozen=True, eq=False)
class Node:
    """An expression. Two nodes of one `Builder` are the same object exactly where they are the same expression.

    `op` is "const", "name" or a primitive; `value` is a const's number, a name's text, or the "NAME VALUE" of a choice
    that is compared with one of its values; `over` names the axes of a reduction (None: all of them); `where` is the
    condition of a masked reduction.
    """

    op: str
    args: tuple[Node, ...] = ()
    value: int | float | str | None = None
    over: tuple[str, ...] | None = None
    where: Node | None = None
    line: int = 1
    column: int = 0

    @property
    def children(self) -> tuple[Node, ...]:
        """Every node this one needs."""
        return self.args if self.where is None else (*self.args, self.where)

    @property
    def choice(self) -> tuple[str, str]:
        """The name of a choice that is compared, and the value that it is compared with."""
        name, _, value = str(self.value).partition(" ")
        return name, value

    @property
    def is_boolean(self) -> bool:
        """Whether this is a condition by its form (a bare name may be one too)."""
        return self.op in COMPARISONS or self.op in {"and", "or", "not", "leading", "is"}

    @cached_property
    def order(self) -> tuple[Node, ...]:
        """`walk`, worked out once: a tree is evaluated thousands of times."""
        return tuple(_walk(self))


def walk(root: Node) -> Iterator[Node]:
    """Every node below `root` and itself, once each, children first."""
    return iter(root.order)


def _walk(root: Node) -> Iterator[Node]:
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in node.children)


def names_in(root: Node) -> set[str]:
    """The names of inputs, parameters and axes that an expression uses."""
    return {str(node.value) for node in walk(root) if node.op == "name"}


def dims_of(
    root: Node, dims: Mapping[str, tuple[str, ...]], expand: Callable[[str], tuple[str, ...]]
) -> tuple[str, ...]:
    """The axes of an expression's result, in no particular order.

    `dims` gives the axes of each name (none: a number), `expand` the axes that an `over=` name stands for.
    """
    return tuple(sorted(dims_within(root, dims, expand)[id(root)]))


def dims_within(
    root: Node, dims: Mapping[str, tuple[str, ...]], expand: Callable[[str], tuple[str, ...]]
) -> dict[int, frozenset[str]]:
    """The same of every node of an expression, by its `id`."""
    known: dict[int, frozenset[str]] = {}
    for node in walk(root):
        below = frozenset().union(*(known[id(child)] for child in node.children)) if node.children else frozenset()
        if node.op == "name":
            below = frozenset(dims.get(str(node.value), ()))
        elif node.op == "index":
            below = frozenset(axis for name in node.over or () for axis in expand(name))
        elif node.op == "rename":
            old, new = (expand(name) for name in node.over or ())
            below = (below - set(old)) | set(new)
        elif node.op == "ctc_log_likelihood":
            below = frozenset(expand((node.over or ("", ""))[1]))  # over=(time, batch, class, label): the batch is left
        elif node.op == "size" or (node.op in REDUCTIONS and node.over is None):
            below = frozenset()
        elif node.op in REDUCTIONS:
            below = below - {axis for name in node.over or () for axis in expand(name)}
        known[id(node)] = below
    return known


REDUCTIONS = {"sum", "mean", "max", "logsumexp", "norm", "pick", "ctc_log_likelihood"}
