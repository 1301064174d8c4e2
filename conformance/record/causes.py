"""Causes: the checks that one fault explains, as far as a record can tell. A person reads causes; checks are many."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.record.baseline import Changes
from conformance.record.gate import STANDINGS, standing
from conformance.record.model import JUDGED, OUTCOMES
from conformance.record.plain import as_number

Doc = Mapping[str, Any]
Check = Mapping[str, Any]
REDUCTIONS = {"none", "mean", "sum"}


@dataclass(frozen=True)
class Cause:
    """What several checks have in common."""

    title: str
    checks: tuple[str, ...]  # ids
    standing: str  # one of gate.STANDINGS
    severity: str  # the worst of their outcomes
    entry: str = ""  # the known difference that it is
    everywhere: bool = False  # all frameworks that were judged show it, and there are two or more: look at the spec


def causes_of(*docs: Doc) -> list[Cause]:
    """What is wrong or inaccurate in results documents, by cause, worst first.

    A known difference is a cause; a check that several cover has part in each. What no known difference covers shares
    a cause if criterion, kind of output (the value, or a gradient) and symptom (NaN, too large, the wrong sign, …) are
    the same, whatever the dtype, device, mode, reduction or framework; errors do if they say the same.
    """
    every = [check for doc in docs for check in doc["checks"]]
    groups: dict[tuple[str, str, str], list[Check]] = {}
    for doc in docs:
        for check in doc["checks"]:
            if place := standing(check, changes_of(doc)):
                entries = check["known"] if place.startswith("known") else [""]
                for entry in entries:
                    groups.setdefault((place, entry, entry or _symptom(check)), []).append(check)
    causes = [_cause(*key, checks, every) for key, checks in groups.items()]
    return sorted(causes, key=_worst_first)


def changes_of(doc: Doc) -> Changes | None:
    """What changed since a document's baseline, if it has one."""
    baseline = doc["run"].get("baseline")
    return Changes(**baseline["changes"]) if baseline else None


def _worst_first(cause: Cause) -> tuple[int, int, int, str]:
    return STANDINGS.index(cause.standing), -OUTCOMES.index(cause.severity), -len(cause.checks), cause.title


def _cause(place: str, entry: str, name: str, checks: Sequence[Check], every: Iterable[Check]) -> Cause:
    criteria = {check["criterion"] for check in checks}
    judged = [check for check in every if check["criterion"] in criteria and check["outcome"] in JUDGED]
    everywhere = not entry and len(_frameworks(judged)) > 1 and _frameworks(checks) == _frameworks(judged)
    extent = [
        _part(checks, judged, "framework"),
        *(_part(checks, judged, key) for key in ("device", "mode", "dtype")),
        _reductions(checks),
        "in every framework: look at the spec first" if everywhere else "",
    ]
    known = ", ".join(part for part in extent if part)
    title = f"{name} ({known})" if known else name
    severity = max((check["outcome"] for check in checks), key=OUTCOMES.index)
    return Cause(title, tuple(sorted({check["id"] for check in checks})), place, severity, entry, everywhere)


def _frameworks(checks: Iterable[Check]) -> set[str]:
    """The frameworks, whatever interpreter they run in (`torch@PATH`)."""
    return {check["framework"].split("@")[0] for check in checks}


def _part(checks: Sequence[Check], judged: Sequence[Check], key: str) -> str:
    """Which frameworks, devices, modes or dtypes show it, where others were judged too."""
    here, there = ({check[key] for check in some} for some in (checks, judged))
    if len(there) < 2:
        return ""
    return f"all {len(there)} {key}s" if here == there else f"{key} {', '.join(sorted(here))}"


def _reductions(checks: Sequence[Check]) -> str:
    """In which reductions the witnesses show it."""
    given = [witness["case"].get("parameters") for check in checks for witness in check["witnesses"]]
    seen = {str(item["reduction"]) for item in given if isinstance(item, Mapping) and "reduction" in item}
    if seen >= REDUCTIONS:
        return "all reductions"
    return f"witnesses with reduction {', '.join(sorted(seen))}" if seen else ""


def _symptom(check: Check) -> str:
    """`cross_entropy gradient: NaN where a number is due`; of an error, what it says."""
    smallest: Mapping[str, Any] = next(iter(check["witnesses"]), {})
    wanted, got = as_number(smallest.get("wanted")), as_number(smallest.get("got"))
    if wanted is None or got is None:
        said = str(smallest.get("got") or check["message"]).strip() or check["outcome"]
        said = re.sub(r"\d[\w.+-]*", "…", said.splitlines()[0])[:100]
        return said if check["outcome"] == "error" else f"{check['criterion']} {_kind(check, smallest)}: {said}"
    lost = "digits lost" if check["outcome"] == "inaccurate" and math.isfinite(got) else _deviation(wanted, got)
    return f"{check['criterion']} {_kind(check, smallest)}: {lost}"


def _kind(check: Check, witness: Mapping[str, Any]) -> str:
    """`value` or `gradient`, of an edge case too; else the check's own name."""
    name = str(check["check"])
    if name.startswith("edge."):
        return "value" if witness.get("output", "value") == "value" else "gradient"
    return "gradient" if name.startswith("gradient.") else name


def _deviation(wanted: float, got: float) -> str:
    due = "NaN" if math.isnan(wanted) else "an infinity" if math.isinf(wanted) else "a number"
    if math.isnan(got):
        return f"NaN where {due} is due"
    if math.isinf(got) != math.isinf(wanted) or math.isnan(wanted):
        return f"{'infinite' if math.isinf(got) else 'finite'} where {due} is due"
    if got == 0 or wanted == 0:
        return "0 where it is not" if got == 0 else "not 0 where it is"
    if (got < 0) != (wanted < 0):
        return "the wrong sign"
    return "too large" if abs(got) > abs(wanted) else "too small"
