"""How well-conditioned the numbers of a stack are: what inputs that are off make of a result, if nothing rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import full_rank, make_tape, output_shapes, rank_of
from conformance.cases.case import Stack
from conformance.reference.ball import Ball
from conformance.reference.formats import FORMATS
from conformance.reference.projection import Projection
from conformance.reference.quad import magnitude, quad
from conformance.reference.reductions import Balls
from conformance.spec.model import Spec

OFF = 2.0**-60  # of itself, every floating input
WELL = 10.0  # a condition number up to which a result is well-conditioned: one digit lost

Float = NDArray[np.float64]


class Exact(Balls):
    """Balls whose operations round nothing: errors of the inputs are carried on, and none is added."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.u[1] = self.tiny[1] = 0

    def with_rank(self, rank: int) -> Balls:
        return Exact(self.format, rank)

    def constant(self, value: float, *, exact: bool = True) -> Ball:
        return Ball(quad(np.full((1,) * self.rank, value)))


def conditions(spec: Spec, stack: Stack, wrt: Sequence[str]) -> dict[str, Float]:
    """The condition number of every number, by output: its relative error over that of the inputs, at most. What is
    correlated in truth counts as independent, so these are upper bounds; of the formula, not of its forms."""
    balls = Exact(FORMATS["float64"], rank_of(spec, stack.layout))
    with np.errstate(all="ignore"):
        arrays = {name: _off(full_rank(spec, stack.layout, name, array)) for name, array in stack.inputs.items()}
        tape = make_tape(spec, stack, balls, arrays)
        root = spec.reduce[stack.parameters.get("reduction", "none")]
        terms = {name: term.data for name, term in tape.gradients(root, wrt).items()}
        terms |= {m.of: Projection(tape, m, balls.u).of_ball(terms[m.of]) for m in spec.modulo if m.of in terms}
        shapes = output_shapes(spec, stack, wrt)
        found = {"value": tape.term(root).data, **terms}
        numbers = {name: ball.bound()[1] / (OFF * ball.m) for name, ball in found.items()}
        return {
            name: np.broadcast_to(number, shapes[name][0]).reshape(shapes[name][1]).astype(np.float64)
            for name, number in numbers.items()
        }


def _off(array: NDArray[Any]) -> Ball:
    x = quad(array)
    if array.dtype.kind in "iub":
        return Ball(x)
    m = magnitude(x)
    return Ball(x, np.stack([0 * m, OFF * m]))
