"""More elementwise losses, written another way."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Array, Given, weighted
from tests.controls.second.elementwise import sigmoid, softplus


def log_cosh(g: Given) -> Answer:
    """The logarithm of a sum of two exponentials beyond 2, and below by how much cosh is above 1."""
    error = g["target"] - g["input"]
    two = g.constant(2)
    near = np.clip(error, -two, two)
    above = np.square(np.expm1(near)) / (two * np.exp(near))
    loss = np.where(np.abs(error) < two, np.log1p(above), np.logaddexp(error, -error) - g.constant(np.log(2)))
    e = np.exp(-two * np.abs(error))
    slope = np.copysign(-np.expm1(-two * np.abs(error)) / (1 + e), error)
    return SECOND.reduced(g, loss, {"input": -slope, "target": slope})


def _short(g: Given) -> tuple[Array, Array]:
    """What a score lacks to 1, or to -1, with the sign of the lack; and where it lacks anything."""
    x, one = g["input"], g.constant(1)
    positive = g["target"] == 1
    lack = np.where(positive, one - x, -one - x)
    return lack, np.where(positive, lack >= 0, lack <= 0)


def hinge(g: Given) -> Answer:
    lack, short = _short(g)
    positive = g["target"] == 1
    return SECOND.reduced(
        g, np.where(short, np.abs(lack), 0), {"input": np.where(short, np.where(positive, -1, 1), 0).astype(g.dtype)}
    )


def squared_hinge(g: Given) -> Answer:
    lack, short = _short(g)
    kept = np.where(short, lack, 0)
    return SECOND.reduced(g, np.square(kept), {"input": -(kept + kept)})


def perceptron(g: Given) -> Answer:
    """The size of a score whose sign is not its label's."""
    x = g["input"]
    up = g["target"] == 1
    right = np.where(up, x > 0, x < 0)
    slope = np.where(right, 0, np.where(up, -1, 1)).astype(g.dtype)
    return SECOND.reduced(g, np.where(right, 0, np.abs(x)), {"input": slope})


def quantile(g: Given) -> Answer:
    """Each side by itself: of two numbers, nothing is multiplied by 0."""
    x, t, q = g["input"], g["target"], g.real("quantile")
    low = x < t
    loss = np.where(low, (t - x) * q, (x - t) * (1 - q)).astype(g.dtype)
    slope = np.where(low, -q, 1 - q).astype(g.dtype)
    return SECOND.reduced(g, loss, {"input": slope, "target": -slope})


def msle(g: Given) -> Answer:
    """The difference of two logarithms, which of close numbers cancel."""
    eps = g.real("eps")
    raised = {name: np.where(g[name] < eps, eps, g[name]) for name in ("input", "target")}
    gap = np.log1p(raised["input"]) - np.log1p(raised["target"])
    twice = {"input": gap + gap, "target": -(gap + gap)}
    slopes = {name: np.where(g[name] < eps, 0, twice[name] / (1 + raised[name])) for name in raised}
    return SECOND.reduced(g, np.square(gap), slopes)


def mape(g: Given) -> Answer:
    """The error over the base, and the derivative of a quotient as textbooks have it."""
    error, eps, scale = g["input"] - g["target"], g.real("eps"), g.real("scale")
    size = np.abs(g["target"])
    base = np.where(size < eps, eps, size)
    loss = np.abs(error) / base * scale
    side = np.where(error >= 0, 1, -1).astype(g.dtype)
    turned = np.where(size < eps, 0, np.copysign(np.abs(error) / base, g["target"])).astype(g.dtype)
    slope = scale / base  # infinite beside a tiny target, of which there may be nothing
    return SECOND.reduced(g, loss, {"input": side * slope, "target": -weighted(side + turned, slope)})


def sigmoid_focal(g: Given) -> Answer:
    """The power of 1 - p_t itself, and one softplus on the side of a label."""
    x, t, gamma, alpha = g["input"], g["target"], g.real("gamma"), g.real("alpha")
    z = np.where(t == 1, -x, x)
    hard = (t == 0) | (t == 1)
    miss, hit = sigmoid(z), sigmoid(-z)
    missed = np.where(hard, miss, t * hit + (1 - t) * miss)
    entropy = np.where(hard, softplus(z), softplus(x) - t * np.where(hard, 0, x))
    slope = np.where(hard, miss, (1 - t) * miss - t * hit)
    relative = np.where(hard, hit, (1 - t - t) * miss * hit / missed)
    turned = np.where(t == 1, -1, 1).astype(g.dtype)
    focus = np.power(missed, gamma)
    w = np.where(t == 1, alpha, np.where(t == 0, 1 - alpha, alpha * t + (1 - alpha) * (1 - t)))
    w = (w if g.parameters["balanced"] else np.ones_like(x)).astype(g.dtype)
    by_focus = weighted(relative * gamma, entropy)
    return SECOND.reduced(g, weighted(w * focus, entropy), {"input": turned * w * focus * (by_focus + slope)})


def generalised_kl(g: Given) -> Answer:
    """The divergence of two distributions, and what they differ by in all, as Boyd and Vandenberghe (2004) write it."""
    x, t = g["input"], g["target"]
    log = np.log(np.where(t > 0, t, 1))
    mass = np.exp(x)
    plain = np.where(t > 0, t * (log - x), 0)
    by_target = np.where(t > 0, log - x, 0)
    return SECOND.reduced(g, plain + (mass - t), {"input": mass - t, "target": by_target})
