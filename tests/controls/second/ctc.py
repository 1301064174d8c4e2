"""CTC forward by logaddexp, and backward as reverse mode has it: each share is handed on to where it came from."""

from __future__ import annotations

import numpy as np

from tests.controls.lattice import Paths, losses, moved, paths_of
from tests.controls.parts import SECOND, Answer, Array, Given


def _arrivals(paths: Paths, alpha: Array) -> tuple[Array, Array, Array]:
    """What comes to each state from itself, from the one before and from the one before that."""
    low = np.asarray(-np.inf, alpha.dtype)
    return alpha, moved(alpha, 1, -np.inf), np.where(paths.skips, moved(alpha, 2, -np.inf), low)


def _share(part: Array, whole: Array) -> Array:
    return np.where(part > -np.inf, np.exp(part - np.where(whole > -np.inf, whole, 0)), 0)


def ctc(g: Given) -> Answer:
    paths = paths_of(g)
    low = np.asarray(-np.inf, g.dtype)
    alpha = np.where((np.arange(paths.states.shape[1]) <= 1) & paths.inside, paths.emissions[0], low)
    seen, sums = [alpha], [alpha]
    for t in range(1, len(paths.emissions)):
        stay, step, skip = _arrivals(paths, alpha)
        sums.append(np.logaddexp(np.logaddexp(stay, step), skip))
        after = np.where(paths.inside, sums[-1] + paths.emissions[t], low)
        alpha = np.where((t < paths.frames)[:, None], after, alpha)
        seen.append(alpha)
    ends = np.where(paths.ends, alpha, low)
    log_likelihood = np.logaddexp.reduce(ends, axis=1)
    share = _share(ends, log_likelihood[:, None])
    shares = np.zeros_like(paths.emissions)
    for t in range(len(seen) - 1, -1, -1):
        running = (t < paths.frames)[:, None]
        shares[t] = np.where(running, share, 0)
        if t:
            stay, step, skip = (_share(part, sums[t]) * share for part in _arrivals(paths, seen[t - 1]))
            share = np.where(running, stay + moved(step, -1, 0) + moved(skip, -2, 0), share)
    return SECOND.reduced(g, *losses(g, paths, SECOND, log_likelihood, shares))
