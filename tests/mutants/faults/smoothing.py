"""Softmax cross-entropy with label smoothing."""

from __future__ import annotations

import numpy as np

from tests.controls.first import classes as right
from tests.controls.parts import Answer, Given, classes_last
from tests.mutants.changes import answered, but, given, is_mean, mixed, without
from tests.mutants.faults.cross_entropy import kept, kept_weight, reduced, summed
from tests.mutants.registry import BOTH, GRADIENT, PRECISION, fault


def halves(g: Given) -> tuple[Answer, Answer]:
    """The losses by the target and by all classes alike, each as if it were alone."""
    return right.cross_entropy(but(g, label_smoothing=0.0)), right.cross_entropy(but(g, label_smoothing=1.0))


@fault("cross_entropy", BOTH)
def smoothing_over_the_others(g: Given) -> Answer:
    """The smoothed mass goes to the C - 1 wrong classes only, as many papers draw it."""
    s, classes = g.real("label_smoothing"), classes_last(g["input"]).shape[-1]
    if s == 0 or classes == 1:
        return right.cross_entropy(g)
    hard, soft = halves(g)
    return mixed((1 - s - s / (classes - 1), hard), (s * classes / (classes - 1), soft))


@fault("cross_entropy", BOTH)
def smoothing_taken_twice_from_the_target(g: Given) -> Answer:
    """The target keeps 1 - s C/(C - 1), and has its part of the uniform distribution too (fastai/fastai#1814)."""
    s, classes = g.real("label_smoothing"), classes_last(g["input"]).shape[-1]
    if s == 0 or classes == 1:
        return right.cross_entropy(g)
    hard, soft = halves(g)
    return mixed((1 - s * classes / (classes - 1), hard), (s, soft))


@fault("cross_entropy", BOTH)
def smoothing_adds_a_whole(g: Given) -> Answer:
    """1/C is added to each class where s/C is meant (TimDettmers/ConvE#55); without smoothing nothing shows."""
    s = g.real("label_smoothing")
    if s == 0:
        return right.cross_entropy(g)
    hard, soft = halves(g)
    return mixed((1 - s, hard), (1, soft))


@fault("cross_entropy", BOTH)
def smoothing_shrinks_by_its_share(g: Given) -> Answer:
    """The target keeps 1 - s/C, not 1 - s, beside s/C for each (ildoonet/pytorch-randaugment#30)."""
    s, classes = g.real("label_smoothing"), classes_last(g["input"]).shape[-1]
    if s == 0:
        return right.cross_entropy(g)
    hard, soft = halves(g)
    return mixed((1 - s / classes, hard), (s, soft))


@fault("cross_entropy", BOTH)
def smoothing_without_weight(g: Given) -> Answer:
    """The smoothed part does not know the class weights: it was added to a loss that had them."""
    s = g.real("label_smoothing")
    if s == 0 or "weight" not in g.inputs:
        return right.cross_entropy(g)
    hard, soft = halves(summed(g))[0], halves(summed(without(g, "weight")))[1]
    return reduced(g, mixed((1 - s, hard), (s, soft)), kept_weight(g))


@fault("cross_entropy", BOTH)
def smoothing_of_ignored_rows(g: Given) -> Answer:
    """Ignored rows are masked in the loss of the target, and forgotten in the smoothed one."""
    s = g.real("label_smoothing")
    if s == 0 or kept(g).all():
        return right.cross_entropy(g)
    hard = halves(summed(g))[0]
    soft = halves(summed(but(given(g, target=np.where(kept(g), g["target"], 0)), ignore_index=-1)))[1]
    return reduced(g, mixed((1 - s, hard), (s, soft)), kept_weight(g))


@fault("cross_entropy", GRADIENT)
def gradient_without_smoothing(g: Given) -> Answer:
    """The backward kernel is that from before label smoothing came."""
    hard = right.cross_entropy(but(g, label_smoothing=0.0))
    return answered(right.cross_entropy(g), input=hard.gradients["input"])


@fault("cross_entropy", PRECISION, dtypes=("float64",))
def smoothing_in_float32(g: Given) -> Answer:
    """The smoothing parameter is a float32 in the kernel's signature; 0.1 is 0.10000000149 there."""
    return right.cross_entropy(but(g, label_smoothing=float(np.float32(g.parameters["label_smoothing"]))))


@fault("cross_entropy", BOTH)
def ignored_by_weight(g: Given) -> Answer:
    """A class that is ignored has its weight set to 0, and so drops out of the smoothed part of other rows."""
    ignored = g.parameters["ignore_index"]
    weight = g.class_weight(classes_last(g["input"]).shape[-1]).copy()
    if 0 <= ignored < weight.shape[1] and not is_mean(g):
        weight[:, ignored] = 0
        return right.cross_entropy(given(g, weight=weight))
    return right.cross_entropy(g)
