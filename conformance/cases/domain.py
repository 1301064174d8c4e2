"""Domains, evaluated elementwise on plain numbers and arrays: comparisons, logic and a little exact arithmetic."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.errors import FormulaError
from conformance.formula import Node, names_in
from conformance.spec.layout import expand
from conformance.spec.model import Input, Spec

Names = Mapping[str, Any]

OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "neg": operator.neg,
    "abs": abs,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": np.where,
}


def holds(condition: Node, names: Names) -> Any:
    """Whether the condition is true: a bool, or an array of them where names stand for arrays.

    Raises:
        FormulaError: it uses what a domain has no use for, or an unknown name.
    """
    if condition.op == "const":
        return condition.value
    if condition.op == "name":
        if condition.value not in names:
            raise FormulaError(f"{condition.value!r} is not known in a domain", condition.line, condition.column)
        return names[str(condition.value)]
    if condition.op == "is":
        name, choice = condition.choice
        return names.get(name) == choice
    if condition.op == "size":
        return holds(condition.args[0], names)
    if condition.op not in OPERATIONS:
        raise FormulaError(f"{condition.op!r} has no place in a domain", condition.line, condition.column)
    return OPERATIONS[condition.op](*(holds(arg, names) for arg in condition.args))


def inside(domain: Node | None, name: str, value: Any, names: Names) -> NDArray[np.bool_]:
    """Where the domain of the input or parameter `name` holds for `value`; without a domain, where it is no NaN."""
    array = np.asarray(value)
    if array.dtype.kind not in "iubf" or array.dtype.itemsize < 8:
        array = array.astype(np.float64)  # a float16 beside 0.3 would have 0.3 rounded
    if domain is None:
        return np.asarray(array == array)
    return np.broadcast_to(np.asarray(holds(domain, {**names, name: array}), bool), array.shape)


def sizes(spec: Spec, layout: Mapping[str, int]) -> dict[str, int]:
    """The size of each dim that has an axis; a star's is the product of its axes'."""
    found = {name: expand(dim, tuple(layout)) for name, dim in spec.dims.items()}
    return {
        name: math.prod(layout[axis] for axis in axes)
        for name, axes in found.items()
        if axes or spec.dims[name].kind == "star"
    }


def names_of(domain: Node | None) -> set[str]:
    """The names that a domain uses; none where there is none."""
    return names_in(domain) if domain is not None else set()


def candidates(layout: Mapping[str, int], parameters: Names) -> NDArray[np.int64]:
    """The integers worth trying as labels: around 0 … the largest size, and the integer parameters."""
    top = max(layout.values(), default=1)
    return np.array(sorted({*range(-2, top + 2), *_integers(parameters)}), np.int64)


def _integers(parameters: Names) -> list[int]:
    return [value for value in parameters.values() if isinstance(value, int) and not isinstance(value, bool)]


def labels(item: Input, layout: Mapping[str, int], parameters: Names, names: Names) -> tuple[Any, Any]:
    """The integers that the input may hold, in two arrays: ordinary ones, and those that a parameter singles out.

    The second are values of integer parameters that the domain names: an ignored index.
    """
    values = candidates(layout, parameters)
    if item.domain is None:
        return values[values >= 0], values[:0]
    inside = np.broadcast_to(np.asarray(holds(item.domain, {**names, item.name: values}), bool), values.shape)
    singled = np.isin(values, _integers({n: v for n, v in parameters.items() if n in names_in(item.domain)}))
    return values[inside & ~singled], values[inside & singled]
