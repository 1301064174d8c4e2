"""A failing case made small: fewer elements, fewer inputs, default parameters, rounder numbers."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from conformance.cases.bind import used
from conformance.cases.case import Case, Stack
from conformance.cases.domain import inside, labels, names_of, sizes
from conformance.cases.layouts import dim_of
from conformance.cases.simpler import ALONE, TOGETHER, drop_axis, rounded, rounder_numbers, slice_axis
from conformance.spec.layout import skeletons
from conformance.spec.model import Spec

Still = Callable[[Case], bool]
NUMBERS = 2_000_000  # in all candidates together, so that a case of 100,000 takes seconds


def minimise(case: Case, spec: Spec, still: Still, budget: int = 60) -> Case:
    """The smallest case found for which `still` says yes; `case` itself if there is none.

    At most `budget` calls of `still`, the same ones each time, and fewer where cases are large. What lies in its domain
    stays there.
    """
    search = _Search(spec, still, budget, case, {_content(case)})
    search.shrink_axes()
    search.drop_inputs()
    search.reset_parameters()
    search.shrink_axes()  # again: a parameter may have needed the room
    search.drop_axes()
    search.plain_labels()
    search.shrink_axes()  # and again: a label or a length may have needed it
    search.round_values()
    return search.best


@dataclasses.dataclass
class _Search:
    spec: Spec
    still: Still
    budget: int
    best: Case
    seen: set[bytes]
    numbers: int = NUMBERS

    def __post_init__(self) -> None:
        self._kept = {name for name in (*self.spec.inputs, *self.spec.params) if is_inside(self.spec, self.best, name)}

    def first(self, candidates: Iterable[Case]) -> bool:
        """Whether one of the candidates, the simplest first, fails too; it becomes the best."""
        for candidate in candidates if self.budget > 0 else ():
            self.numbers -= candidate.size
            if self.numbers < 0:
                self.budget = 0
                return False
            content = _content(candidate)
            if content == _content(self.best):
                return False  # what follows is no simpler
            if content not in self.seen and self._fails(candidate):
                return True
            self.seen.add(content)
        return False

    def _fails(self, case: Case) -> bool:
        if self.budget <= 0 or not all(is_inside(self.spec, case, name) for name in self._kept):
            return False
        self.budget -= 1
        if not self.still(case):
            return False
        self.best = case
        return True

    def shrink_axes(self) -> None:
        """Halves each axis while one half fails; of three or fewer positions, keeps one where it can."""
        for axis in sorted(self.best.layout, key=lambda axis: -self.best.layout[axis]):
            while self.first(self._parts(axis)):
                pass

    def _parts(self, axis: str) -> Iterable[Case]:
        n, least = self.best.layout[axis], max(dim_of(self.spec, axis).min, 1)
        if n <= least:
            return
        half = max((n + 1) // 2, least)
        kept = [range(start, start + least) for start in range(n)] if n <= 3 else []
        kept += [range(half), range(n - half, n)]  # of three, two: one may be out of domain, as a lone class is in ctc
        for part in kept:
            if part.stop <= n and len(part) < n:
                yield slice_axis(self.spec, self.best, axis, part)

    def drop_inputs(self) -> None:
        """Leaves optional inputs out."""
        for name, item in self.spec.inputs.items():
            if item.default is not None and name in self.best.inputs:
                self.first([replaced(self.best, inputs={n: a for n, a in self.best.inputs.items() if n != name})])

    def drop_axes(self) -> None:
        """Leaves axes of size 1 out, where the criterion can do without them."""
        every = set(skeletons(self.spec))
        for axis in reversed(list(self.best.layout)):
            if self.best.layout.get(axis) == 1:
                candidate = drop_axis(self.spec, self.best, axis)
                if tuple(candidate.layout) in every:
                    self.first([candidate])

    def reset_parameters(self) -> None:
        """Sets the parameters to their defaults, all of them or one by one; rounds those that must stay."""
        defaults = {name: param.default for name, param in self.spec.params.items() if name in self.best.parameters}
        if self.first([replaced(self.best, parameters=defaults)]):
            return
        for name, value in defaults.items():
            now = self.best.parameters[name]
            choices = [value, *(rounder_numbers(now) if isinstance(now, float) else ())]
            self.first(replaced(self.best, parameters={**self.best.parameters, name: choice}) for choice in choices)

    def plain_labels(self) -> None:
        """Sets the labels of each integer input to the first ordinary one."""
        for name, item in self.spec.inputs.items():
            stands_alone = not names_of(item.domain) & set(self.spec.inputs) - {name}
            if item.dtype == "int" and name in self.best.inputs and stands_alone:
                names = {**self.best.parameters, **sizes(self.spec, self.best.layout)}
                ordinary, _ = labels(item, self.best.layout, self.best.parameters, names)
                plain = [np.full_like(self.best.inputs[name], label) for label in ordinary[ordinary >= 0][:1]]
                self.first(replaced(self.best, inputs={**self.best.inputs, name: array}) for array in plain)

    def round_values(self) -> None:
        """Simplifies the numbers: every input's at once, then each input's, then each number by itself."""
        floats = [name for name, item in self.spec.inputs.items() if item.dtype == "float"]
        names = [name for name in floats if name in self.best.inputs and self.best.inputs[name].size]
        self.first(rounded(self.best, how, dict.fromkeys(names)) for how in TOGETHER)
        for name in names:
            self.first(rounded(self.best, how, {name: None}) for how in ALONE)
        for name in names:
            size = self.best.inputs[name].size
            for i in range(size if size > 1 else 0):
                self.first(rounded(self.best, how, {name: i}) for how in ALONE if self.budget > 0)


def _content(case: Case) -> bytes:
    """What tells the cases of a search apart, a hundred times as fast as their hash."""
    shapes = [(name, array.shape) for name, array in case.inputs.items()]
    found = hashlib.sha256(repr((list(case.layout.items()), sorted(case.parameters.items()), shapes)).encode())
    for array in case.inputs.values():
        found.update(array.tobytes())
    return found.digest()


def replaced(case: Case, **changes: Any) -> Case:
    """The case with some of its fields changed."""
    return dataclasses.replace(case, **changes)


def is_inside(spec: Spec, case: Case, name: str) -> bool:
    """Whether an input or parameter of the case lies in its domain."""
    item = spec.inputs.get(name) or spec.params[name]
    value = case.inputs.get(name, case.parameters.get(name))
    if item.domain is None or value is None:
        return True
    others = {other: case.inputs[other] for other in names_of(item.domain) if other in case.inputs}
    found = inside(item.domain, name, value, {**case.parameters, **sizes(spec, case.layout), **others})
    return bool(found.all() or (name in case.inputs and (found | ~used(spec, Stack.of(case), name)[0]).all()))
