"""What a person porting a model looks for: choices that frameworks make differently, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.record.model import JUDGED
from conformance.report.grid import Grid, Place
from conformance.report.view import conventions
from conformance.report.witnesses import cut
from conformance.report.words import dtype_rank

Doc = Mapping[str, Any]
Check = Mapping[str, Any]
ASKED = ("edge", "invalid", "consistency")  # kinds of checks that ask one question each
INVALID = {"agrees": "refuses, or answers NaN", "differs": "answers", "fails": "answers where it has to refuse"}
Answers = dict[str, list[str]]  # what is answered -> in which dtypes


@dataclass(frozen=True)
class Row:
    """One question, and what each place answers."""

    criterion: str
    subject: str
    note: str
    cells: tuple[tuple[str, ...], ...]  # by place: one answer, or several, each with its dtypes; none: not asked

    @property
    def is_split(self) -> bool:
        """Whether two places answer differently."""
        return len({cell for cell in self.cells if cell}) > 1


def kinks(grid: Grid) -> list[Row]:
    """Which points are taken at kinks."""
    found: dict[tuple[str, str], dict[int, Answers]] = {}
    for i, doc in enumerate(grid.docs):
        for row in conventions(doc):
            for place, dtypes in _places(grid, i, row.framework, row.where):
                answers = found.setdefault((row.criterion, row.kink), {}).setdefault(place, {})
                answers.setdefault(f"{', '.join(row.points)}, by {', '.join(row.inputs)}", []).extend(dtypes)
    return _rows(grid, found, lambda criterion, subject: "")


def _places(grid: Grid, index: int, framework: str, where: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The places that `where` ("float32 cpu eager", …) speaks of, each with its dtypes."""
    found = []
    for k, place in enumerate(grid.places):
        if (place.index, place.framework) == (index, framework):
            dtypes = [text.split(" ", 1)[0] for text in where if text.split(" ", 1)[1] == place.where]
            found += [(k, dtypes)] if dtypes else []
    return found


def unspecified(grid: Grid) -> list[Row]:
    """What is answered where the mathematics leaves it open."""
    return _asked(grid, lambda check: check["level"] == "unspecified")


def differing(grid: Grid) -> list[Row]:
    """Other questions that some place answers differently from the reference, and is free to: inputs out of domain, and
    edge cases of which it documents a difference."""
    asked = {
        (check["criterion"], check["check"])
        for doc in grid.docs
        for check in doc["checks"]
        if check["outcome"] == "differs" and check["level"] != "unspecified" and check["check"].split(".")[0] in ASKED
    }
    return _asked(grid, lambda check: (check["criterion"], check["check"]) in asked)


def _asked(grid: Grid, is_asked: Callable[[Check], bool]) -> list[Row]:
    known = {place: k for k, place in enumerate((p.index, p.framework, p.device, p.mode) for p in grid.places)}
    found: dict[tuple[str, str], dict[int, Answers]] = {}
    for i, doc in enumerate(grid.docs):
        for check in doc["checks"]:
            place = known.get((i, check["framework"], check["device"], check["mode"]))
            if place is not None and check["outcome"] in JUDGED and is_asked(check):
                answers = found.setdefault((check["criterion"], check["check"]), {}).setdefault(place, {})
                answers.setdefault(answer(check, about(grid.docs, check["criterion"])), []).append(check["dtype"])
    return _rows(grid, found, lambda criterion, subject: why(about(grid.docs, criterion), subject))


def about(docs: Sequence[Doc], criterion: str) -> Mapping[str, Any]:
    """What the first document that knows a criterion says of it; empty where none does."""
    empty: Mapping[str, Any] = {}
    return next((doc["criteria"][criterion] for doc in docs if criterion in doc.get("criteria", {})), empty)


def why(criterion: Mapping[str, Any], check: str) -> str:
    """Why an edge case is one."""
    edge = criterion.get("edges", {}).get(check.removeprefix("edge."), {})
    return str(edge.get("why", ""))


def answer(check: Check, criterion: Mapping[str, Any]) -> str:
    """What a framework answers, in a few words; of invalid input, whether it does."""
    if check["check"].startswith("invalid."):
        return INVALID.get(check["outcome"], str(check["outcome"]))
    edge = criterion.get("edges", {}).get(check["check"].removeprefix("edge."), {})
    if check["outcome"] == "agrees":
        return str(edge["value"]) if "value" in edge else "as the reference, or refused"
    return said(check)


def said(check: Check) -> str:
    """What a framework says in a check's smallest witness."""
    items = check["witnesses"][:1]
    text = str(items[0].get("got") or "") if items else str(check["message"])
    try:
        text = f"{float.fromhex(text):.6g}"
    except (ValueError, OverflowError):
        text = text.split("\n", 1)[0]
    return cut(text or check["outcome"], 160)


def _rows(
    grid: Grid, found: Mapping[tuple[str, str], Mapping[int, Answers]], note: Callable[[str, str], str]
) -> list[Row]:
    rows = []
    for (criterion, subject), by_place in sorted(found.items()):
        cells = tuple(_cell(by_place.get(k, {})) for k in range(len(grid.places)))
        rows.append(Row(criterion, subject, note(criterion, subject), cells))
    return rows


def _cell(answers: Answers) -> tuple[str, ...]:
    if len(answers) == 1:
        return tuple(answers)
    return tuple(
        f"{text} ({', '.join(sorted(set(dtypes), key=dtype_rank))})" for text, dtypes in sorted(answers.items())
    )


@dataclass(frozen=True)
class Documented:
    """A difference of meaning that a framework documents."""

    criterion: str
    place: Place
    function: str
    sentence: str
    source: str
    when: str


def documented(grid: Grid) -> list[Documented]:
    """What frameworks say themselves about their losses meaning something else."""
    rows = [
        Documented(criterion, place, function["name"], item["sentence"], item["source"], item["when"])
        for place in grid.places
        for criterion, says in sorted(grid.docs[place.index].get("criteria", {}).items())
        for function in [says["functions"].get(place.framework)]
        if function
        for item in function["differences"]
    ]
    return sorted(rows, key=lambda row: (row.criterion, row.place.label, row.sentence))
