"""Losses of two regions, by what they do not share: all positions of an example on one axis."""

from __future__ import annotations

import math

import numpy as np

from tests.controls.first.elementwise import sigmoid
from tests.controls.parts import FIRST, Answer, Array, Given, pairwise


def examples(x: Array) -> Array:
    """(case, example, position); without a batch (case, position)."""
    return x if x.ndim == 2 else x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def probabilities(g: Given) -> tuple[Array, Array, Array]:
    """p, 1 - p and the slope of p."""
    x = examples(g["input"])
    if not g.parameters["from_logits"]:
        return x, 1 - x, np.ones_like(x)
    p, q = sigmoid(x), sigmoid(-x)
    return p, q, p * q


def like_input(g: Given, slope: Array) -> Array:
    return slope.reshape(g["input"].shape)


def dice(g: Given) -> Answer:
    (p, q, by_x), t, eps = probabilities(g), examples(g["target"]), g.real("eps")
    gap = p * (1 - t) - q * t if g.parameters["from_logits"] else p - t
    squared = g.parameters["squared"]
    apart = pairwise(gap * gap if squared else p * (1 - t) + q * t) + eps
    sizes = pairwise(p * p + t * t if squared else p + t) + (g.real("smooth") + eps)
    loss = apart / sizes
    by_p = (2 * gap - loss[..., None] * (2 * p)) if squared else (1 - t) - t - loss[..., None]
    return FIRST.reduced(g, loss, {"input": like_input(g, by_x * (by_p / sizes[..., None]))})


def tversky(g: Given) -> Answer:
    (p, q, by_x), t, eps = probabilities(g), examples(g["target"]), g.real("eps")
    alpha, beta = g.real("alpha"), g.real("beta")
    wrong = alpha * pairwise(p * (1 - t)) + beta * pairwise(q * t)
    below = pairwise(p * t) + wrong + (g.real("smooth") + eps)
    loss = (wrong + eps) / below
    by_wrong = alpha * (1 - t) - beta * t
    by_p = by_wrong - loss[..., None] * (t + by_wrong)
    return FIRST.reduced(g, loss, {"input": like_input(g, by_x * (by_p / below[..., None]))})
