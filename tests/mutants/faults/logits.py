"""Logistic losses: bce_with_logits, soft_margin and multilabel_soft_margin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance import Call, Output
from tests.controls.first import elementwise
from tests.controls.first.elementwise import sigmoid, softplus
from tests.controls.parts import FIRST, Answer, Array, Given, weighted
from tests.mutants.changes import answered, but, each, given, is_mean, revalued, without
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    PRECISION,
    SHAPE,
    SPECIAL,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)

Function = Callable[[Array], Array]


def softplus_beyond_20(x: Array) -> Array:
    """softplus, and x itself from 20 on, where exp(-x) no longer matters in float32."""
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20)))).astype(x.dtype)


def sigmoid_as_a_quotient(x: Array) -> Array:
    """exp(x) / (1 + exp(x)): inf/inf for a large x."""
    return np.asarray(np.exp(x) / (1 + np.exp(x)))


def losses(g: Given, plus: Function) -> Array:
    """The losses of bce_with_logits by this softplus."""
    x, t = g["input"], g["target"]
    w, p = g.weight("weight", x.ndim), g.weight("pos_weight", x.ndim)
    return weighted(w, p * t * plus(-x) + (1 - t) * plus(x))


def by_input(g: Given, slope: Array) -> Answer:
    """The right answer with this gradient by the input, neither weighted nor reduced."""
    slope = weighted(g.weight("weight", g["input"].ndim), slope)
    return answered(elementwise.bce_with_logits(g), input=FIRST.reduced(g, slope, {"": slope}).gradients[""])


@fault("bce_with_logits", BOTH)
def bce_with_logits_pos_weight_of_the_whole(g: Given) -> Answer:
    """The whole loss is multiplied by 1 + (p - 1) t: right for targets of 0 and 1, not between
    (PaddlePaddle/Paddle#54869)."""
    if "pos_weight" not in g.inputs:
        return elementwise.bce_with_logits(g)
    x, t = g["input"], g["target"]
    w, p = g.weight("weight", x.ndim), g.weight("pos_weight", x.ndim)
    lift = 1 + (p - 1) * t
    loss = t * softplus(-x) + (1 - t) * softplus(x)
    slope = (1 - t) * sigmoid(x) - t * sigmoid(-x)
    by_target = lift * (softplus(-x) - softplus(x)) + (p - 1) * loss
    return FIRST.reduced(
        g, weighted(w * lift, loss), {"input": weighted(w * lift, slope), "target": weighted(w, by_target)}
    )


@fault("bce_with_logits", BOTH)
def bce_with_logits_pos_weight_of_the_negative(g: Given) -> Answer:
    """The positive weight multiplies the other term: p (1 - t) softplus(x)."""
    if "pos_weight" not in g.inputs:
        return elementwise.bce_with_logits(g)
    turned = elementwise.bce_with_logits(given(g, input=-g["input"], target=1 - g["target"]))
    return Answer(turned.value, {name: -slope for name, slope in turned.gradients.items()})


@fault("bce_with_logits", SPECIAL)
def bce_with_logits_logarithm_of_the_sigmoid(g: Given) -> Answer:
    """log(sigmoid(x)) and log(1 - sigmoid(x)): of a confident mistake it is log(0)."""
    x, t = g["input"], g["target"]
    w, p = g.weight("weight", x.ndim), g.weight("pos_weight", x.ndim)
    s = sigmoid(x)
    loss = -(p * np.where(t == 0, 0, t * np.log(s)) + np.where(t == 1, 0, (1 - t) * np.log(1 - s)))
    return revalued(g, elementwise.bce_with_logits(g), weighted(w, loss))


@fault("bce_with_logits", GRADIENT)
def bce_with_logits_gradient_at_a_tie(g: Given) -> Answer:
    """max(x, 0) - x t + log1p(exp(-|x|)) by autodiff: at x = 0 both kinks give 0, and -t is left
    (pytorch/pytorch#2298)."""
    answer = elementwise.bce_with_logits(g)
    if "pos_weight" in g.inputs:
        return answer
    tied = by_input(g, -g["target"]).gradients["input"]
    return answered(answer, input=np.where(g["input"] == 0, tied, answer.gradients["input"]))


@fault("bce_with_logits", SPECIAL)
def bce_with_logits_unstable_with_pos_weight(g: Given) -> Answer:
    """The stable form is for the unweighted loss; with a pos_weight exp(-x) is taken as it is, and overflows
    (pytorch/pytorch#13773)."""
    answer, x = elementwise.bce_with_logits(g), g["input"]
    if "pos_weight" not in g.inputs:
        return answer
    lost = np.isinf(np.exp(-x)) & np.isfinite(x)
    loss = elementwise.bce_with_logits(but(g, reduction="none")).value
    return revalued(g, answer, np.where(lost, np.inf, loss))


@fault("bce_with_logits", GRADIENT)
def bce_with_logits_gradient_without_pos_weight(g: Given) -> Answer:
    """sigmoid(x) - t: what it was before pos_weight came."""
    answer = elementwise.bce_with_logits(g)
    return answered(answer, input=elementwise.bce_with_logits(without(g, "pos_weight")).gradients["input"])


@fault("bce_with_logits", GRADIENT)
def bce_with_logits_gradient_of_the_target_is_minus_x(g: Given) -> Answer:
    """-x, the gradient by the target, holds only for a pos_weight of 1."""
    answer = elementwise.bce_with_logits(g)
    return answered(answer, target=elementwise.bce_with_logits(without(g, "pos_weight")).gradients["target"])


@fault("bce_with_logits", VALUE)
def bce_with_logits_logarithm_of_1_plus(g: Given) -> Answer:
    """max(x, 0) + log(1 + exp(-|x|)): nothing overflows, and 1 + exp(-40) is 1."""
    return revalued(
        g,
        elementwise.bce_with_logits(g),
        losses(g, lambda x: np.asarray(np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x))))),
    )


@fault("bce_with_logits", GRADIENT)
def bce_with_logits_sigmoid_as_a_quotient(g: Given) -> Answer:
    """exp(x) / (1 + exp(x)) in the backward pass: NaN from x = 89 on, or 710."""
    x, t = g["input"], g["target"]
    p = g.weight("pos_weight", x.ndim)
    answer = elementwise.bce_with_logits(g)
    lost = np.isnan(sigmoid_as_a_quotient(x))
    rough = by_input(g, (1 - t) * sigmoid_as_a_quotient(x) - p * t * sigmoid(-x)).gradients["input"]
    return answered(answer, input=np.where(lost, rough, answer.gradients["input"]))


@fault("bce_with_logits", BOTH)
def bce_with_logits_mean_by_weight(g: Given) -> Answer:
    """The weighted mean divides by the weights, where it should by the count."""
    if not is_mean(g) or "weight" not in g.inputs:
        return elementwise.bce_with_logits(g)
    w = np.broadcast_to(g.weight("weight", g["input"].ndim), g["input"].shape).reshape(len(g["input"]), -1).sum(axis=1)
    total = elementwise.bce_with_logits(but(g, reduction="sum"))
    return each(total, lambda a: a / w.reshape(-1, *(1,) * (a.ndim - 1)))


@fault("bce_with_logits", SHAPE)
def bce_with_logits_one_pos_weight(g: Given) -> Answer:
    """pos_weight is taken to be a scalar: the first one counts for all."""
    p = g.inputs.get("pos_weight")
    if p is None or p[0].size == 0:
        return elementwise.bce_with_logits(g)
    first = p.reshape(len(p), -1)[:, 0].reshape(-1, *(1,) * (p.ndim - 1))
    return elementwise.bce_with_logits(given(g, pos_weight=np.broadcast_to(first, p.shape)))


@fault("bce_with_logits", BOTH)
def bce_with_logits_logits_clipped(g: Given) -> Answer:
    """Logits are clipped to [-50, 50], so that exp is safe: beyond, loss and gradient stand still."""
    x = g["input"]
    answer = elementwise.bce_with_logits(given(g, input=np.clip(x, -50, 50)))
    return answered(answer, input=np.where(np.abs(x) > 50, 0, answer.gradients["input"]))


@fault("bce_with_logits", PRECISION, dtypes=("float64",))
def bce_with_logits_softplus_from_20(g: Given) -> Answer:
    """softplus(x) is x from 20 on: a threshold for float32, where exp(-20) is below half an ulp."""
    return revalued(g, elementwise.bce_with_logits(g), losses(g, softplus_beyond_20))


@fault_of_call("bce_with_logits", INVALID)
def bce_with_logits_any_target(call: Call, right: Right, memory: Memory) -> Output:
    """The formula has a value for a target of 2, and so it is answered."""
    return right.answer(call)
