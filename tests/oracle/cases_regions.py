"""Cases of the criteria on two regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .case import Case
from .draws import Draw, plan


def _regions(draw: Draw, regime: str) -> dict[str, Any]:
    """Probabilities or logits, and targets; `right` ones are those of the target, but for a few steps."""
    shape = draw.one_of([(4,), (1, 3), (3, 5), (2, 2, 3)])
    target = draw.one_of([draw.bits(shape), draw.uniform(shape, 0, 1)])
    match regime:
        case "logits":
            x = draw.numbers(shape, draw.one_of(["ordinary", "far", "saturated"]))
        case "tiny":
            x = draw.decades(shape, -300, -10)
        case "right":
            target = draw.uniform(shape, 0.1, 0.9)
            x = draw.near(target)
        case "sharp":
            x = draw.bits(shape)
            x.flat[0] = 0.5
        case _:
            x = draw.uniform(shape, 0, 1)
    return {"input": x, "target": np.asarray(target)}


def _cases(criterion: str, **options: Any) -> Callable[[Draw], Iterator[Case]]:
    def make(draw: Draw) -> Iterator[Case]:
        for regime, reduction in plan(("ordinary", "logits", "tiny", "right", "sharp")):
            parameters = {"reduction": reduction, **draw.some(**options)}
            if regime == "logits":
                parameters["from_logits"] = True
            yield Case(criterion, regime, _regions(draw, regime), parameters, ("input",))

    return make


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "dice": _cases("dice", smooth=[None, 1.0, 0.3], eps=[None, 1e-7, 1e-5], squared=[None, False, True]),
    "tversky": _cases(
        "tversky", alpha=[None, 0.3, 1.0], beta=[None, 0.7, 0.0], smooth=[None, 1.0, 0.3], eps=[None, 1e-7, 1e-5]
    ),
}
