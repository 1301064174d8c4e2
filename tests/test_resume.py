"""--resume: a run that was cut off, at any moment, goes on where it was, and ends as if it had never been."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.adapter.load import load_adapter
from conformance.errors import UsageError
from conformance.record.identity import differences, digest_of, joined
from conformance.record.journal import Journal, read_journal
from conformance.record.results import read_results, results_of, without_times
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.recorder import Recorder, journal_path
from conformance.suite.run import judge_cell
from tests import report_samples as samples
from tests.test_cli import suite
from tests.test_plugin import environment, last_line

KILLS = int(os.environ.get("CONFORMANCE_KILLS", "4"))  # random moments; docs/scale.md tells of 50
ARGS = ("--effort", "quick", "--criterion", "l1", "--criterion", "mse", "--criterion", "huber", "--framework", "numpy")
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "conformance")
RUN = ("-m", "conformance.cli", "run")
WAYS: dict[str, Sequence[str]] = {"pytest": PYTEST, "run": RUN, "workers": (*PYTEST, "-n", "2")}


def started(folder: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *args],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(folder: Path, *args: str) -> tuple[int, str]:
    process = started(folder, *args)
    out, _ = process.communicate(timeout=180)
    return process.returncode, out


def document(path: Path) -> Any:
    return without_times(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, float]:
    """The results of a run that nobody disturbs, and how long it takes."""
    folder, start = tmp_path_factory.mktemp("whole"), time.monotonic()
    code, out = ended(folder, *PYTEST, *ARGS, "--results", "out.json")
    assert code == 0, out
    return document(folder / "out.json"), time.monotonic() - start


@pytest.mark.parametrize("trial", range(KILLS))
def test_kill_minus_nine_at_any_moment(tmp_path: Path, whole: tuple[Any, float], trial: int) -> None:
    expected, seconds = whole
    way = list(WAYS.values())[trial % len(WAYS)]
    process = started(tmp_path, *way, *ARGS, "--results", "out.json")
    time.sleep(random.Random(trial).uniform(0, 1.1 * seconds))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    journal = tmp_path / "out.json.journal"
    before = len(read_journal(journal).judged) if journal.exists() and journal.read_bytes().count(b"\n") else 0
    code, out = ended(tmp_path, *way, *ARGS, "--results", "out.json", "--resume")
    assert code == 0, out
    assert f"resumed: {before} cells were judged before" in out
    assert document(tmp_path / "out.json") == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json"]


# The journal of a part of a run, made without running pytest

MANY: dict[str, Any] = {"criteria": ("l1", "mse"), "dtypes": ("float64",), "effort": "quick"}
SAME = ("--effort", "quick", "--dtype", "float64", "--criterion", "l1", "--criterion", "mse")


def part(folder: Path, framework: str = "numpy", **changes: Any) -> Path:
    """The journal of a run in `folder` that was cut off after its first cell."""
    options = Options(frameworks=(framework,), results=folder / "out.json", **{**MANY, **changes})
    plan = make_plan(options)
    path = journal_path(options)
    assert path is not None
    recorder = Recorder(plan, path)
    recorder.begin()
    recorder.take(judge_cell(plan, plan.cells[0]).to_json())
    recorder.journal.close()
    return path


def resumed(folder: Path, *args: str, framework: str = "numpy") -> tuple[int, str]:
    return ended(folder, *RUN, *SAME, "--framework", framework, "--results", "out.json", "--resume", *args)


@pytest.mark.parametrize("cut", [1, 7, 400])
def test_a_torn_last_line_is_noticed_and_done_again(tmp_path: Path, cut: int) -> None:
    path = part(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    code, out = resumed(tmp_path)
    assert code == 0, out
    assert f"resumed: {int(cut == 1)} cells were judged before; the last line of its journal was torn" in out
    assert {entry["status"] for entry in read_results(tmp_path / "out.json")["ledger"] if "/float64" in entry["cell"]
            and entry["cell"].split("/")[0] in ("l1", "mse")} == {"ran"}  # fmt: skip


def test_a_torn_first_line_begins_anew(tmp_path: Path) -> None:
    path = part(tmp_path)
    path.write_bytes(path.read_bytes()[:40])
    code, out = resumed(tmp_path)
    assert code == 0, out
    assert "resumed: 0 cells were judged before" in out
    assert "torn" in out


def test_without_a_journal_it_begins_anew_and_says_so(tmp_path: Path) -> None:
    code, out = resumed(tmp_path)
    assert code == 0, out
    assert "there is no journal of it, so it begins anew" in out


def test_what_failed_before_fails_the_run_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    part(tmp_path, "faulty:SignFlipped")
    code, out = resumed(tmp_path, "-k", "nothing_of_this_name", framework="faulty:SignFlipped")
    doc = read_results(tmp_path / "out.json")
    assert "l1/sign_flipped/cpu/eager/float64/gradient.input" in doc["run"]["failing"]
    assert last_line(out).startswith("FAIL: ")
    code, out = resumed(tmp_path, framework="faulty:SignFlipped")
    assert code == 1, out
    assert len(read_results(tmp_path / "out.json")["run"]["failing"]) > 1


def test_a_run_of_which_nothing_is_left_ends_as_it_would_have(tmp_path: Path) -> None:
    part(tmp_path, criteria=("l1",))
    code, out = ended(tmp_path, *RUN, *SAME[:-2], "--framework", "numpy", "--results", "out.json", "--resume")
    assert code == 0, out
    assert last_line(out).startswith("PASS")
    assert not (tmp_path / "out.json.journal").exists()


# Journals that are not this run's: a sentence, exit code 4, and the journal as it was


def with_header(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damaged(path: Path) -> None:
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        header = json.loads(first)
        change(header["run"])
        path.write_text(json.dumps(header) + "\n" + rest, encoding="utf-8")

    return damaged


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


DAMAGE: dict[str, tuple[Callable[[Path], None], tuple[str, ...], str]] = {
    "seed": (lambda path: None, ("--conformance-seed", "7"), "seed 0 there, 7 here"),
    "criteria": (lambda path: None, ("--criterion", "huber"), "criteria l1, mse there, l1, mse, huber here"),
    "shard": (lambda path: None, ("--shard", "1/2"), "shard 1/1 there, 1/2 here"),
    "version": (with_header(lambda run: run.update(suite="0.0.1")), (), "suite 0.0.1 there"),
    "framework": (with_header(lambda run: run.update(frameworks={"numpy": {"numpy": "1"}})), (), "numpy 1 there"),
    "specs": (with_header(lambda run: run["digests"].update(specs="1")), (), "the specs changed"),
    "known": (with_header(lambda run: run["digests"].update(known="1")), (), "the known differences changed"),
    "older": (with_header(lambda run: run.pop("digests")), (), "the suite's own code changed"),
    "text": (lambda path: write(path, "my notes\nof today\n"), (), "is no journal"),
    "torn": (lambda path: write(path, path.read_text()[:300] + "\n{}\n"), (), "is no journal"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_journal_of_another_run_is_told_and_left_alone(tmp_path: Path, name: str) -> None:
    damage, more, said = DAMAGE[name]
    path = part(tmp_path)
    damage(path)
    content = path.read_bytes()
    with pytest.raises(Exception, match=r"out\.json\.journal") as caught:
        suite(*SAME, "--framework", "numpy", "--results", str(tmp_path / "out.json"), "--resume", *more)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_the_exit_code_for_it_is_4(tmp_path: Path) -> None:
    content = part(tmp_path).read_bytes()
    code, out = resumed(tmp_path, "--conformance-seed", "7")
    assert code == 4, out
    assert "Traceback" not in out
    assert (tmp_path / "out.json.journal").read_bytes() == content
    assert not (tmp_path / "out.json").exists()


def test_a_run_that_goes_on_may_fail_on_something_else(tmp_path: Path) -> None:
    part(tmp_path)
    options = Options(results=tmp_path / "out.json", resume=True, fail_on="inaccurate", **MANY)
    recorder = Recorder(make_plan(options), journal_path(options))
    recorder.begin()
    assert len(recorder.before.judged) == 1
    assert recorder.journal.record.run["fail_on"] == "inaccurate"
    recorder.journal.close()


def test_resume_wants_to_know_what() -> None:
    with pytest.raises(UsageError, match="--results"):
        suite("--resume")


# The pieces


def test_a_journal_that_goes_on_holds_what_was_judged_before(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.begin(samples.run(), [samples.cell("bce"), samples.cell("l1")])
        journal.judged(samples.cell("bce"), 1.0, [samples.check(where=samples.cell("bce"))], {"arb": 1}, stale=["x: y"])
        journal.not_run(samples.cell("l1"), "interrupted")
    before = read_journal(path)
    with Journal(path) as journal:
        assert read_journal(path) == before  # nothing is lost until the new one is whole
        journal.begin(samples.run(), before.plan, judged=before.judged)
        assert read_journal(path).judged == before.judged == journal.record.judged
        assert read_journal(path).not_run == {}
    assert results_of(journal.record)["run"]["stale"] == ["x: y"]


def test_digests_go_by_content(tmp_path: Path) -> None:
    files = [tmp_path / "a" / "x", tmp_path / "b" / "x", tmp_path / "a" / "y"]
    for path in files:
        path.parent.mkdir(exist_ok=True)
        path.write_text("same", encoding="utf-8")
    assert digest_of(files[:1]) == digest_of(files[1:2]) != digest_of(files[2:])
    before = digest_of(files)
    files[0].write_text("other", encoding="utf-8")
    assert digest_of(files) != before


def test_machines_may_differ_and_both_are_kept() -> None:
    one = samples.run(options={"environment": {"torch": {"cpu capability": "AVX2", "threads": "1"}}})
    other = samples.run(
        platform="Linux-7", options={"environment": {"torch": {"cpu capability": "AVX512", "threads": "1"}}}
    )
    assert differences(one, other) == []
    run = joined(joined(one, other), other)
    assert run["platform"] == f"{one['platform']}; Linux-7"
    assert run["options"]["environment"]["torch"] == {"cpu capability": "AVX2; AVX512", "threads": "1"}


def test_the_module_of_an_adapter_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from conformance import load_adapter\n\n\nclass Mine(type(load_adapter('numpy'))):\n    name = 'mine'\n"
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine_one.py").write_text(source, encoding="utf-8")
    (tmp_path / "mine_two.py").write_text(source + "# changed\n", encoding="utf-8")
    assert load_adapter("mine_one:Mine").name == "mine"
    one, two = (make_plan(Options(frameworks=(f"mine_{n}:Mine",), **MANY)) for n in ("one", "two"))
    assert one.frameworks["mine"].source != two.frameworks["mine"].source
