"""The line that says how far a run is: at a terminal, and nowhere else."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.suite import progress
from conformance.suite.progress import ERASE, Progress, is_wanted
from tests.report_samples import cell
from tests.test_plugin import L1, environment, last_line, ran


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_line() -> None:
    clock = Clock()
    found = Progress(84, clock=clock)
    found.begins(cell("ctc", "float64"))
    assert found.line() == "ctc float64: 0 of 84 cells, 0 cases/s, 0 checks failing"
    clock.now = 2.0
    found.judged(3000)
    assert "1,500 cases/s" in found.line()
    found.ends(cell("ctc", "float64").id, 4000, 1)
    assert found.line() == "ctc float64: 1 of 84 cells, 2,000 cases/s, 1 check failing, 2:46 left"
    clock.now = 4.0
    found.ends("l1/torch@/a/python/cpu/eager/float32", 4000, 2)
    assert found.line() == "l1 float32: 2 of 84 cells, 2,000 cases/s, 3 checks failing, 2:44 left"


def test_it_is_drawn_in_place_and_not_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out, clock = io.StringIO(), Clock()
    found = Progress(84, out, clock)
    found.begins(cell("ctc\x1b[2J", "float64"))
    for _ in range(100):
        clock.now += progress.OFTEN / 50
        found.judged(10)
    lines = out.getvalue().split(ERASE)[1:]
    assert 2 <= len(lines) <= 4
    assert all(len(line) < 40 and "\x1b" not in line for line in lines)


@pytest.mark.parametrize(
    ("verbose", "environ", "wanted"),
    [
        (0, {"TERM": "xterm"}, True),
        (-1, {"TERM": "xterm"}, False),
        (1, {"TERM": "xterm"}, False),
        (0, {"TERM": "xterm", "CI": "true"}, False),
        (0, {"TERM": "dumb"}, False),
        (0, {}, False),
    ],
)
def test_who_wants_it(verbose: int, environ: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    assert is_wanted(verbose, environ) is wanted
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not is_wanted(verbose, environ)


def at_a_terminal(folder: Path, *args: str, **more: str) -> str:
    """What a terminal would show of a run."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "conformance", *L1, *args]
    env = {name: value for name, value in environment(folder).items() if name != "CI"} | {"TERM": "xterm", **more}
    process = subprocess.Popen(command, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = bytearray()
    while True:
        try:
            seen += (part := os.read(ours, 65536))
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
    os.close(ours)
    assert process.wait(timeout=60) == 0, seen.decode()
    return seen.decode()


def test_at_a_terminal(tmp_path: Path) -> None:
    out = at_a_terminal(tmp_path)
    assert re.search(r"l1 float64: 0 of 1 cell, [\d,]+ cases/s, 0 checks failing", out)
    assert re.search(r"l1 float64: 1 of 1 cell, [\d,]+ cases/s, 0 checks failing, 0:00 left", out)
    assert out.index("1 of 1 cell") < out.index("PASS: 0 new")


@pytest.mark.parametrize(("args", "more"), [(("-q",), {}), ((), {"CI": "1"})], ids=["quiet", "CI"])
def test_not_where_it_is_not_wanted(tmp_path: Path, args: tuple[str, ...], more: dict[str, str]) -> None:
    assert "cases/s" not in at_a_terminal(tmp_path, *args, **more)


def test_a_pipe_gets_no_control_characters(tmp_path: Path) -> None:
    code, out = ran(tmp_path, *L1)
    assert code == 0
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", out)
    assert "cases/s" not in out
    assert last_line(out).startswith("PASS: ")


def test_under_xdist_the_controller_draws_it(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    out = at_a_terminal(tmp_path, "-n", "2", "--dtype", "float32")
    assert re.search(r"l1 float\d\d: 2 of 2 cells, [\d,]+ cases/s", out)
