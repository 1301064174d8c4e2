"""Elementwise losses, as a textbook's first line has them."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import FIRST, Answer, Array, Given, fitted, for_each, share, weighted, weights_total


def l1(g: Given) -> Answer:
    error = g["input"] - g["target"]
    w = g.weight("weight", error.ndim)
    divisor = weights_total(g, FIRST)
    slope = share(g, w, divisor) * np.sign(error)
    return FIRST.reduced(g, weighted(w, np.abs(error)), {"input": slope, "target": -slope}, divisor)


def mse(g: Given) -> Answer:
    error = g["input"] - g["target"]
    w = g.weight("weight", error.ndim)
    divisor = weights_total(g, FIRST)
    slope = weighted(share(g, w, divisor), 2 * error)
    return FIRST.reduced(g, weighted(w, error * error), {"input": slope, "target": -slope}, divisor)


def smooth_l1(g: Given) -> Answer:
    error, beta = g["input"] - g["target"], g.real("beta")
    size = np.abs(error)
    inside = size < beta
    square = np.where(inside, error, 0) ** 2
    loss = np.where(inside, square / (2 * beta), size - beta / 2)
    slope = np.where(inside, error / beta, np.sign(error))
    return FIRST.reduced(g, loss, {"input": slope, "target": -slope})


def huber(g: Given) -> Answer:
    error, delta = g["input"] - g["target"], g.real("delta")
    w, size = g.weight("weight", error.ndim), np.abs(error)
    inside = size <= delta
    square = np.where(inside, error, 0) ** 2
    loss = weighted(w, np.where(inside, square / 2, delta * (size - delta / 2)))
    slope = w * np.where(inside, error, delta * np.sign(error))
    return FIRST.reduced(g, loss, {"input": slope, "target": -slope})


def softplus(x: Array) -> Array:
    """log(1 + exp(x)); nothing overflows (Mächler, 2012)."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), both sides with all digits."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1) / (1 + e))


def soft_margin(g: Given) -> Answer:
    label = g.sign("target")
    z = label * g["input"]
    return FIRST.reduced(g, softplus(-z), {"input": -label * sigmoid(-z)})


def hinge_embedding(g: Given) -> Answer:
    x, margin, close = g["input"], g.real("margin"), g["target"] == 1
    loss = np.where(close, x, np.maximum(margin - x, 0))
    return FIRST.reduced(g, loss, {"input": np.where(close, 1, -(x < margin).astype(x.dtype))})


def margin_ranking(g: Given) -> Answer:
    label, margin = g.sign("target"), g.real("margin")
    lead = label * (g["input1"] - g["input2"])
    slope = np.where(lead < margin, -label, 0)
    return FIRST.reduced(g, np.maximum(margin - lead, 0), {"input1": slope, "input2": -slope})


def bce(g: Given) -> Answer:
    x, t = g["input"], g["target"]
    w = g.weight("weight", x.ndim)
    wrong = np.where(t == 0, 0, t * np.log(x))
    right = np.where(t == 1, 0, (1 - t) * np.log1p(-x))
    slope = np.where(t == 1, 0, (1 - t) / (1 - x)) - np.where(t == 0, 0, t / x)
    by_target = np.log1p(-x) - np.log(x)
    return FIRST.reduced(g, w * -(wrong + right), {"input": weighted(w, slope), "target": w * by_target})


def bce_with_logits(g: Given) -> Answer:
    x, t = g["input"], g["target"]
    w, p = g.weight("weight", x.ndim), g.weight("pos_weight", x.ndim)
    loss = weighted(w, p * t * softplus(-x) + (1 - t) * softplus(x))
    slope = w * ((1 - t) * sigmoid(x) - p * t * sigmoid(-x))
    by_target = weighted(w, p * softplus(-x) - softplus(x))
    return FIRST.reduced(g, loss, {"input": slope, "target": by_target})


def kl_div(g: Given) -> Answer:
    x, t = g["input"], g["target"]
    if g.parameters["log_target"]:
        there = t > -np.inf
        mass, gap = np.exp(t), np.where(there, t - x, 0)
        return FIRST.reduced(g, mass * gap, {"input": -mass, "target": mass * (gap + 1)})
    there = t > 0
    gap = np.log(np.where(there, t, 1)) - x
    by_input = np.where(there, -t, 0)
    return FIRST.reduced(g, np.where(there, t * gap, 0), {"input": by_input, "target": np.where(there, gap + 1, 0)})


def poisson_nll(g: Given) -> Answer:
    x, t = g["input"], g["target"]
    if g.parameters["log_input"]:
        rate = np.exp(x)
        loss, by_input, by_target = rate - t * x, rate - t, -x
    else:
        rate = x + g.real("eps")
        loss, by_input, by_target = x - t * np.log(rate), 1 - t / rate, -np.log(rate)
    many = (t > 1) if g.parameters["full"] else np.zeros(t.shape, bool)
    count = np.where(many, t, 2)
    stirling = count * np.log(count) - count + np.log(g.constant(2 * np.pi) * count) / 2
    loss = loss + np.where(many, stirling, 0)
    by_target = by_target + np.where(many, np.log(count) + 1 / (2 * count), 0)
    return FIRST.reduced(g, loss, {"input": by_input, "target": by_target})


def gaussian_nll(g: Given) -> Answer:
    error = g["input"] - g["target"]
    v = np.maximum(fitted(g["var"], error.ndim), g.real("eps"))
    full = g.constant(np.log(2 * np.pi) / 2 if g.parameters["full"] else 0)
    loss = (np.log(v) + error * error / v) / 2 + full
    slope = error / v
    by_var = for_each(g["var"], (1 - slope * error) / v / 2, FIRST.total)
    return FIRST.reduced(g, loss, {"input": slope, "target": -slope, "var": by_var})
