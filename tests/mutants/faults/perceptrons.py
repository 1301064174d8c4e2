"""Scores on the wrong side of 0: perceptron."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import pointwise as right
from tests.controls.parts import FIRST, Answer, Array, Given
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, over, revalued
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    SHAPE,
    SPECIAL,
    STATE,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def lead(g: Given) -> Array:
    """The score on the side of its label."""
    return np.asarray(g["input"] * g.sign("target"))


def sloped(g: Given, slope: Array) -> Answer:
    """The right answer with this gradient, not yet reduced."""
    return answered(right.perceptron(g), **FIRST.reduced(g, slope, {"input": slope}).gradients)


@fault("perceptron", BOTH)
def perceptron_with_a_margin(g: Given) -> Answer:
    """max(0, 1 - y x): the hinge."""
    short = 1 - lead(g)
    return FIRST.reduced(g, np.maximum(short, 0), {"input": np.where(short > 0, -g.sign("target"), 0)})


@fault("perceptron", BOTH)
def perceptron_sign_of_the_label(g: Given) -> Answer:
    """max(0, y x): what is right costs."""
    return right.perceptron(given(g, target=-g["target"]))


@fault("perceptron", VALUE)
def perceptron_counts_mistakes(g: Given) -> Answer:
    """1 for each mistake, however large."""
    return revalued(g, right.perceptron(g), (lead(g) < 0).astype(g.dtype))


@fault("perceptron", GRADIENT)
def perceptron_gradient_of_the_right_ones(g: Given) -> Answer:
    """-y everywhere: the maximum is forgotten."""
    return sloped(g, -g.sign("target"))


@fault("perceptron", GRADIENT)
def perceptron_gradient_without_the_label(g: Given) -> Answer:
    """-1 for every mistake: right for positive labels."""
    return sloped(g, np.where(lead(g) < 0, -1, 0).astype(g.dtype))


@fault("perceptron", GRADIENT)
def perceptron_gradient_from_a_margin(g: Given) -> Answer:
    """Scores that are right by less than 0.001 have a gradient, too."""
    return sloped(g, np.where(lead(g) < g.constant(1e-3), -g.sign("target"), 0))


@fault("perceptron", GRADIENT)
def perceptron_gradient_of_the_mean_not_divided(g: Given) -> Answer:
    """The mean's gradient is that of the sum."""
    if not is_mean(g):
        return right.perceptron(g)
    return Answer(right.perceptron(g).value, right.perceptron(but(g, reduction="sum")).gradients)


@fault("perceptron", BOTH)
def perceptron_leaky(g: Given) -> Answer:
    """A hundredth of the slope is left on the right side."""
    leak = g.constant(0.01)
    loss = np.where(lead(g) > 0, -leak * lead(g), -lead(g))
    return FIRST.reduced(g, loss, {"input": np.where(lead(g) > 0, -leak, -1) * g.sign("target")})


@fault("perceptron", SPECIAL)
def perceptron_mask_multiplied(g: Given) -> Answer:
    """-y x times a mask of the mistakes: for an infinite right score, inf * 0."""
    return revalued(g, right.perceptron(g), -lead(g) * (lead(g) < 0))


@fault("perceptron", SPECIAL)
def perceptron_nan_is_right(g: Given) -> Answer:
    """where(-y x > 0, -y x, 0): a NaN is not above 0, and costs nothing."""
    return revalued(g, right.perceptron(g), np.where(-lead(g) > 0, -lead(g), 0))


@fault("perceptron", SHAPE)
def perceptron_mean_over_the_mistakes(g: Given) -> Answer:
    """The mean is over those that cost anything."""
    if not is_mean(g):
        return right.perceptron(g)
    count = np.maximum((lead(g) < 0).reshape(len(g["input"]), -1).sum(axis=1), 1).astype(g.dtype)
    return each(right.perceptron(but(g, reduction="sum")), lambda a: over(a, count))


@fault("perceptron", GRADIENT)
def perceptron_gradient_of_the_square(g: Given) -> Answer:
    """The gradient grows with the mistake, as of the square."""
    size = np.minimum(np.maximum(-2 * lead(g), 0), 1e6).astype(g.dtype)
    return sloped(g, -g.sign("target") * size)


@fault("perceptron", VALUE)
def perceptron_small_mistakes_dropped(g: Given) -> Answer:
    """Mistakes below 1e-6 are taken to be rounding, and cost nothing."""
    loss = right.perceptron(but(g, reduction="none")).value
    return revalued(g, right.perceptron(g), np.where(loss < 1e-6, 0, loss))


@fault_of_call("perceptron", STATE)
def perceptron_scores_signed_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """The scores are multiplied by their labels where they lie."""
    output = right.run(call)
    call.inputs["input"][...] *= call.inputs["target"].astype(call.inputs["input"].dtype)
    return output


@fault_of_call("perceptron", LAYOUT)
def perceptron_target_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Scores and labels are walked through as they lie in memory."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("perceptron", INVALID)
def perceptron_any_label(call: Call, right: Right, memory: Memory) -> Output:
    """A label of 0 or 2 is a factor, and answered."""
    return right.answer(call)
