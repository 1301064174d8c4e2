"""Losses over the scores of classes, the class axis last: all classes at once."""

from __future__ import annotations

import numpy as np

from tests.controls.first.elementwise import sigmoid, softplus
from tests.controls.parts import FIRST, Answer, Array, Given, at, over_positions, pairwise, weighted


def highest(x: Array) -> Array:
    """Where the last axis has its largest number; the first of several."""
    return np.asarray(np.arange(x.shape[-1]) == np.argmax(x, axis=-1)[..., None])


def categorical_hinge(g: Given) -> Answer:
    x, t = g["input"], g.sign("target")
    others = (1 - t) * x
    short = 1 + (others.max(axis=-1) - pairwise(t * x))
    slope = np.where(highest(others), 1 - t, 0) - t
    return FIRST.reduced(g, np.maximum(short, 0), {"input": np.where((short > 0)[..., None], slope, 0)})


def excesses(g: Given, margin: float) -> tuple[Array, Array]:
    """margin + x_j - x_t, 0 for the target itself; and where j is the target."""
    x, target = g["input"], g["target"]
    hit = np.arange(x.shape[-1]) == target[..., None]
    return np.where(hit, 0, margin + (x - at(x, target)[..., None])).astype(x.dtype), np.asarray(hit)


def multiclass_hinge(g: Given) -> Answer:
    x = g["input"]
    hit = np.arange(x.shape[-1]) == g["target"][..., None]
    wrong = np.where(hit, -np.inf, x).astype(x.dtype)
    short = 1 + (wrong.max(axis=-1) - at(x, g["target"]))
    slope = np.where((short > 0)[..., None], highest(wrong).astype(x.dtype) - hit, 0)
    return FIRST.reduced(g, np.maximum(short, 0), {"input": slope.astype(x.dtype)})


def multiclass_perceptron(g: Given) -> Answer:
    x = g["input"]
    hit = np.arange(x.shape[-1]) == g["target"][..., None]
    loss = x.max(axis=-1) - at(x, g["target"])
    return FIRST.reduced(g, loss, {"input": highest(x).astype(x.dtype) - hit})


def softened(g: Given) -> Array:
    """Targets with label smoothing, times their weights and alpha."""
    t, s = g["target"], g.real("label_smoothing")
    y = (1 - s) * t + s / g.constant(t.shape[-1]) if s > 0 else t
    return np.asarray(weighted(over_positions(g.class_weight(t.shape[-1]), t.ndim), g.real("alpha") * y))


def beside(x: Array) -> tuple[Array, Array]:
    """For each class of the last axis, (..., class, other): the log-odds against it, and the shares of the others."""
    own = np.eye(x.shape[-1], dtype=bool)
    others = np.where(own, -np.inf, x[..., None, :]).astype(x.dtype)
    peak = others.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(others - np.where(np.isfinite(peak), peak, 0))
    size = pairwise(e)[..., None]
    return (np.log(size) + (peak - x[..., None]))[..., 0], e / size


def categorical_focal(g: Given) -> Answer:
    """By the log-odds of everything else, so that neither p nor 1 - p is a difference."""
    x, y, gamma = g["input"], softened(g), g.real("gamma")
    apart, shares = beside(x)
    nll, far = softplus(apart), np.exp(-gamma * softplus(-apart)) if gamma > 0 else np.ones_like(x)
    loss = pairwise(np.where(y > 0, y * far * nll, 0))
    by_apart = np.where(y > 0, y * far * (sigmoid(apart) + gamma * sigmoid(-apart) * nll), 0).astype(x.dtype)
    slope = pairwise(np.swapaxes(by_apart[..., None] * shares, -1, -2)) - by_apart
    return FIRST.reduced(g, loss, {"input": slope})


def without_shares(g: Given, kept: Array) -> Array:
    """Lists whose scores are infinite, or all -inf: of these, softmax has no value."""
    top = np.where(kept, g["input"], -np.inf).max(axis=-1)
    return np.asarray(kept.any(axis=-1) & np.isinf(top))


def _gains(g: Given) -> tuple[Array, Array]:
    """Which items count, and their relevance times their weight, 0 where they do not."""
    kept = g["mask"] == 1 if "mask" in g.inputs else np.ones(g["input"].shape, bool)
    w = g["weight"] if "weight" in g.inputs else np.ones_like(g["input"])
    return kept, np.where(kept, g["target"] * w, 0).astype(g.dtype)


def ranking_softmax(g: Given) -> Answer:
    """By the log-odds of the other items; what is left out is at -inf."""
    kept, gain = _gains(g)
    x = np.where(kept, g["input"], -np.inf).astype(g.dtype)
    apart, shares = beside(np.where(kept.any(axis=-1, keepdims=True), x, 0).astype(g.dtype))
    loss = pairwise(np.where(gain == 0, 0, gain * softplus(apart)).astype(g.dtype))
    loss = np.where(without_shares(g, kept), np.nan, loss).astype(g.dtype)
    by_apart = np.where(gain == 0, 0, gain * sigmoid(apart)).astype(g.dtype)
    slope = (
        pairwise(np.swapaxes(np.where(by_apart[..., None] != 0, by_apart[..., None] * shares, 0), -1, -2)) - by_apart
    )
    return _over_lists(g, kept, loss, np.where(kept, slope, 0).astype(g.dtype))


def _over_lists(g: Given, kept: Array, loss: Array, slope: Array) -> Answer:
    """A mean is over the lists that have an item."""
    lists = kept.any(axis=-1).reshape(len(kept), -1).sum(axis=1).astype(g.dtype)
    if g.parameters["reduction"] != "mean":
        return FIRST.reduced(g, loss, {"input": slope})
    return FIRST.reduced(g, loss, {"input": slope / lists.reshape(-1, *(1,) * (slope.ndim - 1))}, lists)


def sparsemax(g: Given) -> Answer:
    x, turn = g["input"], np.where(g["target"] == 1, -1, 1).astype(g.dtype)
    z = turn * x
    half = (np.clip(z, -1, 1) + 1) / 2
    loss = np.where(z >= 1, z, half * half)
    return FIRST.reduced(g, loss.astype(g.dtype), {"input": (turn * np.where(z >= 1, 1, half)).astype(g.dtype)})


def poly_cross_entropy(g: Given) -> Answer:
    """By the log-odds of everything else, so that neither -log p nor 1 - p is a difference."""
    t, epsilon = g["target"], g.real("epsilon")
    apart, shares = beside(g["input"])
    miss = sigmoid(apart)
    loss = pairwise(np.where(t > 0, t * (softplus(apart) + epsilon * miss), 0))
    by_apart = np.where(t > 0, t * miss * (1 + epsilon * sigmoid(-apart)), 0)
    slope = pairwise(np.swapaxes(by_apart[..., None] * shares, -1, -2)) - by_apart
    return FIRST.reduced(g, loss, {"input": slope})


def nearest_shares(x: Array) -> tuple[Array, Array]:
    """The distribution nearest to the scores, by sorting them, and its threshold less the largest score."""
    shifted = x - x.max(axis=-1, keepdims=True)
    falling = -np.sort(-shifted, axis=-1)
    rank = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    sums = np.cumsum(np.where(np.isfinite(falling), falling, 0), axis=-1, dtype=x.dtype)
    inside = 1 + rank * falling > sums
    count = inside.sum(axis=-1, keepdims=True)
    level = (np.take_along_axis(sums, count - 1, axis=-1) - 1) / count.astype(x.dtype)
    return np.maximum(shifted - level, 0).astype(x.dtype), level.astype(x.dtype)


def multiclass_sparsemax(g: Given) -> Answer:
    """Half of the squared distance of the shares from the label's, and how far the label is below the threshold."""
    x, target = g["input"], g["target"]
    p, level = nearest_shares(x)
    hit = np.arange(x.shape[-1]) == target[..., None]
    others = np.where(hit, 0, p).astype(x.dtype)
    missed = pairwise(others)
    below = level[..., 0] - (at(x, target) - x.max(axis=-1))
    below = np.where(at(p, target) > 0, 0, np.maximum(below, 0))
    loss = (pairwise(others * others) + missed * missed) / 2 + below
    slope = np.where(hit, -missed[..., None], others)
    return FIRST.reduced(g, loss.astype(x.dtype), {"input": slope.astype(x.dtype)})
