"""The numbers that the reference computes with: binary128, or float64 where the dtype that is judged is much narrower.

The only module that touches numpy-quaddtype, and the home of what must be kept away from.

numpy-quaddtype 1.0: casts to and from `longdouble` go through float64, and lose range and digits; `sum` is sequential
and refuses empty arrays without `initial`; `matmul` and `einsum` are wrong on strided operands and are not used here.
Elementwise functions are within 0.75 ulp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from numpy_quaddtype import QuadPrecDType

Quad = NDArray[Any]  # of a kind's numbers
Bound = NDArray[Any]
Float = NDArray[np.float64]

QUAD: Any = QuadPrecDType()
# Bounds and magnitudes need few digits, but the range of binary128. x87's long double has it; where it does not exist,
# binary128 itself serves.
BOUND: Any = np.dtype(np.longdouble) if np.finfo(np.longdouble).maxexp == 16384 else QUAD
_SAFE = (1e-290, 1e290)  # float64 numbers between these lost nothing of their exponent
_DIGITS, _NORMAL = 2**52 - 1, 2**52  # the bits of a float64's digits, and of its smallest normal number


@dataclass(frozen=True)
class Kind:
    """Numbers to compute in.

    Attributes:
        bits: of their digits.
        dtype: of the numbers.
        bound: the dtype of bounds and magnitudes; few digits, all of the range.
        underflow: two to this, at least, is what becomes 0 off by.
        reach: finite numbers are to stay below this, and those that are not 0 above its reciprocal, so that no square,
            product or sum of two leaves the range; None: the range is wide enough for whatever comes.
    """

    bits: int
    dtype: Any
    bound: Any
    underflow: int
    reach: float | None = None

    @property
    def unit(self) -> float:
        """Unit roundoff."""
        return 2.0**-self.bits

    def of(self, array: Any) -> Quad:
        """The numbers of a float or integer array, exactly."""
        return np.asarray(np.asarray(array, dtype=np.float64), dtype=self.dtype)


# binary128's exponents end later, but the long double that holds the bounds ends at 2^-16445.
BINARY128 = Kind(113, QUAD, BOUND, -16200)
BINARY64 = Kind(53, np.dtype(np.float64), np.dtype(np.float64), -500, reach=2.0**500)


def quad(array: Any) -> Quad:
    """The numbers of a float or integer array in binary128, exactly."""
    return BINARY128.of(array)


def once(x: NDArray[Any]) -> NDArray[Any]:
    """The array without what broadcasting repeats in it."""
    if 0 not in x.strides:
        return x
    return x[tuple(slice(1) if stride == 0 else slice(None) for stride in x.strides)]


def magnitude(x: Quad) -> Bound:
    """|x| to 53 bits, with the whole range of its kind."""
    if x.dtype == np.float64:
        return np.abs(x)
    own = once(x)
    rough = np.abs(own.astype(np.float64))
    bound = rough.astype(BOUND)
    if not (rough.min(initial=1.0) > _SAFE[0] and rough.max(initial=1.0) < _SAFE[1]):
        _restore(bound, own, ~((rough > _SAFE[0]) & (rough < _SAFE[1])))
    return bound if own is x else np.broadcast_to(bound, x.shape)


def is_power(m: Bound) -> NDArray[np.bool_]:
    """Where a magnitude is 0 or a power of two: few digits to look at in float64, all of them where it might be one."""
    bits = m.astype(np.float64).view(np.int64)
    found: NDArray[np.bool_] = (bits & _DIGITS == 0) | (bits < _NORMAL)
    if found.any():
        mantissa = np.frexp(m[found])[0]
        found[found] = (mantissa == 0.5) | (mantissa == 0)
    return found


def _restore(bound: Bound, x: Quad, outside: NDArray[np.bool_]) -> None:
    """Sets the magnitudes of those numbers that float64 cannot hold."""
    numbers = x[outside]
    strange = np.isfinite(numbers) & (numbers != 0.0)
    if strange.any():
        mantissa, exponent = np.frexp(numbers[strange])
        found = bound[outside]
        found[strange] = np.ldexp(np.abs(mantissa.astype(np.float64)).astype(BOUND), exponent)
        bound[outside] = found


def split(x: Quad) -> tuple[Float, Float, Bound]:
    """x rounded to float64; what the rounding cut off, rounded too; and how much both lack. The last two are 0 where x
    is not finite in float64."""
    if x.dtype == np.float64:
        nothing = np.zeros_like(x)
        return x, nothing, nothing
    high = x.astype(np.float64)
    finite = np.isfinite(high)
    rest = x - np.where(finite, high, 0.0).astype(QUAD)
    rest = rest if finite.all() else np.where(finite, rest, 0.0)
    low = rest.astype(np.float64)
    return high, low, magnitude(rest - low.astype(QUAD))


def total(x: Quad, axes: tuple[int, ...]) -> Quad:
    """The sum over `axes`, keeping them; pairwise, so that the error grows with the logarithm of their size."""
    for axis in axes:
        x = _halve(x, axis)
    return x


def _halve(x: Quad, axis: int) -> Quad:
    n = x.shape[axis]
    if n <= 8:
        return np.add.reduce(x, axis=axis, keepdims=True, initial=0.0) if n != 1 else x
    half = n // 2
    front, back = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    front[axis], back[axis] = slice(0, half), slice(half, 2 * half)
    pairs = x[tuple(front)] + x[tuple(back)]
    if n % 2:
        rest = [slice(None)] * x.ndim
        rest[axis] = slice(n - 1, n)
        pairs = np.concatenate([pairs, x[tuple(rest)]], axis=axis)
    return _halve(pairs, axis)


def peak(x: Quad, axes: tuple[int, ...]) -> Quad:
    """The maximum over `axes`, keeping them; −inf over nothing."""
    for axis in axes:
        if x.shape[axis] == 0:
            shape = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
            return np.full(shape, -np.inf).astype(x.dtype)
        x = np.max(x, axis=axis, keepdims=True)
    return x
