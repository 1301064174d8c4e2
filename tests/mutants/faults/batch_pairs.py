"""N-pair loss and normalised temperature-scaled cross-entropy."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import batches as right
from tests.controls.first.batches import alike, apart_from, pulled, turned
from tests.controls.parts import Answer, Array, Given
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    PRECISION,
    SPECIAL,
    STATE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def alone(g: Given) -> Array:
    """A group for each."""
    return np.broadcast_to(np.arange(g["target"].shape[1]), g["target"].shape)


@fault("npair", BOTH)
def npair_labels_ignored(g: Given) -> Answer:
    """Every pair is a group of its own, as in the paper's tuples."""
    return right.npair(given(g, target=alone(g)))


@fault("npair", BOTH)
def npair_lengths_whole(g: Given) -> Answer:
    """The squared lengths without the quarter."""
    return right.npair(but(g, l2_reg=4 * g.parameters["l2_reg"]))


@fault("npair", BOTH)
def npair_no_lengths(g: Given) -> Answer:
    """No penalty on long vectors."""
    return right.npair(but(g, l2_reg=0.0))


@fault("npair", BOTH)
def npair_columns(g: Given) -> Answer:
    """The softmax is over the anchors of a positive, not over the positives of an anchor."""
    answer = right.npair(given(g, anchor=g["positive"], positive=g["anchor"]))
    return Answer(answer.value, {"anchor": answer.gradients["positive"], "positive": answer.gradients["anchor"]})


@fault("npair", BOTH)
def npair_both_ways(g: Given) -> Answer:
    """The mean of both directions, as contrastive losses of images and texts have it."""
    one, other = right.npair(g), npair_columns(g)
    return Answer(
        (one.value + other.value) / 2,
        {name: (one.gradients[name] + other.gradients[name]) / 2 for name in one.gradients},
    )


@fault("npair", BOTH)
def npair_cosines(g: Given) -> Answer:
    """Positives are brought to length 1 first, and their length is a constant."""
    size = np.sqrt((g["positive"] ** 2).sum(axis=-1, keepdims=True))
    return right.npair(given(g, positive=(g["positive"] / np.where(size > 0, size, 1)).astype(g.dtype)))


@fault("npair", GRADIENT)
def npair_gradient_of_the_anchor_only(g: Given) -> Answer:
    """The positives are a memory bank: what is pulled is the anchor."""
    answer = right.npair(g)
    return answered(answer, positive=np.zeros_like(answer.gradients["positive"]))


@fault("npair", GRADIENT)
def npair_gradient_without_lengths(g: Given) -> Answer:
    """The penalty is added to what is shown, and not to what is differentiated."""
    return answered(right.npair(g), **right.npair(but(g, l2_reg=0.0)).gradients)


@fault("npair", SPECIAL)
def npair_exponentials_as_they_are(g: Given) -> Answer:
    """log(sum(exp(x))), nothing subtracted: beyond 710, or 89, it is infinite."""
    answer = right.npair(g)
    with np.errstate(all="ignore"):
        lost = np.isinf(np.exp(right.products(g["anchor"], g["positive"]))).any(axis=-1)
    lost = lost if g.parameters["reduction"] == "none" else lost.any(axis=-1)
    return answered(answer, np.where(lost, np.nan, answer.value).astype(g.dtype))


@fault("npair", PRECISION, dtypes=("float64",))
def npair_products_in_float32(g: Given) -> Answer:
    """The products are those of matrices in float32."""
    short = {name: g[name].astype(np.float32).astype(g.dtype) for name in ("anchor", "positive")}
    return right.npair(given(g, **short))


@fault_of_call("npair", LAYOUT)
def npair_anchors_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The anchors are read as they lie."""
    return right.run(call_with(call, {"anchor": as_it_lies(call.inputs["anchor"])}))


@fault_of_call("npair", STATE)
def npair_labels_of_the_last_call(call: Call, right: Right, memory: Memory) -> Output:
    """Which pairs belong together is worked out once for a size of batch."""
    target = memory.setdefault(call.inputs["target"].shape, call.inputs["target"].copy())
    return right.run(call_with(call, {"target": target}))


@fault_of_call("npair", INVALID)
def npair_any_weight(call: Call, right: Right, memory: Memory) -> Output:
    """A weight below 0 rewards long vectors."""
    return right.answer(call)


@fault("nt_xent", BOTH)
def nt_xent_group_competes(g: Given) -> Answer:
    """The first other of a group alone is its pair; the rest of the group is no rival, nor a pair."""
    same = alike(g) & apart_from(g["input"])
    answer = right.nt_xent(g)
    count = same.sum(axis=-1).max(axis=-1, initial=0)
    rest = np.maximum(count, 1).astype(g.dtype)
    return each(answer, lambda a: (a / rest.reshape(-1, *(1,) * (a.ndim - 1))).astype(g.dtype))


@fault("nt_xent", BOTH)
def nt_xent_temperature_multiplied(g: Given) -> Answer:
    """The cosine times the temperature."""
    return right.nt_xent(but(g, temperature=1 / g.parameters["temperature"]))


@fault("nt_xent", BOTH)
def nt_xent_fixed_temperature(g: Given) -> Answer:
    """The temperature is always the default."""
    return right.nt_xent(but(g, temperature=0.07))


@fault("nt_xent", BOTH)
def nt_xent_inner_products(g: Given) -> Answer:
    """Vectors are taken to have length 1 already."""
    return right.of_scores(g, right.Units(g["input"], np.ones_like(g["input"][..., :1])))


@fault("nt_xent", BOTH)
def nt_xent_mean_over_vectors(g: Given) -> Answer:
    """The mean is over the vectors, not over the pairs."""
    if not is_mean(g):
        return right.nt_xent(g)
    count = g.constant(max(g["target"].shape[1], 1))
    return each(right.nt_xent(but(g, reduction="sum")), lambda a: a / count)


@fault("nt_xent", BOTH)
def nt_xent_mean_over_unordered_pairs(g: Given) -> Answer:
    """Each pair is counted once, and added up twice."""
    return each(right.nt_xent(g), lambda a: 2 * a) if is_mean(g) else right.nt_xent(g)


@fault("nt_xent", BOTH)
def nt_xent_length_of_at_least_a_hundredth(g: Given) -> Answer:
    """A constant under the lengths, so that nothing is divided by 0."""
    of = right.units(g["input"])
    length = np.maximum(of.length, g.constant(0.01))
    return right.of_scores(g, right.Units((g["input"] / length).astype(g.dtype), length.astype(g.dtype)))


@fault("nt_xent", GRADIENT)
def nt_xent_gradient_of_the_first(g: Given) -> Answer:
    """Only the first vector of a pair is pulled; the second one is a constant."""
    of = right.units(g["input"])
    loss, by_score, pair = right.by_scores(g, of)
    by_unit = pulled(by_score, of.unit)
    slope = (by_unit - of.unit * (of.unit * by_unit).sum(axis=-1, keepdims=True)) / of.length
    return answered(right.nt_xent(g), **right.over_pairs(g, loss, slope.astype(g.dtype), pair).gradients)


@fault("nt_xent", GRADIENT)
def nt_xent_gradient_of_fixed_lengths(g: Given) -> Answer:
    """The lengths are constants."""
    of = right.units(g["input"])
    loss, by_score, pair = right.by_scores(g, of)
    slope = (pulled(by_score + turned(by_score), of.unit) / of.length).astype(g.dtype)
    return answered(right.nt_xent(g), **right.over_pairs(g, loss, slope, pair).gradients)


@fault("nt_xent", PRECISION)
def nt_xent_difference_of_ones(g: Given) -> Answer:
    """-log(p), p rounded: a loss below the unit roundoff is 0."""
    answer = right.nt_xent(g)
    if g.parameters["reduction"] != "none":
        return answer
    one = g.constant(1)
    return answered(answer, (-np.log((one - (-np.expm1(-answer.value))).astype(g.dtype))).astype(g.dtype))


@fault_of_call("nt_xent", LAYOUT)
def nt_xent_labels_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The labels are read as they lie."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("nt_xent", STATE)
def nt_xent_normalised_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """input /= norm, in the caller's array."""
    output, x = right.run(call), call.inputs["input"]
    if x.flags.writeable and x.size:
        x /= 2
    return output


@fault_of_call("nt_xent", INVALID)
def nt_xent_any_temperature(call: Call, right: Right, memory: Memory) -> Output:
    """A temperature of 0 or below is a number like any other."""
    return right.answer(call)
