"""How much of a run was looked at, how much was left open, and which way the reference's numbers went."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.report.view import Column, Doc, cells_of, size_of


@dataclass(frozen=True)
class Totals:
    """How much was looked at."""

    checks: int
    recipes: int
    cases: int
    undecided_checks: int
    undecided_cases: int


def totals(doc: Doc) -> Totals:
    """Sums over the checks that ran, and over the ledger's cells."""
    checks = doc["checks"]
    return Totals(
        sum(check["outcome"] not in ("not run", "unsupported") for check in checks),
        sum(entry["recipes"] for entry in doc["ledger"]),
        sum(entry["cases"] for entry in doc["ledger"]),
        sum(check["outcome"] == "undecided" for check in checks),
        sum(check["counts"].get("undecided", 0) for check in checks),
    )


@dataclass(frozen=True)
class Open:
    """How many verdicts on generated cases a cell left undecided because the budget is wider than the number.

    `apart`, in half precision: the largest distance, in ulps, from the framework's own float32 result rounded once.
    """

    undecided: int
    verdicts: int
    apart: float | None = None

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.undecided / self.verdicts if self.verdicts else 0.0


def left_open(doc: Doc) -> dict[str, dict[Column, Open]]:
    """The criteria that have verdicts undecided by their budget: by column, what came of it."""
    found: dict[str, dict[Column, Open]] = {}
    for (criterion, column), checks in cells_of(c for c in doc["checks"] if c["outcome"] != "unsupported").items():
        drawn = [c for c in checks if not c["check"].startswith(("edge.", "invalid."))]
        undecided = sum(c.get("undecided", {}).get("budget", 0) for c in drawn)
        apart = [size_of(c["apart_ulp"]) for c in drawn if c.get("apart_ulp") is not None]
        total = sum(sum(c["counts"].values()) for c in drawn)
        found.setdefault(criterion, {})[column] = Open(undecided, total, max(apart, default=None))
    return {name: found[name] for name in sorted(found) if any(item.undecided for item in found[name].values())}


def reference(doc: Doc) -> dict[str, int]:
    """How many numbers of the reference went which way, over all cells that say so; empty where none does."""
    sums: dict[str, int] = {}
    for entry in doc["ledger"]:
        for way, count in entry.get("reference", {}).items():
            sums[way] = sums.get(way, 0) + count
    return sums
