"""Which recipes a run takes, and in which order: a covering array, what stands beside it, then random ones."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings, target

from conformance.cases.case import Case, Stack
from conformance.cases.covering import covering_rows, feasible_pairs, pairs_in
from conformance.cases.expand import expand, space_for
from conformance.cases.few import Few
from conformance.cases.recipe import (
    BITS,
    DIGIT,
    Recipe,
    bits,
    climbing_recipe,
    covering_recipe,
    recipe_beside,
    recipe_from_bits,
)
from conformance.cases.source import digest
from conformance.spec.model import Spec

Scores = Mapping[str, float]


@dataclass(frozen=True)
class Effort:
    """How many recipes: rows of the covering array (None: all), random ones at least, and of both at least; and how
    many of 100,000 elements and of hard values beside them; and how many for the consistency checks."""

    covering: int | None
    random: int
    total: int = 0
    bulk: int = 0
    hard: int = 0
    consistency: int = 0
    room: int = 1  # of a recipe, for so many times 1 to 16 cases: alike, they cost the reference little more than one
    climbs: bool = False  # random ones seek what `visit` calls worst, so they depend on the framework
    # of the covering array with the random ones, and of hard values: variants at most, where each is compiled
    variants: tuple[int, int] = (0, 0)


EFFORTS: Mapping[str, Effort] = {
    "quick": Effort(covering=18, random=6, total=24, hard=4, consistency=1, variants=(2, 1)),
    "default": Effort(covering=None, random=40, total=120, bulk=1, hard=12, consistency=4, room=8, variants=(8, 3)),
    "thorough": Effort(
        covering=None, random=1000, bulk=8, hard=140, consistency=40, room=4, climbs=True, variants=(40, 12)
    ),
}


TURNS = ("bfloat16", "float16")


@dataclass(frozen=True)
class Drawn:
    """What was drawn: recipes, cases, and of the feasible pairs of levels those that some recipe held."""

    recipes: int
    cases: int
    covered: int
    pairs: int


def recipes(spec: Spec, dtype: str, effort: str = "default", seed: int = 0) -> Iterator[Recipe]:
    """The recipes of a criterion in a dtype: the same for the same arguments, on every machine."""
    plan = EFFORTS[effort]
    yield from _planned(spec, dtype, plan, seed)
    for number in drawn_bits(_randoms(spec, dtype, plan), seed):
        yield _with_room(recipe_from_bits(space_for(spec, dtype), spec.name, dtype, number), plan)


def _with_room(recipe: Recipe, effort: Effort) -> Recipe:
    """The recipe with an effort's room, if more cases of its size are of use."""
    return recipe if recipe.kind == "bulk" else replace(recipe, room=effort.room)


def _planned(spec: Spec, dtype: str, effort: Effort, seed: int) -> Iterator[Recipe]:
    """The recipes that do not come from Hypothesis."""
    for i, row in enumerate(covering_rows(space_for(spec, dtype))[: effort.covering]):
        yield _with_room(covering_recipe(row, spec.name, dtype, seed, i), effort)
    for kind, count in (("bulk", _bulks(spec, dtype, effort, seed)), ("hard", effort.hard)):
        for i in range(count):
            yield _with_room(recipe_beside(kind, space_for(spec, dtype, kind), spec.name, dtype, seed, i), effort)


def _bulks(spec: Spec, dtype: str, effort: Effort, seed: int) -> int:
    """How many recipes of 100,000 elements; where it is one, bfloat16 and float16 take turns, since they cost twice."""
    if effort.bulk != 1 or dtype not in TURNS:
        return effort.bulk
    return int(TURNS[digest("turn", spec.name, seed) % len(TURNS)] == dtype)


def stacks(spec: Spec, dtype: str, effort: str = "default", seed: int = 0) -> Iterator[Stack]:
    """The stacks of `recipes`."""
    return (expand(spec, dtype, recipe) for recipe in recipes(spec, dtype, effort, seed))


MOST_CONSISTENT = 4  # cases of a stack that is asked in many ways


def consistency_stacks(
    spec: Spec, dtype: str, effort: str = "default", seed: int = 0, few: Few | None = None
) -> Iterator[Stack]:
    """The stacks of the consistency checks, of few cases each; with the parameters that `few` says are answered."""
    for i in range(EFFORTS[effort].consistency):
        space = space_for(spec, dtype, "consistency")
        recipe = recipe_beside("consistency", space, spec.name, dtype, seed, i)
        stack = expand(spec, dtype, recipe if few is None else few.folded(recipe))
        yield stack.only(range(min(len(stack), MOST_CONSISTENT)))


def few_for(spec: Spec, dtype: str, effort: str, *, traces: bool = True) -> Few:
    """The bound on variants, for a framework that compiles each; real parameters are traced, or compiled in as well."""
    most = dict(zip(("", "hard"), EFFORTS[effort].variants, strict=True))
    return Few(spec, dtype, most, traces)


def bulk_case(spec: Spec, dtype: str, origin: str) -> Case | None:
    """The case with many elements that a recipe of this origin makes; None where there is no such recipe."""
    found = re.fullmatch(r"bulk (\d+)\.(\d+)(?: at ([\d-]+))?", origin)
    if found is None:
        return None
    seed, i, row = found.groups()
    recipe = recipe_beside("bulk", space_for(spec, dtype, "bulk"), spec.name, dtype, int(seed), int(i))
    return expand(spec, dtype, recipe if row is None else replace(recipe, levels=tuple(map(int, row.split("-")))))[0]


def for_each_stack(
    spec: Spec,
    dtype: str,
    effort: str,
    seed: int,
    visit: Callable[[Stack], object],
    few: Few | None = None,
    score: Callable[[Stack], Scores | None] | None = None,
) -> Drawn:
    """Calls `visit` with each stack of `stacks`; returns what was drawn.

    With `few`, recipes are folded onto few variants of those that are answered: then `visit` returns something true for
    a stack that was. Efforts that climb give their random recipes to `score`, which returns how bad the stack's worst
    case is, by check, and are steered by it; without `score`, to `visit`.
    """
    tally = _Tally(spec, dtype, few)
    plan, space = EFFORTS[effort], space_for(spec, dtype)
    planned = list(_planned(spec, dtype, plan, seed) if plan.climbs else recipes(spec, dtype, effort, seed))
    for recipe in planned:
        tally.take(recipe, visit)
    if plan.climbs:
        count, width = _randoms(spec, dtype, plan), DIGIT * len(space.counts)

        def climbing(number: int) -> Recipe:
            return _with_room(climbing_recipe(space, spec.name, dtype, number), plan)

        climb(count, seed, lambda number: tally.take(climbing(number), score or visit), width)
    return tally.drawn()


class _Tally:
    def __init__(self, spec: Spec, dtype: str, few: Few | None) -> None:
        self._spec, self._dtype, self._few = spec, dtype, few
        self._missing = set(feasible_pairs(space_for(spec, dtype)))
        self._pairs = len(self._missing)
        self._recipes = self._cases = 0

    def take(self, recipe: Recipe, visit: Callable[[Stack], Any]) -> Any:
        recipe = recipe if self._few is None else self._few.folded(recipe)
        stack = expand(self._spec, self._dtype, recipe)
        self._recipes += 1
        self._cases += len(stack)
        if not recipe.kind:  # the levels of those beside it are others
            self._missing.difference_update(pairs_in(recipe.levels))
        found = visit(stack)
        if self._few is not None:
            self._few.note(recipe, is_answered=bool(found))
        return found

    def drawn(self) -> Drawn:
        return Drawn(self._recipes, self._cases, self._pairs - len(self._missing), self._pairs)


def _randoms(spec: Spec, dtype: str, effort: Effort) -> int:
    rows = len(covering_rows(space_for(spec, dtype))[: effort.covering])
    return max(effort.random, effort.total - rows)


@functools.lru_cache(maxsize=64)
def drawn_bits(count: int, run_seed: int) -> tuple[int, ...]:
    """So many numbers below 2**32, drawn by Hypothesis. Criteria and dtypes share them, but not their data."""
    found: list[int] = []
    climb(count, run_seed, lambda number: found.append(number))
    return tuple(found)


def climb(count: int, run_seed: int, take: Callable[[int], Scores | None], width: int = BITS) -> None:
    """Has Hypothesis draw so many numbers below 2**width, and climb toward each score that `take` returns, if any.

    Whatever `take` raises ends the drawing and is raised, once: Hypothesis would call it again to see it fail again.
    """
    raised: list[BaseException] = []

    @seed(digest("recipes", run_seed))
    @_settings(count)
    @given(bits(width))
    def draw(number: int) -> None:
        if raised:
            return
        try:
            scores = take(number)
        except BaseException as error:
            raised.append(error)
            return
        for label, score in (scores or {}).items():
            if math.isfinite(score):
                target(score, label=label)

    draw()
    if raised:
        raise raised[0]


def _settings(count: int) -> settings:
    """Every setting by name: Hypothesis's profile, which a variable named CI changes alone, must not matter."""
    return settings(
        max_examples=count,
        derandomize=False,
        database=None,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.target),
        stateful_step_count=1,
        report_multiple_bugs=False,
        suppress_health_check=tuple(HealthCheck),
        deadline=None,
        print_blob=False,
        backend="hypothesis",
    )
