"""Ranking softmax loss."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import scores as right
from tests.controls.parts import Answer, Array, Given
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, revalued, without
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


def kept_of(g: Given) -> Array:
    return np.asarray(g["mask"] == 1) if "mask" in g.inputs else np.ones(g["input"].shape, bool)


@fault("ranking_softmax", BOTH)
def ranking_softmax_masked_items_in_the_sum(g: Given) -> Answer:
    """The mask is applied to the relevances only: what is left out still has a share."""
    if "mask" not in g.inputs:
        return right.ranking_softmax(g)
    kept = kept_of(g)
    every = given(without(g, "mask"), target=np.where(kept, g["target"], 0).astype(g.dtype))
    if not np.isfinite(g["input"]).all():
        return right.ranking_softmax(g)
    answer = right.ranking_softmax(but(every, reduction="none"))
    return right._over_lists(g, kept, answer.value, answer.gradients["input"])


@fault("ranking_softmax", BOTH)
def ranking_softmax_masked_at_zero(g: Given) -> Answer:
    """Scores are multiplied by the mask: what is left out has a score of 0, not of -inf."""
    if "mask" not in g.inputs:
        return right.ranking_softmax(g)
    kept = kept_of(g)
    zeroed = np.where(kept, g["input"], 0).astype(g.dtype)
    every = given(without(g, "mask"), input=zeroed, target=np.where(kept, g["target"], 0).astype(g.dtype))
    answer = right.ranking_softmax(but(every, reduction="none"))
    return right._over_lists(g, kept, answer.value, np.where(kept, answer.gradients["input"], 0))


@fault("ranking_softmax", BOTH)
def ranking_softmax_mean_over_all_lists(g: Given) -> Answer:
    """The mean counts the lists of which nothing is left."""
    if not is_mean(g):
        return right.ranking_softmax(g)
    answer, lists = right.ranking_softmax(but(g, reduction="sum")), g["input"][..., 0].reshape(len(g["input"]), -1)
    count = g.constant(max(lists.shape[1], 1))
    return each(answer, lambda a: a / count)


@fault("ranking_softmax", BOTH)
def ranking_softmax_normalised_relevances(g: Given) -> Answer:
    """Relevances are divided by their sum, so that they are a distribution."""
    kept = kept_of(g)
    total = np.where(kept, g["target"], 0).sum(axis=-1, keepdims=True)
    return right.ranking_softmax(given(g, target=(g["target"] / np.where(total > 0, total, 1)).astype(g.dtype)))


@fault("ranking_softmax", BOTH)
def ranking_softmax_weights_of_the_loss(g: Given) -> Answer:
    """One weight for a list, that of its first item."""
    if "weight" not in g.inputs:
        return right.ranking_softmax(g)
    return right.ranking_softmax(given(g, weight=np.broadcast_to(g["weight"][..., :1], g["weight"].shape)))


@fault("ranking_softmax", BOTH)
def ranking_softmax_mean_over_the_items(g: Given) -> Answer:
    """The mean is over the items, not over the lists."""
    items = g.constant(g["input"].shape[-1])
    return each(right.ranking_softmax(g), lambda a: a / items) if is_mean(g) else right.ranking_softmax(g)


@fault("ranking_softmax", GRADIENT)
def ranking_softmax_gradient_of_a_distribution(g: Given) -> Answer:
    """p - y, which is right where the relevances sum to 1."""
    kept, gain = right._gains(g)
    answer = right.ranking_softmax(g)
    x = np.where(kept, g["input"], -np.inf)
    x = np.where(kept.any(axis=-1, keepdims=True), x, 0)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    slope = np.where(kept, e / e.sum(axis=-1, keepdims=True) - gain, 0).astype(g.dtype)
    loss = right.ranking_softmax(but(g, reduction="none")).value
    return answered(answer, **right._over_lists(g, kept, loss, slope).gradients)


@fault("ranking_softmax", GRADIENT)
def ranking_softmax_gradient_without_weights(g: Given) -> Answer:
    """The weights are in the forward pass only."""
    return answered(right.ranking_softmax(g), **right.ranking_softmax(without(g, "weight")).gradients)


@fault("ranking_softmax", GRADIENT)
def ranking_softmax_gradient_of_the_relevant(g: Given) -> Answer:
    """Only relevant items get a slope; the others are not pushed down."""
    answer = right.ranking_softmax(g)
    return answered(answer, input=np.where(right._gains(g)[1] > 0, answer.gradients["input"], 0).astype(g.dtype))


@fault("ranking_softmax", VALUE)
def ranking_softmax_best_item_only(g: Given) -> Answer:
    """The value is the loss of the most relevant item; the gradient is right."""
    kept, gain = right._gains(g)
    top = np.arange(gain.shape[-1]) == np.argmax(gain, axis=-1)[..., None]
    loss = right.ranking_softmax(but(given(g, target=np.where(top, g["target"], 0).astype(g.dtype)), reduction="none"))
    divisor = kept.any(axis=-1).reshape(len(kept), -1).sum(axis=1).astype(g.dtype)
    return revalued(g, right.ranking_softmax(g), loss.value, divisor if is_mean(g) else None)


@fault("ranking_softmax", SPECIAL)
def ranking_softmax_mask_by_multiplication(g: Given) -> Answer:
    """loss * mask, where what is left out is infinite or NaN."""
    answer, kept = right.ranking_softmax(g), kept_of(g)
    poison = np.where(kept, 0, g["input"] * 0).sum(axis=-1).astype(g.dtype)
    loss = right.ranking_softmax(but(g, reduction="none")).value + poison
    divisor = kept.any(axis=-1).reshape(len(kept), -1).sum(axis=1).astype(g.dtype)
    return revalued(g, answer, loss, divisor if is_mean(g) else None)


@fault("ranking_softmax", SPECIAL)
def ranking_softmax_exponentials_as_they_are(g: Given) -> Answer:
    """log(sum(exp(x))), nothing subtracted: from some 710, or 89, on it is infinite."""
    answer, (kept, gain) = right.ranking_softmax(g), right._gains(g)
    with np.errstate(all="ignore"):
        total = np.log(np.where(kept, np.exp(g["input"]), 0).sum(axis=-1))
    loss = right.ranking_softmax(but(g, reduction="none")).value
    lost = np.isinf(total) & (gain > 0).any(axis=-1)
    divisor = kept.any(axis=-1).reshape(len(kept), -1).sum(axis=1).astype(g.dtype)
    return revalued(g, answer, np.where(lost, np.nan, loss).astype(g.dtype), divisor if is_mean(g) else None)


@fault("ranking_softmax", PRECISION, dtypes=("float64",))
def ranking_softmax_relevances_in_float32(g: Given) -> Answer:
    """Relevances are cast to the default float."""
    return right.ranking_softmax(given(g, target=g["target"].astype(np.float32).astype(g.dtype)))


@fault_of_call("ranking_softmax", SHAPE)
def ranking_softmax_of_two_axes_only(call: Call, right: Right, memory: Memory) -> Output:
    """sum(axis=1): a single list has no such axis."""
    if call.inputs["input"].ndim < 2:
        raise IndexError("axis 1 is out of bounds for array of dimension 1")
    return right.run(call)


@fault_of_call("ranking_softmax", LAYOUT)
def ranking_softmax_relevances_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The relevances are read as they lie."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("ranking_softmax", STATE)
def ranking_softmax_masked_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """input[~mask] = -inf, in the caller's array."""
    output = right.run(call)
    x = call.inputs["input"]
    if "mask" in call.inputs and x.flags.writeable:
        x[call.inputs["mask"] == 0] = -np.inf
    return output


@fault_of_call("ranking_softmax", INVALID)
def ranking_softmax_any_relevance(call: Call, right: Right, memory: Memory) -> Output:
    """A relevance below 0 is a number like any other."""
    return right.answer(call)
