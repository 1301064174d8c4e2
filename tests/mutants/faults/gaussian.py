"""Gaussian negative log-likelihood."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import elementwise as right
from tests.controls.parts import FIRST, Answer, Array, Given, fitted, for_each
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, revalued
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


def parts(g: Given) -> tuple[Array, Array]:
    """The error, and the variance as it counts, aligned to it."""
    error = g["input"] - g["target"]
    return error, np.asarray(np.maximum(fitted(g["var"], error.ndim), g.real("eps")))


def full_term(g: Given) -> Array:
    return g.constant(np.log(2 * np.pi) / 2 if g.parameters["full"] else 0)


def by_var(g: Given, slope: Array) -> Answer:
    """The right answer with this gradient by the variance, given by element and not reduced."""
    found = for_each(g["var"], slope, FIRST.total)
    loss = right.gaussian_nll(but(g, reduction="none")).value
    return answered(right.gaussian_nll(g), var=FIRST.reduced(g, loss, {"var": found}).gradients["var"])


def of_variance(g: Given, v: Array) -> Answer:
    """The loss of this variance, which stands in the place of the clamped one."""
    error, full = parts(g)[0], full_term(g)
    slope = error / v
    found = for_each(g["var"], (1 - slope * error) / v / 2 * np.ones_like(error), FIRST.total)
    loss = (np.log(v) + error * error / v) / 2 + full
    return FIRST.reduced(g, loss, {"input": slope, "target": -slope, "var": found})


@fault("gaussian_nll", BOTH)
def gaussian_nll_epsilon_added(g: Given) -> Answer:
    """var + eps, as the documentation said for years (pytorch/pytorch#190058), not max(var, eps)."""
    return of_variance(g, fitted(g["var"], g["input"].ndim) + g.real("eps"))


@fault("gaussian_nll", GRADIENT)
def gaussian_nll_gradient_of_the_clamp(g: Given) -> Answer:
    """The clamp is differentiated: below eps the variance has no gradient, and stays there for good."""
    answer = right.gaussian_nll(g)
    return answered(answer, var=np.where(g["var"] < g.real("eps"), 0, answer.gradients["var"]))


@fault("gaussian_nll", BOTH)
def gaussian_nll_half_of_the_logarithm_missing(g: Given) -> Answer:
    """log(v) + e^2 / (2 v): the half is in one term only."""
    error, v = parts(g)
    slope = error / v
    found = for_each(g["var"], (1 - slope * error / 2) / v, FIRST.total)
    loss = np.log(v) + error * error / v / 2 + full_term(g)
    return FIRST.reduced(g, loss, {"input": slope, "target": -slope, "var": found})


@fault("gaussian_nll", VALUE)
def gaussian_nll_whole_constant(g: Given) -> Answer:
    """log(2 pi) for log(2 pi) / 2: a constant, which no gradient shows."""
    loss = right.gaussian_nll(but(g, reduction="none")).value
    return revalued(g, right.gaussian_nll(g), loss + full_term(g))


@fault("gaussian_nll", VALUE)
def gaussian_nll_constant_of_the_mean(g: Given) -> Answer:
    """The constant is added once to the reduced loss: right for a mean, too little for a sum."""
    plain = right.gaussian_nll(but(g, full=False))
    return answered(right.gaussian_nll(g), plain.value + full_term(g))


@fault("gaussian_nll", GRADIENT)
def gaussian_nll_gradient_of_the_variance_without_half(g: Given) -> Answer:
    """(1 - e^2 / v) / v: the half is lost on the way."""
    answer = right.gaussian_nll(g)
    return answered(answer, var=2 * answer.gradients["var"])


@fault("gaussian_nll", GRADIENT)
def gaussian_nll_shared_variance_averaged(g: Given) -> Answer:
    """A variance shared by a row gets the mean of the row's gradients, not their sum."""
    error, answer = parts(g)[0], right.gaussian_nll(g)
    shares = error[0].size // max(g["var"][0].size, 1)
    return answered(answer, var=answer.gradients["var"] / g.constant(max(shares, 1)))


@fault("gaussian_nll", GRADIENT)
def gaussian_nll_shared_variance_of_the_first(g: Given) -> Answer:
    """Of the gradients of a shared variance the first one is kept: the reduction over the broadcast axis is missing."""
    error, v = parts(g)
    slope = (1 - error * error / v / v * v) / v / 2
    if g["var"][0].size == error[0].size:
        return right.gaussian_nll(g)
    return by_var(g, np.where(np.arange(slope.shape[-1]) == 0, slope, 0).astype(g.dtype))


@fault("gaussian_nll", BOTH)
def gaussian_nll_variance_is_a_deviation(g: Given) -> Answer:
    """The third input is taken for the standard deviation, as other libraries have it."""
    return right.gaussian_nll(given(g, var=g["var"] ** 2))


@fault("gaussian_nll", SHAPE)
def gaussian_nll_variance_aligned_to_the_last_axis(g: Given) -> Answer:
    """A variance without the last axis is broadcast as NumPy does it, wherever the sizes allow that."""
    var, shape = g["var"], g["input"].shape
    if var.ndim != len(shape) - 1 or var.shape[1:] != shape[2:]:
        return right.gaussian_nll(g)
    wide = np.broadcast_to(var[:, None], shape)
    answer = right.gaussian_nll(given(g, var=wide))
    return answered(answer, var=answer.gradients["var"].sum(axis=1))


@fault("gaussian_nll", GRADIENT)
def gaussian_nll_gradient_by_the_square_of_the_variance(g: Given) -> Answer:
    """e^2 / v^2 with v * v: the square of a small variance underflows, and the quotient is infinite, or 0/0."""
    error, v = parts(g)
    square = v * v
    lost = (square == 0) | np.isinf(square)
    exact = (1 - error / v * error) / v / 2
    return by_var(g, np.where(lost, (1 / v - error * error / square) / 2, exact))


@fault("gaussian_nll", GRADIENT)
def gaussian_nll_gradient_of_the_target_has_the_sign_of_the_input(g: Given) -> Answer:
    """Both gradients are e / v: the loss is even in the error, but not in each of its parts."""
    answer = right.gaussian_nll(g)
    return answered(answer, target=answer.gradients["input"])


@fault("gaussian_nll", PRECISION, dtypes=("float64",))
def gaussian_nll_constant_in_float32(g: Given) -> Answer:
    """0.9189385f, copied from a float32 kernel, is log(2 pi) / 2 to seven digits."""
    if not g.parameters["full"]:
        return right.gaussian_nll(g)
    loss = right.gaussian_nll(but(g, full=False, reduction="none")).value
    return revalued(g, right.gaussian_nll(g), loss + g.constant(float(np.float32(0.9189385))))


@fault("gaussian_nll", PRECISION, dtypes=("float64",))
def gaussian_nll_epsilon_in_float32(g: Given) -> Answer:
    """eps is a float of the kernel's signature: where the variance is below it, it is 1e-6 to seven digits."""
    return right.gaussian_nll(but(g, eps=float(np.float32(g.parameters["eps"]))))


@fault("gaussian_nll", SPECIAL)
def gaussian_nll_infinite_variance(g: Given) -> Answer:
    """e^2 * (1 / v) and log(v) - log(inf): what is infinitely uncertain is taken to cost nothing."""
    loss, v = right.gaussian_nll(but(g, reduction="none")).value, parts(g)[1]
    return revalued(g, right.gaussian_nll(g), np.where(np.isinf(v), 0, loss))


@fault("gaussian_nll", BOTH)
def gaussian_nll_mean_of_the_rows(g: Given) -> Answer:
    """With a shared variance the mean is over the variances, of which there are fewer."""
    if not is_mean(g) or g["var"][0].size in {0, g["input"][0].size}:
        return right.gaussian_nll(g)
    total = right.gaussian_nll(but(g, reduction="sum"))
    return each(total, lambda a: a / g.constant(g["var"][0].size))


@fault_of_call("gaussian_nll", STATE)
def gaussian_nll_clamped_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """var.clamp_(min=eps) without a copy: the caller's variances are at least eps from now on."""
    output, var = right.run(call), call.inputs["var"]
    np.maximum(var, np.asarray(call.parameters["eps"], var.dtype), out=var)
    return output


@fault_of_call("gaussian_nll", INVALID)
def gaussian_nll_negative_variance_clamped(call: Call, right: Right, memory: Memory) -> Output:
    """The clamp makes eps of a negative variance, which is no variance and should be told."""
    return right.run(call_with(call, {"var": np.maximum(call.inputs["var"], 0)}))


@fault_of_call("gaussian_nll", LAYOUT, survives="in float64 no consistency check has a variance of two axes")
def gaussian_nll_variance_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The variance is one head of a network, a strided view, and its strides are not looked at."""
    var = call.inputs["var"]
    return right.run(call_with(call, {"var": as_it_lies(var)}))
