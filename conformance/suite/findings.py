"""What a judged case shows, and how the results file keeps it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from conformance.adapter import Adapter
from conformance.cases.case import Case
from conformance.record.model import Cell
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec
from conformance.suite.calls import call_of
from conformance.verdict.compare import AGREES, Judged, bounds
from conformance.verdict.message import headline
from conformance.verdict.tally import Finding, Measured, worst_element


def finding_of(case: Case, numbers: Numbers, judged: Judged, k: int, output: str = "value") -> Finding:
    """The finding of case k of a judged stack, at the worst element of an output."""
    if not judged.severity[k, ...].size:
        return Finding(case, AGREES, (), math.nan, math.nan, math.nan, math.nan, output=output)
    index = worst_element(judged, k)
    at = (k, *index)
    wanted, got = float(numbers.high[at]), float(judged.answer[at])
    severity, ulps, ratio = int(judged.severity[at]), float(judged.ulps[at]), float(judged.ratio[at])
    finding = Finding(case, severity, index, wanted, got, ulps, ratio, output=output, due="number")
    return replace(finding, bounds=bounds(numbers, at, severity, got, FORMATS[case.dtype]), share=_share(numbers, at))


def _share(numbers: Numbers, at: tuple[int, ...]) -> float:
    """The part of an axis's sum that the number at `at` gives up, where a gradient is defined up to a multiple."""
    if numbers.modulo is None:
        return 0.0
    one = np.zeros_like(numbers.high)
    one[at] = 1.0
    with np.errstate(all="ignore"):
        high, low, _ = numbers.modulo(one)
    return float(1.0 - (high[at] + low[at]))


def script_of(finding: Finding, spec: Spec, adapter: Adapter, cell: Cell, warnings: set[str]) -> str:
    """The call of a finding in the framework's own words; "" where the adapter, or a script, cannot say it.

    What the adapter raises goes to `warnings`.
    """
    write = getattr(adapter, "script", None)
    # A script takes a multiple out along the last axis only, and asks in no way but the usual one.
    beyond = any(m.of == finding.output and spec.inputs[m.of].shape[-1] != m.over for m in spec.modulo)
    if write is None or finding.drawn or not finding.due or finding.how or beyond:
        return ""
    wrt = () if finding.output == "value" else (finding.output,)
    try:
        return str(write(call_of(finding.case, wrt, cell.device, cell.mode)))
    except Exception as error:
        warnings.add(f"the adapter cannot write a script: {type(error).__name__}: {error}")
        return ""


def witness(kind: str, finding: Finding, command: str, script: str = "") -> dict[str, object]:
    """A finding as the results file keeps it; `script`: its call in the framework's own words."""
    found: dict[str, object] = {
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
        "output": finding.output,
        **({"asked": finding.how} if finding.how else {}),
    }
    if finding.due == "number":
        found |= {"bounds": [_text(bound) for bound in finding.bounds], "share": _text(finding.share)}
    return found | ({"due": finding.due, "script": script} if finding.due and script else {})


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
