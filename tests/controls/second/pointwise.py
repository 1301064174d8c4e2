"""More elementwise losses, written another way."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Array, Given


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


def quantile(g: Given) -> Answer:
    """Each side by itself: of two numbers, nothing is multiplied by 0."""
    x, t, q = g["input"], g["target"], g.real("quantile")
    low = x < t
    loss = np.where(low, (t - x) * q, (x - t) * (1 - q)).astype(g.dtype)
    slope = np.where(low, -q, 1 - q).astype(g.dtype)
    return SECOND.reduced(g, loss, {"input": slope, "target": -slope})
