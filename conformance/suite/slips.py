"""Slips that adapters make, and which of them explains wrong answers: the formula with the slip gives the same numbers.

An explanation is a hint for the author of an adapter; no verdict rests on it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import plain_answers
from conformance.cases.case import DTYPES, Stack
from conformance.formula.node import Node, walk
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers, half_ulp
from conformance.spec.model import Spec

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Change = Callable[[Node], Node]
# What people add to keep a denominator or a logarithm's argument from 0.
EPSILONS = (*(10.0**-k for k in range(3, 17)), *(2.0**-k for k in (7, 10, 23, 24, 52, 53)), 1e-30, 1e-38)
FACTORS = {
    "-1": -1.0,
    "1/2": 0.5,
    "2": 2.0,
    "0": 0.0,
    "1/ln 2 (a logarithm to base 2)": 1 / math.log(2),
    "ln 2": math.log(2),
}
MOST = 0.9  # of the wrong cases that an explanation has to account for …
NEARLY_ALL = 0.99  # … and of the right ones, which it must leave right


@dataclass(frozen=True)
class Slip:
    """A mistake: `spec` computes it, from the stack that `asked` makes of the one given, times `factor`; `names` says
    which two inputs' gradients are given out as each other's."""

    text: str
    spec: Spec
    asked: Callable[[Stack], Stack] = lambda stack: stack
    factor: Callable[[Stack], float] = lambda stack: 1.0
    names: tuple[str, str] = ("", "")

    def answer(self, stack: Stack, output: str) -> Array:
        """What comes of it for an output of a stack: "value", or the input whose gradient it is."""
        one, other = self.names
        name = {one: other, other: one}.get(output, output)
        wrt = () if name == "value" else (name,)
        return np.asarray(self.factor(stack) * plain_answers(self.spec, self.asked(stack), wrt)[name])


@dataclass(frozen=True)
class Seen:
    """An output of a stack as an adapter gave it: the answers, what is wanted, how near another must come to be the
    same, and which cases are wrong."""

    stack: Stack
    answer: Array
    wanted: Array
    near: Array
    wrong: Mask

    @staticmethod
    def of(stack: Stack, numbers: Numbers, answer: Array, wrong: Mask) -> Seen:
        """`numbers`: the reference's; `wrong`: whether each case is."""
        fmt = FORMATS[stack.dtype]
        answer = answer.astype(np.float64)
        with np.errstate(all="ignore"):
            near = 4 * np.nan_to_num(numbers.tight + half_ulp(answer, fmt), posinf=0.0)
        return Seen(stack, answer, numbers.high, near, wrong)

    def only(self, kept: NDArray[np.int64]) -> Seen:
        """The same of these of the cases."""
        return Seen(self.stack.only(kept), *(a[kept] for a in (self.answer, self.wanted, self.near, self.wrong)))

    @property
    def speaks(self) -> Mask:
        """The cases whose numbers are all finite."""
        return np.asarray(np.isfinite(self.answer).reshape(len(self.stack), -1).all(axis=1))

    def explained(self, slip: Slip, output: str) -> Mask:
        """The cases of which the slip gives every number."""
        none: Mask = np.zeros(len(self.stack), bool)
        with np.errstate(all="ignore"):
            try:
                given = slip.answer(self.stack, output).astype(DTYPES[self.stack.dtype]).astype(np.float64)
            except (ValueError, KeyError, ZeroDivisionError):  # of another form: a sum has no axes
                return none
            if given.shape != self.answer.shape:
                return none
            size = np.where(self.wanted == 0, 1.0, np.abs(given / self.wanted))
            room = self.near * np.fmax(size, 1.0) + 16 * 2.0 ** -FORMATS[self.stack.dtype].digits * np.abs(given)
            same = (np.abs(given - self.answer) <= room) | (given == self.answer)
            same |= np.isnan(given) & np.isnan(self.answer)
            same |= np.isinf(
                self.answer
            )  # what overflowed on the way says nothing against the slip, and nothing for it
        return np.asarray(same.reshape(len(self.stack), -1).all(axis=1))


def explanation(spec: Spec, seen: Sequence[Seen], output: str) -> str:
    """The slip that gives the wrong answers, in words; "" if none that is known does."""
    wrong = [item.only(np.flatnonzero(item.wrong)) for item in seen if item.wrong.any()]
    count, right = sum(len(item.stack) for item in wrong), sum(int((~item.wrong).sum()) for item in seen)
    best: tuple[int, str] = (0, "")
    for slip in slips(spec):
        if not any((item.explained(slip, output) & item.speaks).any() for item in wrong[:3]):  # most end here
            continue
        found = sum(int(item.explained(slip, output).sum()) for item in wrong)
        if found < MOST * count or found <= best[0]:
            continue
        kept = sum(int((item.explained(slip, output) & ~item.wrong).sum()) for item in seen)
        if kept >= NEARLY_ALL * right:
            best = found, slip.text
    if not best[0]:
        return ""
    return f"these are the numbers with {best[1]}" + (f", in {best[0]} of {count} cases" if best[0] < count else "")


def slips(spec: Spec) -> Iterator[Slip]:
    """The slips that a spec allows, the plain ones first."""
    for text, factor in FACTORS.items():
        yield Slip(f"a factor of {text}", spec, factor=functools.partial(_constant, factor))
    yield from _of_arguments(spec)
    for asked, given in permutations(spec.reduce, 2):
        text = f"reduction {given!r} where {asked!r} is asked"
        yield Slip(text, replace(spec, reduce={**spec.reduce, asked: spec.reduce[given]}))
    if {"mean", "sum"} <= spec.reduce.keys():
        yield Slip("a mean that divides by the size of the first axis alone", spec, _summed, _of_first_axis)
    for text, change in _epsilons(spec):
        yield Slip(text, _with_reductions(spec, change))


def _of_arguments(spec: Spec) -> Iterator[Slip]:
    floats = [item for item in spec.inputs.values() if item.dtype == "float"]
    for one, other in combinations(floats, 2):
        if one.shape == other.shape:
            swap = functools.partial(_swapped, names=(one.name, other.name))
            yield Slip(f"{one.name} and {other.name} exchanged", spec, swap, names=(one.name, other.name))
    for param in spec.params.values():
        if param.type != "choice":
            default = functools.partial(_with_parameter, name=param.name, value=param.default)
            yield Slip(f"{param.name} held at its default, {param.default}", spec, default)
    for item in spec.inputs.values():
        if item.default is not None:
            yield Slip(f"{item.name} left out", spec, functools.partial(_without, name=item.name))
    yield Slip("parameters rounded to float32", spec, _rounded)


def _constant(factor: float, stack: Stack) -> float:
    return factor


def _summed(stack: Stack) -> Stack:
    return _with_parameter(stack, "reduction", "sum") if stack.parameters["reduction"] == "mean" else stack


def _of_first_axis(stack: Stack) -> float:
    size = next(iter(stack.layout.values()), 1)
    return 1 / max(size, 1) if stack.parameters["reduction"] == "mean" else 1.0


def _swapped(stack: Stack, names: tuple[str, str]) -> Stack:
    one, other = names
    inputs = dict(stack.inputs)
    if one not in inputs or other not in inputs:
        return stack
    return replace(stack, inputs=inputs | {one: inputs[other], other: inputs[one]})


def _with_parameter(stack: Stack, name: str, value: Any) -> Stack:
    return replace(stack, parameters={**stack.parameters, name: value})


def _without(stack: Stack, name: str) -> Stack:
    return replace(stack, inputs={key: array for key, array in stack.inputs.items() if key != name})


def _rounded(stack: Stack) -> Stack:
    given = stack.parameters.items()
    return replace(stack, parameters={k: float(np.float32(v)) if isinstance(v, float) else v for k, v in given})


def _with_reductions(spec: Spec, change: Change) -> Spec:
    return replace(spec, reduce={name: change(root) for name, root in spec.reduce.items()})


def _epsilons(spec: Spec) -> Iterator[tuple[str, Change]]:
    """An epsilon at every node of a kind, then at each alone."""
    for where, position in (("log", 0), ("sqrt", 0), ("xlogy", 1), ("/", 1), ("norm", None)):
        nodes = [node for node in walk(spec.loss) if node.op == where and _is_free(node, position)]
        name = {"/": "denominator", "norm": "norm", "xlogy": "argument of a log"}.get(where, f"argument of {where}")
        groups = [(f"each {name}", nodes)] if nodes else []
        groups += [(f"the {name} in line {node.line} of the formula", [node]) for node in nodes if len(nodes) > 1]
        for place, group in groups:
            for epsilon in EPSILONS:
                for text, op in ((f"{epsilon:g} added to {place}", "+"), (f"{place} held at {epsilon:g}", "maximum")):
                    yield text, functools.partial(_guarded, nodes=group, position=position, op=op, epsilon=epsilon)
    for item in spec.inputs.values():
        if item.domain is not None and item.dtype == "float":
            for epsilon in EPSILONS:
                yield (
                    f"{item.name} clipped to {epsilon:g} and 1 - {epsilon:g}",
                    functools.partial(_clipped, name=item.name, epsilon=epsilon),
                )


def _is_free(node: Node, position: int | None) -> bool:
    """Whether what would be guarded is more than a constant or a count."""
    guarded = node if position is None else node.args[position]
    return any(below.op == "name" for below in walk(guarded)) and guarded.op != "size"


def _guarded(root: Node, nodes: Sequence[Node], position: int | None, op: str, epsilon: float) -> Node:
    """The tree with an epsilon at these nodes: at one of their arguments, or at what they come to."""
    ids = {id(node) for node in nodes}
    constant = Node("const", value=epsilon)

    def change(old: Node, new: Node) -> Node:
        if id(old) not in ids:
            return new
        if position is None:
            return Node(op, (new, constant))
        args = list(new.args)
        args[position] = Node(op, (args[position], constant))
        return replace(new, args=tuple(args))

    return _rebuilt(root, change)


def _clipped(root: Node, name: str, epsilon: float) -> Node:
    low, high = Node("const", value=epsilon), Node("const", value=1 - epsilon)

    def change(old: Node, new: Node) -> Node:
        is_it = old.op == "name" and old.value == name
        return Node("minimum", (Node("maximum", (new, low)), high)) if is_it else new

    return _rebuilt(root, change)


def _rebuilt(root: Node, change: Callable[[Node, Node], Node]) -> Node:
    """The tree in which each node, its children changed already, is what `change` makes of it."""
    made: dict[int, Node] = {}
    for node in walk(root):
        args = tuple(made[id(arg)] for arg in node.args)
        where = None if node.where is None else made[id(node.where)]
        same = where is node.where and all(new is old for new, old in zip(args, node.args, strict=True))
        made[id(node)] = change(node, node if same else replace(node, args=args, where=where))
    return made[id(root)]
