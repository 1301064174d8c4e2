"""Few shapes for a framework that compiles each: the first recipes it answers say which, and the others are folded onto
those.

What is compiled in is a *variant*: shapes, which inputs are there, and all parameters but real ones, where these are
traced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.cases.covering import Order
from conformance.cases.expand import space_for
from conformance.cases.factors import DRAWN, Row, Space
from conformance.cases.recipe import Recipe, completer_of
from conformance.spec.model import Spec

Levels = dict[str, Any]
OWN = ("layout", "reduction")  # of a kind of recipes that stands beside the covering array; in all else it follows that


@dataclass
class Few:
    """The variants that a framework has answered so far, at most `most` of each kind of recipes; a kind that is not
    named there has no bound."""

    spec: Spec
    dtype: str
    most: Mapping[str, int]
    traces: bool = True  # real parameters; otherwise each number of one is compiled in, and none is drawn
    answered: dict[str, list[tuple[Levels, Levels]]] = field(default_factory=dict)  # variants, and what was traced
    seen: list[tuple[str, Any]] = field(default_factory=list)  # levels of traced parameters that were answered
    refused: list[tuple[str, Any]] = field(default_factory=list)  # … and were not, in a variant that was

    def folded(self, recipe: Recipe) -> Recipe:
        """The recipe; if it would be one variant too many, with the shapes and parameters of one that was answered, and
        its other levels as far as they go with these. One that stands beside the covering array asks for nothing that
        was not answered there."""
        plain, known = self.answered.get("", []), self.answered.get(recipe.kind, [])
        recipe = recipe if self.traces else self._settled(recipe)
        if recipe.kind:
            recipe = self._onto(recipe, plain, without=OWN)
        if recipe.kind not in self.most or len(known) < self.most[recipe.kind]:
            return recipe
        return self._onto(recipe, known)

    def _onto(self, recipe: Recipe, known: Sequence[tuple[Levels, Levels]], without: Sequence[str] = ()) -> Recipe:
        """The recipe with one of these variants: its own, if that is among them."""
        mine, traced = self._parts(recipe)
        own = [item for item in known if _without(item[0], without) == _without(mine, without)]
        at = recipe.seed % len(known) if known else 0
        for variant, others in (*own, *known[at:], *known[:at]):
            kept = {
                name: level if (name, level) not in self.refused else others[name] for name, level in traced.items()
            }
            wanted = _without(variant, without)
            for levels in ({**wanted, **kept}, wanted):
                row = _row_with(self._space(recipe), recipe, levels)
                if row is not None:
                    return recipe if row == recipe.levels else _moved(recipe, row)
        return recipe

    def _settled(self, recipe: Recipe) -> Recipe:
        """The recipe with a level in the place of each number that would be drawn, and compiled, by itself."""
        space = self._space(recipe)
        levels = space.levels(recipe.levels)
        numbers = {name for name, param in self.spec.params.items() if param.type in ("real", "integer")}
        drawn = [item for item in space.factors if item.name in numbers and levels[item.name] == DRAWN]
        others = {factor.name: [level for level in factor.levels if level != DRAWN] for factor in drawn}
        fixed = {name: found[recipe.seed % len(found)] for name, found in others.items() if found}
        row = _row_with(space, recipe, fixed) if fixed else None
        return recipe if row is None else _moved(recipe, row)

    def note(self, recipe: Recipe, is_answered: bool) -> None:
        """What came of a recipe."""
        variant, traced = self._parts(recipe)
        known = self.answered.setdefault(recipe.kind, [])
        is_known = any(variant == other for other, _ in known)
        if is_answered:
            self.seen += [item for item in traced.items() if item not in self.seen]
            known += [] if is_known else [(variant, traced)]
        elif is_known:
            self.refused += [item for item in traced.items() if item not in (*self.seen, *self.refused)]

    def _parts(self, recipe: Recipe) -> tuple[Levels, Levels]:
        """The levels that are compiled in, and those of traced parameters."""
        levels = self._space(recipe).levels(recipe.levels)
        real = {name for name, param in self.spec.params.items() if param.type == "real" and self.traces}
        traced = {name: level for name, level in levels.items() if name in real}
        return {n: level for n, level in levels.items() if n not in {"regime", "special", *real}}, traced

    def _space(self, recipe: Recipe) -> Space:
        return space_for(self.spec, self.dtype, recipe.kind)


def _without(levels: Levels, names: Sequence[str]) -> Levels:
    return {name: level for name, level in levels.items() if name not in names}


def _moved(recipe: Recipe, row: Row) -> Recipe:
    """The recipe with another row, which its origin names, so that it can be drawn again."""
    return replace(recipe, levels=row, origin=f"{recipe.origin} at {'-'.join(map(str, row))}")


def _row_with(space: Space, recipe: Recipe, levels: Levels) -> Row | None:
    """The row that has these levels, and the recipe's own in the other factors where rules allow it."""
    fixed = [factor.levels.index(levels[factor.name]) if factor.name in levels else None for factor in space.factors]
    completer = completer_of(space)
    if not all(completer.fits(fixed, f) for f, level in enumerate(fixed) if level is not None):
        return None
    return completer.complete(fixed, _own_first(recipe))


def _own_first(recipe: Recipe) -> Order:
    def order(f: int, options: Sequence[int], row: list[int | None]) -> Iterable[int]:
        return sorted(options, key=lambda option: option != recipe.levels[f])

    return order
