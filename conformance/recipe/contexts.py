"""Where a number matters, and where its gradient must be cut off.

Autodiff knows no structural zeros. Where `where` does not take a branch, it sends a 0 back into it, and 0 times an
infinite slope is NaN. So what flows into a branch is replaced, where the branch is not taken, by a harmless number:
`where` passes a NaN from there on to nobody (the "double where"). This module says at which edges of the tree that has
to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from conformance.formula import Node
from conformance.formula.derivatives import RULES
from conformance.formula.node import REDUCTIONS, walk

Literal = tuple[Node, bool]  # a condition, and whether it holds
Context = frozenset[Literal]
CLEAN = {"+", "-", "neg", "where", "pick", "sum", "mean", "rename", "maximum", "minimum"}  # their slopes are finite
ELSEWHERE = REDUCTIONS | {"rename", "log_softmax", "leading"}  # they look at all of an axis


class Contexts:
    """For each node of some trees, the conditions without which nothing looks at it, nor at its arguments: of what a
    node gathers from other places along an axis, a condition along that axis says nothing.

    Args:
        roots: the trees.
        static: the ids of nodes that are numbers of Python, known before anything is computed.
        whole: the ids of nodes that are finite, whatever the data: integers.
        differentiable: the names of the inputs that gradients go to.
        dims: the dims of a node's result.
    """

    def __init__(
        self,
        roots: Sequence[Node],
        static: Collection[int],
        whole: Collection[int],
        differentiable: Collection[str],
        dims: Callable[[Node], frozenset[str]],
    ) -> None:
        self._static, self._whole, self._dims = static, whole, dims
        self._every = tuple(walk(Node("roots", tuple(roots))))[:-1]
        self._carries: set[int] = set()
        for node in self._every:
            if (node.op == "name" and node.value in differentiable) or (
                node.op in RULES and any(id(arg) in self._carries for arg in node.args)
            ):
                self._carries.add(id(node))
        self._context: dict[int, Context] = {id(root): frozenset() for root in roots}
        self._live = {id(root) for root in roots}  # where a gradient comes back to
        self._tainted: dict[int, Context] = {}  # of these, where one does not hold, NaN may come back
        for node in reversed(self._every):
            self._spread(node)

    def _spread(self, node: Node) -> None:
        for child, added in self._edges(node):
            context = frozenset(item for item in self._of(node) | added if not self._mixes(child, item[0]))
            before = self._context.get(id(child), context)
            self._context[id(child)] = frozenset() if child.op == "name" else before & context
        for child, _ in self._edges(node):
            if id(child) in self._carries and id(node) in self._carries & self._live:
                self._live.add(id(child))
                self._tainted[id(child)] = self._tainted.get(id(child), frozenset()) | self._sent(node, child)

    def _mixes(self, node: Node, condition: Node) -> bool:
        """Whether a node looks at places of its arguments other than the one that the condition speaks of."""
        if node.op in ELSEWHERE:
            dims = self._dims(condition)
            return bool(dims if node.over is None else dims & set(node.over))
        return False

    def _of(self, node: Node) -> Context:
        return self._context.get(id(node), frozenset())

    def _edges(self, node: Node) -> Iterator[tuple[Node, Context]]:
        if node.op == "where" and id(node.args[0]) not in self._static:
            condition, then, other = node.args
            yield condition, frozenset()
            yield then, frozenset({(condition, True)})
            yield other, frozenset({(condition, False)})
        else:
            yield from ((child, frozenset()) for child in node.children)

    def _sent(self, node: Node, child: Node) -> Context:
        """The conditions of `node` which, where they do not hold, may make what it sends back to `child` NaN."""
        tainted = self._tainted.get(id(node), frozenset()) & self._of(node)
        return self._of(node) if self._is_steep(node, child) else tainted

    def _is_steep(self, node: Node, child: Node) -> bool:
        """Whether the derivative of `node` by `child` may be infinite or NaN."""
        if node.op == "*":
            return (
                any(not self._is_finite(other) for other in node.args if other is not child)
                or node.args[0] is child is node.args[1]
            )
        if node.op == "/":
            return child is node.args[1] or not self._is_finite(node.args[1])
        if node.op == "**":
            return int(node.args[1].value or 0) > 1
        return node.op not in CLEAN

    def _is_finite(self, node: Node) -> bool:
        return id(node) in self._static or id(node) in self._whole

    def cut(self, node: Node, child: Node) -> tuple[Literal, ...]:
        """The conditions where one of which does not hold, `node` must not see `child`: in the order of the text."""
        if not {id(node), id(child)} <= self._carries & self._live:
            return ()
        found: Context = frozenset()
        for other, added in self._edges(node):
            if other is child:
                found |= ((self._of(node) | added) - self._of(child)) & self._sent(node, child)
        order = {id(item): k for k, item in enumerate(self._every)}
        return tuple(sorted(found, key=lambda literal: order[id(literal[0])]))
