"""Cases of 100,000 elements: every cell has some, they count in no pair, and a witness of them stays short."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import Call, Output
from conformance.cases import DTYPES, Case
from conformance.cases.bulk import ORDINARY, bulk_space
from conformance.cases.case import Stack
from conformance.cases.covering import covering_rows, feasible_pairs
from conformance.cases.expand import expand, space_for
from conformance.cases.factors import space_of
from conformance.cases.layouts import bulk_buckets
from conformance.cases.plan import EFFORTS, bulk_case, for_each_stack, recipes, stacks
from conformance.cases.recipe import recipe_beside
from conformance.cases.shrink import NUMBERS, minimise
from conformance.errors import UsageError
from conformance.record.journal import Journal
from conformance.record.model import Check
from conformance.record.results import results_of, run_info, write_results
from conformance.reference.escalate import positions_of
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.replay import replay
from conformance.suite.run import CellResult, judge_cell
from conformance.verdict.tally import WRITTEN
from tests.faulty import Right, each
from tests.test_cases import CELLS, EVERY, SPECS, in_domain, toy

ENOUGH = 100_000
FEW_TERMS = ("float64", "float32", "bfloat16")


def bulk_of(name: str, dtype: str = "float32", seed: int = 0) -> Case:
    case = bulk_case(SPECS[name], dtype, f"bulk {seed}.0")
    assert case is not None
    return case


@pytest.mark.parametrize(("spec", "dtype"), CELLS)
def test_every_cell_has_a_case_of_100_000_elements(spec: Any, dtype: str) -> None:
    recipe, *_ = (recipe for recipe in recipes(spec, dtype, "thorough", 1) if recipe.kind == "bulk")
    stack = expand(spec, dtype, recipe)
    assert len(stack) == 1
    assert ENOUGH <= max(array.size for array in stack.inputs.values()) <= 1.05 * ENOUGH
    assert in_domain(spec, stack)
    assert stack.regime == next(iter(spec.regimes))
    assert stack.parameters.get("reduction") != "none"
    assert bulk_case(spec, dtype, recipe.origin).hash == stack[0].hash  # type: ignore[union-attr]


@EVERY
def test_efforts_say_how_many(spec: Any) -> None:
    counts = {
        effort: sum(r.kind == "bulk" for r in recipes(spec, "float32", effort)) for effort in ("quick", "default")
    }
    assert counts == {"quick": 0, "default": 1}
    assert EFFORTS["thorough"].bulk >= 8


@EVERY
def test_the_two_halves_take_turns(spec: Any) -> None:
    turns = [
        {
            dtype: sum(r.kind == "bulk" for r in recipes(spec, dtype, "default", seed))
            for dtype in ("bfloat16", "float16")
        }
        for seed in range(8)
    ]
    assert all(sum(counts.values()) == 1 for counts in turns)
    assert {counts["float16"] for counts in turns} == {0, 1}


def test_so_each_of_them_has_large_reductions() -> None:
    shares = [sum(r.kind == "bulk" for s in SPECS.values() for r in recipes(s, d)) for d in ("bfloat16", "float16")]
    assert min(shares) >= 5


@EVERY
def test_pairs_are_those_without_them(spec: Any) -> None:
    space = space_for(spec, "float16")
    before = feasible_pairs(space_of(spec, "float16"))
    space_for(spec, "float16", "bulk")
    assert feasible_pairs(space) == before
    with_bulk = [recipe for recipe in recipes(spec, "float16") if not recipe.kind]
    assert [recipe.levels for recipe in with_bulk[: len(covering_rows(space))]] == list(covering_rows(space))


def test_they_count_as_cases_and_in_no_pair() -> None:
    seen: list[int] = []
    drawn = for_each_stack(SPECS["l1"], "float64", "default", 0, lambda stack: seen.append(stack[0].size))
    assert drawn.recipes == len(seen)
    assert drawn.covered == drawn.pairs == len(feasible_pairs(space_for(SPECS["l1"], "float64")))
    assert sum(size > ENOUGH for size in seen) == 1
    assert [stack[0].size for stack in stacks(SPECS["l1"], "float64")] == seen


def levels_of(name: str, dtype: str, factor: str) -> Counter[Any]:
    space = space_for(SPECS[name], dtype, "bulk")
    drawn = (recipe_beside("bulk", space, name, dtype, seed, i) for seed in range(20) for i in range(2))
    return Counter(str(space.levels(recipe.levels)[factor]) for recipe in drawn)


@pytest.mark.parametrize("dtype", FEW_TERMS)
def test_sums_and_means_take_turns(dtype: str) -> None:
    assert set(levels_of("mse", dtype, "reduction")) == {"mean", "sum"}


def test_a_sum_beyond_the_largest_number_is_left_out() -> None:
    assert set(levels_of("mse", "float16", "reduction")) == {"mean"}
    assert set(levels_of("multi_margin", "float16", "reduction")) == {"mean", "sum"}  # 1,000 terms
    assert 1000 * ORDINARY < float(np.finfo(np.float16).max) < ENOUGH * ORDINARY


def test_further_ones_come_from_every_regime() -> None:
    assert len(levels_of("mse", "float32", "regime")) == len(SPECS["mse"].regimes)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nearly_every_label_of_a_large_ctc_case_finds_a_frame(dtype: str) -> None:
    inputs = bulk_of("ctc", dtype).inputs
    assert (inputs["target_lengths"] <= inputs["input_lengths"]).mean() > 0.9  # but for utterances of no frames
    assert set(inputs["target_lengths"].tolist()) == {0, 1}


def test_seeds_differ() -> None:
    assert len({bulk_of("l1", seed=seed).hash for seed in range(3)}) == 3


@pytest.mark.parametrize("origin", ["", "bulk", "bulk 1", "covering 0.1", "bulk 0.0 "])
def test_other_recipes_are_none_of_these(origin: str) -> None:
    assert bulk_case(SPECS["l1"], "float32", origin) is None


def test_a_dim_keeps_its_bounds() -> None:
    spec = toy()
    spec = dataclasses.replace(spec, dims={**spec.dims, "C": dataclasses.replace(spec.dims["C"], max=7)})
    (layouts,) = (factor.levels for factor in bulk_space(spec, "float32").factors if factor.name == "layout")
    assert {bucket.layout["C"] for bucket in layouts} == {7}


# Witnesses


def test_what_every_size_shows_becomes_small() -> None:
    calls: list[int] = []

    def still(case: Case) -> bool:
        calls.append(case.size)
        return True

    small = minimise(bulk_of("mse"), SPECS["mse"], still)
    assert small.size <= 2
    assert sum(calls) < NUMBERS


def test_what_only_large_cases_show_costs_no_more_than_the_limit() -> None:
    case = bulk_of("mse")
    calls: list[int] = []

    def still(candidate: Case) -> bool:
        calls.append(candidate.size)
        return candidate.size == case.size

    small = minimise(case, SPECS["mse"], still)
    assert small.size == case.size
    assert 3 <= len(calls) <= 60
    assert sum(calls) <= NUMBERS


def test_numbers_that_are_plain_already_cost_no_more_either() -> None:
    case = bulk_of("mse")
    zeros = dataclasses.replace(case, inputs={name: np.zeros_like(array) for name, array in case.inputs.items()})
    assert minimise(zeros, SPECS["mse"], lambda candidate: False) is zeros


class LongSums(Right):
    """A half more than is due where an input is long."""

    name, least = "longsums", 50_000

    def answer(self, call: Call) -> Output:
        output, longest = super().answer(call), max(array.size for array in call.inputs.values())
        return each(output, lambda array: array * array.dtype.type(1.5)) if longest > self.least else output


class LongerSums(LongSums):
    """The same, from fewer elements on."""

    name, least = "longersums", 1_000


@functools.cache
def judged(adapter: str) -> CellResult:
    plan = make_plan(Options((f"tests.test_cases_bulk:{adapter}",), ("mse",), dtypes=("float32",), effort="default"))
    (cell,) = plan.cells
    return judge_cell(plan, cell)


def value_of(adapter: str) -> Check:
    return next(check for check in judged(adapter).checks if check.check == "value")


def test_a_witness_that_stays_large_is_kept_by_its_recipe() -> None:
    check = value_of("LongSums")
    assert check.outcome == "fails"
    for witness in check.witnesses:
        assert witness["case"]["recipe"] == "bulk 0.0"
        assert not witness["case"]["inputs"]
        assert max(np.prod(shape) for shape in witness["case"]["shapes"].values()) >= ENOUGH
    assert "recipe 'bulk 0.0'" in check.message
    assert len(json.dumps(check.to_json())) < 10_000


def test_a_witness_that_can_be_shortened_is_written_out() -> None:
    smallest, worst = value_of("LongerSums").witnesses
    case = Case.from_json(smallest["case"])
    assert LongerSums.least < case.inputs["input"].size <= 2 * LongerSums.least
    assert case.size <= WRITTEN
    assert case.hash == smallest["hash"]
    assert worst["case"]["recipe"] == "bulk 0.0"


def results(tmp_path: Path, change: Any = None) -> Path:
    """A results file of the failing cell, `change` made to its witnesses."""
    path, result = tmp_path / "results.json", judged("LongSums")
    journal = Journal(None)
    option = "tests.test_cases_bulk:LongSums"
    versions = {"longsums": {"longsums": "1.5"}}
    info = run_info(versions, seed=0, effort="default", fail_on="new", adapters={"longsums": option})
    journal.begin(info, [result.cell])
    checks = [check.to_json() for check in result.checks]
    journal.judged(result.cell.id, 1.0, checks)
    journal.end(1.0, complete=True)
    document = results_of(journal.record)
    for check in document["checks"] if change else ():
        for witness in check["witnesses"]:
            change(witness)
    write_results(path, document)
    return path


def test_replay_draws_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(results(tmp_path), value_of("LongSums").id) == 1
    assert "wanted" in capsys.readouterr().out


def test_replay_refuses_another_case(tmp_path: Path) -> None:
    path = results(tmp_path, lambda witness: witness.update(hash="0" * 12))
    with pytest.raises(UsageError, match=r"draws another case from mse's recipe 'bulk 0\.0'"):
        replay(path, value_of("LongSums").id)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ordinary_cases_are_written_out(dtype: str) -> None:
    for spec in SPECS.values():
        for recipe in recipes(spec, dtype, "quick"):
            assert expand(spec, dtype, recipe)[0].size <= WRITTEN


@EVERY
def test_pairs_are_no_more_than_elements_allow(spec: Any) -> None:
    for bucket in bulk_buckets(spec):
        assert positions_of(spec, Stack(spec.name, "float64", bucket.layout, {}, {})) <= 5 * ENOUGH, bucket
