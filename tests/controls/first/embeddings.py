"""Losses between vectors: norms scaled by the largest component."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import FIRST, Answer, Array, Given, pairwise


def norm(x: Array, p: float) -> Array:
    """Over the last axis, keeping it; nothing overflows or underflows (Blue, 1978)."""
    if p == 1:
        return pairwise(np.abs(x))[..., None]
    size = np.abs(x)
    largest = size.max(axis=-1, keepdims=True)
    ratio = size / np.where((largest > 0) & (largest < np.inf), largest, 1)
    if p == 2:
        return np.asarray(largest * np.sqrt(pairwise(ratio * ratio))[..., None])
    power = np.asarray(p, x.dtype)
    return np.asarray(largest * np.power(pairwise(np.power(ratio, power))[..., None], (1 / power).astype(x.dtype)))


def norm_slope(x: Array, length: Array, p: float) -> Array:
    """The gradient of the norm; 0 at 0."""
    if p == 1:
        return np.sign(x)
    ratio = np.where(length > 0, x / length, 0)
    if p == 2:
        return ratio
    return np.asarray(np.sign(ratio) * np.power(np.abs(ratio), np.asarray(p - 1, x.dtype)))


def cosine_embedding(g: Given) -> Answer:
    """1 - cos as half the squared distance of the unit vectors."""
    x, y, close = g["input1"], g["input2"], g["target"][..., None] == 1
    n, m = norm(x, 2), norm(y, 2)
    u, v = x / n, y / m
    apart = u - v
    cos = pairwise(u * v)[..., None]
    beyond = cos - g.real("margin")
    loss = np.where(close, pairwise(apart * apart)[..., None] / 2, np.maximum(beyond, 0))
    pull = (apart - u * pairwise(u * apart)[..., None]) / n, (-apart + v * pairwise(v * apart)[..., None]) / m
    push = (v - u * cos) / n, (u - v * cos) / m
    by_x, by_y = (np.where(close, a, np.where(beyond > 0, b, 0)) for a, b in zip(pull, push, strict=True))
    return FIRST.reduced(g, loss[..., 0], {"input1": by_x, "input2": by_y})


def triplet_margin(g: Given) -> Answer:
    p, eps = g.parameters["p"], g.real("eps")
    pairs = ("anchor", "positive"), ("anchor", "negative"), ("positive", "negative")
    to_pos, to_ref, to_alt = (g[a] - g[b] + eps for a, b in pairs)
    d_pos, d_ref, d_alt = (norm(x, p) for x in (to_pos, to_ref, to_alt))
    swapped = (d_alt < d_ref) if g.parameters["swap"] else np.zeros(d_ref.shape, bool)
    short = d_pos - np.where(swapped, d_alt, d_ref) + g.real("margin")
    active = short > 0
    by_pos = np.where(active, norm_slope(to_pos, d_pos, p), 0)
    by_ref = np.where(active & ~swapped, norm_slope(to_ref, d_ref, p), 0)
    by_alt = np.where(active & swapped, norm_slope(to_alt, d_alt, p), 0)
    slopes = {"anchor": by_pos - by_ref, "positive": -by_pos - by_alt, "negative": by_ref + by_alt}
    return FIRST.reduced(g, np.maximum(short, 0)[..., 0], slopes)
