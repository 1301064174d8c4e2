"""What reports show beside verdicts: errors over the argument, errors by regime, and what the criteria say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.cases.argument import argument_of, arguments
from conformance.cases.case import Case, Stack
from conformance.cases.plan import stacks
from conformance.record.plain import as_float
from conformance.record.results import first_fault, read_results, results_of
from conformance.spec import load_specs, specs_folder
from conformance.suite.options import Options
from conformance.verdict.curve import PER_SIGN, Curve, bins_of

SPECS = load_specs([specs_folder()])


@pytest.mark.parametrize(
    ("criterion", "name"),
    [("l1", "error"), ("huber", "error"), ("margin_ranking", "lead"), ("hinge_embedding", "input"), ("bce", "input")],
)
def test_the_one_number_that_a_loss_depends_on(criterion: str, name: str) -> None:
    found = argument_of(SPECS[criterion])
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("criterion", ["cross_entropy", "nll", "cosine_embedding", "multi_margin", "ctc"])
def test_losses_of_rows_have_none(criterion: str) -> None:
    assert argument_of(SPECS[criterion]) is None


def test_arguments_stand_in_the_value_s_shape() -> None:
    inputs = {"input": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), "target": np.full((2, 2), 0.5, np.float32)}
    layout = {"S0": 2, "S1": 2}
    of = {
        reduction: arguments(
            SPECS["huber"],
            Stack.of(Case("huber", "float32", layout, {"delta": 1.0, "reduction": reduction}, inputs)),
        )
        for reduction in ("none", "mean")
    }
    assert of["mean"] is None
    np.testing.assert_array_equal(of["none"], [[[0.5, 1.5], [2.5, 3.5]]])


def test_every_drawn_stack_has_its_arguments() -> None:
    for name, spec in SPECS.items():
        for stack in stacks(spec, "float16", "quick"):
            found = arguments(spec, stack)
            if found is not None:
                assert found.shape == stack.inputs["input1" if name == "margin_ranking" else "input"].shape


def test_bins_rise_with_their_numbers_and_are_at_most_64() -> None:
    numbers = np.array([-np.inf, -1e300, -3.0, -0.1, -1e-300, -0.0, 0.0, 1e-300, 0.1, 3.0, 1e300, np.inf])
    bins = bins_of(numbers)
    assert (np.diff(bins) >= 0).all()
    assert len(set(bins_of(np.linspace(-1e9, 1e9, 10**5)).tolist())) <= 2 * PER_SIGN == 64


def test_a_curve_keeps_the_worst_of_each_bin_however_it_came() -> None:
    draw = np.random.Generator(np.random.Philox(3))
    at, ulps = draw.standard_normal(500) * 10.0 ** draw.integers(-9, 9, 500), draw.random(500)
    once, by_parts = Curve(), Curve()
    once.add(at, ulps)
    for part in np.array_split(np.arange(500), 7):
        by_parts.add(at[part], ulps[part])
    assert once.points == by_parts.points
    assert len(once.points) <= 64
    assert max(size for _, size in once.points) == float(f"{ulps.max():.4g}")
    assert [at for at, _ in once.points] == sorted(at for at, _ in once.points)


def test_what_is_not_finite_is_in_no_curve() -> None:
    curve = Curve()
    curve.add(np.array([np.nan, np.inf, 1.0, 1.797e308]), np.array([1.0, 1.0, np.nan, 2.0]))
    assert curve.points == [[1.797e308, 2.0]]
    curve.add(np.array([np.finfo(float).max]), np.array([3.0]))
    assert np.isfinite(curve.points).all()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from conformance.record.journal import Journal
    from conformance.record.results import run_info, write_results
    from conformance.suite.about import criteria_of
    from conformance.suite.plan import make_plan
    from conformance.suite.run import judge_cell

    plan = make_plan(Options(frameworks=("numpy",), criteria=("huber", "nll"), dtypes=("float32",), effort="quick"))
    journal = Journal(None)
    journal.begin(run_info({}, seed=0, effort="quick", fail_on="new"), plan.cells, criteria_of(plan))
    for cell in plan.cells:
        journal.judged(cell, 0.0, [check.to_json() for check in judge_cell(plan, cell).checks])
    journal.end(0.0)
    path = tmp_path_factory.mktemp("results") / "results.json"
    write_results(path, results_of(journal.record))
    return path


def worst_ratio(item: dict[str, Any]) -> float:
    return as_float(item["worst_ratio"]) or 0.0


def test_results_carry_regimes_curves_and_criteria(results: Path) -> None:
    doc = read_results(results)
    assert first_fault(doc) is None
    value, gradient, nll = (
        next(c for c in doc["checks"] if c["id"].endswith(f"float32/{name}") and c["criterion"] == criterion)
        for criterion, name in (("huber", "value"), ("huber", "gradient.input"), ("nll", "value"))
    )
    assert value["regimes"].keys() <= SPECS["huber"].regimes.keys()
    assert sum(item["cases"] for item in value["regimes"].values()) == value["cases"]
    assert max(map(worst_ratio, value["regimes"].values())) == pytest.approx(worst_ratio(value), 1e-3)
    assert 10 < len(value["curve"]) <= 64
    assert max(size for _, size in value["curve"]) <= value["worst_ulp"] * 1.001
    assert "curve" not in gradient
    assert "curve" not in nll
    assert "regimes" not in next(c for c in doc["checks"] if c["check"].startswith("edge."))
    huber = doc["criteria"]["huber"]
    assert huber["argument"] == "error"
    assert huber["formula"] == SPECS["huber"].formula
    assert huber["parameters"] == {"delta": 1, "reduction": "mean"}
    assert huber["edges"]["empty_mean"]["value"] == "nan"
    assert "value" not in huber["edges"]["weighted_mean"]
    assert doc["criteria"]["nll"]["argument"] is None
    assert set(huber["functions"]) == {"numpy"}
