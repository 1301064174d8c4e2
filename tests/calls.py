"""Calls of an adapter, as its tests make them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Call, Output
from conformance.cases.case import Stack, in_dtype
from conformance.reference.evaluate import evaluate_stack
from conformance.spec import load_specs, spec_for, specs_folder
from conformance.suite.edges import applies, edge_case
from conformance.suite.formula import code_for


def call_of(criterion: str, inputs: dict[str, Any], dtype: str = "float64", **more: Any) -> Call:
    """A call without a reduction, unless `parameters` names one; floating inputs are rounded to the dtype."""
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    return Call(criterion, in_dtype(arrays, dtype), {"reduction": "none", **more.pop("parameters", {})}, dtype, **more)


def formula_edges() -> Iterator[Any]:
    """The edge cases that the mathematics decides, as parameters of a test: spec and edge."""
    for name, spec in load_specs([specs_folder()]).items():
        for edge in spec.edge_cases:
            if edge.error is None and edge.level == "required" and applies(edge, spec, "float64"):
                yield pytest.param(spec, edge, id=f"{name}-{edge.id}")


def formula_answer(
    adapter: Adapter, criterion: str, inputs: dict[str, Any], wrt: tuple[str, ...], dtype: str = "float64", **given: Any
) -> Output:
    """What the printed code of a formula, run by an adapter, answers; parameters that are left out take their
    defaults."""
    spec = spec_for(criterion)
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    parameters = {name: item.default for name, item in spec.params.items()} | given
    code = code_for(spec, adapter.name.partition(":")[0])  # to ask for the environment may compile
    return adapter.run(Call(criterion, arrays, parameters, dtype, mode="formula", wrt=wrt, code=code))


def check_formula(adapter: Adapter, spec: Any, edge: Any) -> None:
    """Whether the printed code of a formula, run by an adapter, meets an edge case of its spec in float64."""
    case, wrt = edge_case(edge, spec, "float64"), tuple(edge.gradient)
    output = formula_answer(adapter, spec.name, dict(case.inputs), wrt, **case.parameters)
    if edge.value is not None:
        np.testing.assert_allclose(output.value, np.array(edge.value, float), rtol=1e-13, atol=1e-15)
    for name in wrt:
        np.testing.assert_allclose(output.gradients[name], np.array(edge.gradient[name], float), rtol=1e-13, atol=1e-15)


def check_formula_by_reference(adapter: Adapter, criterion: str) -> None:
    """Whether the printed code of a formula, run by an adapter in float64, answers what the reference does.

    The case is the criterion's first edge case that says something of a gradient, or its first one if none does.
    """
    spec = spec_for(criterion)
    edges = [e for e in spec.edge_cases if e.level == "required" and e.error is None and applies(e, spec, "float64")]
    edge = min(edges, key=lambda edge: not edge.gradient)
    case, wrt = edge_case(edge, spec, "float64"), tuple(edge.gradient)
    output = formula_answer(adapter, criterion, dict(case.inputs), wrt, **case.parameters)
    numbers = evaluate_stack(spec, Stack.of(case), wrt)
    for name, got in {"value": output.value, **output.gradients}.items():
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, numbers[name].high[0], rtol=1e-13, atol=1e-15)


def is_imported_unasked(framework: str) -> bool:
    """Whether listing the built-in adapters, in a new process, imports the framework."""
    code = "import sys, conformance.cli, conformance.adapter.load as l; l.built_in(); sys.exit(%r in sys.modules)"
    return subprocess.run([sys.executable, "-c", code % framework], check=False).returncode != 0
