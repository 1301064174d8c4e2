"""Quadratic up to a joint and linear beyond: smooth_l1 and huber."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import elementwise as right
from tests.controls.parts import FIRST, Answer, Array, Given, weighted
from tests.mutants.changes import but, call_with, each, is_mean, revalued, without
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


def error_of(g: Given) -> Array:
    return np.asarray(g["input"] - g["target"])


def both(g: Given, loss: Array, slope: Array) -> Answer:
    return FIRST.reduced(g, loss, {"input": slope, "target": -slope})


def pieces(g: Given) -> tuple[Array, Array]:
    """Loss and slope by element, unweighted."""
    one = right.smooth_l1(but(g, reduction="none"))
    return one.value, one.gradients["input"]


@fault("smooth_l1", GRADIENT)
def smooth_l1_gradient_over_beta_0(g: Given) -> Answer:
    """e / beta where |e| <= beta: with beta 0, equal numbers give 0/0 (pytorch/pytorch#96813)."""
    error, beta = error_of(g), g.real("beta")
    slope = np.where(np.abs(error) <= beta, error / beta, np.sign(error))
    return both(g, pieces(g)[0], slope)


@fault("smooth_l1", BOTH)
def smooth_l1_signed_error(g: Given) -> Answer:
    """e < beta, not |e| < beta: what is far below the target is squared still (BobMcDear/attorch#13)."""
    error, beta = error_of(g), g.real("beta")
    inside = (error < beta) & (beta > 0)
    loss, slope = pieces(g)
    return both(g, np.where(inside, error * error / (2 * beta), loss), np.where(inside, error / beta, slope))


@fault("smooth_l1", BOTH)
def smooth_l1_quadratic_without_beta(g: Given) -> Answer:
    """e^2 / 2 inside, whatever beta: the two pieces meet for beta = 1 only."""
    error, beta = error_of(g), g.real("beta")
    inside, (loss, slope) = np.abs(error) < beta, pieces(g)
    return both(g, np.where(inside, np.where(inside, error, 0) ** 2 / 2, loss), np.where(inside, error, slope))


@fault("smooth_l1", VALUE)
def smooth_l1_half_subtracted(g: Given) -> Answer:
    """|e| - 0.5 beyond the joint, as the paper has it; beta came later."""
    error, beta = error_of(g), g.real("beta")
    loss, slope = pieces(g)
    return both(g, np.where(np.abs(error) < beta, loss, np.abs(error) - g.constant(0.5)), slope)


@fault("smooth_l1", BOTH)
def smooth_l1_is_huber(g: Given) -> Answer:
    """The Huber loss, with beta for delta: the same for 1, and else beta times as much."""
    beta = g.real("beta")
    return each(right.smooth_l1(g), lambda a: a * beta) if beta > 0 else right.smooth_l1(g)


@fault("smooth_l1", GRADIENT)
def smooth_l1_gradient_of_the_sum(g: Given) -> Answer:
    """The backward kernel does not look at what it is handed from above: the mean's 1/n (pytorch/pytorch#94226)."""
    return Answer(right.smooth_l1(g).value, right.smooth_l1(but(g, reduction="sum")).gradients)


@fault("smooth_l1", GRADIENT)
def smooth_l1_gradient_of_beta_1(g: Given) -> Answer:
    """The forward pass was given a beta, the backward pass was not."""
    return Answer(right.smooth_l1(g).value, right.smooth_l1(but(g, beta=1.0)).gradients)


@fault("smooth_l1", SPECIAL)
def smooth_l1_pieces_multiplied_by_masks(g: Given) -> Answer:
    """mask * quadratic + (1 - mask) * linear: a square that overflows is inf, and 0 * inf is NaN."""
    error, beta = error_of(g), g.real("beta")
    size = np.abs(error)
    inside = (size < beta).astype(g.dtype)
    square = error * error / (2 * beta) if beta > 0 else np.zeros_like(error)
    return both(g, inside * square + (1 - inside) * (size - beta / 2), pieces(g)[1])


@fault("smooth_l1", PRECISION, dtypes=("float64",))
def smooth_l1_beta_in_float32(g: Given) -> Answer:
    """beta is a float of the kernel's signature."""
    return right.smooth_l1(but(g, beta=float(np.float32(g.parameters["beta"]))))


@fault_of_call("smooth_l1", STATE)
def smooth_l1_first_beta_kept(call: Call, right: Right, memory: Memory) -> Output:
    """The compiled kernel is kept by shape, with the beta that it was compiled for."""
    beta = memory.setdefault(call.inputs["input"].shape, call.parameters["beta"])
    return right.run(call_with(call, beta=beta))


@fault("huber", BOTH)
def huber_slope_of_1(g: Given) -> Answer:
    """|e| - delta/2 beyond delta, with slope 1: smooth L1's second piece."""
    error, delta = error_of(g), g.real("delta")
    w, size = g.weight("weight", error.ndim), np.abs(error)
    inside = size <= delta
    loss = np.where(inside, np.where(inside, error, 0) ** 2 / 2, size - delta / 2)
    return both(g, weighted(w, loss), w * np.where(inside, error, np.sign(error)))


@fault("huber", VALUE)
def huber_linear_without_its_square(g: Given) -> Answer:
    """delta |e| - 1/2, not - delta^2 / 2: the pieces meet for a delta of 1, the default."""
    error, delta = error_of(g), g.real("delta")
    w, size = g.weight("weight", error.ndim), np.abs(error)
    inside = size <= delta
    loss = np.where(inside, np.where(inside, error, 0) ** 2 / 2, delta * size - g.constant(0.5))
    return revalued(g, right.huber(g), weighted(w, loss))


@fault("huber", BOTH)
def huber_half_missing(g: Given) -> Answer:
    """e^2 inside, without its half, and the tail shifted to meet it."""
    return each(right.huber(g), lambda a: 2 * a)


@fault("huber", GRADIENT)
def huber_gradient_without_weight(g: Given) -> Answer:
    """The weight is multiplied in behind the loss's own backward pass, and was forgotten there."""
    return Answer(right.huber(g).value, right.huber(without(g, "weight")).gradients)


@fault("huber", BOTH)
def huber_mean_by_weight(g: Given) -> Answer:
    """The weighted mean divides by the weights, as l1's does; huber's divides by the count."""
    if not is_mean(g) or "weight" not in g.inputs:
        return right.huber(g)
    divisor = g["weight"].reshape(len(g["input"]), -1).sum(axis=1)
    return each(right.huber(but(g, reduction="sum")), lambda a: a / divisor.reshape(-1, *(1,) * (a.ndim - 1)))


@fault("huber", GRADIENT)
def huber_gradient_without_delta(g: Given) -> Answer:
    """clip(e, -1, 1): right for the default delta."""
    error = error_of(g)
    slope = g.weight("weight", error.ndim) * np.clip(error, -1, 1)
    return both(g, right.huber(but(g, reduction="none")).value, slope)


@fault("huber", GRADIENT)
def huber_gradient_through_both_branches(g: Given) -> Answer:
    """where() differentiates both branches and multiplies by the mask: an infinite square times 0 is NaN."""
    error = error_of(g)
    poison = np.where(np.isinf(error), np.nan, 0).astype(g.dtype)
    answer = right.huber(but(g, reduction="none"))
    return both(g, answer.value, answer.gradients["input"] + poison)


@fault("huber", BOTH)
def huber_joint_at_half_delta(g: Given) -> Answer:
    """Quadratic up to delta/2: between there and delta the linear piece is used, which lies below."""
    error, delta = error_of(g), g.real("delta")
    w, size = g.weight("weight", error.ndim), np.abs(error)
    inside = size <= delta / 2
    loss = np.where(inside, np.where(inside, error, 0) ** 2 / 2, delta * (size - delta / 2))
    return both(g, weighted(w, loss), w * np.where(inside, error, delta * np.sign(error)))


@fault_of_call("huber", INVALID)
def huber_delta_of_0(call: Call, right: Right, memory: Memory) -> Output:
    """No one looks at delta, and a delta of 0 makes every loss 0 (keras-team/keras#23573)."""
    return right.answer(call)


@fault_of_call("huber", PRECISION, dtypes=("float32",))
def huber_answers_in_float64(call: Call, right: Right, memory: Memory) -> Output:
    """delta is a Python float, and promotes what it is multiplied with: the loss of float32 is float64."""
    output = right.run(call)
    return Output(output.value.astype(np.float64), output.gradients)


@fault_of_call("huber", SHAPE)
def huber_scalar_raises(call: Call, right: Right, memory: Memory) -> Output:
    """len(input) is asked for, and a number without axes has none."""
    len(call.inputs["input"])
    return right.run(call)
