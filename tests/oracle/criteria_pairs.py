"""The criteria on vectors that are compared with one another, from their definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from flint import arb

from .reduction import each, reduced
from .scalars import ZERO, Scalar, Scalars, norm, positive_part, smaller

NORMS = {"euclidean": 2.0, "manhattan": 1.0, "chebyshev": np.inf}


def dot(xs: Sequence[Scalar], ys: Sequence[Scalar]) -> Scalar:
    return sum((x * y for x, y in zip(xs, ys, strict=True)), ZERO)


def cosine(xs: Sequence[Scalar], ys: Sequence[Scalar]) -> Scalar:
    return dot(xs, ys) / (dot(xs, xs).sqrt() * dot(ys, ys).sqrt())


def triplet_margin_with_distance(
    anchor: Scalars,
    positive: Scalars,
    negative: Scalars,
    distance: str = "euclidean",
    eps: float = 1e-6,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Scalars:
    """max(0, d(a, p) - d(a, n) + margin): d a norm of x - y + eps, or 1 - cos(x, y); swap: the smaller of d(a, n) and
    d(p, n)."""

    def apart(x: Scalars, y: Scalars) -> Scalar:
        if distance == "cosine":
            return 1 - cosine(list(x), list(y))
        return norm([a - b + arb(eps) for a, b in zip(x, y, strict=True)], NORMS[distance])

    def term(at: tuple[int, ...]) -> Scalar:
        far = apart(anchor[at], negative[at])
        if swap:
            far = smaller(far, apart(positive[at], negative[at]))
        return positive_part(apart(anchor[at], positive[at]) - far + arb(margin))

    return reduced(each(np.shape(anchor)[:-1], term), reduction)


FORMULAS: dict[str, Callable[..., Scalars]] = {
    "triplet_margin_with_distance": triplet_margin_with_distance,
}
