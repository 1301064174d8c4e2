"""Elementwise losses, written another way: clipped errors, logaddexp, standard scores, quotients of logits."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Array, Given, fitted, for_each, share, weighted, weights_total


def l1(g: Given) -> Answer:
    x, t = g["input"], g["target"]
    w = g.weight("weight", x.ndim)
    divisor = weights_total(g, SECOND)
    part = share(g, w, divisor)
    up = np.where(x >= t, part, -part)
    return SECOND.reduced(g, weighted(w, np.maximum(x - t, t - x)), {"input": up, "target": -up}, divisor)


def mse(g: Given) -> Answer:
    """The square of sqrt(w) e."""
    error = g["target"] - g["input"]
    w = g.weight("weight", error.ndim)
    divisor = weights_total(g, SECOND)
    half = weighted(share(g, w, divisor), error)
    loss = np.square(weighted(np.sqrt(w), error))
    return SECOND.reduced(g, loss, {"input": -(half + half), "target": half + half}, divisor)


def smooth_l1(g: Given) -> Answer:
    """The error clipped at beta: (|e| - q/2) q/beta, with q = min(|e|, beta)."""
    error, beta = g["input"] - g["target"], g.real("beta")
    size = np.abs(error)
    q = np.minimum(size, beta)
    share = q / beta if beta > 0 else np.ones_like(q)
    slope = np.copysign(share, error)
    return SECOND.reduced(g, (size - q / 2) * share, {"input": slope, "target": -slope})


def huber(g: Given) -> Answer:
    """The error clipped at delta: q (|e| - q/2), with q = min(|e|, delta)."""
    error, delta = g["input"] - g["target"], g.real("delta")
    w, q = g.weight("weight", error.ndim), np.minimum(np.abs(error), delta)
    slope = np.clip(error, -delta, delta) * w
    return SECOND.reduced(g, weighted(w, (np.abs(error) - q / 2) * q), {"input": slope, "target": -slope})


def softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(np.zeros_like(x), x))


def sigmoid(x: Array) -> Array:
    """1 - exp(-softplus(x)): no digit is lost, for exp(-softplus(x)) is near 1 only where softplus(x) is small."""
    return np.asarray(-np.expm1(-softplus(x)))


def soft_margin(g: Given) -> Answer:
    z = np.where(g["target"] == 1, -g["input"], g["input"])
    share = sigmoid(z)
    return SECOND.reduced(g, softplus(z), {"input": np.where(g["target"] == 1, -share, share)})


def hinge_embedding(g: Given) -> Answer:
    x, margin, close = g["input"], g.real("margin"), g["target"] == 1
    short = ~close & (margin >= x)
    loss = np.where(close, x, np.where(short, margin - x, 0))
    return SECOND.reduced(g, loss, {"input": close.astype(x.dtype) - short.astype(x.dtype)})


def margin_ranking(g: Given) -> Answer:
    ahead, margin = g["target"] == 1, g.real("margin")
    behind = np.where(ahead, g["input2"] - g["input1"], g["input1"] - g["input2"])
    loss = behind + margin
    active = (loss >= 0).astype(loss.dtype)
    slope = np.where(ahead, -active, active)
    return SECOND.reduced(g, np.where(loss >= 0, loss, 0), {"input1": slope, "input2": -slope})


def bce(g: Given) -> Answer:
    """The logarithms by whichever of x and 1 - x is exact; the gradient as one quotient."""
    x, t = g["input"], g["target"]
    w = g.weight("weight", x.ndim)
    high = 2 * x >= 1
    log = np.where(high, np.log1p(np.where(high, x - 1, 0)), np.log(x))
    log_rest = np.where(high, np.log(1 - x), np.log1p(-np.where(high, 0, x)))
    loss = -(np.where(t == 0, 0, log * t) + np.where(t == 1, 0, log_rest * (1 - t)))
    certain = (x == t) & ((x == 0) | (x == 1))
    slope = np.where(certain, 1 - 2 * t, (x - t) / (x * (1 - x)))
    return SECOND.reduced(g, loss * w, {"input": weighted(w, slope), "target": -(log - log_rest) * w})


def bce_with_logits(g: Given) -> Answer:
    """One softplus, with the positive weight's share of the target on top (King and Zeng, 2001)."""
    x, t = g["input"], g["target"]
    w, p = g.weight("weight", x.ndim), g.weight("pos_weight", x.ndim)
    lift = 1 + (p - 1) * t
    loss = weighted(w, (1 - t) * x + lift * softplus(-x))
    slope = (lift * sigmoid(x) - p * t) * w
    return SECOND.reduced(g, loss, {"input": slope, "target": weighted(w, (p - 1) * softplus(-x) - x)})


def kl_div(g: Given) -> Answer:
    x, t = g["input"], g["target"]
    if g.parameters["log_target"]:
        mass = np.exp(t)
        gap = np.where(mass > 0, x - t, 0)
        return SECOND.reduced(g, -(gap * mass), {"input": -mass, "target": (1 - gap) * mass})
    log = np.log(np.where(t > 0, t, 1))
    loss = np.where(t > 0, t * log - t * x, 0)
    by_target = np.where(t > 0, (1 + log) - x, 0)
    return SECOND.reduced(g, loss, {"input": -t, "target": by_target})


def poisson_nll(g: Given) -> Answer:
    x, t = g["input"], g["target"]
    if g.parameters["log_input"]:
        loss, by_input, by_target = -(x * t - np.exp(x)), np.exp(x) - t, -x
    else:
        rate = g.real("eps") + x
        loss, by_input, by_target = -(t * np.log(rate) - x), -(t / rate - 1), -np.log(rate)
    many = t > (1 if g.parameters["full"] else np.inf)
    log = np.log(np.where(many, t, 1))
    stirling = (t + g.constant(0.5)) * log - t + g.constant(np.log(2 * np.pi) / 2)
    by_target = np.where(many, by_target + log + g.constant(0.5) / np.where(many, t, 1), by_target)
    return SECOND.reduced(g, np.where(many, loss + stirling, loss), {"input": by_input, "target": by_target})


def gaussian_nll(g: Given) -> Answer:
    """By the standard score z = e / sqrt(v); the logarithm by its distance from 1, where v is near it."""
    eps = g.real("eps")
    v = fitted(g["var"], g["input"].ndim)
    v = np.where(v < eps, eps, v)
    near = (2 * v >= 1) & (v <= 2)
    log = np.where(near, np.log1p(np.where(near, v - 1, 0)), np.log(v))
    error = g["target"] - g["input"]
    z = error / np.sqrt(v)
    loss = (z * z + log) / 2
    if g.parameters["full"]:
        loss = loss + g.constant(np.log(2 * np.pi) / 2)
    slope = error / v
    by_var = for_each(g["var"], (1 - z * z) / 2 / v, SECOND.total)
    return SECOND.reduced(g, loss, {"input": -slope, "target": slope, "var": by_var})
