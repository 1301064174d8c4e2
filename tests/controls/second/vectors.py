"""Losses of whole vectors, by log_softmax and its shares."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Given, classes_back, classes_last, one_by_one, over_positions, weighted
from tests.controls.second.classes import log_softmax
from tests.controls.second.embeddings import norm


def soft_cross_entropy(g: Given) -> Answer:
    x, t = classes_last(g["input"]), classes_last(g["target"])
    w, smoothing = over_positions(g.class_weight(x.shape[-1]), x.ndim), g.real("label_smoothing")
    log_p = log_softmax(x)
    expected = (t - smoothing * t + smoothing / g.constant(x.shape[-1])) * w
    loss = -one_by_one(weighted(expected, log_p))
    slope = np.exp(log_p) * one_by_one(expected)[..., None] - expected
    by_target = weighted(w, -log_p) * (1 - smoothing) if smoothing < 1 else np.zeros_like(x)
    return SECOND.reduced(g, loss, {"input": classes_back(slope), "target": classes_back(by_target)})


def cosine_similarity(g: Given) -> Answer:
    """The sign goes to the second vector; what a length takes of the gradient goes along its own vector."""
    eps = g.real("eps")
    x, y = g["input1"], -g["input2"] if g.parameters["negative"] else g["input2"]
    lengths = [norm(a, 2) for a in (x, y)]
    n, m = (np.where(a < eps, eps, a) for a in lengths)
    u, v = x / n, y / m
    cos = one_by_one(u * v)[..., None]
    taken = [np.where(a < eps, 0, cos).astype(g.dtype) for a in lengths]
    by_x, by_y = (v - taken[0] * u) / n, (u - taken[1] * v) / m
    return Answer(cos[..., 0], {"input1": by_x, "input2": -by_y if g.parameters["negative"] else by_y})
