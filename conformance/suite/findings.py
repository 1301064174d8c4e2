"""What a judged case shows, and how the results file keeps it."""

from __future__ import annotations

import math
from dataclasses import replace

from conformance.cases.case import Case
from conformance.reference.numbers import Numbers
from conformance.verdict.compare import AGREES, Judged
from conformance.verdict.message import headline
from conformance.verdict.tally import Finding, Measured, worst_element


def finding_of(case: Case, numbers: Numbers, judged: Judged, k: int) -> Finding:
    """The finding of case k of a judged stack, at its worst element."""
    if not judged.severity[k, ...].size:
        return Finding(case, AGREES, (), math.nan, math.nan, math.nan, math.nan)
    index = worst_element(judged, k)
    at = (k, *index)
    wanted, got = float(numbers.high[at]), float(judged.answer[at])
    return Finding(case, int(judged.severity[at]), index, wanted, got, float(judged.ulps[at]), float(judged.ratio[at]))


def witness(kind: str, finding: Finding, command: str) -> dict[str, object]:
    """A finding as the results file keeps it."""
    return {
        "kind": kind,
        "case": _kept(finding),
        "hash": finding.case.hash,
        "where": list(finding.index),
        "wanted": _text(finding.wanted),
        "got": _text(finding.got) if not finding.text else finding.text,
        "ulp": finding.ulps if finding.ulps == finding.ulps and finding.ulps != float("inf") else None,
        "ratio": finding.ratio if finding.ratio == finding.ratio and finding.ratio != float("inf") else None,
        "sentence": headline("", finding).strip(),
        "command": command,
        **({"asked": finding.how} if finding.how else {}),
    }


def kept(measured: Measured) -> dict[str, int | float]:
    """What a regime came to, as the results file keeps it: to four digits, since it is for looking at."""
    ulps, ratio = (float(f"{value:.4g}") for value in (measured.ulps, measured.ratio))
    return {"cases": measured.cases, "worst_ulp": ulps, "worst_ratio": ratio}


def _kept(finding: Finding) -> dict[str, object]:
    """The finding's case; without its numbers where a recipe stands for them."""
    if not finding.drawn:
        return finding.case.to_json()
    rest = replace(finding.case, inputs={}).to_json()
    shapes = {name: list(array.shape) for name, array in finding.case.inputs.items()}
    return {**rest, "recipe": finding.drawn, "shapes": shapes}


def _text(value: float) -> str:
    return value.hex() if value == value and abs(value) != float("inf") else str(value)
