"""The gate: which checks fail a run, its exit code, and the one line that says so.

    --fail-on     fails a run, among the checks of level required
    new           fails and error that no known difference covers (with --baseline: of these, what the baseline lacks,
                  and what is worse than there)
    required      fails and error, known or not
    inaccurate    these, and inaccurate that no known difference covers
    none          nothing

Stale known differences fail under all but none. So does a run that did not come to its end: it proves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.record.baseline import Changes, compare
from conformance.record.model import WRONG, new_of

STANDINGS = ("new", "added", "as before", "known wrong", "inaccurate", "known inaccurate")  # worst first
FAIL_ON = ("new", "required", "inaccurate", "none")
PASSED, FAILED, NOTHING_RAN = 0, 1, 5  # pytest's


@dataclass(frozen=True)
class Decision:
    """What a run came to; `failing` holds check ids."""

    exit_code: int
    verdict: str
    failing: tuple[str, ...]


def conclude(doc: dict[str, Any], fail_on: str, baseline: Mapping[str, Any] | None = None, name: str = "") -> Decision:
    """The decision on a results document, which is also entered in its `run`; `name` is the baseline file's."""
    changes = compare(baseline, doc) if baseline is not None else None
    decision = enter(doc, fail_on, changes)
    if baseline is not None and changes is not None:
        doc["run"]["baseline"] = {"file": name, "suite": baseline["run"]["suite"], "changes": changes.to_json()}
    return decision


def enter(doc: dict[str, Any], fail_on: str, changes: Changes | None) -> Decision:
    """The decision on a results document, entered in its `run`, without a baseline."""
    decision = decide(doc, fail_on, changes)
    doc["run"].update(fail_on=fail_on, verdict=decision.verdict, failing=list(decision.failing), baseline=None)
    return decision


def decide(doc: Mapping[str, Any], fail_on: str = "new", changes: Changes | None = None) -> Decision:
    """The decision on a results document, of which `run` needs `stale` and `complete` only."""
    failing = tuple(check["id"] for check in doc["checks"] if is_failing(check, fail_on, changes))
    run, word, code = doc["run"], "PASS", PASSED
    if not any(check["outcome"] not in ("not run", "unsupported") for check in doc["checks"]):
        word, code = "NOTHING RAN", NOTHING_RAN
    elif fail_on != "none" and (failing or run["stale"]):
        word, code = "FAIL", FAILED
    elif not run["complete"]:
        word, code = "INCOMPLETE", PASSED if fail_on == "none" else FAILED
    return Decision(code, f"{word}: {'; '.join(_counts(doc, fail_on, changes))}", failing)


def is_failing(check: Mapping[str, Any], fail_on: str = "new", changes: Changes | None = None) -> bool:
    """Whether this check fails the run."""
    new = new_of(check)
    if check["level"] != "required" or fail_on == "none":
        return False
    if fail_on == "new" and changes is not None:
        worse = check["id"] in changes.worse and new is not None
        return worse or (check["id"] in changes.newly_failing and new in WRONG)
    if fail_on == "new":
        return new in WRONG
    return check["outcome"] in WRONG or (fail_on == "inaccurate" and new == "inaccurate")


def standing(check: Mapping[str, Any], changes: Changes | None = None) -> str:
    """Where a check stands: "new", "known wrong", "known inaccurate", "inaccurate", or "" where nothing is wrong.

    With a baseline's `changes`, what is wrong there too is "as before", and what its suite lacked is "added".
    """
    new = new_of(check)
    if check["level"] != "required":
        return ""
    if new in WRONG:
        if is_failing(check, "new", changes) or changes is None:
            return "new"
        return "added" if check["id"] in changes.added else "as before"
    if check["known"] and check["outcome"] in WRONG:
        return "known wrong"
    if new == "inaccurate":
        return "inaccurate"
    return "known inaccurate" if check["known"] and check["outcome"] == "inaccurate" else ""


def _counts(doc: Mapping[str, Any], fail_on: str, changes: Changes | None) -> list[str]:
    number = Counter(standing(check, changes) for check in doc["checks"])
    wrong, inaccurate = number["known wrong"], number["known inaccurate"]
    not_run = sum(entry["status"] == "not run" for entry in doc["ledger"])
    more = [(number["as before"], "in the baseline too"), (number["added"], "added and wrong")]
    more.append((number["inaccurate"], "more inaccurate"))
    if changes is not None:
        more += [(len(changes.worse), "worse than the baseline"), (len(changes.gone), "no longer judged")]
    more.append((len(doc["run"]["stale"]), "stale"))
    return [
        f"{number['new']} new",
        f"{wrong + inaccurate} known ({wrong} wrong, {inaccurate} inaccurate)",
        f"{not_run} not run",
        *(f"{count} {word}" for count, word in more if count),
        *([f"--fail-on {fail_on}"] if fail_on != "new" else []),
    ]
