"""Stacks that are alike, made into one: of a small one, asking NumPy costs more than its numbers do.

No number depends on a case's neighbours (tests/test_reference.py), so this changes nothing but the time.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from conformance.cases.case import Stack
from conformance.formula import names_in
from conformance.formula.node import walk
from conformance.spec.model import Spec

MOST = 30_000  # numbers in the inputs of what is made one
FIXED = {"norm", "ctc_log_likelihood"}  # primitives of which all but the first argument are numbers known beforehand


def alike(spec: Spec, stacks: Sequence[Stack]) -> Iterator[list[int]]:
    """The positions of stacks that may be one, in groups of two at least; what is alike to none is in no group."""
    kinds: dict[Hashable, list[int]] = {}
    free = _free(spec)
    for i, stack in enumerate(stacks):
        if stack.cotangent is None:
            kinds.setdefault(_likeness(stack, free), []).append(i)
    sizes = [sum(array.size for array in stack.inputs.values()) for stack in stacks]
    return (group for kind in kinds.values() for group in _within(MOST, kind, sizes) if len(group) > 1)


def _free(spec: Spec) -> frozenset[str]:
    """The parameters that are numbers of the formula like any other: real, and not the p of a norm, say, which decides
    what is to be computed."""
    real = {name for name, param in spec.params.items() if param.type == "real"}
    roots = [*spec.reduce.values(), *(root for form in spec.forms for root in form.reduce.values())]
    roots += [kink.at for kink in spec.kinks]
    fixed = [names_in(arg) for root in roots for node in walk(root) if node.op in FIXED for arg in node.args[1:]]
    return frozenset(real.difference(*fixed))


def _likeness(stack: Stack, free: frozenset[str]) -> Hashable:
    """What stacks have in common that may be one."""
    shapes = tuple((name, array.shape[1:]) for name, array in stack.inputs.items())
    fixed = sorted((name, value) for name, value in stack.parameters.items() if name not in free)
    return stack.dtype, tuple(stack.layout.items()), shapes, repr(fixed)


def _within(most: int, kind: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """The members of a kind in groups of no more numbers than `most`, as far as they have no more themselves."""
    group: list[int] = []
    room = most
    for i in kind:
        if group and sizes[i] > room:
            yield group
            group, room = [], most
        group.append(i)
        room -= sizes[i]
    if group:
        yield group


def joined(stacks: Sequence[Stack]) -> Stack:
    """Stacks that are alike, as one; a parameter in which they differ is an array."""
    first = stacks[0]
    inputs = {name: np.concatenate([stack.inputs[name] for stack in stacks]) for name in first.inputs}
    lengths = [len(stack) for stack in stacks]
    parameters = dict(first.parameters)
    for name in parameters:
        values = [stack.parameters[name] for stack in stacks]
        if len(set(map(repr, values))) > 1:  # -0.0 is not 0.0
            parameters[name] = np.repeat(np.asarray(values, np.float64), lengths)
    return replace(first, parameters=parameters, inputs=inputs)
