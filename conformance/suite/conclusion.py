"""What a check came to, once all of its cases are judged: its outcome with the reason, and its two witnesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.case import Case
from conformance.record.model import Check, check_of
from conformance.suite.findings import kept, script_of, witness
from conformance.verdict.compare import NAMES
from conformance.verdict.message import full
from conformance.verdict.tally import WRITTEN, Finding, Tally
from conformance.worker.limits import DEATHS_TO_SHRINK

if TYPE_CHECKING:
    from conformance.suite.cell import CellJudge


def concluded(judge: CellJudge, name: str, tally: Tally, minimise: bool) -> Check:
    """The check of this name in the judge's cell; with `minimise`, the smallest witness of what is wrong and new is
    made as small as it goes."""
    check = check_of(
        judge.cell,
        name,
        tally.outcome,
        new=tally.new,
        recipes=tally.recipes,
        cases=sum(tally.counts.values()) - tally.counts["not run"],
        counts=dict(sorted(tally.counts.items())),
        undecided=dict(sorted(tally.undecided.items())),
        apart_ulp=tally.apart,
        worst_ulp=tally.measured.ulps,
        worst_ratio=tally.measured.ratio,
        regimes={name: kept(item) for name, item in sorted(tally.regimes.items())},
        curve=tally.curve.points,
        known=sorted(tally.known),
        message=judge.messages.get(name, "") if tally.outcome == "unsupported" else "",
    )
    conventions = ((kink, c) for kink, c in tally.conventions.items() if c)
    check.conventions = [{"kink": kink, "chosen": dict(sorted(c.items()))} for kink, c in conventions]
    worst = tally.worst
    if worst is not None and tally.smallest is not None:
        smallest = _smaller(judge, name, tally) if minimise and tally.new in {"fails", "error"} else tally.smallest
        check.message = full(check.id, NAMES[worst.severity], worst, smallest, check.counts, judge.command)
        for kind, finding in (("smallest", smallest), ("worst", worst)):
            script = script_of(finding, judge.spec, judge.adapter, judge.cell, judge.warnings)
            check.witnesses.append(witness(kind, finding, judge.command, script))
    return check


def _smaller(judge: CellJudge, check: str, tally: Tally) -> Finding:
    """The smallest case that still shows what the tally's smallest shows; that one, if none is short to write."""
    from conformance.cases.shrink import minimise

    assert tally.smallest is not None
    best, deaths = tally.smallest, judge.deaths

    def still(case: Case) -> bool:
        nonlocal best
        found = judge.retry(case, check) if judge.deaths < deaths + DEATHS_TO_SHRINK else None
        if found is not None and found.kind == best.kind:
            best = found
            return True
        return False

    minimise(best.case, judge.spec, still)
    return best if best.case.size <= WRITTEN else tally.smallest
