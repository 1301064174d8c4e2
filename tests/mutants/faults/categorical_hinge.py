"""Categorical hinge: the target's score against the highest of the others, and against 0."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import scores as right
from tests.controls.first.scores import highest
from tests.controls.parts import FIRST, Answer, Array, Given, pairwise
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, revalued
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    PRECISION,
    SHAPE,
    SPECIAL,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def of_parts(g: Given, others: Array, by_others: Array, margin: float = 1.0, active: Array | None = None) -> Answer:
    """The loss with these numbers in the maximum, and their slopes."""
    x, t = g["input"], g.sign("target")
    short = margin + (others.max(axis=-1) - pairwise(t * x))
    slope = np.where(highest(others), by_others, 0) - t
    active = short > 0 if active is None else active
    slope = np.where(active[..., None], slope, 0).astype(g.dtype)
    return FIRST.reduced(g, np.maximum(short, 0).astype(g.dtype), {"input": slope})


def others_of(g: Given) -> tuple[Array, Array]:
    """(1 - t) x, and its slope."""
    t = g.sign("target")
    return (1 - t) * g["input"], 1 - t


@fault("categorical_hinge", BOTH)
def categorical_hinge_own_place_left_out(g: Given) -> Answer:
    """The maximum is over the other classes only, as Crammer and Singer have it; here a 0 is among them."""
    others, slope = others_of(g)
    t = g.sign("target")
    has_others = (t < 1).any(axis=-1, keepdims=True)
    masked = np.where((t == 1) & has_others, -np.inf, others)
    return of_parts(g, masked.astype(g.dtype), slope)


@fault("categorical_hinge", BOTH)
def categorical_hinge_minus_one_is_zero(g: Given) -> Answer:
    """Labels of -1 become 0 first: with one label the same, it seems."""
    return right.categorical_hinge(given(g, target=np.maximum(g["target"], 0)))


@fault("categorical_hinge", BOTH)
def categorical_hinge_first_label_only(g: Given) -> Answer:
    """argmax of the labels and one score: a second label is no label, and no label is the first."""
    first = np.arange(g["target"].shape[-1]) == np.argmax(g["target"], axis=-1)[..., None]
    return right.categorical_hinge(given(g, target=np.where(first, 1, np.minimum(g["target"], 0))))


@fault("categorical_hinge", BOTH)
def categorical_hinge_mean_over_the_scores(g: Given) -> Answer:
    """The mean divides by the number of scores, not of rows."""
    answer, classes = right.categorical_hinge(g), g.constant(g["input"].shape[-1])
    return each(answer, lambda a: a / classes) if is_mean(g) else answer


@fault("categorical_hinge", BOTH)
def categorical_hinge_squared(g: Given) -> Answer:
    """The hinge is squared, as that of `squared_hinge` beside it."""
    loss = right.categorical_hinge(but(g, reduction="none"))
    slope = 2 * loss.value[..., None] * loss.gradients["input"]
    return FIRST.reduced(g, loss.value * loss.value, {"input": slope})


@fault("categorical_hinge", GRADIENT)
def categorical_hinge_gradient_of_the_label_missing(g: Given) -> Answer:
    """The slope of the maximum is 1, not 1 - t: the same for labels of 0 and 1."""
    answer, (others, slope) = right.categorical_hinge(g), others_of(g)
    wrong = of_parts(g, others, np.minimum(slope, 1))
    return answered(answer, input=wrong.gradients["input"])


@fault("categorical_hinge", GRADIENT)
def categorical_hinge_gradient_without_margin(g: Given) -> Answer:
    """The backward pass asks whether another class is higher, not whether it is within the margin."""
    others, slope = others_of(g)
    active = others.max(axis=-1) > pairwise(g.sign("target") * g["input"])
    return answered(right.categorical_hinge(g), **of_parts(g, others, slope, active=active).gradients)


@fault("categorical_hinge", GRADIENT)
def categorical_hinge_gradient_of_satisfied_rows(g: Given) -> Answer:
    """The clamp at 0 is in the forward pass only."""
    everywhere = np.ones(g["input"].shape[:-1], bool)
    return answered(right.categorical_hinge(g), **of_parts(g, *others_of(g), active=everywhere).gradients)


@fault("categorical_hinge", GRADIENT)
def categorical_hinge_gradient_of_the_last_label(g: Given) -> Answer:
    """grad[label] is assigned for one label, the last; the others get nothing."""
    t = g["target"]
    later = np.cumsum((t == 1)[..., ::-1], axis=-1)[..., ::-1] - (t == 1)
    answer = right.categorical_hinge(g)
    return answered(answer, input=np.where((t == 1) & (later > 0), 0, answer.gradients["input"]))


@fault("categorical_hinge", VALUE)
def categorical_hinge_margin_of_the_mean(g: Given) -> Answer:
    """The margin is added after the mean, where a row that is satisfied by more than it counts against the others."""
    x, t = g["input"], g.sign("target")
    gap = others_of(g)[0].max(axis=-1) - pairwise(t * x)
    if not is_mean(g):
        return right.categorical_hinge(g)
    value = np.maximum(1 + FIRST.reduced(g, gap, {}).value, 0)
    return answered(right.categorical_hinge(g), value)


@fault("categorical_hinge", SPECIAL)
def categorical_hinge_nan_is_no_loss(g: Given) -> Answer:
    """if (loss > 0): a NaN is not greater than 0."""
    answer = right.categorical_hinge(g)
    loss = right.categorical_hinge(but(g, reduction="none")).value
    return revalued(g, answer, np.where(loss > 0, loss, 0))


@fault("categorical_hinge", PRECISION, dtypes=("float64",))
def categorical_hinge_scores_in_float32(g: Given) -> Answer:
    """Labels are cast to the default float, and the scores with them."""
    narrow = g["input"].astype(np.float32).astype(g.dtype)
    return right.categorical_hinge(given(g, input=narrow))


@fault_of_call("categorical_hinge", SHAPE)
def categorical_hinge_of_two_axes_only(call: Call, right: Right, memory: Memory) -> Output:
    """max(axis=1): a single row has no such axis."""
    if call.inputs["input"].ndim < 2:
        raise IndexError("axis 1 is out of bounds for array of dimension 1")
    return right.run(call)


@fault_of_call("categorical_hinge", LAYOUT)
def categorical_hinge_labels_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The labels are read as they lie, and were transposed."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("categorical_hinge", INVALID)
def categorical_hinge_any_label(call: Call, right: Right, memory: Memory) -> Output:
    """A label of 2 is a number like any other."""
    return right.answer(call)
