"""Negative log-likelihood, of rows and of images."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import classes as right
from tests.controls.parts import FIRST, Answer, Given, at, classes_back, classes_last, pairwise, weight_of
from tests.mutants.changes import answered, as_it_lies, call_with, given, is_mean, over, revalued, without
from tests.mutants.faults.cross_entropy import kept, kept_weight, reduced, summed
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    SHAPE,
    SPECIAL,
    STATE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def classes_of(g: Given) -> int:
    return int(classes_last(g["input"]).shape[-1])


@fault("nll", BOTH)
def nll_mean_over_kept_count(g: Given) -> Answer:
    """The weighted mean divides by the number of rows that are kept, as the unweighted one does."""
    count = kept(g).reshape(len(g["target"]), -1).sum(axis=1).astype(g.dtype)
    return reduced(g, right.nll(summed(g)), count)


@fault("nll", BOTH)
def nll_mean_over_all_labels(g: Given) -> Answer:
    """The mean counts ignored rows, which only their loss was masked of (pytorch/xla#896)."""
    w = weight_of(g.class_weight(classes_of(g)), np.where(kept(g), g["target"], 0))
    return reduced(g, right.nll(summed(g)), pairwise(w.reshape(len(w), -1)))


@fault("nll", GRADIENT)
def nll_gradient_without_weight(g: Given) -> Answer:
    """The backward pass scatters -1 (over the divisor), and has not heard of weights."""
    slope = reduced(g, right.nll(without(summed(g), "weight")), kept_weight(g)).gradients["input"]
    return answered(right.nll(g), input=slope)


@fault("nll", GRADIENT)
def nll_gradient_of_ignored_rows_at_class_0(g: Given) -> Answer:
    """An ignored label is set to 0 so that the gather is safe; the scatter of the backward pass writes there."""
    target = np.where(kept(g), g["target"], 0)
    w = weight_of(g.class_weight(classes_of(g)), target)
    share = over(w, kept_weight(g)) if is_mean(g) else w
    hit = np.arange(classes_of(g)) == target[..., None]
    return answered(right.nll(g), input=classes_back(np.where(hit, -share[..., None], 0)))


@fault("nll", SPECIAL)
def nll_one_hot_products(g: Given) -> Answer:
    """-sum(one_hot * input): exact, until a class that is not the target has probability 0, and 0 * -inf."""
    x = classes_last(g["input"])
    hit = (np.arange(classes_of(g)) == g["target"][..., None]) & kept(g)[..., None]
    w = weight_of(g.class_weight(classes_of(g)), np.where(kept(g), g["target"], 0))
    loss = -w * pairwise(hit * x)
    return revalued(g, right.nll(g), loss, kept_weight(g))


@fault("nll", BOTH)
def nll_weights_normalised(g: Given) -> Answer:
    """Weights are scaled to a sum of C first: a mean does not show it, a sum does."""
    if "weight" not in g.inputs or is_mean(g):
        return right.nll(g)
    w = g["weight"]
    return right.nll(given(g, weight=w * (w.shape[1] / pairwise(w))[:, None]))


@fault("nll", BOTH)
def nll_weight_of_the_position(g: Given) -> Answer:
    """weight[i] for row i, not weight[target[i]]: the same shape if there are as many rows as classes, or more."""
    if "weight" not in g.inputs or g["target"].ndim != 2 or g["target"].shape[1] > classes_of(g):
        return right.nll(g)
    w = np.where(kept(g), g["weight"][:, : g["target"].shape[1]], 0)
    loss = np.where(kept(g), -w * at(g["input"], np.where(kept(g), g["target"], 0)), 0)
    hit = kept(g)[..., None] & (np.arange(classes_of(g)) == g["target"][..., None])
    share = over(w, pairwise(w)) if is_mean(g) else w
    return FIRST.reduced(g, loss, {"input": np.where(hit, -share[..., None], 0)}, pairwise(w))


@fault("nll", SHAPE)
def nll_mean_without_batch_over_classes(g: Given) -> Answer:
    """Without a batch, the first axis is taken for it: the mean divides by the number of classes."""
    answer = right.nll(g)
    if g["input"].ndim != 2 or not is_mean(g):
        return answer
    return Answer(answer.value / classes_of(g), {"input": answer.gradients["input"] / classes_of(g)})


@fault("nll", GRADIENT)
def nll_gradient_scattered_over_the_last_axis(g: Given) -> Answer:
    """The forward pass gathers along axis 1, the scatter along axis -1: with one position more, not the same."""
    answer = right.nll(g)
    slope = answer.gradients["input"]
    if g["input"].ndim != 4:
        return answer
    return answered(answer, input=classes_last(slope).reshape(slope.shape))


@fault_of_call("nll", INVALID)
def nll_label_clamped(call: Call, right: Right, memory: Memory) -> Output:
    """Out-of-range labels are clamped by the gather, and nobody is told."""
    target, classes = call.inputs["target"], call.inputs["input"].shape[0 if call.inputs["input"].ndim == 1 else 1]
    ignored = target == call.parameters["ignore_index"]
    return right.run(call_with(call, {"target": np.where(ignored, target, np.clip(target, 0, classes - 1))}))


@fault_of_call("nll", STATE)
def nll_gradient_adds_up(call: Call, right: Right, memory: Memory) -> Output:
    """The gradient's buffer is kept by shape and added to: whoever calls twice has the sum."""
    output = right.run(call)
    for name, slope in output.gradients.items():
        key = (name, slope.shape, slope.dtype, call.parameters["reduction"])
        memory[key] = memory.get(key, 0) + slope
        output = Output(output.value, {**output.gradients, name: memory[key].copy()})
    return output


@fault("nll_2d", BOTH)
def nll_2d_mean_of_the_images(g: Given) -> Answer:
    """The mean over images of each one's mean: the same, unless they differ in what they ignore or weigh."""
    if not is_mean(g):
        return right.nll(g)
    total = right.nll(summed(g))
    w = weight_of(g.class_weight(classes_of(g)), np.where(kept(g), g["target"], 0)) * kept(g)
    by_image = w.reshape(*w.shape[:2], -1).sum(axis=2)
    loss = -at(classes_last(g["input"]), np.where(kept(g), g["target"], 0))
    images = w.shape[1]
    means = np.where(w == 0, 0, w * loss).reshape(*w.shape[:2], -1).sum(axis=2) / by_image
    slope = total.gradients["input"] / (by_image * images)[..., None, None, None]
    return Answer(means.sum(axis=1) / images, {"input": slope})


@fault("nll_2d", SHAPE)
def nll_2d_target_by_columns(g: Given) -> Answer:
    """The target's pixels are walked through by columns, the input's by rows."""
    target = g["target"]
    return right.nll(given(g, target=np.swapaxes(target, -1, -2).reshape(target.shape)))


@fault("nll_2d", BOTH)
def nll_2d_mean_over_the_batch(g: Given) -> Answer:
    """The mean divides by the number of images, as the loss of rows did."""
    images = np.full(len(g["target"]), g["target"].shape[1], g.dtype)
    return reduced(g, right.nll(summed(g)), images)


@fault("nll_2d", GRADIENT)
def nll_2d_gradient_without_the_tail(g: Given) -> Answer:
    """The backward kernel takes the pixels of a long row four at a time; what is left of it at the end stays 0."""
    answer = right.nll(g)
    slope = answer.gradients["input"].copy()
    width = slope.shape[-1]
    slope[..., width - width % 4 if width > 4 else width :] = 0
    return answered(answer, input=slope)


@fault("nll_2d", BOTH)
def nll_2d_ignored_weight_counts(g: Given) -> Answer:
    """An ignored pixel has no loss, and its class's weight counts in the divisor, if it is a class."""
    target = g["target"]
    is_class = (target >= 0) & (target < classes_of(g))
    w = weight_of(g.class_weight(classes_of(g)), np.where(is_class, target, 0)) * is_class
    return reduced(g, right.nll(summed(g)), pairwise(w.reshape(len(w), -1)))


@fault("nll_2d", SPECIAL)
def nll_2d_ignored_pixels_multiplied_by_zero(g: Given) -> Answer:
    """loss * mask: an ignored pixel that holds an infinity is NaN, not 0."""
    mask = kept(g)
    w = weight_of(g.class_weight(classes_of(g)), np.where(mask, g["target"], 0))
    loss = -w * at(classes_last(g["input"]), np.where(mask, g["target"], 0)) * mask
    return revalued(g, right.nll(g), loss, kept_weight(g))


@fault_of_call("nll_2d", LAYOUT)
def nll_2d_read_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The kernel takes the data pointer and believes the strides to be those of a contiguous array."""
    x = call.inputs["input"]
    return right.run(call_with(call, {"input": as_it_lies(x)}))
