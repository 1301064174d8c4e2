"""The results inside of a page, to be saved from it: compressed, in letters that cannot end the element they are in."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Doc = Mapping[str, Any]
LIMIT = 2_000_000  # bytes of a page
BULKY = {"message": "", "witnesses": []}


@dataclass(frozen=True)
class Embedded:
    """A results document as base64 of gzip of JSON."""

    text: str
    size: int  # of the JSON, in bytes
    is_whole: bool  # witnesses and messages are in it


def embedded(docs: Sequence[Doc], room: int) -> list[Embedded]:
    """The documents, if they take at most `room` bytes; else without their witnesses; else none."""
    for is_whole in (True, False):
        found: list[Embedded] = []
        for doc in docs:
            found.append(_embedded(doc if is_whole else _lean(doc), is_whole))
            if sum(len(item.text) for item in found) > room:
                break
        else:
            return found
    return []


def _embedded(doc: Doc, is_whole: bool) -> Embedded:
    data = json.dumps(doc, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()
    return Embedded(base64.b64encode(gzip.compress(data, 9, mtime=0)).decode(), len(data), is_whole)


def _lean(doc: Doc) -> dict[str, Any]:
    """A results document that compares like the whole one."""
    checks = [{k: v for k, v in c.items() if k not in ("regimes", "curve")} | BULKY for c in doc["checks"]]
    return {**doc, "checks": checks}
