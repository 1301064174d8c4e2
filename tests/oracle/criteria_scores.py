"""The criteria on the scores of classes, class axis last, from their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .reduction import each, reduced
from .scalars import ZERO, Scalar, Scalars, largest, positive_part


def categorical_hinge(input: Scalars, target: Any, reduction: str = "mean") -> Scalars:
    """max(0, max_c (1 - t_c) x_c - sum_c t_c x_c + 1)."""
    labels = np.asarray(target)

    def term(at: tuple[int, ...]) -> Scalar:
        x, t = input[at], [int(label) for label in labels[at]]
        others = largest([(1 - label) * score for label, score in zip(t, x, strict=True)])
        own = sum((label * score for label, score in zip(t, x, strict=True)), ZERO)
        return positive_part(others - own + 1)

    return reduced(each(input.shape[:-1], term), reduction)


FORMULAS: dict[str, Callable[..., Scalars]] = {
    "categorical_hinge": categorical_hinge,
}
