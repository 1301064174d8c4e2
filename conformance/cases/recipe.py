"""Recipes: which levels a stack combines, and the seed of its data; and how Hypothesis draws them.

Hypothesis mixes constants of the local source files into what it draws as integers, floats, text and `sampled_from`, so
recipes would depend on which other modules are about. Booleans are spared, so recipes are made of those alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hypothesis import strategies as st

from conformance.cases.covering import Completer, Order
from conformance.cases.factors import Row, Space
from conformance.cases.source import digest

BITS = 32
DIGIT = 6  # bits of one factor where Hypothesis climbs


@dataclass(frozen=True)
class Recipe:
    """All that a stack depends on, beside criterion and dtype."""

    levels: Row
    seed: int
    origin: str = ""  # for a reader
    kind: str = ""  # whose levels they are: the covering array's, or ("bulk", "hard", …) one of those beside it
    room: int = 1  # for how many times as many cases as at least


def bits(width: int) -> st.SearchStrategy[int]:
    """Numbers below 2**width, drawn bit by bit."""
    # Bits inside a unique list are out of reach of Hypothesis's mutator, which copies one part of an example over
    # another (it would make five of six recipes their predecessor's twin, one bit changed).
    drawn = st.lists(st.tuples(*(st.booleans() for _ in range(width))), min_size=1, max_size=1, unique=True)
    return drawn.map(lambda found: sum(bit << i for i, bit in enumerate(reversed(found[0]))))


def recipe_from_bits(space: Space, criterion: str, dtype: str, number: int) -> Recipe:
    """The recipe that a number below 2**32 stands for; 0 is the plainest."""
    return Recipe(row_from_bits(space, number), digest("random", criterion, dtype, number), f"random {number:08x}")


def climbing_recipe(space: Space, criterion: str, dtype: str, number: int) -> Recipe:
    """The recipe that a number below 2**(DIGIT * factors) stands for. Its neighbours, one bit off, differ in one level
    or in the data alone, so that there is something to climb."""
    return Recipe(row_from_digits(space, number), digest("climbing", criterion, dtype, number), f"climbing {number:x}")


def covering_recipe(row: Row, criterion: str, dtype: str, seed: int, i: int) -> Recipe:
    """The recipe of the i-th row of a covering array."""
    return Recipe(row, digest("covering", criterion, dtype, seed, i), f"covering {seed}.{i}")


def recipe_beside(kind: str, space: Space, criterion: str, dtype: str, seed: int, i: int) -> Recipe:
    """The i-th recipe of a kind that stands beside the covering array."""
    key = digest(kind, criterion, dtype, seed, i)
    given = _given(kind, space, digest(kind, criterion, dtype, seed), i)
    return Recipe(row_from_bits(space, key >> BITS, given), key, f"{kind} {seed}.{i}", kind)


def _given(kind: str, space: Space, start: int, i: int) -> dict[str, int]:
    """The levels that the i-th recipe of a kind must have: hard values take turns, among ordinary numbers; and the
    first case with many elements is ordinary in what its numbers are."""
    counts = {factor.name: len(factor.levels) for factor in space.factors}
    if kind == "hard":
        return {"regime": 0, "special": (start + i) % counts["special"]}
    if kind == "consistency":
        return _in_turn(space, i)
    return {name: 0 for name in counts if name in {"regime", "special"} and i == 0}


def _in_turn(space: Space, i: int) -> dict[str, int]:
    """The plainest regime, and in turn no reduction and some other."""
    levels = {factor.name: factor.levels for factor in space.factors}
    if "reduction" not in levels:
        return {"regime": 0}
    others = [at for at, name in enumerate(levels["reduction"]) if name != "none"]
    plain = levels["reduction"].index("none")
    return {"regime": 0, "reduction": others[i // 2 % len(others)] if i % 2 and others else plain}


def row_from_bits(space: Space, number: int, given: Mapping[str, int] = MappingProxyType({})) -> Row:
    """The levels that a number picks: its leading bits the first factor's, and so on, as an arithmetic decoder would.

    `given` fixes the levels of some factors. Among n options the shares differ by less than n / 2**32 for the first
    factor, by n / 2**(32 - b) after b bits.
    """
    rest = number

    def pick(f: int, options: Sequence[int], row: list[int | None]) -> Iterable[int]:
        nonlocal rest
        if not options:
            return ()
        at, rest = divmod(rest * len(options), 2**BITS)
        return (*options[at:], *options[:at])

    return _row(space, pick, given)


def row_from_digits(space: Space, number: int) -> Row:
    """The levels that a number picks, each factor's by DIGIT bits of its own."""

    def pick(f: int, options: Sequence[int], row: list[int | None]) -> Iterable[int]:
        at = (number >> DIGIT * f) % 2**DIGIT * len(options) >> DIGIT
        return (*options[at:], *options[:at])

    return _row(space, pick)


def _row(space: Space, pick: Order, given: Mapping[str, int] = MappingProxyType({})) -> Row:
    row = completer_of(space).complete([given.get(factor.name) for factor in space.factors], pick)
    if row is None:
        raise ValueError("no combination of levels is possible")
    return row


@functools.lru_cache(maxsize=64)
def completer_of(space: Space) -> Completer:
    """What completes partial rows of a space, made once."""
    return Completer(space.counts, space.rules)
