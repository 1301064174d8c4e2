"""Cross-entropy and epsilon times what is missed: poly_cross_entropy."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import scores as right
from tests.controls.first.elementwise import sigmoid, softplus
from tests.controls.first.scores import beside
from tests.controls.parts import FIRST, Answer, Array, Given, pairwise
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


def of_slopes(g: Given, by_apart: Array, loss: Array) -> Answer:
    """The answer with these losses and these slopes by the log-odds against each class."""
    shares = beside(g["input"])[1]
    by_apart = np.where(g["target"] > 0, by_apart, 0).astype(g.dtype)
    slope = pairwise(np.swapaxes(by_apart[..., None] * shares, -1, -2)) - by_apart
    return FIRST.reduced(g, loss.astype(g.dtype), {"input": slope})


def parts(g: Given) -> tuple[Array, Array, Array, Array]:
    """The targets, epsilon, -log p and 1 - p."""
    apart = beside(g["input"])[0]
    return g["target"], g.real("epsilon"), softplus(apart), sigmoid(apart)


def losses(g: Given) -> Array:
    """The losses, not reduced."""
    return right.poly_cross_entropy(but(g, reduction="none")).value


@fault("poly_cross_entropy", BOTH)
def poly_cross_entropy_epsilon_lost(g: Given) -> Answer:
    """epsilon reaches the constructor, and not the loss."""
    return right.poly_cross_entropy(but(g, epsilon=0.0))


@fault("poly_cross_entropy", BOTH)
def poly_cross_entropy_epsilon_of_the_hit(g: Given) -> Answer:
    """epsilon times p, not times 1 - p."""
    t, epsilon, nll, miss = parts(g)
    hit = sigmoid(-beside(g["input"])[0])
    loss = pairwise(np.where(t > 0, t * (nll + epsilon * hit), 0))
    return of_slopes(g, t * miss * (1 - epsilon * hit), loss)


@fault("poly_cross_entropy", BOTH)
def poly_cross_entropy_miss_of_all(g: Given) -> Answer:
    """1 - sum(y p), right for targets that add up to 1: sum(y (1 - p)) is due."""
    answer, epsilon = right.poly_cross_entropy(but(g, reduction="none")), g.real("epsilon")
    lacking = 1 - pairwise(g["target"])
    return FIRST.reduced(g, answer.value + epsilon * lacking, answer.gradients)


@fault("poly_cross_entropy", BOTH)
def poly_cross_entropy_squared(g: Given) -> Answer:
    """epsilon (1 - p)^2: the second term of the series."""
    t, epsilon, nll, miss = parts(g)
    loss = pairwise(np.where(t > 0, t * (nll + epsilon * miss * miss), 0))
    hit = sigmoid(-beside(g["input"])[0])
    return of_slopes(g, t * miss * (1 + 2 * epsilon * miss * hit), loss)


@fault("poly_cross_entropy", BOTH)
def poly_cross_entropy_coefficient_is_epsilon(g: Given) -> Answer:
    """epsilon is the first coefficient, and not what is added to it."""
    return right.poly_cross_entropy(but(g, epsilon=g.parameters["epsilon"] - 1))


@fault("poly_cross_entropy", GRADIENT)
def poly_cross_entropy_miss_detached(g: Given) -> Answer:
    """1 - p is taken from a softmax that is detached."""
    gradients = right.poly_cross_entropy(but(g, epsilon=0.0)).gradients
    return answered(right.poly_cross_entropy(g), **gradients)


@fault("poly_cross_entropy", GRADIENT)
def poly_cross_entropy_gradient_of_the_own_logit(g: Given) -> Answer:
    """The slope of p by the class's own logit only, as of a sigmoid."""
    t, epsilon, _, miss = parts(g)
    hit = sigmoid(-beside(g["input"])[0])
    slope = right.poly_cross_entropy(but(g, reduction="none", epsilon=0.0)).gradients["input"]
    slope = slope - np.where(t > 0, t * epsilon * miss * hit, 0)
    return answered(right.poly_cross_entropy(g), **FIRST.reduced(g, slope, {"input": slope.astype(g.dtype)}).gradients)


@fault("poly_cross_entropy", GRADIENT)
def poly_cross_entropy_gradient_without_the_hit(g: Given) -> Answer:
    """The slope of 1 - p is taken to be 1 - p, where it is p (1 - p)."""
    t, epsilon, _, miss = parts(g)
    gradients = of_slopes(g, t * miss * (1 + epsilon), losses(g)).gradients
    return answered(right.poly_cross_entropy(g), **gradients)


@fault("poly_cross_entropy", VALUE)
def poly_cross_entropy_of_the_likely_class(g: Given) -> Answer:
    """1 - max(p): how unsure the model is, whatever the label."""
    t, epsilon, nll, miss = parts(g)
    entropy = pairwise(np.where(t > 0, t * nll, 0))
    return revalued(g, right.poly_cross_entropy(g), (entropy + epsilon * miss.min(axis=-1)).astype(g.dtype))


@fault("poly_cross_entropy", VALUE)
def poly_cross_entropy_mean_of_the_misses(g: Given) -> Answer:
    """What is missed is averaged over the classes; cross-entropy is summed."""
    t, epsilon, nll, miss = parts(g)
    entropy = pairwise(np.where(t > 0, t * nll, 0))
    missed = pairwise(np.where(t > 0, t * miss, 0)) / g.constant(t.shape[-1])
    return revalued(g, right.poly_cross_entropy(g), (entropy + epsilon * missed).astype(g.dtype))


@fault("poly_cross_entropy", SPECIAL)
def poly_cross_entropy_clipped(g: Given) -> Answer:
    """p is kept within 1e-7 of 0 and 1: no loss is above 16, and no class is certain."""
    t, epsilon, nll, _ = parts(g)
    p = np.clip(np.exp(-nll), 1e-7, 1 - 1e-7)
    loss = pairwise(np.where(t > 0, t * (epsilon * (1 - p) - np.log(p)), 0).astype(g.dtype))
    return revalued(g, right.poly_cross_entropy(g), loss)


@fault("poly_cross_entropy", SPECIAL)
def poly_cross_entropy_zero_times_infinity(g: Given) -> Answer:
    """All classes are multiplied by their targets: a forbidden class is 0 times infinity."""
    t, epsilon, nll, miss = parts(g)
    return revalued(g, right.poly_cross_entropy(g), pairwise(t * (nll + epsilon * miss)))


@fault("poly_cross_entropy", PRECISION, dtypes=("float64",))
def poly_cross_entropy_softmax_in_float32(g: Given) -> Answer:
    """1 - p is computed in float32."""
    t, epsilon, nll, miss = parts(g)
    loss = pairwise(np.where(t > 0, t * (nll + epsilon * miss.astype(np.float32)), 0).astype(g.dtype))
    return revalued(g, right.poly_cross_entropy(g), loss)


@fault("poly_cross_entropy", BOTH)
def poly_cross_entropy_hard_labels_only(g: Given) -> Answer:
    """Targets are turned into the index of the largest."""
    t = g["target"]
    top = np.arange(t.shape[-1]) == t.argmax(axis=-1)[..., None]
    return right.poly_cross_entropy(given(g, target=top.astype(g.dtype)))


@fault("poly_cross_entropy", SHAPE)
def poly_cross_entropy_mean_over_the_batch(g: Given) -> Answer:
    """The mean divides by the batch, whatever positions there are besides."""
    if not is_mean(g) or g["input"].ndim < 4:
        return right.poly_cross_entropy(g)
    return each(right.poly_cross_entropy(but(g, reduction="sum")), lambda a: a / g.constant(g["input"].shape[1]))


@fault_of_call("poly_cross_entropy", STATE)
def poly_cross_entropy_first_epsilon_kept(call: Call, right: Right, memory: Memory) -> Output:
    """epsilon is compiled in at the first call."""
    output = right.run(call)
    kept = memory.setdefault("epsilon", call.parameters["epsilon"])
    return output if kept == call.parameters["epsilon"] else right.run(call_with(call, epsilon=kept))


@fault_of_call("poly_cross_entropy", LAYOUT)
def poly_cross_entropy_targets_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The targets are read as they lie."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("poly_cross_entropy", INVALID)
def poly_cross_entropy_any_epsilon(call: Call, right: Right, memory: Memory) -> Output:
    """An epsilon of -2, and a probability of 2, are answered."""
    return right.answer(call)
