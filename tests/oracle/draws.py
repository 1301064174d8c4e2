"""Where the oracle's data lie: ranges of float64, drawn with Philox."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Shape = tuple[int, ...]

LOG10_2 = 0.3010299956639812
REDUCTIONS = ("none", "sum", "mean")
PAIRS = ("ordinary", "tiny", "huge", "mixed", "subnormal", "cancelling", "cancelling_tiny", "cancelling_huge")
SHAPES: tuple[Shape, ...] = ((), (1,), (4,), (2, 3), (2, 1, 2), (3, 8))


class Draw:
    """A stream of numbers for one criterion."""

    def __init__(self, criterion: str) -> None:
        self.rng = np.random.Generator(np.random.Philox(key=zlib.crc32(criterion.encode())))

    def one_of(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def some(self, **options: Sequence[Any]) -> dict[str, Any]:
        """One option per name; a name that comes to None is left out, so that the default counts."""
        chosen = {name: self.one_of(values) for name, values in options.items()}
        return {name: value for name, value in chosen.items() if value is not None}

    def uniform(self, shape: Shape, low: float, high: float) -> Floats:
        """Evenly spread numbers."""
        return np.asarray(self.rng.uniform(low, high, shape))

    def decades(self, shape: Shape, low: float, high: float) -> Floats:
        """Positive numbers of about 10**low to 10**high, evenly spread in their logarithm; no `pow`, which varies."""
        exponents = np.floor(self.rng.uniform(low / LOG10_2, high / LOG10_2, shape)).astype(np.int64)
        return np.asarray(np.ldexp(self.rng.uniform(1, 2, shape), exponents))

    def signs(self, shape: Shape) -> Floats:
        """1.0 and -1.0."""
        return np.asarray(self.rng.choice([-1.0, 1.0], shape))

    def bits(self, shape: Shape) -> Floats:
        """0.0 and 1.0."""
        return np.asarray(self.rng.choice([0.0, 1.0], shape))

    def integers(self, shape: Shape, low: int, high: int) -> npt.NDArray[np.int64]:
        """Integers of low to high, both included."""
        return np.asarray(self.rng.integers(low, high, shape, endpoint=True))

    def numbers(self, shape: Shape, regime: str, top: float = 300.0) -> Floats:
        """Numbers of both signs; `top` is the decade where `huge` ends."""
        match regime:
            case "ordinary":
                return self.uniform(shape, -8, 8)
            case "subnormal":
                return self.signs(shape) * self.integers(shape, 1, 2**20) * 2.0**-1074
            case "tiny":
                return self.signs(shape) * self.decades(shape, -300, -30)
            case "huge":
                return self.signs(shape) * self.decades(shape, 10, top)
            case "mixed":
                return self.signs(shape) * self.decades(shape, -12, 12)
            case "far":
                return self.signs(shape) * self.uniform(shape, 30, 760)
            case "saturated":
                return self.uniform(shape, -1e4, 1e4)
        raise ValueError(regime)

    def near(self, x: npt.ArrayLike) -> Floats:
        """Numbers one to five steps away from x, never x itself."""
        x = np.asarray(x, dtype=np.float64)
        steps = self.signs(x.shape) * self.integers(x.shape, 1, 5)
        return np.asarray(x + steps * np.spacing(np.abs(x)))

    def pair(self, shape: Shape, regime: str, top: float = 300.0) -> tuple[Floats, Floats]:
        """Two arrays of one regime; where it is cancelling, a few steps apart."""
        base, _, range_ = regime.partition("_")
        first = self.numbers(shape, (range_ or "ordinary") if base == "cancelling" else base, top)
        return first, self.near(first) if base == "cancelling" else self.numbers(shape, base, top)


def plan(regimes: Sequence[str], reductions: Sequence[str] = REDUCTIONS, count: int = 150) -> Iterator[tuple[str, str]]:
    """Every regime under every reduction, over again until there are at least `count`."""
    rounds = -(-count // (len(regimes) * len(reductions)))
    for _ in range(rounds):
        for regime in regimes:
            for reduction in reductions:
                yield regime, reduction
