"""More elementwise losses, as a textbook's first line has them."""

from __future__ import annotations

import numpy as np

from tests.controls.first.elementwise import sigmoid, softplus
from tests.controls.parts import FIRST, Answer, Array, Given, weighted


def log_cosh(g: Given) -> Answer:
    """By cosh^2 = 1 + sinh^2 as long as nothing overflows."""
    error = g["input"] - g["target"]
    size = np.abs(error)
    near = np.log1p(np.square(np.sinh(np.minimum(size, 1)))) / 2
    far = (size - g.constant(np.log(2))) + np.log1p(np.exp(-2 * size))
    slope = np.tanh(error)
    return FIRST.reduced(g, np.where(size < 1, near, far), {"input": slope, "target": -slope})


def _label(g: Given) -> Array:
    """Labels of 1 and -1, which 0 stands for."""
    return np.asarray(np.where(g["target"] == 1, 1, -1).astype(g.dtype))


def hinge(g: Given) -> Answer:
    label = _label(g)
    short = 1 - label * g["input"]
    return FIRST.reduced(g, np.maximum(short, 0), {"input": np.where(short > 0, -label, 0)})


def squared_hinge(g: Given) -> Answer:
    label = _label(g)
    short = np.maximum(1 - label * g["input"], 0)
    return FIRST.reduced(g, short * short, {"input": -2 * label * short})


def perceptron(g: Given) -> Answer:
    label = _label(g)
    short = -label * g["input"]
    return FIRST.reduced(g, np.maximum(short, 0), {"input": np.where(short > 0, -label, 0)})


def quantile(g: Given) -> Answer:
    error, q = g["target"] - g["input"], g.real("quantile")
    loss = q * np.maximum(error, 0) + (1 - q) * np.maximum(-error, 0)
    slope = np.where(error > 0, q, np.where(error < 0, q - 1, 0))
    return FIRST.reduced(g, loss, {"input": -slope, "target": slope})


def msle(g: Given) -> Answer:
    eps = g.real("eps")
    x, t = np.maximum(g["input"], eps), np.maximum(g["target"], eps)
    gap = np.where(x >= t, np.log1p((x - t) / (1 + t)), -np.log1p((t - x) / (1 + x)))
    by_input = np.where((g["input"] > eps) | (eps == 0), 2 * gap / (1 + x), 0)
    by_target = np.where((g["target"] > eps) | (eps == 0), -2 * gap / (1 + t), 0)
    return FIRST.reduced(g, gap * gap, {"input": by_input, "target": by_target})


def mape(g: Given) -> Answer:
    """Between a prediction of less than half of the target and another, 1 - x/t is the better form."""
    x, t, eps, scale = g["input"], g["target"], g.real("eps"), g.real("scale")
    base = np.maximum(np.abs(t), eps)
    small = (2 * np.abs(x) <= np.abs(t)) & (np.abs(t) > eps)
    ratio = np.where(small, 1 - x / t, np.abs((x - t) / base))
    away = np.where(small, -np.sign(t), np.sign(x - t)).astype(g.dtype)
    alone = -away * (scale / base)  # of a target that moves the error only
    by_target = np.where(np.abs(t) > eps, -away * scale * (x / base / t), alone)
    return FIRST.reduced(g, scale * ratio, {"input": away * (scale / base), "target": by_target})


def focal_parts(g: Given) -> tuple[Array, Array, Array, Array]:
    """The logarithm of 1 - p_t and the cross-entropy, and the slopes of both; a label that is 0 or 1 has one term."""
    x, t = g["input"], g["target"]
    p, q = sigmoid(x), sigmoid(-x)
    between = t * q + (1 - t) * p
    missed = np.where(t == 1, -softplus(x), np.where(t == 0, -softplus(-x), np.log(between)))
    by_x = np.where(t == 1, -p, np.where(t == 0, q, (1 - 2 * t) * (p * q) / between))
    entropy = np.where(t > 0, t * softplus(-x), 0) + np.where(t < 1, (1 - t) * softplus(x), 0)
    return missed, entropy, by_x, (1 - t) * p - t * q


def sigmoid_focal(g: Given) -> Answer:
    missed, entropy, by_x, slope = focal_parts(g)
    t, gamma, alpha = g["target"], g.real("gamma"), g.real("alpha")
    focus = np.exp(gamma * missed) if gamma > 0 else np.ones_like(missed)
    w = alpha * t + (1 - alpha) * (1 - t) if g.parameters["balanced"] else np.ones_like(t)
    moved = np.where(by_x == 0, 0, gamma * by_x * entropy)
    return FIRST.reduced(g, weighted(w, focus * entropy), {"input": w * (focus * (moved + slope))})


def generalised_kl(g: Given) -> Answer:
    """By the logarithm of what is predicted over the target, which is nearly 0 where both nearly agree."""
    x, t = g["input"], g["target"]
    there = t > 0
    gap = np.where(there, x - np.log(np.where(there, t, 1)), 0)
    excess = np.where(gap <= 1, t * np.expm1(np.minimum(gap, 1)), np.exp(x) - t)
    slope = np.where(there, excess, np.exp(x))
    loss = np.where(there, np.where(gap <= 1, t * (np.expm1(np.minimum(gap, 1)) - gap), slope - t * gap), slope)
    return FIRST.reduced(g, loss, {"input": slope, "target": -gap})
