"""Losses by the highest class alone: multiclass_hinge and multiclass_perceptron."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import scores as right
from tests.controls.first.scores import excesses, highest
from tests.controls.parts import FIRST, Answer, Array, Given, at, pairwise
from tests.mutants.changes import (
    answered,
    as_it_lies,
    averaged_over_the_active,
    but,
    call_with,
    each,
    given,
    revalued,
    slopes,
)
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


def of_slope(g: Given, answer: Answer, slope: Array) -> Answer:
    """The same answer with the gradient of these slopes."""
    return answered(answer, **FIRST.reduced(g, slope[..., 0], {"input": slope.astype(g.dtype)}).gradients)


def one_hot(g: Given) -> Array:
    return np.asarray(np.arange(g["input"].shape[-1]) == g["target"][..., None])


@fault("multiclass_hinge", BOTH)
def multiclass_hinge_margin_for_the_target_too(g: Given) -> Answer:
    """The margin is added to all scores, and the loss is never 0."""
    found, hit = excesses(g, 1)
    wrong = np.where(hit, 1, found).astype(g.dtype)
    top = highest(wrong)
    if not np.isfinite(g["input"]).all():
        return right.multiclass_hinge(g)
    return FIRST.reduced(g, wrong.max(axis=-1), {"input": top.astype(g.dtype) - hit})


@fault("multiclass_hinge", BOTH)
def multiclass_hinge_all_wrong_classes(g: Given) -> Answer:
    """The sum of the hinges in the place of their maximum: the loss of Weston and Watkins."""
    found, hit = excesses(g, 1)
    active = (found > 0) & ~hit
    slope = np.where(hit, -active.sum(axis=-1)[..., None], active)
    return FIRST.reduced(g, pairwise(np.maximum(found, 0)), {"input": slope.astype(g.dtype)})


@fault("multiclass_hinge", BOTH)
def multiclass_hinge_over_the_classes(g: Given) -> Answer:
    """Divided by the number of classes, as multi_margin is."""
    classes = g.constant(g["input"].shape[-1])
    return each(right.multiclass_hinge(g), lambda a: a / classes)


@fault("multiclass_hinge", BOTH)
def multiclass_hinge_no_margin(g: Given) -> Answer:
    """max(x) - x_t: the perceptron's loss."""
    return right.multiclass_perceptron(g)


@fault("multiclass_hinge", BOTH)
def multiclass_hinge_margin_of_two(g: Given) -> Answer:
    """A margin of 1 on either side of the boundary, which is 2 between two scores."""
    x, hit = g["input"], one_hot(g)
    wrong = np.where(hit, -np.inf, x)
    short = (2 + (wrong.max(axis=-1) - at(x, g["target"]))).astype(g.dtype)
    slope = np.where((short > 0)[..., None], highest(wrong).astype(g.dtype) - hit, 0)
    return FIRST.reduced(g, np.maximum(short, 0), {"input": slope.astype(g.dtype)})


@fault("multiclass_hinge", GRADIENT)
def multiclass_hinge_gradient_of_the_target_missing(g: Given) -> Answer:
    """one_hot(argmax), and the target's own score is forgotten."""
    answer = right.multiclass_hinge(g)
    return answered(answer, input=np.where(one_hot(g), 0, answer.gradients["input"]).astype(g.dtype))


@fault("multiclass_hinge", GRADIENT)
def multiclass_hinge_gradient_of_the_highest_score(g: Given) -> Answer:
    """argmax of the scores, not of the scores with the margin: nothing within the margin is pushed away."""
    return answered(right.multiclass_hinge(g), **right.multiclass_perceptron(g).gradients)


@fault("multiclass_hinge", GRADIENT)
def multiclass_hinge_gradient_of_satisfied_rows(g: Given) -> Answer:
    """The best wrong class is pushed away even where it is beyond the margin."""
    x, hit = g["input"], one_hot(g)
    answer = right.multiclass_hinge(g)
    if x.shape[-1] == 1 or not np.isfinite(x).all():
        return answer
    top = highest(np.where(hit, -np.inf, x))
    return of_slope(g, answer, top.astype(g.dtype) - hit)


@fault("multiclass_hinge", VALUE)
def multiclass_hinge_value_halved(g: Given) -> Answer:
    """Half a margin on each side, in the forward pass only."""
    return revalued(g, right.multiclass_hinge(g), right.multiclass_hinge(but(g, reduction="none")).value / 2)


@fault("multiclass_hinge", SPECIAL)
def multiclass_hinge_nan_is_no_excess(g: Given) -> Answer:
    """fmax: what is no number is not the largest."""
    answer, found = right.multiclass_hinge(g), excesses(g, 1)[0]
    return revalued(g, answer, np.fmax.reduce(found, axis=-1))


@fault("multiclass_hinge", SPECIAL)
def multiclass_hinge_one_hot_times_scores(g: Given) -> Answer:
    """The target's score is sum(one_hot * x): a forbidden class is 0 * inf."""
    x, answer = g["input"], right.multiclass_hinge(g)
    own = (one_hot(g) * x).sum(axis=-1)
    loss = right.multiclass_hinge(but(g, reduction="none")).value
    return revalued(g, answer, np.where(np.isnan(own), own, loss).astype(g.dtype))


@fault_of_call("multiclass_hinge", INVALID)
def multiclass_hinge_no_label_out_of_range(call: Call, right: Right, memory: Memory) -> Output:
    """one_hot of a label out of range is all 0: the loss is max(x) + 1, and nobody is told."""
    classes = call.inputs["input"].shape[-1]
    return right.run(call_with(call, {"target": np.clip(call.inputs["target"], 0, classes - 1)}))


@fault_of_call("multiclass_hinge", SHAPE)
def multiclass_hinge_labels_of_eight_bits(call: Call, right: Right, memory: Memory) -> Output:
    """Labels are kept in eight bits: there are no more than 256 classes in the tests."""
    return right.run(call_with(call, {"target": call.inputs["target"].astype(np.uint8).astype(np.int64)}))


@fault("multiclass_perceptron", BOTH)
def multiclass_perceptron_with_margin(g: Given) -> Answer:
    """The hinge's loss: a margin of 1."""
    return right.multiclass_hinge(g)


@fault("multiclass_perceptron", BOTH)
def multiclass_perceptron_all_higher_classes(g: Given) -> Answer:
    """Every class that is above the target counts, not the highest alone."""
    found, hit = excesses(g, 0)
    active = (found > 0) & ~hit
    slope = np.where(hit, -active.sum(axis=-1)[..., None], active)
    return FIRST.reduced(g, pairwise(np.maximum(found, 0)), {"input": slope.astype(g.dtype)})


@fault("multiclass_perceptron", BOTH)
def multiclass_perceptron_wrong_classes_only(g: Given) -> Answer:
    """The maximum leaves the target out, and a right answer has a loss below 0."""
    found, hit = excesses(g, 0)
    if g["input"].shape[-1] == 1 or not np.isfinite(g["input"]).all():
        return right.multiclass_perceptron(g)
    wrong = np.where(hit, -np.inf, found).astype(g.dtype)
    return FIRST.reduced(g, wrong.max(axis=-1), {"input": highest(wrong).astype(g.dtype) - hit})


@fault("multiclass_perceptron", BOTH)
def multiclass_perceptron_largest_magnitude(g: Given) -> Answer:
    """max |x|: the scores were positive when it was tried."""
    x, hit = g["input"], one_hot(g)
    if not np.isfinite(x).all():
        return right.multiclass_perceptron(g)
    top = highest(np.abs(x))
    loss = np.abs(x).max(axis=-1) - at(x, g["target"])
    return FIRST.reduced(g, loss, {"input": (np.where(top, np.sign(x), 0) - hit).astype(g.dtype)})


@fault("multiclass_perceptron", BOTH)
def multiclass_perceptron_mean_of_the_wrong(g: Given) -> Answer:
    """The mean is over the rows that were answered wrongly."""
    return averaged_over_the_active(g, right.multiclass_perceptron)


@fault("multiclass_perceptron", GRADIENT)
def multiclass_perceptron_gradient_turned(g: Given) -> Answer:
    """one_hot(target) - one_hot(argmax): Collins's update, which goes downhill already."""
    return slopes(right.multiclass_perceptron(g), np.negative)


@fault("multiclass_perceptron", GRADIENT)
def multiclass_perceptron_gradient_of_the_target_missing(g: Given) -> Answer:
    """The target's score is taken for a constant."""
    answer = right.multiclass_perceptron(g)
    return answered(answer, input=np.where(one_hot(g), 0, answer.gradients["input"]).astype(g.dtype))


@fault("multiclass_perceptron", GRADIENT)
def multiclass_perceptron_gradient_of_the_softmax(g: Given) -> Answer:
    """softmax(x) - one_hot in the backward pass: the loss is the maximum, but its slope is smooth."""
    x, answer = g["input"], right.multiclass_perceptron(g)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return of_slope(g, answer, e / e.sum(axis=-1, keepdims=True) - one_hot(g))


@fault("multiclass_perceptron", VALUE)
def multiclass_perceptron_count_of_errors(g: Given) -> Answer:
    """Whether the answer is wrong, not by how much: the gradient is the same."""
    loss = right.multiclass_perceptron(but(g, reduction="none")).value
    return revalued(g, right.multiclass_perceptron(g), np.where(np.isnan(loss), loss, loss > 0).astype(g.dtype))


@fault("multiclass_perceptron", SPECIAL)
def multiclass_perceptron_nan_is_not_highest(g: Given) -> Answer:
    """fmax: what is no number is not the highest."""
    return revalued(g, right.multiclass_perceptron(g), np.fmax.reduce(excesses(g, 0)[0], axis=-1))


@fault("multiclass_perceptron", PRECISION, dtypes=("float64",))
def multiclass_perceptron_scores_in_float32(g: Given) -> Answer:
    """Scores are cast to the default float."""
    return right.multiclass_perceptron(given(g, input=g["input"].astype(np.float32).astype(g.dtype)))


@fault_of_call("multiclass_perceptron", LAYOUT)
def multiclass_perceptron_labels_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The labels are read as they lie."""
    return right.run(call_with(call, {"target": as_it_lies(call.inputs["target"])}))


@fault_of_call("multiclass_perceptron", STATE)
def multiclass_perceptron_difference_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """x -= max(x), in the caller's array."""
    output = right.run(call)
    x = call.inputs["input"]
    if x.flags.writeable and x.size:
        x -= x.max(axis=-1, keepdims=True)
    return output


@fault_of_call("multiclass_perceptron", INVALID)
def multiclass_perceptron_label_modulo(call: Call, right: Right, memory: Memory) -> Output:
    """A label of -1 is the last class, as an index of an array is."""
    return right.run(call_with(call, {"target": call.inputs["target"] % call.inputs["input"].shape[-1]}))
