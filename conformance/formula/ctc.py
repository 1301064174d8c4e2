"""The CTC lattice: the log-likelihood of a labelling under all of its alignments, and its gradient as posterior counts.

A. Graves et al. (2006), Connectionist Temporal Classification, section 4.1, in the log domain. It is written in an
arithmetic's own operations, so that values, errors and every number kind follow one recursion. All arrays here have the
axes (case, batch, state, last), where a state s of the 2S + 1 is the blank if even, and label (s − 1)/2 if odd.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conformance.formula.arithmetic import Arithmetic, Axes, Data, Mask
from conformance.formula.node import Node

if TYPE_CHECKING:
    from conformance.formula.tape import Tape

Ints = NDArray[np.int64]
STATE, LAST = 2, 3


@dataclass(frozen=True)
class Lattice:
    """One lattice for each case and batch element.

    Args:
        arithmetic: of rank 4.
        frames: for each time step the log-probabilities, of shape (case, batch, 1, class).
        labels: (case, batch, S); what lies beyond a target's length is not looked at.
        frame_counts, label_counts: (case, batch).
        blank: the class that stands for no label.
    """

    arithmetic: Arithmetic
    frames: list[Data]
    labels: Ints
    frame_counts: Ints
    label_counts: Ints
    blank: int

    @cached_property
    def states(self) -> Ints:
        """The class of each state, (case, batch, 2S + 1)."""
        *outer, s = self.labels.shape
        states = np.full((*outer, 2 * s + 1), self.blank, np.int64)
        states[..., 1::2] = self.labels
        return states

    @cached_property
    def _steps(self) -> Mask:
        """Which of the states s, s − 1, s − 2 may come before s: (case, batch, state, 3)."""
        here, count = self.states, self.states.shape[-1]
        place = np.arange(count)
        skips = (place >= 2) & (here != self.blank) & (here != np.roll(here, 2, axis=-1))
        all_ = np.ones_like(skips)
        return np.stack([all_, all_ & (place >= 1), skips], axis=-1)

    @cached_property
    def _inside(self) -> Mask:
        """The states that a target's own length has: (case, batch, state, 1)."""
        return (np.arange(self.states.shape[-1]) <= 2 * self.label_counts[..., None])[..., None]

    @cached_property
    def _ends(self) -> Mask:
        """The states in which a path may end."""
        place, last = np.arange(self.states.shape[-1]), 2 * self.label_counts[..., None]
        ends: Mask = (place == last) | (place == last - 1)
        return ends[..., None]

    @cached_property
    def _emissions(self) -> list[Data]:
        """For each time step the log-probability of each state's class: (case, batch, state, 1)."""
        a, place = self.arithmetic, self.arithmetic.whole(self.states[:, :, None, :])
        return [a.restructure(a.gather(frame, place, LAST), lambda x: x.swapaxes(STATE, LAST)) for frame in self.frames]

    def _running(self, t: int) -> Mask:
        return (t < self.frame_counts)[..., None, None]

    def _lowest(self) -> Data:
        a = self.arithmetic
        return a.broadcast(a.constant(-np.inf), (*self.states.shape, 1))

    @cached_property
    def _forward(self) -> list[Data]:
        """log Σ over the beginnings of paths that are in a state at a time, that time's emission included."""
        a = self.arithmetic
        place = np.arange(self.states.shape[-1])[:, None]
        alpha = a.select((place <= 1) & self._inside, self._emissions[0], self._lowest())
        found = [alpha]
        for t in range(1, len(self.frames)):
            before = a.join([self._moved(alpha, step) for step in range(3)], LAST)
            after = a.add(a.logsumexp(before, (LAST,), self._steps & self._inside), self._emissions[t])
            alpha = a.select(self._running(t), after, alpha)
            found.append(alpha)
        return found

    @cached_property
    def _backward(self) -> list[Data]:
        """log Σ over the ends of paths that are in a state at a time, that time's emission left out."""
        a = self.arithmetic
        last = a.select(self._ends, a.broadcast(a.constant(0), (*self.states.shape, 1)), self._lowest())
        found = [last]
        beta = last
        for t in range(len(self.frames) - 2, -1, -1):
            onward = a.add(beta, self._emissions[t + 1])
            ahead = a.join([self._moved(onward, -step) for step in range(3)], LAST)
            allowed = np.stack([np.roll(self._steps[..., i], -i, axis=-1) for i in range(3)], axis=-1)
            wide = np.stack([np.roll(self._inside[..., 0], -i, axis=-1) for i in range(3)], axis=-1)
            count = self.states.shape[-1]
            there = np.arange(count)[:, None] + np.arange(3) < count
            before = a.logsumexp(ahead, (LAST,), allowed & wide & there)
            beta = a.select(self._running(t + 1), before, last)
            found.append(beta)
        return found[::-1]

    def _moved(self, x: Data, step: int) -> Data:
        return self.arithmetic.restructure(x, lambda array: np.roll(array, step, axis=STATE)) if step else x

    @cached_property
    def log_likelihood(self) -> Data:
        """log Σ over all paths, (case, batch, 1, 1); −inf where there is none. The one path of no frames is empty."""
        a = self.arithmetic
        found = a.logsumexp(self._forward[-1], (STATE,), self._ends & self._inside)
        ended = a.select((self.label_counts == 0)[..., None, None], a.constant(0), a.constant(-np.inf))
        return a.select(self._running(0), found, ended)

    def gradient(self) -> list[Data]:
        """For each time step the derivative by its log-probabilities, (case, batch, 1, class): how often a path is
        expected to emit each class there. Who derives the recursion step by step adds up shares of shares: three for
        each state and frame."""
        a, parts = self.arithmetic, 3 * self.states.shape[-1] * len(self.frames)
        classes = a.shape(self.frames[0])[LAST]
        emits = self.states[..., None] == np.arange(classes)
        nothing = a.constant(0)
        counts = []
        for t, (alpha, beta) in enumerate(zip(self._forward, self._backward, strict=True)):
            share = a.shed(a.unary("exp", a.sub(a.add(alpha, beta), self.log_likelihood)), parts)
            used = emits & self._inside & self._running(t)
            counts.append(a.sum(a.select(used, share, nothing), (STATE,)))
        return counts


@dataclass(frozen=True)
class Frame:
    """Where the lattice's axes lie in full-rank arrays: `batch` is empty without one."""

    rank: int
    time: int
    batch: Axes
    classes: int
    labels: int

    def front(self, array: NDArray[Any], *axes: int) -> NDArray[Any]:
        """An array as (case, batch, *axes)."""
        order = (0, *self.batch, *axes)
        rest = tuple(i for i in range(array.ndim) if i not in order)
        moved = array.transpose((*order, *rest))
        batch = moved.shape[1] if self.batch else 1
        return moved.reshape((moved.shape[0], batch, *(array.shape[axis] for axis in axes)))

    def back(self, array: NDArray[Any], *axes: int) -> NDArray[Any]:
        """The reverse of `front`."""
        shape = [1] * self.rank
        order = (0, *self.batch, *axes)
        squeezed = array if self.batch else array[:, 0]
        for axis, size in zip(order, squeezed.shape, strict=True):
            shape[axis] = size
        return squeezed.transpose(sorted(range(len(order)), key=order.__getitem__)).reshape(shape)

    def from_batch(self, arithmetic: Arithmetic, x: Data) -> Data:
        """A number for each batch element, (case, batch, 1, 1), in full rank."""
        return arithmetic.restructure(x, lambda array: self.back(array[:, :, 0, 0]))

    def from_frames(self, arithmetic: Arithmetic, steps: list[Data]) -> Data:
        """Numbers for each time step and class, each (case, batch, 1, class), in full rank."""
        joined = arithmetic.with_rank(4).join(steps, STATE)
        return arithmetic.restructure(joined, lambda array: self.back(array, self.time, self.classes))


def lattice_of(tape: Tape, node: Node) -> tuple[Lattice, Frame]:
    """The lattice of a `ctc_log_likelihood(log_probs, targets, input_lengths, target_lengths, blank)`, and its axes."""
    a, names = tape.algebra.arithmetic, node.over or ()
    (time,), batch, (classes,), (labels,) = (tape.axes_named(name) for name in names)
    frame = Frame(tape.algebra.rank, time, batch, classes, labels)
    x, y, frames, lengths = (tape.term(arg).data for arg in node.args[:4])

    def step(t: int) -> Data:
        return a.restructure(x, lambda array: frame.front(array, time, classes)[:, :, t, None, :])

    steps = [step(t) for t in range(a.shape(x)[time])]
    whole = [frame.front(a.integers(item), labels) for item in (y, frames, lengths)]
    outer = np.broadcast_shapes(a.shape(steps[0])[:2], *(item.shape[:2] for item in whole))
    y_, f, n = (np.broadcast_to(item, (*outer, item.shape[2])) for item in whole)
    return Lattice(a.with_rank(4), steps, y_, f[..., 0], n[..., 0], int(tape.number(node.args[4]))), frame
