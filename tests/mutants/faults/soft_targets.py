"""Cross-entropy against probabilities: soft_cross_entropy."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import vectors as right
from tests.controls.first.classes import softmax
from tests.controls.parts import FIRST, Answer, Array, Given, classes_back, classes_last, over_positions, pairwise
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, over, revalued, without
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


def expected(g: Given) -> Array:
    """The smoothed and weighted probabilities, classes last."""
    t, s = classes_last(g["target"]), g.real("label_smoothing")
    w = over_positions(g.class_weight(t.shape[-1]), t.ndim)
    return np.asarray(w * ((1 - s) * t + s / g.constant(t.shape[-1])))


def by_input(g: Given, slope: Array) -> Answer:
    """The right answer with this gradient by the input, classes last, not yet reduced."""
    slopes = FIRST.reduced(g, pairwise(slope), {"input": classes_back(slope)}).gradients
    return answered(right.soft_cross_entropy(g), **slopes)


@fault("soft_cross_entropy", GRADIENT)
def soft_cross_entropy_taken_to_add_up(g: Given) -> Answer:
    """softmax(x) - y: the probabilities are taken to add up to 1."""
    return by_input(g, softmax(classes_last(g["input"]))[0] - expected(g))


@fault("soft_cross_entropy", VALUE)
def soft_cross_entropy_logsumexp_not_weighted(g: Given) -> Answer:
    """logsumexp(x) - sum(y x): right for probabilities that add up to 1."""
    x, q = classes_last(g["input"]), expected(g)
    peak = x.max(axis=-1, keepdims=True)
    shifted = np.where(np.isfinite(x), x - peak, 0)
    loss = np.log(pairwise(np.exp(x - peak))) - pairwise(q * shifted)
    return revalued(g, right.soft_cross_entropy(g), np.where(np.isfinite(x - peak).all(axis=-1), loss, np.inf))


@fault("soft_cross_entropy", BOTH)
def soft_cross_entropy_largest_class_only(g: Given) -> Answer:
    """The probabilities are turned into the index of the largest."""
    t = classes_last(g["target"])
    top = np.arange(t.shape[-1]) == t.argmax(axis=-1)[..., None]
    return right.soft_cross_entropy(given(g, target=classes_back(top.astype(g.dtype))))


@fault("soft_cross_entropy", BOTH)
def soft_cross_entropy_mean_by_weight(g: Given) -> Answer:
    """The mean is over the weight of the classes, as it is of class indices."""
    if not is_mean(g) or "weight" not in g.inputs:
        return right.soft_cross_entropy(g)
    t = classes_last(g["target"])
    w = over_positions(g.class_weight(t.shape[-1]), t.ndim)
    total = pairwise(pairwise(w * t).reshape(len(t), -1))
    return each(right.soft_cross_entropy(but(g, reduction="sum")), lambda a: over(a, total))


@fault("soft_cross_entropy", SHAPE)
def soft_cross_entropy_mean_over_the_batch(g: Given) -> Answer:
    """The mean divides by the batch, whatever positions there are besides."""
    if not is_mean(g) or g["input"].ndim < 4:
        return right.soft_cross_entropy(g)
    return each(right.soft_cross_entropy(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[1]))


@fault("soft_cross_entropy", SHAPE)
def soft_cross_entropy_mean_over_all_classes(g: Given) -> Answer:
    """The mean of the terms, as numpy.mean takes it: the classes are counted, too."""
    if not is_mean(g):
        return right.soft_cross_entropy(g)
    return each(right.soft_cross_entropy(but(g, reduction="sum")), lambda a: a / g.constant(g["input"][0].size))


@fault("soft_cross_entropy", BOTH)
def soft_cross_entropy_smoothing_over_the_others(g: Given) -> Answer:
    """s / (C - 1) for every class: what is taken off the target goes to the others."""
    classes, s = g["input"].shape[1 if g["input"].ndim == 2 else 2], g.parameters["label_smoothing"]
    if classes < 2 or s == 0:
        return right.soft_cross_entropy(g)
    t = (1 - g.constant(s)) * g["target"] + g.constant(s) / g.constant(classes - 1)
    answer = right.soft_cross_entropy(but(given(g, target=t), label_smoothing=0.0))
    return answered(answer, target=(1 - g.constant(s)) * answer.gradients["target"])


@fault("soft_cross_entropy", GRADIENT)
def soft_cross_entropy_gradient_not_smoothed(g: Given) -> Answer:
    """The target's gradient is -w log p: it does not know of the smoothing."""
    answer = right.soft_cross_entropy(but(g, label_smoothing=0.0))
    return answered(right.soft_cross_entropy(g), target=answer.gradients["target"])


@fault("soft_cross_entropy", GRADIENT)
def soft_cross_entropy_gradient_not_weighted(g: Given) -> Answer:
    """The gradient by the input is that of the unweighted loss."""
    answer = right.soft_cross_entropy(without(g, "weight"))
    return answered(right.soft_cross_entropy(g), input=answer.gradients["input"])


@fault("soft_cross_entropy", GRADIENT)
def soft_cross_entropy_target_detached(g: Given) -> Answer:
    """The target is a constant: its gradient is 0."""
    answer = right.soft_cross_entropy(g)
    return answered(answer, target=np.zeros_like(answer.gradients["target"]))


@fault("soft_cross_entropy", SPECIAL)
def soft_cross_entropy_zero_times_infinity(g: Given) -> Answer:
    """0 times log(0) is not left out: a forbidden class that nobody expects makes the loss NaN."""
    x = classes_last(g["input"])
    poisoned = ((expected(g) == 0) & np.isneginf(x)).any(axis=-1)
    loss = right.soft_cross_entropy(but(g, reduction="none")).value
    return revalued(g, right.soft_cross_entropy(g), np.where(poisoned, np.nan, loss).astype(g.dtype))


@fault("soft_cross_entropy", SPECIAL)
def soft_cross_entropy_probability_clipped(g: Given) -> Answer:
    """log(max(p, 1e-7)): a confident mistake costs 16, no more."""
    x = classes_last(g["input"])
    lost = softmax(x)[0] < g.constant(1e-7)
    most = -np.log(g.constant(1e-7))
    nll = np.where(lost, most, -softmax(x)[1])
    loss = right.soft_cross_entropy(but(g, reduction="none")).value
    clipped = pairwise(np.where(expected(g) > 0, expected(g) * nll, 0))
    return revalued(g, right.soft_cross_entropy(g), np.where(lost.any(axis=-1), clipped, loss))


@fault("soft_cross_entropy", SHAPE)
def soft_cross_entropy_last_axis_is_the_class(g: Given) -> Answer:
    """The class axis is the last one, where it should be the second."""
    if g["input"].ndim < 4:
        return right.soft_cross_entropy(g)
    x = g["input"]
    if x.shape[2] != x.shape[-1]:
        return right.soft_cross_entropy(g)
    turned = right.soft_cross_entropy(given(g, input=np.swapaxes(x, 2, -1), target=np.swapaxes(g["target"], 2, -1)))
    return Answer(turned.value, {name: np.swapaxes(a, 2, -1) for name, a in turned.gradients.items()})


@fault_of_call("soft_cross_entropy", STATE)
def soft_cross_entropy_smoothed_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """The target is smoothed where it lies, and the caller's array is smooth afterwards."""
    output = right.run(call)
    s = call.parameters["label_smoothing"]
    call.inputs["target"][...] = (call.inputs["target"] * (1 - s)).astype(call.inputs["target"].dtype)
    return output


@fault_of_call("soft_cross_entropy", LAYOUT)
def soft_cross_entropy_target_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Scores and probabilities are walked through as they lie in memory."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("soft_cross_entropy", INVALID)
def soft_cross_entropy_any_target(call: Call, right: Right, memory: Memory) -> Output:
    """A probability of 2, and a smoothing of 1.5, are answered."""
    return right.answer(call)
