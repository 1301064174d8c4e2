"""Kullback-Leibler divergence."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import elementwise as right
from tests.controls.parts import FIRST, Answer, Array, Given
from tests.mutants.changes import answered, but, call_with, each, is_mean, revalued
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
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


def is_log(g: Given) -> bool:
    return bool(g.parameters["log_target"])


def reduced_slope(g: Given, slope: Array) -> Array:
    return FIRST.reduced(g, slope, {"": slope}).gradients[""]


@fault("kl_div", BOTH)
def kl_div_exponent_missing(g: Given) -> Answer:
    """With log_target the target's logarithm is spared, and so is its exponential in front: t (t - x)."""
    if not is_log(g):
        return right.kl_div(g)
    x, t = g["input"], g["target"]
    return FIRST.reduced(g, t * (t - x), {"input": -t, "target": 2 * t - x})


@fault("kl_div", GRADIENT)
def kl_div_gradient_of_the_log_target_without_1(g: Given) -> Answer:
    """exp(t) (t - x) by t: the product rule's second term, exp(t), is left out."""
    if not is_log(g):
        return right.kl_div(g)
    x, t = g["input"], g["target"]
    slope = np.where(t > -np.inf, np.exp(t) * np.where(t > -np.inf, t - x, 0), 0)
    return answered(right.kl_div(g), target=reduced_slope(g, slope))


@fault("kl_div", GRADIENT)
def kl_div_gradient_of_the_target_without_1(g: Given) -> Answer:
    """t log t by t is taken to be log t."""
    if is_log(g):
        return right.kl_div(g)
    x, t = g["input"], g["target"]
    slope = np.where(t > 0, np.log(np.where(t > 0, t, 1)) - x, 0)
    return answered(right.kl_div(g), target=reduced_slope(g, slope))


@fault("kl_div", BOTH)
def kl_div_batchmean_is_mean(g: Given) -> Answer:
    """batchmean divides by all elements: the difference between the two is not seen in one column."""
    return right.kl_div(but(g, reduction="mean")) if g.parameters["reduction"] == "batchmean" else right.kl_div(g)


@fault("kl_div", BOTH)
def kl_div_mean_is_batchmean(g: Given) -> Answer:
    """mean is the mathematically meaningful one, over the batch alone."""
    return right.kl_div(but(g, reduction="batchmean")) if is_mean(g) else right.kl_div(g)


@fault("kl_div", SPECIAL)
def kl_div_zero_times_logarithm(g: Given) -> Answer:
    """t (log t - x) as it stands: 0 * -inf for a target of 0 (google-deepmind/optax#473)."""
    if is_log(g):
        return right.kl_div(g)
    x, t = g["input"], g["target"]
    return revalued(g, right.kl_div(g), t * (np.log(t) - x))


@fault("kl_div", SPECIAL)
def kl_div_impossible_and_absent(g: Given) -> Answer:
    """xlogy guards the target's logarithm, and t * x is 0 * -inf beside it (google-deepmind/optax#1786)."""
    if is_log(g):
        return right.kl_div(g)
    x, t = g["input"], g["target"]
    loss = right.kl_div(but(g, reduction="none")).value
    return revalued(g, right.kl_div(g), np.where((t == 0) & np.isinf(x), np.nan, loss))


@fault("kl_div", SPECIAL)
def kl_div_log_target_of_0(g: Given) -> Answer:
    """exp(-inf) * (-inf - x) is NaN: a probability of 0 as its logarithm (google-deepmind/optax#1786)."""
    if not is_log(g):
        return right.kl_div(g)
    x, t = g["input"], g["target"]
    return revalued(g, right.kl_div(g), np.exp(t) * (t - x))


@fault("kl_div", VALUE)
def kl_div_target_clipped(g: Given) -> Answer:
    """The target is clipped to [1e-7, 1], which spares the question of 0, and costs something for what is rare."""
    if is_log(g):
        return right.kl_div(g)
    x, t = g["input"], np.clip(g["target"], g.constant(1e-7), np.maximum(g["target"], 1))
    return revalued(g, right.kl_div(g), t * (np.log(t) - x))


@fault("kl_div", GRADIENT)
def kl_div_gradient_of_the_input_is_the_target(g: Given) -> Answer:
    """-target, with log_target too, where it should be -exp(target)."""
    return answered(right.kl_div(g), input=reduced_slope(g, -g["target"])) if is_log(g) else right.kl_div(g)


@fault("kl_div", BOTH)
def kl_div_reversed(g: Given) -> Answer:
    """exp(x) (x - log t): the divergence of the target from the input, since the arguments stand in that order."""
    if not is_log(g):
        return right.kl_div(g)
    x, t = g["input"], g["target"]
    mass = np.exp(x)
    return FIRST.reduced(g, mass * (x - t), {"input": mass * (x - t + 1), "target": -mass})


@fault("kl_div", SPECIAL)
def kl_div_positive_log_targets_only(g: Given) -> Answer:
    """The mask target > 0 stands before the branch on log_target, and drops what has a negative logarithm."""
    if not is_log(g):
        return right.kl_div(g)
    answer, there = right.kl_div(but(g, reduction="none")), g["target"] > 0
    masked = each(answer, lambda a: np.where(there, a, 0))
    return FIRST.reduced(g, masked.value, masked.gradients)


@fault("kl_div", GRADIENT)
def kl_div_target_detached(g: Given) -> Answer:
    """The target is the teacher's, and is detached."""
    answer = right.kl_div(g)
    return answered(answer, target=np.zeros_like(answer.gradients["target"]))


@fault("kl_div", PRECISION, dtypes=("float64",))
def kl_div_exponential_in_float32(g: Given) -> Answer:
    """exp(target) by the float32 routine: seven digits, and 0 below exp(-103)."""
    if not is_log(g) or g.parameters["reduction"] != "none":
        return right.kl_div(g)
    x, t = g["input"], g["target"]
    return revalued(
        g, right.kl_div(g), np.where(t > -np.inf, np.exp(t.astype(np.float32)) * np.where(t > -np.inf, t - x, 0), 0)
    )


@fault("kl_div", SHAPE)
def kl_div_batch_is_the_last_axis(g: Given) -> Answer:
    """batchmean divides by the last axis's length, where the framework's layout has the batch."""
    if g.parameters["reduction"] != "batchmean" or g["input"].ndim < 3:
        return right.kl_div(g)
    return each(right.kl_div(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[-1]))


@fault_of_call("kl_div", STATE)
def kl_div_entropy_from_the_cache(call: Call, right: Right, memory: Memory) -> Output:
    """The target's logarithm is kept for the next call: teachers' targets of one shape are taken to be the same."""
    target = memory.setdefault(
        (call.inputs["target"].shape, call.parameters["log_target"], call.dtype), call.inputs["target"]
    )
    return right.run(call_with(call, {"target": target}))


@fault_of_call("kl_div", INVALID)
def kl_div_negative_target_is_0(call: Call, right: Right, memory: Memory) -> Output:
    """where(target > 0, ..., 0): a negative probability costs nothing, and is not noticed."""
    target = call.inputs["target"]
    return right.run(call if call.parameters["log_target"] else call_with(call, {"target": np.maximum(target, 0)}))
