"""Losses over classes: the target's own term left out of the sum, all pairs at once."""

from __future__ import annotations

import numpy as np

from tests.controls.first.elementwise import sigmoid, softplus
from tests.controls.parts import (
    FIRST,
    Answer,
    Array,
    Given,
    at,
    classes_back,
    classes_last,
    over_positions,
    pairwise,
    share,
    slope_of_all,
    weight_of,
    weighted,
)


def _kept(g: Given, classes: int) -> tuple[Array, Array, Array, Array]:
    """Which targets count, all targets with the others at 0, their weights, and the sum of those, by case."""
    kept = g["target"] != g.parameters["ignore_index"]
    target = np.where(kept, g["target"], 0)
    w = np.where(kept, weight_of(g.class_weight(classes), target), 0)
    return kept, target, w, pairwise(w.reshape(len(w), -1))


def softmax(x: Array) -> tuple[Array, Array]:
    """Over the last axis: the shares and their logarithms, shifted by the largest."""
    shifted = x - x.max(axis=-1, keepdims=True)
    e = np.exp(shifted)
    size = pairwise(e)[..., None]
    return e / size, shifted - np.log(size)


def _log_odds(x: Array, target: Array) -> Array:
    """logsumexp of x_j - x_t over the classes j other than t; a forbidden class adds nothing."""
    absent = (np.arange(x.shape[-1]) == target[..., None]) | (x == -np.inf)
    others = np.where(absent, -np.inf, x - at(x, target)[..., None])
    others = others.astype(x.dtype)
    peak = others.max(axis=-1)
    finite = np.where(np.isfinite(peak), peak, 0)
    return np.asarray(np.where(peak == np.inf, peak, finite + np.log(pairwise(np.exp(others - finite[..., None])))))


def cross_entropy(g: Given) -> Answer:
    x = classes_last(g["input"])
    kept, target, w, divisor = _kept(g, x.shape[-1])
    weight, smoothing = over_positions(g.class_weight(x.shape[-1]), x.ndim), g.real("label_smoothing")
    p, log_p = softmax(x)
    hit = np.arange(x.shape[-1]) == target[..., None]
    others = np.where(hit, 0, p)
    loss, slope = np.zeros_like(w), np.zeros_like(x)
    if smoothing < 1:
        loss = (1 - smoothing) * weighted(w, softplus(_log_odds(x, target)))
        scale = ((1 - smoothing) * share(g, w, divisor))[..., None]
        slope = scale * np.where(hit, -pairwise(others)[..., None], others)
    if smoothing > 0:
        classes = g.constant(x.shape[-1])
        loss = loss + smoothing * (pairwise(weighted(weight, -log_p)) / classes)
        slope = slope + smoothing * (slope_of_all(g, FIRST, weight, p, divisor) / classes)
    loss, slope = np.where(kept, loss, 0), np.where(kept[..., None], slope, 0)
    return FIRST.reduced(g, loss, {"input": classes_back(slope)}, divisor)


def nll(g: Given) -> Answer:
    x = classes_last(g["input"])
    kept, target, w, divisor = _kept(g, x.shape[-1])
    hit = kept[..., None] & (np.arange(x.shape[-1]) == target[..., None])
    loss = np.where(kept, -w * at(x, target), 0)
    return FIRST.reduced(g, loss, {"input": classes_back(np.where(hit, -share(g, w, divisor)[..., None], 0))}, divisor)


def multi_margin(g: Given) -> Answer:
    x, target, classes = g["input"], g["target"], g.constant(g["input"].shape[-1])
    w = weight_of(g.class_weight(x.shape[-1]), target)[..., None]
    hit = np.arange(x.shape[-1]) == target[..., None]
    hinge = np.where(hit, 0, np.maximum(g.real("margin") + (x - at(x, target)[..., None]), 0))
    squared = g.parameters["p"] == 2
    slope = weighted(w, np.where(hinge > 0, 2 * hinge if squared else 1, 0)) / classes
    slope = np.where(hit, -pairwise(slope)[..., None], slope)
    loss = weighted(w[..., 0], pairwise(hinge * hinge if squared else hinge)) / classes
    return FIRST.reduced(g, loss, {"input": slope})


def multilabel_margin(g: Given) -> Answer:
    """All pairs of a label's place and a class in one array, (…, place, class)."""
    x, target, classes = g["input"], g["target"], g.constant(g["input"].shape[-1])
    counts = np.logical_and.accumulate(target >= 0, axis=-1)
    label = np.where(counts, target, 0)
    named = counts[..., None] & (label[..., None] == np.arange(x.shape[-1]))
    pairs = counts[..., None] & ~named.any(axis=-2)[..., None, :]
    gap = np.take_along_axis(x, label, axis=-1)[..., None] - x[..., None, :]
    hinge = np.where(pairs, np.maximum(1 - gap, 0), 0)
    active = (hinge > 0).astype(x.dtype)
    by_label = pairwise(np.swapaxes(np.where(named, pairwise(active)[..., None], 0), -1, -2))
    slope = (pairwise(np.swapaxes(active, -1, -2)) - by_label) / classes
    return FIRST.reduced(g, pairwise(hinge.reshape(*x.shape[:-1], x.shape[-1] ** 2)) / classes, {"input": slope})


def multilabel_soft_margin(g: Given) -> Answer:
    x, t = g["input"], g["target"]
    w, classes = over_positions(g.class_weight(x.shape[-1]), x.ndim), g.constant(x.shape[-1])
    loss = pairwise(weighted(w, t * softplus(-x) + (1 - t) * softplus(x))) / classes
    slope = w * ((1 - t) * sigmoid(x) - t * sigmoid(-x)) / classes
    return FIRST.reduced(g, loss, {"input": slope, "target": w * (softplus(-x) - softplus(x)) / classes})
