"""Judges a framework with many seeds: does any check say `agrees` with one of them and `fails` with another?

    python -m tests.seeds [--framework torch] [--seeds 2000:2100] [--effort quick] [--criterion GLOB] [--dtype D]

A check that does so leaves its verdict to the draw of cases: a baseline, or a gate, would flicker. A known fault is
told for good by a frozen witness (docs/known-differences.md). Prints every check that flips, with its outcomes, and
whatever is new; ends with 1 if there is any. With `--json FILE` also the smallest case that each wrong check showed,
from which to freeze a witness. Every seed stands alone: ranges can be judged apart, and their files read with `--read`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from conformance.record.model import WRONG
from conformance.suite import run
from conformance.suite.options import Options
from conformance.suite.plan import Plan, make_plan
from conformance.suite.run import judge_cell

SOUND = ("agrees", "inaccurate", "differs")  # judged, and nobody's fault


@dataclass
class Outcomes:
    """What every check came to, seed by seed."""

    seen: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # check id: outcome: seeds
    new: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # check id: what is new, by seed
    smallest: dict[str, dict[str, Any]] = field(default_factory=dict)  # check id: the smallest case that was wrong
    stale: set[str] = field(default_factory=set)
    seeds: int = 0
    cases: int = 0

    def add(self, other: Outcomes) -> None:
        """Takes in what other seeds came to."""
        for check, counts in other.seen.items():
            self.seen[check].update(counts)
        for check, texts in other.new.items():
            self.new[check] += texts
        for check, case in other.smallest.items():
            self.keep(check, case)
        self.stale |= other.stale
        self.seeds += other.seeds
        self.cases += other.cases

    def keep(self, check: str, case: dict[str, Any]) -> None:
        """Keeps the case if none so small is known that shows the check to be wrong."""
        if check not in self.smallest or _written(case) < _written(self.smallest[check]):
            self.smallest[check] = case

    @property
    def flips(self) -> list[str]:
        """The checks that are wrong with some seeds only."""
        return sorted(check for check, counts in self.seen.items() if is_flip(counts))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        seen = {check: dict(sorted(counts.items())) for check, counts in sorted(self.seen.items())}
        new = dict(sorted(self.new.items()))
        smallest = {check: self.smallest[check] for check in sorted(self.smallest)}
        counts = {"seeds": self.seeds, "cases": self.cases, "stale": sorted(self.stale)}
        return {**counts, "seen": seen, "new": new, "smallest": smallest}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Outcomes:
        """What `to_json` wrote."""
        found = Outcomes(seeds=data["seeds"], cases=data["cases"], stale=set(data["stale"]))
        found.seen.update({check: Counter(counts) for check, counts in data["seen"].items()})
        found.new.update({check: list(texts) for check, texts in data["new"].items()})
        found.smallest.update(data["smallest"])
        return found


def _written(case: Mapping[str, Any]) -> int:
    return len(json.dumps(case))


def is_flip(counts: Mapping[str, int]) -> bool:
    """Whether a check with these outcomes was wrong with one seed and not with another."""
    return any(counts.get(name) for name in WRONG) and any(counts.get(name) for name in SOUND)


def judged(plan: Plan, seed: int) -> Outcomes:
    """What every check of a plan comes to with a seed."""
    plan.options, found = replace(plan.options, seed=seed), Outcomes(seeds=1)
    for cell in plan.cells:
        result = judge_cell(plan, cell)
        found.cases += result.cases
        found.stale |= set(result.stale)
        for check in result.checks:
            found.seen[check.id][check.outcome] += 1
            if check.outcome in WRONG and check.witnesses:
                found.keep(check.id, check.witnesses[0]["case"])
            if check.new in WRONG and check.level == "required":
                found.new[check.id].append(f"seed {seed}: {check.message.splitlines()[0]}")
    return found


def report(found: Outcomes) -> int:
    """Prints what flips and what is new; 1 if there is any."""
    rows = [(check, ", ".join(f"{n} {name}" for name, n in found.seen[check].most_common())) for check in found.flips]
    if rows:
        print(tabulate(rows, ("check that flips", "outcomes, by seeds"), tablefmt="plain"))
    for check, texts in sorted(found.new.items()):
        print(f"new: {check}, {len(texts)} times: {texts[0]}")
    for text in sorted(found.stale):
        print(f"stale: {text}")
    wrong = sum(any(counts[name] for name in WRONG) for counts in found.seen.values())
    print(
        f"{found.seeds} seeds, {len(found.seen):,} checks, {found.cases:,} cases: {wrong} checks wrong with some seed, "
        f"{len(found.flips)} flip, {len(found.new)} new"
    )
    return int(bool(found.flips or found.new or found.stale))


def seeds_of(text: str) -> Iterable[int]:
    """`3` or `2000:2100`."""
    first, _, end = text.partition(":")
    return range(int(first), int(end) if end else int(first) + 1)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.seeds")
    parser.add_argument("--framework", default="torch")
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("2000:2100"))
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--criterion", action="append", default=[])
    parser.add_argument("--dtype", action="append", default=[])
    parser.add_argument("--drawn", action="store_true", help="leave out edge cases and invalid input, to save time")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--read", type=Path, nargs="+", help="judge nothing; report on what --json wrote")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # the framework's own
    found = Outcomes()
    if given.read:
        for path in given.read:
            found.add(Outcomes.from_json(json.loads(path.read_text())))
        return report(found)
    criteria, dtypes = tuple(given.criterion), tuple(given.dtype)
    plan = make_plan(Options((given.framework,), criteria, dtypes, effort=given.effort))
    if given.drawn:
        run._named = lambda judge, seed: []
    for seed in given.seeds:
        start = time.perf_counter()
        found.add(judged(plan, seed))
        print(f"seed {seed}: {len(found.flips)} flip so far, {time.perf_counter() - start:.0f} s", flush=True)
        if given.json:
            given.json.write_text(json.dumps(found.to_json(), indent=1))
    plan.close()
    return report(found)


if __name__ == "__main__":
    sys.exit(main())
