"""Losses between vectors: norms by hypot, or scaled by a power of two."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Array, Given, one_by_one


def norm(x: Array, p: float) -> Array:
    """Over the last axis, keeping it."""
    if p == 1:
        return one_by_one(np.abs(x))[..., None]
    if p == 2:
        return np.asarray(np.hypot.reduce(x, axis=-1, keepdims=True))
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
    exponent = np.frexp(np.abs(wide).max(axis=-1, keepdims=True))[1]
    scaled = np.abs(np.ldexp(wide, -exponent))
    root = np.power(one_by_one(np.power(scaled, wide.dtype.type(p)))[..., None], 1 / wide.dtype.type(p))
    return np.ldexp(root, exponent).astype(x.dtype)


def _slope(x: Array, length: Array, p: float) -> Array:
    """The gradient of the norm; at 0 that of the first component's, which is as good as any."""
    if p == 1:
        return np.where(x >= 0, 1, -1).astype(x.dtype)
    if p == 2:
        return np.where(length == 0, np.arange(x.shape[-1]) == 0, x / length)
    wide = np.float32 if x.dtype.itemsize == 2 else x.dtype
    ratio = np.abs(x).astype(wide) / np.where(length == 0, 1, length).astype(wide)
    return np.asarray(np.copysign(np.power(ratio, ratio.dtype.type(p - 1)), x.astype(wide)).astype(x.dtype))


def cosine_embedding(g: Given) -> Answer:
    """1 - cos as it stands, of the unit vectors."""
    x, y, close = g["input1"], g["input2"], g["target"][..., None] == 1
    n, m = norm(x, 2), norm(y, 2)
    u, v = x / n, y / m
    cos = one_by_one(u * v)[..., None]
    hinge = np.where(cos >= g.real("margin"), cos - g.real("margin"), 0)
    sign = np.where(close, -1, cos >= g.real("margin")).astype(x.dtype)
    slopes = {"input1": sign * (v - cos * u) / n, "input2": sign * (u - cos * v) / m}
    return SECOND.reduced(g, np.where(close, 1 - cos, hinge)[..., 0], slopes)


def triplet_margin(g: Given) -> Answer:
    p, eps, margin = g.parameters["p"], g.real("eps"), g.real("margin")
    near = (g["anchor"] - g["positive"]) + eps
    far = (g["anchor"] - g["negative"]) + eps
    d_near, d_far = norm(near, p), norm(far, p)
    slope_far = _slope(far, d_far, p)
    by_far = {"anchor": slope_far, "positive": np.zeros_like(slope_far), "negative": -slope_far}
    if g.parameters["swap"]:
        other = (g["positive"] - g["negative"]) + eps
        d_other = norm(other, p)
        slope, less = _slope(other, d_other, p), d_other <= d_far
        d_far = np.minimum(d_far, d_other)
        swapped = {"anchor": np.zeros_like(slope), "positive": slope, "negative": -slope}
        by_far = {name: np.where(less, swapped[name], by_far[name]) for name in by_far}
    slope_near = _slope(near, d_near, p)
    by_near = {"anchor": slope_near, "positive": -slope_near, "negative": np.zeros_like(slope_near)}
    loss = (d_near - d_far) + margin
    active = (loss >= 0).astype(loss.dtype)
    slopes = {name: active * (by_near[name] - by_far[name]) for name in by_far}
    return SECOND.reduced(g, np.where(loss > 0, loss, 0)[..., 0], slopes)
