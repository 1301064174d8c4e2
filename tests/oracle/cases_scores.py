"""Cases of the criteria on the scores of classes, class axis last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .case import Case
from .draws import SHAPES, Draw, Shape, plan

ROWS: tuple[Shape, ...] = ((4,), (3, 5), (2, 2), (1, 6), (2, 3, 2))


def _rows(draw: Draw, regime: str, top: float = 150) -> tuple[Any, Any]:
    """Scores of a regime, and the index of a class for each row; `hinge`: a few steps from a margin of 1."""
    shape = draw.one_of(ROWS)
    labels = draw.integers(shape[:-1], 0, shape[-1] - 1)
    if regime == "hinge":
        x = draw.near(np.full(shape, -1.0))
        np.put_along_axis(x, np.asarray(labels)[..., None], 0.0, -1)
    elif regime == "cancelling":
        x = draw.near(np.full(shape, draw.one_of([0.75, -3.0, 1e3, 3e16])))
        x = x * (1 + np.arange(shape[-1]) * 2.0**-40)  # no two alike
    else:
        x = draw.numbers(shape, regime, top)
    return x, np.asarray(labels)


def _one_hot(labels: Any, classes: int) -> Any:
    return (labels[..., None] == np.arange(classes)).astype(np.int64)


def categorical_hinge(draw: Draw) -> Iterator[Case]:
    """One label, several or none, 0 or -1 elsewhere; scores of both signs, since the target's place counts as 0."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "cancelling", "hinge", "saturated")):
        x, labels = _rows(draw, regime)
        kind = draw.one_of(["one", "one", "signed", "any"])
        target = _one_hot(labels, x.shape[-1])
        if kind == "any":
            target = draw.integers(x.shape, -1, 1)
        elif kind == "signed":
            target = 2 * target - 1
        kinks = ("input",) if regime == "hinge" and kind != "one" else ()
        inputs = {"input": x, "target": target}
        yield Case("categorical_hinge", regime, inputs, {"reduction": reduction}, ("input",), kinks)


def _of_labels(criterion: str) -> Callable[[Draw], Iterator[Case]]:
    """Scores at any distance from the margin, a masked class among them."""

    def make(draw: Draw) -> Iterator[Case]:
        for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "cancelling", "saturated", "masked")):
            x, labels = _rows(draw, "ordinary" if regime == "masked" else regime, 300)
            if regime == "masked":
                x = np.where((np.arange(x.shape[-1]) == 1) & (labels != 1)[..., None], -np.inf, x)
            yield Case(criterion, regime, {"input": x, "target": labels}, {"reduction": reduction}, ("input",))

    return make


def categorical_focal(draw: Draw) -> Iterator[Case]:
    """Scores of every kind; one label, several, or shares."""
    for regime, reduction in plan(("ordinary", "tiny", "mixed", "cancelling", "far", "saturated")):
        x, labels = _rows(draw, regime)
        target = draw.one_of([1.0 * _one_hot(labels, x.shape[-1]), draw.uniform(x.shape, 0, 1), draw.bits(x.shape)])
        options = draw.some(gamma=[None, 0.0, 0.5, 1.0, 5.0], alpha=[None, 1.0], label_smoothing=[None, None, 0.1])
        inputs = {"input": x, "target": target}
        if draw.one_of([True, False]):
            inputs["weight"] = draw.decades(x.shape[-1:], -2, 2)
        yield Case("categorical_focal", regime, inputs, {"reduction": reduction, **options}, ("input",))


def multiclass_sparsemax(draw: Draw) -> Iterator[Case]:
    """Scores of which one, some or all have shares, and some a few steps from where a share begins."""
    for regime, reduction in plan(("ordinary", "close", "tiny", "huge", "mixed", "cancelling", "border", "masked")):
        x, labels = _rows(draw, "ordinary" if regime in ("close", "border", "masked") else regime)
        if regime == "close":
            x = x / 8
        elif regime == "border":
            x = np.where(np.arange(x.shape[-1]) == labels[..., None], 1.0, x / 2**60)
            x = x + draw.one_of([0.0, 1.0, -1.0]) * 2.0**-52
        elif regime == "masked":
            x = np.where((np.arange(x.shape[-1]) == 1) & (labels != 1)[..., None], -np.inf, x / 4)
        inputs = {"input": x, "target": labels}
        yield Case("multiclass_sparsemax", regime, inputs, {"reduction": reduction}, ("input",))


def poly_cross_entropy(draw: Draw) -> Iterator[Case]:
    """Scores of every kind; one label, several, or shares."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "cancelling", "far", "saturated")):
        x, labels = _rows(draw, regime)
        target = draw.one_of([1.0 * _one_hot(labels, x.shape[-1]), draw.uniform(x.shape, 0, 1), draw.bits(x.shape)])
        options = draw.some(epsilon=[None, 0.0, -1.0, 1.0, 0.3])
        inputs = {"input": x, "target": target}
        yield Case("poly_cross_entropy", regime, inputs, {"reduction": reduction, **options}, ("input",))


def ranking_softmax(draw: Draw) -> Iterator[Case]:
    """Relevances of 0, 1 and between; masks that keep an item of the first list at least."""
    for regime, reduction in plan(("ordinary", "tiny", "mixed", "cancelling", "far", "saturated")):
        x, _ = _rows(draw, regime)
        inputs = {"input": x, "target": draw.one_of([draw.bits(x.shape), draw.uniform(x.shape, 0, 4)])}
        if draw.one_of([True, False]):
            inputs["weight"] = draw.decades(x.shape, -2, 2)
        if draw.one_of([True, False]):
            mask = draw.integers(x.shape, 0, 1)
            mask[(0,) * mask.ndim] = 1
            inputs["mask"] = mask
        yield Case("ranking_softmax", regime, inputs, {"reduction": reduction}, ("input",))


def sparsemax(draw: Draw) -> Iterator[Case]:
    """Scores on both sides of the joints, and a few steps from them."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "subnormal", "saturated", "joints")):
        shape = draw.one_of(SHAPES)
        x = draw.signs(shape) * draw.near(np.ones(shape)) if regime == "joints" else draw.numbers(shape, regime)
        inputs = {"input": x, "target": draw.integers(shape, 0, 1)}
        yield Case("sparsemax", regime, inputs, {"reduction": reduction}, ("input",))


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "categorical_focal": categorical_focal,
    "categorical_hinge": categorical_hinge,
    "multiclass_hinge": _of_labels("multiclass_hinge"),
    "multiclass_perceptron": _of_labels("multiclass_perceptron"),
    "multiclass_sparsemax": multiclass_sparsemax,
    "poly_cross_entropy": poly_cross_entropy,
    "ranking_softmax": ranking_softmax,
    "sparsemax": sparsemax,
}
