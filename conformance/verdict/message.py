"""The sentences of a verdict. A failure message stands alone: what, where, wanted, got, how far, how to repeat it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.verdict.compare import NAMES
from conformance.verdict.tally import Finding

MEANS = {
    "fails": "outside the budget of every sound implementation",
    "inaccurate": "within the budget of a textbook-stable form, outside that of the formula: digits are lost",
    "error": "no value came back",
    "differs": "an answer where the mathematics leaves it open",
}


def number(value: float) -> str:
    """A float for a reader, and exactly."""
    return f"{value!r} ({value.hex()})" if math.isfinite(value) else repr(value)


def quantity(value: float) -> str:
    """A size in few digits: `3.1`, `12,582`, `4.1e+09`."""
    if not math.isfinite(value):
        return "∞" if value > 0 else str(value)
    return f"{value:.3g}" if value < 1000 or value >= 1e7 else f"{value:,.0f}"


def distance(finding: Finding) -> str:
    """`3.1 ulp, 40 % of budget`."""
    if not math.isfinite(finding.ulps):
        return "a wrong special value"
    share = finding.ratio * 100
    times = f"{share:.0f} % of budget" if share < 1000 else f"{quantity(finding.ratio)} × the budget"
    return f"{quantity(finding.ulps)} ulp, {times}"


def headline(check_id: str, finding: Finding) -> str:
    """The verdict in one line."""
    how = f", {finding.how}" if finding.how else ""
    if finding.text:
        return f"{check_id} {_verb(finding.severity)}: {first_line(finding.text)}{how}"
    at = f" at {list(finding.index)}" if finding.index else ""
    said = f"wanted {finding.wanted!r}, got {finding.got!r}{at} ({distance(finding)})"
    return f"{check_id} {_verb(finding.severity)}: {said}{how}"


def _verb(severity: int) -> str:
    name = NAMES[severity]
    return {"error": "raises", "inaccurate": "is inaccurate"}.get(name, name)


def first_line(text: str, width: int = 200) -> str:
    """The first line of a text, cut to `width`."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= width else line[: width - 1] + "…"


def full(
    check_id: str, outcome: str, worst: Finding, smallest: Finding, counts: Mapping[str, int], command: str
) -> str:
    """The whole message of a check that did not agree."""
    tally = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
    told = worst.text if outcome in {"fails", "differs"} else ""  # it was no number that was too far off
    lines = [f"{check_id}: {outcome} — {first_line(told) or MEANS.get(outcome, '')} ({tally})"]
    lines += _witness("smallest", smallest)
    if worst is not smallest:
        lines += _witness("worst", worst)
    return "\n".join([*lines, f"  repeat:   {command}"])


def _witness(kind: str, finding: Finding) -> list[str]:
    lines = [f"  {kind}:"]
    if finding.text:
        lines.append(f"    what:   {first_line(finding.text)}")
    else:
        at = f"   at {list(finding.index)}" if finding.index else ""
        lines += [f"    wanted: {number(finding.wanted)}{at}", f"    got:    {number(finding.got)}"]
        lines.append(f"    error:  {distance(finding)}")
    lines += [f"    asked:  {finding.how}"] if finding.how else []
    lines += [f"    {name} = {line}" for name, line in describe(finding)]
    return lines


def describe(finding: Finding, limit: int = 24) -> Sequence[tuple[str, str]]:
    """Inputs, as hexadecimal floats, and parameters of a finding's case, a line each."""
    case = finding.case
    lines = []
    for name, array in case.inputs.items():
        lines.append((name, f"{_array(array, limit, finding.drawn)}  {array.dtype} {array.shape}"))
    return [*lines, *((name, _value(value)) for name, value in case.parameters.items())]


def _array(array: NDArray[Any], limit: int, recipe: str) -> str:
    if array.size > limit:
        head = ", ".join(_value(item) for item in array.ravel()[: limit // 2])
        where = f"drawn again by replay, from recipe {recipe!r}" if recipe else "whole in the results file"
        return f"[{head}, … {array.size} numbers; {where}]"
    nested = np.array([_value(item) for item in array.ravel()], dtype=object).reshape(array.shape).tolist()
    return str(nested).replace("'", "")


def _value(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    if isinstance(value, float | np.floating) or (dtype is not None and dtype.kind not in "iub"):
        return float(value).hex() if math.isfinite(float(value)) else str(float(value))
    return repr(value.item() if isinstance(value, np.generic) else value)
