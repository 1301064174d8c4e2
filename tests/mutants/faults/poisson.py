"""Poisson negative log-likelihood."""

from __future__ import annotations

import math

import numpy as np

from conformance import Call, Output
from tests.controls.first import elementwise as right
from tests.controls.parts import FIRST, Answer, Array, Given
from tests.mutants.changes import answered, but, mapped, revalued
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


def is_log(g: Given) -> bool:
    return bool(g.parameters["log_input"])


def is_full(g: Given) -> bool:
    return bool(g.parameters["full"])


def stirling(t: Array) -> Array:
    return np.asarray(t * np.log(t) - t + np.log(t.dtype.type(2 * np.pi) * t) / 2)


def losses(g: Given) -> Array:
    """By element, without Stirling's term."""
    return right.poisson_nll(but(g, full=False, reduction="none")).value


def with_term(g: Given, term: Array) -> Answer:
    """The right answer, with the value of another term in the place of Stirling's."""
    return revalued(g, right.poisson_nll(g), losses(g) + term) if is_full(g) else right.poisson_nll(g)


def slope_of(g: Given, name: str, slope: Array) -> Answer:
    """The right answer, with this gradient, not reduced."""
    return answered(right.poisson_nll(g), **{name: FIRST.reduced(g, slope, {"": slope}).gradients[""]})


@fault("poisson_nll", BOTH)
def poisson_nll_epsilon_of_the_log_rate(g: Given) -> Answer:
    """eps is added to the input at the top of the function, though a log rate does not need it."""
    if not is_log(g):
        return right.poisson_nll(g)
    x, t = g["input"] + g.real("eps"), g["target"]
    plain = right.poisson_nll(Given({"input": x, "target": t}, g.parameters, g.dtype))
    return Answer(plain.value, plain.gradients)


@fault("poisson_nll", VALUE)
def poisson_nll_epsilon_in_both_terms(g: Given) -> Answer:
    """The rate is guarded once and used twice: rate + eps - t log(rate + eps)."""
    if is_log(g):
        return right.poisson_nll(g)
    term = right.poisson_nll(but(g, reduction="none")).value + g.real("eps")
    return revalued(g, right.poisson_nll(g), term)


@fault("poisson_nll", VALUE)
def poisson_nll_mask_of_the_approximation(g: Given) -> Answer:
    """Stirling's term is dropped where it is at most 1, not where the target is (PaddlePaddle/Paddle#56733)."""
    term = stirling(g["target"])
    return with_term(g, np.where(term > 1, term, 0))


@fault("poisson_nll", VALUE)
def poisson_nll_mask_includes_1(g: Given) -> Answer:
    """target >= 1 for target > 1: at 1 the approximation is off by 0.08."""
    t = g["target"]
    return with_term(g, np.where(t >= 1, stirling(np.where(t >= 1, t, 1)), 0))


@fault("poisson_nll", VALUE)
def poisson_nll_no_mask(g: Given) -> Answer:
    """Stirling's term of every target above 0; below 1 it is far from log(target!)."""
    t = g["target"]
    return with_term(g, np.where(t > 0, stirling(np.where(t > 0, t, 1)), 0))


@fault("poisson_nll", VALUE)
def poisson_nll_factorial_by_lgamma(g: Given) -> Answer:
    """log(target!) by lgamma: better than Stirling's approximation, and not what is asked for."""
    t = g["target"]
    exact = np.vectorize(lambda n: math.lgamma(n + 1) if n < 1e300 else np.inf, otypes=[float])
    return with_term(g, np.where(t > 1, exact(t) if t.size else t, 0).astype(g.dtype))


@fault("poisson_nll", VALUE)
def poisson_nll_stirling_without_pi(g: Given) -> Answer:
    """t log t - t + log(t) / 2: the constant of the approximation is left out, as it has no gradient."""
    t = g["target"]
    many = np.where(t > 1, t, 2)
    return with_term(g, np.where(t > 1, many * np.log(many) - many + np.log(many) / 2, 0))


@fault("poisson_nll", GRADIENT)
def poisson_nll_stirling_is_a_constant(g: Given) -> Answer:
    """Stirling's term is computed without gradient: targets are data."""
    return Answer(right.poisson_nll(g).value, right.poisson_nll(but(g, full=False)).gradients)


@fault("poisson_nll", GRADIENT)
def poisson_nll_gradient_without_epsilon(g: Given) -> Answer:
    """1 - t / x in the backward pass: eps is in the forward pass, where the logarithm is."""
    if is_log(g):
        return right.poisson_nll(g)
    return slope_of(g, "input", 1 - g["target"] / g["input"])


@fault("poisson_nll", GRADIENT)
def poisson_nll_gradient_of_the_target_without_epsilon(g: Given) -> Answer:
    """-log(x) for the target: with eps 1e-8 nobody sees it, unless the rate is 0."""
    if is_log(g) or is_full(g):
        return right.poisson_nll(g)
    return slope_of(g, "target", -np.log(g["input"]))


@fault("poisson_nll", GRADIENT)
def poisson_nll_target_detached(g: Given) -> Answer:
    """Counts are data, and have no gradient."""
    answer = right.poisson_nll(g)
    return answered(answer, target=np.zeros_like(answer.gradients["target"]))


@fault("poisson_nll", SPECIAL)
def poisson_nll_term_multiplied_by_its_mask(g: Given) -> Answer:
    """mask * stirling: for a target of 0 it is 0 * (0 * -inf)."""
    t = g["target"]
    return with_term(g, (t > 1) * stirling(t))


@fault("poisson_nll", GRADIENT)
def poisson_nll_gradient_of_the_branch_not_taken(g: Given) -> Answer:
    """where() differentiates the term for a target of 0 too: log(0) + 1/0, times 0."""
    answer = right.poisson_nll(g)
    if not is_full(g):
        return answered(answer)
    return answered(answer, target=np.where(g["target"] == 0, np.nan, answer.gradients["target"]))


@fault("poisson_nll", PRECISION, dtypes=("float64",))
def poisson_nll_pi_in_float32(g: Given) -> Answer:
    """6.2831853f for 2 pi in Stirling's term."""
    t = np.where(g["target"] > 1, g["target"], 2)
    term = t * np.log(t) - t + np.log(float(np.float32(2 * np.pi)) * t) / 2
    return with_term(g, np.where(g["target"] > 1, term, 0))


@fault("poisson_nll", PRECISION, dtypes=("float64",))
def poisson_nll_epsilon_in_float32(g: Given) -> Answer:
    """1e-8 as a float32."""
    return right.poisson_nll(but(g, eps=float(np.float32(g.parameters["eps"]))))


@fault("poisson_nll", BOTH)
def poisson_nll_rate_clipped(g: Given) -> Answer:
    """The log rate is clipped at 30, so that no rate exceeds 1e13: beyond, the loss falls with it."""
    if not is_log(g):
        return right.poisson_nll(g)
    x, t = g["input"], g["target"]
    over = np.maximum(x - 30, 0)
    gone = np.where(over > 0, np.exp(x) - np.exp(np.minimum(x, 30)), 0)
    answer = right.poisson_nll(but(g, reduction="none"))
    slope = np.where(over > 0, -t, answer.gradients["input"])
    return revalued(g, slope_of(g, "input", slope), np.where(over > 0, answer.value - gone, answer.value))


@fault_of_call("poisson_nll", INVALID)
def poisson_nll_negative_count(call: Call, right: Right, memory: Memory) -> Output:
    """A count of -1 is answered with a number: nobody looks at the target's sign."""
    return right.answer(call)


@fault_of_call("poisson_nll", STATE)
def poisson_nll_another_order_each_time(call: Call, right: Right, memory: Memory) -> Output:
    """The sum is taken in another order each time, as atomics do it: within rounding, and never the same bits."""
    turn = memory["turn"] = memory.get("turn", 0) + 1
    output = right.run(call)
    if call.parameters["reduction"] == "none" or turn % 2:
        return output
    return Output(mapped(output, lambda a: np.nextafter(a, np.where(np.isfinite(a), 0, a))).value, output.gradients)


@fault_of_call("poisson_nll", SHAPE)
def poisson_nll_value_of_one_element(call: Call, right: Right, memory: Memory) -> Output:
    """sum(keepdims=True) for inputs of one axis: the loss is an array of one number."""
    output = right.run(call)
    one = call.inputs["input"].ndim == 1 and call.parameters["reduction"] != "none"
    return Output(output.value.reshape(1), output.gradients) if one else output
