"""Losses of whole vectors: each class's own term left out of the sum."""

from __future__ import annotations

import numpy as np

from tests.controls.first.classes import _log_odds, softmax
from tests.controls.first.elementwise import softplus
from tests.controls.parts import (
    FIRST,
    Answer,
    Array,
    Given,
    classes_back,
    classes_last,
    over_positions,
    pairwise,
    weighted,
)


def apart(x: Array) -> Array:
    """For each class, the logarithm of the odds that it is another one."""
    classes = range(x.shape[-1])
    return np.stack([_log_odds(x, np.full(x.shape[:-1], c)) for c in classes], axis=-1)


def without(x: Array) -> Array:
    """For each class, the sum of x over the others."""
    others = ~np.eye(x.shape[-1], dtype=bool)
    return pairwise(np.where(others, x[..., None, :], 0))


def soft_cross_entropy(g: Given) -> Answer:
    x, t = classes_last(g["input"]), classes_last(g["target"])
    w, smoothing = over_positions(g.class_weight(x.shape[-1]), x.ndim), g.real("label_smoothing")
    expected = w * ((1 - smoothing) * t + smoothing / g.constant(x.shape[-1]))
    nll, p = softplus(apart(x)), softmax(x)[0]
    loss = pairwise(weighted(expected, nll))
    slope = weighted(p, without(expected)) - weighted(expected, without(p))
    by_target = (1 - smoothing) * weighted(w, nll) if smoothing < 1 else np.zeros_like(x)
    return FIRST.reduced(g, loss, {"input": classes_back(slope), "target": classes_back(by_target)})
