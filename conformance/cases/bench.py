"""Ordinary cases to spoil, drawn once for each layout and setting; and what of the value a number reaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import full_rank, output_shapes, plain_value, spread, used
from conformance.cases.case import Case, Stack
from conformance.cases.data import Data
from conformance.cases.domain import sizes
from conformance.cases.factors import shape_of
from conformance.cases.source import Source, digest
from conformance.cases.violations import Outside, outsides
from conformance.spec.layout import Layout
from conformance.spec.model import Spec

T = TypeVar("T")
Mask = NDArray[np.bool_]
Array = NDArray[Any]
VARIANTS = 8  # of a base, for what the first one does not show
TRIES = 200  # for a case whose loss is finite, and in which every element is looked at


@dataclass(frozen=True, eq=False)
class Invalid:
    """A call that violates what a spec states, and `base`, which does not, but is the same otherwise.

    `reached`: the elements of the value that the violation reaches; None: all. `exact`, of a wrong dtype only: the
    numbers, and the dtype whose budget holds, so that an answer can be right.
    """

    case: Case
    base: Case | None  # None: there is none
    what: str  # "target is 4 at [1]"
    reached: Mask | None = None
    exact: Stack | None = None


@dataclass
class Bench:
    """Small cases of the first regime, the same for the same criterion, dtype and seed."""

    spec: Spec
    dtype: str
    seed: int = 0
    _drawn: dict[str, dict[str, Array]] = field(default_factory=dict)
    _known: dict[str, Any] = field(default_factory=dict)

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` comes to, made once for each key."""
        text = repr(key)
        if text not in self._known:
            self._known[text] = make()
        found: T = self._known[text]
        return found

    @cached_property
    def outsides(self) -> Mapping[str, Outside]:
        """Values out of every domain, by the id of their check."""
        return outsides(self.spec, self.dtype)

    @cached_property
    def reductions(self) -> tuple[dict[str, str], ...]:
        """Three settings of the reduction: the first two choices, and the default."""
        param = self.spec.params.get("reduction")
        if param is None or not param.choices:
            return {}, {}, {}
        return tuple({"reduction": name} for name in (param.choices[0], param.choices[-1], param.default))

    def bases(self, layout: Layout, setting: Mapping[str, Any]) -> Iterator[Case]:
        """Several cases of a layout and some parameters, with the inputs that must be there."""
        return (self.base(layout, setting, variant=variant) for variant in range(VARIANTS))

    def base(self, layout: Layout, setting: Mapping[str, Any], more: Sequence[str] = (), variant: int = 0) -> Case:
        """The case of a layout and some parameters: inputs that must be there, and those in `more`."""
        spec = self.spec
        parameters = {**{name: param.default for name, param in spec.params.items()}, **setting}
        plain = {name: value for name, value in parameters.items() if name != "reduction"}
        arrays = self._arrays(layout, plain, variant)
        present = [name for name, item in spec.inputs.items() if item.default is None or name in more]
        return Case(spec.name, self.dtype, dict(layout), parameters, {name: arrays[name] for name in present})

    def _arrays(self, layout: Layout, parameters: Mapping[str, Any], variant: int) -> dict[str, Array]:
        key = repr((tuple(layout.items()), sorted(parameters.items()), variant))
        if key not in self._drawn:
            for attempt in range(TRIES):
                self._drawn[key] = self._try(layout, parameters, digest("invalid", self.dtype, self.seed, key, attempt))
                if self._is_ordinary(layout, parameters, self._drawn[key]):
                    break
        return self._drawn[key]

    def _try(self, layout: Layout, parameters: Mapping[str, Any], seed: int) -> dict[str, Array]:
        spec = self.spec
        shapes = {name: (1, *shape_of(spec, name, layout)) for name in spec.inputs}
        regime = next(iter(spec.regimes.values()))
        names = {**parameters, **sizes(spec, layout)}
        data = Data(spec, self.dtype, regime, layout, shapes, names, parameters, Source(seed), is_coarse=False)
        data.draw()
        return {name: array[0] for name, array in data.arrays.items()}

    def _is_ordinary(self, layout: Layout, parameters: Mapping[str, Any], arrays: Mapping[str, Array]) -> bool:
        """Whether every element is looked at, and the loss is finite."""
        stacks = [
            Stack.of(Case(self.spec.name, self.dtype, layout, {**parameters, **reduction}, arrays))
            for reduction in self.reductions
        ]
        padded = [name for name, item in self.spec.inputs.items() if item.used is not None]
        if not all(used(self.spec, stacks[0], name).all() for name in padded):
            return False
        return all(bool(np.isfinite(plain_value(self.spec, stack)).all()) for stack in stacks)

    def reached_by_elements(self, case: Case, name: str, where: Mask) -> Mask:
        """The elements of the value that these elements of an input reach: by the formula, which makes them NaN; by the
        axes they share, if the input holds integers, or the formula hides any NaN of it."""
        if case.inputs[name].dtype.kind != "i":
            reached = self._undefined_by(case, name, where)
            if reached.any() or self._undefined_by(case, name, np.ones_like(where)).any():
                return reached
        full, shape = output_shapes(self.spec, Stack.of(case), ())["value"]
        mask: Mask = spread(full_rank(self.spec, case.layout, name, where[None]), full, shape)[0]
        return mask

    def _undefined_by(self, case: Case, name: str, where: Mask) -> Mask:
        array = np.where(where, np.array(math.nan, case.inputs[name].dtype), case.inputs[name])
        return self._undefined(replace(case, inputs={**case.inputs, name: array}))

    def reached_by_parameter(self, case: Case, name: str) -> Mask | None:
        """The elements of the value that a parameter reaches; None: all, or there is no telling."""
        if isinstance(case.parameters[name], int) and self.spec.params[name].type == "integer":
            return None
        mask = self._undefined(replace(case, parameters={**case.parameters, name: math.nan}))
        return mask if mask.any() else None

    def _undefined(self, case: Case) -> Mask:
        mask: Mask = np.isnan(plain_value(self.spec, Stack.of(case))[0])
        return mask


Make = Callable[[Bench], Iterator[Invalid]]
