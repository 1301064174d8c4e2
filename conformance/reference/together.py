"""Stacks that are alike, evaluated as one: of a small one, asking NumPy costs more than its numbers do.

No number depends on a case's neighbours (tests/test_reference.py), so this changes nothing but the time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from conformance.cases.case import Stack
from conformance.formula import names_in
from conformance.formula.node import walk
from conformance.reference.evaluate import Evaluation
from conformance.reference.numbers import Numbers, cases_of
from conformance.spec.model import Spec

MOST = 4_000  # numbers in the inputs of what is evaluated as one
FIXED = {"norm", "ctc_log_likelihood"}  # primitives of which all but the first argument are numbers known beforehand


class Together:
    """The evaluations of stacks that are to come; those that are alike share one."""

    def __init__(self, spec: Spec, stacks: Sequence[Stack] = ()) -> None:
        self._spec = spec
        # By the stacks' ids, which are their own while they are held. How answers are projected is told of a whole
        # evaluation, so those of a spec with `modulo` stay apart.
        self._shares = {} if spec.modulo else {id(stack): share for stack, share in _shared(spec, stacks)}

    def evaluation(self, stack: Stack, wrt: Sequence[str], **options: bool) -> Evaluation | Share:
        """What gives a stack's numbers, with the options of `Evaluation`; it need not be one of those told before."""
        if id(stack) not in self._shares:
            return Evaluation(self._spec, stack, wrt, **options)
        joint, cases = self._shares[id(stack)]
        return Share(joint.evaluation(wrt, options), cases)


@dataclass(frozen=True)
class Share:
    """The part of a joint evaluation that is one stack's."""

    joint: Callable[[bool], dict[str, Numbers]]
    cases: slice

    def numbers(self, *, excuses: bool = True) -> dict[str, Numbers]:
        """As those of `Evaluation`."""
        return {name: cases_of(n, self.cases) for name, n in self.joint(excuses).items()}


class _Joint:
    """Stacks that are alike, as one."""

    def __init__(self, spec: Spec, stacks: Sequence[Stack]) -> None:
        self.stacks = stacks
        self._spec = spec
        self._evaluations: dict[Hashable, Callable[[bool], dict[str, Numbers]]] = {}

    def evaluation(self, wrt: Sequence[str], options: Mapping[str, bool]) -> Callable[[bool], dict[str, Numbers]]:
        """What gives the numbers of all of their cases, worked out once, with excuses or without."""
        key = tuple(wrt), tuple(sorted(options.items()))
        if key not in self._evaluations:
            evaluation = Evaluation(self._spec, _joined(self.stacks), wrt, **options)
            self._evaluations[key] = functools.cache(lambda excuses: evaluation.numbers(excuses=excuses))
        return self._evaluations[key]


def _shared(spec: Spec, stacks: Sequence[Stack]) -> Iterator[tuple[Stack, tuple[_Joint, slice]]]:
    """The stacks that are like others, each with what it is evaluated in, and which cases of that are its own."""
    alike: dict[Hashable, list[Stack]] = {}
    free = _free(spec)
    for stack in stacks:
        alike.setdefault(_likeness(stack, free), []).append(stack)
    for group in (part for items in alike.values() for part in _within(MOST, items) if len(part) > 1):
        joint, begin = _Joint(spec, group), 0
        for stack in group:
            yield stack, (joint, slice(begin, begin + len(stack)))
            begin += len(stack)


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


def _within(most: int, stacks: Sequence[Stack]) -> Iterator[list[Stack]]:
    """The stacks in groups of no more numbers than `most`, as far as they have no more themselves."""
    group: list[Stack] = []
    room = most
    for stack in stacks:
        size = sum(array.size for array in stack.inputs.values())
        if group and size > room:
            yield group
            group, room = [], most
        group.append(stack)
        room -= size
    if group:
        yield group


def _joined(stacks: Sequence[Stack]) -> Stack:
    first = stacks[0]
    inputs = {name: np.concatenate([stack.inputs[name] for stack in stacks]) for name in first.inputs}
    lengths = [len(stack) for stack in stacks]
    parameters = dict(first.parameters)
    for name in parameters:
        values = [stack.parameters[name] for stack in stacks]
        if len(set(map(repr, values))) > 1:  # -0.0 is not 0.0
            parameters[name] = np.repeat(np.asarray(values, np.float64), lengths)
    return replace(first, parameters=parameters, inputs=inputs)
