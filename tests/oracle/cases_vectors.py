"""Cases of the criteria of whole vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .case import Case
from .cases_labels import SCORES, _class_weight, _scores, _shapes
from .cases_real import ROWS
from .draws import PAIRS, Draw, Shape, plan

SHAPES: tuple[Shape, ...] = ((1,), (4,), (3, 5), (1, 2), (2, 3, 2), (1, 3, 2, 2), (2, 12))


def _shares(draw: Draw, shape: Shape, axis: int, labels: Any) -> Any:
    """Probabilities for each class: those of labels, some, or any that need not add up to 1."""
    kind = draw.one_of(["hard", "some", "any"])
    if kind == "hard":
        hit = np.arange(shape[axis]) == labels[..., None]
        return np.moveaxis(np.where(hit, 1.0, 0.0), -1, axis)
    shares = draw.uniform(shape, 0, 1)
    return shares * draw.bits(shape) if kind == "some" else shares


def soft_cross_entropy(draw: Draw) -> Iterator[Case]:
    """Scores of every kind, one masked with -inf among them, which nobody expects."""
    for regime, reduction in plan((*SCORES, "masked")):
        shape, axis, label_shape = _shapes(draw, SHAPES)
        classes = shape[axis]
        labels = draw.integers(label_shape, 0, classes - 1)
        x = _scores(draw, shape, "ordinary" if regime == "masked" else regime, labels, axis)
        target = _shares(draw, shape, axis, labels)
        options = draw.some(label_smoothing=[None, None, 0.1, 0.75, 1.0])
        if regime == "masked":
            options.pop("label_smoothing", None)
            last = np.expand_dims(np.arange(classes) == classes - 1, tuple(range(axis)))
            last = np.broadcast_to(last.reshape(*last.shape, *(1,) * (len(shape) - axis - 1)), shape) & (classes > 1)
            x, target = np.where(last, -np.inf, x), np.where(last, 0.0, target)
        inputs = {"input": x, "target": target, **_class_weight(draw, classes)}
        kinks = ("target",) if regime == "masked" else ()
        yield Case(
            "soft_cross_entropy", regime, inputs, {"reduction": reduction, **options}, ("input", "target"), kinks
        )


def cosine_similarity(draw: Draw) -> Iterator[Case]:
    """Pairs of vectors on both sides of eps; `cancelling` ones are parallel but for a few steps."""
    for regime, _ in plan((*PAIRS, "orthogonal", "lopsided", "ordinary_short")):
        shape = draw.one_of(ROWS)
        options = draw.some(eps=[None, 0.0, 0.125], negative=[None, True])
        if regime == "orthogonal":
            x = draw.numbers((3, 2), "mixed")
            y = np.stack([-x[:, 1], draw.near(x[:, 0])], axis=-1)
        elif regime == "lopsided":
            x, y = draw.numbers(shape, "tiny"), draw.numbers(shape, "huge")
        elif regime == "ordinary_short":
            x, y, options["eps"] = draw.uniform(shape, -0.5, 0.5), draw.uniform(shape, -8, 8), 0.7
        else:
            x, y = draw.pair(shape, regime)
        yield Case("cosine_similarity", regime, {"input1": x, "input2": y}, options, ("input1", "input2"))


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "cosine_similarity": cosine_similarity,
    "soft_cross_entropy": soft_cross_entropy,
}
