"""The results document: made from a run's record, written, read back and checked against its schema."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import conformance
from conformance._resources import folder
from conformance.errors import FileError
from conformance.record.gate import conclude
from conformance.record.journal import Record, parse_journal
from conformance.record.plain import dumps, plain

SCHEMA = 1
TIMES = frozenset({"seconds", "started", "compiling"})
REMEDY = "give a file that --results wrote"


def run_info(
    frameworks: Mapping[str, Mapping[str, str]], *, seed: int, effort: str, fail_on: str, **options: Any
) -> dict[str, Any]:
    """What a journal's first line says of a run. `frameworks` maps each name to its versions.

    `options` should hold what decides the outcome, and no output paths: these would make equal runs differ.
    """
    return {
        "suite": conformance.__version__,
        "frameworks": frameworks,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": _version("numpy"),
        "seed": seed,
        "effort": effort,
        "fail_on": fail_on,
        "options": options,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def results_of(record: Record, baseline: Mapping[str, Any] | None = None, baseline_name: str = "") -> dict[str, Any]:
    """The results document of a run, its verdict included, also where the run was cut off."""
    checks = {check["id"]: check for cell in record.judged.values() for check in cell["checks"]}
    ledger = _cells(record) + [_unrun_check(check) for check in checks.values() if check["outcome"] == "not run"]
    end = record.end or {"seconds": None, "complete": False}
    unexplained = set(record.plan) - record.judged.keys() - record.not_run.keys()
    run = {"stale": [], "fixed_upstream": [], **record.run, **end}
    for key, of_cell in (("stale", "stale"), ("fixed_upstream", "fixed")):  # cells end in any order
        run[key] = sorted({*run[key], *(text for cell in record.judged.values() for text in cell[of_cell])})
    run["complete"] = bool(end["complete"]) and not unexplained
    doc: dict[str, Any] = {
        "schema": SCHEMA,
        "run": run,
        "checks": [checks[id] for id in sorted(checks)],
        "ledger": sorted(ledger, key=lambda entry: entry.get("cell") or entry["check"]),
        **({"criteria": record.criteria} if record.criteria else {}),
    }
    doc = plain(doc)
    conclude(doc, run.get("fail_on", "new"), baseline, baseline_name)
    return doc


def _cells(record: Record) -> list[dict[str, Any]]:
    """One entry for each cell that was planned; its recipes and cases are those of the check that saw the most."""
    entries = []
    for cell in sorted({*record.plan, *record.judged, *record.not_run}):
        if cell in record.judged:
            checks, seconds = record.judged[cell]["checks"], record.judged[cell]["seconds"]
            recipes, cases = (max((check[key] for check in checks), default=0) for key in ("recipes", "cases"))
            reference = record.judged[cell]["reference"]
            more = {} if reference is None else {"reference": reference}
            more |= {"compiling": found} if (found := record.judged[cell].get("compiling")) else {}
            entries.append(_entry("ran", "", seconds, recipes, cases) | {"cell": cell, **more})
        else:
            reason = record.not_run.get(cell, "the run ended before it")
            entries.append(_entry("not run", reason) | {"cell": cell})
    return entries


def _unrun_check(check: Mapping[str, Any]) -> dict[str, Any]:
    return _entry("not run", check["message"] or "no reason given") | {"check": check["id"]}


def _entry(status: str, reason: str, seconds: float | None = None, recipes: int = 0, cases: int = 0) -> dict[str, Any]:
    return {"status": status, "reason": reason, "seconds": seconds, "recipes": recipes, "cases": cases}


def without_times(doc: Any) -> Any:
    """`doc` without what differs between two equal runs: the keys in `TIMES`."""
    if isinstance(doc, dict):
        return {key: without_times(value) for key, value in doc.items() if key not in TIMES}
    return [without_times(item) for item in doc] if isinstance(doc, list) else doc


def write_results(path: Path | str, doc: Mapping[str, Any]) -> None:
    """Write a results document. A reader sees the old file or the new one, never half of one.

    Raises:
        FileError: the place cannot be written.
    """
    write_text(path, _lines(doc), "--results")


def _lines(doc: Mapping[str, Any]) -> str:
    """The document as JSON, a line for each check and each entry of the ledger, for tools that compare lines."""
    parts = []
    for key in sorted(doc):
        value = doc[key]
        if isinstance(value, list):
            rows = ",\n".join(dumps(item) for item in value)
            parts.append(f"{dumps(key)}:[\n{rows}\n]" if value else f"{dumps(key)}:[]")
        else:
            parts.append(f"{dumps(key)}:{dumps(value)}")
    return "{" + ",\n".join(parts) + "}\n"


def write_text(path: Path | str, text: str, option: str) -> None:
    """Write a file in one step; `option` is what the user gave the path to.

    Raises:
        FileError: the place cannot be written.
    """
    target = Path(path).resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    if target.exists() and not target.is_file():
        temporary = target  # a pipe or /dev/null is written to, not replaced; a folder is refused
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, target)
    except OSError as error:
        if temporary != target:
            temporary.unlink(missing_ok=True)
        raise FileError(f"{path} cannot be written ({error.strerror}); choose another path for {option}") from None


def read_results(path: Path | str) -> dict[str, Any]:
    """The results document in a file; a journal, which a run that was cut off leaves, is made into one.

    Raises:
        FileError: it cannot be read, is no JSON, or is no results document of this version.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise FileError(f"the results file {path} cannot be read ({error.strerror}); {REMEDY}") from None
    record = parse_journal(text)
    if record is None:
        return _checked(path, _parsed(path, text))
    try:
        doc = results_of(record)
    except (KeyError, TypeError, AttributeError):
        raise FileError(f"the journal {path} is damaged, so no results can be made of it; run again") from None
    return _checked(path, doc)


def _parsed(path: Path | str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise FileError(f"the results file {path} is nested too deeply to be one; {REMEDY}") from None
    except ValueError as error:
        raise FileError(f"the results file {path} is not JSON ({error}); {REMEDY}") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")


def _checked(path: Path | str, doc: Any) -> dict[str, Any]:
    if not isinstance(doc, dict) or "schema" not in doc:
        raise FileError(f'{path} is JSON but no results file: it lacks "schema"; {REMEDY}')
    if doc["schema"] != SCHEMA:
        run = doc.get("run")
        wrote = f", written by version {run['suite']!r:.40}" if isinstance(run, dict) and "suite" in run else ""
        raise FileError(
            f"the results file {path} has schema {doc['schema']!r:.40}{wrote}, and loss-conformance "
            f"{conformance.__version__} reads schema {SCHEMA}; make it again with this one, or read it with that one"
        )
    fault = first_fault(doc)
    if fault:
        raise FileError(f"the results file {path} is damaged: {fault}; make it again with --results")
    return doc


def first_fault(doc: Any) -> str | None:
    """Where a document breaks the schema, and how; None where it does not."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    schema = json.loads((folder("reports") / "results.schema.json").read_text(encoding="utf-8"))
    error = best_match(Draft202012Validator(schema).iter_errors(doc))
    if error is None:
        return None
    place = error.json_path.removeprefix("$").lstrip(".") or "the document"
    message = error.message if len(error.message) < 200 else f"{error.message[:150]} ..."
    return f"{place}: {message}"
