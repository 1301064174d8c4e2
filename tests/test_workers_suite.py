"""The suite with workers: a crash is an outcome of one case, and a framework elsewhere is one like any other."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from conformance.errors import UsageError
from conformance.record.model import Check
from conformance.record.results import first_fault, read_results, without_times
from conformance.spec import specs_folder
from conformance.suite.options import Options
from conformance.suite.plan import Plan, make_plan
from conformance.suite.replay import replay
from conformance.suite.run import command_for, judge_cell, unmatched
from conformance.verdict.entries import Entry
from conformance.worker.limits import MOST_DEATHS
from tests.test_plugin import CUT, QUICK, last_line, ran, start

HERE = f"@{sys.executable}"
GENERATED = ("value", "gradient.input", "gradient.target")


def plan_of(*frameworks: str, criteria: tuple[str, ...] = ("l1",), **more: Any) -> Plan:
    return make_plan(Options(frameworks, criteria, dtypes=("float64",), effort="quick", **more))


def checks_of(plan: Plan, k: int = 0) -> dict[str, Check]:
    result = judge_cell(plan, plan.cells[k])
    return {check.check: check for check in result.checks}


def compared(check: Check) -> tuple[Any, ...]:
    return check.outcome, check.new, check.counts, check.worst_ulp, check.worst_ratio, check.known, check.conventions


# What an adapter does to its process is an outcome


def test_a_crash_costs_a_case_and_not_the_run() -> None:
    plan = plan_of(f"tests.faulty_workers:Crashes{HERE}")
    (cell,) = plan.cells
    result = judge_cell(plan, cell)
    checks = {check.check: check for check in result.checks}
    for name in GENERATED:
        check = checks[name]
        assert check.outcome == check.new == "error"
        assert 0 < check.counts["error"] < MOST_DEATHS
        assert "SIGSEGV (segmentation fault) killed the worker during this call" in check.message
        assert check.witnesses[0]["case"]["shapes"]["input"] == [3]
    assert checks["value"].counts["agrees"] > 50
    assert checks["edge.both_signs"].outcome == "agrees"
    plan.close()


def test_a_worker_that_always_dies_is_given_up() -> None:
    """After so many deaths the rest of a cell is not run; that is new, even where the deaths are known."""
    plan = plan_of(f"tests.faulty_workers:CrashesAlways{HERE}")
    entry = Entry.model_validate(
        {
            "id": "all",
            "checks": "l1/crashes_always/*/*/*/*",
            "versions": ">=0",
            "kind": "wrong",
            "envelope": {"raises": "SIGSEGV"},
            "reason": "it crashes, whatever it is asked",
            "owner": "us",
            "witness": {"dtype": "float64", "check": "value", "inputs": {"input": 1.0, "target": 0.0}},
        }
    )
    object.__setattr__(plan.frameworks["crashes_always"], "known", (entry,))
    result = judge_cell(plan, plan.cells[0])
    value = next(check for check in result.checks if check.check == "value")
    assert (value.outcome, value.new, value.known) == ("error", "error", ["all"])
    assert value.counts["not run"] > 50
    assert MOST_DEATHS <= value.counts["error"] < 2 * MOST_DEATHS + 16
    assert value.cases == sum(value.counts.values()) - value.counts["not run"]
    assert any("the rest of the generated cases did not run" in text for text in result.warnings)
    plan.close()


def test_a_crash_is_no_refusal() -> None:
    """In an ordinary run, in process, an input out of its domain goes to a worker: a crash there costs that check."""
    plan = plan_of("tests.faulty_workers:CrashesOutOfDomain")
    checks = checks_of(plan)
    assert checks["edge.negative_weight"].outcome == checks["edge.negative_weight"].new == "error"
    assert "SIGSEGV" in checks["edge.negative_weight"].message
    rest = {check.outcome for name, check in checks.items() if name in GENERATED or name == "edge.both_signs"}
    assert rest <= {"agrees", "inaccurate"}
    plan.close()


def test_nor_is_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_WORKER_FIRST_CALL", "0.5")
    plan = plan_of("tests.faulty_workers:HangsOutOfDomain")
    check = checks_of(plan)["edge.negative_weight"]
    assert check.outcome == "error"
    assert "no answer within 0.5 s" in check.message
    plan.close()


def test_where_no_worker_can_have_it_the_result_says_so() -> None:
    plan = plan_of("tests.faulty:Right")
    framework = plan.frameworks["right"]
    assert framework.isolated is not None
    framework.isolated._option = "made_up:Right"
    result = judge_cell(plan, plan.cells[0])
    assert any("ran in process, where a crash ends the run" in text for text in result.warnings)
    assert next(check for check in result.checks if check.check == "edge.negative_weight").outcome == "differs"


# The same as in process


@pytest.mark.parametrize(
    "name",
    ["numpy", *(f"tests.faulty:{name}" for name in ("SignFlipped", "Raises", "ReturnsObjects", "WrongShape", "Warns"))],
)
def test_the_verdicts_are_those_of_a_run_in_process(name: str) -> None:
    near, far = plan_of(name), plan_of(name + HERE)
    (mine,), (theirs,) = near.cells, far.cells
    assert mine.id == theirs.id
    results = [judge_cell(plan, plan.cells[0]) for plan in (near, far)]
    by_id = [{check.id: compared(check) for check in result.checks} for result in results]
    assert by_id[0] == by_id[1]
    assert results[0].warnings == results[1].warnings
    far.close()
    near.close()


def test_specs_of_ones_own_reach_the_worker(tmp_path: Path) -> None:
    text = (specs_folder() / "l1.yaml").read_text(encoding="utf-8").replace("name: l1", "name: my_l1", 1)
    (tmp_path / "my_l1.yaml").write_text(text, encoding="utf-8")
    plan = plan_of("numpy" + HERE, criteria=("my_l1",), specs=(tmp_path,))
    assert checks_of(plan)["value"].outcome in {"agrees", "inaccurate"}
    plan.close()


# Names


def test_two_of_one_name_are_told_apart_by_version() -> None:
    plan = plan_of("tests.faulty:NearTie", f"tests.faulty:NearTie{HERE}")
    assert [cell.id for cell in plan.cells] == ["l1/near_tie/cpu/eager/float64", "l1/near_tie@1.5/cpu/eager/float64"]
    assert command_for(plan.cells[1], plan).split(" --framework ")[1].startswith(f"tests.faulty:NearTie{HERE} ")
    plan.close()
    with pytest.raises(UsageError, match=r"both named 'near_tie@1.5'; judge them apart"):
        plan_of("tests.faulty:NearTie", f"tests.faulty:NearTie{HERE}", f"tests.faulty:NearTie@{sys.prefix}/bin/python3")


def test_one_alone_keeps_its_name() -> None:
    plan = plan_of(f"tests.faulty:Right{HERE}")
    assert [cell.framework for cell in plan.cells] == ["right"]
    plan.close()


KNOWN = """
- id: near-tie
  checks: ["l1/near_tie/*/*/*/*"]
  versions: ">=1,<2"
  kind: wrong
  when: abs(input - target) < 2
  envelope: {answers: [0]}
  reason: answers nothing where the two are near one another
  owner: us
  witness: {dtype: float64, check: value, inputs: {input: [1.5], target: [0.25]}, parameters: {reduction: none}}
"""


def test_known_differences_are_those_of_the_adapter(tmp_path: Path) -> None:
    """Under whatever name its checks go; and that they match checks of one name is enough."""
    (tmp_path / "known.yaml").write_text(KNOWN)
    plan = plan_of("tests.faulty:NearTie", f"tests.faulty:NearTie{HERE}", known=(tmp_path / "known.yaml",))
    assert not unmatched(plan)
    for k in (0, 1):
        result = judge_cell(plan, plan.cells[k])
        value = next(check for check in result.checks if check.check == "value")
        assert (value.outcome, value.new, value.known) == ("fails", "inaccurate", ["near-tie"])
        assert not result.stale
    plan.close()


@pytest.mark.parametrize(
    ("versions", "version", "before"),
    [
        (">=2.13,<2.14", "2.6.0", True),
        (">=2.13,<2.14", "2.14", False),
        (">=2.13,<2.14", "2.13.1", False),
        ("<3", "3.0", False),
    ],
)
def test_a_release_before_the_range_is_not_fixed_upstream(versions: str, version: str, before: bool) -> None:
    data = {"id": "x", "checks": "*/*/*/*/*/*", "versions": versions, "kind": "wrong", "envelope": {"ulp": 1}}
    rest = {"reason": "a reason that is long enough", "owner": "us", "witness": {"dtype": "float64", "check": "value"}}
    assert Entry.model_validate({**data, **rest}).is_later_than({"x": version}) is before


# As pytest runs it


def children_of(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def all_gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=5)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


def test_a_run_in_another_interpreter_and_its_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    option = f"faulty_workers:Crashes{HERE}"
    args = (*QUICK, "--criterion", "l1", "--framework", option)
    code, out = ran(tmp_path, *args, "--results", "out.json")
    assert code == 1, out
    document = read_results(tmp_path / "out.json")
    assert first_fault(document) is None
    assert document["run"]["options"]["adapters"] == {"crashes": option}
    assert document["run"]["options"]["environment"]["crashes"]["interpreter"] == sys.executable
    assert f"--framework {option}" in out
    _, out = ran(tmp_path, *args, "--results", "two.json", "-n", "2")
    twice = [without_times(json.loads((tmp_path / name).read_text())) for name in ("out.json", "two.json")]
    assert twice[0] == twice[1]
    monkeypatch.syspath_prepend(Path(__file__).parent)
    assert replay(tmp_path / "out.json", "l1/crashes/cpu/eager/float64/value") == 1


def test_to_collect_starts_no_worker(tmp_path: Path) -> None:
    """Beyond the one that says what it runs on."""
    for option, starts in ((f"faulty_workers:Counted{HERE}", 1), ("faulty_workers:Counted", 1)):
        process = start(tmp_path, "--pyargs", "conformance", *QUICK, "--framework", option, "--collect-only", "-q")
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out
        assert (tmp_path / "signal").read_text().count("made") == starts
        (tmp_path / "signal").unlink()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_leaves_no_worker_behind(number: signal.Signals, tmp_path: Path) -> None:
    process = start(tmp_path, "--pyargs", "conformance", *CUT, "--framework", f"faulty:SlowOnes{HERE}")
    until = time.monotonic() + 60
    while not (tmp_path / "signal").exists() and time.monotonic() < until:
        time.sleep(0.05)
    workers = children_of(process.pid)
    assert workers
    os.kill(process.pid, number)
    out, _ = process.communicate(timeout=30)
    assert all_gone(workers)
    if number == signal.SIGINT:
        assert process.returncode == 2
        assert last_line(out).startswith("INCOMPLETE")


def test_a_worker_that_does_not_start_is_a_usage_error(tmp_path: Path) -> None:
    code, out = ran(tmp_path, *QUICK, "--framework", "torch@/no/such/python")
    assert code == 4
    assert "there is no interpreter '/no/such/python'" in out


# Real ones


def test_torch_is_the_same_in_its_own_interpreter() -> None:
    pytest.importorskip("torch")
    near = make_plan(Options(("torch",), ("l1",), dtypes=("bfloat16",), effort="quick"))
    far = make_plan(Options((f"torch{HERE}",), ("l1",), dtypes=("bfloat16",), effort="quick"))
    mine, theirs = ({name: compared(check) for name, check in checks_of(plan).items()} for plan in (near, far))
    assert mine == theirs
    far.close()
    near.close()


def test_the_docs_example_is_judged() -> None:
    pytest.importorskip("optax")
    checks = checks_of(plan_of(f"examples.optax_adapter:Optax{HERE}", criteria=("mse",)))
    assert {checks[name].outcome for name in GENERATED} == {"agrees"}
