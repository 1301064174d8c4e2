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


def _hinge(criterion: str, at_margin: tuple[str, ...], top: float = 300) -> Callable[[Draw], Iterator[Case]]:
    """Scores and labels of both kinds; `cancelling` lies a few steps from the margin, `tied` on it."""

    def make(draw: Draw) -> Iterator[Case]:
        for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "subnormal", "cancelling", "tied")):
            shape = draw.one_of(SHAPES)
            zero_one = draw.one_of([True, False])
            target = draw.bits(shape) if zero_one else draw.signs(shape)
            margin = np.where(target == 1, 1.0, -1.0)
            x = {"cancelling": draw.near(margin), "tied": margin}.get(regime)
            x = draw.numbers(shape, regime, top) if x is None else x
            parameters = {"reduction": reduction, **({"zero_one": True} if zero_one else {})}
            kinks = at_margin if regime == "tied" else ()
            yield Case(criterion, regime, {"input": x, "target": target}, parameters, ("input",), kinks)

    return make


def quantile(draw: Draw) -> Iterator[Case]:
    """Predictions on both sides of what they predict; `tied` ones meet it."""
    for regime, reduction in plan((*PAIRS, "tied")):
        shape = draw.one_of(SHAPES)
        x, t = draw.pair(shape, "ordinary" if regime == "tied" else regime)
        parameters = {"reduction": reduction, **draw.some(quantile=[None, 0.1, 0.75, 1e-9])}
        kinks = ("input", "target") if regime == "tied" else ()
        inputs = {"input": x, "target": x if regime == "tied" else t}
        yield Case("quantile", regime, inputs, parameters, ("input", "target"), kinks)


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "log_cosh": log_cosh,
    "hinge": _hinge("hinge", ("input",)),
    "quantile": quantile,
    "squared_hinge": _hinge("squared_hinge", (), 150),
}
