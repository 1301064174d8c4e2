"""Shards of one run, made into one results document: times aside, what the run would have come to in one piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conformance.errors import UsageError
from conformance.record.baseline import KINDS, Changes
from conformance.record.gate import enter
from conformance.record.identity import differences, joined
from conformance.record.plain import dumps

Doc = Mapping[str, Any]


def merged(docs: Sequence[Doc]) -> list[Doc]:
    """The documents, in their order, with the shards of each run made into one. A shard that is missing leaves its
    cells `not run`, and the run incomplete.

    Raises:
        UsageError: a shard is given twice, or shards of the same frameworks are of different runs.
    """
    whole: list[Doc] = []
    shards: dict[tuple[int, str], dict[int, Doc]] = {}
    for doc in docs:
        if "shard" not in doc["run"]:
            whole.append(doc)
            continue
        i, n = map(int, doc["run"]["shard"].split("/"))
        mine = shards.setdefault((n, dumps(doc["run"]["frameworks"])), {})
        if i in mine:
            raise UsageError(f"shard {i}/{n} is given twice")
        mine[i] = doc
    return whole + [_one([found[i] for i in sorted(found)], n) for (n, _), found in shards.items()]


def _one(shards: Sequence[Doc], n: int) -> Doc:
    first = shards[0]["run"]
    run = dict(first)
    for doc in shards[1:]:
        if found := differences(first, doc["run"]):
            both = f"the shards {first['shard']} and {doc['run']['shard']}"
            raise UsageError(f"{both} are of different runs ({'; '.join(found)})")
        run = joined(run, doc["run"])
    del run["shard"]
    for key in ("stale", "fixed_upstream"):
        run[key] = sorted({text for doc in shards for text in doc["run"][key]})
    run["complete"] = len(shards) == n and all(doc["run"]["complete"] for doc in shards)
    run["seconds"] = sum(float(doc["run"]["seconds"] or 0) for doc in shards)
    run["started"] = min(doc["run"]["started"] for doc in shards)
    checks = {check["id"]: check for doc in shards for check in doc["checks"]}
    merged: dict[str, Any] = {
        "schema": shards[0]["schema"],
        "run": run,
        "checks": [checks[id] for id in sorted(checks)],
        "ledger": _ledger(shards),
    }
    if criteria := {name: about for doc in shards for name, about in doc.get("criteria", {}).items()}:
        merged["criteria"] = criteria
    changes = [doc["run"]["baseline"] for doc in shards]
    whole = _changes(shards) if all(changes) else None
    enter(merged, run["fail_on"], whole)
    if whole is not None:
        run["baseline"] = {**first["baseline"], "changes": whole.to_json()}
    return merged


def _ledger(shards: Sequence[Doc]) -> list[Mapping[str, Any]]:
    """An entry for each cell: what its own shard says, which is what no other does."""
    entries: dict[str, Mapping[str, Any]] = {}
    for doc in shards:
        for entry in doc["ledger"]:
            key = entry.get("cell") or entry["check"]
            if key not in entries or _is_elsewhere(entries[key]):
                entries[key] = entry
    return [entries[key] for key in sorted(entries)]


def _is_elsewhere(entry: Mapping[str, Any]) -> bool:
    return entry["status"] == "not run" and str(entry["reason"]).startswith("shard ")


def _changes(shards: Sequence[Doc]) -> Changes:
    """Since the baseline: what any shard saw; gone is only what no shard judged."""
    seen = [doc["run"]["baseline"]["changes"] for doc in shards]
    union = {kind: sorted({id for changes in seen for id in changes[kind]}) for kind in KINDS}
    union["gone"] = sorted(set.intersection(*(set(changes["gone"]) for changes in seen)))
    return Changes(**union, note=seen[0]["note"])
