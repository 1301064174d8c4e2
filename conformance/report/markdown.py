"""Markdown, for the summary of a CI job or a comment. GitHub takes 1 MiB; what does not fit is counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from conformance.record.causes import Cause
from conformance.report.amounts import totals
from conformance.report.scripts import script_for
from conformance.report.terminal import CHANGES, TITLES
from conformance.report.view import (
    Box,
    Column,
    Reason,
    causes_by_standing,
    columns,
    in_every_framework,
    label,
    matrix,
    not_run,
    ran,
    unsupported,
    worst_first,
)
from conformance.report.words import GLYPHS, clean, number, one_line, plural, share_of_cases, size

Doc = Mapping[str, Any]
LIMIT = 2**20  # bytes
MARKUP = re.compile(r"[\\`*\[\]<>&|#~@$!]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is none


def render(docs: Sequence[Doc], limit: int = LIMIT) -> str:
    """The report in at most `limit` bytes of Markdown: cut between rows, with a count of those that are left out."""
    shared = _listed("In every framework: look at the spec first", in_every_framework(docs))
    blocks = [*shared, *(block for doc in docs for block in _blocks(doc))]
    room = limit - 200  # for the sentence that counts
    kept: list[str] = []
    for i, block in enumerate(blocks):
        room -= len(block.encode()) + 1
        if room < 0:
            left = plural(len(blocks) - i, "row")
            return "\n".join([*kept, "", f"… and {left} more, which did not fit; the results file has all.", ""])
        kept.append(block)
    return "\n".join([*kept, ""])


def text(value: Any, width: int = 500) -> str:
    """Foreign text on one line, with every character that Markdown or HTML would take for markup as an entity."""
    return MARKUP.sub(lambda found: f"&#{ord(found.group())};", one_line(value, width))


def code(value: Any, width: int = 500) -> str:
    """Foreign text as code, on one line; where that cannot hold it, as text."""
    line = one_line(value, width)
    return text(line) if "`" in line or "|" in line or not line else f"`{line}`"


def fenced(value: str, language: str = "text") -> str:
    """Foreign text as a block of code, in a fence that it cannot close."""
    body = clean(value).rstrip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{fence}{language}\n{body}\n{fence}"


def _blocks(doc: Doc) -> Iterator[str]:
    """Lines and blocks, each of them whole; a table's rows are blocks, so that it may end at any."""
    run, sums = doc["run"], totals(doc)
    names = ", ".join(label(doc, name) for name in sorted(run["frameworks"])) or "no framework"
    yield f"## {text(run['verdict'])}\n"
    seen = ", ".join(plural(count, word) for count, word in ((sums.checks, "check"), (sums.cases, "case")))
    yield f"{text(names)}: {seen}; seed {run['seed']}, effort {text(run['effort'])}, suite {text(run['suite'])}\n"
    yield from _changes(doc)
    yield from _listed("Stale known differences: remove or renew them", run["stale"])
    for name, causes in causes_by_standing(doc):
        yield from _causes(name, causes, doc)
    yield from _matrices(doc)
    yield from _listed("Known differences that may be fixed upstream", run["fixed_upstream"])
    yield from _reasons("Unsupported", unsupported(doc))
    yield from _reasons("Not run", not_run(doc))


def _changes(doc: Doc) -> Iterator[str]:
    if (baseline := doc["run"]["baseline"]) is None:
        return
    yield f"### Since the baseline {text(baseline['file'])} (suite {text(baseline['suite'])})\n"
    if baseline["changes"]["note"]:
        yield f"{text(baseline['changes']['note'])}\n"
    lists = [(word, baseline["changes"][key]) for key, word in CHANGES.items() if baseline["changes"][key]]
    if not lists:
        yield "Nothing changed.\n"
    for word, ids in lists:
        yield f"{word} ({len(ids):,}):\n"
        yield from (f"- {code(id)}" for id in ids)
        yield ""


def _causes(name: str, causes: Sequence[Cause], doc: Doc) -> Iterator[str]:
    """A new cause with all that a person needs; the others in a table."""
    by_id = {check["id"]: check for check in doc["checks"]}
    count = plural(len({id for cause in causes for id in cause.checks}), "check")
    yield f"### {TITLES[name]} ({count}, {plural(len(causes), 'cause')})\n"
    if name != "new":
        yield "| cause | checks | the worst of them | |\n|---|---|---|---|"
    for cause in causes:
        worst, *others = sorted((by_id[id] for id in cause.checks), key=worst_first)
        facts = ", ".join(part for part in (worst["outcome"], size(worst), share_of_cases(worst)) if part)
        if name != "new":
            yield f"| {text(cause.title)} | {len(others) + 1:,} | {code(worst['id'])} | {text(facts)} |"
            continue
        yield f"**{text(cause.title)}**: {plural(len(others) + 1, 'check')}\n"
        yield f"{code(worst['id'])}: {text(facts)}\n\n{fenced(worst['message'] or worst['outcome'])}\n"
        yield from _details("The other checks", "\n".join(f"- {code(check['id'])}" for check in others))
        script = next((found for w in worst["witnesses"] if (found := script_for(worst, w))), "")
        yield from _details("A script that needs the framework only", fenced(script, "python") if script else "")
    yield ""


def _details(title: str, body: str) -> Iterator[str]:
    if body:
        yield f"<details><summary>{title}</summary>\n\n{body}\n\n</details>\n"


def _matrices(doc: Doc) -> Iterator[str]:
    boxes = matrix(doc)
    shown = [column for column in columns(boxes) if ran(boxes, column)]
    for framework, place in dict.fromkeys((c.framework, c.place) for c in shown):
        mine = [c for c in shown if (c.framework, c.place) == (framework, place)]
        yield f"### {text(label(doc, framework))}, {text(place)}\n"
        yield f"| | {' | '.join(text(c.dtype) for c in mine)} |\n|---{'|---' * len(mine)}|"
        yield from (f"| {text(name)} | {' | '.join(_box(row, c) for c in mine)} |" for name, row in boxes.items())
        yield "\nLargest error in ulps; \\* known differences cover all that is wrong.\n"


def _box(row: Mapping[Column, Box], column: Column) -> str:
    box = row.get(column)
    if box is None:
        return ""
    error = "" if box.ulp is None else f" {number(box.ulp)}"
    return f"{GLYPHS.get(box.outcome, '')} {text(box.outcome)}{chr(92) + '*' if box.known else ''}{error}".strip()


def _listed(title: str, sentences: Iterable[str]) -> Iterator[str]:
    lines = [f"- {text(sentence)}" for sentence in sentences]
    if lines:
        yield f"### {title} ({len(lines):,})\n"
        yield from lines
        yield ""


def _reasons(title: str, reasons: Sequence[Reason]) -> Iterator[str]:
    if reasons:
        yield f"### {title} ({sum(len(reason.ids) for reason in reasons):,})\n"
        yield "| | reason | such as |\n|---|---|---|"
        yield from (f"| {len(reason.ids):,} | {text(reason.text)} | {code(reason.ids[0])} |" for reason in reasons)
        yield ""
