"""The pinball loss of a quantile."""

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
    """The right answer with this slope by target - input, not yet reduced."""
    reduced = FIRST.reduced(g, slope, {"input": -slope, "target": slope})
    return answered(right.quantile(g), **reduced.gradients)


@fault("quantile", BOTH)
def quantile_sides_exchanged(g: Given) -> Answer:
    """The error is input - target: at the median it is right."""
    return right.quantile(but(g, quantile=1 - g.parameters["quantile"]))


@fault("quantile", BOTH)
def quantile_twice(g: Given) -> Answer:
    """Doubled, so that the median gives the absolute error."""
    return each(right.quantile(g), lambda a: 2 * a)


@fault("quantile", BOTH)
def quantile_negative_side_not_weighted(g: Given) -> Answer:
    """max(q e, -e): the other side's weight is 1, not 1 - q."""
    error, q = g["target"] - g["input"], g.real("quantile")
    slope = np.where(error > 0, q, np.where(error < 0, -1, 0)).astype(g.dtype)
    loss = np.where(error > 0, q * error, -error)
    return FIRST.reduced(g, loss, {"input": -slope, "target": slope})


@fault("quantile", GRADIENT)
def quantile_gradient_of_the_absolute_error(g: Given) -> Answer:
    """Half the sign: the median's gradient, whatever the quantile."""
    return by_error(g, np.sign(g["target"] - g["input"]) / 2)


@fault("quantile", GRADIENT)
def quantile_gradient_sides_exchanged(g: Given) -> Answer:
    """1 - q where the prediction is too low: the signs are right, the sizes are not."""
    error, q = g["target"] - g["input"], g.real("quantile")
    return by_error(g, np.where(error > 0, 1 - q, np.where(error < 0, -q, 0)).astype(g.dtype))


@fault("quantile", GRADIENT)
def quantile_target_detached(g: Given) -> Answer:
    """The target is a constant: its gradient is 0."""
    answer = right.quantile(g)
    return answered(answer, target=np.zeros_like(answer.gradients["target"]))


@fault("quantile", GRADIENT)
def quantile_gradient_smoothed(g: Given) -> Answer:
    """The gradient falls to 0 within 0.001 of the target, as of a rounded loss."""
    error = g["target"] - g["input"]
    near = np.minimum(np.abs(error) / g.constant(1e-3), 1)
    return slopes(right.quantile(g), lambda a: (a * near).astype(a.dtype))


@fault("quantile", SPECIAL)
def quantile_mask_multiplied(g: Given) -> Answer:
    """q e [e > 0] + (1 - q) (-e) [e < 0], the masks being factors: for an infinite error, inf * 0."""
    error, q = g["target"] - g["input"], g.real("quantile")
    return revalued(g, right.quantile(g), q * error * (error > 0) + (1 - q) * -error * (error < 0))


@fault("quantile", VALUE)
def quantile_of_the_square(g: Given) -> Answer:
    """The asymmetric square, an expectile."""
    error, q = g["target"] - g["input"], g.real("quantile")
    return revalued(g, right.quantile(g), np.where(error > 0, q, 1 - q) * error * error)


@fault("quantile", PRECISION, dtypes=("float64",))
def quantile_as_a_float32(g: Given) -> Answer:
    """The quantile is kept as a float32: 0.1 is 0.10000000149."""
    return right.quantile(but(g, quantile=float(np.float32(g.parameters["quantile"]))))


@fault("quantile", SHAPE)
def quantile_mean_over_the_last_axis(g: Given) -> Answer:
    """The mean divides by the length of the last axis; of one axis alone it is right."""
    if not is_mean(g) or g["input"].ndim < 3:
        return right.quantile(g)
    return each(right.quantile(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[-1]))


@fault("quantile", SPECIAL)
def quantile_nan_is_no_error(g: Given) -> Answer:
    """A NaN is neither above nor below, and costs nothing."""
    return right.quantile(given(g, input=np.where(np.isnan(g["input"]), g["target"], g["input"])))


@fault_of_call("quantile", STATE)
def quantile_first_quantile_kept(call: Call, right: Right, memory: Memory) -> Output:
    """The quantile is compiled in at the first call."""
    output = right.run(call)
    kept = memory.setdefault("quantile", call.parameters["quantile"])
    return output if kept == call.parameters["quantile"] else right.run(call_with(call, quantile=kept))


@fault_of_call("quantile", LAYOUT)
def quantile_input_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Predictions and targets are walked through as they lie in memory."""
    return right.run(call_with(call, {"input": as_it_lies(call.inputs["input"])}))


@fault_of_call("quantile", INVALID)
def quantile_any_quantile(call: Call, right: Right, memory: Memory) -> Output:
    """A quantile of 90, meant as percent, is answered."""
    return right.answer(call)
