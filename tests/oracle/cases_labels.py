"""Cases of the criteria on class labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .case import Case
from .draws import Draw, Shape, plan

SCORES = ("ordinary", "tiny", "huge", "mixed", "subnormal", "saturated", "cancelling", "confident", "tied")


def _scores(draw: Draw, shape: Shape, regime: str, labels: Any, axis: int) -> Any:
    """Scores; `cancelling` ones are a few steps (never 1 or 2) apart, `confident` ones favour the label by far."""
    if regime == "tied":
        return np.full(shape, draw.one_of([0.0, 1.5, -1e10, 1e-300]))
    if regime == "cancelling":
        return draw.near(np.full(shape, draw.one_of([0.75, -3.0, 1e3, 3e16])))
    scores = draw.numbers(shape, "ordinary" if regime == "confident" else regime)
    if regime == "confident":
        at = np.expand_dims(np.clip(labels, 0, shape[axis] - 1), axis)
        top = np.take_along_axis(scores, at, axis) + draw.uniform(at.shape, 30, draw.one_of([100, 760]))
        np.put_along_axis(scores, at, top, axis)
    return scores


def _shapes(draw: Draw, shapes: tuple[Shape, ...]) -> tuple[Shape, int, Shape]:
    """A shape of scores, its class axis and the shape of its labels."""
    shape = draw.one_of(shapes)
    axis = 0 if len(shape) == 1 else 1
    return shape, axis, shape[:axis] + shape[axis + 1 :]


def _class_weight(draw: Draw, classes: int) -> dict[str, Any]:
    """No weights, positive ones, or one of them 0; the class 0 always counts."""
    weight = draw.decades((classes,), -2, 2)
    kind = draw.one_of(["none", "positive", "zero"])
    if kind == "zero" and classes > 1:
        weight[1] = 0.0
    return {} if kind == "none" else {"weight": weight}


def _labels(draw: Draw, shape: Shape, classes: int, ignore_index: int | None) -> Any:
    """Labels, some of them ignored, never all; the first is of class 0, whose weight is not 0."""
    labels = draw.integers(shape, 0, classes - 1)
    if ignore_index is not None:
        labels = np.where(draw.uniform(shape, 0, 1) < 0.3, ignore_index, labels)
    labels = np.asarray(labels)
    labels[(0,) * labels.ndim] = 0
    return labels


def cross_entropy(draw: Draw) -> Iterator[Case]:
    """Scores of every kind, one masked with -inf among them; ignored labels, some of which name a class."""
    for regime, reduction in plan((*SCORES, "masked")):
        shape, axis, label_shape = _shapes(draw, ((1,), (4,), (3, 5), (1, 2), (2, 3, 2), (1, 3, 2, 2), (2, 12)))
        options = draw.some(ignore_index=[None, None, -1, 1], label_smoothing=[None, None, 0.1, 0.75, 1.0])
        classes = shape[axis]
        labels = _labels(draw, label_shape, classes, options.get("ignore_index", -100))
        x = _scores(draw, shape, "ordinary" if regime == "masked" else regime, labels, axis)
        if regime == "masked":
            options.pop("label_smoothing", None)
            x = np.moveaxis(x, axis, -1)
            masked = (np.arange(classes) == classes - 1) & (labels != classes - 1)[..., None]
            x = np.moveaxis(np.where(masked, -np.inf, x), -1, axis)
        inputs = {"input": x, "target": labels, **_class_weight(draw, classes)}
        yield Case("cross_entropy", regime, inputs, {"reduction": reduction, **options}, ("input",))


def _nll(criterion: str, shapes: tuple[Shape, ...]) -> Callable[[Draw], Iterator[Case]]:
    def make(draw: Draw) -> Iterator[Case]:
        for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "subnormal", "cancelling")):
            shape, axis, label_shape = _shapes(draw, shapes)
            options = draw.some(ignore_index=[None, None, -1, 1])
            labels = _labels(draw, label_shape, shape[axis], options.get("ignore_index", -100))
            inputs = {
                "input": _scores(draw, shape, regime, labels, axis),
                "target": labels,
                **_class_weight(draw, shape[axis]),
            }
            yield Case(criterion, regime, inputs, {"reduction": reduction, **options}, ("input",))

    return make


def multi_margin(draw: Draw) -> Iterator[Case]:
    """Scores whose distance to the margin is of any size; `confident` ones cost nothing."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "cancelling", "confident", "hinge")):
        shape, axis, label_shape = _shapes(draw, ((1,), (4,), (3, 5), (2, 2)))
        labels = draw.integers(label_shape, 0, shape[axis] - 1)
        options = draw.some(p=[None, 1, 2], margin=[None, 0.3, 2.0])
        if regime == "hinge":
            x = draw.near(np.full(shape, -options.get("margin", 1.0)))
            np.put_along_axis(x, labels[..., None], 0.0, -1)
        elif regime == "huge":
            x = draw.numbers(shape, regime, 150)
        else:
            x = _scores(draw, shape, regime, labels, axis)
        inputs = {"input": x, "target": labels, **_class_weight(draw, shape[axis])}
        yield Case("multi_margin", regime, inputs, {"reduction": reduction, **options}, ("input",))


def multilabel_margin(draw: Draw) -> Iterator[Case]:
    """Labels in any order, up to the first -1; what follows it is noise."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "cancelling", "saturated")):
        shape = draw.one_of([(4,), (3, 5), (2, 1), (1, 6)])
        classes = shape[-1]
        labels = np.empty(shape, dtype=np.int64)
        for at in np.ndindex(shape[:-1]):
            count = int(draw.integers((), 0, classes))
            row = draw.rng.permutation(classes)
            if count < classes:
                row[count] = -1
            labels[at] = row
        x = _scores(draw, shape, regime, None, -1)
        inputs = {"input": x, "target": labels}
        yield Case("multilabel_margin", regime, inputs, {"reduction": reduction}, ("input",))


def multilabel_soft_margin(draw: Draw) -> Iterator[Case]:
    """Scores and 0 or 1 per class."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "subnormal", "saturated", "far")):
        shape = draw.one_of([(4,), (3, 5), (2, 1), (1, 6)])
        inputs = {
            "input": draw.numbers(shape, regime),
            "target": draw.bits(shape),
            **_class_weight(draw, shape[-1]),
        }
        yield Case("multilabel_soft_margin", regime, inputs, {"reduction": reduction}, ("input",))


def _log_probs(draw: Draw, shape: Shape, regime: str) -> Any:
    """Log-probabilities over the last axis: spread evenly, peaked, or not normalised at all."""
    if regime in ("tiny", "huge", "cancelling"):
        return -np.abs(_scores(draw, shape, regime, None, -1))
    scores = draw.uniform(shape, *{"ordinary": (-3, 3), "peaked": (-800, 800)}.get(regime, (-20, 20)))
    top = scores.max(axis=-1, keepdims=True)
    return scores - (top + np.log(np.exp(scores - top).sum(axis=-1, keepdims=True)))


def ctc(draw: Draw) -> Iterator[Case]:
    """Few steps and classes, so that paths can be counted out; repeats, empty targets, more labels than steps; no
    steps at all, and any numbers beyond a target's length."""
    for regime, reduction in plan(("ordinary", "peaked", "steep", "tiny", "huge", "cancelling")):
        batched = draw.one_of([True, True, False])
        batch, steps, classes, longest = 2 if batched else 1, draw.one_of([3, 4, 5]), draw.one_of([2, 3]), 3
        options = draw.some(blank=[None, None, classes - 1], zero_infinity=[None, True])
        blank = options.get("blank", 0)
        labels = [c for c in range(classes) if c != blank]
        targets = np.asarray(draw.rng.choice(labels, (batch, longest)))
        feasible = not options.get("zero_infinity", False)
        lengths = draw.integers((batch,), 0, 2 if feasible else 3)
        input_lengths = draw.integers((batch,), 3 if feasible else 0, steps)
        input_lengths = np.where((lengths == 0) & (draw.bits((batch,)) == 1), 0, input_lengths)
        padding = draw.integers((batch, longest), -2, classes + 1)
        targets = np.where(np.arange(longest) < lengths[:, None], targets, padding)
        inputs = {
            "log_probs": _log_probs(draw, (steps, batch, classes), regime),
            "targets": targets,
            "input_lengths": input_lengths,
            "target_lengths": lengths,
        }
        if not batched:
            inputs = {
                "log_probs": inputs["log_probs"][:, 0],
                "targets": targets[0, : lengths[0]],
                "input_lengths": input_lengths[0],
                "target_lengths": lengths[0],
            }
        yield Case("ctc", regime, inputs, {"reduction": reduction, **options}, ("log_probs",))


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "cross_entropy": cross_entropy,
    "nll": _nll("nll", ((1,), (4,), (3, 5), (2, 3, 2))),
    "nll_2d": _nll("nll_2d", ((1, 3, 2, 2), (2, 2, 1, 3))),
    "multi_margin": multi_margin,
    "multilabel_margin": multilabel_margin,
    "multilabel_soft_margin": multilabel_soft_margin,
    "ctc": ctc,
}
