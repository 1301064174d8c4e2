"""What changes for a criterion between two frameworks, for a person who ports a model: a view of one record of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from conformance.record.causes import Cause, causes_of
from conformance.record.model import WRONG
from conformance.report.grid import Grid, Place
from conformance.report.porting import Row, about, differing, documented, kinks, unspecified
from conformance.report.words import clean, one_line, plural

Doc = Mapping[str, Any]
Check = Mapping[str, Any]
NO_FUNCTION = "no function of its own; what is judged is the formula, which conformance show --as prints as code"
Refusals = Mapping[str, Mapping[str, int]]  # framework: what it says that it does not take, and how often


def port_text(
    doc: Doc, criterion: str, pair: tuple[str, str], refused: Refusals, reasons: Mapping[str, str], width: int = 100
) -> str:
    """What changes from the first framework of the pair to the second, as text. `doc` is a record of both, `refused`
    what they raised as unsupported, `reasons` why known differences are, by id."""
    grid = Grid([doc])
    places = [next((p for p in grid.places if p.framework == name), None) for name in pair]
    if None in places:
        (gone,) = (name for name, place in zip(pair, places, strict=True) if place is None)
        return f"{gone} runs nothing of {criterion}: {_why_not(doc, gone)}"
    first, second = (place for place in places if place is not None)
    rows = [row for ask in (unspecified, differing, kinks) for row in ask(grid)]
    sections = [
        [f"{criterion}, from {first.label} ({first.where}) to {second.label} ({second.where})"],
        list(_called(doc, criterion, (first, second))),
        *(list(_refused(place, refused.get(place.framework, {}), width)) for place in (first, second)),
        list(_documented(grid, (first, second), width)),
        list(_split(grid, rows, (first, second), width)),
        *(list(_wrong(doc, place, reasons, width)) for place in (first, second)),
    ]
    return "\n\n".join("\n".join(map(clean, lines)) for lines in sections if lines)


def _why_not(doc: Doc, framework: str) -> str:
    said = (check["message"] for check in doc["checks"] if check["framework"] == framework and check["message"])
    return next(said, "nothing was planned")


def _called(doc: Doc, criterion: str, places: Sequence[Place]) -> Iterator[str]:
    says = about([doc], criterion)
    for place in places:
        function = says.get("functions", {}).get(place.framework, {}).get("name", "")
        yield f"{place.label}: {function or NO_FUNCTION}"
    reductions = "; ".join(f"{name}: {text}" for name, text in says.get("reduce", {}).items())
    yield f"the criterion: {says.get('summary', '')} Reductions: {reductions}."


def _refused(place: Place, reasons: Mapping[str, int], width: int) -> Iterator[str]:
    if reasons:
        yield f"{place.label} does not take"
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
            yield from wrap(
                f"{one_line(reason, 300)} ({plural(count, 'case')})",
                width,
                initial_indent="  ",
                subsequent_indent="    ",
            )


def _documented(grid: Grid, places: Sequence[Place], width: int) -> Iterator[str]:
    found = [item for item in documented(grid) if item.place in places]
    if found:
        yield "They document a meaning of their own"
    for item in found:
        where = f", where {item.when}" if item.when else ""
        text = f"{item.place.label}: “{one_line(item.sentence, 400)}” ({item.source}{where})"
        yield from wrap(text, width, initial_indent="  ", subsequent_indent="    ")


def _split(grid: Grid, rows: Sequence[Row], places: Sequence[Place], width: int) -> Iterator[str]:
    index = [grid.places.index(place) for place in places]
    split = [row for row in rows if len({row.cells[k] for k in index}) > 1 and all(row.cells[k] for k in index)]
    yield (
        "They answer differently, and both may"
        if split
        else "They answer alike wherever the mathematics leaves it open"
    )
    for row in split:
        said = "; ".join(f"{p.label}: {' | '.join(row.cells[k])}" for p, k in zip(places, index, strict=True))
        note = f" ({row.note})" if row.note else ""
        yield from wrap(f"{row.subject}{note}: {said}", width, initial_indent="  ", subsequent_indent="    ")


def _wrong(doc: Doc, place: Place, reasons: Mapping[str, str], width: int) -> Iterator[str]:
    mine = {check["id"] for check in doc["checks"] if check["framework"] == place.framework}
    causes = [
        cause for cause in causes_of(doc) if mine & set(cause.checks) and cause.severity in (*WRONG, "inaccurate")
    ]
    if not causes:
        yield f"{place.label} is right otherwise"
        return
    by_id = {check["id"]: check for check in doc["checks"]}
    yield f"{place.label} is off"
    for cause in causes:
        yield from wrap(_off(cause, by_id, reasons), width, initial_indent="  ", subsequent_indent="    ")


def _off(cause: Cause, by_id: Mapping[str, Check], reasons: Mapping[str, str]) -> str:
    """A cause with its reason, where it is known, and its first witness."""
    checks = [by_id[id_] for id_ in cause.checks]
    sentence = next((w["sentence"] for check in checks for w in check["witnesses"]), checks[0]["message"])
    why = f"{one_line(reasons[cause.entry], 600)} Such as: " if cause.entry in reasons else ""
    return f"{one_line(cause.entry or cause.title, 200)}: {why}{one_line(sentence, 200)}"
