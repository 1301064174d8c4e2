"""The suite inside pytest: the plan at the start, the journal while it runs, results and summary at the end."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conformance.adapter.load import built_in
from conformance.errors import ConformanceError
from conformance.record.baseline import Changes, compare
from conformance.record.gate import FAILED, decide, is_failing
from conformance.record.journal import Journal
from conformance.record.model import Cell
from conformance.record.results import read_results, results_of, run_info, write_results
from conformance.suite.about import criteria_of
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.progress import Progress, is_wanted, terminal
from conformance.suite.run import CellResult, expired, judge_cell, unmatched

SUITE = pytest.StashKey["SuitePlugin"]()
PROPERTY = "conformance"


class SuitePlugin:
    """One run of the suite. Under xdist each worker has one that judges, and the controller one that records."""

    def __init__(self, config: pytest.Config) -> None:
        self.options = Options.read(config.option)
        self.plan = make_plan(self.options)
        self.baseline = read_results(self.options.baseline) if self.options.baseline else None
        self.is_worker = hasattr(config, "workerinput")
        self.stale: dict[str, None] = {}
        self.fixed: dict[str, None] = {}
        self.warned: dict[str, None] = {}
        self.document: dict[str, Any] | None = None
        self.interrupted = False
        self.faulty = False  # a number of the reference lay outside its bound
        self.deselected: set[str] = set()
        self._started = time.perf_counter()
        self.journal = Journal(None if self.is_worker else self._journal_path())
        collects = getattr(config.option, "collectonly", False)
        live = not self.is_worker and not collects and is_wanted(getattr(config.option, "verbose", 0), os.environ)
        self.progress = Progress(len(self.plan.cells), terminal() if live else None)
        config.stash[SUITE] = self

    def _journal_path(self) -> Path | None:
        results = self.options.results
        return results.with_name(results.name + ".journal") if results else None

    def judge(self, cell: Cell) -> CellResult:
        """What one cell came to."""
        self.progress.begins(cell)
        return judge_cell(self.plan, cell, self.progress.judged)

    def failing(self, result: CellResult) -> list[str]:
        """Why a cell fails the run: a message for each check, and each known difference that is stale."""
        checks = [check.to_json() for check in result.checks]
        changes = self._changes(checks)
        reasons = [c["message"] or c["id"] for c in checks if is_failing(c, self.options.fail_on, changes)]
        stale = [f"stale known difference {text}" for text in result.stale]
        return reasons + (stale if self.options.fail_on != "none" else [])

    def _changes(self, checks: list[dict[str, Any]]) -> Changes | None:
        if self.baseline is None:
            return None
        run = run_info({}, seed=self.options.seed, effort=self.options.effort, fail_on=self.options.fail_on)
        return compare(self.baseline, {"run": run, "checks": checks})

    # pytest's hooks

    def pytest_report_header(self) -> list[str]:
        """Seed, effort, and which frameworks are judged."""
        lines = [f"conformance: seed {self.options.seed}, effort {self.options.effort}, {len(self.plan.cells)} cells"]
        for name, framework in self.plan.frameworks.items():
            versions = ", ".join(f"{key} {value}" for key, value in framework.environment.versions.items())
            where = framework.environment.details.get("interpreter", "")
            lines.append(f"judging: {name} ({versions})" + (f" in {where}" if where else ""))
        if self.options.default_framework:
            there = [name for name in built_in() if name != "numpy" and importlib.util.find_spec(name) is not None]
            say = "; ".join(f"--framework {name}" for name in there) or "none of the known frameworks is installed"
            judged = "no --framework given, so the built-in numpy is judged: the formulas in NumPy"
            lines.append(f"{judged}. Installed: {say}")
        return lines

    def pytest_sessionstart(self) -> None:
        """The journal begins with the plan."""
        if self.is_worker:
            return
        versions = {name: dict(item.environment.versions) for name, item in self.plan.frameworks.items()}
        details = {name: dict(item.environment.details) for name, item in self.plan.frameworks.items()}
        o = self.options
        info = run_info(
            versions,
            seed=o.seed,
            effort=o.effort,
            fail_on=o.fail_on,
            criteria=list(o.criteria),
            dtypes=list(o.dtypes),
            devices=list(o.devices),
            modes=list(o.modes),
            environment=details,
            adapters={name: item.option for name, item in self.plan.frameworks.items()},
            specs=[str(path) for path in o.specs],
        )
        planned = [*self.plan.cells, *(cell for cell, _ in self.plan.skipped)]
        self.journal.begin(info, planned, criteria_of(self.plan))
        for cell, reason in self.plan.skipped:
            self.journal.not_run(cell, reason)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A judged cell goes to the journal at once."""
        if self.is_worker or report.when != "call":
            return
        for name, data in report.user_properties:
            if name == PROPERTY and isinstance(data, dict):
                self._take(data)

    def _take(self, data: dict[str, Any]) -> None:
        if "fault" in data:
            self.faulty = True
            self.journal.not_run(data["cell"], data["fault"])
            return
        self.journal.judged(data["cell"], data["seconds"].get("total", 0.0), data["checks"], data["reference"])
        changes = self._changes(data["checks"])
        failing = sum(is_failing(check, self.options.fail_on, changes) for check in data["checks"])
        self.progress.ends(data["cell"], data["cases"], failing)
        self.stale.update(dict.fromkeys(data["stale"]))
        self.fixed.update(dict.fromkeys(data["fixed"]))
        self.warned.update(dict.fromkeys(f"{data['cell']}: {text}" for text in data["warnings"]))

    def pytest_report_teststatus(self, report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
        """No letter for a cell where a line tells how far the run is."""
        if self.progress.out is None or report.when != "call":
            return None
        return report.outcome, "", report.outcome.upper()

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Cells that -k or a node id left out."""
        cells = [getattr(item, "callspec", None) for item in items]
        self.progress.total -= len(cells)
        self.deselected.update(spec.params["cell"].id for spec in cells if spec is not None and "cell" in spec.params)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """An xdist worker tells what it left out; the controller collects nothing itself."""
        self.deselected.update(getattr(node, "workeroutput", {}).get("conformance_deselected", ()))

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C: what was judged is kept, the rest was not run."""
        self.interrupted = True

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Iterator[None]:
        """Results and report; a stale known difference fails the run, and so does a run in which nothing ran."""
        yield
        if self.is_worker:
            worker: Any = session.config
            worker.workeroutput["conformance_deselected"] = sorted(self.deselected)
        if self.is_worker or session.config.option.collectonly:
            return
        self.progress.close()
        self._finish()
        assert self.document is not None
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            decision = decide(self.document, self.options.fail_on, self._changes(self.document["checks"]))
            session.exitstatus = FAILED if self.faulty else decision.exit_code or session.exitstatus

    def _finish(self) -> None:
        stale = [*self.stale, *unmatched(self.plan), *expired(self.plan, datetime.now(UTC).date())]
        # A cell that is missing for no known reason (its test broke, or -x ended the run) leaves the run incomplete.
        for cell in sorted({cell.id for cell in self.plan.cells} - self.journal.record.judged.keys()):
            if self.interrupted or cell in self.deselected:
                self.journal.not_run(cell, "interrupted" if self.interrupted else "filtered out: deselected")
        spent = time.perf_counter() - self._started
        complete = not self.interrupted and not self.faulty
        self.journal.end(spent, complete=complete, stale=stale, fixed_upstream=list(self.fixed))
        self.journal.close()
        self.document = results_of(self.journal.record, self.baseline, str(self.options.baseline or ""))
        self._write()

    def _write(self) -> None:
        assert self.document is not None
        try:
            if self.options.results:
                write_results(self.options.results, self.document)
                if self.document["run"]["complete"] and self.journal.path:
                    self.journal.path.unlink(missing_ok=True)  # all of it stands in the results
            if self.options.report:
                from conformance.report.formats import write

                files = [self.options.results.name] if self.options.results else []
                write(self.options.report, [self.document], files=files)
        except ConformanceError as error:
            print(f"\n{error}", file=sys.stderr)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The matrix, what is wrong, and the verdict in one line."""
        if self.document is None:
            return
        from conformance.report.terminal import summary

        text = summary(self.document, width=terminalreporter._screen_width)
        terminalreporter.write_line("")
        terminalreporter.write_line(text[: text.rstrip().rfind("\n")])
        for text in list(self.warned)[:5]:
            terminalreporter.write_line(f"warned: {text}")

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """The workers end, and the verdict is the last line."""
        self.plan.close()
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if self.document is not None and reporter is not None:
            reporter.write_line(self.document["run"]["verdict"])
