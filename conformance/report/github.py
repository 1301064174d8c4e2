"""Annotations of a GitHub Actions job: the causes that fail it, ten at most, since GitHub shows no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conformance.record.causes import causes_of
from conformance.report.view import worst_first
from conformance.report.words import clean, one_line, plural, size

LIMIT = 10


def render(docs: Sequence[Mapping[str, Any]]) -> str:
    """`::error title=CAUSE::MESSAGE`, a line for each cause that fails a run; the last line counts what is left out."""
    found = [row for doc in docs for row in _errors(doc)]
    if len(found) > LIMIT:
        more = len(found) - LIMIT + 1
        found = [*found[: LIMIT - 1], ("more", f"{plural(more, 'cause')} more: see the report, or the job's summary")]
    lines = [f"::error title={_property(title)}::{_data(text)}" for title, text in found]
    return "".join(f"{line}\n" for line in lines)


def _errors(doc: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title and text of what fails a run: its causes, stale known differences; else the verdict, if it is not PASS."""
    run, failing = doc["run"], set(doc["run"]["failing"])
    by_id = {check["id"]: check for check in doc["checks"]}
    found = []
    for cause in causes_of(doc):
        if mine := sorted((by_id[id] for id in cause.checks if id in failing), key=worst_first):
            found.append((cause.title, _text(mine[0], len(mine))))
    if run["fail_on"] != "none":
        found += [("stale known difference", text) for text in run["stale"]]
    failed = not str(run["verdict"]).startswith("PASS:")
    return found or ([("loss-conformance", str(run["verdict"]))] if failed else [])


def _text(check: Mapping[str, Any], count: int) -> str:
    command = next((witness["command"] for witness in check["witnesses"] if witness.get("command")), "")
    facts = ", ".join(part for part in (check["outcome"], size(check), plural(count, "check")) if part)
    said = next((w["sentence"] for w in check["witnesses"] if w.get("sentence")), one_line(check["message"], 500))
    return "\n".join(part for part in (check["id"], facts, said, command) if part)


def _data(text: str) -> str:
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(one_line(text, 200)).replace(":", "%3A").replace(",", "%2C")
