"""The right implementation and the mutants as adapters."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance import Binding, Call, Environment, Output
from conformance.cases.bind import outside
from conformance.cases.case import DTYPES, Case, Stack, in_dtype
from conformance.spec import match, spec_for
from conformance.spec.model import Spec
from tests.controls.first import First
from tests.controls.parts import Given
from tests.mutants.registry import Memory, Mutant, OfGiven


def refusal(spec: Spec, call: Call) -> str:
    """Why a call is out of domain; "" where it is not."""
    layout = match(spec, {name: array.shape for name, array in call.inputs.items()})
    if layout is None:
        return "the shapes do not fit"
    stack = Stack.of(Case(call.criterion, call.dtype, layout, call.parameters, call.inputs))
    refused = ", ".join(item.name for item in outside(spec, stack))
    return f"out of domain: {refused}" if refused else ""


class Implementation:
    """A criterion by hand, right unless `function` is not: what is out of domain is refused, the rest is answered."""

    name = "right"

    def __init__(self, criterion: str, function: OfGiven | None = None) -> None:
        self._spec: Spec = spec_for(criterion)
        self._function = function or First.criteria[criterion]

    def environment(self) -> Environment:
        return Environment(versions={"numpy": np.__version__}, dtypes=tuple(DTYPES))

    def binding(self, criterion: str) -> Binding | None:
        return Binding(f"{self.name}.{criterion}") if criterion == self._spec.name else None

    def run(self, call: Call) -> Output:
        if why := refusal(self._spec, call):
            raise ValueError(why)
        return self.answer(call)

    def answer(self, call: Call) -> Output:
        dtype = DTYPES[call.dtype]
        inside = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
        stacked = {name: array[None] for name, array in in_dtype(call.inputs, inside.name).items()}
        with np.errstate(all="ignore"):
            found = self._function(Given(stacked, call.parameters, inside))
            value, *slopes = (self._out(a, dtype) for a in (found.value, *(found.gradients[n] for n in call.wrt)))
        return Output(value, dict(zip(call.wrt, slopes, strict=True)))

    def _out(self, array: Any, dtype: np.dtype[Any]) -> Any:
        return np.asarray(array)[0, ...].astype(dtype)


class Faulty:
    """A mutant as an adapter, with a memory of its own."""

    name = "mutant"

    def __init__(self, mutant: Mutant) -> None:
        self._of_call = mutant.of_call
        self._right = Implementation(mutant.criterion, mutant.of_given)
        self._memory: Memory = {}

    def environment(self) -> Environment:
        return self._right.environment()

    def binding(self, criterion: str) -> Binding | None:
        return self._right.binding(criterion)

    def run(self, call: Call) -> Output:
        if self._of_call is None:
            return self._right.run(call)
        with np.errstate(all="ignore"):
            return self._of_call(call, self._right, self._memory)
