"""Witnesses as a page shows them: the numbers in the dtype's own decimals, the command, and the script."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.cases.case import DTYPES
from conformance.record.plain import as_float
from conformance.report.scripts import script_for
from conformance.report.words import size

Check = Mapping[str, Any]
MOST = 600  # characters of one input or message that are shown; the results file has the rest
LONGEST_SCRIPT = 6000
ORDINARY = (1e-3, 1e3)  # inputs between these, or 0, are what a user would call ordinary


@dataclass(frozen=True)
class Shown:
    """One witness, in words."""

    kind: str
    where: str
    wanted: str
    got: str
    difference: str
    off: str
    inputs: str
    command: str
    script: str

    @property
    def length(self) -> int:
        """About how many characters it takes."""
        return 900 + len(self.inputs) + len(self.script) + len(self.command) + len(self.got)


def shown(check: Check) -> list[Shown]:
    """The witnesses of a check, one where they are the same."""
    found: dict[str, Mapping[str, Any]] = {}
    for item in check["witnesses"]:
        key = str(item.get("hash") or id(item)) + str(item.get("where"))
        found[key] = {**item, "kind": f"{found[key]['kind']} and {item['kind']}"} if key in found else item
    return [_shown(check, item) for item in found.values()]


def _shown(check: Check, item: Mapping[str, Any]) -> Shown:
    wanted, got = _number(item.get("wanted")), _number(item.get("got"))
    apart = "" if wanted is None or got is None or not math.isfinite(got - wanted) else f"{got - wanted:.3g}"
    script = script_for(check, item) or ""
    return Shown(
        kind=str(item["kind"]),
        where=", ".join(map(str, item.get("where") or ())),
        wanted=_both(item.get("wanted"), wanted),
        got=_both(item.get("got"), got),
        difference=apart,
        off=size(item, "ulp", "ratio"),
        inputs="\n".join(_lines(item["case"])),
        command=str(item.get("command") or ""),
        script=script if len(script) <= LONGEST_SCRIPT else "",
    )


def _number(value: Any) -> float | None:
    """The float that a witness keeps as hexadecimal text; None where it is other text."""
    try:
        return float.fromhex(str(value)) if value else None
    except (ValueError, OverflowError):
        return None


def _both(text: Any, number: float | None) -> str:
    """A number in decimals and exactly; other text as it is."""
    if number is None:
        return cut(str(text or ""))
    return f"{number!r}  ({text})" if math.isfinite(number) and number else f"{number!r}"


def _lines(case: Mapping[str, Any]) -> Iterator[str]:
    if "recipe" in case:
        shapes = {name: tuple(shape) for name, shape in case.get("shapes", {}).items()}
        yield f"drawn by the recipe {case['recipe']}; " + ", ".join(f"{n} {s}" for n, s in shapes.items())
    dtype = str(case.get("dtype", ""))
    for kind in ("inputs", "parameters"):
        values = case.get(kind)
        for name, value in values.items() if isinstance(values, Mapping) else ():
            yield f"{name} = {cut(_text(value, dtype if kind == 'inputs' else 'float64'))}"


def _text(value: Any, dtype: str) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_text(item, dtype) for item in value)}]"
    if isinstance(value, str) and (number := _number(value)) is not None:
        kind = DTYPES.get(dtype)
        return str(number if kind is None or kind == np.float64 else kind.type(number))
    return str(value)


def cut(text: str, most: int = MOST) -> str:
    """`text`, cut where it is too long to show."""
    more = len(text) - most
    return text if more <= 0 else f"{text[:most]} … ({more:,} characters more in the results file)"


EXTREMENESS = (
    "at default parameters and ordinary inputs",
    "at default parameters and extreme inputs",
    "at other parameters and ordinary inputs",
    "at other parameters and extreme inputs",
)


def extremeness(check: Check, defaults: Mapping[str, Any]) -> int:
    """How far from everyday use the plainest witness is: an index of `EXTREMENESS`. Any reduction will do."""
    return min((_extremeness(item["case"], defaults) for item in check["witnesses"]), default=len(EXTREMENESS) - 1)


def _extremeness(case: Mapping[str, Any], defaults: Mapping[str, Any]) -> int:
    given = case.get("parameters")
    others = [
        name
        for name, value in (given.items() if isinstance(given, Mapping) else ())
        if name != "reduction" and name in defaults and not _same(value, defaults[name])
    ]
    inputs = case.get("inputs")
    numbers = list(_numbers(inputs)) if isinstance(inputs, Mapping) and "recipe" not in case else []
    extreme = any(x != 0 and not ORDINARY[0] <= abs(x) <= ORDINARY[1] for x in numbers)
    return 2 * bool(others) + extreme


def _same(value: Any, default: Any) -> bool:
    x, y = (_number(item) if isinstance(item, str) else item for item in (value, default))
    return bool(x == y) or (value == default)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, str) and (number := _number(value)) is not None:
        yield number


def sentence(check: Check) -> str:
    """What a check's smallest witness shows, in a line: `input = [16.0, 0.0], target = [0]: wanted 1.1e-07, got 0`."""
    items = shown(check)[:1]
    if not items:
        return cut(str(check["message"]).split("\n", 1)[0])
    item = items[0]
    given = ", ".join(line for line in item.inputs.split("\n") if len(line) <= 60)[:300]
    said = f"wanted {item.wanted.split('  ')[0]}, got {item.got.split('  ')[0]}" if item.wanted else item.got
    return f"{given}: {said}" if given else said


def ratio_of(check: Check) -> float:
    """The largest error over the budget; 0 where none was measured."""
    value = as_float(check["worst_ratio"])
    return 0.0 if value is None or math.isnan(value) else value
