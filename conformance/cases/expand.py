"""From a recipe to a stack: parameters, shapes and data, the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from conformance.cases.bulk import bulk_space
from conformance.cases.case import Stack
from conformance.cases.data import TRIES, Data, outside
from conformance.cases.domain import holds, sizes
from conformance.cases.draw import draw_number
from conformance.cases.factors import DRAWN, Space, shape_of, space_of
from conformance.cases.hard import hard_space, harden
from conformance.cases.recipe import Recipe
from conformance.cases.source import Shape, Source
from conformance.cases.special import place
from conformance.cases.variants import consistency_space
from conformance.spec.layout import broadcast
from conformance.spec.model import Param, Regime, Spec, Uniform

ELEMENTS = 300  # what a stack's inputs come to, about, where its recipe gives no more room
MOST_CASES = 16  # … and as many cases at most
COARSE = 8  # one stack in so many has few-bit numbers

Levels = Mapping[str, Any]
_TYPES: Mapping[str, Callable[[float], Any]] = {"real": float, "integer": round, "bool": bool}
# a spec has no hash; held here, its id stays its own
_SPACES: dict[int, tuple[Spec, dict[tuple[str, str], Space]]] = {}
BESIDE: Mapping[str, Callable[[Spec, str], Space]] = {
    "": space_of,
    "bulk": bulk_space,
    "hard": hard_space,
    "consistency": consistency_space,
}


def space_for(spec: Spec, dtype: str, kind: str = "") -> Space:
    """The factors of `spec` in `dtype`, worked out once; of a kind of recipes that stand beside the covering array."""
    known = _SPACES.setdefault(id(spec), (spec, {}))[1]
    if (dtype, kind) not in known:
        known[dtype, kind] = BESIDE[kind](spec, dtype)
    return known[dtype, kind]


def expand(spec: Spec, dtype: str, recipe: Recipe) -> Stack:
    """The stack of a recipe: as many cases as make up about 300 elements, 1 to 16; `room` times both.

    Raises:
        SpecError: a regime hardly ever draws inside a domain.
    """
    levels = space_for(spec, dtype, recipe.kind).levels(recipe.levels)
    source = Source(recipe.seed)
    is_coarse = source.integer(COARSE) == 1
    regime, layout = spec.regimes[levels["regime"]], levels["layout"].layout
    shapes, extents = _shapes(spec, levels, recipe.room), sizes(spec, layout)
    parameters = _parameters(spec, dtype, regime, levels, extents, source)
    data = Data(spec, dtype, regime, layout, shapes, {**parameters, **extents}, parameters, source, is_coarse)
    data.draw()
    special = levels["special"]
    where = harden(data, special.kind) if recipe.kind == "hard" else place(data, special)
    labels = {
        "layout": str(levels["layout"]),
        "special": f"{special}, in {where}" if where else "none",
        "recipe": recipe.origin,
    }
    inputs = {name: data.arrays[name] for name in shapes}
    return Stack(spec.name, dtype, layout, parameters, inputs, regime.name, labels)


def _shapes(spec: Spec, levels: Levels, room: int) -> dict[str, Shape]:
    """The shapes of the inputs that are present, the case's axis in front."""
    layout = levels["layout"].layout
    shapes = {
        name: broadcast(shape_of(spec, name, layout), levels.get(f"broadcast.{name}", "full"))
        for name in spec.inputs
        if levels.get(f"present.{name}", True)
    }
    size = max(sum(map(math.prod, shapes.values())), 1)
    is_empty = 0 in layout.values()  # then one case is like another
    cases = 1 if is_empty else min(max(-(-room * ELEMENTS // size), 1), room * MOST_CASES)
    return {name: (cases, *shape) for name, shape in shapes.items()}


def _parameters(
    spec: Spec, dtype: str, regime: Regime, levels: Levels, extents: Mapping[str, int], source: Source
) -> dict[str, Any]:
    found = {name: levels[name] for name in spec.params}
    drawn = [name for name, level in found.items() if isinstance(level, str) and level == DRAWN]
    found |= {name: spec.params[name].default for name in drawn}
    for name in drawn:
        found[name] = _parameter(spec, dtype, regime, spec.params[name], {**found, **extents}, source)
    return found


def _parameter(spec: Spec, dtype: str, regime: Regime, param: Param, names: Mapping[str, Any], source: Source) -> Any:
    how = regime.draws.get(param.name, {}).get(dtype) or Uniform(*(param.range or (0.0, 1.0)))
    for _ in range(TRIES):
        value = _TYPES[param.type](draw_number(how, source))
        if param.domain is None or holds(param.domain, {**names, param.name: value}):
            return value
    raise outside(spec, regime, param.name)
