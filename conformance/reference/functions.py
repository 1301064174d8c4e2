"""The functions of one number: their values, and how far each moves when its argument does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from conformance.formula.arithmetic import Mask
from conformance.reference.ball import Ball
from conformance.reference.quad import BOUND, Bound, Quad, magnitude


def signs(x: Quad) -> Quad:
    """-1, 0 or 1."""
    return np.where(x > 0.0, 1.0, np.where(x < 0.0, -1.0, 0.0)).astype(x.dtype)


def sum_is_exact(x: Quad, y: Quad, z: Quad, is_larger: Mask) -> Mask:
    """Where rounding cut nothing off from z = x + y: there, and only there, z less the larger term (x where
    `is_larger`, if only by its exponent) is the other one. (It rounds nothing: T. J. Dekker (1971),
    doi:10.1007/BF01397083.) Nowhere where z is infinite."""
    exact: Mask = z - np.where(is_larger, x, y) == np.where(is_larger, y, x)
    return exact


def _sigmoid(x: Quad) -> Quad:
    e = np.exp(-np.abs(x))
    z: Quad = np.where(np.signbit(x), e, 1.0) / (1.0 + e)
    return z


def _softplus(x: Quad) -> Quad:
    z: Quad = np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))
    return z


def exponent(x: Bound, numbers: Quad) -> Bound:
    """x as what exp of it needs, in the range of these numbers."""
    is_held = numbers.dtype == np.float64 or np.abs(x).max(initial=0) <= HELD_BY_EXP
    return x if is_held else np.asarray(x, BOUND)


def _exp_variation(x: Bound, b: Bound) -> Bound:
    return np.where(b == 0, 0, np.exp(x + b) * -np.expm1(-b))


def _sigmoid_slope(x: Bound) -> Bound:
    """The derivative of the sigmoid, the largest on an interval at its point nearest to 0."""
    e = np.exp(-x)
    slope: Bound = e / (1 + e) ** 2
    return slope


def _log_variation(x: Bound, b: Bound) -> Bound:
    ratio = b / x
    return np.where(ratio < 1, -np.log1p(-np.minimum(ratio, 1)), np.inf)


def _sqrt_variation(x: Bound, z: Bound, b: Bound) -> Bound:
    inside = b / (z + np.sqrt(np.maximum(x - b, 0)))
    return np.where(b <= x, np.where(b == 0, 0, inside), np.maximum(z, np.sqrt(b)))


FUNCTIONS: Mapping[str, Callable[[Quad], Quad]] = {
    "abs": np.abs,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
}
HELD_BY_EXP = 700  # of such numbers, float64 holds exp with all digits
POSITIVE = {"exp", "sigmoid", "softplus"}  # never 0, so a 0 is underflow
# The variation of f over [x − b, x + b], from x, |f(x)| and b.
VARIATIONS: Mapping[str, Callable[[Ball, Bound, Bound], Bound]] = {
    "abs": lambda x, z, b: b,
    "exp": lambda x, z, b: _exp_variation(exponent(x.signed, x.x), b),
    "expm1": lambda x, z, b: _exp_variation(exponent(x.signed, x.x), b),
    "log": lambda x, z, b: _log_variation(x.m, b),
    "log1p": lambda x, z, b: _log_variation(magnitude(x.x + 1.0), b),
    "sqrt": lambda x, z, b: _sqrt_variation(x.m, z, b),
    "sigmoid": lambda x, z, b: np.minimum(b * _sigmoid_slope(exponent(np.maximum(x.m - b, 0), x.x)), 1),
    "softplus": lambda x, z, b: b * np.exp(exponent(np.minimum(x.signed + b, 0), x.x)),
}
