"""Cases of more elementwise criteria."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .case import Case
from .draws import PAIRS, SHAPES, Draw, plan


def log_cosh(draw: Draw) -> Iterator[Case]:
    """Errors of every size; `branches` lie about 1, where the reference changes its way."""
    for regime, reduction in plan((*PAIRS, "saturated", "branches")):
        shape = draw.one_of(SHAPES)
        if regime == "branches":
            about = draw.one_of([draw.near(np.ones(shape)), draw.uniform(shape, 0.5, 2)])
            x, t = draw.signs(shape) * about, np.zeros(shape)
        else:
            x, t = draw.pair(shape, regime)
        yield Case("log_cosh", regime, {"input": x, "target": t}, {"reduction": reduction}, ("input", "target"))


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {"log_cosh": log_cosh}
