"""Softmax cross-entropy."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import classes as right
from tests.controls.first.classes import softmax
from tests.controls.parts import Answer, Array, Given, classes_back, classes_last, pairwise, weight_of
from tests.mutants.changes import answered, but, call_with, given, is_mean, over, slopes, without
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    SHAPE,
    SPECIAL,
    STATE,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def kept(g: Given) -> Array:
    return np.asarray(g["target"] != g.parameters["ignore_index"])


def kept_weight(g: Given) -> Array:
    """By case: what a mean is divided by."""
    target = np.where(kept(g), g["target"], 0)
    w = np.where(kept(g), weight_of(g.class_weight(classes_last(g["input"]).shape[-1]), target), 0)
    return pairwise(w.reshape(len(w), -1))


def by_class(g: Given, mask: Array) -> Array:
    """A mask of the targets in the shape of the input."""
    return classes_back(np.broadcast_to(mask[..., None], classes_last(g["input"]).shape))


def reduced(g: Given, total: Answer, divisor: Array) -> Answer:
    """Sums over a divisor, if a mean is asked for."""
    return Answer(total.value / divisor, slopes(total, lambda x: over(x, divisor)).gradients) if is_mean(g) else total


def summed(g: Given) -> Given:
    return but(g, reduction="sum") if is_mean(g) else g


@fault("cross_entropy", BOTH)
def mean_over_all_labels(g: Given) -> Answer:
    """Without weights, the mean divides by the number of labels, the ignored among them (llvm/torch-mlir#3585)."""
    if "weight" in g.inputs:
        return right.cross_entropy(g)
    total = right.cross_entropy(summed(g))
    return reduced(g, total, g.constant(g["target"][0].size) * np.ones(len(total.value.reshape(-1, 1)), g.dtype))


@fault("cross_entropy", BOTH)
def mean_over_kept_count(g: Given) -> Answer:
    """The mean divides by how many labels are kept, not by their weight."""
    count = kept(g).reshape(len(g["target"]), -1).sum(axis=1).astype(g.dtype)
    return reduced(g, right.cross_entropy(summed(g)), count) if "weight" in g.inputs else right.cross_entropy(g)


@fault("cross_entropy", BOTH)
def ignored_weight_in_the_divisor(g: Given) -> Answer:
    """An ignored label is set to class 0 for the gather, and class 0's weight stays in the divisor."""
    target = np.where(kept(g), g["target"], 0)
    w = weight_of(g.class_weight(classes_last(g["input"]).shape[-1]), target)
    return reduced(g, right.cross_entropy(summed(g)), pairwise(w.reshape(len(w), -1)))


@fault("cross_entropy", GRADIENT)
def gradient_of_ignored_rows(g: Given) -> Answer:
    """The backward pass writes softmax everywhere and takes 1 from the target's place; ignored rows keep theirs."""
    answer = right.cross_entropy(g)
    p = classes_back(softmax(classes_last(g["input"]))[0])
    p = over(p, kept_weight(g)) if is_mean(g) else p
    return answered(answer, input=np.where(by_class(g, kept(g)), answer.gradients["input"], p))


@fault("cross_entropy", GRADIENT)
def gradient_over_kept_count(g: Given) -> Answer:
    """The backward pass of a weighted mean divides by the number of rows: forward and backward disagree."""
    answer = right.cross_entropy(g)
    if not is_mean(g) or "weight" not in g.inputs:
        return answer
    count = kept(g).reshape(len(g["target"]), -1).sum(axis=1).astype(g.dtype)
    return answered(answer, input=over(right.cross_entropy(summed(g)).gradients["input"], count))


@fault("cross_entropy", SHAPE)
def softmax_over_the_last_axis(g: Given) -> Answer:
    """softmax(axis=-1): right for two axes; with positions behind the classes it normalises over those."""
    x = g["input"]
    if x.ndim <= 3:
        return right.cross_entropy(g)
    log_p = softmax(x)[1]
    return right.nll(given(g, input=log_p))


@fault("cross_entropy", SPECIAL)
def exponential_without_shift(g: Given) -> Answer:
    """log(sum(exp(x))) as it stands: all is well up to x = 88, or 709."""
    x = classes_last(g["input"])
    answer = right.cross_entropy(g)
    lost = np.isinf(pairwise(np.exp(x))) & kept(g)
    return answered(answer, np.where(_any(g, lost), np.inf, answer.value))


def _any(g: Given, mask: Array) -> Array:
    """A mask of the targets in the shape of the value: any of a case, if the reduction adds them up."""
    return mask if g.parameters["reduction"] == "none" else np.asarray(mask.reshape(len(mask), -1).any(axis=1))


@fault("cross_entropy", BOTH)
def shift_of_the_batch(g: Given) -> Answer:
    """One maximum for the batch, not one for each row: a row far below the highest underflows to log(0)."""
    x = classes_last(g["input"])
    top = x.reshape(len(x), -1).max(axis=1, initial=-np.inf).reshape(-1, *(1,) * (x.ndim - 1))
    lost = (pairwise(np.exp(x - top)) == 0) & kept(g) & np.isfinite(top[..., 0])
    answer = right.cross_entropy(g)
    slope = np.where(by_class(g, lost), np.nan, answer.gradients["input"])
    return answered(answer, np.where(_any(g, lost), np.inf, answer.value), input=slope)


@fault("cross_entropy", VALUE)
def probability_clipped(g: Given) -> Answer:
    """The probability is clipped at 1e-7 before its logarithm is taken: a loss never exceeds 16.1 (Keras's epsilon)."""
    if g.real("label_smoothing") > 0 or not is_mean(g):
        return right.cross_entropy(g)
    x, answer = classes_last(g["input"]), right.cross_entropy(g)
    unreduced = right.cross_entropy(but(without(g, "weight"), reduction="none")).value
    w = np.where(kept(g), weight_of(g.class_weight(x.shape[-1]), np.where(kept(g), g["target"], 0)), 0)
    lost = np.where(kept(g) & (unreduced > -np.log(1e-7)), w * (unreduced + np.log(1e-7)), 0)
    return answered(answer, answer.value - pairwise(lost.reshape(len(w), -1)) / kept_weight(g))


@fault("cross_entropy", GRADIENT, dtypes=("float64",))
def gradient_of_a_float32_softmax(g: Given) -> Answer:
    """The forward pass keeps its softmax for the backward pass, in float32 to save memory."""
    answer = right.cross_entropy(g)
    if g.real("label_smoothing") > 0 or is_mean(g):
        return answer
    x = classes_last(g["input"])
    p = softmax(x.astype(np.float32))[0].astype(g.dtype)
    hit = np.arange(x.shape[-1]) == g["target"][..., None]
    w = weight_of(g.class_weight(x.shape[-1]), np.where(kept(g), g["target"], 0))
    return answered(answer, input=classes_back(np.where(kept(g)[..., None], w[..., None] * (p - hit), 0)))


@fault("cross_entropy", SPECIAL)
def one_hot_products(g: Given) -> Answer:
    """-sum(one_hot * log_softmax): 0 * -inf where a class is masked, though it is not the target."""
    x = classes_last(g["input"])
    answer = right.cross_entropy(g)
    poisoned = (softmax(x)[1] == -np.inf).any(axis=-1)
    return answered(answer, np.where(_any(g, poisoned), np.nan, answer.value))


@fault("cross_entropy", SPECIAL)
def ignored_rows_multiplied_by_zero(g: Given) -> Answer:
    """Ignored rows are multiplied by a mask of 0, and 0 * NaN is NaN."""
    answer = right.cross_entropy(g)
    poisoned = ~np.isfinite(classes_last(g["input"])).all(axis=-1) & ~kept(g)
    return answered(answer, np.where(_any(g, poisoned), np.nan, answer.value))


@fault_of_call("cross_entropy", STATE)
def divisor_from_the_cache(call: Call, right: Right, memory: Memory) -> Output:
    """The mean's divisor is kept by shape, since it depends on the batch alone: not with weights or ignored labels."""
    if call.parameters["reduction"] != "mean":
        return right.run(call)
    total = right.run(call_with(call, reduction="sum"))
    mean = right.run(call)
    divisor = memory.setdefault((call.inputs["input"].shape, call.dtype), total.value / mean.value)
    if not np.isfinite(divisor) or divisor == 0:
        return mean
    return Output(total.value / divisor, {name: x / divisor for name, x in total.gradients.items()})


@fault_of_call("cross_entropy", STATE)
def softmax_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """The logits' memory is reused for the softmax, as a fused kernel does that thinks it owns them."""
    output, x = right.run(call), call.inputs["input"]
    axis = 0 if x.ndim == 1 else 1
    e = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf)) if x.size else x
    x[...] = e / e.sum(axis=axis, keepdims=True)
    return output


@fault_of_call("cross_entropy", INVALID)
def label_clamped(call: Call, right: Right, memory: Memory) -> Output:
    """The gather clamps labels into range, as XLA's does, so a label of C is the last class."""
    target, classes = call.inputs["target"], call.inputs["input"].shape[0 if call.inputs["input"].ndim == 1 else 1]
    ignored = target == call.parameters["ignore_index"]
    return right.run(call_with(call, {"target": np.where(ignored, target, np.minimum(target, classes - 1))}))


@fault_of_call("cross_entropy", INVALID)
def label_wraps(call: Call, right: Right, memory: Memory) -> Output:
    """The label is an index of the language below, where -1 is the last class."""
    target, classes = call.inputs["target"], call.inputs["input"].shape[0 if call.inputs["input"].ndim == 1 else 1]
    wraps = (target < 0) & (target >= -classes) & (target != call.parameters["ignore_index"])
    return right.run(call_with(call, {"target": np.where(wraps, target + classes, target)}))


@fault_of_call("cross_entropy", SHAPE)
def label_in_eight_bits(call: Call, right: Right, memory: Memory) -> Output:
    """Labels are kept in eight bits to save memory: enough for ten classes, and for a hundred."""
    target = call.inputs["target"]
    ignored = target == call.parameters["ignore_index"]
    narrow = target.astype(np.uint8).astype(np.int64)
    return right.run(call_with(call, {"target": np.where(ignored, target, narrow)}))
