"""What lies behind the faults of a run: checks that fail for the same reason are one cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.record.baseline import Changes
from conformance.record.gate import standing

Doc = Mapping[str, Any]


@dataclass(frozen=True)
class Cause:
    """Checks that belong together; `standing` is that of the gate, `severity` the worst of their outcomes."""

    title: str
    checks: tuple[str, ...]  # ids
    standing: str
    severity: str


def causes_of(doc: Doc) -> list[Cause]:
    """The causes of all that is wrong or inaccurate: what one known difference covers, or one criterion's outputs."""
    baseline = doc["run"]["baseline"]
    changes = Changes(**baseline["changes"]) if baseline else None
    found: dict[tuple[str, str, str], list[str]] = {}
    for check in doc["checks"]:
        stands = standing(check, changes)
        if stands:
            family = check["check"].split(".")[0]
            name = ", ".join(check["known"]) if stands.startswith("known") else f"{check['criterion']} {family}"
            found.setdefault((stands, check["outcome"], f"{check['framework']}: {name}"), []).append(check["id"])
    return [Cause(title, tuple(ids), stands, severity) for (stands, severity, title), ids in sorted(found.items())]
