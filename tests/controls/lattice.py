"""The states that a CTC path goes through, and the axes of a stack of cases: what both ways of counting paths share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.controls.parts import Array, Given, Way


@dataclass(frozen=True)
class Paths:
    """`emissions[t]` has the log-probability of each state's class, (batch, state); batch: cases times batch elements.

    A state is a blank if even, a label if odd; from s - 2 a path may come to s only where `skips` holds.
    """

    states: Array
    emissions: Array
    skips: Array
    inside: Array  # states that a target's own length has
    ends: Array  # states in which a path may end
    frames: Array
    labels: Array
    shape: tuple[int, ...]  # (case, frame, batch, class)


def paths_of(g: Given) -> Paths:
    x = g["log_probs"]
    x = x if x.ndim == 4 else x[:, :, None, :]
    cases, steps, batch, classes = x.shape
    targets = g["targets"].reshape(cases * batch, -1)
    frames, labels = (g[name].reshape(-1) for name in ("input_lengths", "target_lengths"))
    states = np.full((cases * batch, 2 * targets.shape[1] + 1), g.parameters["blank"])
    states[:, 1::2] = targets
    place = np.arange(states.shape[1])
    skips = (place % 2 == 1) & (place >= 2) & (states != np.roll(states, 2, axis=1))
    last = 2 * labels[:, None]
    ends = (place == last) | (place == last - 1)
    rows = x.transpose(1, 0, 2, 3).reshape(steps, -1, classes)
    known = np.clip(states, 0, classes - 1)
    emissions = np.take_along_axis(rows, np.broadcast_to(known, (steps, *known.shape)), axis=2)
    return Paths(states, emissions, skips, place <= last, ends, frames, labels, (cases, steps, batch, classes))


def moved(x: Array, by: int, fill: float) -> Array:
    """x with its states moved on by so many places."""
    found = np.full_like(x, fill)
    if by == 0:
        return x
    if abs(by) < x.shape[1]:
        found[:, max(by, 0) : x.shape[1] + min(by, 0)] = x[:, max(-by, 0) : x.shape[1] - max(by, 0)]
    return found


def by_class(paths: Paths, shares: Array) -> Array:
    """Shares of states, (frame, batch, state), as those of classes, (frame, batch, class)."""
    steps, rows, states = shares.shape
    found = np.zeros((steps, rows, paths.shape[3]), shares.dtype)
    row = np.arange(rows)
    for s in range(states):
        there = paths.inside[:, s]
        found[:, row[there], paths.states[there, s]] += shares[:, there, s]
    return found


def losses(g: Given, paths: Paths, way: Way, log_likelihood: Array, shares: Array) -> tuple[Array, dict[str, Array]]:
    """The losses and their slopes, in the shapes of the case: `none` only is left to reduce."""
    empty = paths.frames == 0  # of no frames: nothing is certain of no labels, and else impossible
    log_likelihood = np.where(empty, np.where(paths.labels == 0, 0, -np.inf), log_likelihood).astype(g.dtype)
    impossible = log_likelihood == -np.inf
    none = impossible & g.parameters["zero_infinity"]
    loss = np.where(none, 0, -log_likelihood)
    slope = np.where(impossible[:, None], 0, -by_class(paths, shares))
    cases, steps, batch, classes = paths.shape
    if g.parameters["reduction"] == "mean":
        count = np.maximum(paths.labels, 1).astype(g.dtype)
        loss, slope = loss / count, slope / count[:, None]
    slope = slope.reshape(steps, cases, batch, classes).transpose(1, 0, 2, 3)
    flat = g["log_probs"].ndim == 3
    return loss.reshape((cases,) if flat else (cases, batch)), {"log_probs": slope[:, :, 0] if flat else slope}
