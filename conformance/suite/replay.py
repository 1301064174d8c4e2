"""Running the witnesses of a results file again, and the scripts that do so without the suite."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.adapter.load import load_adapter
from conformance.cases.case import Case, Stack
from conformance.cases.plan import bulk_case
from conformance.errors import UsageError
from conformance.record.model import Cell, roll_up
from conformance.record.results import read_results
from conformance.report.scripts import script_for, why_none
from conformance.spec import Spec, Specs
from conformance.suite.cell import CellJudge
from conformance.suite.consistency import retry_consistency
from conformance.suite.formula import in_mode
from conformance.suite.run import judge_named
from conformance.verdict.compare import DIFFERS, NAMES
from conformance.worker.isolated import Isolated


def replay(results: Path, check_id: str) -> int:
    """Prints what the witnesses of a check come to now; 1 if any still does not agree, 0 if all do.

    Raises:
        UsageError: the results hold no such check, or it has no witnesses.
    """
    document = read_results(results)
    found = _found(document, results, check_id)
    cell = Cell(*(found[name] for name in ("criterion", "framework", "device", "mode", "dtype")))
    options = document["run"].get("options", {})
    folders = [Path(path) for path in options.get("specs", [])]
    specs = Specs(folders)
    if cell.criterion not in specs:
        raise UsageError(f"this version of the suite has no criterion {cell.criterion!r}")
    option = options.get("adapters", {}).get(cell.framework, cell.framework)
    adapter = load_adapter(option, folders)
    if hasattr(adapter, "specs"):
        adapter.specs = specs
    seed = int(document["run"].get("seed", 0))
    environment, spec = adapter.environment(), specs[cell.criterion]
    isolated = Isolated(adapter, environment, option, folders)
    command = f"conformance replay RESULTS {check_id}"
    asked = in_mode(adapter, spec, cell.mode, environment)
    judge = CellJudge(spec, asked, environment, cell, (), command, isolated=isolated)
    outcomes = [_again(judge.anew(), found, witness, seed) for witness in found["witnesses"]]
    isolated.close()
    still = [outcome for outcome in outcomes if outcome in NAMES[DIFFERS:]]
    said = f"STILL SO: {len(still)} of {len(outcomes)}" if still else f"NO LONGER SO: none of {len(outcomes)}"
    print(f"{said} witnesses come to {roll_up(still or [found['outcome']])}")
    return int(bool(still))


def print_script(results: Path, check_id: str, kind: str = "smallest") -> int:
    """0, after printing the stand-alone script of a check's witness: the smallest or the worst.

    Raises:
        UsageError: the results hold no such check, it has no such witness, or there is no script of it, and why.
    """
    document = read_results(results)
    check = _found(document, results, check_id)
    witness = next((item for item in check["witnesses"] if item["kind"] == kind), check["witnesses"][0])
    script = script_for(check, witness)
    if script is None:
        raise UsageError(f"{check_id} has no script: {why_none(check, witness)}")
    print(script, end="")
    return 0


def _found(document: Mapping[str, Any], results: Path, check_id: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = next((item for item in document["checks"] if item["id"] == check_id), None)
    if found is None:
        near = difflib.get_close_matches(check_id, [item["id"] for item in document["checks"]], 1)
        raise UsageError(f"{results} holds no check {check_id!r}{f'; did you mean {near[0]}?' if near else ''}")
    if not found["witnesses"]:
        raise UsageError(f"{check_id} has no witnesses: it came to {found['outcome']!r}")
    return found


def _again(judge: CellJudge, check: Mapping[str, Any], witness: Mapping[str, Any], seed: int) -> str:
    spec, name = judge.spec, check["check"]
    if name.startswith(("edge.", "invalid.")):
        named = judge_named(judge, name, seed)
        if named is None:
            raise UsageError(f"this version of the suite has no {name} for {spec.name}")
        again = named
    else:
        case = _case_of(spec, witness)
        if name.startswith("consistency."):
            retry_consistency(judge, case, name)
        else:
            judge.judge_stack(Stack.of(case))
        again = next(item for item in judge.checks(minimise=False) if item.check == name)
    said = (again.witnesses[0]["sentence"] if again.witnesses else again.message) or f"{again.outcome} now"
    print(f"{check['id']}, {witness['kind']} witness: {said}")
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
