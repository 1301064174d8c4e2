"""Pairwise covering arrays: few rows in which every two levels that go together do go together.

Greedy, one row at a time, from the first pair that is still missing. (`allpairspy` was tried: given constraints, it
leaves feasible pairs out without a word, 127 of 618 for bce_with_logits.)
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence

from conformance.cases.factors import Row, Rule, Space

Level = tuple[int, int]  # position of a factor, index of a level
Pair = tuple[Level, Level]
Order = Callable[[int, Sequence[int], list[int | None]], Iterable[int]]


class Completer:
    """Completes partial rows under rules."""

    def __init__(self, counts: Sequence[int], rules: Sequence[Rule]) -> None:
        self.counts = counts
        self.of_factor = [[rule for rule in rules if f in rule.factors] for f in range(len(counts))]

    def fits(self, row: list[int | None], f: int) -> bool:
        """Whether no rule about factor `f` is broken, as far as its factors are set."""
        for rule in self.of_factor[f]:
            levels = tuple(row[g] for g in rule.factors)
            if None not in levels and levels not in rule.allowed:
                return False
        return True

    def options(self, row: list[int | None], f: int) -> list[int]:
        """The levels of factor `f` that break no rule beside what is set."""
        found = []
        for level in range(self.counts[f]):
            row[f] = level
            if self.fits(row, f):
                found.append(level)
        row[f] = None
        return found

    def complete(self, row: list[int | None], order: Order) -> Row | None:
        """The first full row, each open factor's levels tried in the order that `order` gives; None: there is none."""
        f = next((f for f, level in enumerate(row) if level is None), None)
        if f is None:
            return tuple(level for level in row if level is not None)
        for level in order(f, self.options(row, f), row):
            row[f] = level
            found = self.complete(row, order)
            if found is not None:
                return found
        row[f] = None
        return None

    def holding(self, pair: Pair, order: Order) -> Row | None:
        """A full row with both levels of the pair."""
        row: list[int | None] = [None] * len(self.counts)
        for f, level in pair:
            row[f] = level
        return self.complete(row, order) if all(self.fits(row, f) for f, _ in pair) else None


def plainest(f: int, options: Sequence[int], row: list[int | None]) -> Iterable[int]:
    """The first levels first."""
    return options


def pairs_in(row: Row) -> Iterable[Pair]:
    """Every pair of levels in a row."""
    return itertools.combinations(enumerate(row), 2)


def covering_rows(space: Space) -> tuple[Row, ...]:
    """A covering array, the plainest row first, then such that every single level comes as early as may be."""
    return _covering(space.counts, space.rules)


def feasible_pairs(space: Space) -> frozenset[Pair]:
    """Every pair of levels that some row holds."""
    return _feasible(space.counts, space.rules)


def uncovered_pairs(space: Space, rows: Iterable[Row]) -> list[Pair]:
    """The feasible pairs that none of `rows` holds."""
    seen = {pair for row in rows for pair in pairs_in(row)}
    return sorted(feasible_pairs(space) - seen)


@functools.lru_cache(maxsize=256)
def _feasible(counts: tuple[int, ...], rules: tuple[Rule, ...]) -> frozenset[Pair]:
    completer = Completer(counts, rules)
    found: set[Pair] = set()
    levels = [(f, level) for f, count in enumerate(counts) for level in range(count)]
    for pair in itertools.combinations(levels, 2):
        if pair[0][0] != pair[1][0] and pair not in found:
            row = completer.holding(pair, plainest)
            found.update(pairs_in(row) if row else ())
    return frozenset(found)


@functools.lru_cache(maxsize=256)
def _covering(counts: tuple[int, ...], rules: tuple[Rule, ...]) -> tuple[Row, ...]:
    completer = Completer(counts, rules)
    missing = dict.fromkeys(sorted(_feasible(counts, rules)))

    def most_new(f: int, options: Sequence[int], row: list[int | None]) -> Iterable[int]:
        set_levels = [(g, level) for g, level in enumerate(row) if level is not None]
        new = {option: sum(_pair((f, option), other) in missing for other in set_levels) for option in options}
        return sorted(options, key=lambda option: -new[option])

    first = completer.complete([None] * len(counts), plainest)
    rows = [] if first is None else [first]
    while True:
        for pair in pairs_in(rows[-1]) if rows else ():
            missing.pop(pair, None)
        if not missing:
            return _spread(rows)
        row = completer.holding(next(iter(missing)), most_new)
        assert row is not None, "a feasible pair has a row"
        rows.append(row)


def _pair(x: Level, y: Level) -> Pair:
    return (x, y) if x < y else (y, x)


def _spread(rows: list[Row]) -> tuple[Row, ...]:
    """The rows, ordered so that each brings as many levels not seen before as it can."""
    left, seen, done = list(rows), set[Level](), list[Row]()
    while left:
        best = left[0] if not done else max(left, key=lambda row: len(set(enumerate(row)) - seen))
        left.remove(best)
        done.append(best)
        seen |= set(enumerate(best))
    return tuple(done)
