"""Numbers outside a domain, on each side of each of its bounds: worked out from the domain's expression."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import DTYPES
from conformance.cases.domain import Names, holds, inside, names_of, sizes
from conformance.cases.layouts import dim_of, plain_layout
from conformance.cases.steps import smallest_normal, step
from conformance.formula import Node, names_in
from conformance.formula.node import COMPARISONS, walk
from conformance.spec.layout import Layout
from conformance.spec.model import Input, Param, Spec

HIGHEST, LOWEST = 2**63 - 1, -(2**63)
CLEARLY = (0.125, 2.0)  # how far beyond a bound; and the nearest number beyond it
ANYTHING = (-2.0, -0.125, 0.0, 0.125, 2.0, 1024.0)  # tried where a domain's bounds cannot be worked out

UNNAMED = "bound"  # what ids call a bound that is no number or name

IsIn = Callable[[Sequence[Any]], NDArray[np.bool_]]


@dataclass(frozen=True)
class Outside:
    """Values of one input or parameter outside its domain, all beyond the same bound.

    `setting`: what other parameters must be for that, and `layout` how large the axes.
    """

    name: str
    values: tuple[Any, ...]
    setting: Mapping[str, Any]
    layout: Layout


@dataclass(frozen=True)
class Bound:
    """A number where a domain may begin or end; what it is called where it is crossed, and where it is met."""

    value: Any
    side: str
    point: str


@dataclass(frozen=True)
class Region:
    """A stretch outside a domain, between two bounds (None: without end), each outside itself or not."""

    low: Bound | None
    low_out: bool
    high: Bound | None
    high_out: bool


def outsides(spec: Spec, dtype: str) -> dict[str, Outside]:
    """Values out of every domain of `spec`, by an id that depends on neither dtype nor sizes."""
    found: dict[str, Outside] = {}
    numbers = [param for param in spec.params.values() if param.type in {"real", "integer"}]
    for item in (*spec.inputs.values(), *numbers):
        assert isinstance(item, Input | Param)
        for setting, layout in _settings(spec, item):
            names = {**_defaults(spec), **setting, **sizes(spec, layout)}
            for id_, values in _values(spec, item, names, dtype):
                found.setdefault(id_, Outside(item.name, values, setting, layout))
    return found


def is_whole(item: Input | Param) -> bool:
    """Whether an input or parameter holds integers."""
    return item.dtype == "int" if isinstance(item, Input) else item.type == "integer"


def _defaults(spec: Spec) -> dict[str, Any]:
    return {name: param.default for name, param in spec.params.items() if param.type != "choice"}


def _settings(spec: Spec, item: Input | Param) -> Iterator[tuple[dict[str, Any], Layout]]:
    """The levels of the parameters that a domain names, and the sizes of its dims: as usual, and the smallest."""
    named = names_of(item.domain) - {item.name}
    levels = {name: dict.fromkeys((param.default, *param.levels)) for name, param in spec.params.items()}
    levels = {name: found for name, found in levels.items() if name in named}
    usual = plain_layout(spec)
    small = {axis: max(dim_of(spec, axis).min, 1) for axis in usual if dim_of(spec, axis).name in named}
    for layout in (usual, {**usual, **small}) if small else (usual,):
        for chosen in itertools.product(*levels.values()):
            setting = dict(zip(levels, chosen, strict=True))
            names = {**_defaults(spec), **setting, **sizes(spec, layout)}
            if all(_is_in(spec.params[name], names)([value]).all() for name, value in setting.items()):
                yield setting, layout


def _is_in(item: Input | Param, names: Names) -> IsIn:
    kind = np.int64 if is_whole(item) else np.float64
    return lambda values: inside(item.domain, item.name, np.array(values, kind), names)


def _values(spec: Spec, item: Input | Param, names: Names, dtype: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    name, domain = item.name, item.domain
    if not is_whole(item):
        yield f"nan_{name}", (math.nan,)  # it is in no domain
    if domain is None:
        return
    if names_of(domain) & (set(spec.inputs) - {name}):
        yield f"{name}_out_of_domain", _anything(item, names)
        return
    is_in = _is_in(item, names)
    bounds = _bounds(domain, name, names)
    yield from _beyond(item, bounds, is_in, dtype)
    if not is_whole(item):
        for word, value in (("inf", math.inf), ("minus_inf", -math.inf)):
            if not is_in([value]).all():
                yield f"{word}_{name}", (value,)
    rest = [value for value in _anything(item, names) if not is_in([value]).all()]
    if rest and not bounds:
        yield f"{name}_out_of_domain", tuple(rest)


def _anything(item: Input | Param, names: Names) -> tuple[Any, ...]:
    top = max((value for value in names.values() if isinstance(value, int)), default=1)
    return (*range(-2, top + 3), HIGHEST, LOWEST) if is_whole(item) else ANYTHING


def _bounds(domain: Node, name: str, names: Names) -> list[Bound]:
    """The numbers at which a comparison of the domain changes, in order."""
    sides: dict[Any, str] = {}
    points: dict[Any, str] = {}
    for node in walk(domain):
        if node.op in COMPARISONS and name in names_in(node):
            value, word = _switch(node, name, names)
            if value is not None and math.isfinite(value):
                words = points if node.op in {"==", "!="} else sides
                words[value] = word if words.get(value, UNNAMED) == UNNAMED else words[value]
    every = sorted({**sides, **points})
    return [Bound(value, (points | sides)[value], (sides | points)[value]) for value in every]


def _switch(node: Node, name: str, names: Names) -> tuple[Any, str]:
    """Where a comparison that is linear in `name` changes, and what to call it; None where it is not linear."""
    for own, other in (node.args, node.args[::-1]):
        if own.op == "name" and own.value == name and name not in names_in(other):
            return holds(other, names), _word(other)
    left, right = node.args
    points = (-8.0, -1.0, 0.0, 1.0, 8.0)
    at = {x: float(holds(left, {**names, name: x}) - holds(right, {**names, name: x})) for x in points}
    slope = at[1] - at[0]
    line = {x: at[0] + x * slope for x in points}
    is_linear = slope != 0 and all(math.isclose(at[x], line[x], rel_tol=1e-9, abs_tol=1e-12) for x in points)
    return (-at[0] / slope + 0.0, UNNAMED) if is_linear else (None, "")  # + 0.0: no negative zero


def _word(node: Node) -> str:
    """A bound as ids name it: `C`, `1`, `minus_1`, `0_5`."""
    if node.op == "const":
        text = f"{node.value:g}" if isinstance(node.value, int | float) else str(node.value)
        return text.replace("-", "minus_").replace(".", "_")
    if node.op == "neg":
        return f"minus_{_word(node.args[0])}"
    return str(node.value) if node.op == "name" else UNNAMED


def _regions(bounds: Sequence[Bound], whole: bool, is_in: IsIn) -> Iterator[Region]:
    """The stretches outside, each as long as it can be."""
    spots: list[tuple[Bound | None, Bound | None, Any]] = []  # from, to, and a number there
    for low, high in itertools.pairwise((None, *bounds, None)):
        number = _between(low, high, whole)
        if number is not None:
            spots.append((low, high, number))
        if high is not None:
            spots.append((high, high, high.value))
    flags = is_in([number for _, _, number in spots]).tolist()
    for is_inside, group in itertools.groupby(zip(spots, flags, strict=True), key=lambda item: item[1]):
        if not is_inside:
            run = [spot for spot, _ in group]
            (low, next_, _), (before, high, _) = run[0], run[-1]
            yield Region(low, low is next_ and low is not None, high, high is before and high is not None)


def _between(low: Bound | None, high: Bound | None, whole: bool) -> Any:
    """A number between two bounds, None where there is none."""
    if low is None or high is None:
        return (high.value - 1 if high else 0) if low is None else low.value + 1
    middle = math.floor(low.value) + 1 if whole else (low.value + high.value) / 2
    return middle if low.value < middle < high.value else None


def _beyond(
    item: Input | Param, bounds: Sequence[Bound], is_in: IsIn, dtype: str
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The values of each region, by id."""
    name, whole = item.name, is_whole(item)
    for region in _regions(bounds, whole, is_in):
        low, high = region.low, region.high
        alone = _only_number(region) if whole else None
        if alone is not None:
            yield _equals(name, str(alone).replace("-", "minus_")), (alone,)
            continue
        for bound, is_out in {low: region.low_out, high: region.high_out}.items():
            if bound is not None and is_out:
                yield _equals(name, bound.point), (bound.value,)
        if low is not high or low is None:
            for bound, other, sign in ((low, high, 1), (high, low, -1)):
                values = _near(bound.value, sign, other and other.value, whole, dtype) if bound is not None else ()
                values = tuple(value for value in values if not is_in([value]).all())
                if bound is not None and values:
                    yield _crosses(name, bound.side, sign), values
        if whole and high is None and low is not None:
            yield f"{name}_highest", (HIGHEST,)
        if whole and low is None and high is not None:
            yield f"{name}_lowest", (LOWEST,)


def _only_number(region: Region) -> int | None:
    """The integer of a region between two constants that holds no other."""
    low, high = region.low, region.high
    if low is None or high is None or low is high or not all(_is_number(bound.side) for bound in (low, high)):
        return None
    inside_ = range(int(low.value) + (not region.low_out), int(high.value) + region.high_out)
    return inside_[0] if len(inside_) == 1 else None


def _is_number(word: str) -> bool:
    return word.removeprefix("minus_").replace("_", "").isdigit()


def _equals(name: str, word: str) -> str:
    return f"{name}_zero" if word == "0" else f"{name}_equals_{word}"


def _crosses(name: str, word: str, sign: int) -> str:
    return f"{name}_negative" if word == "0" and sign < 0 else f"{name}_{'above' if sign > 0 else 'below'}_{word}"


def _near(bound: Any, sign: int, end: Any, whole: bool, dtype: str) -> Iterable[Any]:
    """Numbers beyond a bound, the nearest one among them, short of `end` if there is one."""
    if whole:
        return (math.floor(bound) + 1 if sign > 0 else math.ceil(bound) - 1,)
    far = [bound + sign * size for size in CLEARLY] if end is None else [(bound + end) / 2]
    values = [*(float(np.array(value, DTYPES[dtype])) for value in far), _next(float(bound), sign, dtype)]
    return tuple(v for v in dict.fromkeys(values) if sign * (v - bound) > 0 and (end is None or sign * (end - v) > 0))


def _next(bound: float, sign: int, dtype: str) -> float:
    """The number of the dtype next to `bound` on one side; next to 0 a normal one, which no device flushes."""
    if bound == 0:
        return sign * smallest_normal(DTYPES[dtype])
    rounded = np.full(3, bound).astype(DTYPES[dtype])
    numbers = step(rounded, np.array([-1, 0, 1])).astype(np.float64)
    return min((float(v) for v in numbers if sign * (v - bound) > 0), key=lambda v: abs(v - bound), default=math.nan)
