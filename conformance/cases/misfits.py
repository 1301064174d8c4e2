"""Calls of the wrong form: shapes that do not fit together, wrong dtypes, parameters of the wrong type."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bench import Bench, Invalid, Make
from conformance.cases.bind import outside
from conformance.cases.case import DTYPES, Case, Stack, in_dtype
from conformance.cases.factors import shape_of
from conformance.cases.layouts import dim_of, plain_layout, small_layouts
from conformance.spec.layout import Layout, axes_of, match
from conformance.spec.model import Param, Spec

Array = NDArray[Any]
Change = Callable[[Array], Array]
Misfit = tuple[Layout, str, Change]
OTHER = {"float64": "float32", "float32": "float64", "bfloat16": "float32", "float16": "float32"}  # beside each dtype


# Types of parameters


def of_types(spec: Spec) -> dict[str, Make]:
    """A choice that is none, and a fraction where an integer is due, by check id."""
    found: dict[str, Make] = {}
    for name, param in spec.params.items():
        if param.type == "choice":
            found[f"{name}_unknown"] = functools.partial(_typed, name, _none_of(param))
        elif param.type == "integer":
            found[f"{name}_fraction"] = functools.partial(_typed, name, param.default + 0.5)
    return found


def _none_of(param: Param) -> str:
    word = "unknown"
    while word in param.choices:
        word += "_"
    return word


def _typed(name: str, value: Any, bench: Bench) -> Iterator[Invalid]:
    for base in bench.bases(plain_layout(bench.spec), {}):
        case = replace(base, parameters={**base.parameters, name: value})
        if not {item.name for item in outside(bench.spec, Stack.of(case))} - {name}:
            yield Invalid(case, base, f"{name} is {value!r}")
            return


# Shapes


def of_shapes(spec: Spec) -> dict[str, Make]:
    """Shapes that do not fit together, of one input beside the others, by check id."""
    found: dict[str, list[Misfit]] = {}
    for layout in small_layouts(spec):
        for name in spec.inputs:
            shapes = _shapes(spec, layout, name)
            for id_, change in _changes(spec, layout, name, shapes):
                changed = change(np.empty(shapes[name], bool)).shape
                if match(spec, {**shapes, name: changed}) is None:
                    found.setdefault(id_, []).append((layout, name, change))
    return {id_: functools.partial(_misshapen, misfits) for id_, misfits in found.items()}


def _shapes(spec: Spec, layout: Layout, name: str) -> dict[str, tuple[int, ...]]:
    """The shapes of an input and of those that must be there."""
    there = (other for other, item in spec.inputs.items() if item.default is None or other == name)
    return {other: shape_of(spec, other, layout) for other in there}


def _changes(
    spec: Spec, layout: Layout, name: str, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, Change]]:
    axes = tuple(layout)
    shared = {axis for other in shapes if other != name for axis in axes_of(spec, other, axes)}
    for k, axis in enumerate(axes_of(spec, name, axes)):
        size, dim = layout[axis], dim_of(spec, axis).name
        if axis in shared:
            yield f"shape_{name}_{dim}", functools.partial(_resized, k, size + 1)
            if size > 2:  # one less of 2 is 1, which is asked apart
                yield f"shape_{name}_{dim}", functools.partial(_resized, k, size - 1)
            if size > 1:
                yield f"broadcast_{name}_{dim}", functools.partial(_resized, k, 1)
    if shapes[name]:
        yield f"rank_more_{name}", lambda array: array[..., None]
        yield f"rank_more_{name}", lambda array: array[None]
        yield f"rank_fewer_{name}", lambda array: array[0]
        if len(shapes[name]) > 1:
            yield f"rank_fewer_{name}", lambda array: array[..., 0]


def _resized(axis: int, size: int, array: Array) -> Array:
    """The array with another size of one axis: its first elements, and from the start again."""
    resized: Array = np.take(array, np.arange(size) % array.shape[axis], axis)
    return resized


def _misshapen(misfits: list[Misfit], bench: Bench) -> Iterator[Invalid]:
    first, _, default = bench.reductions
    for layout, name, change in misfits:
        for reduction in dict.fromkeys((tuple(first.items()), tuple(default.items()))):
            base = bench.base(layout, dict(reduction), (name,))
            inputs = {**base.inputs, name: change(base.inputs[name])}
            what = "the shapes are " + ", ".join(f"{other} {array.shape}" for other, array in inputs.items())
            yield Invalid(replace(base, layout={}, inputs=inputs), base, what)


# Dtypes


def of_dtypes(spec: Spec) -> dict[str, Make]:
    """An input in a dtype that is not its own, by check id."""
    found: dict[str, Make] = {}
    for name, item in spec.inputs.items():
        if item.dtype == "int":
            found[f"dtype_{name}_floats"] = functools.partial(_as_floats, name)
            continue
        found[f"dtype_{name}_integers"] = functools.partial(_as_integers, name)
        there = [i for i in spec.inputs.values() if i.dtype == "float" and (i.default is None or i.name == name)]
        if len(there) > 1:
            found[f"dtype_{name}_mixed"] = functools.partial(_mixed, name)
    return found


def _as_floats(name: str, bench: Bench) -> Iterator[Invalid]:
    for base in _bases(bench, name):
        yield _exchanged(base, name, base.inputs[name].astype(DTYPES[bench.dtype]), base.dtype)


def _as_integers(name: str, bench: Bench) -> Iterator[Invalid]:
    for base in _bases(bench, name):
        for whole in (np.rint, np.ceil, np.ones_like, np.zeros_like):
            numbers = whole(base.inputs[name].astype(np.float64))
            rounded = replace(base, inputs={**base.inputs, name: numbers.astype(DTYPES[bench.dtype])})
            if not outside(bench.spec, Stack.of(rounded)):
                yield _exchanged(rounded, name, numbers.astype(np.int64), base.dtype)
                break


def _mixed(name: str, bench: Bench) -> Iterator[Invalid]:
    """An input in another floating dtype. Every number is one of the narrower dtype: nothing need be rounded."""
    other = OTHER[bench.dtype]
    narrow = min(bench.dtype, other, key=lambda dtype: DTYPES[dtype].itemsize)
    for base in _bases(bench, name):
        rounded = replace(base, inputs=in_dtype(in_dtype(base.inputs, narrow), base.dtype))
        if not outside(bench.spec, Stack.of(rounded)):
            yield _exchanged(rounded, name, rounded.inputs[name].astype(DTYPES[other]), narrow)


def _bases(bench: Bench, name: str) -> Iterator[Case]:
    first, _, default = bench.reductions
    for reduction in dict.fromkeys((tuple(first.items()), tuple(default.items()))):
        yield bench.base(plain_layout(bench.spec), dict(reduction), (name,))


def _exchanged(base: Case, name: str, array: Array, dtype: str) -> Invalid:
    """The base with one array in another dtype; `dtype` is the narrowest one there is."""
    case = replace(base, inputs={**base.inputs, name: array})
    exact = Stack.of(replace(base, dtype=dtype, inputs=in_dtype(base.inputs, "float64")))
    return Invalid(case, base, f"{name} is an array of {array.dtype}", exact=exact)
