"""The criteria on class labels, from their definitions. Labels are integers, inputs arrays of scalars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from .reduction import each, reduced, spread
from .scalars import ZERO, Scalar, Scalars, exp, log, positive_part, power


def _classes_last(input: Scalars) -> Scalars:
    """[C] or [N, C, D...] with its class axis moved to the end."""
    return np.moveaxis(input, 0 if input.ndim == 1 else 1, -1)


def _log_softmax(scores: Scalars, c: int) -> Scalar:
    return log(exp(scores[c]) / sum((exp(x) for x in scores), ZERO))


def cross_entropy(
    input: Scalars,
    target: Any,
    weight: Scalars | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Scalars:
    """-sum_c q_c w_c log softmax(x)_c with q = (1 - s) [c = t] + s / C; 0 where ignored; mean by the weight kept."""
    x = _classes_last(input)
    labels = np.asarray(target)
    count = x.shape[-1]
    w = spread(weight, (count,))
    s = arb(label_smoothing)

    def term(at: tuple[int, ...]) -> Scalar:
        if labels[at] == ignore_index:
            return ZERO
        shares = [(1 - s) * int(c == labels[at]) + s / count for c in range(count)]
        return -sum((q * w[c] * _log_softmax(x[at], c) for c, q in enumerate(shares) if q != 0), ZERO)

    return reduced(each(labels.shape, term), reduction, mean_over=_kept_weight(labels, w, ignore_index))


def _kept_weight(labels: Any, w: Scalars, ignore_index: int) -> Scalar:
    return sum((w[c] for c in labels.flat if c != ignore_index), ZERO)


def nll(
    input: Scalars,
    target: Any,
    weight: Scalars | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Scalars:
    """-w_t x_t; 0 where ignored; mean by the weight kept."""
    x = _classes_last(input)
    labels = np.asarray(target)
    w = spread(weight, x.shape[-1:])

    def term(at: tuple[int, ...]) -> Scalar:
        return ZERO if labels[at] == ignore_index else -w[labels[at]] * x[(*at, labels[at])]

    return reduced(each(labels.shape, term), reduction, mean_over=_kept_weight(labels, w, ignore_index))


def multi_margin(
    input: Scalars,
    target: Any,
    weight: Scalars | None = None,
    p: int = 1,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Scalars:
    """w_t sum_{c != t} max(0, margin - x_t + x_c)^p / C."""
    labels = np.asarray(target)
    count = input.shape[-1]
    w = spread(weight, (count,))

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], labels[at]
        hinges = (positive_part(arb(margin) - x[t] + x[c]) for c in range(count) if c != t)
        return w[t] * sum((power(h, p) for h in hinges), ZERO) / count

    return reduced(each(labels.shape, term), reduction)


def multilabel_margin(input: Scalars, target: Any, reduction: str = "mean") -> Scalars:
    """sum over labels y and non-labels c of max(0, 1 - x_y + x_c) / C; the labels end at the first -1."""
    labels = np.asarray(target)
    count = input.shape[-1]

    def term(at: tuple[int, ...]) -> Scalar:
        row = list(labels[at])
        chosen = row[: row.index(-1)] if -1 in row else row
        x = input[at]
        hinges = (positive_part(1 - x[y] + x[c]) for y in chosen for c in range(count) if c not in chosen)
        return sum(hinges, ZERO) / count

    return reduced(each(input.shape[:-1], term), reduction)


def multilabel_soft_margin(
    input: Scalars, target: Scalars, weight: Scalars | None = None, reduction: str = "mean"
) -> Scalars:
    """-sum_c w_c (t_c log s(x_c) + (1 - t_c) log s(-x_c)) / C; -log s(x) is log(1 + exp(-x))."""
    w = spread(weight, input.shape)

    def term(at: tuple[int, ...]) -> Scalar:
        terms = (
            u * (t * log(1 + exp(-x)) + (1 - t) * log(1 + exp(x)))
            for x, t, u in zip(input[at], target[at], w[at], strict=True)
        )
        return sum(terms, ZERO) / input.shape[-1]

    return reduced(each(input.shape[:-1], term), reduction)


FORMULAS: dict[str, Callable[..., Scalars]] = {
    "cross_entropy": cross_entropy,
    "nll": nll,
    "nll_2d": nll,
    "multi_margin": multi_margin,
    "multilabel_margin": multilabel_margin,
    "multilabel_soft_margin": multilabel_soft_margin,
}
