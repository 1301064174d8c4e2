"""Losses of vectors that are compared with one another: norms scaled by the largest component."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.controls.first.embeddings import norm, norm_slope
from tests.controls.parts import FIRST, Answer, Array, Given, pairwise

POWERS = {"euclidean": 2.0, "manhattan": 1.0, "chebyshev": np.inf}


def distance(g: Given, first: str, second: str) -> tuple[Array, Array, Array]:
    """The distance of two inputs, keeping the last axis, and its slopes by the one and by the other."""
    x, y, kind = g[first], g[second], g.parameters["distance"]
    if kind == "cosine":
        return cosine_distance(x, y)
    gap = x - y + g.real("eps")
    length, slope = of_norm(gap, POWERS[kind])
    return length, slope, -slope


def of_norm(x: Array, p: float) -> tuple[Array, Array]:
    if p < np.inf:
        length = norm(x, p)
        return length, norm_slope(x, length, p)
    size = np.abs(x)
    first = np.arange(x.shape[-1]) == np.argmax(size, axis=-1)[..., None]
    return size.max(axis=-1, keepdims=True), np.where(first, np.sign(x), 0).astype(x.dtype)


def in_range(x: Array) -> tuple[Array, Array]:
    """The vectors in units of a power of two, and that power turned: the length of a subnormal one has no digits."""
    largest = np.abs(x).max(axis=-1, keepdims=True)
    power = np.where(np.isfinite(largest), -np.frexp(largest)[1], 0)
    return np.ldexp(np.ldexp(x, power // 2), power - power // 2), power


def cosine_distance(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """1 - cos as half the squared distance of the unit vectors."""
    (x, by_x), (y, by_y) = in_range(x), in_range(y)
    n, m = norm(x, 2), norm(y, 2)
    u, v = x / n, y / m
    apart = u - v
    slope_x = np.ldexp((apart - u * pairwise(u * apart)[..., None]) / n, by_x)
    slope_y = np.ldexp((-apart + v * pairwise(v * apart)[..., None]) / m, by_y)
    return pairwise(apart * apart)[..., None] / 2, slope_x, slope_y


def triplet_margin_with_distance(g: Given) -> Answer:
    if g.parameters["distance"] != "cosine":
        return of_distances(g, distance)
    # Slopes by two distances may both overflow though their difference has a sign: so the powers come last.
    scaled = {name: in_range(x) for name, x in g.inputs.items()}
    answer = of_distances(replace(g, inputs={name: x for name, (x, _) in scaled.items()}), distance)
    return replace(answer, gradients={name: np.ldexp(a, scaled[name][1]) for name, a in answer.gradients.items()})


def of_distances(g: Given, of: Any) -> Answer:
    """The loss, with the distances and slopes that `of` two inputs gives."""
    d_pos, pos_a, pos_p = of(g, "anchor", "positive")
    d_ref, ref_a, ref_n = of(g, "anchor", "negative")
    swapped = np.zeros(d_ref.shape, bool)
    d_neg, alt_p, alt_n = d_ref, np.zeros_like(ref_a), np.zeros_like(ref_n)
    if g.parameters["swap"]:
        d_alt, alt_p, alt_n = of(g, "positive", "negative")
        swapped = d_alt < d_ref
        d_neg = np.where(swapped, d_alt, d_ref)
    short = d_pos - d_neg + g.real("margin")
    found = {
        "anchor": pos_a - np.where(swapped, 0, ref_a),
        "positive": pos_p - np.where(swapped, alt_p, 0),
        "negative": -np.where(swapped, alt_n, ref_n),
    }
    slopes = {name: np.where(short > 0, slope, 0).astype(g.dtype) for name, slope in found.items()}
    return FIRST.reduced(g, np.maximum(short, 0)[..., 0].astype(g.dtype), slopes)
