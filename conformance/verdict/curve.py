"""Errors over the argument of an elementwise loss: the worst of each bin, on an axis that is logarithmic both ways."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
# Of a number's size: one bin for a factor of 10, and five for one where ordinary numbers are. What is nearer to 0, and
# what is farther, shares the bins at the ends.
EDGES = 10.0 ** np.concatenate([np.arange(-7, -2), np.arange(-2, 2, 0.2), np.arange(2, 8)])
PER_SIGN = len(EDGES) + 1


def bins_of(argument: Float) -> NDArray[np.int64]:
    """The bin of each number: below 0 for negative ones, so that bins rise with their numbers."""
    place = np.searchsorted(EDGES, np.abs(argument), side="right").astype(np.int64)
    bins: NDArray[np.int64] = np.where(argument < 0, -1 - place, place)
    return bins


@dataclass
class Curve:
    """The worst error of each bin so far, with its argument. At most 64 of them: 32 on either side of 0."""

    worst: dict[int, tuple[float, float]] = field(default_factory=dict)  # bin -> (ulps, argument)

    def add(self, argument: Float, ulps: Float) -> None:
        """Errors, in ulps, at these arguments; what is not finite is left out. Of equal errors the first counts."""
        there = np.isfinite(argument) & np.isfinite(ulps)
        argument, ulps = argument[there], ulps[there]
        bins = bins_of(argument)
        order = np.lexsort((-ulps, bins))
        first = order[np.unique(bins[order], return_index=True)[1]]
        for place, size, at in zip(bins[first].tolist(), ulps[first].tolist(), argument[first].tolist(), strict=True):
            if place not in self.worst or size > self.worst[place][0]:
                self.worst[place] = size, at

    @property
    def points(self) -> list[list[float]]:
        """(argument, ulps) by rising argument, to four digits."""
        return [[_short(at), _short(size)] for _, (size, at) in sorted(self.worst.items())]


def _short(value: float) -> float:
    short = float(f"{value:.4g}")
    return short if np.isfinite(short) else value  # the largest numbers do not round up
