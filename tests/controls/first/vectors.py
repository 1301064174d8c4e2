"""Losses of whole vectors: each class's own term left out of the sum."""

from __future__ import annotations

import numpy as np

from tests.controls.first.classes import _log_odds, softmax
from tests.controls.first.elementwise import softplus
from tests.controls.first.embeddings import norm
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


def cosine_similarity(g: Given) -> Answer:
    """By unit vectors; a vector not longer than eps is divided by eps, which does not move."""
    x, y, eps = g["input1"], g["input2"], g.real("eps")
    n, m = norm(x, 2), norm(y, 2)
    long_n, long_m = np.maximum(n, eps), np.maximum(m, eps)
    u, v = x / long_n, y / long_m
    cos = pairwise(u * v)[..., None]
    by_x = (v - np.where(n > eps, u * cos, 0)) / long_n
    by_y = (u - np.where(m > eps, v * cos, 0)) / long_m
    side = g.constant(-1 if g.parameters["negative"] else 1)
    return Answer(side * cos[..., 0], {"input1": side * by_x, "input2": side * by_y})
