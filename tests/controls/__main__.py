"""Judges the controls on fresh cases, and prints how close to their budgets right implementations come.

    python -m tests.controls [--cases N] [--seed S] [--criterion GLOB] [--dtype D] [--json FILE]

A case is the value and all gradients of one control. It ends with 1 if any case fails.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from conformance.spec import load_specs, specs_folder
from conformance.verdict.tally import WRITTEN
from tests.controls.judging import Panel, fresh, panel_for, smaller

OUTCOMES = ("agrees", "inaccurate", "undecided")
HEADERS = ("criterion", "dtype", "control", "cases", *OUTCOMES, "known", "fails", "error/tight", "error/sound")


def rows_of(panel: Panel) -> list[list[Any]]:
    rows = []
    for name, score in panel.scores.items():
        counts = [score.counts[outcome] for outcome in OUTCOMES]
        fails = score.counts["fails"] + score.counts["error"]
        ratios = [f"{score.worst[budget]:.3g}" for budget in ("tight", "sound")]
        rows.append([panel.spec.name, panel.dtype, name, score.cases, *counts, score.known, fails, *ratios])
    return rows


def budget_rows(panel: Panel) -> list[list[Any]]:
    """By output: sound budgets of well-conditioned cases, and how many numbers are smaller than their budget."""
    found = []
    for output, budgets in panel.budgets.items():
        share = 100 * budgets.wide / budgets.numbers if budgets.numbers else 0.0
        sizes = [f"{size:.3g}" for size in (budgets.median, budgets.worst)]
        found.append([panel.spec.name, panel.dtype, output, len(budgets.ulps), *sizes, f"{share:.2f}"])
    return found


def witnesses(panel: Panel) -> list[str]:
    found = []
    for control in panel.controls:
        for output, (case, _) in panel.scores[control.name].witnesses.items():
            small, sentence = smaller(panel, control, output, case)
            found.append(f"{panel.spec.name}/{control.name}/{panel.dtype}: {sentence}")
            written = json.dumps(small.to_json()) if small.size <= WRITTEN else f"{small.size:,} numbers: {case.hash}"
            found.append(f"    {written}\n")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.controls")
    parser.add_argument("--cases", type=int, default=50_000, help="judged cases in all")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--criterion", default="*")
    parser.add_argument("--dtype", action="append")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    names = [name for name in load_specs([specs_folder()]) if fnmatch.fnmatchcase(name, given.criterion)]
    cells = [(name, dtype) for name in names for dtype in given.dtype or ("float64", "float32")]
    start, panels, left = time.perf_counter(), [], given.cases
    for i, (name, dtype) in enumerate(cells):
        panel = panel_for(name, dtype)
        panel.take(fresh(panel.spec, dtype, given.seed), left / (len(cells) - i))
        panels.append(panel)
        left -= panel.cases
        print(tabulate(rows_of(panel), () if i else HEADERS, tablefmt="plain"), flush=True)
        print(*witnesses(panel), sep="\n", end="")
    report(panels, time.perf_counter() - start)
    if given.json:
        given.json.write_text(json.dumps([as_json(panel) for panel in panels], indent=1))
    return int(any(panel.fails for panel in panels))


def report(panels: list[Panel], seconds: float) -> None:
    headers = ("criterion", "dtype", "output", "cases", "median (ulp)", "worst (ulp)", "% wider than the number")
    print("", "Sound budgets of well-conditioned cases (an output of a case: the median of its numbers):", sep="\n")
    print("", tabulate([row for panel in panels for row in budget_rows(panel)], headers), "", sep="\n")
    for dtype in dict.fromkeys(panel.dtype for panel in panels):
        mine = [panel for panel in panels if panel.dtype == dtype]
        parts = [size for panel in mine for budgets in panel.budgets.values() for size in budgets.ulps]
        median = np.median(parts) if parts else np.nan
        sound = max((score.worst["sound"] for panel in mine for score in panel.scores.values()), default=0.0)
        print(
            f"{dtype}: median sound budget of {len(parts):,} well-conditioned cases {median:.3g} ulp; "
            f"largest error {sound:.3f} of its sound budget"
        )
    parts_of_time = dict.fromkeys(what for panel in panels for what in panel.seconds)
    print(", ".join(f"{what} {sum(panel.seconds[what] for panel in panels):.0f} s" for what in parts_of_time))
    cases, fails = sum(panel.cases for panel in panels), sum(panel.fails for panel in panels)
    print(f"{cases:,} cases, {fails} fails, {seconds:.0f} s")


def as_json(panel: Panel) -> dict[str, Any]:
    return {
        "criterion": panel.spec.name,
        "dtype": panel.dtype,
        "controls": {
            name: {"counts": dict(score.counts), "known": score.known, "worst": score.worst}
            for name, score in panel.scores.items()
        },
        "budgets": {
            output: {"median": b.median, "worst": b.worst, "cases": len(b.ulps), "numbers": b.numbers, "wide": b.wide}
            for output, b in panel.budgets.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
