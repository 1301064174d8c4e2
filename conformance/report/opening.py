"""The beginning of a page: what each framework came to in a sentence, what changed, and what was not looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.record.causes import changes_of
from conformance.record.gate import standing
from conformance.report.amounts import totals
from conformance.report.terminal import CHANGES
from conformance.report.view import label, not_run, unsupported
from conformance.report.words import number, plural

Doc = Mapping[str, Any]
DEVICES = {"cpu": "CPU", "cuda": "CUDA"}


def sentences(doc: Doc) -> list[str]:
    """For each framework: `torch 2.13.0, CPU: 412 of 431 required checks agree; 14 known, 5 new`."""
    changes = changes_of(doc)
    found = []
    for framework in sorted(doc["run"]["frameworks"]):
        mine = [c for c in doc["checks"] if c["framework"] == framework and c["level"] == "required"]
        judged = [check for check in mine if check["outcome"] not in ("unsupported", "not run")]
        outcomes = Counter(check["outcome"] for check in judged)
        stands = Counter(standing(check, changes) for check in judged)
        devices = ", ".join(sorted({DEVICES.get(check["device"], check["device"]) for check in mine}))
        known = stands["known wrong"] + stands["known inaccurate"]
        parts = [f"{known:,} known", f"{stands['new']:,} new"]
        rest = (
            (stands["added"], "added and wrong"),
            (stands["as before"], "wrong in the baseline too"),
            (stands["inaccurate"], "inaccurate"),
            (outcomes["differs"], "choices that differ"),
            (outcomes["undecided"], "undecided"),
        )
        parts += [f"{count:,} {word}" for count, word in rest if count]
        who = f"{label(doc, framework)}, {devices}" if devices else label(doc, framework)
        total = plural(len(judged), "required check")
        found.append(f"{who}: {outcomes['agrees']:,} of {total} agree; {', '.join(parts)}")
    return found


@dataclass(frozen=True)
class Since:
    """What changed since a baseline."""

    names: str
    file: str
    suite: str
    note: str
    lists: Sequence[
        tuple[str, Sequence[tuple[str, Mapping[str, Any] | None]]]
    ]  # what, and the checks: id, and as it is


def since(doc: Doc, names: str) -> Since | None:
    """The changes, worst first; None without a baseline."""
    baseline = doc["run"]["baseline"]
    if not baseline:
        return None
    checks = {check["id"]: check for check in doc["checks"]}
    changes = baseline["changes"]
    lists = [(word, [(id, checks.get(id)) for id in changes[key]]) for key, word in ORDER.items() if changes[key]]
    return Since(names, baseline["file"], baseline["suite"], changes["note"], lists)


ORDER = {key: CHANGES[key] for key in ("newly_failing", "fixed", "worse", "better", "changed", "added", "gone")}


def left_out(doc: Doc) -> str:
    """What did not run, and why, in a sentence; "" where everything did."""
    parts = []
    for what, reasons in (("not run", not_run(doc)), ("unsupported", unsupported(doc))):
        count = sum(len(reason.ids) for reason in reasons)
        if count:
            more = f", and {plural(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
            parts.append(f"{count:,} {what} ({reasons[0].text}{more})")
    return "; ".join(parts)


def facts(doc: Doc) -> list[tuple[str, str]]:
    """Versions, date and seed, and how much was looked at."""
    run, sums = doc["run"], totals(doc)
    versions = [
        f"{package} {version}" if package == name else f"{name}: {package} {version}"
        for name, packages in sorted(run["frameworks"].items())
        for package, version in sorted(packages.items())
    ]
    versions += [f"loss-conformance {run['suite']}", f"NumPy {run['numpy']}", f"Python {run['python']}"]
    took = f", {number(run['seconds'])} s" if isinstance(run["seconds"], int | float) else ""
    seen = [plural(sums.checks, "check"), plural(sums.recipes, "recipe"), plural(sums.cases, "case")]
    if sums.undecided_cases:
        seen.append(f"{plural(sums.undecided_cases, 'verdict')} on single cases undecided")
    return [
        ("Versions", ", ".join(versions)),
        ("Run", f"{run['started']}{took}; seed {run['seed']}, effort {run['effort']}"),
        ("Looked at", ", ".join(seen)),
    ]
