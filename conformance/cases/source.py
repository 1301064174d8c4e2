"""Numbers from a Philox stream: integers and doubles by exact arithmetic alone, so the same on every machine.

NumPy keeps the raw stream of a bit generator for ever, but not what its distributions make of it (NEP 19).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray

T = TypeVar("T")
Shape = tuple[int, ...]
_32 = np.uint64(32)
_11 = np.uint64(11)


def digest(*parts: object) -> int:
    """A 64-bit number that depends on the text of `parts` and nothing else."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class Source:
    """An endless supply of random numbers from a seed below 2**64."""

    def __init__(self, seed: int) -> None:
        self._raw = Philox(key=seed).random_raw

    def below(self, n: int, shape: Shape) -> NDArray[np.int64]:
        """Integers from 0 to n - 1, n at most 2**31; uneven by less than n / 2**32."""
        raw = self._raw(math.prod(shape)) >> _32
        return ((raw * np.uint64(n)) >> _32).astype(np.int64).reshape(shape)

    def integer(self, n: int) -> int:
        """One integer from 0 to n - 1."""
        return ((int(self._raw()) >> 32) * n) >> 32

    def unit(self, shape: Shape) -> NDArray[np.float64]:
        """Doubles in [0, 1): multiples of 2**-53."""
        doubles: NDArray[Any] = (self._raw(math.prod(shape)) >> _11).astype(np.float64).reshape(shape)
        return doubles * 2.0**-53

    def one_of(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.integer(len(items))]
