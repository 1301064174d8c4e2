"""Running the witnesses of a results file again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.adapter import Adapter
from conformance.adapter.load import load_adapter
from conformance.cases.case import Case, Stack
from conformance.cases.plan import bulk_case
from conformance.errors import UsageError
from conformance.record.model import Cell
from conformance.record.results import read_results
from conformance.spec import Spec, load_specs, specs_folder
from conformance.suite.cell import CellJudge
from conformance.suite.run import judge_named
from conformance.verdict.compare import DIFFERS, NAMES


def replay(results: Path, check_id: str) -> int:
    """Prints what the witnesses of a check come to now; 1 if any still does not agree, 0 if all do.

    Raises:
        UsageError: the results hold no such check, or it has no witnesses.
    """
    document = read_results(results)
    found = next((check for check in document["checks"] if check["id"] == check_id), None)
    if found is None:
        raise UsageError(f"{results} holds no check {check_id!r}")
    if not found["witnesses"]:
        raise UsageError(f"{check_id} has no witnesses: it came to {found['outcome']!r}")
    cell = Cell(*(found[name] for name in ("criterion", "framework", "device", "mode", "dtype")))
    options = document["run"].get("options", {})
    specs = load_specs([specs_folder(), *(Path(path) for path in options.get("specs", []))])
    if cell.criterion not in specs:
        raise UsageError(f"this version of the suite has no criterion {cell.criterion!r}")
    adapter = load_adapter(options.get("adapters", {}).get(cell.framework, cell.framework))
    if hasattr(adapter, "specs"):
        adapter.specs = specs
    seed = int(document["run"].get("seed", 0))
    outcomes = [_again(specs[cell.criterion], adapter, cell, found, witness, seed) for witness in found["witnesses"]]
    return int(any(outcome in NAMES[DIFFERS:] for outcome in outcomes))


def _again(
    spec: Spec, adapter: Adapter, cell: Cell, check: Mapping[str, Any], witness: Mapping[str, Any], seed: int
) -> str:
    judge = CellJudge(spec, adapter, adapter.environment(), cell, (), f"conformance replay RESULTS {check['id']}")
    name = check["check"]
    if name.startswith(("edge.", "invalid.")):
        named = judge_named(judge, name, seed)
        if named is None:
            raise UsageError(f"this version of the suite has no {name} for {cell.criterion}")
        again = named
    else:
        judge.judge_stack(Stack.of(_case_of(spec, witness)))
        again = next(item for item in judge.checks(minimise=False) if item.check == name)
    print(again.message or f"{check['id']}: {again.outcome} ({witness['kind']} witness)")
    return again.outcome


def _case_of(spec: Spec, witness: Mapping[str, Any]) -> Case:
    """The case of a witness: as it was written, or drawn again by its recipe."""
    data = witness["case"]
    if "recipe" not in data:
        return Case.from_json(data)
    case = bulk_case(spec, data["dtype"], data["recipe"])
    if case is None or case.hash != witness["hash"]:
        raise UsageError(f"this version of the suite draws another case from {spec.name}'s recipe {data['recipe']!r}")
    return case
