"""Invalid input, judged: every domain, shape and dtype of a spec violated."""

from __future__ import annotations

from conformance.cases.bench import Bench
from conformance.cases.invalid import invalid_cases
from conformance.record.model import Check, check_of
from conformance.suite.cell import CellJudge
from conformance.suite.refusals import judge_refusal


def judge_invalid(judge_of: CellJudge, id_: str, bench: Bench) -> Check:
    """The check `invalid.ID`."""
    check = f"invalid.{id_}"
    cases = invalid_cases(bench, id_)
    if not cases:
        text = "no case that was drawn violates this and nothing else"
        return check_of(judge_of.cell, check, "undecided", message=text)
    tally = judge_of.tally(check)
    tally.recipes = 1
    for asked in cases:
        judge_refusal(judge_of, tally, check, asked)
        if tally.counts["error"]:
            break  # one call that crashes or hangs is enough: the next ones would cost as much
    return next(item for item in judge_of.checks(minimise=False) if item.check == check)
