"""One self-contained HTML page from any results documents: no script, no network, every foreign text escaped."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from conformance._resources import folder
from conformance.record.results import write_text
from conformance.report.terminal import CHANGES, TITLES
from conformance.report.view import (
    STANDINGS,
    Column,
    Group,
    choices,
    columns,
    conventions,
    label,
    left_open,
    matrix,
    not_run,
    problems,
    ran,
    reference,
    totals,
    unsupported,
)
from conformance.report.words import GLYPHS, MEANINGS, clean, number, plural, share_of_cases, size, ways

LONGEST = 6000  # characters of one input or message; the results file has the rest
Doc = Mapping[str, Any]


def render(docs: Sequence[Doc]) -> str:
    """The report on these results documents: a whole HTML page that depends on nothing else."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    templates = folder("reports") / "templates"
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Escaping makes markup harmless; this makes control characters and changes of direction visible.
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    environment.filters.update(number=number, plural=plural, size=size, share_of_cases=share_of_cases)
    environment.filters.update(lines=input_lines, cut=cut)
    css = (templates / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    page = environment.get_template("report.html.jinja")
    return page.render(css=Markup(css), css_hash=digest, **context(docs))


def write_report(out: Path | str, docs: Sequence[Doc]) -> None:
    """Write the page on these results documents.

    Raises:
        FileError: the place cannot be written.
    """
    write_text(out, render(docs), "the report")


def context(docs: Sequence[Doc]) -> dict[str, Any]:
    """What the template shows, as plain data."""
    found = [_numbered(doc, i) for i, doc in enumerate(docs)]
    return {
        "runs": [_run(doc) for doc in docs],
        "matrix": _matrix(docs, found),
        "problems": [(name, TITLES[name], [p for p in chain(*found) if p["standing"] == name]) for name in STANDINGS],
        "baselines": [_changes(doc) for doc in docs if doc["run"]["baseline"]],
        "left_open": [
            (label(doc, c.framework), name, c, o)
            for doc in docs
            for name, row in left_open(doc).items()
            for c, o in row.items()
        ],
        "conventions": sorted(
            ((label(doc, row.framework), row) for doc in docs for row in conventions(doc)),
            key=lambda item: (item[1].criterion, item[1].kink, item[0], item[1].inputs),
        ),
        "choices": _side_by_side((label(doc, g.framework), g) for doc in docs for g in choices(doc)),
        "unsupported": [(_names(doc), r) for doc in docs for r in unsupported(doc)],
        "not_run": [(_names(doc), r) for doc in docs for r in not_run(doc)],
        "glyphs": GLYPHS,
        "meanings": MEANINGS,
    }


def _side_by_side(rows: Iterable[tuple[str, Group]]) -> list[tuple[str, Group]]:
    """Frameworks next to each other, so that what differs between them is seen."""
    return sorted(rows, key=lambda row: (row[1].criterion, row[1].subject, row[0], row[1].where))


def _names(doc: Doc) -> str:
    return ", ".join(label(doc, name) for name in sorted(doc["run"]["frameworks"])) or "no framework"


def _run(doc: Doc) -> dict[str, Any]:
    run, verdict = doc["run"], doc["run"]["verdict"]
    versions = {
        package if package == name else f"{name}: {package}": version
        for name, packages in sorted(run["frameworks"].items())
        for package, version in sorted(packages.items())
    }
    return {
        "names": _names(doc),
        "verdict": verdict,
        "passed": verdict.startswith("PASS:"),
        "totals": totals(doc),
        "reference": ways(found) if (found := reference(doc)) else "",
        "versions": versions,
        "run": run,
        "options": json.dumps(run["options"], sort_keys=True) if run["options"] else "",
    }


def _changes(doc: Doc) -> dict[str, Any]:
    baseline = doc["run"]["baseline"]
    lists = [(word, baseline["changes"][key]) for key, word in CHANGES.items() if baseline["changes"][key]]
    return {**baseline, "names": _names(doc), "lists": lists, "note": baseline["changes"]["note"]}


def _numbered(doc: Doc, index: int) -> list[dict[str, Any]]:
    """The problems of a document, each with an anchor that owes nothing to foreign text."""
    every = [(name, check) for name, checks in problems(doc) for check in checks]
    return [
        {"anchor": f"p{index}-{i}", "standing": name, "check": check, "framework": label(doc, check["framework"])}
        for i, (name, check) in enumerate(every)
    ]


def _matrix(docs: Sequence[Doc], found: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Criteria by column; documents stand side by side, so two versions of a framework do."""
    boxes = [matrix(doc) for doc in docs]
    across = [(i, column) for i in range(len(docs)) for column in columns(boxes[i]) if ran(boxes[i], column)]
    anchors = _first_anchors(found)
    groups = groupby(across, key=lambda item: (item[0], item[1].framework, item[1].place))
    rows = []
    for criterion in sorted({name for each in boxes for name in each}):
        row = [(boxes[i].get(criterion, {}).get(column), anchors.get((i, criterion, column))) for i, column in across]
        rows.append((criterion, row))
    return {
        "heads": [(label(docs[i], framework), place, len(list(group))) for (i, framework, place), group in groups],
        "dtypes": [column.dtype for _, column in across],
        "rows": rows,
    }


def _first_anchors(found: Sequence[Sequence[Mapping[str, Any]]]) -> dict[tuple[int, str, Column], str]:
    anchors: dict[tuple[int, str, Column], str] = {}
    for i, each in enumerate(found):
        for problem in each:
            check = problem["check"]
            column = Column(check["framework"], check["device"], check["mode"], check["dtype"])
            anchors.setdefault((i, check["criterion"], column), problem["anchor"])
    return anchors


def input_lines(case: Mapping[str, Any]) -> str:
    """A witness's parameters and inputs, one to a line, floats in hexadecimal."""
    return "\n".join(_lines(case))


def _lines(case: Mapping[str, Any]) -> Iterator[str]:
    if "recipe" in case:
        yield f"drawn by the recipe {case['recipe']}; shapes {json.dumps(case.get('shapes', {}))}".replace('"', "")
    for kind in ("parameters", "inputs"):
        values = case.get(kind)
        for name, value in sorted(values.items()) if isinstance(values, Mapping) else ():
            yield cut(f"{name} = {json.dumps(value, ensure_ascii=False)}".replace('"', ""))


def cut(text: str) -> str:
    """`text`, cut where it is too long to show."""
    more = len(text) - LONGEST
    return text if more <= 0 else f"{text[:LONGEST]} ... ({more:,} characters more in the results file)"
