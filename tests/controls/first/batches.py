"""Losses over all pairs of a batch: a pair's own score is left out of the sum over the others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tests.controls.first.elementwise import sigmoid, softplus
from tests.controls.first.embeddings import norm
from tests.controls.first.scores import beside
from tests.controls.parts import FIRST, Answer, Array, Given, pairwise


def products(x: Array, y: Array) -> Array:
    """(case, one, other): the inner products of all pairs."""
    return pairwise(x[:, :, None, :] * y[:, None, :, :])


def pulled(slope: Array, y: Array) -> Array:
    """The slope by the vectors of x, from that by their products with the vectors of y."""
    return pairwise(np.swapaxes(slope[..., None] * y[:, None, :, :], 2, 3))


def turned(slope: Array) -> Array:
    return np.swapaxes(slope, 1, 2)


def alike(g: Given) -> Array:
    """(case, one, other): whether two are of one group."""
    return np.asarray(g["target"][:, :, None] == g["target"][:, None, :])


def apart_from(x: Array) -> Array:
    """Whether a pair is of two vectors."""
    return ~np.eye(x.shape[1], dtype=bool)


def among(x: Array, kept: Array) -> tuple[Array, Array]:
    """The logarithm of the sum of the exponentials of what is kept, keeping the last axis; and each one's share."""
    x = np.where(kept, x, -np.inf).astype(x.dtype)
    peak = x.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(x - np.where(np.isfinite(peak), peak, 0))
    size = pairwise(e)[..., None]
    return np.log(size) + np.where(np.isfinite(peak), peak, 0), np.where(size > 0, e / np.where(size > 0, size, 1), 0)


def in_range(a: Array, p: Array, inner: Array) -> tuple[Array, Array]:
    """The inner products of a row, and the power of two that they lack, which is 0 unless one of them overflows."""
    sizes = np.abs(a).max(axis=-1, initial=0), np.abs(p).max(axis=(1, 2), initial=0)[:, None]
    finite = np.isfinite(sizes[0] + 0 * sizes[1]) & np.isfinite(sizes[1])
    beyond = finite & ~np.isfinite(inner).all(axis=-1)
    by_a, by_p = (np.where(beyond, np.frexp(size)[1], 0) for size in sizes)
    if not beyond.any():
        return inner, by_a
    small = pairwise(np.ldexp(a, -by_a[..., None])[:, :, None, :] * np.ldexp(p[:, None], -by_p[..., None, None]))
    return np.where(beyond[..., None], small, inner).astype(a.dtype), by_a + by_p


def npair(g: Given) -> Answer:
    a, p, of_group = g["anchor"], g["positive"], alike(g)
    count = of_group.sum(axis=-1).astype(g.dtype)
    inner = products(a, p)
    scaled, exponent = in_range(a, p, inner)
    lead = np.ldexp(scaled - scaled.max(axis=-1, keepdims=True, initial=-np.inf), exponent[..., None])
    apart, shares = beside(np.where(exponent[..., None] != 0, lead, scaled).astype(g.dtype))
    match = pairwise(np.where(of_group, softplus(apart), 0).astype(g.dtype)) / count
    match = np.where(np.isfinite(scaled).all(axis=-1), match, np.nan)
    by_apart = np.where(of_group, sigmoid(apart) / count[..., None], 0).astype(g.dtype)
    slope = (
        pairwise(np.swapaxes(np.where(by_apart[..., None] != 0, by_apart[..., None] * shares, 0), -1, -2)) - by_apart
    )
    return with_lengths(g, match, slope)


def with_lengths(g: Given, match: Array, slope: Array) -> Answer:
    """The loss, from its part of the products and the slope of that."""
    a, p, by_length = g["anchor"], g["positive"], g.real("l2_reg")
    slopes = {"anchor": pulled(slope, p), "positive": pulled(turned(slope), a)}
    if by_length > 0:
        match = match + by_length * (pairwise(a * a) + pairwise(p * p)) / 4
        slopes = {name: slope + by_length / 2 * g[name] for name, slope in slopes.items()}
    return FIRST.reduced(g, match.astype(g.dtype), {name: slope.astype(g.dtype) for name, slope in slopes.items()})


class Units(NamedTuple):
    """Vectors of length 1, and how long they were."""

    unit: Array
    length: Array

    def slope(self, by_score: Array) -> Array:
        """The slope by the vectors as they were, from that by their cosines."""
        by_unit = pulled(by_score + turned(by_score), self.unit)
        along = pairwise(self.unit * by_unit)[..., None]
        return np.asarray((by_unit - self.unit * along) / self.length)


def units(x: Array) -> Units:
    length = norm(x, 2)
    return Units(x / length, length)


def nt_xent(g: Given) -> Answer:
    return of_scores(g, units(g["input"]))


def of_scores(g: Given, of: Units) -> Answer:
    """The loss, of unit vectors."""
    loss, by_score, pair = by_scores(g, of)
    return over_pairs(g, loss, of.slope(by_score), pair)


def by_scores(g: Given, of: Units) -> tuple[Array, Array, Array]:
    """The losses, their slopes by the scores, and which are of a pair."""
    same, heat = alike(g), g.real("temperature")
    score = products(of.unit, of.unit) / heat
    pair = same & apart_from(g["input"])
    other, shares = among(score, ~same)
    loss = pairwise(np.where(pair, softplus(other - score), 0).astype(g.dtype))
    by_pair = np.where(pair, sigmoid(other - score), 0).astype(g.dtype)
    by_score = (pairwise(by_pair)[..., None] * shares - by_pair) / heat
    return loss, by_score.astype(g.dtype), pair


def over_pairs(g: Given, loss: Array, slope: Array, pair: Array) -> Answer:
    """A mean is over the pairs."""
    if g.parameters["reduction"] != "mean":
        return FIRST.reduced(g, loss, {"input": slope})
    count = pair.reshape(len(pair), -1).sum(axis=1).astype(g.dtype)
    return FIRST.reduced(g, loss, {"input": slope / count.reshape(-1, 1, 1)}, count)


def circle(g: Given) -> Answer:
    of = units(g["input"]) if g.parameters["normalise"] else Units(g["input"], np.ones_like(g["input"][..., :1]))
    inner = products(of.unit, of.unit)
    score = inner if g.parameters["normalise"] else np.minimum(inner, 1).astype(g.dtype)
    loss, by_score = of_similarities(g, score)
    if g.parameters["normalise"]:
        return FIRST.reduced(g, loss, {"input": of.slope(by_score)})
    by_score = np.where(inner < 1, by_score, 0).astype(g.dtype)
    return FIRST.reduced(g, loss, {"input": pulled(by_score + turned(by_score), of.unit)})


def of_similarities(g: Given, score: Array) -> tuple[Array, Array]:
    """The losses, and their slopes by the similarities."""
    gamma, margin, same = g.real("gamma"), g.real("margin"), alike(g)
    lacks, exceeds = np.maximum(1 + margin - score, 0), np.maximum(score + margin, 0)
    to_own, to_other = 1 - margin - score, score - margin
    own, own_shares = among((gamma * lacks * to_own).astype(g.dtype), same & apart_from(score))
    other, other_shares = among((gamma * exceeds * to_other).astype(g.dtype), ~same)
    both = (own + other)[..., 0]
    due = ~np.isneginf(own + other)
    by_own, by_other = lacks, exceeds
    if not g.parameters["constant_weights"]:
        by_own = lacks + np.where(lacks > 0, to_own, 0)
        by_other = exceeds + np.where(exceeds > 0, to_other, 0)
    by_score = gamma * sigmoid(both)[..., None] * (other_shares * by_other - own_shares * by_own)
    return np.where(due[..., 0], softplus(both), 0).astype(g.dtype), np.where(due, by_score, 0).astype(g.dtype)
