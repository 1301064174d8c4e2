"""What cells cost, as far as that is known beforehand: it decides only which is judged where and when, never what
comes out."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.record.model import Cell

# Seconds of one cell at --effort default, the mean over four dtypes, torch 2.13 on one core (docs/scale.md).
SECONDS = {
    "bce": 9.0,
    "bce_with_logits": 5.6,
    "cosine_embedding": 8.3,
    "cross_entropy": 4.8,
    "ctc": 2.0,
    "gaussian_nll": 2.6,
    "hinge_embedding": 1.0,
    "huber": 1.7,
    "kl_div": 3.4,
    "l1": 1.5,
    "margin_ranking": 1.6,
    "mse": 1.3,
    "multi_margin": 1.1,
    "multilabel_margin": 1.6,
    "multilabel_soft_margin": 3.3,
    "nll": 1.0,
    "nll_2d": 0.9,
    "poisson_nll": 6.4,
    "smooth_l1": 2.0,
    "soft_margin": 1.6,
    "triplet_margin": 7.4,
}
UNKNOWN = 2.0  # seconds of a criterion that is not in the table
DTYPES = {"bfloat16": 1.8, "float16": 1.2}  # times the mean: the second yardstick, and more to shrink
OTHER_DTYPES = 0.6


def cost(cell: Cell) -> float:
    """About how long a cell takes, in seconds of --effort default."""
    return SECONDS.get(cell.criterion, UNKNOWN) * DTYPES.get(cell.dtype, OTHER_DTYPES)


def longest_first(cells: Sequence[Cell]) -> list[Cell]:
    """The cells by falling cost: with the long ones begun first, workers end together."""
    return sorted(cells, key=lambda cell: (-cost(cell), cell.id))


def dealt(cells: Sequence[Cell], hands: int) -> list[Cell]:
    """The cells in `hands` stretches of equal length and about equal cost, each with its longest first: how
    work-stealing workers, which begin on a stretch each and steal from the end of another's, end together."""
    ranked = longest_first(cells)
    return [cell for hand in range(hands) for cell in ranked[hand::hands]]


def shares(cells: Sequence[Cell], n: int) -> list[list[Cell]]:
    """The cells in `n` shares of about equal cost, the same on every machine: the longest that is left goes to the
    share that has least."""
    parts: list[list[Cell]] = [[] for _ in range(n)]
    spent = [0.0] * n
    for cell in longest_first(cells):
        least = min(range(n), key=lambda i: (spent[i], i))
        parts[least].append(cell)
        spent[least] += cost(cell)
    return parts
