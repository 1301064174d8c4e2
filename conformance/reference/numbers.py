"""The reference's numbers for one output of a stack, and the distance between floating-point numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conformance.reference.formats import FORMATS, Format

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
# from an answer: its projection as high + low, and the multiple of the direction that was taken out
Modulus = Callable[[Float], tuple[Float, Float, Float]]


@dataclass(frozen=True)
class Numbers:
    """One output of the reference, for a whole stack: every array has the stack's axis in front.

    The exact result is high + low up to `error`. `tight` and `sound` are the budgets without the half ulp of the final
    rounding; `below` and `above` the interval of choices at a kink, measured from the result. All absolute.
    """

    high: Float
    low: Float
    error: Float
    tight: Float
    sound: Float
    below: Float
    above: Float
    overflow_tight: Mask  # an intermediate of the formula may pass the dtype's largest number
    overflow_sound: Mask  # … or of one of its forms
    overflow_other: Mask  # … towards the infinity of the other sign
    certified: Mask
    unsure: Mask  # which branch of a kink is taken is beyond binary128; the interval of choices holds them all

    modulo: Modulus | None = None  # how an answer is projected before it is compared
    bits: NDArray[np.int16] | None = None  # of `arb`, where it gave the number; 0 or None: binary128 did

    @property
    def doubtful(self) -> Mask:
        """Which numbers are not certified, or may be off by more than a thousandth of an ulp of float64."""
        return (self.error > ulp(self.high, FORMATS["float64"]) * 2.0**-10) | self.unsure | ~self.certified


def ulp(x: Float, fmt: Format) -> Float:
    """The distance between numbers of the format at x's magnitude; nan where x is not finite."""
    size = np.abs(x)
    exponent = np.frexp(np.where(np.isfinite(size) & (size > 0), size, fmt.tiny))[1] - 1
    distance = np.ldexp(1.0, np.clip(exponent, fmt.min_exponent, fmt.max_exponent) - (fmt.digits - 1))
    return np.where(np.isfinite(size), distance, np.nan)


def half_ulp(x: Float, fmt: Format) -> Float:
    """Half of `ulp`, 0 where x is not finite."""
    return np.nan_to_num(ulp(x, fmt)) / 2
