"""More elementwise losses, written another way."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Given


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
