"""Losses over all pairs of a batch: by logarithms of softmax as they stand, one vector after the other."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Array, Given, one_by_one
from tests.controls.second.classes import log_softmax
from tests.controls.second.elementwise import sigmoid
from tests.controls.second.embeddings import norm


def _products(x: Array, y: Array) -> Array:
    """(case, one, other), a column for each vector of y."""
    columns = [one_by_one(x * y[:, k, None]) for k in range(y.shape[1])]
    return np.stack(columns, axis=-1) if columns else np.zeros((*x.shape[:2], 0), x.dtype)


def _by_first(slope: Array, y: Array) -> Array:
    """The slope by x of what has this slope by its products with y."""
    total = np.zeros((*slope.shape[:2], y.shape[2]), y.dtype)
    for k in range(y.shape[1]):
        total = total + slope[:, :, k, None] * y[:, k, None]
    return total


def _in_range(a: Array, p: Array) -> tuple[Array, Array]:
    """The inner products, in units of a power of two where they would overflow."""
    inner = _products(a, p)
    fine, finite = (np.asarray(np.isfinite(x).all(axis=(1, 2))) for x in (np.concatenate([a, p], axis=1), inner))
    beyond = fine & ~finite
    half = np.finfo(a.dtype).maxexp // 2 if beyond.any() else 0
    exponent = np.where(beyond, half, 0)[:, None]
    scaled = _products(np.ldexp(a, -exponent[..., None]), np.ldexp(p, -exponent[..., None]))
    return np.where(beyond[:, None, None], scaled, inner), 2 * exponent


def npair(g: Given) -> Answer:
    """By the distribution of a group, and the logarithm of softmax."""
    a, p, reg = g["anchor"], g["positive"], g.real("l2_reg")
    hit = (g["target"][:, :, None] == g["target"][:, None, :]).astype(g.dtype)
    due = hit / one_by_one(hit)[..., None]
    inner, exponent = _in_range(a, p)
    lead = np.ldexp(inner - inner.max(axis=-1, keepdims=True, initial=-np.inf), exponent[..., None])
    log_p = log_softmax(lead.astype(g.dtype))
    log_p = np.where(np.isfinite(inner).all(axis=-1, keepdims=True), log_p, np.nan)
    loss = one_by_one(np.where(due == 0, 0, -due * log_p).astype(g.dtype))
    slope = np.exp(log_p) - due
    slopes = {"anchor": _by_first(slope, p), "positive": _by_first(np.swapaxes(slope, 1, 2), a)}
    if reg != 0:
        quarter = reg / 4
        loss = loss + (quarter * one_by_one(a * a) + quarter * one_by_one(p * p))
        slopes = {name: slope + 2 * quarter * g[name] for name, slope in slopes.items()}
    return SECOND.reduced(g, loss.astype(g.dtype), {n: s.astype(g.dtype) for n, s in slopes.items()})


def _log_sum(x: Array, kept: Array) -> tuple[Array, Array]:
    top = np.where(kept, x, -np.inf).max(axis=-1, keepdims=True, initial=-np.inf)
    top = np.where(np.isinf(top), 0, top)
    e = np.where(kept, np.exp(np.where(kept, x - top, 0)), 0).astype(x.dtype)
    size = one_by_one(e)[..., None]
    return (np.log(size) + top).astype(x.dtype), (e / np.where(size == 0, 1, size)).astype(x.dtype)


def _of_lengths(by_unit: Array, unit: Array, length: Array) -> Array:
    return np.asarray(by_unit / length - unit * (one_by_one(unit * by_unit)[..., None] / length))


def nt_xent(g: Given) -> Answer:
    """log(exp(other) + exp(score)) - score, in units of the larger one."""
    x, t, heat = g["input"], g["target"], g.real("temperature")
    length = norm(x, 2)
    unit = x / length
    score = (_products(unit, unit) / heat).astype(g.dtype)
    same = t[:, :, None] == t[:, None, :]
    pair = same & ~np.eye(x.shape[1], dtype=bool)
    other, shares = _log_sum(score, ~same)
    top = np.maximum(other, score)
    rest, own = np.exp(other - top), np.exp(score - top)
    loss = one_by_one(np.where(pair, (top - score) + np.log(rest + own), 0).astype(g.dtype))
    weight = np.where(pair, rest / (rest + own), 0).astype(g.dtype)
    by_score = one_by_one(weight)[..., None] * shares - weight
    by_score = (by_score + np.swapaxes(by_score, 1, 2)) / heat
    slope = _of_lengths(_by_first(by_score.astype(g.dtype), unit), unit, length).astype(g.dtype)
    if g.parameters["reduction"] != "mean":
        return SECOND.reduced(g, loss, {"input": slope})
    count = pair.reshape(len(pair), -1).sum(axis=1).astype(g.dtype)
    return SECOND.reduced(g, loss, {"input": slope / count.reshape(-1, 1, 1)}, count)


def circle(g: Given) -> Answer:
    """The two sums of exponentials, as Sun et al. (2020) have them in their equation 8."""
    x, t, gamma, margin = g["input"], g["target"], g.real("gamma"), g.real("margin")
    length = norm(x, 2) if g.parameters["normalise"] else np.ones_like(x[..., :1])
    unit = x / length if g.parameters["normalise"] else x
    inner = _products(unit, unit)
    score = inner if g.parameters["normalise"] else np.where(inner > 1, 1, inner).astype(g.dtype)
    same = t[:, :, None] == t[:, None, :]
    pair = same & ~np.eye(x.shape[1], dtype=bool)
    own_weight, other_weight = np.maximum((margin - score) + 1, 0), np.maximum(margin + score, 0)
    own_gap, other_gap = score - (1 - margin), score - margin
    own, own_shares = _log_sum((-(own_weight * own_gap) * gamma).astype(g.dtype), pair)
    other, other_shares = _log_sum(((other_weight * other_gap) * gamma).astype(g.dtype), ~same)
    both = own + other
    due = ~np.isneginf(both)
    loss = np.where(due, np.maximum(both, 0) + np.log1p(np.exp(-np.abs(both))), 0)[..., 0]
    active = np.where(due, sigmoid(both), 0)
    if not g.parameters["constant_weights"]:
        own_weight = own_weight - np.where(own_weight > 0, own_gap, 0)
        other_weight = other_weight + np.where(other_weight > 0, other_gap, 0)
    by_score = active * (other_shares * (gamma * other_weight)) - active * (own_shares * (gamma * own_weight))
    if not g.parameters["normalise"]:
        by_score = np.where(inner > 1, 0, by_score)
    by_score = (by_score + np.swapaxes(by_score, 1, 2)).astype(g.dtype)
    slope = _by_first(by_score, unit)
    if g.parameters["normalise"]:
        slope = _of_lengths(slope, unit, length)
    return SECOND.reduced(g, loss.astype(g.dtype), {"input": slope.astype(g.dtype)})
