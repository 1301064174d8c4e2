"""Judging many implementations of one criterion on the same cases, drawn once and evaluated by the reference once.

`judge_cell` stays as it is. While `shared` holds, what it asks for again, the stack of a recipe and the reference's
numbers for a stack, is not worked out again; nor is what the implementations refuse.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

from conformance import Call
from conformance.cases.case import Stack
from conformance.cases.expand import expand
from conformance.cases.recipe import Recipe
from conformance.reference.certify import Ways, certify
from conformance.reference.evaluate import Evaluation
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec
from tests.mutants.adapters import refusal


class Remembered(Evaluation):
    """An evaluation that keeps to `known` numbers; only those are kept, since the rest of it is large."""

    def __init__(self, known: dict[tuple[Any, ...], dict[str, Numbers]], *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._known = known
        self._key = (self._spec.name, *self._wrt, *sorted(options.items()), *_content(self._stack))

    def numbers(self, *, excuses: bool = True) -> dict[str, Numbers]:
        key = (excuses, *self._key)
        if key not in self._known:
            self._known[key] = super().numbers(excuses=excuses)
        return self._known[key]

    def excused(self, found: dict[str, Numbers], cases: Any, infinite: Any) -> dict[str, Numbers]:
        """Those of all cases: the next implementation is wrong in others."""
        return self.numbers()


class Known:
    """What was worked out already, by content; of one criterion in one dtype, so that memory is bounded."""

    def __init__(self) -> None:
        self._stacks: dict[Recipe, Stack] = {}
        self._numbers: dict[tuple[Any, ...], dict[str, Numbers]] = {}
        self._refusals: dict[tuple[Any, ...], str] = {}
        self._certified: dict[int, tuple[Mapping[str, Numbers], dict[str, Numbers]]] = {}

    def expand(self, spec: Spec, dtype: str, recipe: Recipe) -> Stack:
        if recipe not in self._stacks:
            self._stacks[recipe] = expand(spec, dtype, recipe)
        return self._stacks[recipe]

    def evaluation(self, *given: Any, **options: Any) -> Remembered:
        return Remembered(self._numbers, *given, **options)

    def certify(self, spec: Spec, stack: Stack, found: Mapping[str, Numbers]) -> tuple[dict[str, Numbers], Ways]:
        """`found` is one of our own answers, so its identity stands for its content."""
        if id(found) not in self._certified:
            self._certified[id(found)] = (found, certify(spec, stack, found)[0])
        return self._certified[id(found)][1], Ways()

    def refusal(self, spec: Spec, call: Call) -> str:
        if (key := _content(call)) not in self._refusals:
            self._refusals[key] = refusal(spec, call)
        return self._refusals[key]


def _content(given: Stack | Call) -> tuple[Any, ...]:
    digest = hashlib.blake2b(digest_size=16)
    for array in given.inputs.values():
        digest.update(array.tobytes())
    shapes = tuple((name, array.shape, array.dtype.name) for name, array in given.inputs.items())
    return given.dtype, *sorted(given.parameters.items()), shapes, digest.digest()


ROOMS = ("conformance.suite.", "conformance.cases.plan", "tests.mutants.adapters")


def users_of(function: Callable[..., Any], rooms: str | tuple[str, ...] = ROOMS) -> list[ModuleType]:
    """The modules of these rooms, the suite's and ours, that call a function of another module by its name."""
    name = function.__name__
    loaded = [module for at, module in sys.modules.items() if at.startswith(rooms)]
    return [module for module in loaded if getattr(module, name, None) is function]


@contextmanager
def shared() -> Iterator[None]:
    """While it holds, drawing and the reference are remembered. All judging inside is of one criterion in one dtype."""
    known = Known()
    with ExitStack() as patches:
        for function, instead in (
            (expand, known.expand),
            (Evaluation, known.evaluation),
            (certify, known.certify),
            (refusal, known.refusal),
        ):
            for module in users_of(function):
                patches.enter_context(mock.patch.object(module, function.__name__, instead))
        yield
