"""More elementwise losses, as a textbook's first line has them."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import FIRST, Answer, Array, Given


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


def quantile(g: Given) -> Answer:
    error, q = g["target"] - g["input"], g.real("quantile")
    loss = q * np.maximum(error, 0) + (1 - q) * np.maximum(-error, 0)
    slope = np.where(error > 0, q, np.where(error < 0, q - 1, 0))
    return FIRST.reduced(g, loss, {"input": -slope, "target": slope})
