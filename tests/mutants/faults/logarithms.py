"""Errors between logarithms: msle."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import pointwise as right
from tests.controls.parts import FIRST, Answer, Array, Given
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, revalued, slopes
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    PRECISION,
    SHAPE,
    STATE,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def raised(g: Given) -> tuple[Array, Array, Array]:
    """Both numbers, at least eps, and the difference of their logarithms."""
    eps = g.real("eps")
    x, t = np.maximum(g["input"], eps), np.maximum(g["target"], eps)
    gap = np.where(x >= t, np.log1p((x - t) / (1 + t)), -np.log1p((t - x) / (1 + x)))
    return x, t, gap


def sloped(g: Given, by_input: Array, by_target: Array) -> Answer:
    """The right answer with these gradients, not yet reduced; there are none below eps."""
    eps = g.real("eps")
    slopes = {
        "input": np.where((g["input"] > eps) | (eps == 0), by_input, 0).astype(g.dtype),
        "target": np.where((g["target"] > eps) | (eps == 0), by_target, 0).astype(g.dtype),
    }
    return answered(right.msle(g), **FIRST.reduced(g, by_input, slopes).gradients)


@fault("msle", VALUE)
def msle_without_the_one(g: Given) -> Answer:
    """The logarithm of the ratio x / t: what is small counts for far too much."""
    x, t, _ = raised(g)
    return revalued(g, right.msle(g), np.square(np.log(x) - np.log(t)))


@fault("msle", BOTH)
def msle_in_bits(g: Given) -> Answer:
    """Logarithms to the base 2."""
    return each(right.msle(g), lambda a: a / g.constant(np.log(2) ** 2))


@fault("msle", VALUE)
def msle_absolute(g: Given) -> Answer:
    """The size of the difference, not its square."""
    return revalued(g, right.msle(g), np.abs(raised(g)[2]))


@fault("msle", PRECISION)
def msle_logarithm_of_one_plus(g: Given) -> Answer:
    """log(1 + x): the digits of a small x are lost in the sum."""
    x, t, gap = raised(g)
    rough = np.log(1 + x) - np.log(1 + t)
    return revalued(g, right.msle(g), np.where(np.maximum(x, t) < 0.01, rough, gap) ** 2)


@fault("msle", GRADIENT)
def msle_gradient_of_the_half(g: Given) -> Answer:
    """The gradient of half the square."""
    return slopes(right.msle(g), lambda a: a / 2)


@fault("msle", GRADIENT)
def msle_gradient_without_the_one(g: Given) -> Answer:
    """2 gap / x: the derivative of log(x)."""
    x, t, gap = raised(g)
    return sloped(g, 2 * gap / x, -2 * gap / t)


@fault("msle", GRADIENT)
def msle_gradient_of_the_target_over_the_input(g: Given) -> Answer:
    """The target's gradient is the input's, its sign turned: they differ in what they are divided by."""
    x, _, gap = raised(g)
    return sloped(g, 2 * gap / (1 + x), -2 * gap / (1 + x))


@fault("msle", GRADIENT)
def msle_gradient_below_eps(g: Given) -> Answer:
    """The gradient passes through the clamp: numbers below eps have one."""
    x, t, gap = raised(g)
    slope = {"input": 2 * gap / (1 + x), "target": -2 * gap / (1 + t)}
    return answered(right.msle(g), **FIRST.reduced(g, gap, slope).gradients)


@fault("msle", BOTH)
def msle_eps_added(g: Given) -> Answer:
    """eps is added, where it is a lower bound."""
    eps = g.real("eps")
    return right.msle(but(given(g, input=g["input"] + eps, target=g["target"] + eps), eps=0.0))


@fault("msle", BOTH)
def msle_eps_of_the_input_only(g: Given) -> Answer:
    """The target is not raised to eps."""
    eps = g.real("eps")
    answer = right.msle(but(given(g, input=np.maximum(g["input"], eps)), eps=0.0))
    kept = (g["input"] > eps) | (eps == 0)
    return answered(answer, input=np.where(kept, answer.gradients["input"], 0).astype(g.dtype))


@fault("msle", GRADIENT)
def msle_no_slope_at_zero(g: Given) -> Answer:
    """max(x, 0) of a number that is never below 0: at 0 itself its slope is lost."""
    answer = right.msle(g)
    return answered(answer, input=np.where(g["input"] > 0, answer.gradients["input"], 0).astype(g.dtype))


@fault("msle", SHAPE)
def msle_mean_over_the_last_axis(g: Given) -> Answer:
    """The mean divides by the length of the last axis; of one axis alone it is right."""
    if not is_mean(g) or g["input"].ndim < 3:
        return right.msle(g)
    return each(right.msle(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[-1]))


@fault_of_call("msle", STATE)
def msle_raised_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """Both are raised to eps where they lie, and the caller's arrays are other ones afterwards."""
    output = right.run(call)
    np.maximum(call.inputs["input"], call.parameters["eps"], out=call.inputs["input"], casting="unsafe")
    return output


@fault_of_call("msle", LAYOUT)
def msle_target_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Predictions and targets are walked through as they lie in memory."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("msle", INVALID)
def msle_any_number(call: Call, right: Right, memory: Memory) -> Output:
    """A negative number has a logarithm, if it is above -1, and is answered."""
    return right.answer(call)
