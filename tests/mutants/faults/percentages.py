"""Errors beside the size of the target: mape."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import pointwise as right
from tests.controls.parts import FIRST, Answer, Array, Given
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, revalued
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    PRECISION,
    SHAPE,
    SPECIAL,
    STATE,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def base(g: Given) -> Array:
    """What is divided by."""
    return np.asarray(np.maximum(np.abs(g["target"]), g.real("eps")))


def by_target(g: Given, slope: Array) -> Answer:
    """The right answer with this gradient by the target, not yet reduced."""
    return answered(right.mape(g), **FIRST.reduced(g, slope, {"target": slope}).gradients)


@fault("mape", BOTH)
def mape_as_a_fraction(g: Given) -> Answer:
    """Nothing is multiplied by 100."""
    return right.mape(but(g, scale=1.0))


@fault("mape", VALUE)
def mape_of_the_prediction(g: Given) -> Answer:
    """The error is divided by the size of the prediction."""
    size = np.maximum(np.abs(g["input"]), g.real("eps"))
    return revalued(g, right.mape(g), g.real("scale") * np.abs(g["input"] - g["target"]) / size)


@fault("mape", VALUE)
def mape_symmetric(g: Given) -> Answer:
    """Divided by the mean of both sizes, as the symmetric kind is."""
    size = np.maximum((np.abs(g["input"]) + np.abs(g["target"])) / 2, g.real("eps"))
    return revalued(g, right.mape(g), g.real("scale") * np.abs(g["input"] - g["target"]) / size)


@fault("mape", VALUE)
def mape_clamped_without_its_sign(g: Given) -> Answer:
    """max(t, eps), as a documentation has it: a negative target counts as eps."""
    size = np.maximum(g["target"], g.real("eps"))
    return revalued(g, right.mape(g), g.real("scale") * np.abs(g["input"] - g["target"]) / size)


@fault("mape", VALUE)
def mape_eps_added(g: Given) -> Answer:
    """|t| + eps is divided by."""
    size = np.abs(g["target"]) + g.real("eps")
    loss = g.real("scale") * np.abs(g["input"] - g["target"]) / size
    return revalued(g, right.mape(g), loss)


@fault("mape", GRADIENT)
def mape_gradient_of_the_target_is_the_errors(g: Given) -> Answer:
    """The target's gradient is the input's, its sign turned: what is divided by is taken to be a constant."""
    answer = right.mape(g)
    return answered(answer, target=-answer.gradients["input"])


@fault("mape", GRADIENT)
def mape_gradient_below_eps(g: Given) -> Answer:
    """The gradient passes through the clamp: below eps, the base moves with the target."""
    slope = -np.sign(g["input"] - g["target"]) - np.abs(g["input"] - g["target"]) / base(g) * np.sign(g["target"])
    inside = np.abs(g["target"]) < g.real("eps")
    rough = by_target(g, g.real("scale") * slope / base(g)).gradients["target"]
    return answered(right.mape(g), target=np.where(inside, rough, right.mape(g).gradients["target"]))


@fault("mape", GRADIENT)
def mape_gradient_not_scaled(g: Given) -> Answer:
    """The gradients are those of the fraction, not of the percentage."""
    return Answer(right.mape(g).value, right.mape(but(g, scale=1.0)).gradients)


@fault("mape", GRADIENT)
def mape_gradient_over_the_target(g: Given) -> Answer:
    """Divided by t, not by |t|: the sign is wrong where the target is negative."""
    answer = right.mape(g)
    turned = np.where(g["target"] < 0, -answer.gradients["input"], answer.gradients["input"])
    return answered(answer, input=turned)


@fault("mape", SPECIAL)
def mape_no_error_without_a_target(g: Given) -> Answer:
    """Where the target is 0, the percentage has no sense, and counts as 0."""
    there = g["target"] != 0
    loss = right.mape(but(g, reduction="none")).value
    return revalued(g, right.mape(g), np.where(there, loss, 0))


@fault("mape", PRECISION)
def mape_one_minus_the_ratio(g: Given) -> Answer:
    """|1 - x / t|: of a good prediction the digits cancel."""
    x, t = g["input"], g["target"]
    near = np.abs(x - t) < np.abs(t) * g.constant(1e-3)
    loss = right.mape(but(g, reduction="none")).value
    rough = g.real("scale") * np.abs(1 - x / t)
    return revalued(g, right.mape(g), np.where(near & (np.abs(t) > g.real("eps")), rough, loss))


@fault("mape", SHAPE)
def mape_of_the_sums(g: Given) -> Answer:
    """The mean is the sum of the errors over the sum of the targets."""
    if not is_mean(g):
        return right.mape(g)
    count = g.constant(g["input"][0].size)
    total = np.abs(g["input"] - g["target"]).reshape(len(g["input"]), -1).sum(axis=1)
    size = base(g).reshape(len(g["input"]), -1).sum(axis=1)
    weighted = g.real("scale") * total / size
    return answered(right.mape(g), np.where(count > 1, weighted, right.mape(g).value).astype(g.dtype))


@fault("mape", BOTH)
def mape_capped(g: Given) -> Answer:
    """No more than ten times the target counts."""
    answer = right.mape(but(g, reduction="none"))
    most = 10 * g.real("scale")
    beyond = answer.value > most
    slopes = {name: np.where(beyond, 0, a).astype(g.dtype) for name, a in answer.gradients.items()}
    return FIRST.reduced(g, np.minimum(answer.value, most), slopes)


@fault("mape", SPECIAL)
def mape_nan_is_no_error(g: Given) -> Answer:
    """A prediction that is NaN costs nothing."""
    return right.mape(given(g, input=np.where(np.isnan(g["input"]), g["target"], g["input"])))


@fault("mape", SHAPE)
def mape_mean_over_the_last_axis(g: Given) -> Answer:
    """The mean divides by the length of the last axis; of one axis alone it is right."""
    if not is_mean(g) or g["input"].ndim < 3:
        return right.mape(g)
    return each(right.mape(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[-1]))


@fault_of_call("mape", STATE)
def mape_target_raised_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """The target's size is raised to eps where it lies, and the caller's array is another one afterwards."""
    output = right.run(call)
    t = call.inputs["target"]
    np.maximum(np.abs(t), call.parameters["eps"], out=t, casting="unsafe")
    return output


@fault_of_call("mape", LAYOUT)
def mape_target_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Predictions and targets are walked through as they lie in memory."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("mape", INVALID)
def mape_any_target(call: Call, right: Right, memory: Memory) -> Output:
    """A target of 0 without eps is answered by an infinity."""
    return right.answer(call)
