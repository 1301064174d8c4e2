"""Floating-point formats, and how accurate their elementary functions may be assumed to be. All of it is data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Format:
    """A binary format: `digits` of significand, hidden bit included; least and greatest exponent of normal numbers."""

    name: str
    digits: int
    min_exponent: int
    max_exponent: int

    @property
    def unit(self) -> float:
        """Unit roundoff: half the distance from 1 to the next number."""
        return 2.0**-self.digits

    @property
    def min_normal(self) -> float:
        """The smallest normal number."""
        return 2.0**self.min_exponent

    @property
    def tiny(self) -> float:
        """The smallest subnormal number: the underflow unit."""
        return 2.0 ** (self.min_exponent - self.digits + 1)

    @property
    def max(self) -> float:
        """The largest finite number."""
        return (2.0 - 2.0 ** (1 - self.digits)) * 2.0**self.max_exponent


FORMATS: Mapping[str, Format] = {
    "float64": Format("float64", 53, -1022, 1023),
    "float32": Format("float32", 24, -126, 127),
    "bfloat16": Format("bfloat16", 8, -126, 127),
    "float16": Format("float16", 11, -14, 15),
}

# Error of one operation in units of roundoff u (half an ulp): 1 where IEEE 754 demands correct rounding. CPU vector
# libraries state 1 ulp = 2 u for the elementary functions (SLEEF u10), CUDA's and XLA's reach 4 u; the budget's factor
# c = 2 stands on top. The last three are composed of two and three of them.
ULPS: Mapping[str, float] = {
    "exp": 2.0,
    "expm1": 2.0,
    "log": 2.0,
    "log1p": 2.0,
    "sqrt": 1.0,
    "abs": 0.0,
    "power": 3.0,
    "sigmoid": 4.0,
    "softplus": 4.0,
}


def sum_factor(n: Any) -> Any:
    """How many u a sum of n terms may lose, relative to the sum of their magnitudes: n − 1, or the probabilistic bound
    16 + 4√n where it is smaller (N. J. Higham, T. Mary (2019), doi:10.1137/18M1226312). `n` may be an array."""
    return np.minimum(np.maximum(n - 1, 0), 16 + 4 * np.sqrt(n))
