"""The logarithm of a hyperbolic cosine."""

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
    SPECIAL,
    STATE,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def by_error(g: Given, slope: Array) -> Answer:
    """The right answer with this slope by the error, not yet reduced."""
    reduced = FIRST.reduced(g, slope, {"input": slope, "target": -slope})
    return answered(right.log_cosh(g), **reduced.gradients)


@fault("log_cosh", VALUE)
def log_cosh_log_2_left_out(g: Given) -> Answer:
    """The logarithm of exp(e) + exp(-e): a constant, which no gradient shows."""
    loss = right.log_cosh(but(g, reduction="none")).value
    return revalued(g, right.log_cosh(g), loss + g.constant(np.log(2)))


@fault("log_cosh", SPECIAL)
def log_cosh_as_it_stands(g: Given) -> Answer:
    """log(cosh(e)): infinite from 89.4 on, or 710.5."""
    error = g["input"] - g["target"]
    lost = np.isinf(np.cosh(error))
    loss = right.log_cosh(but(g, reduction="none")).value
    return revalued(g, right.log_cosh(g), np.where(lost, np.inf, loss))


@fault("log_cosh", PRECISION)
def log_cosh_small_errors_lost(g: Given) -> Answer:
    """|e| + log1p(exp(-2|e|)) - log(2), by which frameworks compute it, is exact to the last digit of log(2) only."""
    size = np.abs(g["input"] - g["target"])
    return revalued(g, right.log_cosh(g), size + np.log1p(np.exp(-2 * size)) - g.constant(np.log(2)))


@fault("log_cosh", VALUE)
def log_cosh_linear_from_4(g: Given) -> Answer:
    """|e| - log(2) from 4 on, where exp(-8) seems to be nothing."""
    size = np.abs(g["input"] - g["target"])
    loss = right.log_cosh(but(g, reduction="none")).value
    return revalued(g, right.log_cosh(g), np.where(size >= 4, size - g.constant(np.log(2)), loss))


@fault("log_cosh", BOTH)
def log_cosh_quadratic_below_a_tenth(g: Given) -> Answer:
    """Half the square for errors below 0.1, by the first term of the series."""
    error = g["input"] - g["target"]
    small = np.abs(error) < g.constant(0.1)
    loss = right.log_cosh(but(g, reduction="none")).value
    answer = by_error(g, np.where(small, error, np.tanh(error)))
    return revalued(g, answer, np.where(small, error * error / 2, loss))


@fault("log_cosh", GRADIENT)
def log_cosh_gradient_by_exponentials(g: Given) -> Answer:
    """(exp(e) - exp(-e)) / (exp(e) + exp(-e)): inf/inf for a large error."""
    error = g["input"] - g["target"]
    rough = (np.exp(error) - np.exp(-error)) / (np.exp(error) + np.exp(-error))
    return by_error(g, np.where(np.isnan(rough), rough, np.tanh(error)))


@fault("log_cosh", GRADIENT)
def log_cosh_gradient_of_the_half_angle(g: Given) -> Answer:
    """tanh(e / 2), as of softplus."""
    return by_error(g, np.tanh((g["input"] - g["target"]) / 2))


@fault("log_cosh", GRADIENT)
def log_cosh_gradient_is_the_sign_from_2(g: Given) -> Answer:
    """1 or -1 from 2 on, as of the l1 loss that it is close to."""
    error = g["input"] - g["target"]
    return by_error(g, np.where(np.abs(error) > 2, np.sign(error), np.tanh(error)))


@fault("log_cosh", GRADIENT)
def log_cosh_gradient_of_the_target_has_the_sign_of_the_input(g: Given) -> Answer:
    """The target's gradient is the input's, its sign not turned."""
    answer = right.log_cosh(g)
    return answered(answer, target=answer.gradients["input"])


@fault("log_cosh", GRADIENT)
def log_cosh_gradient_of_the_mean_not_divided(g: Given) -> Answer:
    """The mean's gradient is that of the sum."""
    if not is_mean(g):
        return right.log_cosh(g)
    return Answer(right.log_cosh(g).value, right.log_cosh(but(g, reduction="sum")).gradients)


@fault("log_cosh", SHAPE)
def log_cosh_mean_over_the_last_axis(g: Given) -> Answer:
    """The mean divides by the length of the last axis; of one axis alone it is right."""
    if not is_mean(g) or g["input"].ndim < 3:
        return right.log_cosh(g)
    return each(right.log_cosh(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[-1]))


@fault("log_cosh", SPECIAL)
def log_cosh_nan_is_no_error(g: Given) -> Answer:
    """nan_to_num on the errors' arguments: a NaN costs nothing."""
    return right.log_cosh(given(g, input=np.where(np.isnan(g["input"]), 0, g["input"]).astype(g.dtype)))


@fault("log_cosh", BOTH)
def log_cosh_errors_clipped(g: Given) -> Answer:
    """Errors are clipped at 80, so that cosh is safe: beyond, loss and gradient stand still."""
    error = g["input"] - g["target"]
    beyond = np.abs(error) > 80
    answer = right.log_cosh(given(g, input=np.clip(error, -80, 80), target=np.zeros_like(error)))
    return slopes(answer, lambda a: np.where(beyond, 0, a).astype(a.dtype))


@fault_of_call("log_cosh", STATE)
def log_cosh_difference_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """input -= target saves an array, and spoils the caller's."""
    output = right.run(call)
    call.inputs["input"][...] -= call.inputs["target"]
    return output


@fault_of_call("log_cosh", LAYOUT)
def log_cosh_input_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Both arrays are walked through as they lie in memory."""
    return right.run(call_with(call, {"input": as_it_lies(call.inputs["input"])}))


@fault_of_call("log_cosh", INVALID)
def log_cosh_any_shape(call: Call, right: Right, memory: Memory) -> Output:
    """A target of another shape is broadcast without a word."""
    return right.answer(call)
