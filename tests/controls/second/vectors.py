"""Losses of whole vectors, by log_softmax and its shares."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Given, classes_back, classes_last, one_by_one, over_positions, weighted
from tests.controls.second.classes import log_softmax


def soft_cross_entropy(g: Given) -> Answer:
    x, t = classes_last(g["input"]), classes_last(g["target"])
    w, smoothing = over_positions(g.class_weight(x.shape[-1]), x.ndim), g.real("label_smoothing")
    log_p = log_softmax(x)
    expected = (t - smoothing * t + smoothing / g.constant(x.shape[-1])) * w
    loss = -one_by_one(weighted(expected, log_p))
    slope = np.exp(log_p) * one_by_one(expected)[..., None] - expected
    by_target = weighted(w, -log_p) * (1 - smoothing) if smoothing < 1 else np.zeros_like(x)
    return SECOND.reduced(g, loss, {"input": classes_back(slope), "target": classes_back(by_target)})
