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
Mask = NDArray[np.bool_]
Words = NDArray[Any]  # of 64 bits
Float = NDArray[np.float64]

QUAD: Any = QuadPrecDType()
# Bounds and magnitudes need few digits, but the range of binary128. x87's long double has it; where it does not exist,
# binary128 itself serves.
BOUND: Any = np.dtype(np.longdouble) if np.finfo(np.longdouble).maxexp == 16384 else QUAD
_IS_X87 = np.finfo(np.longdouble).nmant == 63 and np.dtype(np.longdouble).itemsize == 16
_SAFE = (1e-290, 1e290)  # float64 numbers between these lost nothing of their exponent
_DIGITS = 2**52 - 1  # the bits of a float64's digits

# A binary128 is a sign, 15 bits of exponent and 112 of digits; a float64 has 11 and 52.
_WORDS = np.dtype([("low", np.uint64), ("high", np.uint64)])
_UNSIGNED, _FRONT = 2**63 - 1, 2**48 - 1  # of the high word, and its digits
_REST = 2**60 - 1  # of the low word, the digits that a float64 lacks
_BIAS = 16383 << 48
_SHIFT = (16383 - 1023) << 48  # from a high word to one of a float64's exponent


def _within(low: int, high: int) -> tuple[int, int]:
    """The high words of numbers from 2^low to below 2^high: the first of them, and how many there are."""
    return _BIAS + (low << 48), (high - low) << 48


MODERATE = _within(-128, 128)  # numbers whose bounds float64 holds, whatever three of them are multiplied to
_HELD = _within(-900, 1000)  # numbers that two float64 hold to 106 digits


@dataclass(frozen=True)
class Kind:
    """Numbers to compute in.

    Attributes:
        bits: of their digits.
        dtype: of the numbers.
        bound: the dtype of bounds and magnitudes that need all of the range; those of moderate numbers are float64.
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
    """|x|, rounded down to 53 bits at least: in float64 where all are moderate or 0, in `BOUND` where one is not.

    Bounds are made of magnitudes, and of bounds. Binary128 numbers are mostly moderate, and float64 is ten times as
    fast as a long double: it is enough, since what loses its way out of float64's range from within `MODERATE` is, as
    an error, nothing; and the result itself, if it is not moderate, has a wide magnitude again.
    """
    if x.dtype == np.float64:
        return np.abs(x)
    own = once(x)
    words = own.view(_WORDS)
    high, low = words["high"] & _UNSIGNED, words["low"]
    nothing = _nothing_else_in(MODERATE, high, low)
    if nothing is None:
        bound = _wide(own, high, low)
    else:
        bound = _cut(high, low)
        bound = np.where(nothing, 0.0, bound) if nothing.ndim else bound
    return bound if own is x else np.broadcast_to(bound, x.shape)


def _nothing_else_in(span: tuple[int, int], high: Words, low: Words) -> Mask | None:
    """Where a number is 0, if all others are within the span (a single False: none is 0); None if one is outside."""
    begin, count = span
    place = high - begin  # what lies below comes round to the largest integers
    if place.max(initial=0) < count:
        return np.zeros((), bool)
    zero: Mask = (high | low) == 0
    return zero if np.where(zero, 0, place).max() < count else None


def _cut(high: Words, low: Words) -> Float:
    """The first 53 digits of numbers in float64's range, from their words without the sign."""
    return np.asarray(((high - _SHIFT) << 4) | (low >> 60)).view(np.float64)


def _wide(x: Quad, high: Words, low: Words) -> Bound:
    """|x| in `BOUND`, from its words without the sign: an x87 has the same exponents, and its first digit is told."""
    if not _IS_X87:
        return _wide_anywhere(x)
    words, exponent = np.zeros((*high.shape, 2), np.uint64), high >> 48
    words[..., 0] = ((high & _FRONT) << 15) | (low >> 49) | ((exponent > 0).astype(np.uint64) << 63)
    words[..., 1] = exponent
    return words.view(np.longdouble)[..., 0]


def _wide_anywhere(x: Quad) -> Bound:
    """|x| in `BOUND`, whatever that is."""
    rough = np.abs(x.astype(np.float64))
    bound = rough.astype(BOUND)
    if not (rough.min(initial=1.0) > _SAFE[0] and rough.max(initial=1.0) < _SAFE[1]):
        _restore(bound, x, ~((rough > _SAFE[0]) & (rough < _SAFE[1])))
    return bound


def is_power(m: Bound) -> Mask:
    """Where a magnitude is 0 or a power of two; it need not be told of a subnormal float64."""
    if m.dtype == np.float64:
        return np.asarray(m.view(np.int64) & _DIGITS == 0)
    mantissa = np.frexp(m)[0]
    return np.asarray((mantissa == 0.5) | (mantissa == 0))


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
    """x rounded to float64; what the rounding cut off, rounded too; and how much both lack at most. The last two are 0
    where x is not finite in float64."""
    if x.dtype == np.float64:
        nothing = np.zeros_like(x)
        return x, nothing, nothing
    words = x.view(_WORDS)
    top, bits = words["high"] & _UNSIGNED, words["low"]
    begin, count = _HELD
    outside = top - begin >= count
    place = np.where(outside, _BIAS, top)  # whatever that gives is replaced
    last = ((place - _SHIFT >> 48) - 112 << 52).view(np.float64)  # the last digit of a binary128
    rest = bits & _REST
    front, back = _cut(place, bits), rest * last
    high = front + back
    low = back - (high - front)
    lost: Bound = np.where(rest >> 53 != 0, last * 64, 0.0)  # of 60 digits, 53 are kept
    is_negative = words["high"] > _UNSIGNED
    high, low = np.where(is_negative, -high, high), np.where(is_negative, -low, low)
    if outside.any():
        high[outside], low[outside], beyond = _split_anywhere(x[outside])
        lost = lost.astype(beyond.dtype)
        lost[outside] = beyond
    return high, low, lost


def _split_anywhere(x: Quad) -> tuple[Float, Float, Bound]:
    """`split` of any numbers."""
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
