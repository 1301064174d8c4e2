"""Losses of two regions, by the coefficient of what they share: 1 - it."""

from __future__ import annotations

import math

import numpy as np

from tests.controls.parts import SECOND, Answer, Array, Given, one_by_one
from tests.controls.second.elementwise import sigmoid


def flat(x: Array) -> Array:
    return x if x.ndim == 2 else x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def probability(g: Given) -> tuple[Array, Array]:
    """p, and its slope."""
    x = flat(g["input"])
    if not g.parameters["from_logits"]:
        return x, np.ones_like(x)
    p = sigmoid(x)
    return p, p * sigmoid(-x)


def dice(g: Given) -> Answer:
    (p, by_x), t, smooth = probability(g), flat(g["target"]), g.real("smooth")
    squared = g.parameters["squared"]
    both = 2 * one_by_one(p * t) + smooth
    sizes = (one_by_one(p * p) + one_by_one(t * t) if squared else one_by_one(p) + one_by_one(t)) + smooth
    sizes = sizes + g.real("eps")
    by_sizes = (both / sizes / sizes)[..., None] * ((p + p) if squared else 1)
    slope = by_sizes - 2 * t / sizes[..., None]
    return SECOND.reduced(g, 1 - both / sizes, {"input": (slope * by_x).reshape(g["input"].shape)})


def tversky(g: Given) -> Answer:
    (p, by_x), t, smooth = probability(g), flat(g["target"]), g.real("smooth")
    alpha, beta = g.real("alpha"), g.real("beta")
    both = one_by_one(p * t)
    below = both + alpha * one_by_one(p * (1 - t)) + beta * one_by_one((1 - p) * t) + smooth + g.real("eps")
    index = (both + smooth) / below
    by_below = t + (alpha * (1 - t) - beta * t)
    slope = (index[..., None] * by_below - t) / below[..., None]
    return SECOND.reduced(g, 1 - index, {"input": (slope * by_x).reshape(g["input"].shape)})
