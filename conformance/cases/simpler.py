"""Simpler cases than a given one: with fewer positions along an axis, without it, with rounder numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.cases.domain import names_of, sizes
from conformance.cases.draw import to_dtype
from conformance.cases.layouts import dim_of
from conformance.spec.layout import axes_held
from conformance.spec.model import Spec

Array = NDArray[Any]
Rounding = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def slice_axis(spec: Spec, case: Case, axis: str, kept: range) -> Case:
    """The case with only some of the positions along an axis; labels along it move with them."""
    layout, dim = {**case.layout, axis: len(kept)}, dim_of(spec, axis).name
    old, new = sizes(spec, case.layout)[dim], sizes(spec, layout)[dim]
    inputs = {}
    for name in case.inputs:
        array, item = _sliced(spec, case, name, axis, kept), spec.inputs[name]
        is_label = item.dtype == "int" and dim in names_of(item.domain)
        inputs[name] = _relabelled(array, old, new, kept) if is_label else array
    return dataclasses.replace(case, layout=layout, inputs=inputs)


def _relabelled(labels: Array, old: int, new: int, kept: range) -> Array:
    """Labels by their new positions; one that is gone becomes the last, and a length is cut to the new size."""
    moved = np.where((labels >= kept.start) & (labels < kept.stop), labels - kept.start, new - 1)
    moved = np.where(labels == old, new, moved)
    return np.where((labels >= 0) & (labels <= old), moved, labels)


def _sliced(spec: Spec, case: Case, name: str, axis: str, kept: range) -> Array:
    array, at = case.inputs[name], position(spec, case, name, axis)
    if at is None or array.shape[at] == 1:
        return array
    return np.ascontiguousarray(array[(slice(None),) * at + (slice(kept.start, kept.stop),)])


def position(spec: Spec, case: Case, name: str, axis: str) -> int | None:
    """Which axis of an input's array is `axis`; None: it has none."""
    mine = axes_held(spec, name, tuple(case.layout), case.inputs[name].ndim)
    return mine.index(axis) if axis in mine else None


def drop_axis(spec: Spec, case: Case, axis: str) -> Case:
    """The case without an axis of size 1; what follows it in a family of axes is numbered anew."""
    inputs = {}
    for name, array in case.inputs.items():
        at = position(spec, case, name, axis)
        inputs[name] = array if at is None else array.reshape(array.shape[:at] + array.shape[at + 1 :])
    left = {name: size for name, size in case.layout.items() if name != axis}
    dim = dim_of(spec, axis)
    if dim.kind == "star":
        family = iter(range(len(left)))
        left = {f"{dim.name}{next(family)}" if dim_of(spec, a) is dim else a: size for a, size in left.items()}
    return dataclasses.replace(case, layout=left, inputs=inputs)


def zero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 for every number."""
    return np.zeros_like(values)


def one(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for every number."""
    return np.ones_like(values)


def whole(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest integers."""
    return np.rint(values)


def significant(bits: int) -> Rounding:
    """A rounding to so many significant bits."""

    def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
        mantissa, exponent = np.frexp(values)
        result: NDArray[np.float64] = np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)
        return result

    return rounded


TOGETHER: Sequence[Rounding] = (whole, significant(1), significant(3), significant(8))
ALONE: Sequence[Rounding] = (zero, one, whole, significant(1), significant(4), significant(12))


def rounded(case: Case, how: Rounding, places: Mapping[str, int | None]) -> Case:
    """The case with numbers of some floating inputs rounded: one of an input's, or (None) all of them."""
    inputs = dict(case.inputs)
    for name, place in places.items():
        flat = inputs[name].ravel().copy()
        chosen = slice(None) if place is None else slice(place, place + 1)
        with np.errstate(all="ignore"):
            flat[chosen] = to_dtype(how(flat[chosen].astype(np.float64)), case.dtype)
        inputs[name] = flat.reshape(inputs[name].shape)
    return dataclasses.replace(case, inputs=inputs)


def rounder_numbers(value: float) -> Iterator[float]:
    """Numbers near a parameter's value that are shorter to write."""
    yield from dict.fromkeys((float(round(value)), round(value, 1), float(f"{value:.1g}"), float(f"{value:.2g}")))
