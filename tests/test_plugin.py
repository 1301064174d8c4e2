"""The suite as pytest runs it: options, exit codes, the journal, xdist, and other people's pytest runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conformance.record.results import read_results, without_times

HERE = Path(__file__).parent
QUICK = ("--effort", "quick", "--dtype", "float64")
L1 = (*QUICK, "--criterion", "l1")


def environment(folder: Path) -> dict[str, str]:
    """This process's, without pytest's and pythonpath's own; tests/faulty.py is importable as `faulty`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CONFORMANCE_"))}
    return {**kept, "PYTHONPATH": str(HERE), "FAULTY_SIGNAL": str(folder / "signal"), "COLUMNS": "120"}


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    return subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ran(folder: Path, *args: str) -> tuple[int, str]:
    """The exit code and the output of `pytest --pyargs conformance ARGS`, run in an empty folder."""
    process = start(folder, "--pyargs", "conformance", *args)
    out, _ = process.communicate(timeout=120)
    return process.returncode, out


def last_line(out: str) -> str:
    """The suite's verdict: the last line before pytest's own."""
    lines = [line for line in out.splitlines() if line.strip()]
    return next(line for line in reversed(lines) if not line.startswith("="))


# Exit codes, and the last line


def test_a_run_that_passes(tmp_path: Path) -> None:
    code, out = ran(tmp_path, *L1, "--results", "out.json", "--report", "out.html")
    assert code == 0, out
    assert last_line(out).startswith("PASS: 0 new;")
    assert "seed 0" in out
    assert "no --framework given" in out
    document = read_results(tmp_path / "out.json")
    assert document["run"]["verdict"] == last_line(out)
    assert document["run"]["complete"]
    assert (tmp_path / "out.html").read_text(encoding="utf-8").lower().startswith("<!doctype html")
    assert not (tmp_path / "out.json.journal").exists()


def test_a_run_with_a_new_fault_fails_and_says_what(tmp_path: Path) -> None:
    code, out = ran(tmp_path, *L1, "--framework", "faulty:SignFlipped", "--results", "out.json")
    assert code == 1, out
    assert last_line(out).startswith("FAIL: ")
    assert "l1/sign_flipped/cpu/eager/float64/gradient.input" in out
    assert "--framework faulty:SignFlipped" in out
    assert "Traceback" not in out
    assert "l1/sign_flipped/cpu/eager/float64/gradient.input" in read_results(tmp_path / "out.json")["run"]["failing"]


@pytest.mark.parametrize(
    ("fail_on", "adapter", "code"),
    [("none", "SignFlipped", 0), ("inaccurate", "Right", 1)],
)
def test_fail_on(tmp_path: Path, fail_on: str, adapter: str, code: int) -> None:
    """l1's value is inaccurate in the formula itself: a mean whose sum overflows."""
    got, out = ran(tmp_path, *L1, "--framework", f"faulty:{adapter}", "--fail-on", fail_on)
    assert got == code, out
    assert last_line(out).endswith(f"--fail-on {fail_on}")


def test_nothing_ran(tmp_path: Path) -> None:
    code, out = ran(tmp_path, *L1, "--framework", "faulty:Right", "--device", "cuda", "--results", "out.json")
    assert code == 5, out
    assert last_line(out).startswith("NOTHING RAN")
    ledger = read_results(tmp_path / "out.json")["ledger"]
    assert "right offers no device cuda here" in {entry["reason"] for entry in ledger}
    assert {entry["status"] for entry in ledger} == {"not run"}


def test_deselecting_everything_is_nothing_ran(tmp_path: Path) -> None:
    code, out = ran(tmp_path, *L1, "-k", "nothing_of_this_name")
    assert code == 5, out


def test_a_lost_cell_never_passes(tmp_path: Path) -> None:
    """An adapter that ends its own process loses its cells, and a run that lost cells does not say PASS."""
    code, out = ran(
        tmp_path, *L1, "--criterion", "mse", "--framework", "faulty:Killed", "-n", "1", "--results", "out.json"
    )
    assert code == 1, out
    document = read_results(tmp_path / "out.json")
    assert {entry["cell"]: entry["status"] for entry in document["ledger"]}["mse/killed/cpu/eager/float64"] == "not run"
    assert {entry["cell"]: entry["status"] for entry in document["ledger"]}["l1/killed/cpu/eager/float64"] == "ran"
    assert not document["run"]["verdict"].startswith("PASS")


# Bad input: a sentence, exit code 4, no traceback


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--framework", "torhc"), "there is no framework 'torhc'"),
        (("--framework", "needs_absent:Adapter"), "'absent_framework' is not installed"),
        (("--specs", "specs"), "bad.yaml:4:1"),
        (("--known", "torn.yaml"), "torn.yaml"),
    ],
    ids=lambda value: "-".join(value).strip("-") if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_sentence_and_exit_code_4(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "bad.yaml").write_text("spec: 1\nname: bad\ninputs: [1, {\n", encoding="utf-8")
    (tmp_path / "torn.yaml").write_text("- id: [\n", encoding="utf-8")
    (tmp_path / "needs_absent.py").write_text("import absent_framework\n", encoding="utf-8")
    code, out = ran(tmp_path, *L1, *args)
    assert code == 4, out
    assert said in out
    assert "Traceback" not in out
    assert "INTERNALERROR" not in out
    assert len([line for line in out.splitlines() if line.strip()]) <= 3, out


# Cut short


def cells_of(folder: Path) -> dict[str, str]:
    return {entry["cell"]: entry["status"] for entry in read_results(folder / "out.json")["ledger"]}


CUT = (*QUICK, "--criterion", "l1", "--criterion", "mse", "--criterion", "smooth_l1", "--results", "out.json")


def test_ctrl_c_keeps_what_was_judged(tmp_path: Path) -> None:
    code, out = ran(tmp_path, *CUT, "--framework", "faulty:Interrupts")
    assert code == 2, out
    cells = cells_of(tmp_path)
    assert cells["l1/interrupts/cpu/eager/float64"] == "ran"
    assert cells["mse/interrupts/cpu/eager/float64"] == "not run"
    assert cells["smooth_l1/interrupts/cpu/eager/float64"] == "not run"
    document = read_results(tmp_path / "out.json")
    assert not document["run"]["complete"]
    assert document["run"]["verdict"].startswith("INCOMPLETE")
    assert "INCOMPLETE" in out
    reasons = {entry["cell"]: entry["reason"] for entry in document["ledger"]}
    assert reasons["smooth_l1/interrupts/cpu/eager/float64"] == "interrupted"


def test_what_is_killed_leaves_its_journal(tmp_path: Path) -> None:
    process = start(tmp_path, "--pyargs", "conformance", *CUT, "--framework", "faulty:SlowOnes")
    deadline = time.monotonic() + 60
    while not (tmp_path / "signal").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL, out
    assert not (tmp_path / "out.json").exists()
    document = read_results(tmp_path / "out.json.journal")
    cells = {entry["cell"]: entry["status"] for entry in document["ledger"]}
    assert cells["l1/slow/cpu/eager/float64"] == "ran"
    assert cells["mse/slow/cpu/eager/float64"] == "not run"
    assert any(check["criterion"] == "l1" for check in document["checks"])
    assert not document["run"]["complete"]


# The same again


def test_two_runs_and_xdist_come_to_the_same_results(tmp_path: Path) -> None:
    args = (
        *QUICK,
        "--criterion",
        "l1",
        "--criterion",
        "smooth_l1",
        "--framework",
        "faulty:SignFlipped",
        "--framework",
        "numpy",
    )
    documents: list[Any] = []
    for name, more in (("a", ()), ("b", ("-n", "2"))):
        code, out = ran(tmp_path, *args, *more, "--results", f"{name}.json")
        assert code == 1, out
        documents.append(without_times(json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))))
    assert documents[0] == documents[1]
    code, out = ran(tmp_path, *args, "--baseline", "a.json")
    assert code == 0, out
    assert "in the baseline too" in last_line(out)


def test_a_baseline_without_the_fault_fails(tmp_path: Path) -> None:
    code, out = ran(tmp_path, *L1, "--framework", "faulty:Right", "--results", "old.json")
    assert code == 0, out
    code, out = ran(tmp_path, *L1, "--framework", "faulty:Turned", "--baseline", "old.json")
    assert code == 1, out
    assert "newly failing" in out


# Other people's pytest runs

OTHER = """
def pytest_addoption(parser):
    parser.addoption("--device", default="tpu")
    parser.addoption("--mode", default="fast")
    parser.addoption("--results", default="none")
"""


def test_other_peoples_options_do_not_collide(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(OTHER, encoding="utf-8")
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_it(request):\n    assert request.config.getoption('--device') == 'npu'\n"
        "    wrong = {'torch', 'numpy_quaddtype', 'flint', 'conformance.suite'} & set(sys.modules)\n"
        "    assert not wrong\n",
        encoding="utf-8",
    )
    process = start(tmp_path, "--device", "npu", "-p", "no:hypothesispytest", ".")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out


def test_help_elsewhere_imports_next_to_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, pytest\n"
        "pytest.main(['--help'])\n"
        "print('FOUND', sorted({'torch', 'numpy_quaddtype', 'flint', 'numpy', 'pydantic'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "FOUND []" in done.stdout, done.stdout[-300:]
    assert "--framework" not in done.stdout


def test_help_of_the_suite_lists_its_options(tmp_path: Path) -> None:
    code, out = ran(tmp_path, "--help")
    assert code == 0
    for option in ("--framework", "--criterion", "--fail-on", "--baseline", "--conformance-seed"):
        assert option in out


def test_labels_beyond_32_bits_come_from_an_xdist_worker(tmp_path: Path) -> None:
    nll = ["--criterion", "nll", "--dtype", "float64", "--effort", "quick", "--framework", "torch"]
    code, out = ran(tmp_path, *nll, "-n", "1", "--results", "out.json")
    assert code == 0, out
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert any(check["check"] == "invalid.target_highest" for check in document["checks"])


def test_help_reads_no_spec(tmp_path: Path) -> None:
    code, out = ran(tmp_path, "--help", "--specs", str(tmp_path / "nowhere"))
    assert code == 0, out
    assert "--conformance-seed" in out
