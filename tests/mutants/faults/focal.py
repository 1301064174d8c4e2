"""Categorical focal loss."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import scores as right
from tests.controls.first.elementwise import sigmoid, softplus
from tests.controls.first.scores import beside, softened
from tests.controls.parts import FIRST, Answer, Array, Given, pairwise
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, revalued, without
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    PRECISION,
    SHAPE,
    SPECIAL,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def of_slopes(g: Given, y: Array, by_apart: Array, loss: Array | None = None) -> Answer:
    """The answer with these slopes by the log-odds against each class."""
    shares = beside(g["input"])[1]
    by_apart = np.where(y > 0, by_apart, 0).astype(g.dtype)
    slope = pairwise(np.swapaxes(by_apart[..., None] * shares, -1, -2)) - by_apart
    loss = right.categorical_focal(but(g, reduction="none")).value if loss is None else loss
    return FIRST.reduced(g, loss.astype(g.dtype), {"input": slope})


def parts(g: Given) -> tuple[Array, Array, Array, Array]:
    """The targets, the log-odds, -log p and (1 - p)^gamma."""
    apart, gamma = beside(g["input"])[0], g.real("gamma")
    far = np.exp(-gamma * softplus(-apart)) if gamma > 0 else np.ones_like(apart)
    return softened(g), apart, softplus(apart), far


@fault("categorical_focal", BOTH)
def categorical_focal_cross_entropy(g: Given) -> Answer:
    """gamma reaches the constructor, and not the loss."""
    return right.categorical_focal(but(g, gamma=0.0))


@fault("categorical_focal", BOTH)
def categorical_focal_alpha_twice(g: Given) -> Answer:
    """alpha weighs the factor and the sum."""
    return each(right.categorical_focal(g), lambda a: g.real("alpha") * a)


@fault("categorical_focal", BOTH)
def categorical_focal_power_of_p(g: Given) -> Answer:
    """p^gamma, which scales down what is hard."""
    y, apart, nll, _ = parts(g)
    gamma = g.real("gamma")
    if gamma == 0:
        return right.categorical_focal(g)
    near = np.exp(-gamma * nll)
    loss = pairwise(np.where(y > 0, y * near * nll, 0))
    return of_slopes(g, y, y * near * sigmoid(apart) * (1 - gamma * nll), loss)


@fault("categorical_focal", BOTH)
def categorical_focal_smoothing_after_the_weights(g: Given) -> Answer:
    """The target is weighted first and smoothed then: what is spread bears no weight."""
    w, s = g.class_weight(g["input"].shape[-1]), g.real("label_smoothing")
    if s == 0 or "weight" not in g.inputs:
        return right.categorical_focal(g)
    t = g["target"] * w.reshape(len(w), *(1,) * (g["target"].ndim - 2), w.shape[1])
    return right.categorical_focal(without(given(g, target=t.astype(g.dtype)), "weight"))


@fault("categorical_focal", BOTH)
def categorical_focal_smoothing_over_the_others(g: Given) -> Answer:
    """What smoothing takes away is spread over C - 1 classes, not over all."""
    s, classes = g.real("label_smoothing"), g["input"].shape[-1]
    if s == 0:
        return right.categorical_focal(g)
    t = (1 - s) * g["target"] + s * (1 - g["target"]) / g.constant(classes - 1)
    return right.categorical_focal(but(given(g, target=t.astype(g.dtype)), label_smoothing=0.0))


@fault("categorical_focal", BOTH)
def categorical_focal_mean_by_weight(g: Given) -> Answer:
    """A weighted mean divides by the weights' mean, as that of cross-entropy does."""
    if not is_mean(g) or "weight" not in g.inputs:
        return right.categorical_focal(g)
    scale = 1 / g["weight"].mean(axis=-1)
    return each(right.categorical_focal(g), lambda a: a * scale.reshape(-1, *(1,) * (a.ndim - 1)))


@fault("categorical_focal", GRADIENT)
def categorical_focal_gradient_without_the_factors(g: Given) -> Answer:
    """(1 - p)^gamma is taken for a constant: stop_gradient, for stability."""
    y, apart, _, far = parts(g)
    return answered(right.categorical_focal(g), **of_slopes(g, y, y * far * sigmoid(apart)).gradients)


@fault("categorical_focal", GRADIENT)
def categorical_focal_gradient_of_another_power(g: Given) -> Answer:
    """The factor's slope keeps the power gamma where it should be gamma - 1."""
    y, apart, nll, far = parts(g)
    gamma = g.real("gamma")
    slope = y * far * sigmoid(apart) * (1 + gamma * sigmoid(-apart) * nll)
    return answered(right.categorical_focal(g), **of_slopes(g, y, slope).gradients)


@fault("categorical_focal", GRADIENT)
def categorical_focal_gradient_of_gamma_two(g: Given) -> Answer:
    """The backward pass was written for gamma = 2."""
    y, apart, nll, far = parts(g)
    slope = y * far * (sigmoid(apart) + 2 * sigmoid(-apart) * nll)
    if g.parameters["gamma"] == 0:
        return right.categorical_focal(g)
    return answered(right.categorical_focal(g), **of_slopes(g, y, slope).gradients)


@fault("categorical_focal", GRADIENT)
def categorical_focal_gradient_of_the_label_only(g: Given) -> Answer:
    """Only a class's own logit gets the slope of its part: as if probabilities were sigmoids."""
    answer = right.categorical_focal(g)
    slope = np.where(softened(g) > 0, answer.gradients["input"], 0)
    return answered(answer, input=slope.astype(g.dtype))


@fault("categorical_focal", VALUE)
def categorical_focal_value_of_the_mean(g: Given) -> Answer:
    """The sum over the classes is a mean in the forward pass."""
    loss = right.categorical_focal(but(g, reduction="none")).value
    return revalued(g, right.categorical_focal(g), loss / g.constant(g["input"].shape[-1]))


@fault("categorical_focal", SPECIAL)
def categorical_focal_clipped(g: Given) -> Answer:
    """p is kept within 1e-7 of 0 and 1: no loss is above 16, and no class is certain."""
    y, _, nll, _ = parts(g)
    p = np.clip(np.exp(-nll), 1e-7, 1 - 1e-7)
    loss = pairwise(np.where(y > 0, -y * np.power(1 - p, g.real("gamma")) * np.log(p), 0).astype(g.dtype))
    return revalued(g, right.categorical_focal(g), loss)


@fault("categorical_focal", SPECIAL)
def categorical_focal_zero_times_infinity(g: Given) -> Answer:
    """All classes are multiplied by their targets: a forbidden class is 0 times infinity."""
    y, _, nll, far = parts(g)
    return revalued(g, right.categorical_focal(g), pairwise(y * far * nll))


@fault("categorical_focal", PRECISION, dtypes=("float64",))
def categorical_focal_alpha_in_float32(g: Given) -> Answer:
    """The power is computed in float32."""
    y, _, nll, far = parts(g)
    loss = pairwise(np.where(y > 0, y * far.astype(np.float32) * nll, 0).astype(g.dtype))
    return revalued(g, right.categorical_focal(g), loss)


@fault_of_call("categorical_focal", SHAPE)
def categorical_focal_of_two_axes_only(call: Call, right: Right, memory: Memory) -> Output:
    """sum(axis=1): a single row has no such axis."""
    if call.inputs["input"].ndim < 2:
        raise IndexError("axis 1 is out of bounds for array of dimension 1")
    return right.run(call)


@fault_of_call("categorical_focal", LAYOUT)
def categorical_focal_targets_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The targets are read as they lie."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("categorical_focal", INVALID)
def categorical_focal_any_power(call: Call, right: Right, memory: Memory) -> Output:
    """A negative gamma is a number like any other."""
    return right.answer(call)
