"""The reference is right to 1 ulp of float64: every value and gradient against an independent oracle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from tests.oracle import CRITERIA, Case, answer, cases, error_in_ulps
from tests.oracle.answer import FORMULAS
from tests.oracle.scalars import constant, exact, total
from tests.oracle.table import specified, tally

FIRST_EIGHT = {
    "l1",
    "mse",
    "smooth_l1",
    "cross_entropy",
    "bce_with_logits",
    "kl_div",
    "cosine_embedding",
    "triplet_margin",
}
MAY_STAY_UNCERTIFIED = 0.02
STEP = 2.0**-700
HOLD_WEIGHTS = {"circle"}  # constant to the gradient: a difference of the whole function would move them


@pytest.mark.parametrize("criterion", specified())
def test_reference_is_within_one_ulp(criterion: str) -> None:
    result = tally(criterion)
    assert not result.misses, f"{len(result.misses)} numbers off\n" + "\n".join(map(str, result.misses[:3]))
    uncertified = "\n".join(map(str, result.uncertified[:3]))
    assert len(result.uncertified) <= MAY_STAY_UNCERTIFIED * result.cases, f"uncertified, among others:\n{uncertified}"


def test_the_first_eight_have_specs() -> None:
    assert set(specified()) >= FIRST_EIGHT


@pytest.mark.parametrize("criterion", CRITERIA)
def test_cases_are_many(criterion: str) -> None:
    assert len({str(case) for case in cases(criterion)}) >= 50


@pytest.mark.parametrize("criterion", CRITERIA)
def test_derivatives_equal_central_differences(criterion: str) -> None:
    """The oracle's own check: series coefficients against (f(x + h) - f(x - h)) / 2h at h = 2^-700."""
    ordinary = [case for case in cases(criterion) if case.regime == "ordinary"]
    case = next(case for case in ordinary if case.parameters.get("reduction", "sum") == "sum")
    series = answer(criterion, case.inputs, case.parameters, case.wrt)
    for name in case.wrt:
        for at in np.ndindex(np.shape(case.inputs[name])):
            with ctx.workprec(4000):
                slope = (_moved(case, name, at, STEP) - _moved(case, name, at, -STEP)) / (2 * arb(STEP))
                assert abs(slope - series.gradients[name][at]) <= 2.0**-500 * (1 + abs(slope)), f"{case}\n  {name}{at}"


def _moved(case: Case, name: str, at: tuple[int, ...], step: float) -> arb:
    """The sum of the output with one input moved by a step."""
    balls = {key: exact(x) if np.asarray(x).dtype.kind == "f" else np.asarray(x) for key, x in case.inputs.items()}
    held = {"held": balls[name].copy()} if case.criterion in HOLD_WEIGHTS else {}
    balls[name][at] = balls[name][at] + arb(step)
    return constant(total(FORMULAS[case.criterion](**balls, **held, **case.parameters)))


@pytest.mark.parametrize(
    ("criterion", "inputs", "parameters", "value"),
    [
        ("cross_entropy", {"input": np.array([[1.0, 0.0]]), "target": np.array([0])}, {}, math.log1p(math.exp(-1))),
        ("smooth_l1", {"input": np.array([3.0, 0.5]), "target": np.zeros(2)}, {"reduction": "sum"}, 2.625),
        ("kl_div", {"input": np.array([[0.0, -1.0]]), "target": np.array([[1.0, 0.0]])}, {"reduction": "sum"}, 0.0),
        (
            "ctc",  # "a" in two steps of {blank, a}: the paths aa, a-, -a, each of odds 1/4
            {
                "log_probs": np.full((2, 1, 2), math.log(0.5)),
                "targets": np.array([[1]]),
                "input_lengths": np.array([2]),
                "target_lengths": np.array([1]),
            },
            {},
            -math.log(0.75),
        ),
    ],
)
def test_oracle_knows_results_worked_out_by_hand(
    criterion: str, inputs: dict[str, Any], parameters: dict[str, Any], value: float
) -> None:
    assert float(answer(criterion, inputs, parameters, ()).value[()]) == pytest.approx(value, rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("got", "wanted", "ulps"),
    [
        (1.0, arb(1), 0),
        (1.0 + 2.0**-52, arb(1), 1),
        (1.0 - 2.0**-53, arb(1), 0.5),
        (5e-324, arb(0), 1),
        (5e-324, arb(2) ** -1074, 0),
        (0.0, arb(2) ** -2000, 0),
        (2.0**-1022, arb(2) ** -1022 - arb(2) ** -1074, 1),
        (math.inf, arb(2) ** 1024, 0),
        (math.inf, arb(2) ** 1024 - arb(2) ** 969, math.inf),
        (-math.inf, arb(2) ** 1030, math.inf),
        (math.inf, arb.pos_inf(), 0),
        (math.nan, arb(1), math.inf),
        (math.nan, arb.nan(), 0),
        (1.0, arb.nan(), math.inf),
    ],
)
def test_ulps(got: float, wanted: arb, ulps: float) -> None:
    with ctx.workprec(4000):
        assert error_in_ulps(got, wanted) == pytest.approx(ulps, abs=1e-12)
