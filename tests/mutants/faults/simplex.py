"""The nearest distribution to scores: multiclass_sparsemax."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import scores as right
from tests.controls.first.classes import softmax
from tests.controls.first.scores import nearest_shares
from tests.controls.parts import FIRST, Answer, Array, Given, at, pairwise
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


def losses(g: Given) -> Array:
    """The losses, not reduced."""
    return right.multiclass_sparsemax(but(g, reduction="none")).value


def hits(g: Given) -> Array:
    return np.asarray(np.arange(g["input"].shape[-1]) == g["target"][..., None])


def by_input(g: Given, slope: Array) -> Answer:
    """The right answer with this gradient, not yet reduced."""
    slope = slope.astype(g.dtype)
    return answered(right.multiclass_sparsemax(g), **FIRST.reduced(g, losses(g), {"input": slope}).gradients)


@fault("multiclass_sparsemax", GRADIENT)
def multiclass_sparsemax_gradient_of_softmax(g: Given) -> Answer:
    """softmax(z) - y: that of cross-entropy."""
    return by_input(g, softmax(g["input"])[0] - hits(g))


@fault("multiclass_sparsemax", GRADIENT)
def multiclass_sparsemax_shares_only(g: Given) -> Answer:
    """The gradient is the distribution: the label is not subtracted."""
    return by_input(g, nearest_shares(g["input"])[0])


@fault("multiclass_sparsemax", GRADIENT)
def multiclass_sparsemax_gradient_of_the_distance(g: Given) -> Answer:
    """The slope of |p - y|^2 / 2 through the projection: its Jacobian is applied to p - y once more."""
    p = nearest_shares(g["input"])[0]
    inside, slope = p > 0, p - hits(g)
    mean = pairwise(np.where(inside, slope, 0)) / inside.sum(axis=-1).astype(g.dtype)
    return by_input(g, np.where(inside, slope - mean[..., None], 0))


@fault("multiclass_sparsemax", GRADIENT)
def multiclass_sparsemax_slope_inside_only(g: Given) -> Answer:
    """A label without a share has no slope: the gradient is masked by the support."""
    p = nearest_shares(g["input"])[0]
    return by_input(g, np.where(p > 0, p - hits(g), 0))


@fault("multiclass_sparsemax", VALUE)
def multiclass_sparsemax_distance_only(g: Given) -> Answer:
    """|p - y|^2 / 2: right as long as the label has a share."""
    apart = nearest_shares(g["input"])[0] - hits(g)
    plain = pairwise(apart * apart) / 2
    return revalued(g, right.multiclass_sparsemax(g), np.minimum(plain, losses(g)).astype(g.dtype))


@fault("multiclass_sparsemax", VALUE)
def multiclass_sparsemax_half_missing(g: Given) -> Answer:
    """The constant 1/2 is left out: a perfect answer costs -1/2."""
    return revalued(g, right.multiclass_sparsemax(g), losses(g) - g.constant(0.5))


@fault("multiclass_sparsemax", VALUE)
def multiclass_sparsemax_threshold_squared_once(g: Given) -> Answer:
    """The threshold's square is subtracted once, not once for each share: right for a single one."""
    x = g["input"]
    p, level = nearest_shares(x)
    level = (level + x.max(axis=-1, keepdims=True))[..., 0]
    more = (p > 0).sum(axis=-1).astype(g.dtype) - 1
    added = np.where(more > 0, more * np.where(more > 0, level, 0) ** 2 / 2, 0)
    return revalued(g, right.multiclass_sparsemax(g), (losses(g) + added).astype(g.dtype))


@fault("multiclass_sparsemax", BOTH)
def multiclass_sparsemax_not_strictly_inside(g: Given) -> Answer:
    """The support is cut one class too early: the last of the sorted scores has no share."""
    x = g["input"]
    p = nearest_shares(x)[0]
    several = (p > 0).sum(axis=-1) > 2
    least = np.where(p > 0, p, np.inf).min(axis=-1)
    dropped = (p == least[..., None]) & several[..., None] & (p < g.constant(0.25))
    lower = np.where(dropped & ~hits(g), x - 2, x)
    return right.multiclass_sparsemax(given(g, input=lower.astype(g.dtype)))


@fault("multiclass_sparsemax", BOTH)
def multiclass_sparsemax_two_classes_only(g: Given) -> Answer:
    """The binary loss of the label against the best of the others."""
    x, hit = g["input"], hits(g)
    if x.shape[-1] < 2:
        return right.multiclass_sparsemax(g)
    rest = np.where(hit, -np.inf, x)
    first = np.arange(x.shape[-1]) == rest.argmax(axis=-1)[..., None]
    kept = np.where(hit | first, x, -np.inf).astype(g.dtype)
    return right.multiclass_sparsemax(given(g, input=kept))


@fault("multiclass_sparsemax", BOTH)
def multiclass_sparsemax_scores_halved(g: Given) -> Answer:
    """The projection of z / 2, as if the regulariser were the squared norm and not its half."""
    answer = right.multiclass_sparsemax(given(g, input=g["input"] / 2))
    return each(answer, lambda a: a) if g["input"].shape[-1] > 1 else right.multiclass_sparsemax(g)


@fault("multiclass_sparsemax", SPECIAL)
def multiclass_sparsemax_masked_is_nan(g: Given) -> Answer:
    """0 times -inf: the share of a forbidden class times its score."""
    lost = np.isneginf(g["input"]).any(axis=-1)
    return revalued(g, right.multiclass_sparsemax(g), np.where(lost, np.nan, losses(g)).astype(g.dtype))


@fault("multiclass_sparsemax", PRECISION)
def multiclass_sparsemax_squares_first(g: Given) -> Answer:
    """A difference of squares of the scores as they stand: of scores of 10,000, nothing is left."""
    x = g["input"]
    p, level = nearest_shares(x)
    top = x.max(axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        squares = pairwise(np.where(p > 0, x * x - (level + top) ** 2, 0)) / 2
        loss = squares - at(x, g["target"]) + g.constant(0.5)
    return revalued(g, right.multiclass_sparsemax(g), np.where(np.isfinite(loss), loss, losses(g)).astype(g.dtype))


@fault("multiclass_sparsemax", PRECISION, dtypes=("float64",))
def multiclass_sparsemax_shares_in_float32(g: Given) -> Answer:
    """The shares are kept in float32."""
    p = nearest_shares(g["input"])[0]
    return by_input(g, np.where(hits(g), p - 1, p).astype(np.float32))


@fault("multiclass_sparsemax", SHAPE)
def multiclass_sparsemax_mean_over_the_classes(g: Given) -> Answer:
    """The mean divides by all scores."""
    if not is_mean(g):
        return right.multiclass_sparsemax(g)
    return each(right.multiclass_sparsemax(but(g, reduction="sum")), lambda a: a / g.constant(g["input"][0].size))


@fault_of_call("multiclass_sparsemax", SHAPE)
def multiclass_sparsemax_of_two_axes_only(call: Call, right: Right, memory: Memory) -> Output:
    """vmap over the first axis: a single row has none."""
    if call.inputs["input"].ndim < 2:
        raise IndexError("axis 0 is the classes'")
    return right.run(call)


@fault_of_call("multiclass_sparsemax", STATE)
def multiclass_sparsemax_sorted_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """The scores are sorted where they lie."""
    output = right.run(call)
    call.inputs["input"].sort(axis=-1)
    return output


@fault_of_call("multiclass_sparsemax", LAYOUT)
def multiclass_sparsemax_labels_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The labels are read as they lie."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("multiclass_sparsemax", INVALID)
def multiclass_sparsemax_negative_label_from_the_end(call: Call, right: Right, memory: Memory) -> Output:
    """The label -1 is the last class."""
    classes = call.inputs["input"].shape[-1]
    target = call.inputs["target"]
    return right.run(
        call_with(call, {"target": np.where((target < 0) & (target >= -classes), target + classes, target)})
    )
