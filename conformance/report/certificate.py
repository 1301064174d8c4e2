"""`conformance show CRITERION --certificate CASE`: the reference's numbers for one case, for whoever disputes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import numpy as np

from conformance.cases.bind import check_of_output, outside
from conformance.cases.case import Case, Stack
from conformance.errors import UsageError
from conformance.record.results import read_results
from conformance.reference.control import check_cases
from conformance.reference.escalate import LARGEST, escalate, positions_of
from conformance.reference.evaluate import evaluate_stack, make_case
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers, half_ulp, ulp
from conformance.reference.quad import BINARY128
from conformance.spec.model import Spec

SHOWN = 24  # numbers of an output
KINDS = ("smallest", "worst")
SYNTAX = "a case's JSON file, or RESULTS.json:CHECK-ID, or RESULTS.json:CHECK-ID:worst"
HEAD = ("at", "number", "hexadecimal", "error/ulp", "certified by", "choices", "tight", "sound")


def certificate(spec: Spec, text: str) -> str:
    """The certificate of the case that `text` names, see `SYNTAX`.

    Raises:
        UsageError: there is no such case, or it is none of this criterion.
        ReferenceFault: the reference contradicts itself.
    """
    case = _case_of(spec, text)
    stack = Stack.of(make_case(spec, case.inputs, case.parameters, case.dtype))
    if refused := [item.name for item in outside(spec, stack) if item.must_raise]:
        raise UsageError(f"{text}: {refused[0]!r} is out of its domain, so there is nothing to certify")
    wrt = tuple(name for name in spec.differentiable if name in stack.inputs)
    first = evaluate_stack(spec, stack, wrt, project=True)
    checked = check_cases(spec, stack, first, [0]) if positions_of(spec, stack) <= LARGEST else 0
    found = escalate(spec, stack, first, {name: item.doubtful for name, item in first.items()}, project=True)
    parameters = ", ".join(f"{name}={value}" for name, value in case.parameters.items())
    lines = [f"{spec.name}, {case.dtype}, case {case.hash}{': ' if parameters else ''}{parameters}"]
    for name, item in found.items():
        more = [f"up to multiples of a direction along {m.over}" for m in spec.modulo if m.of == name]
        lines += ["", ", ".join([check_of_output(name), *more]), *_table(item, case.dtype)]
    count = sum(item.high.size for item in found.values())
    return "\n".join([*lines, "", *_legend(case.dtype, checked, count)])


def _legend(dtype: str, checked: int, count: int) -> Iterator[str]:
    yield "error/ulp: the bound on the number's own error, in ulps of float64; choices: what a kink leaves open"
    yield f"tight, sound: how far off an implementation in {dtype} may be, absolute, its last rounding included"
    yield f"{checked:,} of {count:,} numbers of binary128 were evaluated again in 300 bits and lie within their bounds"


def _table(n: Numbers, dtype: str) -> list[str]:
    from tabulate import tabulate

    places = list(np.ndindex(n.high.shape[1:]))
    rows = [_row(n, (0, *place), dtype) for place in places[:SHOWN]]
    left = len(places) - SHOWN
    text = tabulate(rows, HEAD, tablefmt="plain", disable_numparse=True) if rows else "(no numbers)"
    return [*(f"  {line.rstrip()}" for line in text.splitlines()), *([f"  ... {left:,} more"] if left > 0 else [])]


def _row(n: Numbers, at: tuple[int, ...], dtype: str) -> tuple[str, ...]:
    high, half = n.high[at], float(half_ulp(n.high[at], FORMATS[dtype]))
    error = float(n.error[at] / ulp(high, FORMATS["float64"])) if np.isfinite(high) else 0.0
    return (
        ", ".join(map(str, at[1:])) or "-",
        _decimal(float(high), float(n.low[at])),
        float(high).hex() if np.isfinite(high) else str(float(high)),
        f"{error:.2g}",
        _way(n, at),
        _choices(n, at),
        f"{float(n.tight[at]) + half:.3g}",
        f"{float(n.sound[at]) + half:.3g}",
    )


def _decimal(high: float, low: float) -> str:
    """The number to 25 digits: what float64 cuts off is kept."""
    if not np.isfinite(high):
        return "nan (no value)" if np.isnan(high) else str(high)
    return str(Context(prec=25).plus(Decimal(high) + Decimal(low)).normalize()) if high else "0"


def _way(n: Numbers, at: tuple[int, ...]) -> str:
    if np.isnan(n.high[at]):
        return "-"
    if not n.certified[at]:
        return "undecided"
    if n.unsure[at]:
        return "binary128: choices"
    return f"arb, {n.bits[at]} bits" if n.bits[at] > BINARY128.bits else "binary128"


def _choices(n: Numbers, at: tuple[int, ...]) -> str:
    if not (n.below[at] > 0 or n.above[at] > 0):
        return ""
    return f"[{float(n.high[at] - n.below[at])!r}, {float(n.high[at] + n.above[at])!r}]"


def _case_of(spec: Spec, text: str) -> Case:
    path, check, kind = _parts(text)
    data = _witness(path, check, kind) if check else _read(path)
    try:
        case = Case.from_json(data.get("case", data))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{text} holds no case ({type(error).__name__}: {error}); give {SYNTAX}") from None
    if case.criterion != spec.name:
        raise UsageError(f"{text} is a case of {case.criterion!r}, not of {spec.name!r}")
    return case


def _parts(text: str) -> tuple[Path, str, str]:
    """The file, the check and the kind of witness that `text` names; a file's own name may hold colons."""
    ends = [len(text), *(i for i, c in enumerate(text) if c == ":")]
    end = next((end for end in ends if Path(text[:end]).is_file()), None)
    if end is None:
        raise UsageError(f"--certificate: there is no file {text!r}; give {SYNTAX}")
    check, kind = text[end + 1 :], KINDS[0]
    for name in KINDS:
        if check.endswith(f":{name}"):
            check, kind = check.removesuffix(f":{name}"), name
    return Path(text[:end]), check, kind


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no JSON file ({error}); give {SYNTAX}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no case; give {SYNTAX}")
    return data


def _witness(path: Path, check_id: str, kind: str) -> Mapping[str, Any]:
    found = next((check for check in read_results(path)["checks"] if check["id"] == check_id), None)
    if found is None:
        raise UsageError(f"{path} holds no check {check_id!r}")
    witness: Mapping[str, Any] | None = next((w for w in found["witnesses"] if w["kind"] == kind), None)
    if witness is None:
        raise UsageError(f"{check_id} has no {kind} witness: it came to {found['outcome']!r}")
    return witness
