"""What the record keeps of the criteria of a run, so that a report needs neither specs nor frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.cases.argument import argument_of
from conformance.spec.model import EdgeCase, Spec
from conformance.suite.plan import Framework, Plan


def criteria_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """The criteria that are judged, by name, as the results file keeps them."""
    names = sorted({cell.criterion for cell in plan.cells})
    return {name: _criterion(plan.specs[name], plan.frameworks) for name in names}


def _criterion(spec: Spec, frameworks: Mapping[str, Framework]) -> dict[str, Any]:
    argument = argument_of(spec)
    return {
        "title": spec.title,
        "summary": spec.summary,
        "formula": spec.formula,
        "reduce": dict(spec.reductions),
        "parameters": {name: item.default for name, item in spec.params.items()},
        "argument": argument.name if argument else None,
        "edges": {edge.id: _edge(edge) for edge in spec.edge_cases if edge.why or edge.level == "unspecified"},
        "functions": {name: _function(item, spec.name) for name, item in frameworks.items() if item.binding(spec.name)},
    }


def _edge(edge: EdgeCase) -> dict[str, Any]:
    return {"why": edge.why, **({"value": edge.value} if edge.level == "unspecified" else {})}


def _function(framework: Framework, criterion: str) -> dict[str, Any]:
    binding = framework.binding(criterion)
    assert binding is not None
    found = [{"sentence": d.sentence, "source": d.source, "when": d.when} for d in binding.differences]
    return {"name": binding.function, "differences": found}
