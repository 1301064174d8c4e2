"""Judging many implementations of one criterion on the same cases, drawn once and evaluated by the reference once.

`judge_cell` stays as it is. While `shared` holds, what it asks for again, the stack of a recipe and the reference's numbers
for a stack, is not worked out again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from conformance.cases import plan
from conformance.cases.case import Stack
from conformance.cases.recipe import Recipe
from conformance.reference.certify import Ways
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec
from conformance.suite import cell


class Known:
    """What was worked out already, by content; of one criterion in one dtype, so that memory is bounded."""

    def __init__(self) -> None:
        self._expand, self._evaluate, self._certify = plan.expand, cell.evaluate_stack, cell.certify
        self._stacks: dict[Recipe, Stack] = {}
        self._numbers: dict[tuple[Any, ...], dict[str, Numbers]] = {}
        self._certified: dict[int, tuple[Mapping[str, Numbers], dict[str, Numbers]]] = {}

    def expand(self, spec: Spec, dtype: str, recipe: Recipe) -> Stack:
        if recipe not in self._stacks:
            self._stacks[recipe] = self._expand(spec, dtype, recipe)
        return self._stacks[recipe]

    def evaluate(self, spec: Spec, stack: Stack, wrt: Sequence[str], **options: Any) -> dict[str, Numbers]:
        key = (spec.name, bool(spec.forms), *wrt, *sorted(options.items()), *_content(stack))
        if key not in self._numbers:
            self._numbers[key] = self._evaluate(spec, stack, wrt, **options)
        return self._numbers[key]

    def certify(self, spec: Spec, stack: Stack, found: Mapping[str, Numbers]) -> tuple[dict[str, Numbers], Ways]:
        """`found` is one of our own answers, so its identity stands for its content."""
        if id(found) not in self._certified:
            self._certified[id(found)] = (found, self._certify(spec, stack, found)[0])
        return self._certified[id(found)][1], Ways()


def _content(stack: Stack) -> tuple[Any, ...]:
    digest = hashlib.blake2b(digest_size=16)
    for array in stack.inputs.values():
        digest.update(array.tobytes())
    shapes = tuple((name, array.shape) for name, array in stack.inputs.items())
    return stack.dtype, *sorted(stack.parameters.items()), shapes, digest.digest()


@contextmanager
def shared() -> Iterator[None]:
    """While it holds, drawing and the reference are remembered. All judging inside is of one criterion in one dtype."""
    known = Known()
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(plan, "expand", known.expand))
        patches.enter_context(mock.patch.object(cell, "evaluate_stack", known.evaluate))
        patches.enter_context(mock.patch.object(cell, "certify", known.certify))
        yield
