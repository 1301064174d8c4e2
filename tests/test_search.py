"""The search for the worst case: what `thorough` climbs towards, and the two witnesses that are kept."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conformance.cases.case import Case, Stack
from conformance.cases.expand import space_for
from conformance.cases.plan import Effort, for_each_stack
from conformance.cases.recipe import DIGIT, climbing_recipe
from conformance.record.journal import Journal
from conformance.record.results import results_of, run_info, write_results
from conformance.reference.evaluate import make_case
from conformance.spec import spec_for
from conformance.suite.cell import CellJudge
from conformance.suite.options import Options
from conformance.suite.plan import Plan, make_plan
from conformance.suite.replay import replay
from conformance.suite.run import judge_cell


def plan(adapter: str, criterion: str) -> Plan:
    return make_plan(Options((f"tests.faulty:{adapter}",), (criterion,), dtypes=("float64",), effort="quick"))


def judge_of(planned: Plan) -> CellJudge:
    (cell,) = planned.cells
    framework = planned.frameworks[cell.framework]
    return CellJudge(planned.specs[cell.criterion], framework.adapter, framework.environment, cell, (), "")


# Climbing


def worst(seed: int, climbs: bool) -> dict[str, float]:
    """The worst error over budget of each check that 400 recipes find in `Rare`, in powers of 16."""
    judge = judge_of(plan("Rare", "poisson_nll"))
    found: Counter[str] = Counter()

    def visit(stack: Stack) -> dict[str, float] | None:
        scores = judge.judge_stack(stack)
        found.update({name: score - found[name] for name, score in scores.items() if score > found[name]})
        return scores if climbs else None

    for_each_stack(judge.spec, "float64", "climbing", seed, visit)
    return {name: math.log(score, 16) for name, score in found.items()}


def test_climbing_finds_larger_errors_than_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a fault that grows with each of six conditions, which one recipe in thousands meets together."""
    monkeypatch.setattr("conformance.cases.plan.EFFORTS", {"climbing": Effort(0, 400, climbs=True)})
    for seed in range(2):
        climbed, drawn = (worst(seed, climbs) for climbs in (True, False))
        assert climbed["value"] > drawn["value"]
        for check in ("gradient.input", "gradient.target"):
            assert climbed[check] > drawn[check] + 0.9, check


def test_each_check_has_a_score_of_its_own() -> None:
    """A fault in a gradient is climbed though the value has none."""
    judge = judge_of(plan("SignFlipped", "l1"))
    inputs = {"input": [3.0], "target": [1.0]}
    scores = judge.judge_stack(Stack.of(make_case(judge.spec, inputs, {"reduction": "sum"}, "float64")))
    assert scores["value"] <= 1 < scores["gradient.input"] == scores["gradient.target"] <= 1e6


def test_a_neighbour_differs_in_one_level_or_in_its_data() -> None:
    space = space_for(spec_for("l1"), "float64")
    plain = climbing_recipe(space, "l1", "float64", 0)
    for bit in range(DIGIT * len(space.counts)):
        other = climbing_recipe(space, "l1", "float64", 1 << bit)
        assert other.seed != plain.seed
        changed = [f for f, (a, b) in enumerate(zip(plain.levels, other.levels, strict=True)) if a != b]
        assert changed in ([], [bit // DIGIT]) or len(space.rules) > 0


# The two witnesses


def results(folder: Path, adapter: str, criterion: str) -> tuple[Path, dict[str, Any]]:
    planned = plan(adapter, criterion)
    (cell,) = planned.cells
    info = run_info({}, seed=0, effort="quick", fail_on="new", adapters={cell.framework: f"tests.faulty:{adapter}"})
    with Journal(None) as journal:
        journal.begin(info, planned.cells)
        journal.judged(cell, 1.0, [check.to_json() for check in judge_cell(planned, cell).checks])
        journal.end(1.0)
        document = results_of(journal.record)
    write_results(folder / "results.json", document)
    return folder / "results.json", document


def test_what_does_not_agree_has_two_witnesses_and_replay_shows_both_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, document = results(tmp_path, "BetaIgnored", "smooth_l1")
    wrong = [check for check in document["checks"] if check["outcome"] not in {"agrees", "undecided"}]
    assert {"value", "gradient.input", "gradient.target"} <= {check["check"] for check in wrong}
    judge = judge_of(plan("BetaIgnored", "smooth_l1"))
    for check in wrong:
        smallest, largest = check["witnesses"]
        assert (smallest["kind"], largest["kind"]) == ("smallest", "worst")
        cases = [Case.from_json(item["case"]) for item in (smallest, largest)]
        assert [case.hash for case in cases] == [smallest["hash"], largest["hash"]]
        assert cases[0].size <= cases[1].size
        if largest["ratio"] is not None and smallest["ratio"] is not None:
            assert largest["ratio"] >= smallest["ratio"]
        capsys.readouterr()
        assert replay(path, check["id"]) == 1
        said = capsys.readouterr().out
        for item in (smallest, largest):
            shown = f"got:    {float.fromhex(item['got'])!r}" if item["got"].startswith(("0x", "-0x")) else item["got"]
            assert shown in said, check["id"]
        if not check["check"].startswith(("edge.", "invalid.")):
            for item, case in zip((smallest, largest), cases, strict=True):
                again = judge.retry(case, check["check"])
                assert again is not None
                assert (again.wanted.hex(), again.got.hex()) == (item["wanted"], item["got"])
