"""Binary cross-entropy on probabilities."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import elementwise as right
from tests.controls.parts import FIRST, Answer, Array, Given, weighted
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


def weight_of(g: Given) -> Array:
    return g.weight("weight", g["input"].ndim)


def by_input(g: Given, slope: Array) -> Answer:
    """The right answer, with this gradient by the input, neither weighted nor reduced."""
    slope = weighted(weight_of(g), slope)
    reduced = FIRST.reduced(g, slope, {"input": slope}).gradients["input"]
    return answered(right.bce(g), input=reduced)


@fault("bce", VALUE)
def bce_logarithms_from_minus_100(g: Given) -> Answer:
    """Logarithms are clamped at -100, so that no loss is infinite; the gradient is not clamped."""
    x, t = g["input"], g["target"]
    log, log_rest = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    return revalued(g, right.bce(g), weight_of(g) * -(t * log + (1 - t) * log_rest))


@fault("bce", VALUE)
def bce_probability_clipped(g: Given) -> Answer:
    """Probabilities are clipped to [1e-7, 1 - 1e-7] in the forward pass, with a straight-through gradient."""
    clipped = given(g, input=np.clip(g["input"], g.constant(1e-7), g.constant(1 - 1e-7)))
    return answered(right.bce(g), right.bce(clipped).value)


@fault("bce", BOTH)
def bce_epsilon_twice(g: Given) -> Answer:
    """Probabilities are clipped, and an epsilon is added once more in the logarithm (tensorflow/tensorflow#41595)."""
    x, t, eps = np.clip(g["input"], g.constant(1e-7), g.constant(1 - 1e-7)), g["target"], g.constant(1e-7)
    loss = -(t * np.log(x + eps) + (1 - t) * np.log(1 - x + eps))
    slope = np.where(x == g["input"], (1 - t) / (1 - x + eps) - t / (x + eps), 0)
    return revalued(g, by_input(g, slope), weight_of(g) * loss)


@fault("bce", GRADIENT)
def bce_denominator_clamped(g: Given) -> Answer:
    """(x - t) / max(x (1 - x), 1e-12): below 1e-12 the gradient shrinks again (pytorch/pytorch#103316)."""
    x, t = g["input"], g["target"]
    answer = right.bce(g)
    small = x * (1 - x) < 1e-12
    rough = by_input(g, (x - t) / np.maximum(x * (1 - x), g.constant(1e-12))).gradients["input"]
    return answered(answer, input=np.where(small, rough, answer.gradients["input"]))


@fault("bce", GRADIENT)
def bce_gradient_of_the_clip(g: Given) -> Answer:
    """Where the probability is clipped, autodiff sees a constant: a confident mistake gets no gradient
    (keras-team/keras#9664)."""
    x, answer = g["input"], right.bce(g)
    beyond = (x < g.constant(1e-7)) | (x > g.constant(1 - 1e-7))
    return answered(answer, input=np.where(beyond, 0, answer.gradients["input"]))


@fault("bce", BOTH)
def bce_weight_of_the_positive(g: Given) -> Answer:
    """The weight multiplies the term of the target only, as a weight for positives would."""
    x, t, w = g["input"], g["target"], weight_of(g)
    wrong = np.where(t == 0, 0, w * (t * np.log(x)))
    rest = np.where(t == 1, 0, (1 - t) * np.log1p(-x))
    slope = np.where(t == 1, 0, (1 - t) / (1 - x)) - np.where(t == 0, 0, w * (t / x))
    return FIRST.reduced(g, -(wrong + rest), {"input": slope, "target": np.log1p(-x) - w * np.log(x)})


@fault("bce", BOTH)
def bce_mean_by_weight(g: Given) -> Answer:
    """The weighted mean divides by the weights."""
    if not is_mean(g) or "weight" not in g.inputs:
        return right.bce(g)
    w = np.broadcast_to(weight_of(g), g["input"].shape).reshape(len(g["input"]), -1).sum(axis=1)
    return each(right.bce(but(g, reduction="sum")), lambda a: a / w.reshape(-1, *(1,) * (a.ndim - 1)))


@fault("bce", GRADIENT)
def bce_gradient_of_the_target_turned(g: Given) -> Answer:
    """log(x) - log(1 - x) for the target: the loss has a minus in front."""
    answer = right.bce(g)
    return answered(answer, target=-answer.gradients["target"])


@fault("bce", VALUE)
def bce_logarithm_of_the_rest(g: Given) -> Answer:
    """log(1 - x), not log1p(-x): of a small probability nothing is left in 1 - x."""
    x, t = g["input"], g["target"]
    loss = -(np.where(t == 0, 0, t * np.log(x)) + np.where(t == 1, 0, (1 - t) * np.log(1 - x)))
    return revalued(g, right.bce(g), weight_of(g) * loss)


@fault("bce", SPECIAL)
def bce_zero_times_infinity(g: Given) -> Answer:
    """t log(x) + (1 - t) log(1 - x) as it stands: where both are 0 it is 0 * -inf."""
    x, t = g["input"], g["target"]
    return revalued(g, right.bce(g), weight_of(g) * -(t * np.log(x) + (1 - t) * np.log1p(-x)))


@fault("bce", SHAPE)
def bce_weight_by_the_first_axis(g: Given) -> Answer:
    """A weight that lacks the first axes is aligned to them, where it should be to the last: squares hide it."""
    w, x = g.inputs.get("weight"), g["input"]
    if w is None or w.ndim != 2 or x.ndim != 3 or w.shape[1] > x.shape[1]:
        return right.bce(g)
    column = np.ones(x.shape[:2], g.dtype)
    column[:, : w.shape[1]] = w
    return right.bce(given(g, weight=column[..., None]))


@fault("bce", BOTH)
def bce_target_rounded(g: Given) -> Answer:
    """Targets are labels, and are compared with 1/2: soft ones are rounded."""
    return right.bce(given(g, target=(g["target"] > 0.5).astype(g.dtype)))


@fault("bce", PRECISION, dtypes=("float64",))
def bce_input_in_float32(g: Given) -> Answer:
    """A network's output is float32 anyway, and is cast to it."""
    return right.bce(given(g, input=g["input"].astype(np.float32).astype(g.dtype)))


@fault("bce", PRECISION, dtypes=("float32",))
def bce_loss_in_float16(g: Given) -> Answer:
    """Under autocast the elementwise loss is kept in float16 and added up in float32."""
    answer = right.bce(but(g, reduction="none"))
    return revalued(g, right.bce(g), answer.value.astype(np.float16).astype(g.dtype))


@fault_of_call("bce", STATE)
def bce_complement_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """1 - input is computed where input lies, and who asks for it afterwards finds the other probability."""
    output, x = right.run(call), call.inputs["input"]
    np.subtract(1, x, out=x)
    return output


@fault_of_call("bce", STATE)
def bce_clipped_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """np.clip(input, eps, 1 - eps, out=input): the logarithm is safe, and certain probabilities are gone for good."""
    output, x = right.run(call), call.inputs["input"]
    eps = np.finfo(x.dtype).eps
    np.clip(x, eps, 1 - eps, out=x)
    return output


@fault_of_call("bce", INVALID)
def bce_probability_saturates(call: Call, right: Right, memory: Memory) -> Output:
    """A probability above 1 or below 0 is taken for 1 or 0: the clip hides a missing sigmoid."""
    return right.run(call_with(call, {"input": np.clip(call.inputs["input"], 0, 1)}))


@fault_of_call("bce", LAYOUT)
def bce_input_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """A transposed view has the same pointer, size and type as what it is a view of."""
    x = call.inputs["input"]
    return right.run(call_with(call, {"input": as_it_lies(x)}))
