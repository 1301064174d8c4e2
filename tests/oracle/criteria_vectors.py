"""Criteria of whole vectors, from their definitions: distributions over classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flint import arb

from .criteria_labels import _classes_last, _log_softmax
from .reduction import each, reduced, spread
from .scalars import ZERO, Scalar, Scalars, sign, slope


def _is_nothing(x: Scalar) -> bool:
    return sign(x) == 0 and bool(slope(x).is_zero())


def soft_cross_entropy(
    input: Scalars,
    target: Scalars,
    weight: Scalars | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Scalars:
    """-sum_c q_c w_c log softmax(x)_c with q = (1 - s) t + s / C and 0 log 0 = 0."""
    x, t = _classes_last(input), _classes_last(target)
    count = x.shape[-1]
    w, s = spread(weight, (count,)), arb(label_smoothing)

    def term(at: tuple[int, ...]) -> Scalar:
        shares = [(1 - s) * t[(*at, c)] + s / count for c in range(count)]
        return -sum((q * w[c] * _log_softmax(x[at], c) for c, q in enumerate(shares) if not _is_nothing(q)), ZERO)

    return reduced(each(np.shape(x)[:-1], term), reduction)


def _length(xs: Scalars, eps: arb) -> Scalar:
    """max(|x|, eps)."""
    square = sum((x * x for x in xs), ZERO)
    return square.sqrt() if sign(square - eps * eps) > 0 else eps


def cosine_similarity(input1: Scalars, input2: Scalars, eps: float = 1e-8, negative: bool = False) -> Scalars:
    """x y / (max(|x|, eps) max(|y|, eps)), or minus that."""

    def term(at: tuple[int, ...]) -> Scalar:
        x, y = input1[at], input2[at]
        product = sum((a * b for a, b in zip(x, y, strict=True)), ZERO)
        cosine = product / (_length(x, arb(eps)) * _length(y, arb(eps)))
        return -cosine if negative else cosine

    return each(np.shape(input1)[:-1], term)


FORMULAS: dict[str, Callable[..., Scalars]] = {
    function.__name__: function
    for function in (
        soft_cross_entropy,
        cosine_similarity,
    )
}
