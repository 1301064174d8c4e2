"""Errors of real numbers: l1 and mse."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import elementwise as right
from tests.controls.parts import FIRST, Answer, Given, share, weighted, weights_total
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, revalued, slopes
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
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


@fault("l1", BOTH)
def l1_mean_by_count(g: Given) -> Answer:
    """The weighted mean divides by the number of elements, as the unweighted one does."""
    if not is_mean(g) or "weight" not in g.inputs:
        return right.l1(g)
    return each(right.l1(but(g, reduction="sum")), lambda a: a / g.constant(g["input"][0].size))


@fault("l1", GRADIENT)
def l1_gradient_of_the_unweighted_mean(g: Given) -> Answer:
    """The backward pass of the weighted mean is sign * weight / n, and does not know the sum of the weights."""
    if not is_mean(g) or "weight" not in g.inputs:
        return right.l1(g)
    slope = right.l1(but(g, reduction="sum"))
    return Answer(right.l1(g).value, slopes(slope, lambda a: a / g.constant(g["input"][0].size)).gradients)


@fault("l1", GRADIENT)
def l1_gradient_of_the_target_has_the_sign_of_the_input(g: Given) -> Answer:
    """The target's gradient is that of the input, its sign not turned: nobody differentiates by the target."""
    answer = right.l1(g)
    return answered(answer, target=answer.gradients["input"])


@fault("l1", VALUE)
def l1_root_of_the_square(g: Given) -> Answer:
    """sqrt(e * e) for |e|: the square of a large error overflows, that of a small one underflows."""
    error = g["input"] - g["target"]
    loss = weighted(g.weight("weight", error.ndim), np.sqrt(error * error))
    return revalued(g, right.l1(g), loss, weights_total(g, FIRST))


@fault("l1", GRADIENT)
def l1_gradient_as_a_quotient(g: Given) -> Answer:
    """e / |e|: 0/0 where two numbers are equal, which floats seldom are."""
    error = g["input"] - g["target"]
    w = share(g, g.weight("weight", error.ndim), weights_total(g, FIRST))
    slope = w * (error / np.abs(error))
    if is_mean(g) and "weight" not in g.inputs:
        slope = slope / g.constant(error[0].size)
    return answered(right.l1(g), input=slope, target=-slope)


@fault("l1", VALUE)
def l1_subnormal_is_zero(g: Given) -> Answer:
    """Errors below the smallest normal number are flushed to 0, on a device that says it does not."""
    error = g["input"] - g["target"]
    loss = np.where(np.abs(error) < np.finfo(g.dtype).tiny, 0, np.abs(error))
    loss = weighted(g.weight("weight", error.ndim), loss)
    return revalued(g, right.l1(g), loss, weights_total(g, FIRST))


@fault("l1", PRECISION, dtypes=("float64",))
def l1_sum_in_float32(g: Given) -> Answer:
    """The accumulator is a float32, whatever is added up."""
    if g.parameters["reduction"] != "sum":
        return right.l1(g)
    loss = right.l1(but(g, reduction="none")).value.reshape(len(g["input"]), -1)
    return answered(right.l1(g), loss.astype(np.float32).sum(axis=1).astype(g.dtype))


@fault_of_call("l1", STATE)
def l1_difference_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """input -= target saves an array, and spoils the caller's."""
    output = right.run(call)
    call.inputs["input"][...] -= call.inputs["target"]
    return output


@fault_of_call("l1", LAYOUT)
def l1_target_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Both arrays are walked through as they lie in memory: the same order, unless one is transposed."""
    target = as_it_lies(call.inputs["target"])
    return right.run(call_with(call, {"target": target}))


@fault("mse", BOTH)
def mse_half(g: Given) -> Answer:
    """Half the squared error, so that its derivative has no factor."""
    return each(right.mse(g), lambda a: a / 2)


@fault("mse", GRADIENT)
def mse_gradient_of_the_half(g: Given) -> Answer:
    """The loss has no half, and its gradient is written as if it had."""
    return slopes(right.mse(g), lambda a: a / 2)


@fault("mse", BOTH)
def mse_weight_squared(g: Given) -> Answer:
    """The error is weighted before it is squared."""
    if "weight" not in g.inputs:
        return right.mse(g)
    error, w = g["input"] - g["target"], g["weight"]
    divisor = weights_total(g, FIRST)
    slope = 2 * error * w * share(g, w, divisor)
    return FIRST.reduced(g, (w * error) ** 2, {"input": slope, "target": -slope}, divisor)


@fault("mse", BOTH)
def mse_mean_by_count(g: Given) -> Answer:
    """numpy.mean of the weighted squares: the weights are in the sum, not in the divisor."""
    if not is_mean(g) or "weight" not in g.inputs:
        return right.mse(g)
    return each(right.mse(but(g, reduction="sum")), lambda a: a / g.constant(g["input"][0].size))


@fault("mse", VALUE)
def mse_square_multiplied_out(g: Given) -> Answer:
    """x^2 - 2 x t + t^2, for the sake of a matrix product: close numbers cancel."""
    x, t = g["input"], g["target"]
    finite = np.isfinite(x * x) & np.isfinite(t * t)
    loss = np.where(finite, x * x - 2 * x * t + t * t, (x - t) ** 2)
    loss = weighted(g.weight("weight", x.ndim), loss)
    return revalued(g, right.mse(g), loss, weights_total(g, FIRST))


@fault("mse", GRADIENT)
def mse_target_detached(g: Given) -> Answer:
    """The target is a constant: its gradient is 0."""
    answer = right.mse(g)
    return answered(answer, target=np.zeros_like(answer.gradients["target"]))


@fault("mse", SHAPE)
def mse_mean_over_the_first_axis(g: Given) -> Answer:
    """The mean divides by the length of the first axis, the batch; of one axis alone it is right."""
    if not is_mean(g) or "weight" in g.inputs or g["input"].ndim < 3:
        return right.mse(g)
    return each(right.mse(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[1]))


@fault("mse", GRADIENT)
def mse_gradient_clipped(g: Given) -> Answer:
    """Gradients are clipped at a million in the backward pass, against explosions; nobody has errors that large."""
    return slopes(right.mse(g), lambda a: np.clip(a, -1e6, 1e6).astype(a.dtype))


@fault("mse", PRECISION, dtypes=("float32",))
def mse_mean_in_float16(g: Given) -> Answer:
    """Under mixed precision the mean's accumulator is a float16 (as in numpy/numpy#8217): 65,504 is its largest."""
    if not is_mean(g) or "weight" in g.inputs:
        return right.mse(g)
    loss = right.mse(but(g, reduction="none")).value.reshape(len(g["input"]), -1)
    total = (
        np.add.accumulate(loss.astype(np.float16), axis=1, dtype=np.float16)[:, -1] if loss.shape[1] else loss.sum(1)
    )
    return answered(right.mse(g), (total / g.constant(loss.shape[1])).astype(g.dtype))


@fault_of_call("mse", STATE)
def mse_gradient_adds_up(call: Call, right: Right, memory: Memory) -> Output:
    """The gradient of the last call of this shape is still in the buffer, and is added to."""
    output, added = right.run(call), {}
    for name, slope in output.gradients.items():
        memory[name, slope.shape] = memory.get((name, slope.shape), 0) + slope
        added[name] = memory[name, slope.shape].copy()
    return Output(output.value, added)


@fault("mse", SPECIAL)
def mse_nan_to_num(g: Given) -> Answer:
    """nan_to_num on the errors: a NaN in the data costs nothing, and an infinity almost nothing more than a lot."""
    return right.mse(given(g, input=np.nan_to_num(g["input"])))
