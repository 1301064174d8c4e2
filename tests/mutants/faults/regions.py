"""Two regions: dice and tversky."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance import Call, Output
from tests.controls.first import regions as right
from tests.controls.first.regions import examples, like_input, probabilities
from tests.controls.parts import FIRST, Answer, Given, pairwise
from tests.mutants.changes import answered, as_it_lies, but, call_with, given, is_mean, mapped, revalued
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

Of = Callable[[Given], Answer]


def whole_batch(g: Given, of: Of) -> Answer:
    """The loss of all positions of the batch together, where a mean over examples is due."""
    if not is_mean(g) or g["input"].ndim < 3:
        return of(g)
    flat = {name: x.reshape(len(x), int(np.prod(x.shape[1:]))) for name, x in g.inputs.items()}
    answer = of(given(g, **flat))
    return answered(answer, input=answer.gradients["input"].reshape(g["input"].shape))


def unlogged(g: Given) -> Answer:
    """The gradient by the probability in the place of that by its logit."""
    p, q, _ = probabilities(g)
    slope = like_input(g, p * q)
    answer = right.dice(g)
    if not g.parameters["from_logits"]:
        return answer
    return answered(answer, input=answer.gradients["input"] / np.where(slope > 0, slope, 1))


@fault("dice", BOTH)
def dice_smooth_below_only(g: Given) -> Answer:
    """What smooths is added to the denominator only, as an epsilon is."""
    return right.dice(but(g, smooth=0.0, eps=g.parameters["eps"] + g.parameters["smooth"]))


@fault("dice", BOTH)
def dice_smooth_doubled(g: Given) -> Answer:
    """2 (both + smooth) over the sizes + smooth: the factor of 2 reaches what smooths."""
    s = g.parameters["smooth"]
    answer, loss = right.dice(g), right.dice(but(g, reduction="none"))
    if not s:
        return answer
    (p, _, by_x), t = probabilities(g), examples(g["target"])
    sizes = pairwise(p * p + t * t if g.parameters["squared"] else p + t) + g.constant(s + g.parameters["eps"])
    extra = (g.constant(s) / sizes).astype(g.dtype)
    by_p = 2 * p if g.parameters["squared"] else np.ones_like(p)
    slope = like_input(g, (extra / sizes)[..., None] * by_p * by_x)
    return FIRST.reduced(g, loss.value - extra, {"input": loss.gradients["input"] + slope})


@fault("dice", BOTH)
def dice_eps_forgotten(g: Given) -> Answer:
    """eps is what keeps 0/0 away, and is added only where the sizes are 0."""
    plain = right.dice(but(g, eps=0.0))
    return plain if np.isfinite(plain.value).all() else right.dice(g)


@fault("dice", BOTH)
def dice_of_the_whole_batch(g: Given) -> Answer:
    """Sums run over the batch, too: one loss for all examples, where a mean of theirs is due."""
    return whole_batch(g, right.dice)


@fault("dice", BOTH)
def dice_jaccard(g: Given) -> Answer:
    """1 - both / (sizes - both): the distance of Jaccard, which is a relation of Dice's."""
    if g.parameters["squared"] or g.parameters["smooth"] or g.parameters["eps"]:
        return right.dice(g)
    loss = right.dice(but(g, reduction="none"))
    a, slope = loss.value, loss.gradients["input"]
    by = (2 / ((1 + a) * (1 + a))).reshape(*a.shape, *(1,) * (slope.ndim - a.ndim))
    return FIRST.reduced(g, 2 * a / (1 + a), {"input": slope * by})


@fault("dice", BOTH)
def dice_squared_always(g: Given) -> Answer:
    """V-Net's sums of squares, whether or not they are asked for: the same where all is 0 or 1."""
    return right.dice(but(g, squared=True))


@fault("dice", BOTH)
def dice_sigmoid_of_probabilities(g: Given) -> Answer:
    """The sigmoid is taken in any case."""
    return right.dice(but(g, from_logits=True))


@fault("dice", GRADIENT)
def dice_gradient_by_the_probability(g: Given) -> Answer:
    """With logits, the backward pass ends at the probability."""
    return unlogged(g)


@fault("dice", GRADIENT)
def dice_gradient_of_the_numerator(g: Given) -> Answer:
    """The sizes are taken for constants in the backward pass."""
    (p, _, by_x), t = probabilities(g), examples(g["target"])
    sizes = pairwise(p * p + t * t if g.parameters["squared"] else p + t)
    sizes = (sizes + g.constant(g.parameters["smooth"] + g.parameters["eps"])).astype(g.dtype)
    slope = like_input(g, by_x * (-2 * t / sizes[..., None]))
    answer = right.dice(g)
    return answered(answer, **FIRST.reduced(g, sizes, {"input": slope}).gradients)


@fault("dice", GRADIENT)
def dice_gradient_of_the_squares_halved(g: Given) -> Answer:
    """The derivative of p^2 is p."""
    answer = right.dice(g)
    if not g.parameters["squared"]:
        return answer
    return answered(answer, input=answer.gradients["input"] / 2)


@fault("dice", VALUE)
def dice_coefficient(g: Given) -> Answer:
    """The coefficient itself, not 1 - it; the gradient was written for the loss."""
    return revalued(g, right.dice(g), 1 - right.dice(but(g, reduction="none")).value)


@fault("dice", SPECIAL)
def dice_exponential_overflows(g: Given) -> Answer:
    """The sigmoid is exp(x) / (1 + exp(x)): from some 710 on it is inf / inf."""
    answer, x = right.dice(g), g["input"]
    if not g.parameters["from_logits"]:
        return answer
    with np.errstate(all="ignore"):
        p = examples(np.exp(x) / (1 + np.exp(x)))
    loss = right.dice(but(g, reduction="none")).value
    return revalued(g, answer, np.where(np.isnan(p).any(axis=-1), np.nan, loss).astype(g.dtype))


@fault("dice", PRECISION, dtypes=("float64",))
def dice_sums_in_float32(g: Given) -> Answer:
    """The sizes are added up in float32."""
    loss = right.dice(but(g, reduction="none")).value
    return revalued(g, right.dice(g), loss.astype(np.float32).astype(g.dtype))


@fault_of_call("dice", SHAPE)
def dice_without_a_batch(call: Call, right: Right, memory: Memory) -> Output:
    """The first axis is the batch, also of a single row: each position is an example."""
    output = right.run(call)
    if call.inputs["input"].ndim == 1 and call.parameters["reduction"] == "none":
        return Output(np.broadcast_to(output.value, call.inputs["input"].shape), output.gradients)
    return output


@fault_of_call("dice", LAYOUT)
def dice_targets_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The targets are read as they lie: a transposed mask is another one."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("dice", INVALID)
def dice_any_probability(call: Call, right: Right, memory: Memory) -> Output:
    """A probability of 3/2 is a number like any other."""
    return right.answer(call)


@fault("tversky", BOTH)
def tversky_alpha_and_beta_exchanged(g: Given) -> Answer:
    """alpha weighs what is missed, as it does in an implementation whose sums bear each other's names."""
    return right.tversky(but(g, alpha=g.parameters["beta"], beta=g.parameters["alpha"]))


@fault("tversky", BOTH)
def tversky_weights_that_sum_to_one(g: Given) -> Answer:
    """beta is 1 - alpha, as in most papers."""
    return right.tversky(but(g, beta=abs(1 - g.parameters["alpha"])))


@fault("tversky", BOTH)
def tversky_smooth_below_only(g: Given) -> Answer:
    """What smooths is added to the denominator only."""
    return right.tversky(but(g, smooth=0.0, eps=g.parameters["eps"] + g.parameters["smooth"]))


@fault("tversky", BOTH)
def tversky_eps_forgotten(g: Given) -> Answer:
    """eps is added only where 0/0 would come out."""
    plain = right.tversky(but(g, eps=0.0))
    return plain if np.isfinite(plain.value).all() else right.tversky(g)


@fault("tversky", BOTH)
def tversky_of_the_whole_batch(g: Given) -> Answer:
    """Sums run over the batch, too."""
    return whole_batch(g, right.tversky)


@fault("tversky", BOTH)
def tversky_dice(g: Given) -> Answer:
    """alpha and beta reach the constructor, and not the loss."""
    return right.tversky(but(g, alpha=0.5, beta=0.5))


@fault("tversky", BOTH)
def tversky_focal(g: Given) -> Answer:
    """The loss to the power 4/3 is the focal one; to 2 it was easier to write."""
    loss = right.tversky(but(g, reduction="none"))
    a, slope = loss.value, loss.gradients["input"]
    return FIRST.reduced(g, a * a, {"input": 2 * a.reshape(*a.shape, *(1,) * (slope.ndim - a.ndim)) * slope})


@fault("tversky", GRADIENT)
def tversky_gradient_of_dice(g: Given) -> Answer:
    """The backward pass is that of the even weights."""
    return answered(right.tversky(g), **right.tversky(but(g, alpha=0.5, beta=0.5)).gradients)


@fault("tversky", GRADIENT)
def tversky_gradient_exchanged(g: Given) -> Answer:
    """The backward pass takes alpha for beta."""
    other = right.tversky(but(g, alpha=g.parameters["beta"], beta=g.parameters["alpha"]))
    return answered(right.tversky(g), **other.gradients)


@fault("tversky", GRADIENT)
def tversky_gradient_of_an_example_of_many(g: Given) -> Answer:
    """The mean over the examples is forgotten in the backward pass."""
    answer = right.tversky(g)
    if not is_mean(g):
        return answer
    return answered(answer, **right.tversky(but(g, reduction="sum")).gradients)


@fault("tversky", VALUE)
def tversky_index(g: Given) -> Answer:
    """The index itself, not 1 - it."""
    return revalued(g, right.tversky(g), 1 - right.tversky(but(g, reduction="none")).value)


@fault("tversky", PRECISION, dtypes=("float64",))
def tversky_parameters_in_float32(g: Given) -> Answer:
    """alpha and beta are floats of the kernel's signature: 0.3 has seven digits."""
    return right.tversky(but(g, **{n: float(np.float32(g.parameters[n])) for n in ("alpha", "beta")}))


@fault_of_call("tversky", STATE)
def tversky_first_weights_kept(call: Call, right: Right, memory: Memory) -> Output:
    """What is compiled for the first alpha and beta serves all calls."""
    kept = memory.setdefault("weights", {n: call.parameters[n] for n in ("alpha", "beta")})
    return right.run(call_with(call, **kept))


@fault_of_call("tversky", PRECISION)
def tversky_noise_in_the_last_place(call: Call, right: Right, memory: Memory) -> Output:
    """Threads add up in the order in which they come: the last digit differs from run to run."""
    output, turn = right.run(call), memory.setdefault("turn", 0)
    memory["turn"] = turn + 1
    return mapped(output, lambda a: np.nextafter(a, np.where(np.isfinite(a), 0, a)) if turn % 2 else a)


@fault_of_call("tversky", INVALID)
def tversky_any_weight(call: Call, right: Right, memory: Memory) -> Output:
    """A weight below 0 is a number like any other."""
    return right.answer(call)
