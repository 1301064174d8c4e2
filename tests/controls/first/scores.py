"""Losses over the scores of classes, the class axis last: all classes at once."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import FIRST, Answer, Array, Given, pairwise


def highest(x: Array) -> Array:
    """Where the last axis has its largest number; the first of several."""
    return np.asarray(np.arange(x.shape[-1]) == np.argmax(x, axis=-1)[..., None])


def categorical_hinge(g: Given) -> Answer:
    x, t = g["input"], g.sign("target")
    others = (1 - t) * x
    short = 1 + (others.max(axis=-1) - pairwise(t * x))
    slope = np.where(highest(others), 1 - t, 0) - t
    return FIRST.reduced(g, np.maximum(short, 0), {"input": np.where((short > 0)[..., None], slope, 0)})
