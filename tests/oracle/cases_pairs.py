"""Cases of the criteria on vectors that are compared with one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .case import Case
from .draws import PAIRS, Draw, Shape, plan

ROWS: tuple[Shape, ...] = ((4,), (1, 3), (3, 2), (2, 9))


def triplet_margin_with_distance(draw: Draw) -> Iterator[Case]:
    """Triplets of vectors in every distance; `cancelling` ones nearly coincide."""
    names = ("anchor", "positive", "negative")
    for regime, reduction in plan(PAIRS, count=200):
        shape = draw.one_of(ROWS)
        anchor, positive = draw.pair(shape, regime)
        negative = draw.near(anchor) if "cancelling" in regime else draw.numbers(shape, regime)
        distance = draw.one_of([None, "euclidean", "manhattan", "chebyshev", "cosine"])
        options = draw.some(margin=[None, 0.5, 1e-8], eps=[None, 0.0, 1e-3], swap=[None, True])
        if "cancelling" in regime and (options.get("eps") == 0 or distance in ("chebyshev", "cosine")):
            options.pop("swap", None)  # positive and negative may coincide, and their distance has no gradient then
        options |= {} if distance is None else {"distance": distance}
        kinks = names if distance == "chebyshev" and ("cancelling" in regime or regime in ("tiny", "subnormal")) else ()
        inputs = dict(zip(names, (anchor, positive, negative), strict=True))
        yield Case("triplet_margin_with_distance", regime, inputs, {"reduction": reduction, **options}, names, kinks)


MAKERS: dict[str, Callable[[Draw], Iterator[Case]]] = {
    "triplet_margin_with_distance": triplet_margin_with_distance,
}
