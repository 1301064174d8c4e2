"""The criteria on the scores of classes, class axis last, from their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from .reduction import each, reduced, spread
from .scalars import ZERO, Scalar, Scalars, constant, exp, largest, log, positive_part, power, sign


def categorical_hinge(input: Scalars, target: Any, reduction: str = "mean") -> Scalars:
    """max(0, max_c (1 - t_c) x_c - sum_c t_c x_c + 1)."""
    labels = np.asarray(target)

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], [int(label) for label in labels[at]]
        others = largest([(1 - label) * score for label, score in zip(t, x, strict=True)])
        own = sum((label * score for label, score in zip(t, x, strict=True)), ZERO)
        return positive_part(others - own + 1)

    return reduced(each(input.shape[:-1], term), reduction)


def _highest_above(input: Scalars, target: Any, margin: int, reduction: str) -> Scalars:
    """max_c (x_c + margin [c != t]) - x_t."""
    labels = np.asarray(target)

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], labels[at]
        return largest([score + margin * int(c != t) for c, score in enumerate(x)]) - x[t]

    return reduced(each(labels.shape, term), reduction)


def multiclass_hinge(input: Scalars, target: Any, reduction: str = "mean") -> Scalars:
    """max_c (x_c + [c != t]) - x_t."""
    return _highest_above(input, target, 1, reduction)


def multiclass_perceptron(input: Scalars, target: Any, reduction: str = "mean") -> Scalars:
    """max_c x_c - x_t."""
    return _highest_above(input, target, 0, reduction)


def categorical_focal(
    input: Scalars,
    target: Scalars,
    weight: Scalars | None = None,
    gamma: float = 2.0,
    alpha: float = 0.25,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Scalars:
    """-sum_c alpha w_c y_c (1 - p_c)^gamma log p_c, p = softmax(x), y = (1 - s) t + s / C."""
    count = input.shape[-1]
    w, s = spread(weight, (count,)), arb(label_smoothing)

    def term(at: tuple[int, ...]) -> Scalar:
        e = [exp(x) for x in input[at]]
        found = ZERO
        for c in range(count):
            y = (1 - s) * target[at][c] + s / count
            p = e[c] / sum(e, ZERO)
            others = sum((x for k, x in enumerate(e) if k != c), ZERO)
            focus = power(others / sum(e, ZERO), gamma) if gamma else arb(1)
            found = found - arb(alpha) * w[c] * y * focus * log(p)
        return found

    return reduced(each(input.shape[:-1], term), reduction)


def ranking_softmax(
    input: Scalars, target: Scalars, weight: Scalars | None = None, mask: Any = None, reduction: str = "mean"
) -> Scalars:
    """-sum_i y_i w_i log softmax(x)_i over the items kept; mean over the lists that have one."""
    w, kept = spread(weight, input.shape), np.broadcast_to(1 if mask is None else np.asarray(mask), input.shape)

    def term(at: tuple[int, ...]) -> Scalar:
        there = [i for i in range(input.shape[-1]) if kept[at][i]]
        size = sum((exp(input[at][i]) for i in there), ZERO)
        relevant = (i for i in there if sign(target[at][i]) and sign(w[at][i]))
        return -sum((target[at][i] * w[at][i] * log(exp(input[at][i]) / size) for i in relevant), ZERO)

    return reduced(each(input.shape[:-1], term), reduction, mean_over=int(kept.any(axis=-1).sum()))


def sparsemax(input: Scalars, target: Any, reduction: str = "mean") -> Scalars:
    """Of z = x or, for a label of 1, -x: 0 up to -1, z from 1 on, (z + 1)^2 / 4 between."""
    labels = np.asarray(target)

    def term(at: tuple[int, ...]) -> Scalar:
        z = -input[at] if labels[at] == 1 else input[at]
        return ZERO if sign(z + 1) <= 0 else z if sign(z - 1) >= 0 else (z + 1) ** 2 / 4

    return reduced(each(input.shape, term), reduction)


def poly_cross_entropy(input: Scalars, target: Scalars, epsilon: float = 2.0, reduction: str = "mean") -> Scalars:
    """sum_c y_c (-log p_c + epsilon (1 - p_c)), p = softmax(x)."""

    def term(at: tuple[int, ...]) -> Scalar:
        e = [exp(x) for x in input[at]]
        size, found = sum(e, ZERO), ZERO
        for c, y in enumerate(target[at]):
            if sign(y):
                others = sum((x for k, x in enumerate(e) if k != c), ZERO)
                found = found + y * (arb(epsilon) * others / size - log(e[c] / size))
        return found

    return reduced(each(input.shape[:-1], term), reduction)


def multiclass_sparsemax(input: Scalars, target: Any, reduction: str = "mean") -> Scalars:
    """-z_t + sum_S (z_j^2 - level^2) / 2 + 1/2: S the scores that, sorted, have 1 + r z_r > sum of those up to r."""
    labels = np.asarray(target)

    def term(at: tuple[int, ...]) -> Scalar:
        kept: list[Scalar] = []
        for z in sorted((z for z in input[at] if constant(z).is_finite()), key=float_of, reverse=True):
            if sign(1 + len(kept) * z - sum(kept, ZERO)) <= 0:
                break
            kept.append(z)
        level = (sum(kept, ZERO) - 1) / len(kept)
        return sum((z**2 - level**2 for z in kept), ZERO) / 2 + arb(1) / 2 - input[at][labels[at]]

    return reduced(each(labels.shape, term), reduction)


def float_of(x: Scalar) -> float:
    """The number, which is a float if it is an input."""
    return float(constant(x))


FORMULAS: dict[str, Callable[..., Scalars]] = {
    "categorical_focal": categorical_focal,
    "categorical_hinge": categorical_hinge,
    "multiclass_hinge": multiclass_hinge,
    "multiclass_perceptron": multiclass_perceptron,
    "multiclass_sparsemax": multiclass_sparsemax,
    "poly_cross_entropy": poly_cross_entropy,
    "ranking_softmax": ranking_softmax,
    "sparsemax": sparsemax,
}
