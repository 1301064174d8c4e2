"""The checks as CSV, a row each, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.record.causes import changes_of
from conformance.record.gate import standing
from conformance.record.model import OUTCOMES
from conformance.record.plain import as_number
from conformance.report.view import label
from conformance.report.words import clean, one_line

PLAIN = ("id", "criterion", "framework", "device", "mode", "dtype", "check", "outcome", "new", "level")
SIZES = ("recipes", "cases", "worst_ulp", "worst_ratio", "apart_ulp")
WITNESS = ("wanted", "got", "hash")
RUN = ("suite", "seed", "effort")
COLUMNS = (*PLAIN, "version", "standing", "known", *SIZES, *OUTCOMES[2:], *WITNESS, "message", *RUN)


def render(docs: Sequence[Mapping[str, Any]]) -> str:
    """The checks of these results documents as CSV, below a row of names; numbers of witnesses are the smallest's."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for doc in docs:
        changes = changes_of(doc)
        for check in doc["checks"]:
            row = _row(doc, check) | {"standing": standing(check, changes)}
            writer.writerow([_cell(row.get(name)) for name in COLUMNS])
    return out.getvalue()


def _row(doc: Mapping[str, Any], check: Mapping[str, Any]) -> dict[str, Any]:
    run = doc["run"]
    witness: Mapping[str, Any] = next(iter(check["witnesses"]), {})
    return {
        "version": label(doc, check["framework"]).partition(" ")[2],
        **{name: check.get(name) for name in (*PLAIN, *SIZES)},
        "known": " ".join(check["known"]),
        **{outcome: check["counts"].get(outcome, 0) for outcome in OUTCOMES},
        **{name: _number(witness.get(name)) for name in WITNESS[:2]},
        "hash": witness.get("hash"),
        "message": one_line(check["message"], 500),
        **{name: run[name] for name in RUN},
    }


def _number(value: Any) -> Any:
    """A number in decimal, exactly; what is none as it is."""
    number = as_number(value)
    return value if number is None else number


def _cell(value: Any) -> Any:
    """A number as it is; text so that no spreadsheet takes it for a formula."""
    if value is None or isinstance(value, int | float):
        return value
    text = clean(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) or text[:1] in "\t\n" else text
