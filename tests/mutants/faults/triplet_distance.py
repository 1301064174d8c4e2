"""Triplet margin loss with a distance of choice."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import pairs as right
from tests.controls.first.embeddings import norm
from tests.controls.first.pairs import cosine_distance, of_distances
from tests.controls.parts import Answer, Array, Given, pairwise
from tests.mutants.changes import answered, as_it_lies, averaged_over_the_active, but, call_with
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    PRECISION,
    SHAPE,
    SPECIAL,
    Memory,
    Right,
    fault,
    fault_of_call,
)

Found = tuple[Array, Array, Array]


def kind_of(g: Given) -> str:
    return str(g.parameters["distance"])


def by(g: Given, kind: str) -> Answer:
    """The loss by another distance."""
    return right.triplet_margin_with_distance(but(g, distance=kind))


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_always_euclidean(g: Given) -> Answer:
    """The distance reaches the constructor, and not the loss."""
    return by(g, "euclidean")


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_similarity(g: Given) -> Answer:
    """The cosine itself, where its complement is due: nearer is larger."""

    def of(g: Given, first: str, second: str) -> Found:
        d, by_x, by_y = right.distance(g, first, second)
        return (1 - d, -by_x, -by_y) if kind_of(g) == "cosine" else (d, by_x, by_y)

    return of_distances(g, of)


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_sum_of_components(g: Given) -> Answer:
    """For the largest component the sum of all: max and sum look alike for one component."""
    return by(g, "manhattan") if kind_of(g) == "chebyshev" else right.triplet_margin_with_distance(g)


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_largest_signed(g: Given) -> Answer:
    """max(x - y), without the magnitude."""

    def of(g: Given, first: str, second: str) -> Found:
        if kind_of(g) != "chebyshev":
            return right.distance(g, first, second)
        gap = g[first] - g[second] + g.real("eps")
        top = (np.arange(gap.shape[-1]) == np.argmax(gap, axis=-1)[..., None]).astype(g.dtype)
        return gap.max(axis=-1, keepdims=True), top, -top

    return of_distances(g, of)


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_no_eps(g: Given) -> Answer:
    """The default distance is the bare norm: eps is left out."""
    return right.triplet_margin_with_distance(but(g, eps=0.0))


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_eps_for_the_cosine(g: Given) -> Answer:
    """eps is added under the lengths of the cosine, too."""

    def of(g: Given, first: str, second: str) -> Found:
        if kind_of(g) != "cosine" or g.parameters["eps"] == 0:
            return right.distance(g, first, second)
        x, y, eps = g[first], g[second], g.real("eps")
        n, m = norm(x, 2), norm(y, 2)
        d, by_x, by_y = cosine_distance(x, y)
        shrink = n * m / (n * m + eps)
        by_x = shrink * by_x + (1 - d) * eps / (n * m + eps) ** 2 * m * (-x / n)
        by_y = shrink * by_y + (1 - d) * eps / (n * m + eps) ** 2 * n * (-y / m)
        return 1 - (1 - d) * shrink, by_x, by_y

    return of_distances(g, of)


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_squared(g: Given) -> Answer:
    """The squared Euclidean distance."""

    def of(g: Given, first: str, second: str) -> Found:
        if kind_of(g) != "euclidean":
            return right.distance(g, first, second)
        gap = g[first] - g[second] + g.real("eps")
        return pairwise(gap * gap)[..., None], 2 * gap, -2 * gap

    return of_distances(g, of)


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_swap_ignored(g: Given) -> Answer:
    """swap is for the default distance only."""
    return right.triplet_margin_with_distance(but(g, swap=g.parameters["swap"] and kind_of(g) == "euclidean"))


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_swap_takes_the_larger(g: Given) -> Answer:
    """max for min: the easier negative."""
    if not g.parameters["swap"]:
        return right.triplet_margin_with_distance(g)
    parts = {"far": right.distance(g, "anchor", "negative")[0], "other": right.distance(g, "positive", "negative")[0]}
    wrong = parts["other"] < parts["far"]
    if not wrong.any():
        return right.triplet_margin_with_distance(g)
    return right.triplet_margin_with_distance(but(g, swap=False))


@fault("triplet_margin_with_distance", GRADIENT)
def triplet_margin_with_distance_gradient_of_the_norm_at_0(g: Given) -> Answer:
    """x / |x|: 0/0 where two vectors are equal and eps is 0."""

    def of(g: Given, first: str, second: str) -> Found:
        d, by_x, by_y = right.distance(g, first, second)
        nothing = (d == 0) & (kind_of(g) == "euclidean")
        return d, np.where(nothing, np.nan, by_x).astype(g.dtype), np.where(nothing, np.nan, by_y).astype(g.dtype)

    return of_distances(g, of)


@fault("triplet_margin_with_distance", GRADIENT)
def triplet_margin_with_distance_gradient_of_all_components(g: Given) -> Answer:
    """For the largest component the slope of all is taken."""

    def of(g: Given, first: str, second: str) -> Found:
        d, by_x, by_y = right.distance(g, first, second)
        if kind_of(g) == "chebyshev":
            by_x = np.sign(g[first] - g[second] + g.real("eps")).astype(g.dtype)
            by_y = -by_x
        return d, by_x, by_y

    return of_distances(g, of)


@fault("triplet_margin_with_distance", GRADIENT)
def triplet_margin_with_distance_gradient_of_fixed_lengths(g: Given) -> Answer:
    """In the cosine the lengths are taken for constants: vectors are of length 1, so it is said."""

    def of(g: Given, first: str, second: str) -> Found:
        d, by_x, by_y = right.distance(g, first, second)
        if kind_of(g) == "cosine":
            x, y = g[first], g[second]
            n, m = norm(x, 2), norm(y, 2)
            by_x, by_y = -(y / m) / n, -(x / n) / m
        return d, by_x, by_y

    return of_distances(g, of)


@fault("triplet_margin_with_distance", GRADIENT)
def triplet_margin_with_distance_gradient_of_satisfied_triplets(g: Given) -> Answer:
    """The clamp at 0 is in the forward pass only."""
    wrong = right.triplet_margin_with_distance(but(g, margin=1e30))
    return Answer(right.triplet_margin_with_distance(g).value, wrong.gradients)


@fault("triplet_margin_with_distance", GRADIENT)
def triplet_margin_with_distance_gradient_of_the_negative_turned(g: Given) -> Answer:
    """The negative is pulled towards the anchor."""
    answer = right.triplet_margin_with_distance(g)
    return answered(answer, negative=-answer.gradients["negative"])


@fault("triplet_margin_with_distance", BOTH)
def triplet_margin_with_distance_mean_of_the_active(g: Given) -> Answer:
    """The mean is over the triplets that cost something."""
    return averaged_over_the_active(g, right.triplet_margin_with_distance)


@fault("triplet_margin_with_distance", SPECIAL)
def triplet_margin_with_distance_lengths_of_at_least_a_millionth(g: Given) -> Answer:
    """max(|x| |y|, 1e-6) under the cosine, so that nothing is divided by 0."""

    def of(g: Given, first: str, second: str) -> Found:
        d, by_x, by_y = right.distance(g, first, second)
        if kind_of(g) == "cosine":
            size = norm(g[first], 2) * norm(g[second], 2)
            d = 1 - (1 - d) * np.minimum(size / g.constant(1e-6), 1)
        return d.astype(g.dtype), by_x, by_y

    return of_distances(g, of)


@fault("triplet_margin_with_distance", PRECISION, dtypes=("float64",))
def triplet_margin_with_distance_eps_in_float32(g: Given) -> Answer:
    """eps and margin are floats of the kernel's signature."""
    narrow = {n: float(np.float32(g.parameters[n])) for n in ("eps", "margin")}
    return right.triplet_margin_with_distance(but(g, **narrow))


@fault_of_call("triplet_margin_with_distance", SHAPE)
def triplet_margin_with_distance_along_the_second_axis(call: Call, right: Right, memory: Memory) -> Output:
    """dim=1 in the distance: a triplet of single vectors has no such axis."""
    if call.inputs["anchor"].ndim < 2:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got 1)")
    return right.run(call)


@fault_of_call("triplet_margin_with_distance", LAYOUT)
def triplet_margin_with_distance_negative_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The negatives are often a permutation of a view, and are read as they lie."""
    return right.run(call_with(call, {"negative": as_it_lies(call.inputs["negative"])}))


@fault_of_call("triplet_margin_with_distance", INVALID)
def triplet_margin_with_distance_any_margin(call: Call, right: Right, memory: Memory) -> Output:
    """A margin of 0 or below is a number like any other."""
    return right.answer(call)
