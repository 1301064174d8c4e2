"""The oracle's cases: at least fifty a criterion, the same at every run."""

from __future__ import annotations

from functools import cache

from . import (
    cases_batches,
    cases_labels,
    cases_pairs,
    cases_pointwise,
    cases_real,
    cases_regions,
    cases_scores,
    cases_vectors,
)
from .case import Case
from .draws import Draw

_MAKERS = {
    **cases_real.MAKERS,
    **cases_labels.MAKERS,
    **cases_pointwise.MAKERS,
    **cases_scores.MAKERS,
    **cases_regions.MAKERS,
    **cases_vectors.MAKERS,
    **cases_pairs.MAKERS,
    **cases_batches.MAKERS,
}

CRITERIA = tuple(sorted(_MAKERS))

__all__ = ["CRITERIA", "Case", "cases"]


@cache
def cases(criterion: str) -> tuple[Case, ...]:
    """The cases of a criterion, in a fixed order."""
    return tuple(_MAKERS[criterion](Draw(criterion)))
