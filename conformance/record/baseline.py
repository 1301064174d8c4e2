"""Two runs compared: what an earlier one, the baseline, did not show, check by check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from conformance.record.model import JUDGED, WRONG, new_of
from conformance.record.plain import as_float

GREW = 2.0  # an error is worse, or better, when it changed by more than this factor

_RANK = {"agrees": 0, "differs": 0, "inaccurate": 1, "error": 2, "fails": 2}  # a choice left open is not worse
KINDS = ("newly_failing", "worse", "fixed", "better", "changed", "added", "gone")


@dataclass
class Changes:
    """Check ids by what became of them since the baseline; no id stands twice.

    A check is *judged* when it agrees, differs, is inaccurate, fails or is an error.
    """

    newly_failing: list[str] = field(default_factory=list)  # fails or error, and did not; or beside what is known
    worse: list[str] = field(default_factory=list)  # lost accuracy, is wrong in another way, or its error grew
    fixed: list[str] = field(default_factory=list)  # failed, and does not
    better: list[str] = field(default_factory=list)  # no longer inaccurate, or its error shrank
    changed: list[str] = field(default_factory=list)  # another choice where the mathematics leaves one
    added: list[str] = field(default_factory=list)  # judged now, and was not
    gone: list[str] = field(default_factory=list)  # was judged, and is not now
    note: str = ""  # what the comparison could not do

    def to_json(self) -> dict[str, Any]:
        """The changes as the results file holds them."""
        return asdict(self)


def compare(baseline: Mapping[str, Any], doc: Mapping[str, Any]) -> Changes:
    """What changed from the results document `baseline` to `doc`.

    Worse: a higher rank (agrees or differs < inaccurate < fails or error), an error where it failed or the reverse, or
    an error above its budget that more than doubled. The last is asked only where both runs drew the same cases, and
    not of what known differences cover: these have limits of their own, and some depend on what memory holds.
    A check that fails now and that the baseline lists as not judged is newly failing; one that the baseline does not
    know (a newer suite added it) is added, whatever it came to.
    """
    old, new = _by_id(baseline), _by_id(doc)
    changes = Changes()
    same_cases = all(baseline["run"].get(key) == doc["run"].get(key) for key in ("suite", "seed", "effort"))
    if not same_cases:
        changes.note = (
            "the runs differ in suite version, seed or effort: outcomes are compared, sizes of errors are not"
        )
    knows = _Knowledge(baseline)
    for id in sorted(old.keys() | new.keys()):
        kind = _kind(old.get(id), new.get(id), knows, same_cases)
        if kind:
            getattr(changes, kind).append(id)
    return changes


def _by_id(doc: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {check["id"]: check for check in doc["checks"]}


class _Knowledge:
    """What a baseline planned and left unjudged: there, a fault is not the suite's addition."""

    def __init__(self, baseline: Mapping[str, Any]) -> None:
        self._not_run = {e["cell"] for e in baseline["ledger"] if "cell" in e and e["status"] == "not run"}
        self._frameworks = set(baseline["run"]["frameworks"])

    def left_out(self, check: Mapping[str, Any]) -> bool:
        """Whether the baseline run did not look at this check's cell, though its suite had it."""
        cell = check["id"].removesuffix(f"/{check['check']}")
        return cell in self._not_run or check["framework"] not in self._frameworks


def _kind(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, knows: _Knowledge, same_cases: bool) -> str:
    was = old is not None and old["outcome"] in JUDGED
    if new is None or new["outcome"] not in JUDGED:
        return "gone" if was else ""
    if old is None or not was:
        left_out = old is not None or knows.left_out(new)
        wrong = new["outcome"] in WRONG and new["level"] == "required"
        return "newly_failing" if left_out and wrong else "added"
    changed = "changed" if _choice(old) != _choice(new) else ""
    if "unspecified" in (old["level"], new["level"]):
        return changed
    return _step(old, new) or (_size(old, new) if same_cases else "") or changed


def _step(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """By outcome alone."""
    was, now = old["outcome"], new["outcome"]
    if now in WRONG and (was not in WRONG or (new_of(new) in WRONG and new_of(old) not in WRONG)):
        return "newly_failing"
    if was in WRONG and now not in WRONG:
        return "fixed"
    if _RANK[now] > _RANK[was] or (now in WRONG and now != was):
        return "worse"
    return "better" if _RANK[now] < _RANK[was] else ""


def _size(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """By how large the error is, where it is above its budget, and no known difference sets it a limit."""
    if new["known"] and new_of(new) is None:
        return ""
    was, now = (as_float(check["worst_ratio"]) or 0.0 for check in (old, new))
    if now > 1 and now > GREW * was:
        return "worse"
    return "better" if was > 1 and was > GREW * now else ""


def _choice(check: Mapping[str, Any]) -> tuple[Any, ...]:
    """The outcome and the points taken at kinks: how often depends on what was drawn, and is no change."""
    taken = sorted((str(item.get("kink")), sorted(item.get("chosen", {}))) for item in check["conventions"])
    return check["outcome"], taken
