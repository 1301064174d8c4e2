"""Special numbers, placed into a stack after it was drawn: zeros, ties, subnormal numbers, infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import DTYPES
from conformance.cases.data import Data
from conformance.cases.factors import Special
from conformance.cases.source import Source
from conformance.cases.steps import smallest_subnormal
from conformance.formula import Node, names_in
from conformance.formula.node import walk
from conformance.spec.model import Input, Spec

Array = NDArray[Any]


def place(data: Data, special: Special) -> str:
    """Changes one input of the data, one or two numbers in about half of the cases; returns its name, if there is one.

    A number that would leave the domain stays as it was.
    """
    names = [] if special.kind == "none" else [name for name in data.arrays if _may_hold(data, special, name)]
    if not names:
        return ""
    name = data.source.one_of(names)
    array = data.arrays[name]
    mask = places(data.source, array.shape[0], array[0].size).reshape(array.shape)
    changed = np.where(mask, _numbers(data, special, name), array)
    data.arrays[name] = np.where(data.inside(data.spec.inputs[name], changed), changed, array)
    return name


def _may_hold(data: Data, special: Special, name: str) -> bool:
    item, array = data.spec.inputs[name], data.arrays[name]
    if item.dtype != "float" or not array.size:
        return False
    match special.kind:
        case "value":
            return name == special.input
        case "zero":
            # a weight that is all zero leaves nothing to divide by, and its mean has no value
            return item.default is None or name not in divisors(data.spec, data.parameters.get("reduction", "none"))
        case "tie":
            return item.default is None and (array[0].size > 1 or bool(_partners(data, item)))
    return True


def divisors(spec: Spec, reduction: str) -> set[str]:
    """The names that a reduction divides by, their sizes aside."""
    found: set[str] = set()
    for node in walk(spec.reduce[reduction]):
        if node.op == "/":
            found |= _values_in(node.args[1])
    return found


def _values_in(root: Node) -> set[str]:
    if root.op == "size":
        return set()
    return names_in(root) if not root.children else {name for child in root.children for name in _values_in(child)}


def _partners(data: Data, item: Input) -> list[str]:
    shape = data.arrays[item.name].shape
    return [
        other
        for other, array in data.arrays.items()
        if other != item.name
        and array.shape == shape
        and data.spec.inputs[other].dtype == "float"
        and data.spec.inputs[other].default is None
    ]


def places(source: Source, cases: int, size: int) -> NDArray[np.bool_]:
    """One or two places in about half of the cases, in one of them at least."""
    active = source.below(2, (cases,)) == 1
    active[source.integer(cases)] = True
    mask = np.zeros((cases, size), bool)
    rows = np.arange(cases)
    mask[rows, source.below(size, (cases,))] = active
    mask[rows, source.below(size, (cases,))] |= active & (source.below(2, (cases,)) == 1)
    return mask


def _numbers(data: Data, special: Special, name: str) -> Array:
    """What would stand in each place of the input."""
    array, dtype = data.arrays[name], DTYPES[data.dtype]
    match special.kind:
        case "zero":
            return np.where(data.source.below(2, array.shape) == 0, np.zeros((), dtype), -np.zeros((), dtype))
        case "subnormal":
            tiny = smallest_subnormal(dtype) * (1 + data.source.below(4, array.shape))
            return tiny.astype(dtype)
        case "tie":
            partners = _partners(data, data.spec.inputs[name])
            if partners:
                return data.arrays[data.source.one_of(partners)]
            return np.roll(array.reshape(len(array), -1), 1, axis=1).reshape(array.shape)
    return np.full(array.shape, special.value, dtype)
