"""The same case asked in another way: other strides, another order of the batch, another size, a cotangent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from conformance.cases.case import DTYPES, Case, Stack
from conformance.cases.domain import labels, names_of, sizes
from conformance.cases.factors import Space, Special, space_of
from conformance.cases.layouts import hard_buckets
from conformance.cases.simpler import slice_axis
from conformance.cases.source import Source, digest
from conformance.formula import dims_of
from conformance.formula.node import walk
from conformance.spec.layout import axes_held, axes_of, expand
from conformance.spec.model import Spec

Array = NDArray[Any]


def consistency_space(spec: Spec, dtype: str) -> Space:
    """The factors of `spec` in `dtype`, with small layouts and no special values."""
    small = tuple(bucket for bucket in hard_buckets(spec) if bucket.name == "small")
    return space_of(spec, dtype, {"layout": small, "special": (Special("none"),)})


# Storage


def _fortran(array: Array) -> Array:
    return np.array(array, order="F")


def _last(array: Array) -> Array:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1) if array.ndim > 2 else array


def _part(array: Array) -> Array:
    """Every second number of a wider array; floats have NaN between them, integers each other."""
    if not array.ndim:
        return array
    wide = np.empty((*array.shape[:-1], 2 * array.shape[-1] + 1), array.dtype)
    wide[...] = np.roll(array, 1).ravel()[:1] if array.dtype.kind in "iub" else np.nan
    wide[..., 1::2] = array
    return wide[..., 1::2]


def _backward(array: Array) -> Array:
    return np.asarray(np.flip(np.flip(array).copy()))


STORAGE: Mapping[str, Callable[[Array], Array]] = {
    "stored in Fortran's order": _fortran,
    "stored with the second axis last": _last,
    "every second number of a wider array": _part,
    "stored backward, with negative strides": _backward,
}
REFUSABLE = "stored backward, with negative strides"  # what not every framework's arrays can be


def is_plain(arrays: Mapping[str, Array], others: Mapping[str, Array]) -> bool:
    """Whether no array lies otherwise in memory than the other of its name."""
    return all(array.strides == others[name].strides for name, array in arrays.items())


def constant(spec: Spec, stack: Stack, axis: str) -> Stack:
    """The stack with the numbers at the first position of an axis everywhere along it."""
    inputs = {}
    for name, array in stack.inputs.items():
        at = _position(spec, stack, name, axis)
        inputs[name] = array if at is None else np.repeat(array.take([0], at), array.shape[at], at)
    return dataclasses.replace(stack, inputs=inputs)


def expanded(spec: Spec, case: Case, axis: str) -> dict[str, Array]:
    """The inputs of a case of `constant`, with one number in memory for all along the axis: its stride is 0."""
    inputs = {}
    for name, array in case.inputs.items():
        at = _position(spec, Stack.of(case), name, axis)
        if at is None or array.shape[at - 1] < 2:
            inputs[name] = array.copy()
            continue
        first = np.ascontiguousarray(array.take([0], at - 1))
        strides = tuple(0 if i == at - 1 else stride for i, stride in enumerate(first.strides))
        inputs[name] = as_strided(first, array.shape, strides)
    return inputs


# Order


def free_axes(spec: Spec, layout: Mapping[str, int]) -> tuple[str, ...]:
    """The axes of the elementwise loss along which the formula looks at no position: the order does not matter."""
    axes = tuple(layout)
    dims = {name: axes_of(spec, name, axes) for name in spec.inputs}
    mine = set(dims_of(spec.loss, dims, lambda axis: expand(spec.dims[axis], axes)))
    placed = {
        axis
        for node in walk(spec.loss)
        if node.op in {"index", "leading"}
        for name in node.over or ()
        for axis in expand(spec.dims[name], axes)
    }
    return tuple(axis for axis in axes if axis in mine - placed)


def rolled(spec: Spec, stack: Stack) -> Stack:
    """The stack with every free axis moved on by one, the last position first."""
    inputs = {}
    for name, array in stack.inputs.items():
        places = (_position(spec, stack, name, axis) for axis in free_axes(spec, stack.layout))
        at = tuple(place for place in places if place is not None)
        inputs[name] = np.roll(array, 1, at) if at else array
    return dataclasses.replace(stack, inputs=inputs)


def rolled_back(spec: Spec, stack: Stack, output: str, array: Array) -> Array:
    """An output of the rolled stack, in the order of the stack itself."""
    free = free_axes(spec, stack.layout)
    if output != "value":
        places = (_position(spec, stack, output, axis) for axis in free)
        at = tuple(place for place in places if place is not None)
    elif array.ndim > 1:
        axes, names = tuple(stack.layout), tuple(spec.inputs)
        dims = {name: axes_of(spec, name, axes) for name in names}
        mine = set(dims_of(spec.loss, dims, lambda axis: expand(spec.dims[axis], axes)))
        held = [axis for axis in axes if axis in mine]
        at = tuple(1 + held.index(axis) for axis in free)
    else:
        at = ()
    return np.roll(array, -1, at) if at else array


def _position(spec: Spec, stack: Stack, name: str, axis: str) -> int | None:
    """Which axis of an input's array `axis` is, the stack's own counted; None: it has none."""
    mine = axes_held(spec, name, tuple(stack.layout), stack.inputs[name].ndim - 1)
    return mine.index(axis) + 1 if axis in mine else None


# Other calls


def another(spec: Spec, case: Case) -> Case:
    """A case of another size and other parameters, as far as the criterion has any; its numbers are the case's."""
    for axis in free_axes(spec, case.layout):
        if case.layout[axis] > max(spec_min(spec, axis), 1):
            case = slice_axis(spec, case, axis, range(1, case.layout[axis]))
            break
    choices = {name: param.choices for name, param in spec.params.items() if param.choices}
    others = {name: items[(items.index(case.parameters[name]) + 1) % len(items)] for name, items in choices.items()}
    return dataclasses.replace(case, parameters={**case.parameters, **others})


def spec_min(spec: Spec, axis: str) -> int:
    """The smallest size of an axis."""
    return next(dim.min for dim in spec.dims.values() if axis in expand(dim, (axis,)))


def with_cotangent(stack: Stack, shape: tuple[int, ...]) -> Stack:
    """The stack with a cotangent of its values' shape (the stack's axis in front): from 1/2 to 2 in magnitude, of both
    signs, a few bits each, the same for every case."""
    source = Source(digest("cotangent", *shape[1:]))
    size = (8 + source.below(24, shape[1:])) / 16
    signs = np.where(source.below(2, shape[1:]) == 0, 1.0, -1.0)
    cotangent = np.broadcast_to(np.asarray(size * signs), shape).astype(DTYPES[stack.dtype])
    return dataclasses.replace(stack, cotangent=cotangent)


def narrower(spec: Spec, case: Case) -> Iterator[tuple[str, dict[str, Array]]]:
    """The inputs of a case with its integers in each other integer dtype that holds them all; and all that are as good,
    which may be negative: labels 1 and -1 want a sign."""
    signed = any(_may_be_negative(spec, case, name) for name in case.inputs)
    whole = {name: array for name, array in case.inputs.items() if spec.inputs[name].dtype == "int"}
    for dtype in ("int32", "int16", *(() if signed else ("uint8",))):
        found = {name: array.astype(dtype) for name, array in whole.items()}
        if whole and all(np.array_equal(found[name], array) for name, array in whole.items()):
            yield dtype, {name: found.get(name, array).copy() for name, array in case.inputs.items()}


def _may_be_negative(spec: Spec, case: Case, name: str) -> bool:
    item = spec.inputs[name]
    if item.dtype != "int" or item.domain is None or names_of(item.domain) & (set(spec.inputs) - {name}):
        return False
    ordinary, _ = labels(item, case.layout, case.parameters, {**case.parameters, **sizes(spec, case.layout)})
    return bool((ordinary < 0).any())
