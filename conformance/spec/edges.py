"""Edge cases: hand-written inputs and expectations, each number evaluated once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from conformance.errors import FormulaError
from conformance.formula import Node, dims_of, names_in
from conformance.spec.constant import holds, number
from conformance.spec.layout import Layout, axes_of, expand, match
from conformance.spec.model import EdgeCase, Spec
from conformance.spec.parts import is_outside, read_value
from conformance.spec.schema import EdgeForm, close
from conformance.spec.source import Loc, Misfit, Source

MAX_SIZE = 10_000


def read_edge_cases(source: Source, spec: Spec, forms: list[EdgeForm]) -> tuple[EdgeCase, ...]:
    """The edge cases of `spec` (complete but for them); one with a fault is noted and left out."""
    found: dict[str, EdgeCase] = {}
    for k, form in enumerate(forms):
        if form.id in found:
            source.fault(source.place(("edge_cases", k, "id")), f"edge case {form.id!r} stands twice")
        try:
            found[form.id] = _edge_case(source, spec, ("edge_cases", k), form)
        except FormulaError as error:
            source.note(("edge_cases", k), error)
    return tuple(found.values())


def _edge_case(source: Source, spec: Spec, loc: Loc, form: EdgeForm) -> EdgeCase:
    given: Loc = (*loc, "given")
    for name in form.given:
        if name not in spec.inputs and name not in spec.params:
            known = (*spec.inputs, *spec.params)
            raise Misfit(
                (*given, name), f"unknown name {name!r}{close(name, known)}; known: {', '.join(known)}", key=True
            )
    if missing := [name for name, item in spec.inputs.items() if item.default is None and name not in form.given]:
        raise Misfit(given, f"the input {missing[0]!r} is missing")
    integral = {name for name, item in spec.inputs.items() if item.dtype == "int"}
    inputs = {
        name: _array((*given, name), value, name in integral)
        for name, value in form.given.items()
        if name in spec.inputs
    }
    values = {
        name: read_value(source, (*given, name), item.type, form.given[name], item.choices)
        if name in form.given
        else item.default
        for name, item in spec.params.items()
    }
    layout = match(spec, {name: np.shape(value) for name, value in inputs.items()})
    if layout is None and form.expect.error is None:
        shapes = ", ".join(f"{name} {list(np.shape(value))}" for name, value in inputs.items())
        raise Misfit(given, f"no layout of the dims has these shapes: {shapes}")
    _check_domain(spec, loc, form, inputs, values, layout)
    value, gradient = _expected(spec, (*loc, "expect"), form, inputs, values, layout)
    return EdgeCase(form.id, inputs, values, value, gradient, form.expect.error, form.level, form.why)


def _array(loc: Loc, value: Any, integral: bool) -> Any:
    """Nested lists of numbers; `{shape: [0, 3]}` is an array of that shape, which lists cannot say, full of `fill`."""
    if isinstance(value, dict):
        return _filled(loc, value, integral)
    if isinstance(value, list):
        items = [_array((*loc, k), item, integral) for k, item in enumerate(value)]
        if len({np.shape(item) for item in items}) > 1:
            raise Misfit(loc, "the rows of an array are equally long")
        return items
    if integral and (isinstance(value, bool) or not isinstance(value, int)):
        raise Misfit(loc, "an integer is due")
    try:
        return number(value)
    except FormulaError as error:
        raise Misfit(loc, str(error)) from None


def _filled(loc: Loc, value: Mapping[str, Any], integral: bool) -> Any:
    shape = value.get("shape")
    good = isinstance(shape, list) and all(isinstance(size, int) and 0 <= size <= MAX_SIZE for size in shape)
    if not good or not set(value) <= {"shape", "fill"} or ("fill" in value) == (0 in (shape or ())):
        raise Misfit(loc, "an array is nested lists, or {shape: [sizes], fill: number} (no fill where a size is 0)")
    sizes = tuple(int(size) for size in shape or ())
    if np.prod(sizes, dtype=float) > MAX_SIZE:
        raise Misfit(loc, f"an array of an edge case has at most {MAX_SIZE} numbers")
    if 0 in sizes:
        return np.zeros(sizes, np.int64 if integral else np.float64)
    return np.full(sizes, _array((*loc, "fill"), value["fill"], integral)).tolist()


def _check_domain(
    spec: Spec, loc: Loc, form: EdgeForm, inputs: Mapping[str, Any], values: Mapping[str, Any], layout: Layout | None
) -> None:
    outside = [] if layout is None else list(_outside(spec, inputs, values, layout))
    certain = [name for name in outside if name not in inputs or spec.inputs[name].used is None]
    if form.expect.error is None and certain:
        raise Misfit((*loc, "given", certain[0]), f"{certain[0]!r} is outside its domain, and no error is expected")
    if form.expect.error is not None and layout is not None and not outside:
        raise Misfit((*loc, "expect", "error"), "everything given is in its domain")


def _outside(spec: Spec, inputs: Mapping[str, Any], values: Mapping[str, Any], layout: Layout) -> Iterator[str]:
    sizes = {
        name: int(np.prod([layout[axis] for axis in expand(dim, tuple(layout))], dtype=int))
        for name, dim in spec.dims.items()
    }
    numbers = {**sizes, **{name: value for name, value in values.items() if not isinstance(value, str)}}
    for name, param in spec.params.items():
        if is_outside(param.domain, {key: value for key, value in numbers.items() if value is not None}):
            yield name
    for name, value in inputs.items():
        domain = spec.inputs[name].domain
        if domain is not None and names_in(domain) <= {name, *numbers}:
            points = dict.fromkeys(np.asarray(value, dtype=object).ravel().tolist())
            if any(not _holds(domain, {**numbers, name: point}) for point in points):
                yield name


def _holds(domain: Node, values: Mapping[str, Any]) -> bool:
    try:
        return holds(domain, values)
    except FormulaError:
        return True


def _expected(
    spec: Spec, loc: Loc, form: EdgeForm, inputs: Mapping[str, Any], values: Mapping[str, Any], layout: Layout | None
) -> tuple[Any, dict[str, Any]]:
    expect = form.expect
    if (expect.error is None) == (expect.value is None):
        raise Misfit(loc, "an edge case expects a value, or an error")
    if layout is None or expect.value is None:
        return None, {}
    value = _array((*loc, "value"), expect.value, integral=False)
    shape = output_shape(spec, layout, values.get("reduction", "none"))
    if shape is not None and np.shape(value) != shape:
        raise Misfit((*loc, "value"), f"the value has the shape {list(shape)}, not {list(np.shape(value))}")
    gradient: dict[str, Any] = {}
    for name, item in expect.gradient.items():
        place: Loc = (*loc, "gradient", name)
        if name not in spec.differentiable or name not in inputs:
            raise Misfit(
                place, f"there is no gradient with respect to {name!r}{close(name, spec.differentiable)}", key=True
            )
        gradient[name] = _array(place, item, integral=False)
        if np.shape(gradient[name]) != np.shape(inputs[name]):
            raise Misfit(place, f"the gradient has the shape of {name!r}: {list(np.shape(inputs[name]))}")
    return value, gradient


def output_shape(spec: Spec, layout: Layout, reduction: str | None) -> tuple[int, ...] | None:
    """The shape of the criterion's value in this layout; None: the reduction cannot be read."""
    if reduction is None or reduction not in spec.reduce:
        return None
    axes = tuple(layout)
    dims = {name: axes_of(spec, name, axes) for name in spec.inputs}
    mine = dims_of(spec.reduce[reduction], dims, lambda axis: expand(spec.dims[axis], axes))
    return tuple(size for axis, size in layout.items() if axis in mine)
