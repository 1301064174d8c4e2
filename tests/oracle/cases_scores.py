"""Cases of the criteria on the scores of classes, class axis last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .case import Case
from .draws import Draw, Shape, plan

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


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "categorical_hinge": categorical_hinge,
}
