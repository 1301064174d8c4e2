"""Soft margins: soft_margin and multilabel_soft_margin."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import classes, elementwise
from tests.controls.first.elementwise import sigmoid, softplus
from tests.controls.parts import FIRST, Answer, Array, Given, over_positions, pairwise, weighted
from tests.mutants.changes import answered, but, call_with, each, revalued, without
from tests.mutants.faults.logits import Function, sigmoid_as_a_quotient, softplus_beyond_20
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


def of_margins(g: Given, loss: Function | None = None, slope: Function | None = None) -> Answer:
    """soft_margin by another softplus(-z), or another -sigmoid(-z)."""
    label = g.sign("target")
    z = label * g["input"]
    return FIRST.reduced(
        g, (loss or (lambda z: softplus(-z)))(z), {"input": label * (slope or (lambda z: -sigmoid(-z)))(z)}
    )


@fault("soft_margin", VALUE)
def soft_margin_exponential_overflows(g: Given) -> Answer:
    """log(1 + exp(-z)) as it is written: infinite for a confident mistake (tracel-ai/burn#5373)."""
    return of_margins(g, lambda z: np.asarray(np.log1p(np.exp(-z))))


@fault("soft_margin", VALUE)
def soft_margin_logarithm_of_1_plus(g: Given) -> Answer:
    """log(1 + exp(-z)) with care for the overflow and none for the 1: a confident right answer costs 0."""
    return of_margins(g, lambda z: np.asarray(np.maximum(-z, 0) + np.log(1 + np.exp(-np.abs(z)))))


@fault("soft_margin", GRADIENT)
def soft_margin_gradient_as_a_quotient(g: Given) -> Answer:
    """-exp(-z) / (1 + exp(-z)): inf/inf where the mistake is confident."""
    return of_margins(g, slope=lambda z: -sigmoid_as_a_quotient(-z))


@fault("soft_margin", BOTH)
def soft_margin_labels_of_0_and_1(g: Given) -> Answer:
    """2 t - 1 makes 1 and -1 of labels of 1 and 0; these are 1 and -1 already."""
    label = 2 * g.sign("target") - 1
    z = label * g["input"]
    return FIRST.reduced(g, softplus(-z), {"input": -label * sigmoid(-z)})


@fault("soft_margin", GRADIENT)
def soft_margin_gradient_without_label(g: Given) -> Answer:
    """The chain rule's factor, the label, is forgotten: right for 1."""
    z = g.sign("target") * g["input"]
    answer = elementwise.soft_margin(but(g, reduction="none"))
    return FIRST.reduced(g, answer.value, {"input": -sigmoid(-z)})


@fault("soft_margin", GRADIENT)
def soft_margin_gradient_at_0(g: Given) -> Answer:
    """log1p(exp(-|z|)) + max(-z, 0) by autodiff: at 0 both kinks give 0, where the slope is -1/2."""
    return of_margins(g, slope=lambda z: np.where(z == 0, 0, -sigmoid(-z)))


@fault("soft_margin", PRECISION, dtypes=("float64",))
def soft_margin_softplus_from_20(g: Given) -> Answer:
    """softplus is linear from 20 on, a threshold for float32."""
    return of_margins(g, lambda z: softplus_beyond_20(-z))


@fault("soft_margin", BOTH)
def soft_margin_exponent_clipped(g: Given) -> Answer:
    """The exponent is clipped at 80, below where exp overflows in float32: the loss ends there."""
    return of_margins(g, lambda z: softplus(-np.clip(z, -80, 80)), lambda z: np.where(np.abs(z) > 80, 0, -sigmoid(-z)))


def of_classes(g: Given, loss: Array) -> Answer:
    """multilabel_soft_margin with these losses by class, neither weighted nor divided."""
    x = g["input"]
    w = over_positions(g.class_weight(x.shape[-1]), x.ndim)
    return revalued(g, classes.multilabel_soft_margin(g), pairwise(weighted(w, loss)) / g.constant(x.shape[-1]))


@fault("multilabel_soft_margin", SPECIAL)
def multilabel_soft_margin_epsilon_in_the_logarithm(g: Given) -> Answer:
    """log(sigmoid(x) + 1e-12), so that it is finite: a loss never exceeds 27.6 (pytorch/pytorch#1516)."""
    t, s = g["target"], sigmoid(g["input"])
    return of_classes(g, -(t * np.log(s + g.constant(1e-12)) + (1 - t) * np.log(1 - s + g.constant(1e-12))))


@fault("multilabel_soft_margin", BOTH)
def multilabel_soft_margin_sum_over_the_classes(g: Given) -> Answer:
    """The classes are added up; only the batch is averaged over."""
    return each(classes.multilabel_soft_margin(g), lambda a: a * g.constant(g["input"].shape[-1]))


@fault("multilabel_soft_margin", BOTH)
def multilabel_soft_margin_divided_by_the_weight(g: Given) -> Answer:
    """The classes' mean is a weighted one, over the sum of the weights."""
    if "weight" not in g.inputs:
        return classes.multilabel_soft_margin(g)
    scale = g.constant(g["input"].shape[-1]) / pairwise(g["weight"])
    return each(classes.multilabel_soft_margin(g), lambda a: a * scale.reshape(-1, *(1,) * (a.ndim - 1)))


@fault("multilabel_soft_margin", GRADIENT)
def multilabel_soft_margin_gradient_without_weight(g: Given) -> Answer:
    """(sigmoid(x) - t) / C: the weight is in the loss alone."""
    answer = classes.multilabel_soft_margin(g)
    return answered(answer, input=classes.multilabel_soft_margin(without(g, "weight")).gradients["input"])


@fault("multilabel_soft_margin", GRADIENT)
def multilabel_soft_margin_target_detached(g: Given) -> Answer:
    """Labels are constants, and have no gradient."""
    answer = classes.multilabel_soft_margin(g)
    return answered(answer, target=np.zeros_like(answer.gradients["target"]))


@fault("multilabel_soft_margin", SHAPE)
def multilabel_soft_margin_classes_second(g: Given) -> Answer:
    """The classes are looked for on axis 1, where they are for cross-entropy, once there are three axes."""
    x = g["input"]
    if x.ndim != 4 or "weight" in g.inputs or g.parameters["reduction"] == "none":
        return classes.multilabel_soft_margin(g)
    return each(classes.multilabel_soft_margin(g), lambda a: a * g.constant(x.shape[-1]) / g.constant(x.shape[2]))


@fault("multilabel_soft_margin", VALUE)
def multilabel_soft_margin_logarithm_of_1_plus(g: Given) -> Answer:
    """log(1 + exp(-|x|)): confident labels cost nothing from 37 on, or 17."""
    x, t = g["input"], g["target"]
    small = np.log(1 + np.exp(-np.abs(x)))
    return of_classes(g, t * (np.maximum(-x, 0) + small) + (1 - t) * (np.maximum(x, 0) + small))


@fault_of_call("multilabel_soft_margin", INVALID)
def multilabel_soft_margin_soft_labels(call: Call, right: Right, memory: Memory) -> Output:
    """Labels are not looked at; 0.5 is answered, where it should be refused."""
    return right.answer(call)


@fault_of_call("multilabel_soft_margin", STATE)
def multilabel_soft_margin_first_weight_kept(call: Call, right: Right, memory: Memory) -> Output:
    """The module registers its weight as a buffer at the first call, and uses that ever after."""
    if "weight" not in call.inputs:
        return right.run(call)
    weight = memory.setdefault((call.inputs["weight"].shape, call.dtype), call.inputs["weight"].copy())
    return right.run(call_with(call, {"weight": weight}))
