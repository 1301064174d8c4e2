"""The embedded default: the spec's own formula, in the dtype's own NumPy numbers, with no framework installed.

It shows what the formula as written loses in a dtype, and that the suite runs. It is no oracle, and no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

import conformance
from conformance.cases.bind import full_cotangent, full_rank, make_tape, output_shapes, outside, rank_of
from conformance.cases.case import DTYPES, Case, Stack
from conformance.formula.algebra import Term
from conformance.formula.plain import Plain
from conformance.spec import Spec, match, spec_for


class Adapter:
    """NumPy, running the formulas."""

    name = "numpy"

    def __init__(self, specs: Mapping[str, Spec] | None = None) -> None:
        self.specs = specs  # those of the run, where there is one

    def environment(self) -> conformance.Environment:
        """NumPy's version."""
        return conformance.Environment(versions={"numpy": np.__version__}, modes=("formula",), cotangents=True)

    def binding(self, criterion: str) -> conformance.Binding:
        """The formula itself, for every criterion."""
        return conformance.Binding(function=f"the formula of {criterion}")

    def run(self, call: conformance.Call) -> conformance.Output:
        """Value and gradients by the formula and its derivative, in the dtype."""
        spec = spec_for(call.criterion) if self.specs is None else self.specs[call.criterion]
        layout = match(spec, {name: array.shape for name, array in call.inputs.items()})
        if layout is None:
            raise ValueError("the shapes do not fit")
        stack = Stack.of(Case(call.criterion, call.dtype, layout, call.parameters, call.inputs))
        stack = stack if call.cotangent is None else replace(stack, cotangent=call.cotangent[None])
        if refused := [item.name for item in outside(spec, stack) if item.must_raise]:
            raise ValueError(f"out of domain: {', '.join(refused)}")
        return self._evaluate(spec, stack, call.wrt)

    def _evaluate(self, spec: Spec, stack: Stack, wrt: tuple[str, ...]) -> conformance.Output:
        dtype = DTYPES[stack.dtype]
        arrays = {name: full_rank(spec, stack.layout, name, array) for name, array in stack.inputs.items()}
        root = spec.reduce[stack.parameters.get("reduction", "none")]
        with np.errstate(all="ignore"):
            tape = make_tape(spec, stack, Plain(dtype, rank_of(spec, stack.layout)), arrays)
            found = {"value": tape.term(root).data}
            given = full_cotangent(spec, stack)
            cotangent = None if given is None else Term(given)
            found |= {name: term.data for name, term in tape.gradients(root, wrt, cotangent).items()}
        shapes = output_shapes(spec, stack, wrt)
        done = {
            name: np.broadcast_to(found[name], full).reshape(shape)[0].astype(dtype)
            for name, (full, shape) in shapes.items()
        }
        return conformance.Output(done.pop("value"), done)
