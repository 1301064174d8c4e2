"""A case, and a stack of cases that share layout and parameters: what every room after this one works on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from conformance.dtypes import DTYPES as NAMES

Array = NDArray[Any]

DTYPES: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(getattr(ml_dtypes, name, name))
    for name in NAMES  # NumPy itself has no bfloat16
}


def in_dtype(inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Floating inputs rounded to the dtype; integers and booleans as they are."""
    return {name: a if a.dtype.kind in "iub" else a.astype(DTYPES[dtype]) for name, a in inputs.items()}


@dataclass(frozen=True, eq=False)
class Case:
    """One call of one criterion. Floating inputs are arrays of the dtype, exactly representable by construction."""

    criterion: str
    dtype: str
    layout: Mapping[str, int]  # axis -> size, see conformance.spec.layout
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Array]  # absent optional inputs are not in it

    @property
    def size(self) -> int:
        """The number of elements of all inputs: what "smallest" means for a witness."""
        return sum(array.size for array in self.inputs.values())

    def to_json(self) -> dict[str, Any]:
        """The case as plain data; floats as hexadecimal text, so that nothing is lost."""
        return {
            "criterion": self.criterion,
            "dtype": self.dtype,
            "layout": [[axis, size] for axis, size in self.layout.items()],  # in order, which JSON objects do not keep
            "parameters": {name: _plain(value) for name, value in self.parameters.items()},
            "inputs": {name: _nested(array) for name, array in self.inputs.items()},
            "shapes": {name: list(array.shape) for name, array in self.inputs.items()},
            **({"dtypes": other} if (other := self._other_dtypes) else {}),
        }

    @property
    def _other_dtypes(self) -> dict[str, str]:
        """The dtypes of floating inputs that are not the case's: invalid ones."""
        own = DTYPES[self.dtype]
        return {name: str(a.dtype) for name, a in self.inputs.items() if a.dtype.kind not in "iub" and a.dtype != own}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Case:
        """The case that `to_json` wrote."""
        others = data.get("dtypes", {})
        dtypes = {name: DTYPES[others.get(name, data["dtype"])] for name in data["inputs"]}
        inputs = {
            name: _array(items, dtypes[name]).reshape(data["shapes"][name] if "shapes" in data else np.shape(items))
            for name, items in data["inputs"].items()
        }
        parameters = {name: _parse(value) for name, value in data["parameters"].items()}
        return Case(data["criterion"], data["dtype"], dict(data["layout"]), parameters, inputs)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that depend on the content alone."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Stack:
    """Cases that share everything but their data. Every input has one more axis, in front: the case. Where alike stacks
    were joined, so has a parameter in which they differ."""

    criterion: str
    dtype: str
    layout: Mapping[str, int]
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Array]
    regime: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)  # how it was drawn, for a reader
    cotangent: Array | None = None  # of the values, the stack's axis in front; None: 1 for each

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def __getitem__(self, k: int) -> Case:
        inputs = {name: array[k, ...] for name, array in self.inputs.items()}
        return Case(self.criterion, self.dtype, self.layout, self.parameters_of(k), inputs)

    def only(self, cases: Sequence[int] | NDArray[np.int64]) -> Stack:
        """The stack of these of its cases."""
        chosen = np.asarray(cases, int)
        cotangent = None if self.cotangent is None else self.cotangent[chosen]
        inputs = {name: array[chosen] for name, array in self.inputs.items()}
        return replace(self, parameters=self.parameters_of(chosen), inputs=inputs, cotangent=cotangent)

    def parameters_of(self, cases: Any) -> Mapping[str, Any]:
        """The parameters of one of the cases, or of some."""
        return {name: p[cases] if isinstance(p, np.ndarray) else p for name, p in self.parameters.items()}

    @staticmethod
    def of(case: Case) -> Stack:
        """The stack of this one case."""
        inputs = {name: array[None] for name, array in case.inputs.items()}
        return Stack(case.criterion, case.dtype, case.layout, case.parameters, inputs)


def by_case(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The cases of a stack in which a mask holds anywhere."""
    found: NDArray[np.bool_] = np.logical_or.reduce(mask, axis=tuple(range(1, mask.ndim)))
    return found


def _plain(value: Any) -> Any:
    return float(value).hex() if isinstance(value, float | np.floating) else value


def _parse(value: Any) -> Any:
    if isinstance(value, str) and ("0x" in value or value in {"inf", "-inf", "nan"}):
        return float.fromhex(value)
    return value


def _nested(array: Array) -> Any:
    if array.dtype.kind in "iub":
        return array.tolist()
    flat = [float(item).hex() for item in array.astype(np.float64).ravel()]
    return np.array(flat, dtype=object).reshape(array.shape).tolist()


def _array(items: Any, dtype: np.dtype[Any]) -> Array:
    raw = np.array(items, dtype=object)
    if raw.size and isinstance(raw.ravel()[0], str):
        values = np.array([float.fromhex(item) for item in raw.ravel()]).reshape(raw.shape)
        return values.astype(dtype)
    if raw.size and isinstance(raw.ravel()[0], bool):
        return raw.astype(bool)
    return raw.astype(np.int64) if raw.size else raw.astype(dtype)
