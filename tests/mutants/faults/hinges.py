"""Hinges of a score and its label: hinge and squared_hinge."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import pointwise as right
from tests.controls.parts import FIRST, Answer, Array, Given
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, revalued, slopes
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


def label(g: Given) -> Array:
    """1 and -1."""
    return np.asarray(np.where(g["target"] == 1, 1, -1).astype(g.dtype))


def sloped(g: Given, answer: Answer, slope: Array) -> Answer:
    """The answer with this gradient, not yet reduced."""
    return answered(answer, **FIRST.reduced(g, slope, {"input": slope}).gradients)


@fault("hinge", BOTH)
def hinge_zero_is_a_factor(g: Given) -> Answer:
    """1 - t x with a label of 0: the loss of every negative is 1, and its gradient 0."""
    t = g["target"].astype(g.dtype)
    short = 1 - t * g["input"]
    return FIRST.reduced(g, np.maximum(short, 0), {"input": np.where(short > 0, -t, 0)})


@fault("hinge", BOTH)
def hinge_labels_mapped_twice(g: Given) -> Answer:
    """2 t - 1 of labels that are -1 and 1 already: -3 and 1."""
    t = label(g) if g.parameters["zero_one"] else 2 * label(g) - 1
    short = 1 - t * g["input"]
    return FIRST.reduced(g, np.maximum(short, 0), {"input": np.where(short > 0, -t, 0)})


@fault("hinge", BOTH)
def hinge_of_the_perceptron(g: Given) -> Answer:
    """max(0, -y x): there is no margin."""
    short = -label(g) * g["input"]
    return FIRST.reduced(g, np.maximum(short, 0), {"input": np.where(short > 0, -label(g), 0)})


@fault("hinge", GRADIENT)
def hinge_gradient_of_the_perceptron(g: Given) -> Answer:
    """Only wrong scores have a gradient; right ones within the margin have none."""
    lead = label(g) * g["input"]
    return sloped(g, right.hinge(g), np.where(lead < 0, -label(g), 0))


@fault("hinge", GRADIENT)
def hinge_gradient_beyond_the_margin(g: Given) -> Answer:
    """The gradient is -y everywhere: the maximum is forgotten."""
    return sloped(g, right.hinge(g), -label(g))


@fault("hinge", GRADIENT)
def hinge_gradient_of_the_mean_not_divided(g: Given) -> Answer:
    """The mean's gradient is that of the sum."""
    if not is_mean(g):
        return right.hinge(g)
    return Answer(right.hinge(g).value, right.hinge(but(g, reduction="sum")).gradients)


@fault("hinge", BOTH)
def hinge_smoothed(g: Given) -> Answer:
    """The hinge is rounded within 0.01 of the margin, so that it has a second derivative."""
    h, short = g.constant(0.01), 1 - label(g) * g["input"]
    near = (short > 0) & (short < h)
    loss = np.where(near, short * short / (2 * h), np.maximum(short - h / 2, 0))
    loss = np.where(short >= h, short, loss)  # shifted back, so that it shows near the margin only
    slope = np.where(near, -label(g) * short / h, np.where(short > 0, -label(g), 0))
    return FIRST.reduced(g, loss, {"input": slope})


@fault("hinge", SPECIAL)
def hinge_nan_within_the_margin(g: Given) -> Answer:
    """where(1 - y x > 0, 1 - y x, 0): a NaN is not above 0, and costs nothing."""
    short = 1 - label(g) * g["input"]
    return revalued(g, right.hinge(g), np.where(short > 0, short, 0))


@fault("hinge", SPECIAL)
def hinge_mask_multiplied(g: Given) -> Answer:
    """(1 - y x) times a mask of those above 0: for an infinite right score, -inf * 0."""
    short = 1 - label(g) * g["input"]
    return revalued(g, right.hinge(g), short * (short > 0))


@fault("hinge", SHAPE)
def hinge_mean_over_the_active(g: Given) -> Answer:
    """The mean is over those that cost anything."""
    if not is_mean(g):
        return right.hinge(g)
    active = (label(g) * g["input"] < 1).reshape(len(g["input"]), -1).sum(axis=1).astype(g.dtype)
    count = np.maximum(active, 1)
    return each(right.hinge(but(g, reduction="sum")), lambda a: a / count.reshape(-1, *(1,) * (a.ndim - 1)))


@fault_of_call("hinge", STATE)
def hinge_kind_of_labels_remembered(call: Call, right: Right, memory: Memory) -> Output:
    """Whether labels are 0 and 1 is seen once, at the first call, and compiled in."""
    kind = memory.setdefault("zero_one", call.parameters["zero_one"])
    target = call.inputs["target"]
    if kind != call.parameters["zero_one"]:
        target = 2 * target - 1 if call.parameters["zero_one"] else np.where(target == 1, 1, 0)
        return right.answer(call_with(call, {"input": call.inputs["input"] * target, "target": np.ones_like(target)}))
    return right.run(call)


@fault_of_call("hinge", INVALID)
def hinge_any_label(call: Call, right: Right, memory: Memory) -> Output:
    """A label of 2, or of 0 among -1 and 1, is answered."""
    return right.answer(call)


@fault("squared_hinge", BOTH)
def squared_hinge_half(g: Given) -> Answer:
    """Half the square, so that its derivative has no factor."""
    return each(right.squared_hinge(g), lambda a: a / 2)


@fault("squared_hinge", GRADIENT)
def squared_hinge_gradient_of_the_half(g: Given) -> Answer:
    """The loss has no half, and its gradient is written as if it had."""
    return slopes(right.squared_hinge(g), lambda a: a / 2)


@fault("squared_hinge", GRADIENT)
def squared_hinge_gradient_of_the_hinge(g: Given) -> Answer:
    """-2 y: the factor of the square is there, the distance is not."""
    active = label(g) * g["input"] < 1
    return sloped(g, right.squared_hinge(g), np.where(active, -2 * label(g), 0))


@fault("squared_hinge", GRADIENT)
def squared_hinge_gradient_without_the_label(g: Given) -> Answer:
    """-2 max(0, 1 - y x): right for positive labels."""
    short = np.maximum(1 - label(g) * g["input"], 0)
    return sloped(g, right.squared_hinge(g), -2 * short)


@fault("squared_hinge", BOTH)
def squared_hinge_squared_first(g: Given) -> Answer:
    """The square is taken before the maximum: scores beyond the margin cost, too."""
    short = 1 - label(g) * g["input"]
    return FIRST.reduced(g, short * short, {"input": -2 * label(g) * short})


@fault("squared_hinge", BOTH)
def squared_hinge_linear_when_wrong(g: Given) -> Answer:
    """-4 y x where y x < -1, as of the modified Huber loss, which is often called by this name."""
    lead = label(g) * g["input"]
    short = np.maximum(1 - lead, 0)
    loss = np.where(lead < -1, -4 * lead, short * short)
    return FIRST.reduced(g, loss, {"input": np.where(lead < -1, -4 * label(g), -2 * label(g) * short)})


@fault("squared_hinge", VALUE)
def squared_hinge_multiplied_out(g: Given) -> Answer:
    """1 - 2 y x + x^2: near the margin it cancels."""
    x, lead = g["input"], label(g) * g["input"]
    rough = np.where(lead < 1, 1 - 2 * lead + x * x, 0)
    loss = np.where(np.isfinite(x * x), rough, np.square(np.maximum(1 - lead, 0)))
    return revalued(g, right.squared_hinge(g), loss)


@fault("squared_hinge", BOTH)
def squared_hinge_zero_is_a_factor(g: Given) -> Answer:
    """1 - t x with a label of 0: the loss of every negative is 1, and its gradient 0."""
    t = g["target"].astype(g.dtype)
    short = np.maximum(1 - t * g["input"], 0)
    return FIRST.reduced(g, short * short, {"input": -2 * t * short})


@fault("squared_hinge", SPECIAL)
def squared_hinge_gradient_by_the_mask(g: Given) -> Answer:
    """-2 y (1 - y x) times a mask: for an infinite right score, inf * 0."""
    short = 1 - label(g) * g["input"]
    return sloped(g, right.squared_hinge(g), -2 * label(g) * short * (short > 0))


@fault("squared_hinge", GRADIENT)
def squared_hinge_gradient_clipped(g: Given) -> Answer:
    """Gradients are clipped at 1000, against explosions."""
    return slopes(right.squared_hinge(g), lambda a: np.clip(a, -1e3, 1e3).astype(a.dtype))


@fault("squared_hinge", SPECIAL)
def squared_hinge_nan_is_satisfied(g: Given) -> Answer:
    """A NaN is taken to be beyond the margin."""
    x = np.where(np.isnan(g["input"]), label(g) * g.constant(2), g["input"])
    return right.squared_hinge(given(g, input=x.astype(g.dtype)))


@fault_of_call("squared_hinge", LAYOUT)
def squared_hinge_target_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Scores and labels are walked through as they lie in memory."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("squared_hinge", INVALID)
def squared_hinge_any_label(call: Call, right: Right, memory: Memory) -> Output:
    """A label of 2, or of 0 among -1 and 1, is answered."""
    return right.answer(call)
