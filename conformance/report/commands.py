"""What `conformance report` and `conformance diff` do."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.errors import UsageError
from conformance.record.baseline import Changes, compare
from conformance.record.gate import decide
from conformance.record.merge import merged
from conformance.record.plain import dumps
from conformance.record.results import read_results, write_text
from conformance.report.formats import FORMATS, render, write
from conformance.report.terminal import changes_text
from conformance.report.view import label
from conformance.report.words import clean

Doc = Mapping[str, Any]


def report(paths: Sequence[Path | str], *outs: Path | str, name: str = "") -> int:
    """0, after writing one report on all of these results files, shards of a run made into one, to each place, in the
    format `name` or by its suffix; without a place, the format `name` is printed.

    A place that ends in .json becomes the results file of the one run that they are shards of, whose verdict is
    printed; the exit code is that run's.

    Raises:
        FileError: a file is not a results file, or a place cannot be written.
        UsageError: there is no such format, neither place nor format is given, or shards do not fit together.
    """
    if not outs and not name:
        raise UsageError(f"say where the report goes (-o), or what to print (--format {'|'.join(FORMATS)})")
    docs = merged([read_results(path) for path in paths])
    files = [Path(path).name for path in paths] if len(docs) == len(paths) else []
    code = 0
    for out in outs:
        if Path(out).suffix == ".json" and not name:
            code = _write_one(docs, out)
        else:
            write(out, docs, name, files)
    if not outs:
        print(render(docs, name, files), end="")
    return code


def _write_one(docs: Sequence[Doc], out: Path | str) -> int:
    if len(docs) > 1:
        raise UsageError(f"{out} holds the results of one run, and these are {len(docs)}; shards of a run become one")
    run = docs[0]["run"]
    changes = Changes(**run["baseline"]["changes"]) if run["baseline"] else None
    write_text(out, dumps(docs[0], indent=1) + "\n", "-o")
    print(run["verdict"])
    return decide(docs[0], run["fail_on"], changes).exit_code


def diff(old: Path | str, new: Path | str, width: int | None = None) -> int:
    """1 if a check of level required is newly failing or worse in `new`, else 0; prints every change since `old`.

    Raises:
        FileError: one of the two is not a results file.
    """
    before, after = read_results(old), read_results(new)
    changes = compare(before, after)
    baseline = {"file": str(old), "suite": before["run"]["suite"], "changes": changes.to_json()}
    lines = [f"{sign} {clean(path)}: {_who(doc)}" for sign, path, doc in (("-", old, before), ("+", new, after))]
    lines += ["", *changes_text(baseline, width or shutil.get_terminal_size().columns, limit=10**6), ""]
    worse = len(changes.newly_failing) + len(changes.worse)
    lines.append(
        f"WORSE: {worse} newly failing or worse" if worse else "NOT WORSE: nothing newly failing, nothing worse"
    )
    print("\n".join(lines))
    return 1 if worse else 0


def _who(doc: Doc) -> str:
    run = doc["run"]
    names = ", ".join(label(doc, name) for name in sorted(run["frameworks"])) or "no framework"
    return clean(f"{names}; suite {run['suite']}, seed {run['seed']}, effort {run['effort']}")
