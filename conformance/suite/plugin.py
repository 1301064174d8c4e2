"""The suite inside pytest: the plan at the start, the journal while it runs, results and summary at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from conformance.adapter.load import load_adapter
from conformance.errors import ReferenceFault, UsageError
from conformance.record.gate import FAILED, decide, is_failing
from conformance.record.model import Cell
from conformance.suite.cost import dealt
from conformance.suite.listing import CELLS, header_of, remember
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.progress import Progress, is_wanted, terminal
from conformance.suite.recorder import Recorder, journal_path
from conformance.suite.run import judge_cell
from conformance.suite.threads import hold_threads

if TYPE_CHECKING:
    from conformance.cluster.client import Cluster

SUITE = pytest.StashKey["SuitePlugin"]()
PROPERTY = "conformance"


class SuitePlugin:
    """One run of the suite. Under xdist each worker has one that judges, and the controller one that records."""

    def __init__(self, config: pytest.Config) -> None:
        self.options = Options.read(config.option)
        worker: Mapping[str, Any] | None = getattr(config, "workerinput", None)
        self.is_worker = worker is not None
        hold_threads()
        self.cluster = None if self.is_worker else _cluster(self.options, config)
        self.plan = make_plan(self.options, self.cluster.adapter if self.cluster else load_adapter)
        self.recorder = Recorder(self.plan, None if self.is_worker else journal_path(self.options))
        self.outcomes: dict[str, dict[str, Any]] = {}  # of cells that were judged on a cluster, until they are reported
        self.interrupted = False
        self.deselected: set[str] = set()
        before = self.recorder.before.judged if worker is None else worker["conformance_judged"]
        cells = [cell for cell in self.plan.cells if cell.id not in before]
        self.cells = cells if worker is None else dealt(cells, worker["workercount"])
        collects = getattr(config.option, "collectonly", False)
        live = not self.is_worker and not collects and is_wanted(getattr(config.option, "verbose", 0), os.environ)
        self.progress = Progress(len(cells), terminal() if live else None)
        config.stash[SUITE], config.stash[CELLS] = self, self.cells
        remember(config, self.pytest_report_header())

    @property
    def document(self) -> dict[str, Any] | None:
        """The results, once the run is over."""
        return self.recorder.document

    def judge(self, cell: Cell) -> dict[str, Any]:
        """What one cell came to, as plain data; `fault` says why it came to nothing."""
        if cell.id in self.outcomes:
            return self.outcomes.pop(cell.id)
        self.progress.begins(cell)
        try:
            return judge_cell(self.plan, cell, self.progress.judged).to_json()
        except ReferenceFault as fault:
            # No verdict at all: the cell has not been judged, and the run cannot pass.
            return {"cell": cell.id, "fault": str(fault)}

    def failing(self, result: Mapping[str, Any]) -> list[str]:
        """Why a cell fails the run: a message for each check, and each known difference that is stale."""
        if "fault" in result:
            return [result["fault"]]
        changes = self.recorder.changes(result["checks"])
        failing = [check for check in result["checks"] if is_failing(check, self.options.fail_on, changes)]
        stale = [f"stale known difference {text}" for text in result["stale"]]
        return [check["message"] or check["id"] for check in failing] + (
            stale if self.options.fail_on != "none" else []
        )

    # pytest's hooks

    def pytest_report_header(self) -> list[str]:
        """Seed, effort, and which frameworks are judged."""
        judged = {name: framework.environment for name, framework in self.plan.frameworks.items()}
        versions = {name: here.versions for name, here in judged.items()}
        where = {name: here.details.get("interpreter", "") for name, here in judged.items()}
        return header_of(self.options, len(self.plan.cells), versions, where, self._went_before())

    def _went_before(self) -> list[str]:
        """What the header says of a run that goes on, or that is elsewhere."""
        lines = []
        if self.options.resume:
            said = "" if self.recorder.before.run else "; there is no journal of it, so it begins anew"
            torn = "; the last line of its journal was torn, and is done again" if self.recorder.torn else ""
            lines.append(f"resumed: {len(self.recorder.before.judged)} cells were judged before{said}{torn}")
        if self.cluster is not None:
            lines.append(f"cluster: {self.cluster.description}")
        return lines

    def pytest_sessionstart(self) -> None:
        """The journal begins with the plan."""
        if not self.is_worker:
            self.recorder.begin()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """On a cluster, cells end in any order; each is reported when it does."""
        if self.cluster is None or session.testsfailed or session.config.option.collectonly:
            return None  # pytest's own loop runs the tests, or says why not
        run_on_cluster(session, self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A judged cell goes to the journal at once."""
        if self.is_worker or report.when != "call":
            return
        for name, text in report.user_properties:
            if name == PROPERTY and isinstance(text, str):
                data = json.loads(text)
                self.recorder.take(data)
                self._show(data)

    def _show(self, data: Mapping[str, Any]) -> None:
        """Tells the line that shows how far the run is."""
        if "fault" not in data:
            changes = self.recorder.changes(data["checks"])
            failing = sum(is_failing(check, self.options.fail_on, changes) for check in data["checks"])
            self.progress.ends(data["cell"], data["cases"], failing)

    def pytest_report_teststatus(self, report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
        """No letter for a cell where a line tells how far the run is."""
        if self.progress.out is None or report.when != "call":
            return None
        return report.outcome, "", report.outcome.upper()

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Cells that -k or a node id left out."""
        self.progress.total -= len(items)
        self.deselected.update(cell.id for cell in map(_cell_of, items) if cell is not None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """An xdist worker is told which cells were judged before."""
        node.workerinput["conformance_judged"] = sorted(self.recorder.before.judged)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Workers steal work, unless --dist says otherwise: xdist deals out stretches of cells, some of them long."""
        if config.getoption("dist") != "load" or config.getoption("maxschedchunk") is not None:
            return None
        from xdist.scheduler import WorkStealingScheduling

        return WorkStealingScheduling(config, log)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """An xdist worker tells what it left out; the controller collects nothing itself."""
        self.deselected.update(getattr(node, "workeroutput", {}).get("conformance_deselected", ()))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """The cell in whose midst an xdist worker died is not run again, and not forgotten."""
        cell = crashitem.partition("[")[2].removesuffix("]")
        self.recorder.take({"cell": cell, "fault": "the process that judged it died"})

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
        document = self.recorder.finish(self.interrupted, self.deselected)
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            decision = decide(document, self.options.fail_on, self.recorder.changes(document["checks"]))
            session.exitstatus = FAILED if self.recorder.lost else decision.exit_code or session.exitstatus

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The matrix, what is wrong, and the verdict in one line."""
        if self.document is None:
            return
        from conformance.report.terminal import summary

        text = summary(self.document, width=terminalreporter._screen_width)
        terminalreporter.write_line("")
        terminalreporter.write_line(text[: text.rstrip().rfind("\n")])
        for text in list(self.recorder.warned)[:5]:
            terminalreporter.write_line(f"warned: {text}")

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """The workers end, the cluster is left, and the verdict is the last line."""
        self.plan.close()
        if self.cluster is not None:
            self.cluster.close()
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if self.document is not None and reporter is not None:
            reporter.write_line(self.document["run"]["verdict"])


def run_on_cluster(session: pytest.Session, suite: SuitePlugin) -> None:
    """Runs the session's tests: each cell when its outcome comes in from the cluster."""
    from conformance.cluster.client import ClusterLost

    assert suite.cluster is not None
    items: dict[str, pytest.Item] = {}
    for item in session.items:
        cell = _cell_of(item)
        if cell is None:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        else:
            items[cell.id] = item
    cells = [cell for cell in suite.cells if cell.id in items]
    try:
        for id, outcome in suite.cluster.judged(suite.plan, cells):
            suite.outcomes[id] = outcome
            items[id].config.hook.pytest_runtest_protocol(item=items.pop(id), nextitem=None)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
    except ClusterLost as lost:
        for id in items:
            suite.recorder.take({"cell": id, "fault": str(lost)})
        on = "; --resume goes on" if suite.options.results else ""
        session.shouldfail = f"{lost}; {len(items)} of {len(cells)} cells are not judged{on}"
        raise session.Failed(session.shouldfail) from None


def _cell_of(item: pytest.Item) -> Cell | None:
    """The cell that a test judges; None for another test."""
    cell = getattr(getattr(item, "callspec", None), "params", {}).get("cell")
    return cell if isinstance(cell, Cell) else None


def _cluster(options: Options, config: pytest.Config) -> Cluster | None:
    if options.cluster is None:
        return None
    if getattr(config.option, "numprocesses", None):
        raise UsageError("--cluster spreads the cells itself; leave -n out")
    from conformance.cluster.client import Cluster

    return Cluster(options)
