"""Losses over the scores of classes, the class axis last: class by class; what is tied shares a slope."""

from __future__ import annotations

import numpy as np

from tests.controls.parts import SECOND, Answer, Array, Given, one_by_one


def shares(x: Array) -> Array:
    """Of each class along the last axis, its part in the maximum."""
    top = (x == x.max(axis=-1, keepdims=True)).astype(x.dtype)
    return np.asarray(top / one_by_one(top)[..., None])


def categorical_hinge(g: Given) -> Answer:
    """The margin is added to the score, as Crammer and Singer (2001) write it."""
    x, t = g["input"], g.sign("target")
    own, other = np.zeros(x.shape[:-1], x.dtype), np.full(x.shape[:-1], -np.inf, x.dtype)
    for j in range(x.shape[-1]):
        own = own + t[..., j] * x[..., j]
        other = np.maximum(other, (1 - t[..., j]) * x[..., j])
    short = (other + 1) - own
    active = (short >= 0).astype(x.dtype)[..., None]
    slope = active * (shares((1 - t) * x) * (1 - t) - t)
    return SECOND.reduced(g, np.where(short < 0, 0, short), {"input": slope})
