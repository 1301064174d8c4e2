"""Hinges over classes: multi_margin and multilabel_margin."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import classes
from tests.controls.parts import FIRST, Answer, Array, Given, at, pairwise, weight_of, weighted
from tests.mutants.changes import answered, but, call_with, each, is_mean, revalued
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    SHAPE,
    SPECIAL,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def excess(g: Given) -> tuple[Array, Array]:
    """margin + x_j - x_t, and where j is the target."""
    x = g["input"]
    hit = np.arange(x.shape[-1]) == g["target"][..., None]
    return g.real("margin") + (x - at(x, g["target"])[..., None]), np.asarray(hit)


def of_hinges(g: Given, hinge: Array, slope: Array, classes: int | None = None, w: Array | None = None) -> Answer:
    """The loss and gradient of these hinges and their slopes by x_j, neither weighted nor divided."""
    x, hit = g["input"], excess(g)[1]
    count = g.constant(x.shape[-1] if classes is None else classes)
    w = weight_of(g.class_weight(x.shape[-1]), g["target"]) if w is None else w
    slope = weighted(w[..., None], slope) / count
    slope = np.where(hit, -pairwise(np.where(hit, 0, slope))[..., None], slope)
    return FIRST.reduced(g, weighted(w, pairwise(hinge)) / count, {"input": slope})


def hinges(g: Given) -> tuple[Array, Array]:
    """Each wrong class's hinge to the power p, and its slope."""
    over, hit = excess(g)
    hinge = np.where(hit, 0, np.maximum(over, 0))
    squared = g.parameters["p"] == 2
    return (hinge * hinge if squared else hinge), np.where(hinge > 0, 2 * hinge if squared else 1, 0).astype(
        hinge.dtype
    )


@fault("multi_margin", VALUE)
def multi_margin_target_not_left_out(g: Given) -> Answer:
    """The sum runs over all classes; the target's own hinge is the margin, a constant that no gradient shows."""
    own = np.maximum(g.real("margin"), 0) ** g.parameters["p"]
    hit, (hinge, slope) = excess(g)[1], hinges(g)
    return of_hinges(g, np.where(hit, own, hinge), slope)


@fault("multi_margin", BOTH)
def multi_margin_weight_inside_the_power(g: Given) -> Answer:
    """max(0, w (margin - x_t + x_j))^p, as the formula stood in torch's documentation (pytorch/pytorch#104844)."""
    w = weight_of(g.class_weight(g["input"].shape[-1]), g["target"])
    power = w * w if g.parameters["p"] == 2 else w
    return of_hinges(g, *hinges(g), w=power)


@fault("multi_margin", GRADIENT)
def multi_margin_gradient_of_the_half_square(g: Given) -> Answer:
    """The gradient for p = 2 is the hinge, without its factor of 2, as if the loss had a half."""
    hinge, slope = hinges(g)
    return of_hinges(g, hinge, slope / 2 if g.parameters["p"] == 2 else slope)


@fault("multi_margin", BOTH)
def multi_margin_squared_twice(g: Given) -> Answer:
    """The hinge is squared where it is computed, and once more where p is looked at."""
    hinge, slope = hinges(g)
    return of_hinges(g, hinge * hinge, 2 * hinge * slope) if g.parameters["p"] == 2 else of_hinges(g, hinge, slope)


@fault("multi_margin", BOTH)
def multi_margin_over_the_wrong_classes(g: Given) -> Answer:
    """The divisor is C - 1, the number of terms, not C."""
    return of_hinges(g, *hinges(g), classes=max(g["input"].shape[-1] - 1, 1))


@fault("multi_margin", GRADIENT)
def multi_margin_gradient_of_the_target_missing(g: Given) -> Answer:
    """For p = 2 the backward pass forgets what the target's score owes to all the others."""
    answer, hit = classes.multi_margin(g), excess(g)[1]
    if g.parameters["p"] != 2:
        return answer
    return answered(answer, input=np.where(hit, 0, answer.gradients["input"]))


@fault("multi_margin", BOTH)
def multi_margin_weight_of_the_wrong_class(g: Given) -> Answer:
    """Each hinge is weighted by the class that is too high, not by the target's."""
    hinge, slope = hinges(g)
    w = g.class_weight(g["input"].shape[-1]).reshape(-1, *(1,) * (hinge.ndim - 2), hinge.shape[-1])
    return of_hinges(g, weighted(w, hinge), weighted(w, slope), w=np.ones(g["target"].shape, g.dtype))


@fault("multi_margin", BOTH)
def multi_margin_mean_by_weight(g: Given) -> Answer:
    """A weighted mean divides by the weights, as that of cross-entropy does; here it is the count."""
    if not is_mean(g):
        return classes.multi_margin(g)
    w = weight_of(g.class_weight(g["input"].shape[-1]), g["target"]).reshape(len(g["target"]), -1)
    total, divisor = classes.multi_margin(but(g, reduction="sum")), pairwise(w)
    return each(total, lambda a: a / divisor.reshape(-1, *(1,) * (a.ndim - 1)))


@fault("multi_margin", GRADIENT)
def multi_margin_gradient_without_margin(g: Given) -> Answer:
    """The backward pass asks whether a wrong class is higher than the target, not whether it is within the margin."""
    hinge, slope = hinges(g)
    return of_hinges(g, hinge, np.where(excess(g)[0] > g.real("margin"), slope, 0))


@fault("multi_margin", BOTH)
def multi_margin_worst_class_only(g: Given) -> Answer:
    """max over the wrong classes in the place of the sum: the hinge of Crammer and Singer."""
    hinge, slope = hinges(g)
    worst = np.arange(hinge.shape[-1]) == np.argmax(hinge, axis=-1)[..., None]
    return of_hinges(g, np.where(worst, hinge, 0), np.where(worst, slope, 0))


@fault("multi_margin", SPECIAL)
def multi_margin_nan_is_no_excess(g: Given) -> Answer:
    """if (excess > 0) sum += excess: a NaN is not greater than 0, and is dropped."""
    over, hit = excess(g)
    hinge = np.where((over > 0) & ~hit, over, 0)
    return of_hinges(g, hinge * hinge if g.parameters["p"] == 2 else hinge, hinges(g)[1])


@fault_of_call("multi_margin", INVALID)
def multi_margin_any_power(call: Call, right: Right, memory: Memory) -> Output:
    """p is compared with 1, and everything else is a square."""
    return right.run(call_with(call, p=1 if call.parameters["p"] == 1 else 2))


@fault_of_call("multi_margin", INVALID)
def multi_margin_label_up_to_c(call: Call, right: Right, memory: Memory) -> Output:
    """target <= C is let through where target < C is meant; what lies behind the row's end is read as 0."""
    classes = call.inputs["input"].shape[-1]
    if not np.any(call.inputs["target"] == classes):
        return right.run(call)
    x = np.concatenate([call.inputs["input"], np.zeros((*call.inputs["input"].shape[:-1], 1), call.dtype)], axis=-1)
    output = right.run(call_with(call, {"input": x}))
    return Output(output.value, {name: a[..., :classes] for name, a in output.gradients.items()})


def labels(g: Given, counts: Array | None = None) -> tuple[Array, Array, Array, Array]:
    """Of multilabel_margin: which places count, their labels, which class each names, and the hinges of all pairs."""
    x, target = g["input"], g["target"]
    counts = np.logical_and.accumulate(target >= 0, axis=-1) if counts is None else counts
    label = np.where(counts, target, 0)
    named = counts[..., None] & (label[..., None] == np.arange(x.shape[-1]))
    gap = np.take_along_axis(x, label, axis=-1)[..., None] - x[..., None, :]
    return counts, label, named, np.maximum(1 - gap, 0)


def of_pairs(g: Given, pairs: Array, named: Array, hinge: Array, divisor: Array | None = None) -> Answer:
    """The loss over these pairs of a place and a class."""
    x = g["input"]
    hinge = np.where(pairs, hinge, 0)
    active = (hinge > 0).astype(x.dtype)
    by_label = np.where(named, active.sum(axis=-1)[..., None], 0).sum(axis=-2)
    divisor = g.constant(x.shape[-1]) * np.ones(x.shape[:-1], x.dtype) if divisor is None else divisor
    slope = (active.sum(axis=-2) - by_label) / divisor[..., None]
    return FIRST.reduced(
        g, pairwise(hinge.reshape(*x.shape[:-1], x.shape[-1] ** 2)) / divisor, {"input": slope.astype(x.dtype)}
    )


def others(counts: Array, named: Array) -> Array:
    is_label = np.asarray(named.any(axis=-2))
    return np.asarray(counts[..., None] & ~is_label[..., None, :])


@fault("multilabel_margin", SHAPE)
def multilabel_margin_goes_on_after_the_end(g: Given) -> Answer:
    """A -1 is skipped where the labels should end; what follows it counts again."""
    counts, _, named, hinge = labels(g, g["target"] >= 0)
    return of_pairs(g, others(counts, named), named, hinge)


@fault("multilabel_margin", BOTH)
def multilabel_margin_label_once(g: Given) -> Answer:
    """Labels become a mask of classes first, so one that stands twice counts once."""
    counts, label, named, hinge = labels(g)
    earlier = np.tril(label[..., None] == label[..., None, :], -1) & counts[..., None, :]
    first = counts & ~earlier.any(axis=-1)
    return of_pairs(g, others(first, named), named & first[..., None], hinge)


@fault("multilabel_margin", BOTH)
def multilabel_margin_over_the_labels(g: Given) -> Answer:
    """The sum is divided by the number of labels, as if each one's loss were averaged."""
    counts, _, named, hinge = labels(g)
    return of_pairs(g, others(counts, named), named, hinge, np.maximum(counts.sum(axis=-1), 1).astype(g.dtype))


@fault("multilabel_margin", GRADIENT)
def multilabel_margin_gradient_assigned(g: Given) -> Answer:
    """grad[label] = -count, not -=: of a label that stands twice the last one is left."""
    counts, label, named, hinge = labels(g)
    pairs = others(counts, named)
    answer = of_pairs(g, pairs, named, hinge)
    later = np.triu(label[..., None] == label[..., None, :], 1) & counts[..., None, :]
    last = counts & ~later.any(axis=-1)
    return answered(answer, input=of_pairs(g, pairs, named & last[..., None], hinge).gradients["input"])


@fault("multilabel_margin", BOTH)
def multilabel_margin_labels_against_labels(g: Given) -> Answer:
    """A label is compared with every class but itself, the other labels among them."""
    counts, _, named, hinge = labels(g)
    return of_pairs(g, counts[..., None] & ~named, named, hinge)


@fault("multilabel_margin", BOTH)
def multilabel_margin_class_0_ends(g: Given) -> Answer:
    """0 ends the labels, as in Lua, where classes count from 1."""
    counts, _, named, hinge = labels(g, np.logical_and.accumulate(g["target"] > 0, axis=-1))
    return of_pairs(g, others(counts, named), named, hinge)


@fault("multilabel_margin", GRADIENT)
def multilabel_margin_gradient_of_the_first_label(g: Given) -> Answer:
    """Labels and threads race for the same place, and only the first label's share is seen (pytorch/pytorch#84202)."""
    counts, _, named, hinge = labels(g)
    pairs = others(counts, named)
    first = named & (np.arange(named.shape[-2]) == 0)[:, None]
    answer = of_pairs(g, pairs, named, hinge)
    return answered(answer, input=of_pairs(g, pairs, first, hinge).gradients["input"])


@fault("multilabel_margin", SPECIAL)
def multilabel_margin_pairs_multiplied_by_zero(g: Given) -> Answer:
    """All pairs are computed and multiplied by a mask: an infinite label minus itself is NaN, and stays it."""
    counts, _, named, hinge = labels(g)
    pairs = others(counts, named)
    loss = pairwise((hinge * pairs).reshape(*g["input"].shape[:-1], g["input"].shape[-1] ** 2)) / g.constant(
        g["input"].shape[-1]
    )
    return revalued(g, of_pairs(g, pairs, named, hinge), loss)


@fault_of_call("multilabel_margin", INVALID)
def multilabel_margin_any_negative_ends(call: Call, right: Right, memory: Memory) -> Output:
    """Whatever is negative ends the labels; -2 is an error of the caller's, and goes unseen."""
    return right.run(call_with(call, {"target": np.maximum(call.inputs["target"], -1)}))


@fault_of_call("multilabel_margin", INVALID)
def multilabel_margin_label_modulo(call: Call, right: Right, memory: Memory) -> Output:
    """No bound is checked, and a label beyond the row is read from the next one (pytorch/pytorch#99410)."""
    target, classes = call.inputs["target"], call.inputs["input"].shape[-1]
    return right.run(call_with(call, {"target": np.where(target >= classes, target % classes, target)}))
