"""Losses over the scores of classes, the class axis last: class by class; what is tied shares a slope."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Array, Given, one_by_one, over_positions, weighted
from tests.controls.second.classes import log_softmax


def shares(x: Array) -> Array:
    """Of each class along the last axis, its part in the maximum."""
    top = (x == x.max(axis=-1, keepdims=True)).astype(x.dtype)
    return np.asarray(top / one_by_one(top)[..., None])


def categorical_hinge(g: Given) -> Answer:
    """The margin is added to the score, as Crammer and Singer (2001) write it."""
    x, t = g["input"], g.sign("target")
    own, other = np.zeros(x.shape[:-1], x.dtype), np.full(x.shape[:-1], -np.inf, x.dtype)
    for j in range(x.shape[-1]):
        own = own + t[..., j] * x[..., j]
        other = np.maximum(other, (1 - t[..., j]) * x[..., j])
    short = (other + 1) - own
    active = (short >= 0).astype(x.dtype)[..., None]
    slope = active * (shares((1 - t) * x) * (1 - t) - t)
    return SECOND.reduced(g, np.where(short < 0, 0, short), {"input": slope})


def _highest_above(g: Given, margin: float) -> Answer:
    """The margin is added to the score, as Crammer and Singer (2001) write it."""
    x = g["input"]
    hits = np.arange(x.shape[-1]) == g["target"][..., None]
    scores = np.where(hits, x, x + g.constant(margin))
    top = np.full(x.shape[:-1], -np.inf, x.dtype)
    for j in range(x.shape[-1]):
        top = np.maximum(top, scores[..., j])
    own = one_by_one(np.where(hits, x, 0))
    return SECOND.reduced(g, top - own, {"input": shares(scores) - hits.astype(x.dtype)})


def multiclass_hinge(g: Given) -> Answer:
    return _highest_above(g, 1)


def multiclass_perceptron(g: Given) -> Answer:
    return _highest_above(g, 0)


def categorical_focal(g: Given) -> Answer:
    """By log p, and 1 - p as -expm1 of it."""
    x, gamma, smoothing = g["input"], g.real("gamma"), g.real("label_smoothing")
    y = g["target"] - smoothing * g["target"] + smoothing / g.constant(x.shape[-1])
    y = weighted(over_positions(g.class_weight(x.shape[-1]), x.ndim), y) * g.real("alpha")
    log_p = log_softmax(x)
    p, q = np.exp(log_p), -np.expm1(log_p)
    far = np.power(q, gamma)
    loss = one_by_one(np.where(y == 0, 0, -log_p * far * y))
    ratio = np.where(q > 0, -log_p / np.where(q > 0, q, 1), 1)
    by_log = np.where(y == 0, 0, -y * far * (1 + gamma * np.where(p > 0, p * ratio, 0))).astype(x.dtype)
    slope = by_log - p * one_by_one(by_log)[..., None]
    return SECOND.reduced(g, loss, {"input": slope.astype(x.dtype)})


def ranking_softmax(g: Given) -> Answer:
    """By the logarithm of softmax; the gradient is p times all gains, less the item's own."""
    kept = np.asarray(g["mask"] == 1) if "mask" in g.inputs else np.ones(g["input"].shape, bool)
    gain = g["target"] * g["weight"] if "weight" in g.inputs else g["target"]
    gain = np.where(kept, gain, 0).astype(g.dtype)
    x = np.where(kept, g["input"], -np.inf).astype(g.dtype)
    lists = np.asarray(kept.any(axis=-1))
    log_p = log_softmax(np.where(lists[..., None], x, 0).astype(g.dtype))
    loss = one_by_one(np.where(gain == 0, 0, -log_p * gain).astype(g.dtype))
    loss = np.where(np.isnan(log_p).any(axis=-1), np.nan, loss).astype(g.dtype)
    slope = np.where(kept, np.exp(log_p) * one_by_one(gain)[..., None] - gain, 0).astype(g.dtype)
    if g.parameters["reduction"] == "mean":
        count = lists.reshape(len(lists), -1).sum(axis=1).astype(g.dtype)
        slope = slope / count.reshape(-1, *(1,) * (slope.ndim - 1))
        return SECOND.reduced(g, loss, {"input": slope}, count)
    return SECOND.reduced(g, loss, {"input": slope})


def sparsemax(g: Given) -> Answer:
    """The parabola of a score that is kept between -1 and 1, and what is beyond."""
    x, right = g["input"], g["target"] == 1
    wrong = np.where(right, -x, x)
    inner = np.clip(wrong, -1, 1) + 1
    loss = inner * inner / 4 + (np.maximum(wrong, 1) - 1)
    loss = np.where(wrong > 1, wrong, loss).astype(x.dtype)
    return SECOND.reduced(g, loss, {"input": np.where(right, -inner / 2, inner / 2).astype(x.dtype)})


def poly_cross_entropy(g: Given) -> Answer:
    """By log p; the gradient of p is that of softmax, as Leng et al. (2022) have it from their framework."""
    x, t, epsilon = g["input"], g["target"], g.real("epsilon")
    log_p = log_softmax(x)
    p = np.exp(log_p)
    loss = one_by_one(np.where(t == 0, 0, -log_p * t)) + epsilon * one_by_one(np.where(t == 0, 0, -np.expm1(log_p) * t))
    by_log = np.where(t == 0, 0, -t * (1 + epsilon * p)).astype(x.dtype)
    return SECOND.reduced(g, loss.astype(x.dtype), {"input": by_log - p * one_by_one(by_log)[..., None]})


def multiclass_sparsemax(g: Given) -> Answer:
    """The threshold by dropping what is below it, over again (Michelot, 1986); the loss as a Fenchel-Young loss."""
    x, target = g["input"], g["target"]
    hit = np.arange(x.shape[-1]) == target[..., None]
    own = one_by_one(np.where(hit, x, 0))[..., None]
    shifted = x - x.max(axis=-1, keepdims=True)
    inside = shifted > -1
    for _ in range(x.shape[-1]):
        count = inside.sum(axis=-1, keepdims=True).astype(x.dtype)
        level = (one_by_one(np.where(inside, shifted, 0))[..., None] - 1) / count
        inside = inside & (shifted > level)
    p = np.where(inside, shifted - level, 0).astype(x.dtype)
    part = np.where(inside, p * ((x - own) - p / 2), 0).astype(x.dtype)
    loss = one_by_one(part) + x.dtype.type(0.5)
    return SECOND.reduced(g, loss, {"input": p - hit.astype(x.dtype)})
