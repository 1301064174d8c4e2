"""Numbers of the oracle: arb balls, and power series over them, whose linear coefficient is a derivative.

Every helper takes and returns either. A branch is chosen only when the ball decides it; exactly at a kink a
series has no derivative, and `Kink` is raised rather than a side picked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from flint import arb, arb_series

Scalar: TypeAlias = Any  # arb | arb_series: an array of objects does not say which
Scalars: TypeAlias = npt.NDArray[Any]

ZERO = arb(0)


class Undecided(ArithmeticError):
    """A ball straddles a branch point: the working precision is too low (or the branch point is met exactly)."""


class Kink(ArithmeticError):
    """A derivative was asked for exactly where the criterion has none."""


def constant(x: Scalar) -> arb:
    """The value at the point of evaluation."""
    return cast(arb, x[0] if isinstance(x, arb_series) else x)


def slope(x: Scalar) -> arb:
    """The derivative along the seeded input; 0 where the number does not depend on it."""
    return x[1] if isinstance(x, arb_series) else ZERO


def seeded(x: arb) -> arb_series:
    """`x + t`: the input by which everything downstream is differentiated."""
    return arb_series([x, arb(1)], 2)


def exact(values: npt.ArrayLike) -> Scalars:
    """The floats of an array as balls of radius 0, subnormals and infinities included."""
    array = np.asarray(values, dtype=np.float64)
    out = np.empty(array.shape, dtype=object)
    for at in np.ndindex(array.shape):
        out[at] = arb(float(array[at]))
    return out


def sign(x: Scalar) -> int:
    """-1, 0 or 1; 0 only for an exact zero."""
    value = constant(x)
    if value > 0:
        return 1
    if value < 0:
        return -1
    if value.is_zero():
        return 0
    raise Undecided(value.str(5))


def _smooth_or_kink(at_zero: Scalar) -> Scalar:
    if slope(at_zero).is_zero():
        return ZERO
    raise Kink


def exp(x: Scalar) -> Scalar:
    """e to the x; 0 at -inf."""
    return ZERO if constant(x) == arb.neg_inf() else x.exp()


def log(x: Scalar) -> Scalar:
    """The natural logarithm of a positive number."""
    if sign(x) <= 0:
        raise Kink("logarithm at or below 0")
    return x.log()


def xlog(x: Scalar, y: Scalar) -> Scalar:
    """`x * log(y)`, 0 where x is 0."""
    return ZERO if sign(x) == 0 and slope(x).is_zero() else x * log(y)


def absolute(x: Scalar) -> Scalar:
    """|x|."""
    side = sign(x)
    return x * side if side else _smooth_or_kink(x)


def positive_part(x: Scalar) -> Scalar:
    """max(0, x)."""
    side = sign(x)
    return x if side > 0 else ZERO if side < 0 else _smooth_or_kink(x)


def smaller(x: Scalar, y: Scalar) -> Scalar:
    """min(x, y)."""
    return x - positive_part(x - y)


def largest(xs: Sequence[Scalar]) -> Scalar:
    """The largest of some numbers; several of them must have the same derivative."""
    top = xs[0]
    for x in xs[1:]:
        top = x if sign(constant(x) - constant(top)) > 0 else top
    for x in xs:
        if sign(constant(x) - constant(top)) == 0 and not (slope(x) - slope(top)).is_zero():
            raise Kink
    return top


def power(x: Scalar, p: float) -> Scalar:
    """x to the p for x >= 0 and p > 0, derivative at 0 included where it exists."""
    if p == int(p):
        return x ** int(p)
    if sign(x) == 0:
        return ZERO if p > 1 else _smooth_or_kink(x)
    return (x.log() * arb(p)).exp()


def _power_of_size(x: Scalar, p: float) -> Scalar:
    """|x| to the p: flat at 0 beyond p = 1."""
    return ZERO if p > 1 and sign(x) == 0 else power(absolute(x), p)


def norm(xs: Iterable[Scalar], p: float) -> Scalar:
    """The p-norm of a vector: the largest magnitude for p = inf."""
    sizes = list(xs)
    if p == np.inf:
        largest: Scalar = ZERO
        for x in sizes:
            largest = largest + positive_part(absolute(x) - largest)
        return largest
    if all(constant(x).is_zero() for x in sizes):
        return sum((_smooth_or_kink(x) for x in sizes), ZERO)
    total = sum((_power_of_size(x, p) for x in sizes), ZERO)
    return total if p == 1 else total.sqrt() if p == 2 else (log(total) / arb(p)).exp()


def total(xs: Scalars) -> Scalar:
    """The sum of an array of numbers."""
    return sum(xs.flat, ZERO)
