"""Cases of the criteria on real targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .case import Case
from .draws import PAIRS, REDUCTIONS, SHAPES, Draw, Shape, plan

ALL_KINKED = ("input", "target", "weight", "input1", "input2", "anchor", "positive", "negative")
ROWS: tuple[Shape, ...] = ((4,), (1, 3), (3, 2), (2, 9))


def _difference(criterion: str, top: float, weighted: bool = False, **options: Any) -> Callable[[Draw], Iterator[Case]]:
    """Cases of a criterion of x - t, some of them weighted."""

    def make(draw: Draw) -> Iterator[Case]:
        for regime, reduction in plan((*PAIRS, *(["at_bound"] if options else []))):
            parameters = {"reduction": reduction, **draw.some(**options)}
            shape = draw.one_of(SHAPES)
            if regime == "at_bound":  # |x - t| a few steps from beta or delta
                bound = next((parameters[name] for name in options if name in parameters), 1.0) or 1.0
                x, t = draw.signs(shape) * draw.near(np.full(shape, bound)), np.zeros(shape)
            else:
                x, t = draw.pair(shape, regime, top)
            inputs = {"input": x, "target": t}
            if weighted and draw.one_of([True, False]):
                inputs["weight"] = draw.decades(shape, -3, 3)
            yield Case(criterion, regime, inputs, parameters, ("input", "target"))
        for reduction in REDUCTIONS:
            x, t = draw.integers((3, 4), -2, 2) / 1.0, draw.integers((3, 4), -2, 2) / 1.0
            parameters = {"reduction": reduction}
            yield Case(criterion, "tied", {"input": x, "target": t}, parameters, ("input", "target"), ALL_KINKED)

    return make


def _weights(draw: Draw, shape: Shape, *names: str) -> dict[str, Any]:
    """Some of the named weights, of the whole shape or of its last axis."""
    chosen = [name for name in names if draw.one_of([True, False])]
    return {name: draw.decades(draw.one_of([shape, shape[-1:]]), -3, 3) for name in chosen}


def bce(draw: Draw) -> Iterator[Case]:
    """Probabilities; beyond 1e-43 torch's documented clamp of the logarithm at -100 would count."""
    for regime, reduction in plan(("ordinary", "tiny", "confident", "cancelling", "hard", "ends")):
        shape = draw.one_of(SHAPES)
        x, t = draw.uniform(shape, 0, 1), draw.uniform(shape, 0, 1)
        if regime == "tiny":
            x = draw.decades(shape, -43, -10)
        elif regime == "confident":
            x, t = 1 - draw.decades(shape, -15, -3), draw.one_of([t, draw.bits(shape)])
        elif regime == "cancelling":
            t = draw.near(x)
        elif regime in ("hard", "ends"):
            t = draw.bits(shape)
        if regime == "ends":
            x = t.copy()
        inputs = {"input": x, "target": t, **_weights(draw, shape, "weight")}
        kinks = ("target",) if regime == "ends" else ()
        yield Case("bce", regime, inputs, {"reduction": reduction}, ("input",), kinks)


def bce_with_logits(draw: Draw) -> Iterator[Case]:
    """Logits; `cancelling` puts the target where the gradient vanishes."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "subnormal", "saturated", "cancelling", "far")):
        shape = draw.one_of(SHAPES)
        x = draw.numbers(shape, "ordinary" if regime == "cancelling" else regime)
        t = draw.one_of([draw.uniform(shape, 0, 1), draw.bits(shape)])
        if regime == "cancelling":
            t = np.asarray(1 / (1 + np.exp(-x)))
        inputs = {"input": x, "target": t, **_weights(draw, shape, "weight", "pos_weight")}
        yield Case("bce_with_logits", regime, inputs, {"reduction": reduction}, ("input", "target"))


def kl_div(draw: Draw) -> Iterator[Case]:
    """Log-probabilities against probabilities, or against their logarithms; both need not be normalised."""
    for regime, reduction in plan((*PAIRS[:6], "zeros"), (*REDUCTIONS, "batchmean")):
        shape = draw.one_of(SHAPES[1:])
        log_target = regime != "zeros" and draw.one_of([True, False])
        x, t = draw.pair(shape, regime if regime != "zeros" else "ordinary")
        if log_target:
            t = draw.near(x) if regime == "cancelling" else np.minimum(t, 700)
        elif regime == "cancelling":
            t = draw.decades(shape, -20, 0)
            x = draw.near(np.log(t))
        elif regime == "zeros":
            t = draw.bits(shape) * draw.uniform(shape, 0, 1)
        else:
            t = np.minimum(np.abs(t), 1e4)
        parameters = {"reduction": reduction, **({"log_target": log_target} if log_target else {})}
        kinks = ("target",) if regime == "zeros" else ()
        yield Case("kl_div", regime, {"input": x, "target": t}, parameters, ("input", "target"), kinks)


def poisson_nll(draw: Draw) -> Iterator[Case]:
    """Rates or their logarithms; `cancelling` puts the loss at its root."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "near_one", "cancelling", "counts")):
        shape = draw.one_of(SHAPES)
        log_input = draw.one_of([True, False])
        x = draw.uniform(shape, -8, 8) if log_input else draw.decades(shape, -3, 3)
        t = draw.uniform(shape, 0, 8)
        if regime == "tiny":
            x, t = draw.decades(shape, -300, -30), draw.decades(shape, -300, 0)
        elif regime == "huge":
            x, t = (draw.uniform(shape, -1e5, 700) if log_input else draw.decades(shape, 10, 300)), 10**t
        elif regime == "near_one":
            t = draw.near(np.ones(shape))
        elif regime == "counts":
            t = draw.integers(shape, 2, 40) / 1.0
        elif regime == "cancelling":
            x = np.abs(x) + 2
            t = draw.near(np.exp(x) / x if log_input else x / np.log(x))
        options = draw.some(full=[None, False, True, True], eps=[None, 1e-3, 1e-12])
        parameters = {"reduction": reduction, "log_input": log_input, **options}
        yield Case("poisson_nll", regime, {"input": x, "target": t}, parameters, ("input", "target"))


def gaussian_nll(draw: Draw) -> Iterator[Case]:
    """Variances on both sides of eps; `balanced` puts the variance where its gradient vanishes."""
    for regime, reduction in plan((*PAIRS[:6], "balanced")):
        shape = draw.one_of(SHAPES)
        x, t = draw.pair(shape, "ordinary" if regime == "balanced" else regime, 150)
        var = np.abs(draw.numbers(shape, regime if regime in ("tiny", "mixed") else "ordinary"))
        if regime == "balanced":
            var = (x - t) ** 2
        parameters = {"reduction": reduction, **draw.some(full=[None, True], eps=[None, 1e-3, 1e-12])}
        if shape and draw.one_of([True, False]):  # one for all of the last axis, which has size 1 or is absent
            var = draw.one_of([var[..., :1], var[..., 0]])
        inputs = {"input": x, "target": t, "var": var}
        yield Case("gaussian_nll", regime, inputs, parameters, ("input", "target", "var"))


def soft_margin(draw: Draw) -> Iterator[Case]:
    """Scores and +-1."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "subnormal", "saturated", "far")):
        x = draw.numbers(draw.one_of(SHAPES), regime)
        inputs = {"input": x, "target": draw.signs(x.shape)}
        yield Case("soft_margin", regime, inputs, {"reduction": reduction}, ("input",))


def hinge_embedding(draw: Draw) -> Iterator[Case]:
    """Distances and +-1; `cancelling` lies a few steps from the margin."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "cancelling", "tied")):
        shape = draw.one_of(SHAPES)
        options = draw.some(margin=[None, 0.3, 2.0, -1.0])
        margin = np.full(shape, options.get("margin", 1.0))
        x = {"cancelling": draw.near(margin), "tied": margin}.get(regime)
        x = draw.numbers(shape, regime) if x is None else x
        inputs = {"input": x, "target": draw.signs(shape)}
        kinks = ALL_KINKED if regime == "tied" else ()
        yield Case("hinge_embedding", regime, inputs, {"reduction": reduction, **options}, ("input",), kinks)


def margin_ranking(draw: Draw) -> Iterator[Case]:
    """Pairs of scores and +-1; the margin of 0 puts cancelling pairs next to the kink."""
    for regime, reduction in plan((*PAIRS, "tied")):
        shape = draw.one_of(SHAPES)
        x, y = draw.pair(shape, "ordinary" if regime == "tied" else regime)
        options = draw.some(margin=[None, 0.0, 0.3, 1e-15])
        if regime == "tied":
            x, options = y, {}
        inputs = {"input1": x, "input2": y, "target": draw.signs(shape)}
        kinks = ALL_KINKED if regime == "tied" else ()
        parameters = {"reduction": reduction, **options}
        yield Case("margin_ranking", regime, inputs, parameters, ("input1", "input2"), kinks)


def cosine_embedding(draw: Draw) -> Iterator[Case]:
    """Pairs of vectors and +-1; `cancelling` ones are parallel but for a few steps, `parallel` ones exactly."""
    for regime, reduction in plan((*PAIRS, "parallel", "orthogonal", "lopsided")):
        shape = draw.one_of(ROWS)
        if regime == "orthogonal":
            x = draw.numbers((3, 2), "mixed")
            y = np.stack([-x[:, 1], draw.near(x[:, 0])], axis=-1)
            shape = x.shape
        elif regime == "lopsided":
            x, y = draw.numbers(shape, "tiny"), draw.numbers(shape, "huge")
        elif regime == "parallel":
            x = draw.integers(shape, 1, 9) / 1.0
            y = x * draw.one_of([2.0, 3.0, -1.0])
        else:
            x, y = draw.pair(shape, regime)
        target = draw.one_of([draw.signs(shape[:-1]), np.ones(shape[:-1])])
        parameters = {"reduction": reduction, **draw.some(margin=[None, 0.0, 0.5, -0.25])}
        yield Case(
            "cosine_embedding",
            regime,
            {"input1": x, "input2": y, "target": target},
            parameters,
            ("input1", "input2"),
        )


def triplet_margin(draw: Draw) -> Iterator[Case]:
    """Triplets of vectors; `cancelling` ones nearly coincide, `equidistant` ones have nearly equal distances."""
    names = ("anchor", "positive", "negative")
    for regime, reduction in plan((*PAIRS, "equidistant")):
        shape = draw.one_of(ROWS)
        anchor, positive = draw.pair(shape, "ordinary" if regime == "equidistant" else regime)
        if regime == "equidistant":
            negative = draw.near(positive)
        else:
            negative = draw.near(anchor) if "cancelling" in regime else draw.numbers(shape, regime)
        options = draw.some(
            margin=[None, 0.5, 1e-8], p=[None, 1.0, 2.0, 3.0, 1.5], eps=[None, 0.0, 1e-3], swap=[None, True]
        )
        if "cancelling" in regime and options.get("eps") == 0:
            options.pop("swap", None)  # positive and negative may coincide, and their distance has no gradient then
        inputs = dict(zip(names, (anchor, positive, negative), strict=True))
        yield Case("triplet_margin", regime, inputs, {"reduction": reduction, **options}, names)


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "l1": _difference("l1", 300, weighted=True),
    "mse": _difference("mse", 150, weighted=True),
    "smooth_l1": _difference("smooth_l1", 300, beta=[None, 0.0, 0.25, 3.0, 1e-20, 1e20]),
    "huber": _difference("huber", 150, delta=[None, 0.25, 3.0, 1e-20, 1e20]),
    "bce": bce,
    "bce_with_logits": bce_with_logits,
    "kl_div": kl_div,
    "poisson_nll": poisson_nll,
    "gaussian_nll": gaussian_nll,
    "soft_margin": soft_margin,
    "hinge_embedding": hinge_embedding,
    "margin_ranking": margin_ranking,
    "cosine_embedding": cosine_embedding,
    "triplet_margin": triplet_margin,
}
