"""CTC by counting paths from both ends (Graves et al., 2006, section 4.1), in the log domain."""

from __future__ import annotations

import numpy as np

from tests.controls.lattice import Paths, losses, moved, paths_of
from tests.controls.parts import FIRST, Answer, Array, Given, pairwise


def _logsumexp(x: Array) -> Array:
    peak = x.max(axis=-1)
    finite = np.where(np.isfinite(peak), peak, 0)
    return np.asarray(finite + np.log(pairwise(np.exp(x - finite[..., None]))))


def _forward(paths: Paths) -> list[Array]:
    """For each frame: log of the sum over beginnings of paths, this frame's emission included."""
    place = np.arange(paths.states.shape[1])
    alpha = np.where((place <= 1) & paths.inside, paths.emissions[0], -np.inf).astype(paths.emissions.dtype)
    found = [alpha]
    for t in range(1, len(paths.emissions)):
        skipped = np.where(paths.skips, moved(alpha, 2, -np.inf), -np.inf).astype(alpha.dtype)
        here = _logsumexp(np.stack([alpha, moved(alpha, 1, -np.inf), skipped], axis=-1)) + paths.emissions[t]
        alpha = np.where((t < paths.frames)[:, None], np.where(paths.inside, here, -np.inf), alpha).astype(alpha.dtype)
        found.append(alpha)
    return found


def _backward(paths: Paths) -> list[Array]:
    """For each frame: log of the sum over ends of paths, this frame's emission left out."""
    last = np.where(paths.ends, 0, -np.inf).astype(paths.emissions.dtype)
    beta, found = last, [last]
    for t in range(len(paths.emissions) - 1, 0, -1):
        onward = np.where(paths.inside, beta + paths.emissions[t], -np.inf).astype(beta.dtype)
        skipped = moved(np.where(paths.skips, onward, -np.inf).astype(beta.dtype), -2, -np.inf)
        before = _logsumexp(np.stack([onward, moved(onward, -1, -np.inf), skipped], axis=-1))
        beta = np.where((t < paths.frames)[:, None], before, last)
        found.append(beta)
    return found[::-1]


def ctc(g: Given) -> Answer:
    return along(g, paths_of(g))


def along(g: Given, paths: Paths) -> Answer:
    """The loss over these paths."""
    alpha, beta = _forward(paths), _backward(paths)
    log_likelihood = _logsumexp(np.where(paths.ends, alpha[-1], -np.inf).astype(alpha[-1].dtype))
    running = np.arange(len(alpha))[:, None] < paths.frames
    shares = np.exp(np.stack(alpha) + np.stack(beta) - log_likelihood[:, None])
    shares = np.where(running[..., None] & (log_likelihood > -np.inf)[:, None], shares, 0)
    return FIRST.reduced(g, *losses(g, paths, FIRST, log_likelihood, shares))
