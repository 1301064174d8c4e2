"""What there is to combine: the factors of a criterion in a dtype, their levels, and which of them go together."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from conformance.cases.domain import holds, labels, names_of, sizes
from conformance.cases.layouts import Bucket, buckets
from conformance.formula import Node, names_in
from conformance.formula.node import walk
from conformance.spec.layout import axes_held, axes_of, broadcast
from conformance.spec.model import Input, Param, Spec

DRAWN = "drawn"  # a level of a parameter: a number of the regime's or of its range

Row = tuple[int, ...]  # for each factor, the index of a level


@dataclass(frozen=True)
class Factor:
    """Something that a case has one level of. The first level is the plainest."""

    name: str
    levels: tuple[Any, ...]


@dataclass(frozen=True)
class Special:
    """Numbers that are placed into a stack after it was drawn: in any input, or (`value`) in one."""

    kind: str  # "none", "zero", "tie", "subnormal", "value"; or a kind of hard values (`conformance.cases.hard`)
    input: str = ""
    value: float = 0.0

    def __str__(self) -> str:
        return f"{self.value} in {self.input}" if self.kind == "value" else self.kind


@dataclass(frozen=True)
class Rule:
    """The combinations of levels of some factors (by position) that go together."""

    factors: tuple[int, ...]
    allowed: frozenset[Row]


@dataclass(frozen=True, eq=False)
class Space:
    """The factors of a criterion in a dtype, and the rules between them."""

    factors: tuple[Factor, ...]
    rules: tuple[Rule, ...]

    @functools.cached_property
    def counts(self) -> tuple[int, ...]:
        """The number of levels of each factor."""
        return tuple(len(factor.levels) for factor in self.factors)

    def levels(self, row: Row) -> dict[str, Any]:
        """The levels of a row by the factors' names."""
        return {factor.name: factor.levels[i] for factor, i in zip(self.factors, row, strict=True)}


Condition = Callable[[Mapping[str, Any]], bool]  # on levels by name


def space_of(
    spec: Spec,
    dtype: str,
    instead: Mapping[str, tuple[Any, ...]] = MappingProxyType({}),
    more: Sequence[tuple[tuple[str, ...], Condition]] = (),
) -> Space:
    """The factors of `spec` in `dtype`: regime, layout, presence, broadcasting, parameters, special values.

    `instead` gives other levels to the factors that it names; `more` are rules beside the usual ones.
    """
    found = _factors(spec, dtype)
    factors = {factor.name: Factor(factor.name, instead.get(factor.name, factor.levels)) for factor in found}
    order = tuple(factors)
    rules = []
    for names, condition in (*_conditions(spec, dtype, factors), *more):
        levels = [factors[name].levels for name in names]
        rows = itertools.product(*(range(len(items)) for items in levels))
        allowed = frozenset(
            row
            for row in rows
            if condition({name: items[i] for name, items, i in zip(names, levels, row, strict=True)})
        )
        rules.append(Rule(tuple(map(order.index, names)), allowed))
    return Space(tuple(factors.values()), tuple(rules))


def _factors(spec: Spec, dtype: str) -> Iterator[Factor]:
    regimes = [r.name for r in spec.regimes.values() if all(dtype in draws for draws in r.draws.values())]
    yield Factor("regime", tuple(regimes))
    yield Factor("layout", buckets(spec))
    for item in spec.inputs.values():
        if item.default is not None:
            yield Factor(f"present.{item.name}", (False, True))
        if item.broadcast:
            yield Factor(f"broadcast.{item.name}", item.broadcast)
    for param in spec.params.values():
        yield Factor(param.name, param_levels(param, any(param.name in r.draws for r in spec.regimes.values())))
    special = [Special(kind) for kind in ("none", "zero", "tie", "subnormal")]
    given = [Special("value", item.name, value) for item in spec.inputs.values() for value in item.special]
    yield Factor("special", (*special, *given))


def param_levels(param: Param, is_drawn: bool) -> tuple[Any, ...]:
    """The levels of a parameter, its default first."""
    listed = param.levels or param.choices or ((False, True) if param.type == "bool" else ())
    levels = dict.fromkeys((param.default, *listed))
    return (*levels, DRAWN) if param.range is not None or is_drawn else tuple(levels)


def _conditions(spec: Spec, dtype: str, factors: Mapping[str, Factor]) -> Iterator[tuple[tuple[str, ...], Condition]]:
    yield from _of_params(spec)
    yield from _of_labels(spec)
    yield from _of_broadcasts(spec)
    reductions = {name: _axes_named(spec, root) for name, root in spec.reduce.items()}
    if "reduction" in factors:
        yield ("reduction", "layout"), lambda row: reductions[row["reduction"]] <= set(row["layout"].layout)
    yield ("special", "layout"), lambda row: row["special"].kind != "tie" or _has_tie(spec, row["layout"])
    for item in spec.inputs.values():
        if item.special and item.default is not None:
            yield ("special", f"present.{item.name}"), functools.partial(_is_there, item.name)


def _is_there(name: str, row: Mapping[str, Any]) -> bool:
    return bool(row["special"].input != name or row[f"present.{name}"])


def _of_params(spec: Spec) -> Iterator[tuple[tuple[str, ...], Condition]]:
    for param in spec.params.values():
        if any(param.name in regime.draws for regime in spec.regimes.values()) or param.range is not None:
            yield ("regime", param.name), functools.partial(_is_drawn_rightly, spec, param)
        if param.domain is not None:
            names, has_sizes = _used(spec, param.domain, param.name)
            yield (param.name, *names, *has_sizes), functools.partial(_is_inside, spec, param)


def _used(spec: Spec, domain: Node, own: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The other parameters that a domain names, and the factor "layout" if it names sizes."""
    used = names_in(domain) - {own}
    params = tuple(name for name in spec.params if name in used)
    return params, ("layout",) if used & set(spec.dims) else ()


def _is_drawn_rightly(spec: Spec, param: Param, row: Mapping[str, Any]) -> bool:
    if param.name in spec.regimes[row["regime"]].draws:
        return bool(row[param.name] == DRAWN)
    return param.range is not None or bool(row[param.name] != DRAWN)


def _is_inside(spec: Spec, param: Param, row: Mapping[str, Any]) -> bool:
    if any(isinstance(level, str) and level == DRAWN for level in row.values()):
        return True  # whoever draws it looks
    assert param.domain is not None
    return bool(holds(param.domain, {**row, **_sizes_in(spec, row)}))


def _sizes_in(spec: Spec, row: Mapping[str, Any]) -> dict[str, int]:
    return sizes(spec, row["layout"].layout) if "layout" in row else {}


def _of_labels(spec: Spec) -> Iterator[tuple[tuple[str, ...], Condition]]:
    """Integer inputs must have something to hold that no parameter singles out."""
    for item in spec.inputs.values():
        stands_alone = not names_of(item.domain) & (set(spec.inputs) - {item.name})
        if item.dtype == "int" and item.domain is not None and stands_alone:
            params, _ = _used(spec, item.domain, item.name)
            yield (*params, "layout"), functools.partial(_has_labels, spec, item)


def _has_labels(spec: Spec, item: Input, row: Mapping[str, Any]) -> bool:
    parameters = {name: value for name, value in row.items() if name != "layout"}
    if any(value == DRAWN for value in parameters.values()):
        return True
    ordinary, _ = labels(item, row["layout"].layout, parameters, {**parameters, **_sizes_in(spec, row)})
    return len(ordinary) > 0


def _of_broadcasts(spec: Spec) -> Iterator[tuple[tuple[str, ...], Condition]]:
    loose = [item for item in spec.inputs.values() if item.broadcast]
    needed = [item for item in spec.inputs.values() if item.default is None]
    carried = {dim for item in needed if not item.broadcast for dim in item.shape}
    for item in loose:
        yield (f"broadcast.{item.name}", "layout"), functools.partial(_is_pattern, spec, item.name)
        if item.default is not None:
            name = item.name
            yield (f"present.{name}", f"broadcast.{name}"), functools.partial(_is_full_if_absent, name)
    if any(not set(item.shape) <= carried for item in needed):
        names = tuple(f"broadcast.{item.name}" for item in needed if item.broadcast)
        yield (*names, "layout"), functools.partial(_spans, spec, needed)


def _is_full_if_absent(name: str, row: Mapping[str, Any]) -> bool:
    return bool(row[f"present.{name}"] or row[f"broadcast.{name}"] == "full")


def _is_pattern(spec: Spec, name: str, row: Mapping[str, Any]) -> bool:
    """Whether the pattern means anything here: it differs from the full shape and from simpler patterns."""
    own = shape_of(spec, name, row["layout"].layout)
    patterns = spec.inputs[name].broadcast
    seen = [broadcast(own, pattern) for pattern in patterns]
    at = patterns.index(row[f"broadcast.{name}"])
    return seen[at] not in seen[:at]


def _spans(spec: Spec, needed: Sequence[Input], row: Mapping[str, Any]) -> bool:
    """Whether every axis has its size in some input: a framework sees nothing but the inputs' shapes."""
    layout = row["layout"].layout
    largest = dict.fromkeys(layout, 0)
    for item in needed:
        shape = broadcast(shape_of(spec, item.name, layout), row.get(f"broadcast.{item.name}", "full"))
        for axis, size in zip(axes_held(spec, item.name, tuple(layout), len(shape)), shape, strict=True):
            largest[axis] = max(largest[axis], size)
    return largest == dict(layout)


def shape_of(spec: Spec, name: str, layout: Mapping[str, int]) -> tuple[int, ...]:
    """The full shape of an input."""
    return tuple(layout[axis] for axis in axes_of(spec, name, tuple(layout)))


def _axes_named(spec: Spec, root: Node) -> set[str]:
    """The optional axes that an expression cannot do without."""
    named = names_in(root) | {name for node in walk(root) for name in node.over or ()}
    return {name for name in named if name in spec.dims and spec.dims[name].kind == "optional"}


def _has_tie(spec: Spec, bucket: Bucket) -> bool:
    needed = [item.name for item in spec.inputs.values() if item.dtype == "float" and item.default is None]
    shapes = [shape_of(spec, name, bucket.layout) for name in needed]
    return len(set(shapes)) < len(shapes) or any(size > 1 for shape in shapes for size in shape)
