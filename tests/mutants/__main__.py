"""Judges the mutants by the ordinary checks, and prints the mutation score.

    python -m tests.mutants [--criterion GLOB] [--dtype D] [--effort default] [--seed N] [--json FILE]

A mutant is killed if, in every dtype that it concerns, a required check comes out worse than it does for the right
implementation of the same criterion. It ends with 1 if fewer than 95 % are killed, if one survives whose gradient alone
is wrong, or if the registry says what is not so: of a survivor, of a tag, of the right implementation.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from conformance.suite.options import EFFORTS
from tests.mutants.faults import MUTANTS
from tests.mutants.registry import DTYPES
from tests.mutants.scoring import Fate, fates
from tests.mutants.table import HEADERS, as_json, faults_of, rows_of, scores, survivors


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--criterion", default="*")
    parser.add_argument("--dtype", action="append")
    parser.add_argument("--effort", choices=EFFORTS, default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    start, found, faults = time.perf_counter(), list[Fate](), list[str]()
    for criterion in fnmatch.filter(dict.fromkeys(mutant.criterion for mutant in MUTANTS.values()), given.criterion):
        before = len(found)
        for dtype in given.dtype or DTYPES:
            mine = [m for m in MUTANTS.values() if m.criterion == criterion and m.concerns(dtype)]
            if mine:
                wrong, fresh = fates(mine, dtype, given.effort, given.seed)
                faults += wrong
                found += fresh
        print(tabulate(rows_of(found[before:]), () if before else HEADERS, tablefmt="plain"), flush=True)
    faults += faults_of(found, given.seed == 0 and given.effort == "default")
    print("", scores(found), *survivors(found), *(f"WRONG: {text}" for text in faults), _usage(start), sep="\n")
    if given.json:
        given.json.write_text(json.dumps([as_json(fate) for fate in found], indent=1))
    return int(bool(faults))


def _usage(start: float) -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{time.perf_counter() - start:.0f} s, {time.process_time():.0f} s of them computing; at most {peak:.0f} MiB"


if __name__ == "__main__":
    sys.exit(main())
