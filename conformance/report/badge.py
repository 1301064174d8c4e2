"""A badge: one line of SVG on who was judged and what the run came to. No script, no network, no font of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from conformance.record.gate import standing
from conformance.report.view import label
from conformance.report.words import one_line

LEFT = "loss conformance"
GREEN, RED, GREY = "#2e7d32", "#b3261e", "#5f6368"  # white on each: a contrast of 5 or more
WIDTH = 6.6  # of a character, in pixels at 11; textLength makes it so in every font

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" aria-label="{left}: {right}">
<title>{left}: {right}</title>
<rect width="{total}" height="20" rx="3" fill="#3c4043"/>
<path d="M{start} 0h{width}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{width}z" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
<text x="8" y="14" textLength="{left_text}">{left}</text>
<text x="{right_x}" y="14" textLength="{right_text}">{right}</text>
</g>
</svg>
"""


def render(docs: Sequence[Mapping[str, Any]]) -> str:
    """The badge of these results documents, as SVG."""
    right, colour = one_line(_words(docs), 80), _colour(docs)
    start, size = _pixels(LEFT) + 16, _pixels(right)
    return SVG.format(
        left=LEFT,
        right=escape(right, {'"': "&quot;"}),
        colour=colour,
        start=start,
        width=size + 13,
        total=start + size + 16,
        left_text=_pixels(LEFT),
        right_x=start + 8,
        right_text=size,
    )


def _pixels(text: str) -> int:
    return max(round(WIDTH * len(text)), 1)


def _words(docs: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(label(doc, name) for doc in docs for name in sorted(doc["run"]["frameworks"])) or "nothing"
    heads = {_head(doc) for doc in docs}
    word = next((word for word in ("FAIL", "INCOMPLETE", "NOTHING RAN", "PASS") if word in heads), "nothing ran")
    stands = [standing(check) for doc in docs for check in doc["checks"]]
    counts = [(stands.count("new"), "new"), (stands.count("known wrong"), "known wrong")]
    return f"{names}: {', '.join([word.lower(), *(f'{count:,} {what}' for count, what in counts if count)])}"


def _colour(docs: Sequence[Mapping[str, Any]]) -> str:
    heads = {_head(doc) for doc in docs}
    return RED if "FAIL" in heads else GREEN if heads == {"PASS"} else GREY


def _head(doc: Mapping[str, Any]) -> str:
    return str(doc["run"]["verdict"]).split(":")[0]
