"""A stack on its tapes, in one kind of numbers: formula and forms, values and gradients, what they may be off by."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import Shapes, full_cotangent, full_rank, make_tape, output_shapes, rank_of
from conformance.cases.case import Stack
from conformance.formula import Node
from conformance.formula.algebra import Term
from conformance.formula.tape import Tape
from conformance.reference.ball import Ball, part
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Mask, Numbers, numbers_of
from conformance.reference.projection import Projection
from conformance.reference.quad import Kind, magnitude
from conformance.reference.reductions import Balls
from conformance.reference.undefined import without_derivative
from conformance.spec.model import Spec


class Tapes:
    """A stack under evaluation: the formula first, and its forms on the same tapes when they are asked for.

    Branches that meet smoothly leave no choice; but beside the joint they are not quite the same, and a sound
    implementation, or the reference's numbers, may be on the other one. What that makes of a result is an error of it.
    So there is a tape for each side of the joints. With `reorders`, what an intermediate may reach takes every order of
    multiplication into account.
    """

    def __init__(
        self,
        spec: Spec,
        stack: Stack,
        wrt: Sequence[str],
        kind: Kind,
        *,
        reorders: bool = False,
        flushes_subnormals: bool = False,
        project: bool = False,
    ) -> None:
        self._spec, self._stack, self._wrt, self._kind, self._project = spec, stack, tuple(wrt), kind, project
        rank, fmt = rank_of(spec, stack.layout), FORMATS[stack.dtype]
        self._balls = Balls(fmt, rank, kind=kind, flushes_subnormals=flushes_subnormals, reorders=reorders)
        self._tapes: dict[str, Tape] = {}
        self._outputs: list[dict[str, Ball]] = []  # of the formula, and of the forms so far
        self._numbers: dict[int, dict[str, Numbers]] = {}  # from so many of them

    def only(self, cases: NDArray[np.int64]) -> Tapes:
        """The tapes of some of the cases, of which nothing is computed a second time."""
        some, balls = copy.copy(self), self._balls.only(cases)
        for name in ("_inputs", "_cotangent"):
            some.__dict__.pop(name, None)
        some._stack, some._balls, some._numbers = self._stack.only(cases), balls, {}
        some._tapes = {
            beyond: tape.only(balls, lambda ball: ball.only(cases), lambda mask: part(mask, cases))
            for beyond, tape in self._tapes.items()
        }
        some._outputs = [{name: ball.only(cases) for name, ball in found.items()} for found in self._outputs]
        return some

    @property
    def far(self) -> Mask:
        """The cases that met numbers so large that the order of multiplications matters, if it was not followed."""
        return np.broadcast_to(self._balls.cases.far, len(self._stack))

    @cached_property
    def _inputs(self) -> Mapping[str, Ball]:
        spec, stack = self._spec, self._stack
        return {name: Ball(self._kind.of(full_rank(spec, stack.layout, name, a))) for name, a in stack.inputs.items()}

    @cached_property
    def _cotangent(self) -> Term | None:
        given = full_cotangent(self._spec, self._stack)
        return None if given is None else Term(Ball(self._kind.of(given)))

    def numbers(self, *, forms: bool = True) -> dict[str, Numbers]:
        """The numbers; without `forms`, the sound budget is the formula's alone. Where a number beyond the kind decided
        a branch, those of the case have no bound."""
        spec, reduction = self._spec, self._stack.parameters.get("reduction", "none")
        roots = [spec.reduce[reduction], *(form.reduce[reduction] for form in spec.forms if forms)]
        if len(roots) not in self._numbers:
            with np.errstate(all="ignore"):
                self._outputs += [self._evaluated(root) for root in roots[len(self._outputs) :]]
                self._numbers[len(roots)] = self._gathered(self._outputs[: len(roots)])
        return self._numbers[len(roots)]

    def _evaluated(self, root: Node) -> dict[str, Ball]:
        found = self._on_side("", root)
        for row, beyond in enumerate(("unsure", "open")):  # the errors of the numbers, of the dtype
            if beyond in self._tapes[""].joined:
                there = self._on_side(beyond, root)
                found = {name: _reaching(ball, there[name], row) for name, ball in found.items()}
        return found

    def _on_side(self, beyond: str, root: Node) -> dict[str, Ball]:
        if beyond not in self._tapes:
            self._tapes[beyond] = make_tape(self._spec, self._stack, self._balls, self._inputs, beyond)
        tape = self._tapes[beyond]
        gradients = tape.gradients(root, self._wrt, self._cotangent)
        return {"value": tape.term(root).data, **{name: term.data for name, term in gradients.items()}}

    def _gathered(self, outputs: list[dict[str, Ball]]) -> dict[str, Numbers]:
        """The numbers of each output, from the balls of the formula and of the forms."""
        spec, stack, wrt, tape = self._spec, self._stack, self._wrt, self._tapes[""]
        shapes = output_shapes(spec, stack, wrt)
        projections = {m.of: Projection(tape, m, self._balls.u) for m in spec.modulo if self._project and m.of in wrt}
        found = {}
        for name in ("value", *wrt):
            skipped = "gradient" if name == "value" else "value"
            forms = [item[name] for item, form in zip(outputs[1:], spec.forms, strict=False) if form.only != skipped]
            balls = [outputs[0][name], *forms]
            if name in projections:
                balls = [projections[name].of_ball(ball) for ball in balls]
            found[name] = numbers_of(balls, shapes[name], FORMATS[stack.dtype], self._kind)
        for name, projection in projections.items():
            found[name] = replace(found[name], modulo=projection.for_answers(shapes[name]))
        found = _defined(spec, stack, tape, found, shapes)
        lost = self._balls.cases.lost
        return {name: _unbounded(n, lost) for name, n in found.items()} if lost.any() else found


def _reaching(ball: Ball, other: Ball, row: int) -> Ball:
    """The ball with an error that reaches to all of the other one."""
    apart = magnitude(other.x - ball.x)
    b = np.array(np.broadcast_to(ball.bound(), (2, *apart.shape)), np.result_type(ball.bound(), apart, other.bound()))
    b[row] = np.maximum(b[row], np.where(np.isfinite(apart), apart, 0) + other.bound()[row])
    return ball.having(b, ball.h, ball.flags, ball.loose)


def _defined(
    spec: Spec, stack: Stack, tape: Tape, found: dict[str, Numbers], shapes: Mapping[str, Shapes]
) -> dict[str, Numbers]:
    """`found` with NaN for the derivatives that do not exist."""
    value = found["value"]
    missing = without_derivative(spec, stack, tape, np.isnan(value.high) & value.certified, shapes)
    for name, mask in missing.items():
        n = found[name]
        found[name] = replace(n, high=np.where(mask, np.nan, n.high), certified=n.certified | mask)
    return found


def _unbounded(n: Numbers, cases: Mask) -> Numbers:
    """The numbers, of which nothing says how far off those of some cases are."""
    where = cases.reshape((-1,) + (1,) * (n.high.ndim - 1))
    return replace(n, error=np.where(where, np.inf, n.error), certified=n.certified & ~where)
