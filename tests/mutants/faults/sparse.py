"""Sparsemax losses."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import scores as right
from tests.controls.parts import FIRST, Answer, Array, Given
from tests.mutants.changes import answered, as_it_lies, but, call_with, given, mapped, revalued, slopes
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    PRECISION,
    SPECIAL,
    STATE,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def wrong_of(g: Given) -> tuple[Array, Array]:
    """How wrong a score is, and the sign that makes it so."""
    turn = np.where(g["target"] == 1, -1, 1).astype(g.dtype)
    return turn * g["input"], turn


def of(g: Given, loss: Array, by_wrong: Array) -> Answer:
    slope = wrong_of(g)[1] * by_wrong
    return FIRST.reduced(g, loss.astype(g.dtype), {"input": slope.astype(g.dtype)})


@fault("sparsemax", BOTH)
def sparsemax_labels_turned(g: Given) -> Answer:
    """The score is turned for a label of 0."""
    return right.sparsemax(given(g, target=1 - g["target"]))


@fault("sparsemax", BOTH)
def sparsemax_half_the_square(g: Given) -> Answer:
    """(z + 1)^2 / 2, which meets the line at 2."""
    z, _ = wrong_of(g)
    inside = np.abs(z) < 1
    square = np.where(inside, (z + 1) * (z + 1) / 2, 0)
    return of(g, np.where(z >= 1, z, square), np.where(z >= 1, 1, np.where(inside, z + 1, 0)))


@fault("sparsemax", BOTH)
def sparsemax_hinge(g: Given) -> Answer:
    """max(0, z + 1): the hinge has no parabola."""
    z, _ = wrong_of(g)
    return of(g, np.maximum(z + 1, 0), z > -1)


@fault("sparsemax", BOTH)
def sparsemax_parabola_for_ever(g: Given) -> Answer:
    """The parabola is not left at 1."""
    z, _ = wrong_of(g)
    half = np.where(np.abs(z) < 1e6, np.maximum(z + 1, 0) / 2, 0)
    answer = right.sparsemax(but(g, reduction="none"))
    far = np.abs(z) >= 1e6
    return of(g, np.where(far, answer.value, half * half), np.where(far, z > 0, half))


@fault("sparsemax", BOTH)
def sparsemax_line_shifted(g: Given) -> Answer:
    """The line is z + 1 / 4: it meets another parabola."""
    z, _ = wrong_of(g)
    answer = right.sparsemax(but(g, reduction="none"))
    return FIRST.reduced(g, answer.value + np.where(z >= 1, g.constant(0.25), 0).astype(g.dtype), answer.gradients)


@fault("sparsemax", GRADIENT)
def sparsemax_gradient_not_halved(g: Given) -> Answer:
    """z + 1 is taken for the slope of (z + 1)^2 / 4."""
    z, turn = wrong_of(g)
    slope = turn * np.where(z >= 1, 1, np.where(z > -1, z + 1, 0))
    answer = right.sparsemax(g)
    return answered(answer, **FIRST.reduced(g, z, {"input": slope.astype(g.dtype)}).gradients)


@fault("sparsemax", GRADIENT)
def sparsemax_gradient_without_sign(g: Given) -> Answer:
    """The chain rule ends at z: the slope by a score of label 1 is positive."""
    return slopes(right.sparsemax(g), np.abs)


@fault("sparsemax", GRADIENT)
def sparsemax_gradient_of_a_branch_not_taken(g: Given) -> Answer:
    """A where() built from both branches: 0 times an infinite score is NaN."""
    return slopes(right.sparsemax(g), lambda a: np.where(np.isinf(g["input"]), np.nan, a).astype(g.dtype))


@fault("sparsemax", VALUE)
def sparsemax_square_expanded(g: Given) -> Answer:
    """(z^2 + 2 z + 1) / 4 cancels next to -1, where the loss is small."""
    z, _ = wrong_of(g)
    inside = np.abs(z) < 1
    y = np.where(inside, z, 0)
    loss = np.where(inside, (y * y + 2 * y + 1) / 4, right.sparsemax(but(g, reduction="none")).value)
    return revalued(g, right.sparsemax(g), loss.astype(g.dtype))


@fault("sparsemax", SPECIAL)
def sparsemax_nan_is_right(g: Given) -> Answer:
    """if (z > -1): a NaN is not greater, and costs nothing."""
    loss = right.sparsemax(but(g, reduction="none")).value
    return revalued(g, right.sparsemax(g), np.where(np.isnan(g["input"]), 0, loss).astype(g.dtype))


@fault("sparsemax", PRECISION, dtypes=("float64",))
def sparsemax_scores_in_float32(g: Given) -> Answer:
    """Scores are cast to the default float."""
    return right.sparsemax(given(g, input=g["input"].astype(np.float32).astype(g.dtype)))


@fault_of_call("sparsemax", LAYOUT)
def sparsemax_labels_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The labels are read as they lie."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("sparsemax", STATE)
def sparsemax_noise_in_the_last_place(call: Call, right: Right, memory: Memory) -> Output:
    """The last digit differs from run to run."""
    output, turn = right.run(call), memory.setdefault("turn", 0)
    memory["turn"] = turn + 1
    return mapped(output, lambda a: np.nextafter(a, np.where(np.isfinite(a), 0, a)) if turn % 2 else a)


@fault_of_call("sparsemax", INVALID)
def sparsemax_any_label_is_true(call: Call, right: Right, memory: Memory) -> Output:
    """where(labels, ...): every label but 0 counts as 1."""
    return right.run(call_with(call, {"target": (call.inputs["target"] != 0).astype(np.int64)}))
