"""The divergence of what need not add up: generalised_kl."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import elementwise
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


def losses(g: Given) -> Array:
    """The losses, not reduced."""
    return right.generalised_kl(but(g, reduction="none")).value


def reduced_slope(g: Given, slope: Array) -> Array:
    return FIRST.reduced(g, slope, {"": slope}).gradients[""]


@fault("generalised_kl", BOTH)
def generalised_kl_plain(g: Given) -> Answer:
    """Both are taken to add up to 1: the plain divergence."""
    return elementwise.kl_div(but(g, log_target=False))


@fault("generalised_kl", BOTH)
def generalised_kl_excess_the_wrong_way(g: Given) -> Answer:
    """The target less the prediction is added, where it should be the prediction less the target."""
    x, t = g["input"], g["target"]
    plain = elementwise.kl_div(but(g, log_target=False, reduction="none"))
    slopes = {"input": plain.gradients["input"] - np.exp(x), "target": plain.gradients["target"] + 1}
    return FIRST.reduced(g, plain.value + (t - np.exp(x)), slopes)


@fault("generalised_kl", BOTH)
def generalised_kl_target_not_subtracted(g: Given) -> Answer:
    """The target is a constant, says somebody, and leaves it out: so does the loss of Poisson regression."""
    t = g["target"]
    answer = right.generalised_kl(but(g, reduction="none"))
    slopes = {**answer.gradients, "target": answer.gradients["target"] + 1}
    return FIRST.reduced(g, answer.value + t, slopes)


@fault("generalised_kl", BOTH)
def generalised_kl_input_is_no_logarithm(g: Given) -> Answer:
    """The input is added as it stands, as if it were the mass and not its logarithm."""
    x, t = g["input"], g["target"]
    plain = elementwise.kl_div(but(g, log_target=False, reduction="none"))
    slopes = {"input": plain.gradients["input"] + 1, "target": plain.gradients["target"] - 1}
    return FIRST.reduced(g, plain.value + (x - t), slopes)


@fault("generalised_kl", BOTH)
def generalised_kl_of_positive_targets_only(g: Given) -> Answer:
    """The mask of positive targets is laid over all of the loss: what is predicted for a target of 0 costs nothing."""
    there = g["target"] > 0
    answer = right.generalised_kl(but(g, reduction="none"))
    return FIRST.reduced(
        g,
        np.where(there, answer.value, 0),
        {
            "input": np.where(there, answer.gradients["input"], 0),
            "target": np.where(there, answer.gradients["target"], 0),
        },
    )


@fault("generalised_kl", GRADIENT)
def generalised_kl_gradient_without_the_excess(g: Given) -> Answer:
    """-target: the slope of the plain divergence."""
    return answered(right.generalised_kl(g), input=reduced_slope(g, -g["target"]))


@fault("generalised_kl", GRADIENT)
def generalised_kl_gradient_by_the_mass(g: Given) -> Answer:
    """1 - target / exp(input): the slope by the mass, not by its logarithm."""
    x, t = g["input"], g["target"]
    near = np.abs(x) < 60
    slope = np.where(
        near, 1 - t / np.exp(np.where(near, x, 0)), right.generalised_kl(but(g, reduction="none")).gradients["input"]
    )
    return answered(right.generalised_kl(g), input=reduced_slope(g, slope.astype(g.dtype)))


@fault("generalised_kl", GRADIENT)
def generalised_kl_gradient_of_the_target_with_1(g: Given) -> Answer:
    """log t - x + 1: that of the plain divergence; the excess's -1 is forgotten."""
    answer = right.generalised_kl(but(g, reduction="none"))
    return answered(right.generalised_kl(g), target=reduced_slope(g, answer.gradients["target"] + 1))


@fault("generalised_kl", GRADIENT)
def generalised_kl_target_detached(g: Given) -> Answer:
    """The target is a constant: its gradient is 0."""
    answer = right.generalised_kl(g)
    return answered(answer, target=np.zeros_like(answer.gradients["target"]))


@fault("generalised_kl", VALUE)
def generalised_kl_not_below_zero(g: Given) -> Answer:
    """What is below 1e-4 is taken for rounding and set to 0."""
    loss = losses(g)
    return revalued(g, right.generalised_kl(g), np.where(np.abs(loss) < g.constant(1e-4), 0, loss).astype(g.dtype))


@fault("generalised_kl", SPECIAL)
def generalised_kl_zero_times_logarithm(g: Given) -> Answer:
    """t log t as it stands: 0 * -inf for a target of 0."""
    return revalued(g, right.generalised_kl(g), np.where(g["target"] == 0, np.nan, losses(g)).astype(g.dtype))


@fault("generalised_kl", SPECIAL)
def generalised_kl_impossible_and_absent(g: Given) -> Answer:
    """xlogy guards the target's logarithm, and t * x is 0 * -inf beside it (google-deepmind/optax#1786)."""
    lost = (g["target"] == 0) & np.isinf(g["input"])
    return revalued(g, right.generalised_kl(g), np.where(lost, np.nan, losses(g)).astype(g.dtype))


@fault("generalised_kl", VALUE)
def generalised_kl_prediction_clipped(g: Given) -> Answer:
    """The prediction is clipped at 1e-7: what was thought impossible costs 16 times its mass, no more."""
    least = g.constant(np.log(1e-7))
    clipped = losses(given(g, input=np.maximum(g["input"], least)))
    return revalued(g, right.generalised_kl(g), np.where(g["input"] < least, clipped, losses(g)).astype(g.dtype))


@fault("generalised_kl", PRECISION, dtypes=("float64",))
def generalised_kl_exponential_in_float32(g: Given) -> Answer:
    """exp(input) by the float32 routine: seven digits, and 0 below exp(-103)."""
    if g.parameters["reduction"] != "none":
        return right.generalised_kl(g)
    x = g["input"]
    with np.errstate(all="ignore"):
        coarse = np.exp(x.astype(np.float32)).astype(g.dtype)
    return revalued(g, right.generalised_kl(g), losses(g) + np.where(np.isfinite(coarse), coarse - np.exp(x), 0))


@fault("generalised_kl", BOTH)
def generalised_kl_batchmean_is_mean(g: Given) -> Answer:
    """batchmean divides by all elements."""
    other = "mean" if g.parameters["reduction"] == "batchmean" else g.parameters["reduction"]
    return right.generalised_kl(but(g, reduction=other))


@fault("generalised_kl", SHAPE)
def generalised_kl_mean_over_the_last_axis(g: Given) -> Answer:
    """The mean divides by the length of the last axis; of one axis alone it is right."""
    if not is_mean(g) or g["input"].ndim < 3:
        return right.generalised_kl(g)
    return each(right.generalised_kl(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[-1]))


@fault_of_call("generalised_kl", STATE)
def generalised_kl_logarithm_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """The input is turned into the mass where it lies, and the caller's logarithms are gone."""
    output = right.run(call)
    with np.errstate(all="ignore"):
        call.inputs["input"][...] = np.exp(call.inputs["input"].astype(np.float64)).astype(call.inputs["input"].dtype)
    return output


@fault_of_call("generalised_kl", LAYOUT)
def generalised_kl_target_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Both are walked through as they lie in memory."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("generalised_kl", INVALID)
def generalised_kl_negative_target_is_0(call: Call, right: Right, memory: Memory) -> Output:
    """where(target > 0, ..., exp(input)): a negative target costs nothing more, and is not noticed."""
    return right.run(call_with(call, {"target": np.maximum(call.inputs["target"], 0)}))
