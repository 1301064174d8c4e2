"""Connectionist temporal classification by its definition: a sum over every path, none of it dynamic programming."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from flint import arb

from .reduction import each
from .scalars import ZERO, Scalar, Scalars, exp, log, total


def _collapse(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """The labelling of a path: repeats merged, then blanks dropped."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


@cache
def _paths(steps: int, classes: int, labels: tuple[int, ...], blank: int) -> tuple[tuple[int, ...], ...]:
    """Every path of so many steps whose labelling is `labels`."""
    every = itertools.product(range(classes), repeat=steps)
    return tuple(path for path in every if _collapse(path, blank) == labels)


def _negative_log_likelihood(log_probs: Scalars, labels: tuple[int, ...], blank: int) -> Scalar | None:
    """-log of the sum of the paths' probabilities; None where there is no path (or none with a probability)."""
    steps, classes = log_probs.shape
    odds = [sum((log_probs[t, c] for t, c in enumerate(path)), ZERO) for path in _paths(steps, classes, labels, blank)]
    likelihood = sum((exp(x) for x in odds), ZERO)
    return None if isinstance(likelihood, arb) and likelihood.is_zero() else -log(likelihood)


def ctc(
    log_probs: Scalars,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    zero_infinity: bool = False,
    reduction: str = "mean",
) -> Scalars:
    """-log p(targets | log_probs); mean: each over its target's length (at least 1), then over the batch."""
    batched = log_probs.ndim == 3
    scores = log_probs if batched else log_probs[:, None, :]
    steps = np.atleast_1d(input_lengths)
    lengths = np.atleast_1d(target_lengths)
    labels = _rows(np.asarray(targets), lengths, batched)

    def term(at: tuple[int, ...]) -> Scalar:
        n = at[0] if at else 0
        loss = _negative_log_likelihood(scores[: steps[n], n], labels[n], blank)
        if loss is None:
            loss = ZERO if zero_infinity else arb.pos_inf()
        return loss / max(int(lengths[n]), 1) if reduction == "mean" else loss

    losses = each((len(steps),) if batched else (), term)
    if reduction == "none":
        return losses
    return each((), lambda _: total(losses) / (losses.size if reduction == "mean" else 1))


def _rows(targets: Any, lengths: Any, batched: bool) -> list[tuple[int, ...]]:
    """The label sequences of padded targets [N, S], of concatenated ones [sum of lengths], or of the only one [S]."""
    if targets.ndim == 2:
        return [tuple(int(c) for c in row[:size]) for row, size in zip(targets, lengths, strict=True)]
    starts = np.concatenate([[0], np.cumsum(lengths)]) if batched else [0]
    return [tuple(int(c) for c in targets[start : start + size]) for start, size in zip(starts, lengths, strict=False)]


FORMULAS: dict[str, Callable[..., Scalars]] = {"ctc": ctc}
