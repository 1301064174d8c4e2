"""Losses over classes: by log_softmax and its shares, class by class and label by label."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import (
    SECOND,
    Answer,
    Array,
    Given,
    classes_back,
    classes_last,
    one_by_one,
    over_positions,
    share,
    slope_of_all,
    weighted,
)
from tests.controls.second.elementwise import sigmoid, softplus


def _picked(hit: Array, x: Array) -> Array:
    """x where `hit` holds, summed over the last axis: 0 where it holds nowhere."""
    return one_by_one(np.where(hit, x, 0))


def _hits(g: Given, classes: int) -> Array:
    counts = (g["target"] != g.parameters["ignore_index"])[..., None]
    return np.asarray(counts & (np.arange(classes) == g["target"][..., None]))


def log_softmax(x: Array) -> Array:
    """Over the last axis: log1p of all exponentials but the largest, so that a confident answer keeps its digits."""
    first = np.arange(x.shape[-1]) == np.argmax(x, axis=-1)[..., None]
    shifted = x - x.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log1p(one_by_one(np.where(first, 0, np.exp(shifted))))[..., None])


def cross_entropy(g: Given) -> Answer:
    x = classes_last(g["input"])
    hit, smoothing = _hits(g, x.shape[-1]), g.real("label_smoothing")
    weight = over_positions(g.class_weight(x.shape[-1]), x.ndim)
    log_p = log_softmax(x)
    p, kept = np.exp(log_p), np.asarray(hit.any(axis=-1))
    w = _picked(hit, np.broadcast_to(weight, x.shape))
    divisor = one_by_one(w.reshape(len(w), -1))
    hard = weighted(w, -_picked(hit, log_p))
    slope = (p - hit) * share(g, w, divisor)[..., None]
    if smoothing > 0:
        soft = -one_by_one(weighted(weight, log_p)) / g.constant(x.shape[-1])
        by_soft = slope_of_all(g, SECOND, weight, p, divisor) / g.constant(x.shape[-1])
        hard = soft if smoothing == 1 else hard * (1 - smoothing) + soft * smoothing
        slope = slope * (1 - smoothing) + by_soft * smoothing
    loss, slope = np.where(kept, hard, 0), np.where(kept[..., None], slope, 0)
    return SECOND.reduced(g, loss, {"input": classes_back(slope)}, divisor)


def nll(g: Given) -> Answer:
    x = classes_last(g["input"])
    hit = _hits(g, x.shape[-1])
    weight = np.broadcast_to(over_positions(g.class_weight(x.shape[-1]), x.ndim), x.shape)
    divisor = one_by_one(_picked(hit, weight).reshape(len(x), -1))
    loss, slope = -_picked(hit, x * weight), -np.where(hit, share(g, weight, divisor), 0)
    return SECOND.reduced(g, loss, {"input": classes_back(slope)}, divisor)


def multi_margin(g: Given) -> Answer:
    """Class by class; the terms in the order in which Weston and Watkins (1999) write them."""
    x, margin, p = g["input"], g.real("margin"), g.parameters["p"]
    hits = np.arange(x.shape[-1]) == g["target"][..., None]
    each = _picked(hits, np.broadcast_to(over_positions(g.class_weight(x.shape[-1]), x.ndim), x.shape))
    start = margin - _picked(hits, x)
    loss, own, slope = np.zeros_like(each), np.zeros_like(each), np.zeros_like(x)
    for j in range(x.shape[-1]):
        excess = start + x[..., j]
        active = (excess >= 0) & ~hits[..., j]
        excess = np.where(active, excess, 0)
        loss = loss + (excess * excess if p == 2 else excess)
        up = (excess + excess) if p == 2 else active.astype(x.dtype)
        slope[..., j], own = up, own + up
    slope = weighted(each[..., None], np.where(hits, -own[..., None], slope))
    scale = (1 / g.constant(x.shape[-1])).astype(x.dtype)
    return SECOND.reduced(g, weighted(each, loss) * scale, {"input": slope * scale})


def multilabel_margin(g: Given) -> Answer:
    """Label by label; the terms in the order in which Weston, Bengio and Usunier (2011) write them."""
    x, target, classes = g["input"], g["target"], g["input"].shape[-1]
    ends = np.where(target < 0, np.arange(classes), classes).min(axis=-1)
    counts = np.arange(classes) < ends[..., None]
    other = np.ones(x.shape, bool)
    for j in range(classes):
        other &= ~(counts[..., j, None] & (np.arange(classes) == target[..., j, None]))
    loss, slope = np.zeros(x.shape[:-1], x.dtype), np.zeros_like(x)
    for j in range(classes):
        own = np.arange(classes) == target[..., j, None]
        short = (1 - _picked(own, x))[..., None] + x
        active = counts[..., j, None] & other & (short >= 0)
        up = active.astype(x.dtype)
        loss = loss + one_by_one(np.where(active, short, 0))
        slope = slope + up - np.where(own & counts[..., j, None], one_by_one(up)[..., None], 0)
    scale = (1 / g.constant(classes)).astype(x.dtype)
    return SECOND.reduced(g, loss * scale, {"input": slope * scale})


def multilabel_soft_margin(g: Given) -> Answer:
    """One softplus, and the gradient sigmoid(x) - t."""
    x, t = g["input"], g["target"]
    w, classes = over_positions(g.class_weight(x.shape[-1]), x.ndim), g.constant(x.shape[-1])
    loss = one_by_one(weighted(w, (1 - t) * x + softplus(-x))) / classes
    return SECOND.reduced(g, loss, {"input": (sigmoid(x) - t) * w / classes, "target": weighted(w, -x) / classes})
