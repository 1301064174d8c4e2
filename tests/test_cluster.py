"""--cluster: the same plan, the same outcomes and the same file as under pytest alone, whatever happens to the workers.

The cluster is a Ray of four worker processes on this machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.cluster import client, task
from conformance.cluster.client import read_environments
from conformance.cluster.driver import Driver
from conformance.cluster.task import TooMuchMemory, bounded
from conformance.errors import FileError, UsageError
from conformance.record.journal import read_journal
from conformance.record.results import read_results, without_times
from conformance.suite.options import Options
from tests.test_cli import suite
from tests.test_plugin import QUICK, environment, last_line

HEAD = (
    "import ray, sys\n"
    "ray.init(num_cpus=4, include_dashboard=False, object_store_memory=10**8, log_to_driver=False)\n"
    "print(ray.get_runtime_context().gcs_address, flush=True)\n"
    "sys.stdin.read()\n"
)
RUN = (sys.executable, "-m", "conformance.cli", "run", *QUICK, "--results", "out.json")
SOME = tuple(arg for name in ("l1", "mse", "huber", "smooth_l1", "soft_margin") for arg in ("--criterion", name))

needs_ray = pytest.mark.skipif("not __import__('importlib.util').util.find_spec('ray')", reason="Ray is not installed")


def with_ray(folder: Path) -> dict[str, str]:
    return {**environment(folder), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


class Head:
    """A cluster of this machine's processes; they end with this one."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", HEAD]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=with_ray(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = next(line for line in self.process.stdout if line[:1].isdigit()).strip()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    head = Head(tmp_path_factory.mktemp("head"))
    yield head
    head.end()


def started(folder: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RUN, *args], cwd=folder, env=with_ray(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ran(folder: Path, *args: str) -> tuple[int, str]:
    process = started(folder, *args)
    out, _ = process.communicate(timeout=300)
    return process.returncode, out


def document(folder: Path) -> Any:
    return without_times(json.loads((folder / "out.json").read_text(encoding="utf-8")))


def in_folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def reasons(folder: Path) -> dict[str, str]:
    ledger = read_results(folder / "out.json")["ledger"]
    mine = (entry for entry in ledger if "filtered out" not in entry["reason"])
    return {entry["cell"].split("/")[0]: entry["reason"] for entry in mine}


@needs_ray
def test_the_same_plan_comes_to_the_same_file(tmp_path: Path, head: Head) -> None:
    args = (*SOME, "--framework", "faulty:SignFlipped", "--framework", "numpy")
    alone, there = in_folder(tmp_path, "alone"), in_folder(tmp_path, "there")
    code, out = ran(alone, *args)
    assert code == 1, out
    code, out = ran(there, *args, "--cluster", head.address)
    assert code == 1, out
    assert "4 CPUs" in out
    assert "gradient.input" in out
    assert document(there) == document(alone)
    assert [path.name for path in there.iterdir()] == ["out.json"]


@needs_ray
def test_a_local_cluster_needs_no_address(tmp_path: Path) -> None:
    code, out = ran(tmp_path, "--criterion", "l1", "--cluster", "local")
    assert code == 0, out
    assert last_line(out).startswith("PASS")


@needs_ray
def test_what_befalls_a_worker_costs_its_cell_and_no_other(tmp_path: Path) -> None:
    """One dies whenever it is asked, one hangs, one eats memory, one dies once; the last is never in trouble."""
    head = Head(tmp_path)  # its workers are told of this folder
    try:
        args = (*SOME, "--framework", "faulty:Troubled", "--cell-timeout", "90", "--cell-memory", "1")
        code, out = ran(tmp_path, *args, "--cluster", head.address)
    finally:
        head.end()
    assert code == 1, out
    found = reasons(tmp_path)
    assert found.pop("l1").startswith("its worker process died 3 times")
    assert found.pop("mse") == "it did not end in 90 s (--cell-timeout)"
    assert found.pop("huber") == "it used more memory than 1 GiB (--cell-memory)"
    assert found == {"smooth_l1": "", "soft_margin": ""}
    assert (tmp_path / "signal").exists()
    doc = read_results(tmp_path / "out.json")
    assert not doc["run"]["complete"]
    assert {check["criterion"] for check in doc["checks"]} == {"smooth_l1", "soft_margin"}
    assert last_line(out).startswith("INCOMPLETE")
    assert sorted(read_journal(tmp_path / "out.json.journal").judged) == [
        f"{name}/troubled/cpu/eager/float64" for name in ("smooth_l1", "soft_margin")
    ]


def wait_for_a_judged_cell(folder: Path, process: subprocess.Popen[str]) -> None:
    journal, deadline = folder / "out.json.journal", time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and b'"checks"' in journal.read_bytes():
            return
        time.sleep(0.02)


@needs_ray
def test_a_run_that_is_killed_goes_on(tmp_path: Path, head: Head) -> None:
    args = (*SOME, "--cluster", head.address)
    alone, there = in_folder(tmp_path, "alone"), in_folder(tmp_path, "there")
    process = started(there, *args)
    wait_for_a_judged_cell(there, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    judged = len(read_journal(there / "out.json.journal").judged)
    assert judged
    code, out = ran(there, *args, "--resume")
    assert code == 0, out
    assert f"resumed: {judged} cells were judged before" in out
    code, out = ran(alone, *SOME)
    assert code == 0, out
    assert document(there) == document(alone)


@needs_ray
def test_a_cluster_that_goes_away_takes_nothing_with_it(tmp_path: Path) -> None:
    head = Head(tmp_path)
    process = started(tmp_path, *SOME, "--framework", "faulty:SlowOnes", "--cluster", head.address)
    wait_for_a_judged_cell(tmp_path, process)
    head.end()
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 1, out
    assert f"the cluster {head.address} went away" in out
    assert "--resume goes on" in out
    assert "Traceback" not in out
    assert reasons(tmp_path)["mse"] == f"the cluster {head.address} went away"
    judged = sorted(read_journal(tmp_path / "out.json.journal").judged)
    assert judged
    assert {check["id"].rsplit("/", 1)[0] for check in read_results(tmp_path / "out.json")["checks"]} == set(judged)


@needs_ray
def test_a_framework_has_an_environment_of_its_own(tmp_path: Path, head: Head) -> None:
    environments = {"faulty:Versioned": {"env_vars": {"FAULTY_VERSION": "4.2"}}}
    (tmp_path / "env.json").write_text(json.dumps(environments), encoding="utf-8")
    args = ("--criterion", "l1", "--framework", "faulty:Versioned", "--framework", "numpy")
    code, out = ran(tmp_path, *args, "--cluster", head.address, "--cluster-env", "env.json")
    assert code == 0, out
    assert read_results(tmp_path / "out.json")["run"]["frameworks"]["versioned"] == {"versioned": "4.2"}
    assert reasons(tmp_path) == {"l1": ""}


def test_a_cell_asks_for_what_it_needs() -> None:
    driver = object.__new__(Driver)  # one that is not connected
    driver.options = Options(cell_memory=3)
    driver.environments = {"torch": {"pip": ["torch==2.12.0"]}}
    assert driver.asks("numpy", False) == {"num_cpus": 1, "num_gpus": 0, "memory": 3 * 2**30}
    assert driver.asks("torch", True)["num_gpus"] > 0
    assert driver.asks("torch", True)["runtime_env"] == {"pip": ["torch==2.12.0"]}


# Bad input: a sentence, exit code 4


@needs_ray
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--cluster", "127.0.0.1:1"), "nothing answers at 127.0.0.1:1"),
        (("--cluster", "nonsense"), "the Ray cluster 'nonsense' cannot be used"),
        (("--cluster", "local", "-n", "2"), "leave -n out"),
    ],
    ids=["address", "nonsense", "workers"],
)
def test_a_wrong_cluster_is_told(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    (tmp_path / "out.json.journal").write_text("what was judged so far", encoding="utf-8")
    code, out = ran(tmp_path, "--criterion", "l1", *args)
    assert code == 4, out
    assert said in out
    assert "Traceback" not in out
    assert (tmp_path / "out.json.journal").read_text(encoding="utf-8") == "what was judged so far"


@needs_ray
def test_a_framework_that_the_nodes_lack_is_told(tmp_path: Path, head: Head) -> None:
    code, out = ran(tmp_path, "--criterion", "l1", "--framework", "torhc", "--cluster", head.address)
    assert code == 4, out
    assert "there is no framework 'torhc'" in out


def test_ray_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"loss-conformance\[cluster\]"):
        client.Cluster(Options(cluster="local"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "does not map"),
        ('{"torch": "pip"}', "does not map"),
        ('{"torhc": {}}', "speaks of torhc"),
    ],
)
def test_wrong_environments_are_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "env.json").write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=said):
        read_environments(tmp_path / "env.json", ("torch",))


@pytest.mark.parametrize("option", ["--cell-timeout", "--cell-memory"])
@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "much"])
def test_limits_are_numbers_above_0(option: str, text: str) -> None:
    with pytest.raises(UsageError, match=option):
        suite(f"{option}={text}")


def test_environments_are_for_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--cluster"):
        suite("--cluster-env", str(tmp_path))


# The limit of memory


def test_too_much_memory_ends_what_takes_it() -> None:
    eaten: list[Any] = []

    def eat() -> None:
        for _ in range(10_000):
            eaten.append(np.ones(2**19))
            time.sleep(0.001)

    with pytest.raises(TooMuchMemory), bounded(task._in_use() / task.GIB + 0.25):
        eat()
    assert len(eaten) < 10_000


def test_enough_memory_changes_nothing() -> None:
    with bounded(task._in_use() / task.GIB + 8):
        time.sleep(3 * task.EVERY)
