"""Minimising: small, plain, still failing, still in its domain, and within the budget."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from conformance.cases import DTYPES, Case
from conformance.cases.shrink import is_inside, minimise
from conformance.cases.simpler import drop_axis, rounded, significant, slice_axis
from conformance.spec import load_specs, specs_folder
from conformance.spec.layout import match
from conformance.spec.model import Spec
from tests.test_cases import TOY

SPECS = load_specs([specs_folder()])


def toy_case(dtype: str = "float32", classes: int = 33) -> Case:
    rng = np.random.default_rng(5)
    inputs = {
        "input": rng.normal(size=(12, classes, 2)).astype(DTYPES[dtype]),
        "target": rng.integers(0, classes, (12, 2)),
        "weight": rng.uniform(0.1, 1, classes).astype(DTYPES[dtype]),
    }
    inputs["target"][0, 0] = -100
    parameters = {"ignore_index": -100, "k": 2, "r": 1.7320508, "reduction": "none"}
    return Case("toy", dtype, {"N": 12, "C": classes, "D0": 2}, parameters, inputs)


def counting(still: Callable[[Case], bool]) -> tuple[Callable[[Case], bool], list[Case]]:
    calls: list[Case] = []

    def counted(case: Case) -> bool:
        calls.append(case)
        return still(case)

    return counted, calls


def test_one_bad_number_among_many_is_found() -> None:
    case = toy_case()
    case.inputs["input"][7, 20, 1] = 7.3
    still, calls = counting(lambda c: bool((c.inputs["input"] > 5).any()))
    small = minimise(case, TOY, still)
    assert still(small)
    assert len(calls) <= 61
    assert dict(small.layout) == {"C": 1}
    assert set(small.inputs) == {"input", "target"}
    assert small.inputs["input"].tolist() == [7]
    assert small.parameters == {"ignore_index": -100, "k": 0, "r": 1, "reduction": "mean"}


def test_what_always_fails_becomes_the_plainest_case() -> None:
    small = minimise(toy_case(), TOY, lambda _: True)
    assert small.size == 2
    assert dict(small.layout) == {"C": 1}
    assert small.inputs["target"].shape == ()
    assert small.inputs["input"].tolist() == [0]


def test_what_fails_no_more_is_left_as_it_is() -> None:
    case = toy_case()
    still, calls = counting(lambda _: False)
    assert minimise(case, TOY, still, budget=25) is case
    assert len(calls) == 25


@pytest.mark.parametrize("budget", [0, 1, 7, 60])
def test_the_budget_is_kept(budget: int) -> None:
    still, calls = counting(lambda c: c.size % 3 != 1)
    minimise(toy_case(), TOY, still, budget)
    assert len(calls) <= budget


def test_the_same_calls_each_time() -> None:
    hashes = []
    for _ in range(2):
        still, calls = counting(lambda c: float(np.sum(c.inputs["input"].astype(float))) < 3)
        minimise(toy_case(), TOY, still)
        hashes.append([case.hash for case in calls])
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == len(hashes[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_candidate_is_a_case_of_the_spec(dtype: str) -> None:
    def still(case: Case) -> bool:
        assert all(is_inside(TOY, case, name) for name in ("input", "target", "weight", "k", "r"))
        assert match(TOY, {name: array.shape for name, array in case.inputs.items()}) is not None
        assert case.inputs["input"].dtype == DTYPES[dtype]
        assert case.inputs["target"].dtype == np.int64
        return int(case.hash, 16) % 3 != 0

    minimise(toy_case(dtype), TOY, still, budget=200)


def test_what_was_outside_its_domain_may_stay_outside() -> None:
    case = toy_case()
    case.inputs["target"][:] = 99
    assert minimise(case, TOY, lambda c: bool((c.inputs["target"] == 99).all())).inputs["target"].tolist() == 99


@pytest.mark.parametrize("modulus", [2, 3, 5])
def test_padding_never_becomes_a_label(modulus: int) -> None:
    spec, sizes = SPECS["ctc"], {"T": 4, "N": 3, "C": 5, "S": 4}
    inputs = {
        "log_probs": np.full((4, 3, 5), -1.0),
        "targets": np.array([[1, 2, -1, 9], [-7, 0, 3, 3], [4, 3, 2, 1]]),
        "input_lengths": np.array([4, 0, 3]),
        "target_lengths": np.array([2, 0, 4]),
    }
    case = Case("ctc", "float64", sizes, {"blank": 0, "zero_infinity": True, "reduction": "sum"}, inputs)

    def still(case: Case) -> bool:
        labels = case.inputs["targets"][np.arange(case.layout["S"]) < case.inputs["target_lengths"][..., None]]
        assert ((labels > 0) & (labels < case.layout["C"])).all()
        return int(case.hash, 16) % modulus != 0

    assert is_inside(spec, case, "targets")
    assert minimise(case, spec, still, budget=200).size < case.size


def test_labels_move_with_their_class() -> None:
    case = toy_case(classes=10)
    case.inputs["target"][:] = 7
    sliced = slice_axis(TOY, case, "C", range(5, 10))
    assert (sliced.inputs["target"] == 2).all()
    assert np.array_equal(sliced.inputs["input"], case.inputs["input"][:, 5:])
    assert np.array_equal(sliced.inputs["weight"], case.inputs["weight"][5:])
    assert (slice_axis(TOY, case, "C", range(5)).inputs["target"] == 4).all()


def test_a_dropped_axis_renumbers_its_family() -> None:
    spec = SPECS["l1"]
    case = Case("l1", "float64", {"S0": 1, "S1": 3}, {}, {"input": np.ones((1, 3)), "target": np.ones((1, 3))})
    dropped = drop_axis(spec, case, "S0")
    assert dict(dropped.layout) == {"S0": 3}
    assert dropped.inputs["input"].shape == (3,)


def test_numbers_stay_in_the_dtype() -> None:
    case = toy_case("bfloat16")
    values = rounded(case, significant(3), {"input": None}).inputs["input"]
    assert values.dtype == DTYPES["bfloat16"]
    mantissa, _ = np.frexp(values.astype(float))
    assert np.array_equal(mantissa * 8, np.rint(mantissa * 8))
    only_one = rounded(case, lambda values: values * 0, {"input": 5}).inputs["input"]
    assert (only_one != case.inputs["input"]).sum() == 1


@pytest.mark.parametrize("name", SPECS)
def test_cases_of_every_criterion_shrink(name: str) -> None:
    from conformance.cases.plan import stacks

    spec: Spec = SPECS[name]
    for stack in list(stacks(spec, "float32", "quick"))[5:8]:
        case = stack[0]
        small = minimise(case, spec, lambda c: all(is_inside(spec, c, item) for item in spec.inputs))
        assert small.size <= min(case.size, 2 * len(spec.inputs))
