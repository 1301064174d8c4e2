"""The journal: everything judged survives the end of the process, and becomes a results document."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.errors import FileError
from conformance.record.journal import Journal, read_journal
from conformance.record.results import first_fault, read_results, results_of, without_times
from tests.report_samples import cell, check, document, run


def written(path: Path) -> Path:
    with Journal(path) as journal:
        journal.begin(run(), [cell("bce"), cell("l1"), cell("mse")])
        journal.judged(cell("bce"), 1.5, [check(where=cell("bce"))])
        journal.judged(cell("l1"), 2.5, [check("fails", where=cell("l1"), worst_ratio=float("inf"))])
        journal.not_run(cell("mse"), "out of time after 600 s")
        journal.end(4.0, stale=[], fixed_upstream=[])
    return path


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    with Journal(tmp_path / "deep" / "journal") as journal:
        journal.begin(run(), [cell()])
        journal.judged(cell(), 1.0, [check("fails", worst_ratio=float("inf"))])
        assert read_journal(tmp_path / "deep" / "journal") == journal.record


def test_every_line_is_strict_json(tmp_path: Path) -> None:
    for line in written(tmp_path / "journal").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_left_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.begin(run(), [cell("bce"), cell("l1")])
        journal.judged(cell("bce"), 1.5, [check(where=cell("bce"))])
        journal.judged(cell("l1"), 1.5, [check(where=cell("l1"))])
    path.write_bytes(path.read_bytes()[:-cut])
    record = read_journal(path)
    assert list(record.judged) == ([cell("bce").id, cell("l1").id] if cut == 1 else [cell("bce").id])
    assert record.end is None


def test_a_torn_line_within_is_no_journal(tmp_path: Path) -> None:
    path = written(tmp_path / "journal")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:40], *lines[2:]]))
    with pytest.raises(FileError, match="no journal"):
        read_journal(path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", '{"journal": 2}', '{"journal": 1}', "PASS: 0 new"])
def test_other_files_are_no_journals(tmp_path: Path, text: str) -> None:
    path = tmp_path / "journal"
    path.write_text(text)
    with pytest.raises(FileError, match="no journal"):
        read_journal(path)


def test_places_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        read_journal(tmp_path / "none")
    with pytest.raises(FileError, match="cannot be written"):
        Journal(tmp_path)


def test_a_run_that_was_cut_off_keeps_what_was_judged(tmp_path: Path) -> None:
    path = written(tmp_path / "journal")
    path.write_text("\n".join(path.read_text().splitlines()[:2]))  # header and one cell
    doc = read_results(path)
    assert first_fault(doc) is None
    assert [item["criterion"] for item in doc["checks"]] == ["bce"]
    assert {entry["cell"]: entry["reason"] for entry in doc["ledger"] if entry["status"] == "not run"} == {
        cell("l1").id: "the run ended before it",
        cell("mse").id: "the run ended before it",
    }
    assert not doc["run"]["complete"]
    assert doc["run"]["verdict"].startswith("INCOMPLETE: 0 new")


def test_kill_minus_nine_leaves_everything_judged(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from tests.report_samples import *\n"
        "journal = Journal(sys.argv[1]); journal.begin(run(), [cell('bce'), cell('l1')])\n"
        "journal.judged(cell('bce'), 1.0, [check(where=cell('bce'))])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "journal")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert list(read_journal(tmp_path / "journal").judged) == [cell("bce").id]


def test_a_planned_cell_without_a_line_makes_a_run_incomplete() -> None:
    journal = Journal(None)
    journal.begin(run(), [cell("bce"), cell("l1")])
    journal.judged(cell("bce"), 1.0, [check(where=cell("bce"))])
    journal.end(1.0)
    doc = results_of(journal.record)
    assert not doc["run"]["complete"]
    assert doc["run"]["verdict"].startswith("INCOMPLETE")


def test_the_order_in_which_cells_end_does_not_matter() -> None:
    checks = [check(where=cell(name), name=kind) for name in ("l1", "bce") for kind in ("value", "gradient.input")]
    assert without_times(document(*checks)) == without_times(document(*reversed(checks)))


def test_a_cell_that_was_judged_twice_is_what_it_came_to_last() -> None:
    journal = Journal(None)
    journal.begin(run(), [cell()])
    journal.judged(cell(), 1.0, [check("error")])
    journal.judged(cell(), 1.0, [check("agrees")])
    journal.end(2.0)
    assert [item["outcome"] for item in results_of(journal.record)["checks"]] == ["agrees"]
