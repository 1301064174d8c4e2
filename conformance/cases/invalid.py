"""Invalid inputs: calls that violate what a spec states, in one way each, derived from the spec alone.

A check has a handful of cases: the violation in one element, in the middle of the batch, and in all of them; under
several reductions. The ids depend on the spec alone, not on dtype, sizes or seed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from conformance.cases.bench import Bench, Invalid, Make, Mask
from conformance.cases.bind import outside, used
from conformance.cases.case import Case, Stack
from conformance.cases.domain import names_of
from conformance.cases.misfits import of_dtypes, of_shapes, of_types
from conformance.cases.violations import Outside, outsides
from conformance.spec.model import Input, Param, Spec

PLACES = 16  # elements that are tried for one that the formula looks at

_CHECKS: dict[int, tuple[Spec, dict[str, Make]]] = {}  # a spec has no hash; held here, its id stays its own


def invalid_checks(spec: Spec) -> Mapping[str, Make]:
    """How to make the cases of each check of a criterion that is called wrongly, by the check's id."""
    if id(spec) not in _CHECKS:
        values = {id_: functools.partial(_of_values, id_) for id_ in outsides(spec, "float64")}
        _CHECKS[id(spec)] = spec, {**values, **of_types(spec), **of_shapes(spec), **of_dtypes(spec)}
    return _CHECKS[id(spec)][1]


def invalid_cases(bench: Bench, id_: str) -> list[Invalid]:
    """The cases of one check; none, if none that could be drawn violates this and nothing else."""
    return list(invalid_checks(bench.spec)[id_](bench))


def _of_values(id_: str, bench: Bench) -> Iterator[Invalid]:
    """The cases of a value out of its domain; those that violate no other domain with it, if there are any."""
    found = bench.outsides[id_]
    make = _in_parameter if found.name in bench.spec.params else _in_elements
    pairs = [(item, violated(bench.spec, item.case)) for item in make(bench, found)]
    alone = [item for item, wrong in pairs if wrong == {found.name}]
    # A NaN is in no domain, whatever the domain says; and what others say of this one is violated with it.
    dependent = {name for name, item in _items(bench.spec).items() if found.name in names_of(item.domain)}
    is_nan = found.values[0] != found.values[0]
    yield from alone or [
        item for item, wrong in pairs if wrong <= dependent | {found.name} and (is_nan or found.name in wrong)
    ]


def violated(spec: Spec, case: Case) -> set[str]:
    """The inputs and parameters whose stated domain a case violates."""
    return {item.name for item in outside(spec, Stack.of(case))}


def _items(spec: Spec) -> Mapping[str, Input | Param]:
    return {**spec.inputs, **spec.params}


def _in_parameter(bench: Bench, found: Outside) -> Iterator[Invalid]:
    first, _, default = bench.reductions
    for reduction in (first, default):
        key = ("parameter", found.name, found.layout, found.setting, reduction)
        base, reached = bench.once(key, functools.partial(_looked_at, bench, found, reduction))
        for value in found.values:
            case = replace(base, parameters={**base.parameters, found.name: value})
            yield Invalid(case, base, f"{found.name} is {value!r}", reached)


def _looked_at(bench: Bench, found: Outside, reduction: Mapping[str, str]) -> tuple[Case, Mask | None]:
    """A case in which the formula looks at a parameter, and the elements of the value that it reaches; the first case,
    if none shows that it does."""
    flags = [param for param in bench.spec.params.values() if param.type == "bool" and param.name not in found.setting]
    settings = [{}, *({param.name: not param.default} for param in flags)]
    tried = (
        (base, bench.reached_by_parameter(base, found.name))
        for setting in settings
        for base in bench.bases(found.layout, {**found.setting, **setting, **reduction})
    )
    first = next(tried)
    return first if first[1] is not None else next((pair for pair in tried if pair[1] is not None), first)


def _in_elements(bench: Bench, found: Outside) -> Iterator[Invalid]:
    name = found.name
    first, second, default = bench.reductions
    for reduction, is_one in ((first, True), (second, True), (default, False)):
        base = bench.base(found.layout, {**found.setting, **reduction}, (name,))
        key = ("elements", name, found.layout, found.setting, reduction, is_one)
        where, reached = bench.once(key, functools.partial(_reached, bench, base, name, is_one))
        array = base.inputs[name]
        if where is not None:
            at = f"at {np.argwhere(where).tolist()[0]}" if is_one and array.ndim else "everywhere"
            for value in found.values:
                spoilt = np.where(where, np.array(value, array.dtype), array)
                case = replace(base, inputs={**base.inputs, name: spoilt})
                yield Invalid(case, base, f"{name} is {value!r} {at}", reached)


def _reached(bench: Bench, base: Case, name: str, is_one: bool) -> tuple[Mask, Mask] | tuple[None, None]:
    """An element of an input that the formula looks at, or all of them; and what of the value they reach."""
    places = _places(bench, base, name) if is_one else iter([np.ones(base.inputs[name].shape, bool)])
    tried = ((where, bench.reached_by_elements(base, name, where)) for where in places)
    return next(((where, mask) for where, mask in tried if mask.any()), (None, None))


def _places(bench: Bench, case: Case, name: str) -> Iterator[Mask]:
    """Single elements of an input that are looked at: those in the middle of the first axis first."""
    shape = case.inputs[name].shape
    looked_at = used(bench.spec, Stack.of(case), name)[0]
    order = sorted(np.ndindex(shape), key=lambda at: (abs(at[0] - shape[0] // 2), at) if at else (0, at))
    for at in [at for at in order if looked_at[at]][:PLACES]:
        where = np.zeros(shape, bool)
        where[at] = True
        yield where
