"""Cases of the criteria on all pairs of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .case import Case
from .draws import Draw, Shape, plan

BATCHES: tuple[Shape, ...] = ((3, 2), (2, 3), (4, 2), (5, 3))


def npair(draw: Draw) -> Iterator[Case]:
    """Batches of pairs, of which some are near; groups of any size."""
    for regime, reduction in plan(("ordinary", "tiny", "mixed", "cancelling", "near")):
        shape = draw.one_of(BATCHES)
        if regime == "near":
            anchor = draw.uniform(shape, -8, 8)
            positive = draw.near(anchor)
        elif regime == "mixed":
            anchor, positive = draw.uniform(shape, -3, 3), draw.decades(shape, -3, 2)
        else:
            anchor, positive = draw.pair(shape, regime)
        target = draw.integers(shape[:1], 0, 2)
        options = draw.some(l2_reg=[None, 0.0, 0.5])
        inputs = {"anchor": anchor, "positive": positive, "target": target}
        yield Case("npair", regime, inputs, {"reduction": reduction, **options}, ("anchor", "positive"))


def nt_xent(draw: Draw) -> Iterator[Case]:
    """Vectors of any length; two at least are of one group."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed")):
        shape = draw.one_of(BATCHES)
        target = draw.integers(shape[:1], 0, 2)
        target[1] = target[0]
        options = draw.some(temperature=[None, 0.5, 1.0, 3.0])
        inputs = {"input": draw.numbers(shape, regime), "target": target}
        yield Case("nt_xent", regime, inputs, {"reduction": reduction, **options}, ("input",))


def circle(draw: Draw) -> Iterator[Case]:
    """Vectors of any length for cosines; short ones for inner products."""
    for regime, reduction in plan(("ordinary", "tiny", "huge", "mixed", "inner")):
        shape = draw.one_of(BATCHES)
        target = draw.integers(shape[:1], 0, 1)
        options = draw.some(gamma=[None, 1.0, 256.0], margin=[None, 0.25, 0.0, 0.7], constant_weights=[None, False])
        x = draw.uniform(shape, -1, 1) if regime == "inner" else draw.numbers(shape, regime)
        if regime == "inner":
            options["normalise"] = False
        yield Case("circle", regime, {"input": x, "target": target}, {"reduction": reduction, **options}, ("input",))


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "npair": npair,
    "nt_xent": nt_xent,
    "circle": circle,
}
