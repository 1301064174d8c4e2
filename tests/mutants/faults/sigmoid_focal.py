"""Cross-entropy focused on what is missed: sigmoid_focal."""

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


def weight(g: Given) -> Array:
    """What alpha makes of each label."""
    t, alpha = g["target"], g.real("alpha")
    return np.asarray(alpha * t + (1 - alpha) * (1 - t) if g.parameters["balanced"] else np.ones_like(t))


def focus(g: Given) -> Array:
    """The power of 1 - p_t."""
    return np.asarray(np.exp(g.real("gamma") * right.focal_parts(g)[0]))


def by_input(g: Given, slope: Array) -> Answer:
    """The right answer with this gradient, not yet reduced."""
    return answered(right.sigmoid_focal(g), **FIRST.reduced(g, slope, {"input": slope}).gradients)


@fault("sigmoid_focal", BOTH)
def sigmoid_focal_alpha_of_the_negative(g: Given) -> Answer:
    """alpha weights label 0, and 1 - alpha label 1."""
    return right.sigmoid_focal(but(g, alpha=1 - g.parameters["alpha"]))


@fault("sigmoid_focal", BOTH)
def sigmoid_focal_alpha_of_all(g: Given) -> Answer:
    """alpha weights every label alike."""
    if not g.parameters["balanced"]:
        return right.sigmoid_focal(g)
    return each(right.sigmoid_focal(but(g, balanced=False)), lambda a: a * g.real("alpha"))


@fault("sigmoid_focal", BOTH)
def sigmoid_focal_always_balanced(g: Given) -> Answer:
    """alpha counts, asked for or not."""
    return right.sigmoid_focal(but(g, balanced=True))


@fault("sigmoid_focal", BOTH)
def sigmoid_focal_power_of_the_hit(g: Given) -> Answer:
    """p_t to the gamma: what is right already counts, and what is missed does not."""
    turned = right.focal_parts(given(g, input=-g["input"]))
    _, entropy, _, slope = right.focal_parts(g)
    power = np.exp(g.real("gamma") * turned[0])
    loss = weight(g) * power * entropy
    return FIRST.reduced(g, loss, {"input": weight(g) * power * (slope - g.real("gamma") * turned[2] * entropy)})


@fault("sigmoid_focal", GRADIENT)
def sigmoid_focal_focus_is_a_constant(g: Given) -> Answer:
    """The focus is detached: only the cross-entropy is differentiated."""
    return by_input(g, weight(g) * focus(g) * right.focal_parts(g)[3])


@fault("sigmoid_focal", GRADIENT)
def sigmoid_focal_gradient_of_gamma_two(g: Given) -> Answer:
    """The derivative of the power has the factor 2, whatever gamma is."""
    _, entropy, by_x, slope = right.focal_parts(g)
    moved = np.where(by_x == 0, 0, 2 * by_x * entropy)
    return by_input(g, weight(g) * focus(g) * (moved + slope))


@fault("sigmoid_focal", GRADIENT)
def sigmoid_focal_gradient_not_balanced(g: Given) -> Answer:
    """The gradient does not know of alpha."""
    return answered(right.sigmoid_focal(g), **right.sigmoid_focal(but(g, balanced=False)).gradients)


@fault("sigmoid_focal", GRADIENT)
def sigmoid_focal_gradient_by_the_probability(g: Given) -> Answer:
    """gamma (1 - p_t)^(gamma - 1) as it stands: below gamma 1, infinity times 0 for a confident right answer."""
    missed, _, _, _ = right.focal_parts(g)
    lost = (np.exp(missed) == 0) & (g.parameters["gamma"] < 1)
    answer = right.sigmoid_focal(g)
    return answered(answer, input=np.where(lost, np.nan, answer.gradients["input"]).astype(g.dtype))


@fault("sigmoid_focal", VALUE)
def sigmoid_focal_probability_clipped(g: Given) -> Answer:
    """The probability is clipped at 1e-7: a confident mistake costs 16, no more."""
    x = g["input"]
    most = g.constant(np.log(1e7))
    loss = right.sigmoid_focal(but(given(g, input=np.clip(x, -most, most)), reduction="none")).value
    same = right.sigmoid_focal(but(g, reduction="none")).value
    return revalued(g, right.sigmoid_focal(g), np.where(np.abs(x) > most, loss, same))


@fault("sigmoid_focal", BOTH)
def sigmoid_focal_hard_labels_only(g: Given) -> Answer:
    """Labels are taken to be 0 or 1: a label above one half is 1."""
    return right.sigmoid_focal(given(g, target=(g["target"] > 0.5).astype(g.dtype)))


@fault("sigmoid_focal", BOTH)
def sigmoid_focal_mean_by_the_positives(g: Given) -> Answer:
    """The mean is over the positive labels, as the paper normalises by assigned anchors."""
    if not is_mean(g):
        return right.sigmoid_focal(g)
    count = np.maximum(g["target"].reshape(len(g["target"]), -1).sum(axis=1), 1).astype(g.dtype)
    return each(right.sigmoid_focal(but(g, reduction="sum")), lambda a: over(a, count))


@fault("sigmoid_focal", SPECIAL)
def sigmoid_focal_probability_first(g: Given) -> Answer:
    """log(sigmoid(x)): of a confident mistake it is log(0)."""
    lost = np.exp(-np.abs(g["input"])) == 0
    loss = right.sigmoid_focal(but(g, reduction="none")).value
    wrong = (g["input"] > 0) == (g["target"] < 0.5)
    return revalued(g, right.sigmoid_focal(g), np.where(lost & wrong & (weight(g) > 0), np.inf, loss))


@fault("sigmoid_focal", SHAPE)
def sigmoid_focal_mean_over_the_last_axis(g: Given) -> Answer:
    """The mean divides by the length of the last axis; of one axis alone it is right."""
    if not is_mean(g) or g["input"].ndim < 3:
        return right.sigmoid_focal(g)
    return each(right.sigmoid_focal(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[-1]))


@fault_of_call("sigmoid_focal", STATE)
def sigmoid_focal_first_gamma_kept(call: Call, right: Right, memory: Memory) -> Output:
    """gamma is compiled in at the first call."""
    output = right.run(call)
    kept = memory.setdefault("gamma", call.parameters["gamma"])
    return output if kept == call.parameters["gamma"] else right.run(call_with(call, gamma=kept))


@fault_of_call("sigmoid_focal", LAYOUT)
def sigmoid_focal_target_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Logits and labels are walked through as they lie in memory."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("sigmoid_focal", INVALID)
def sigmoid_focal_any_target(call: Call, right: Right, memory: Memory) -> Output:
    """The formula has a value for a label of 2, and so it is answered."""
    return right.answer(call)
