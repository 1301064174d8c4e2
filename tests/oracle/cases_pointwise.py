"""Cases of more elementwise criteria."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .case import Case
from .draws import PAIRS, REDUCTIONS, SHAPES, Draw, plan


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


def msle(draw: Draw) -> Iterator[Case]:
    """Positive numbers on both sides of eps; `cancelling` are close, `lopsided` far apart."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "cancelling", "lopsided", "near_eps", "zero")):
        shape = draw.one_of(SHAPES)
        kind = {"lopsided": "tiny", "near_eps": "ordinary", "zero": "ordinary"}.get(regime, regime)
        x, t = (np.abs(a) for a in draw.pair(shape, kind))
        options = draw.some(eps=[None, 1e-7, 0.125])
        if regime == "lopsided":
            t = draw.decades(shape, 0, 300)
        elif regime == "near_eps":
            x = draw.near(np.full(shape, options.setdefault("eps", 0.125)))
        elif regime == "zero":
            x = np.zeros(shape)
        yield Case("msle", regime, {"input": x, "target": t}, {"reduction": reduction, **options}, ("input", "target"))


def mape(draw: Draw) -> Iterator[Case]:
    """Targets on both sides of eps; `small` predictions are nothing beside them."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "cancelling", "small", "near_eps", "zero")):
        shape = draw.one_of(SHAPES)
        kind = {"small": "tiny", "near_eps": "ordinary", "zero": "ordinary"}.get(regime, regime)
        x, t = draw.pair(shape, kind, 150)
        options = draw.some(eps=[None, 0.125], scale=[None, 1.0])
        if regime == "small":
            t = draw.numbers(shape, "ordinary")
        elif regime == "near_eps":
            t = draw.signs(shape) * draw.near(np.full(shape, options.get("eps", 1e-7)))
        elif regime == "zero":
            t = np.zeros(shape)
        kinks = ("target",) if regime == "zero" else ()
        inputs = {"input": x, "target": t}
        yield Case("mape", regime, inputs, {"reduction": reduction, **options}, ("input", "target"), kinks)


def sigmoid_focal(draw: Draw) -> Iterator[Case]:
    """Logits of every size, labels hard or soft."""
    for regime, reduction in plan(("ordinary", "tiny", "mixed", "subnormal", "saturated", "far")):
        shape = draw.one_of(SHAPES)
        x = draw.numbers(shape, regime)
        x = np.clip(x, -1e4, 1e4)
        target = draw.one_of([draw.uniform(shape, 0, 1), draw.bits(shape)])
        options = draw.some(gamma=[None, 0.0, 1.0, 0.5, 3.25], alpha=[None, 0.75, 1.0], balanced=[None, False])
        inputs = {"input": x, "target": target}
        yield Case("sigmoid_focal", regime, inputs, {"reduction": reduction, **options}, ("input",))


def perceptron(draw: Draw) -> Iterator[Case]:
    """Scores and labels of both signs; `tied` ones are 0."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "subnormal", "tied")):
        shape = draw.one_of(SHAPES)
        x = np.zeros(shape) if regime == "tied" else draw.numbers(shape, regime)
        inputs = {"input": x, "target": draw.signs(shape)}
        kinks = ("input",) if regime == "tied" else ()
        yield Case("perceptron", regime, inputs, {"reduction": reduction}, ("input",), kinks)


def generalised_kl(draw: Draw) -> Iterator[Case]:
    """Logarithms and what they should be: near to each other, with a gap about 1, and targets of 0."""
    for regime, reduction in plan((*PAIRS[:6], "zeros", "branches", "rare"), (*REDUCTIONS, "batchmean")):
        shape = draw.one_of(SHAPES[1:])
        t = draw.decades(shape, -20, 4)
        if regime in ("cancelling", "branches"):
            x = draw.near(np.log(t) + (1 if regime == "branches" else 0))
        elif regime in ("rare", "zeros"):
            x = draw.uniform(shape, -700, 8)
            t = draw.decades(shape, -300, 0) if regime == "rare" else draw.bits(shape) * draw.uniform(shape, 0, 1)
        else:
            x, t = draw.pair(shape, regime, 150)
            x, t = np.minimum(x, 700), np.abs(t)
        kinks = ("target",) if regime == "zeros" else ()
        yield Case(
            "generalised_kl", regime, {"input": x, "target": t}, {"reduction": reduction}, ("input", "target"), kinks
        )


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "generalised_kl": generalised_kl,
    "log_cosh": log_cosh,
    "hinge": _hinge("hinge", ("input",)),
    "mape": mape,
    "msle": msle,
    "perceptron": perceptron,
    "quantile": quantile,
    "sigmoid_focal": sigmoid_focal,
    "squared_hinge": _hinge("squared_hinge", (), 150),
}
