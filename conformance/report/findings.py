"""What is wrong or inaccurate, by cause: wrong before inaccurate, at everyday numbers before extreme ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.record.baseline import Changes
from conformance.record.causes import Cause, causes_of
from conformance.record.model import WRONG
from conformance.report.view import STANDINGS, label
from conformance.report.witnesses import EXTREMENESS, extremeness, ratio_of, sentence
from conformance.report.words import dtype_rank

Doc = Mapping[str, Any]
Check = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """A cause in one of the documents, with the check that shows it best first."""

    index: int  # of the document
    framework: str  # with its version
    title: str
    standing: str
    severity: str
    usual: str  # how far from everyday use, in words
    checks: tuple[Check, ...]
    sentence: str
    rank: tuple[int, bool, int, float, str]

    @property
    def count(self) -> int:
        """How many checks it has."""
        return len(self.checks)

    @property
    def criteria(self) -> list[str]:
        """Of its checks."""
        return sorted({str(check["criterion"]) for check in self.checks})

    def values(self, key: str) -> list[str]:
        """What its checks have for "dtype", "device", "mode" or "outcome"."""
        return sorted({str(check[key]) for check in self.checks}, key=dtype_rank)

    @property
    def known(self) -> list[str]:
        """The known differences that cover cases of it."""
        return sorted({str(id) for check in self.checks for id in check["known"]})


def changes_of(doc: Doc) -> Changes | None:
    """What changed since a document's baseline, if it has one."""
    baseline = doc["run"]["baseline"]
    return Changes(**baseline["changes"]) if baseline else None


def findings(docs: Sequence[Doc]) -> list[Found]:
    """Every cause of every document, the most severe first."""
    found = []
    for i, doc in enumerate(docs):
        checks = {check["id"]: check for check in doc["checks"]}
        found += [
            _found(i, doc, cause, [checks[id] for id in cause.checks if id in checks]) for cause in causes_of(doc)
        ]
    return sorted(found, key=lambda item: item.rank)


def _found(index: int, doc: Doc, cause: Cause, checks: list[Check]) -> Found:
    criteria = doc.get("criteria", {})

    def plainness(check: Check) -> tuple[bool, int, float, str]:
        defaults = criteria.get(check["criterion"], {}).get("parameters", {})
        return check["outcome"] not in WRONG, extremeness(check, defaults), -ratio_of(check), check["id"]

    ordered = sorted(checks, key=plainness)
    mild, usual, ratio, _ = plainness(ordered[0])
    standing = STANDINGS.index(cause.standing) if cause.standing in STANDINGS else len(STANDINGS)
    names = sorted({label(doc, check["framework"]) for check in ordered})
    return Found(
        index=index,
        framework=", ".join(names),
        title=cause.title,
        standing=cause.standing,
        severity=cause.severity,
        usual=EXTREMENESS[usual],
        checks=tuple(ordered),
        sentence=sentence(ordered[0]),
        rank=(standing, mild, usual, ratio, cause.title),
    )
