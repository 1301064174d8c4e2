"""What a reduction makes of elementwise losses that are given: a framework's own, each as far off as it may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import full_rank, make_tape, output_shapes, rank_of
from conformance.cases.case import Stack
from conformance.formula.algebra import Term
from conformance.reference.ball import Ball, C
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Float, Numbers, half_ulp, numbers_of
from conformance.reference.quad import quad
from conformance.reference.reductions import Balls
from conformance.spec.model import Spec


def reduced(spec: Spec, stack: Stack, reduction: str, losses: Float, numbers: Numbers) -> Numbers:
    """The value of `stack` under a reduction, of the `losses` that a framework gave under none.

    `numbers` are the reference's for these. A framework need not reduce the very losses that it gives (it may keep more
    digits on the way), but either lies within the budget: so the reduction's own holds that of every loss twice.
    """
    fmt = FORMATS[stack.dtype]
    stack = replace(stack, parameters={**stack.parameters, "reduction": reduction})
    whole = output_shapes(spec, _unreduced(stack), ())["value"][0]
    half = np.maximum(half_ulp(numbers.high, fmt), half_ulp(losses, fmt))
    with np.errstate(all="ignore"):
        found = [_reduce(spec, stack, losses, room + half, whole) for room in (numbers.tight, numbers.sound)]
        return numbers_of(found, output_shapes(spec, stack, ())["value"], fmt)


def _unreduced(stack: Stack) -> Stack:
    return replace(stack, parameters={**stack.parameters, "reduction": "none"})


def _reduce(spec: Spec, stack: Stack, losses: NDArray[np.float64], room: Float, whole: tuple[int, ...]) -> Ball:
    balls = Balls(FORMATS[stack.dtype], rank_of(spec, stack.layout), reorders=True)
    arrays = {name: Ball(quad(full_rank(spec, stack.layout, name, array))) for name, array in stack.inputs.items()}
    tape = make_tape(spec, stack, balls, arrays)
    off = (2 / C * room).reshape(whole)
    tape.assume(spec.reduce["none"], Term(Ball(quad(losses.reshape(whole)), np.stack([np.zeros_like(off), off]))))
    found: Ball = tape.term(spec.reduce[str(stack.parameters["reduction"])]).data
    return found
