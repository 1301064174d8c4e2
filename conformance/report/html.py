"""One self-contained HTML page from any results documents: no network, every foreign text escaped."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from conformance._resources import folder
from conformance.errors import FormulaError
from conformance.formula.mathml import expression, program
from conformance.report.amounts import left_open, reference
from conformance.report.detail import Exhibits, details, is_known
from conformance.report.embed import LIMIT, embedded
from conformance.report.findings import findings
from conformance.report.grid import Grid
from conformance.report.opening import facts, left_out, sentences, since
from conformance.report.porting import differing, documented, kinks, unspecified
from conformance.report.svg import axes
from conformance.report.terminal import TITLES
from conformance.report.view import STANDINGS, label, not_run, unsupported
from conformance.report.witnesses import cut
from conformance.report.words import GLYPHS, MEANINGS, clean, number, plural, share_of_cases, size, ways

Doc = Mapping[str, Any]
# A page that is too large is made again with less in it: whether it is brief, and the characters for witnesses.
SIZES = ((False, 1_100_000), (False, 400_000), (False, 180_000), (True, 180_000))


def render(docs: Sequence[Doc], files: Sequence[str] = ()) -> str:
    """The report on these results documents: a whole HTML page that depends on nothing else. `files` are their names,
    where they are written, in the same order."""
    templates = folder("reports") / "templates"
    css, js = ((templates / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    environment = _environment(templates)
    template, end = (environment.get_template(f"{name}.html.jinja") for name in ("report", "end"))
    named = [*files, *[""] * len(docs)][: len(docs)]
    about = {"js": Markup(js), "files": named, "names": [_names(doc) for doc in docs], "axes": axes()}
    rest = len(end.render(embedded=[], **about).encode()) + 500 * len(docs)
    fitting = ""
    for is_brief, room in SIZES:
        shown = context(docs, is_brief, room)
        page = template.render(css=Markup(css), css_hash=_digest(css), js_hash=_digest(js), **shown)
        left = LIMIT - len(page.encode()) - rest
        # Results to save go before witnesses to look at; where they fit in no way, the fullest page that fits is made.
        if left > 0 and (data := embedded(docs, left)):
            return str(page + end.render(embedded=data, **about))
        fitting = fitting or (page if left > 0 else "")
    return str((fitting or page) + end.render(embedded=[], **about))


def _environment(templates: Path) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Escaping makes markup harmless; this makes control characters and changes of direction visible.
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    environment.filters.update(number=number, plural=plural, size=size, share_of_cases=share_of_cases, cut=cut)
    environment.filters.update(program=_mathml(program), expression=_mathml(expression))
    environment.tests.update(known=is_known)
    environment.globals.update(glyphs=GLYPHS)
    return environment


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _mathml(printer: Any) -> Any:
    """A filter from a formula's text to MathML; what is no formula gives nothing."""

    def mathml(text: str) -> Markup:
        try:
            return Markup(clean(printer(text)))
        except (FormulaError, RecursionError):
            return Markup("")

    return mathml


def context(docs: Sequence[Doc], is_brief: bool, room: int) -> dict[str, Any]:
    """What the template shows, as plain data."""
    grid = Grid(docs)
    found = findings(docs)
    exhibits = Exhibits(found, room)
    return {
        "runs": [_run(doc) for doc in docs],
        "since": [item for doc in docs if (item := since(doc, _names(doc))) is not None],
        "grid": grid,
        "findings": [(name, TITLES[name], [f for f in found if f.standing == name]) for name in STANDINGS],
        "exhibits": exhibits,
        "kinks": kinks(grid),
        "unspecified": unspecified(grid),
        "differing": differing(grid),
        "documented": documented(grid),
        "details": details(grid, exhibits, is_brief),
        "is_brief": is_brief,
        "most": 40,  # checks of a finding that are listed
        "causes": 100 if is_brief else 1000,  # findings of one kind that are shown
        "left_open": [
            (label(doc, c.framework), name, c, o)
            for doc in docs
            for name, row in left_open(doc).items()
            for c, o in row.items()
            if o.undecided
        ],
        "unsupported": [(_names(doc), r) for doc in docs for r in unsupported(doc)],
        "not_run": [(_names(doc), r) for doc in docs for r in not_run(doc)],
        "meanings": MEANINGS,
    }


def _names(doc: Doc) -> str:
    return ", ".join(label(doc, name) for name in sorted(doc["run"]["frameworks"])) or "no framework"


def _run(doc: Doc) -> dict[str, Any]:
    run, verdict = doc["run"], doc["run"]["verdict"]
    return {
        "names": _names(doc),
        "sentences": sentences(doc),
        "verdict": verdict,
        "passed": verdict.startswith("PASS:"),
        "facts": facts(doc),
        "left_out": left_out(doc),
        "reference": ways(found) if (found := reference(doc)) else "",
        "run": run,
        "options": json.dumps(run["options"], sort_keys=True) if run["options"] else "",
    }
