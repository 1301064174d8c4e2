"""Losses of vectors that are compared with one another: norms by hypot, cosines as they stand."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Array, Given, one_by_one
from tests.controls.second.embeddings import norm


def _norm(x: Array, kind: str) -> tuple[Array, Array]:
    """The norm and its slope; where several components are the largest, each has its part."""
    if kind == "chebyshev":
        length = np.abs(x).max(axis=-1, keepdims=True)
        top = (np.abs(x) == length).astype(x.dtype)
        return length, np.copysign(top / one_by_one(top)[..., None], x)
    if kind == "manhattan":
        return norm(x, 1), np.sign(x)
    length = norm(x, 2)
    return length, np.where(length == 0, 0, x / length)


def in_range(x: Array) -> tuple[Array, Array]:
    """The vectors in units of a power of two, and that power turned: the length of a subnormal one has no digits."""
    power = np.full((*x.shape[:-1], 1), 0)
    for i in range(x.shape[-1]):
        finite = np.isfinite(x[..., i, None]) & (x[..., i, None] != 0)
        least = np.where(finite, -np.frexp(x[..., i, None])[1], 2000)
        power = least if i == 0 else np.minimum(power, least)
    power = np.where(power == 2000, 0, power)
    return np.ldexp(np.ldexp(x, power // 2), power - power // 2), power


def _distance(g: Given, first: str, second: str) -> tuple[Array, dict[str, Array]]:
    x, y, kind = g[first], g[second], g.parameters["distance"]
    if kind != "cosine":
        length, slope = _norm((x - y) + g.real("eps"), kind)
        return length, {first: slope, second: -slope}
    (x, by_x), (y, by_y) = in_range(x), in_range(y)
    n, m = norm(x, 2), norm(y, 2)
    u, v = x / n, y / m
    cos = one_by_one(u * v)[..., None]
    return 1 - cos, {first: np.ldexp((cos * u - v) / n, by_x), second: np.ldexp((cos * v - u) / m, by_y)}


def triplet_margin_with_distance(g: Given) -> Answer:
    names = ("anchor", "positive", "negative")
    near, by_near = _distance(g, "anchor", "positive")
    far, by_far = _distance(g, "anchor", "negative")
    nothing = np.zeros_like(g["anchor"])
    by_far = {name: by_far.get(name, nothing) for name in names}
    if g.parameters["swap"]:
        other, by_other = _distance(g, "positive", "negative")
        less = other <= far
        far = np.where(less, other, far)
        by_far = {name: np.where(less, by_other.get(name, nothing), by_far[name]) for name in names}
    loss = (near - far) + g.real("margin")
    active = loss >= 0
    slopes = {name: np.where(active, by_near.get(name, nothing) - by_far[name], 0) for name in names}
    return SECOND.reduced(g, np.where(loss < 0, 0, loss)[..., 0], slopes)
