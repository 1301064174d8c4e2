"""Evaluation of a tree in an arithmetic, forward and in reverse. Each node is computed once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from conformance.formula.algebra import Algebra, Term
from conformance.formula.arithmetic import Arithmetic, Axes, Cond, Data, Mask
from conformance.formula.ctc import Frame, Lattice, lattice_of
from conformance.formula.derivatives import RULES
from conformance.formula.forward import value_of
from conformance.formula.node import COMPARISONS, Node, walk

Number = int | float | bool


class Tape:
    """The values of a tree's nodes for one stack of cases.

    Args:
        arithmetic: the numbers to compute with.
        layout: the axes of the cases with their sizes; array axis i + 1 is the i-th of them.
        inputs: the arrays of the inputs, of full rank.
        numbers: parameters, as Python numbers; booleans are conditions, and texts what a choice is compared with.
        expand: the axes that an axis name in a formula stands for (`D` for all of `D*`).
        joints: pairs of nodes (their ids) whose comparison chooses between branches that meet smoothly: there is no
            choice to make, so nothing is open.
        beyond: "open" or "unsure", to take the other branch of joints where that may be the right one.

    `joined` holds "open" and "unsure" where a joint that was met is that somewhere.
    """

    def __init__(
        self,
        arithmetic: Arithmetic,
        layout: Mapping[str, int],
        inputs: Mapping[str, Term],
        numbers: Mapping[str, Number | str],
        expand: Callable[[str], Sequence[str]],
        joints: frozenset[tuple[int, int]] = frozenset(),
        beyond: str = "",
    ) -> None:
        self.algebra: Algebra = Algebra(arithmetic, len(layout) + 1)
        self._layout = layout
        self._position = {axis: i + 1 for i, axis in enumerate(layout)}
        self._inputs = inputs
        self._numbers = numbers
        self._expand = expand
        self._joints = joints
        self._beyond = beyond
        self.joined: set[str] = set()
        self._values: dict[int, Term | Cond] = {}
        self._lattices: dict[int, tuple[Lattice, Frame]] = {}
        self._slopes: dict[int, Term] = {}
        self._active: frozenset[int] = frozenset()
        self._keep: list[Node] = []  # ids stay unique while the nodes live

    def term(self, node: Node) -> Term:
        """The value of a node that is a number."""
        value = self._value(node)
        if isinstance(value, Cond):
            raise TypeError(f"{node.op} is a condition where a number is due")
        return value

    def cond(self, node: Node) -> Cond:
        """The value of a node that is a condition."""
        value = self._value(node)
        if isinstance(value, Term):
            raise TypeError(f"{node.op} is a number where a condition is due")
        return value

    def mask(self, node: Node) -> Mask | None:
        """Where a masked reduction looks, at the full shape of what it reduces; None: everywhere."""
        if node.where is None:
            return None
        cond = self.cond(node.where).true
        return np.broadcast_to(cond, np.broadcast_shapes(cond.shape, self.algebra.shape(self.term(node.args[0]))))

    def number(self, node: Node) -> float:
        """A parameter or constant as a Python number."""
        value = self._numbers[str(node.value)] if node.op == "name" else node.value
        assert isinstance(value, int | float)
        return float(value)

    def axes(self, node: Node) -> Axes:
        """The array axes that a node's `over` names; all of them where it names none."""
        if node.over is None:
            return tuple(self._position.values())
        return tuple(self._position[axis] for name in node.over for axis in self._expand(name))

    def count(self, node: Node) -> int:
        """How many numbers a reduction reduces to one."""
        shape = self.algebra.shape(self.term(node.args[0]))
        return int(np.prod([shape[axis] for axis in self.axes(node)], dtype=np.int64))

    def is_active(self, node: Node) -> bool:
        """Whether the gradient goes through this node."""
        return id(node) in self._active

    def assume(self, node: Node, value: Term) -> None:
        """Takes `value` for a node, instead of computing it."""
        self._keep.append(node)
        self._values[id(node)] = value

    def gradients(self, root: Node, wrt: Sequence[str], cotangent: Term | None = None) -> dict[str, Term]:
        """The gradient of the sum of `root`, or of `root` times `cotangent`, by each input in `wrt`, in the input's own
        shape."""
        order = list(walk(root))
        self._keep.append(root)
        self._active = _depends_on(order, wrt)
        adjoints: dict[int, Term] = {}
        if self.is_active(root):
            seed = self.algebra.constant(1) if cotangent is None else cotangent
            adjoints[id(root)] = self.algebra.broadcast(seed, self.algebra.shape(self.term(root)))
        found: dict[str, Term] = {}
        for node in reversed(order):
            g = adjoints.pop(id(node), None)
            if g is None:
                continue
            if node.op == "name":
                found[str(node.value)] = self.algebra.broadcast(g, self.algebra.shape(self.term(node)))
            else:
                self._pass_on(node, g, adjoints)
        return {name: found[name] if name in found else self._nothing(name) for name in wrt}

    def slope(self, node: Node, compute: Callable[[], Term]) -> Term:
        """What the adjoint of a node is multiplied by, whichever gradient it is of: computed once."""
        if id(node) not in self._slopes:
            self._slopes[id(node)] = compute()
        return self._slopes[id(node)]

    def only(self, arithmetic: Arithmetic, data: Callable[[Data], Data], mask: Callable[[Mask], Mask]) -> Tape:
        """The tape of some of the cases, in an arithmetic for them, with all that is computed so far; `data` and `mask`
        give an array's part."""

        def term(whole: Term) -> Term:
            return Term(data(whole.data), None if whole.zero is None else mask(whole.zero))

        def cond(whole: Cond) -> Cond:
            sides = (whole.open, whole.unsure)
            return Cond(mask(whole.true), *(None if side is None else mask(side) for side in sides))

        some = copy.copy(self)
        some.algebra = Algebra(arithmetic, self.algebra.rank)
        some._inputs = {name: term(whole) for name, whole in self._inputs.items()}
        some._values = {k: term(x) if isinstance(x, Term) else cond(x) for k, x in self._values.items()}
        some._slopes = {k: term(whole) for k, whole in self._slopes.items()}
        some._lattices, some._keep, some.joined = {}, [*self._keep], {*self.joined}
        return some

    def _nothing(self, name: str) -> Term:
        zero = self.algebra.constant(0)
        return self.algebra.broadcast(zero, self.algebra.shape(self._inputs[name]))

    def _pass_on(self, node: Node, g: Term, adjoints: dict[int, Term]) -> None:
        z = self.term(node)
        g = self.algebra.broadcast(g, self.algebra.shape(z))
        for child, part in zip(node.args, RULES[node.op](self, node, g, z), strict=True):
            if part is None or not self.is_active(child):
                continue
            part = self._to_shape_of(child, part)
            before = adjoints.get(id(child))
            adjoints[id(child)] = part if before is None else self.algebra.add(before, part)

    def _to_shape_of(self, child: Node, part: Term) -> Term:
        shape = self.algebra.shape(self.term(child))
        return self.algebra.broadcast(self.algebra.sum_to(part, shape), shape)

    def _value(self, root: Node) -> Term | Cond:
        if id(root) not in self._values:
            self._keep.append(root)
            for node in walk(root):
                if id(node) not in self._values:
                    self._values[id(node)] = self._compute(node)
        return self._values[id(root)]

    def _compute(self, node: Node) -> Term | Cond:
        if node.op == "const":
            return self.algebra.constant(float(node.value or 0))
        if node.op == "name":
            return self._name(str(node.value))
        if node.op == "is":
            name, choice = node.choice
            return self._everywhere(self._numbers.get(name) == choice)
        if node.op in COMPARISONS:
            x, y = (self.term(arg).data for arg in node.args)
            cond = self.algebra.arithmetic.compare(node.op, x, y)
            first, second = map(id, node.args)
            return self._joint(cond) if {(first, second), (second, first)} & self._joints else cond
        if node.op == "leading":
            (axis,) = self.axes(node)
            return Cond(np.logical_and.accumulate(self.cond(node.args[0]).true, axis=axis))
        if node.op == "not":
            return self.cond(node.args[0]).negated()
        if node.op in {"and", "or"}:
            return self.cond(node.args[0]).joined(self.cond(node.args[1]), every=node.op == "and")
        return value_of(self, node)

    def _joint(self, cond: Cond) -> Cond:
        loose = {side: mask for side in ("open", "unsure") if (mask := getattr(cond, side)) is not None}
        self.joined |= loose.keys()
        return Cond(cond.true ^ loose[self._beyond] if self._beyond in loose else cond.true)

    def _name(self, name: str) -> Term | Cond:
        if name in self._inputs:
            return self._inputs[name]
        if name in self._numbers:
            value = self._numbers[name]
            if isinstance(value, bool):
                return self._everywhere(value)
            assert not isinstance(value, str)
            return self.algebra.constant(value, exact=False)
        return self.algebra.constant(float(self.size_of(name)))

    def _everywhere(self, holds: bool) -> Cond:
        return Cond(np.full((1,) * self.algebra.rank, holds))

    def size_of(self, name: str) -> int:
        """The number of positions along an axis name of the formula."""
        return int(np.prod([self._layout[axis] for axis in self._expand(name)], dtype=np.int64))

    def is_axis(self, node: Node) -> bool:
        """Whether a node is the bare name of an axis."""
        return node.op == "name" and str(node.value) not in self._inputs and str(node.value) not in self._numbers

    def index(self, node: Node) -> Term:
        """0, 1, … along the node's axis."""
        (axis,) = self.axes(node)
        return Term(self.algebra.arithmetic.index(axis, list(self._layout.values())[axis - 1]))

    def axes_named(self, name: str) -> Axes:
        """The array axes that one axis name stands for; none where the cases lack it."""
        return tuple(self._position[axis] for axis in self._expand(name))

    def lattice(self, node: Node) -> tuple[Lattice, Frame]:
        """The lattice of a ctc node, built once, and how its arrays lie in the tape's."""
        if id(node) not in self._lattices:
            self._lattices[id(node)] = lattice_of(self, node)
        return self._lattices[id(node)]


def _depends_on(order: Sequence[Node], wrt: Sequence[str]) -> frozenset[int]:
    active: set[int] = set()
    for node in order:
        if (node.op == "name" and node.value in wrt) or (node.op in RULES and any(id(a) in active for a in node.args)):
            active.add(id(node))
    return frozenset(active)
