"""Keeping a run, whoever judges its cells: the journal while it goes on, the results and the report at its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance._resources import PACKAGE, folder
from conformance.errors import ConformanceError, FileError
from conformance.record.baseline import Changes, compare
from conformance.record.identity import differences, digest_of, joined
from conformance.record.journal import Journal, Record, parse_journal
from conformance.record.results import read_results, results_of, run_info, write_results
from conformance.suite.about import criteria_of
from conformance.suite.options import Options
from conformance.suite.plan import Plan
from conformance.suite.run import expired, unmatched


class Recorder:
    """The record of one run, with its journal at `path`. `before` holds what an earlier part of the run judged, under
    --resume."""

    def __init__(self, plan: Plan, path: Path | None) -> None:
        self.plan = plan
        self.options = plan.options
        self.baseline = read_results(self.options.baseline) if self.options.baseline else None
        self.info = info_of(plan)
        self.before = Record()
        self.torn = False
        self.document: dict[str, Any] | None = None
        self.warned: dict[str, None] = {}
        self.lost = False  # a cell was asked for a verdict and has none
        self._started = time.perf_counter()
        if self.options.resume and path is not None:
            self.before, self.torn = earlier(path, self.info)
        self.journal = Journal(path)

    def begin(self) -> None:
        """The journal begins with the plan, and with what was judged before."""
        run = self.info
        if self.before.run:
            run = {**joined(self.info, self.before.run), "started": self.before.run["started"]}
        planned = [*self.plan.cells, *(cell for cell, _ in self.plan.skipped)]
        self.journal.begin(run, planned, criteria_of(self.plan), self.before.judged)
        for cell, reason in self.plan.skipped:
            self.journal.not_run(cell, reason)

    def take(self, data: dict[str, Any]) -> None:
        """A cell's result goes to the journal at once; so does why it has none (`fault`)."""
        if "fault" in data:
            self.lost = True
            self.journal.not_run(data["cell"], data["fault"])
            return
        known = {key: data[key] for key in ("stale", "fixed") if data[key]}
        seconds, compiling = (data["seconds"].get(key, 0.0) for key in ("total", "compiling"))
        self.journal.judged(data["cell"], seconds, data["checks"], data["reference"], compiling, **known)
        self.warned.update(dict.fromkeys(f"{data['cell']}: {text}" for text in data["warnings"]))

    def finish(self, interrupted: bool, deselected: Collection[str]) -> dict[str, Any]:
        """The results document, written where the options say."""
        # A cell that is missing for no known reason (its test broke, or -x ended the run) leaves the run incomplete.
        for cell in sorted({cell.id for cell in self.plan.cells} - self.journal.record.judged.keys()):
            if cell not in self.journal.record.not_run and (interrupted or cell in deselected):
                self.journal.not_run(cell, "interrupted" if interrupted else "filtered out: deselected")
        spent = time.perf_counter() - self._started
        stale = [*unmatched(self.plan), *expired(self.plan, datetime.now(UTC).date())]
        complete = not interrupted and not self.lost
        self.journal.end(spent, complete=complete, stale=stale)
        self.journal.close()
        self.document = results_of(self.journal.record, self.baseline, str(self.options.baseline or ""))
        self._write(self.document)
        return self.document

    def changes(self, checks: list[dict[str, Any]]) -> Changes | None:
        """What changed since the baseline, if there is one."""
        return compare(self.baseline, {"run": self.info, "checks": checks}) if self.baseline is not None else None

    def _write(self, document: dict[str, Any]) -> None:
        try:
            if self.options.results:
                write_results(self.options.results, document)
                if document["run"]["complete"] and self.journal.path:
                    self.journal.path.unlink(missing_ok=True)  # all of it stands in the results
            if self.options.report:
                from conformance.report.formats import write

                files = [self.options.results.name] if self.options.results else []
                write(self.options.report, [document], files=files)
        except ConformanceError as error:
            print(f"\n{error}", file=sys.stderr)


def journal_path(options: Options) -> Path | None:
    """Where the journal lies: beside the results."""
    results = options.results
    return results.with_name(results.name + ".journal") if results else None


def info_of(plan: Plan) -> dict[str, Any]:
    """What the record says of a run: all that decides its outcome."""
    o, items = plan.options, plan.frameworks.items()
    info = run_info(
        {name: dict(item.environment.versions) for name, item in items},
        seed=o.seed,
        effort=o.effort,
        fail_on=o.fail_on,
        criteria=list(o.criteria),
        dtypes=list(o.dtypes),
        devices=list(o.devices),
        modes=list(o.modes),
        environment={name: dict(item.environment.details) for name, item in items},
        adapters={name: item.option for name, item in items},
        specs=[str(path) for path in o.specs],
    )
    shard = {"shard": "/".join(map(str, o.shard))} if o.shard != (1, 1) else {}
    return {**info, **shard, "digests": digests_of(plan)}


def digests_of(plan: Plan) -> dict[str, str]:
    """What the suite, the specs, the known differences and the adapters say, in short."""
    specs = [path for place in (folder("specs"), *plan.options.specs) for path in place.glob("*.yaml")]
    return {
        "code": suite_digest(),
        "specs": digest_of(specs),
        "known": digest_of([*folder("adapters").glob("*.known.yaml"), *plan.options.known]),
        "adapters": ", ".join(f"{name} {item.source}" for name, item in plan.frameworks.items()),
    }


def suite_digest() -> str:
    """A digest of the suite's own code, built-in adapters included."""
    return digest_of({*PACKAGE.rglob("*.py"), *folder("adapters").glob("*.py")})


def earlier(path: Path, info: dict[str, Any]) -> tuple[Record, bool]:
    """What the journal at `path` holds of the run `info` (nothing, if there is none), and whether its end was torn.

    Raises:
        FileError: it is no journal, or one of another run. It is left as it is.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return Record(), False
    except OSError as error:
        raise FileError(f"the journal {path} cannot be read ({error.strerror})") from None
    torn = bool(text) and not text.endswith("\n")
    if "\n" not in text and any(head.startswith(text[: len(head)]) for head in ('{"criteria":', '{"journal":')):
        return Record(), torn  # cut off before its first line was whole
    record = parse_journal(text)
    if record is None:
        raise FileError(f"{path} is no journal of this version of the suite, or is damaged; {_leave(path)}")
    found = differences(record.run, info) + _shards(record.run, info)
    if found:
        raise FileError(f"--resume: the journal {path} is of another run ({'; '.join(found)}); {_leave(path)}")
    return record, torn


def _shards(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    there, here = (run.get("shard", "1/1") for run in (one, other))
    return [f"shard {there} there, {here} here"] if there != here else []


def _leave(path: Path) -> str:
    return "it is left as it is: give the options and versions it was begun with, or other --results"
