"""Triplet margin loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance import Call, Output
from tests.controls.first import embeddings as right
from tests.controls.first.embeddings import norm, norm_slope
from tests.controls.parts import FIRST, Answer, Array, Given, pairwise
from tests.mutants.changes import answered, as_it_lies, averaged_over_the_active, but, call_with, mapped
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

Length = Callable[[Array, float], Array]
Slope = Callable[[Array, Array, float], Array]


def of_distances(
    g: Given,
    eps: tuple[float, float, float] = (1, 1, 1),
    length: Length = norm,
    slope: Slope = norm_slope,
    swapped: Callable[[Array, Array], Array] = lambda d_ref, d_alt: d_alt < d_ref,
) -> Answer:
    """The loss, with these multiples of eps in the three differences, distances, their slopes and choice of the
    swap."""
    p, step = g.parameters["p"], g.real("eps")
    pairs = ("anchor", "positive"), ("anchor", "negative"), ("positive", "negative")
    to_pos, to_ref, to_alt = (g[a] - g[b] + k * step for (a, b), k in zip(pairs, eps, strict=True))
    d_pos, d_ref, d_alt = (length(x.astype(g.dtype), p) for x in (to_pos, to_ref, to_alt))
    taken = swapped(d_ref, d_alt) if g.parameters["swap"] else np.zeros(d_ref.shape, bool)
    short = d_pos - np.where(taken, d_alt, d_ref) + g.real("margin")
    active = short > 0
    by_pos = np.where(active, slope(to_pos, d_pos, p), 0)
    by_ref = np.where(active & ~taken, slope(to_ref, d_ref, p), 0)
    by_alt = np.where(active & taken, slope(to_alt, d_alt, p), 0)
    found = {"anchor": by_pos - by_ref, "positive": -by_pos - by_alt, "negative": by_ref + by_alt}
    return FIRST.reduced(g, np.maximum(short, 0)[..., 0], {name: a.astype(g.dtype) for name, a in found.items()})


@fault("triplet_margin", BOTH)
def triplet_margin_swap_without_minimum(g: Given) -> Answer:
    """swap takes the positive's distance to the negative, whether or not it is the smaller one."""
    return of_distances(g, swapped=lambda d_ref, d_alt: np.ones(d_ref.shape, bool))


@fault("triplet_margin", BOTH)
def triplet_margin_swap_takes_the_larger(g: Given) -> Answer:
    """max for min: the easier negative, which still is a triplet loss."""
    return of_distances(g, swapped=lambda d_ref, d_alt: d_alt > d_ref)


@fault("triplet_margin", GRADIENT)
def triplet_margin_gradient_before_the_swap(g: Given) -> Answer:
    """The backward pass goes through the anchor's distance, even where the positive's was taken."""
    p, step = g.parameters["p"], g.real("eps")
    answer = right.triplet_margin(g)
    unreduced = right.triplet_margin(but(g, reduction="none")).value[..., None]
    to_pos, to_ref = g["anchor"] - g["positive"] + step, g["anchor"] - g["negative"] + step
    by_pos, by_ref = (np.where(unreduced > 0, norm_slope(x, norm(x, p), p), 0) for x in (to_pos, to_ref))
    found = {"anchor": by_pos - by_ref, "positive": -by_pos, "negative": by_ref}
    return (
        Answer(answer.value, FIRST.reduced(g, unreduced[..., 0], found).gradients) if g.parameters["swap"] else answer
    )


@fault("triplet_margin", VALUE)
def triplet_margin_epsilon_beside_the_norm(g: Given) -> Answer:
    """d + eps, not a distance of the difference plus eps: it cancels between the two, and nothing of it is left."""
    plain, answer = of_distances(but(g, eps=0.0)), right.triplet_margin(g)
    return answered(answer, plain.value)


@fault("triplet_margin", BOTH)
def triplet_margin_epsilon_under_the_root(g: Given) -> Answer:
    """sqrt(sum(d^2) + eps): where eps is thought of, if the norm is the Euclidean one."""
    if g.parameters["p"] != 2:
        return right.triplet_margin(g)
    step = g.real("eps")

    def length(x: Array, p: float) -> Array:
        return np.hypot(norm(x, 2), np.sqrt(step))

    return of_distances(g, (0, 0, 0), length, lambda x, d, p: np.where(d > 0, x / d, 0))


@fault("triplet_margin", BOTH)
def triplet_margin_epsilon_of_the_swap_turned(g: Given) -> Answer:
    """negative - positive + eps: a distance is symmetric, and with eps in it it is not."""
    return of_distances(g, (1, 1, -1))


@fault("triplet_margin", BOTH)
def triplet_margin_epsilon_of_the_negative_missing(g: Given) -> Answer:
    """eps is added where a distance of 0 was seen, to the positive's, and not to the negative's."""
    return of_distances(g, (1, 0, 1))


@fault("triplet_margin", BOTH)
def triplet_margin_squared_distances(g: Given) -> Answer:
    """Squared Euclidean distances, as in FaceNet: no root, and no trouble at 0."""
    if g.parameters["p"] != 2:
        return right.triplet_margin(g)
    return of_distances(g, length=lambda x, p: pairwise(x * x)[..., None], slope=lambda x, d, p: 2 * x)


@fault("triplet_margin", BOTH)
def triplet_margin_euclidean_always(g: Given) -> Answer:
    """p reaches the constructor, and not the distance."""
    return right.triplet_margin(but(g, p=2.0))


@fault("triplet_margin", GRADIENT)
def triplet_margin_gradient_without_sign(g: Given) -> Answer:
    """|x|^(p-1) without sign(x) for p other than 1 and 2: right for what is positive."""

    def slope(x: Array, d: Array, p: float) -> Array:
        return norm_slope(x, d, p) if p in {1, 2} else np.abs(norm_slope(x, d, p))

    return of_distances(g, slope=slope)


@fault("triplet_margin", GRADIENT)
def triplet_margin_gradient_of_another_power(g: Given) -> Answer:
    """(x/d)^p sign(x), not to the power p - 1, for p other than 1 and 2."""

    def slope(x: Array, d: Array, p: float) -> Array:
        return norm_slope(x, d, p) if p in {1, 2} else norm_slope(x, d, p + 1)

    return of_distances(g, slope=slope)


@fault("triplet_margin", GRADIENT)
def triplet_margin_gradient_of_the_norm_at_0(g: Given) -> Answer:
    """x / |x|: 0/0 where anchor and positive are equal and eps is 0 (tensorflow/tensorflow#30199)."""
    return of_distances(g, slope=lambda x, d, p: x / d if p == 2 else norm_slope(x, d, p))


@fault("triplet_margin", GRADIENT)
def triplet_margin_gradient_of_satisfied_triplets(g: Given) -> Answer:
    """The clamp at 0 is in the forward pass only; triplets that are far apart are pushed on."""
    return Answer(right.triplet_margin(g).value, right.triplet_margin(but(g, margin=1e30)).gradients)


@fault("triplet_margin", BOTH)
def triplet_margin_mean_of_the_active(g: Given) -> Answer:
    """The mean is over the triplets that cost something, as in batch-hard mining."""
    return averaged_over_the_active(g, right.triplet_margin)


@fault("triplet_margin", SPECIAL)
def triplet_margin_squares_leave_the_range(g: Given) -> Answer:
    """sqrt(sum(x * x)): vectors of 1e200, or 1e20, are infinitely far from each other, and tiny ones are not apart."""

    def length(x: Array, p: float) -> Array:
        return np.sqrt(pairwise(x * x))[..., None] if p == 2 else norm(x, p)

    return of_distances(g, length=length)


@fault("triplet_margin", GRADIENT)
def triplet_margin_gradient_of_the_negative_turned(g: Given) -> Answer:
    """The negative is pulled towards the anchor: its sign is that of the positive."""
    answer = right.triplet_margin(g)
    return answered(answer, negative=-answer.gradients["negative"])


@fault("triplet_margin", PRECISION, dtypes=("float64",))
def triplet_margin_parameters_in_float32(g: Given) -> Answer:
    """eps and margin are floats of the kernel's signature: 1e-6 and 0.3 have seven digits."""
    return right.triplet_margin(but(g, **{n: float(np.float32(g.parameters[n])) for n in ("eps", "margin")}))


@fault_of_call("triplet_margin", INVALID)
def triplet_margin_any_power(call: Call, right: Right, memory: Memory) -> Output:
    """The p of a norm is not looked at; p = 1/2 gives a number, though no distance."""
    return right.answer(call)


@fault_of_call("triplet_margin", STATE)
def triplet_margin_noise_in_the_last_place(call: Call, right: Right, memory: Memory) -> Output:
    """Threads add up in the order in which they come: the last digit differs from run to run."""
    output, turn = right.run(call), memory.setdefault("turn", 0)
    memory["turn"] = turn + 1
    return mapped(output, lambda a: np.nextafter(a, np.where(np.isfinite(a), 0, a)) if turn % 2 else a)


@fault_of_call("triplet_margin", LAYOUT)
def triplet_margin_negative_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The negatives are often a permutation of a view, and are read as they lie."""
    x = call.inputs["negative"]
    return right.run(call_with(call, {"negative": as_it_lies(x)}))


@fault_of_call("triplet_margin", SHAPE)
def triplet_margin_of_two_axes_only(call: Call, right: Right, memory: Memory) -> Output:
    """sum(axis=1): a triplet of single vectors has no such axis."""
    if call.inputs["anchor"].ndim < 2:
        raise IndexError("axis 1 is out of bounds for array of dimension 1")
    return right.run(call)
