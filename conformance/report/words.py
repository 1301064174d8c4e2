"""How a report says numbers and shows text that is not ours: names, versions and messages that an adapter returned."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from conformance.record.plain import as_float

DTYPE_ORDER = ("float64", "float32", "bfloat16", "float16")

# One sign beside each word, so that a table can be read at a glance, and without colour.
GLYPHS = {
    "agrees": "✓",
    "differs": "≠",
    "inaccurate": "≈",
    "fails": "✗",
    "error": "!",
    "unsupported": "–",
    "undecided": "?",
    "not run": "○",
}

MEANINGS = {
    "agrees": "within its budget, on every case",
    "differs": "another choice where the mathematics leaves one open, or a documented difference of meaning",
    "inaccurate": "digits lost that a better way keeps, but no more than a textbook-stable way may lose",
    "fails": "further off than any sound implementation, a wrong special value, or invalid input accepted",
    "error": "raised, crashed or hung where a value was due",
    "unsupported": "the framework does not offer it, and says so",
    "undecided": "no verdict: the reference is not certain enough, or the budget is wider than the number",
    "not run": "planned, and did not run; never a pass",
}


def clean(text: Any) -> str:
    """`text` with every character that steers a terminal, or the direction of writing, made visible."""
    told = str(text)
    if told.isprintable():
        return told
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else _visible(c) for c in told)


def _visible(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def one_line(text: Any, width: int) -> str:
    """`text` cleaned, on one line of at most `width` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= width else line[: max(width - 3, 0)].rstrip() + "..."


def number(value: float) -> str:
    """Three digits: `0.5`, `12.3`, `1,250`, `1.2e+06`."""
    text = f"{value:.3g}"
    return f"{float(text):,.0f}" if 1000 <= abs(value) < 1e6 else text


def exact(value: float) -> str:
    """A finite number exactly: `0.5` where a few digits say it, else `0x1.8p-20`."""
    if len(repr(value)) <= 6 and (value * 1024).is_integer():
        return repr(value)
    digits, _, exponent = value.hex().partition("p")
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits}p{exponent}"


def ulps(value: Any) -> str:
    """`3.1 ulp`; empty where there is no number."""
    size = as_float(value)
    return "" if size is None or math.isnan(size) else f"{number(size)} ulp"


def share(value: Any) -> str:
    """The part of its budget that an error takes: `40 % of budget`, `125 times the budget`."""
    ratio = as_float(value)
    if ratio is None or not math.isfinite(ratio):
        return ""
    return f"{number(100 * ratio)} % of budget" if ratio < 10 else f"{number(ratio)} times the budget"


def size(item: Mapping[str, Any], ulp: str = "worst_ulp", ratio: str = "worst_ratio") -> str:
    """How far off a check or a witness is: `3.1 ulp, 40 % of budget`; where a special value is wrong, `nan or inf`."""
    if as_float(item.get(ratio)) == math.inf:
        return "nan or inf"
    return ", ".join(part for part in (ulps(item.get(ulp)), share(item.get(ratio))) if part)


def share_of_cases(check: Mapping[str, Any]) -> str:
    """How many of its cases came to a check's outcome: `13 of 1,600 cases`."""
    return f"{check['counts'].get(check['outcome'], 0):,} of {plural(check['cases'], 'case')}"


def dtype_rank(dtype: str) -> tuple[int, str]:
    """Sorts dtypes from the widest to the narrowest."""
    return (DTYPE_ORDER.index(dtype) if dtype in DTYPE_ORDER else len(DTYPE_ORDER), dtype)


def plural(count: int, word: str) -> str:
    """`1 check`, `2,000 checks`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def ways(counts: Mapping[str, int]) -> str:
    """Which way the reference's numbers went: `99.9 % of 2,000 numbers certified in binary128, 2 by arb, ...`."""
    quick, arb = counts.get("float64", 0), counts["arb"]  # of float64, an earlier version knew nothing
    fast = quick + counts["binary128"] + counts["interval"]
    undecided = counts["undecided"]
    total = fast + arb + undecided
    percent = math.floor(1000 * fast / total) / 10 if total else 100.0  # rounded down: 100 means all
    where = f"binary128 or, where that is enough, float64 ({quick:,})" if quick else "binary128"
    return (
        f"{percent:g} % of {plural(total, 'number')} certified in {where}, {arb:,} by arb, {undecided:,} undecided; "
        f"{counts['checked']:,} checked again"
    )
