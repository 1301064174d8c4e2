"""The data of a stack: every input drawn as the regime says, inside its domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import full_rank, used
from conformance.cases.case import DTYPES, Stack
from conformance.cases.domain import candidates, holds, inside, labels, names_of
from conformance.cases.draw import draw_array
from conformance.cases.source import Shape, Source
from conformance.errors import Fault, SpecError
from conformance.spec.draws import near_names
from conformance.spec.model import Draw, Input, Regime, Spec, Uniform, Values

Array = NDArray[Any]

TRIES = 64

# Where no regime says anything: the first of these that lies in the domain.
USUAL = (
    Uniform(-4, 4),
    Uniform(0, 4),
    Uniform(0.125, 4),
    Uniform(-1, 1),
    Uniform(0, 1),
    Uniform(0.125, 0.875),
    Uniform(-4, 0),
    Values((-1, 1)),
    Values((0, 1)),
)


@dataclass
class Data:
    """What is known of a stack while its inputs are drawn, one after the other."""

    spec: Spec
    dtype: str
    regime: Regime
    layout: Mapping[str, int]
    shapes: Mapping[str, Shape]  # of the inputs that are present, the case's axis in front
    names: Mapping[str, Any]  # parameters, and the sizes of dims
    parameters: Mapping[str, Any]
    source: Source
    is_coarse: bool
    arrays: dict[str, Array] = field(default_factory=dict)

    def draw(self) -> None:
        """Fills `arrays`."""
        for name in drawing_order(self.spec, self.regime, self.dtype):
            if name in self.shapes:
                item = self.spec.inputs[name]
                self.arrays[name] = self._integers(item) if item.dtype == "int" else self._floats(item)
                if item.used is not None and self.source.integer(2):
                    self.arrays[name] = self._padded(item)

    def inside(self, item: Input, array: Array) -> NDArray[np.bool_]:
        """Where the domain of an input holds."""
        others = {name: self.arrays[name] for name in names_of(item.domain) if name in self.arrays}
        return inside(item.domain, item.name, array, {**self.names, **others})

    def _floats(self, item: Input) -> Array:
        how = how_drawn(self.spec, self.regime, item, self.dtype, self.names)
        array = self._numbers(item, how, is_coarse=self.is_coarse)
        for _ in range(TRIES):
            is_inside = self.inside(item, array)
            if is_inside.all():
                return array
            array = np.where(is_inside, array, self._numbers(item, how, is_coarse=False))
        raise outside(self.spec, self.regime, item.name)

    def _numbers(self, item: Input, how: Draw, *, is_coarse: bool) -> Array:
        dtype = self.dtype if item.dtype == "float" else "float64"

        def base(other: str) -> Array:
            return self._near(item, other)

        return draw_array(how, self.source, self.shapes[item.name], dtype, base, is_coarse=is_coarse)

    def _near(self, item: Input, other: str) -> Array:
        """The numbers of another input, in the shape of this one; at index 0 of axes that this one lacks."""
        shape = self.shapes[item.name]
        if other not in self.arrays:
            return np.full(shape, self.spec.inputs[other].default or 0, DTYPES[self.dtype])
        numbers = self.arrays[other]
        if numbers.shape == shape:
            return numbers
        place = full_rank(self.spec, self.layout, item.name, np.arange(np.prod(shape)).reshape(shape))
        numbers = full_rank(self.spec, self.layout, other, numbers)
        numbers = numbers[tuple(slice(0, size) if size == 1 else slice(None) for size in place.shape)]
        result = np.empty(place.size, numbers.dtype)
        result[place.ravel()] = np.broadcast_to(numbers, place.shape).ravel()
        return result.reshape(shape)

    def _integers(self, item: Input) -> Array:
        how = self.regime.draws.get(item.name, {}).get(self.dtype)
        others = names_of(item.domain) & (set(self.spec.inputs) - {item.name})
        if how is None and not others:
            return self._labels(item)
        array = self._some_integers(item, how)
        for _ in range(TRIES):
            is_inside = self.inside(item, array)
            if is_inside.all():
                return array
            array = np.where(is_inside, array, self._some_integers(item, how))
        raise outside(self.spec, self.regime, item.name)

    def _some_integers(self, item: Input, how: Draw | None) -> Array:
        if how is not None:
            return np.rint(self._numbers(item, how, is_coarse=False)).astype(np.int64)
        top = max(self.layout.values(), default=1)
        return self.source.below(top + 3, self.shapes[item.name]) - 1

    def _labels(self, item: Input) -> Array:
        """Any of the integers allowed; those that a parameter singles out in a quarter of the places, or in most.

        One place in each case is spared: where all are ignored there is nothing to average.
        """
        shape, source = self.shapes[item.name], self.source
        ordinary, singled = labels(item, self.layout, self.parameters, self.names)
        if not len(ordinary):
            raise outside(self.spec, self.regime, item.name)
        array: Array = ordinary[source.below(len(ordinary), shape)]
        kind = source.integer(8)
        if not len(singled) or kind < 3 or not array.size:
            return array
        chosen = (source.below(4, shape) == 0 if kind < 7 else np.ones(shape, bool)).reshape(shape[0], -1)
        chosen[np.arange(shape[0]), source.below(chosen.shape[1], shape[:1])] = False
        return np.where(chosen.reshape(shape), singled[source.below(len(singled), shape)], array)

    def _padded(self, item: Input) -> Array:
        """An input with any numbers where it is not looked at."""
        array, anything = self.arrays[item.name], candidates(self.layout, self.parameters)
        stack = Stack(self.spec.name, self.dtype, self.layout, self.parameters, self.arrays)
        padding = anything[self.source.below(len(anything), array.shape)]
        return np.where(used(self.spec, stack, item.name), array, padding)


def how_drawn(spec: Spec, regime: Regime, item: Input, dtype: str, names: Mapping[str, Any]) -> Draw:
    """How a floating input is drawn: by the regime, or else by the first one, or else as is usual in its domain."""
    first = next(iter(spec.regimes.values()))
    for place in (regime, first):
        if dtype in place.draws.get(item.name, {}):
            return place.draws[item.name][dtype]
    return next((how for how in USUAL if item.domain is None or _lies_in(how, item, names)), USUAL[0])


def _lies_in(how: Uniform | Values, item: Input, names: Mapping[str, Any]) -> bool:
    points = (how.low, how.high, (how.low + how.high) / 2 + 0.01) if isinstance(how, Uniform) else how.values
    assert item.domain is not None
    known = {**names, **dict.fromkeys(names_of(item.domain) - set(names), 0.0)}
    return all(bool(holds(item.domain, {**known, item.name: point})) for point in points)


def drawing_order(spec: Spec, regime: Regime, dtype: str) -> Iterator[str]:
    """The inputs, each after those that its draw or its domain looks at."""
    done: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        item = spec.inputs[name]
        how = how_or_none(spec, regime, item, dtype)
        for other in spec.inputs:
            looked_at = names_of(item.domain) | names_of(item.used) | (set() if how is None else near_names(how))
            if other in looked_at and other not in (*above, name):
                visit(other, (*above, name))
        done.setdefault(name)

    for name in spec.inputs:
        visit(name, ())
    return iter(done)


def how_or_none(spec: Spec, regime: Regime, item: Input, dtype: str) -> Draw | None:
    """What the regime, or else the first one, says about an input."""
    first = next(iter(spec.regimes.values()))
    own = regime.draws.get(item.name, {}).get(dtype)
    return own if own is not None or item.dtype == "int" else first.draws.get(item.name, {}).get(dtype)


def outside(spec: Spec, regime: Regime, name: str) -> SpecError:
    """The error of a regime that cannot draw what it says."""
    message = f"regime {regime.name!r} hardly ever draws {name!r} inside its domain: change the one or the other"
    return SpecError([Fault(spec.path, 1, 1, message)])
