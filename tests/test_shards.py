"""Cores and shards: every cell once, whoever judges it, and the same results in the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.cli import main
from conformance.errors import UsageError
from conformance.record.journal import Journal
from conformance.record.merge import merged
from conformance.record.model import Cell
from conformance.record.results import first_fault, read_results, results_of, without_times
from conformance.suite.cost import SECONDS, cost, dealt, shares
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.threads import ONE, hold_threads
from tests import report_samples as samples
from tests.test_cli import suite
from tests.test_plugin import QUICK, environment, last_line, ran

CELLS = [
    Cell(criterion, "torch", "cpu", "eager", dtype)
    for dtype in ("float64", "float32", "bfloat16", "float16")
    for criterion in [*SECONDS, "mine"]
]
THREE = (*QUICK, "--criterion", "l1", "--criterion", "mse", "--criterion", "*huber")


# Dealing cells out


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16, 200])
def test_shares_hold_every_cell_once(n: int) -> None:
    parts = shares(CELLS, n)
    assert len(parts) == n
    assert sorted(cell.id for part in parts for cell in part) == sorted(cell.id for cell in CELLS)


def test_shares_do_not_depend_on_the_order_of_cells() -> None:
    assert [set(part) for part in shares(CELLS, 5)] == [set(part) for part in shares(CELLS[::-1], 5)]


@pytest.mark.parametrize("n", [2, 4, 8])
def test_shares_cost_about_the_same(n: int) -> None:
    """By greedy dealing, no share is above the mean by more than its last, and so smallest, cell."""
    spent = [sum(map(cost, part)) for part in shares(CELLS, n)]
    mean = sum(spent) / n
    assert max(spent) <= mean + max(min(map(cost, part)) for part in shares(CELLS, n))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_dealt_holds_every_cell_once_and_begins_each_stretch_with_a_long_one(n: int) -> None:
    order = dealt(CELLS, n)
    assert sorted(cell.id for cell in order) == sorted(cell.id for cell in CELLS)
    longest = sorted(map(cost, CELLS), reverse=True)[:n]
    assert cost(order[0]) == longest[0]
    assert set(longest) <= set(map(cost, order))


def test_a_plan_is_the_sum_of_its_shards() -> None:
    options: dict[str, Any] = {"criteria": ("l1", "mse", "huber"), "dtypes": ("float64",)}
    whole = make_plan(Options(**options))
    parts = [make_plan(Options(**options, shard=(i, 3))) for i in (1, 2, 3)]
    assert sorted(cell.id for plan in parts for cell in plan.cells) == sorted(cell.id for cell in whole.cells)
    for i, plan in enumerate(parts, 1):
        assert len(plan.cells) + len(plan.skipped) == len(whole.cells) + len(whole.skipped)
        elsewhere = {reason for _, reason in plan.skipped if reason.startswith("shard ")}
        assert elsewhere == {f"shard {k} of 3" for k in (1, 2, 3) if k != i}


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/", "/2", "a/b", "-1/2", "1/2/3", "1/0", "²/2"])
def test_a_wrong_shard_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        suite(f"--shard={text}")


# Merging


def in_one_piece_and_in_shards(folder: Path, *args: str) -> tuple[Any, Any]:
    code, out = ran(folder, *THREE, *args, "--results", "whole.json")
    names = []
    for i in (1, 2):
        part, said = ran(folder, *THREE, *args, "--shard", f"{i}/2", "--results", f"{i}.json")
        assert part in (0, 1), said
        names.append(str(folder / f"{i}.json"))
    assert main(["report", *names, "-o", str(folder / "all.json")]) == code, out
    read = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("whole.json", "all.json"))
    whole, parts = map(without_times, read)
    return whole, parts


def test_shards_merge_into_what_the_whole_run_comes_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, parts = in_one_piece_and_in_shards(tmp_path, "--framework", "faulty:SignFlipped", "--framework", "numpy")
    assert parts == whole
    assert capsys.readouterr().out.strip() == whole["run"]["verdict"]
    assert first_fault(read_results(tmp_path / "all.json")) is None
    assert main(["report", *(str(tmp_path / f"{i}.json") for i in (1, 2)), "-o", str(tmp_path / "all.html")]) == 0
    assert (tmp_path / "all.html").read_text(encoding="utf-8").count("shard 1 of 2") == 0
    assert main(["report", str(tmp_path / "1.json"), "-o", str(tmp_path / "half.json")]) == 1
    half = read_results(tmp_path / "half.json")
    assert half["run"]["verdict"].startswith(("INCOMPLETE", "FAIL"))
    assert not half["run"]["complete"]
    assert "shard 2 of 2" in {entry["reason"] for entry in half["ledger"]}


def shard(i: int, *checks: dict[str, Any], n: int = 2, **changes: Any) -> dict[str, Any]:
    elsewhere = {samples.cell("bce"): f"shard {3 - i} of {n}"}
    return samples.document(*checks, shard=f"{i}/{n}", not_run=changes.pop("not_run", elsewhere), **changes)


L1, BCE = samples.check(where=samples.cell("l1")), samples.check("fails", where=samples.cell("bce"))


def both(**changes: Any) -> list[dict[str, Any]]:
    return [shard(1, L1), shard(2, BCE, not_run={samples.cell("l1"): "shard 1 of 2"}, **changes)]


def test_what_a_shard_found_stands_in_the_merged_run() -> None:
    (doc,) = merged(both(stale=["b: gone"], platform="Linux-7"))
    assert [check["criterion"] for check in doc["checks"]] == ["bce", "l1"]
    assert {entry["status"] for entry in doc["ledger"]} == {"ran"}
    assert doc["run"]["stale"] == ["b: gone"]
    assert doc["run"]["platform"].endswith("; Linux-7")
    assert doc["run"]["complete"]
    assert doc["run"]["verdict"].startswith("FAIL: 1 new")
    assert doc["run"]["failing"] == [BCE["id"]]
    assert first_fault(doc) is None


def test_runs_that_are_no_shards_stay_apart() -> None:
    docs = [samples.document(L1), *both(), samples.document(BCE)]
    assert [len(doc["checks"]) for doc in merged(docs)] == [1, 1, 2]


def test_shards_of_two_versions_become_two_runs() -> None:
    newer = [{**doc, "run": {**doc["run"], "frameworks": {"torch": {"torch": "2.14.0"}}}} for doc in both()]
    assert [len(doc["checks"]) for doc in merged([*both(), *newer])] == [2, 2]


def test_a_run_that_was_cut_off_in_one_shard_is_incomplete() -> None:
    (doc,) = merged(both(complete=False))
    assert not doc["run"]["complete"]


@pytest.mark.parametrize(
    ("docs", "said"),
    [
        ([shard(1, L1), shard(1, L1)], "shard 1/2 is given twice"),
        (both(seed=7), "seed 0 there, 7 here"),
        (both(suite="9.9"), "suite 0.1.0 there, 9.9 here"),
        (both(digests={"specs": "other"}), "the specs changed"),
    ],
    ids=["twice", "seed", "suite", "specs"],
)
def test_shards_that_do_not_fit_together_are_told(docs: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        merged(docs)


def test_a_results_file_holds_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(samples.document(L1)), encoding="utf-8")
    assert main(["report", *(str(tmp_path / f"{name}.json") for name in "ab"), "-o", str(tmp_path / "c.json")]) == 4
    assert "one run" in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()


def test_changes_since_a_baseline_are_those_of_the_whole_run() -> None:
    old = samples.document(samples.check(where=samples.cell("bce")), L1)

    def results(*checks: dict[str, Any], **changes: Any) -> dict[str, Any]:
        journal = Journal(None)
        cells = {item["id"].rsplit("/", 1)[0]: item for item in (L1, BCE)}
        journal.begin(samples.run(**changes), cells)
        for cell, check in cells.items():
            if check in checks:
                journal.judged(cell, 1.0, [check])
            else:
                journal.not_run(cell, "shard 9 of 2")
        journal.end(1.0)
        return results_of(journal.record, old, "old.json")

    (doc,) = merged([results(L1, shard="1/2"), results(BCE, shard="2/2")])
    assert without_times(doc) == without_times(results(L1, BCE))
    assert doc["run"]["baseline"]["changes"]["newly_failing"] == [BCE["id"]]


# Cores


def test_processes_are_held_to_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ONE:
        monkeypatch.setenv(name, "8")
    hold_threads()
    assert {os.environ[name] for name in ONE} == {"1"}
    for name in ONE:
        monkeypatch.setenv(name, "8")
    code, out = ran(tmp_path, *THREE, "--framework", "faulty:OneThread", "-n", "2")
    assert code == 0, out


def test_workers_steal_cells_from_one_another(tmp_path: Path) -> None:
    code, out = ran(tmp_path, *THREE, "-n", "2", "-v")
    assert code == 0, out
    assert "WorkStealingScheduling" in out
    assert last_line(out).startswith("PASS")
    code, out = ran(tmp_path, *THREE, "-n", "2", "-v", "--dist", "loadfile")
    assert "LoadFileScheduling" in out, out


def test_a_cell_whose_worker_dies_says_so(tmp_path: Path) -> None:
    args = (*QUICK, "--criterion", "l1", "--criterion", "mse", "--framework", "faulty:Killed", "-n", "2")
    code, out = ran(tmp_path, *args, "--results", "out.json")
    assert code == 1, out
    found = {entry["cell"]: entry for entry in read_results(tmp_path / "out.json")["ledger"]}
    assert found["mse/killed/cpu/eager/float64"]["reason"] == "the process that judged it died"
    assert found["l1/killed/cpu/eager/float64"]["status"] == "ran"
    assert last_line(out).startswith("INCOMPLETE")


def test_a_shard_says_where_the_others_are(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "conformance.cli", "run", *THREE, "--shard", "2/2"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert "shard 1 of 2" in done.stdout
