"""Invalid input: every domain is violated, by itself; who refuses agrees, and who answers does not."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from conformance.cases.bench import Bench, Invalid
from conformance.cases.bind import outside, plain_value
from conformance.cases.case import DTYPES, Case, Stack
from conformance.cases.domain import names_of
from conformance.cases.invalid import invalid_cases, invalid_checks, violated
from conformance.cases.violations import outsides
from conformance.errors import FileError
from conformance.record.model import Check
from conformance.spec import Spec, load_specs, specs_folder
from conformance.spec.layout import match
from conformance.spec.model import Input, Param
from conformance.suite.options import Options
from conformance.suite.plan import Plan, make_plan
from conformance.suite.run import CellResult, judge_cell, unmatched
from conformance.verdict.entries import Witness

SPECS = load_specs([specs_folder()])
EVERY = pytest.mark.parametrize("spec", [pytest.param(spec, id=name) for name, spec in SPECS.items()])
SHAPES = r"(shape|broadcast|rank_more|rank_fewer)_"
FORM = re.compile(r"(shape|broadcast|rank_more|rank_fewer|dtype)_|.*_(unknown|fraction)$")


@functools.cache
def cases_of(criterion: str, dtype: str = "float32", seed: int = 0) -> dict[str, list[Invalid]]:
    bench = Bench(SPECS[criterion], dtype, seed)
    return {id_: invalid_cases(bench, id_) for id_ in invalid_checks(SPECS[criterion])}


def every_case(spec: Spec, dtype: str = "float32", seed: int = 0) -> list[tuple[str, Invalid]]:
    return [(id_, item) for id_, items in cases_of(spec.name, dtype, seed).items() for item in items]


def items_of(spec: Spec) -> Mapping[str, Input | Param]:
    return {**spec.inputs, **spec.params}


def target_of(spec: Spec, id_: str) -> str:
    """The input or parameter that a check of values is about."""
    return outsides(spec, "float32")[id_].name


# Which cases


@EVERY
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_a_value_violates_its_own_domain_and_no_other(spec: Spec, dtype: str) -> None:
    items = items_of(spec)
    for id_, asked in every_case(spec, dtype):
        if FORM.match(id_):
            continue
        name, wrong = target_of(spec, id_), violated(spec, asked.case)
        # What another domain says of this one is violated with it; and a NaN is in no domain, stated or not.
        assert all(name in names_of(items[other].domain) for other in wrong - {name}), (id_, wrong)
        assert name in wrong or id_.startswith("nan_"), (id_, asked.what)


@EVERY
def test_a_case_differs_from_a_valid_one_in_one_thing(spec: Spec) -> None:
    for id_, asked in every_case(spec):
        assert asked.base is not None
        assert outside(spec, Stack.of(asked.base)) == []
        is_finite = np.isfinite(plain_value(spec, Stack.of(asked.base))).all()
        assert is_finite or id_.endswith("_integers"), id_  # a probability rounded is 0 or 1
        changed = {
            name
            for name, array in asked.base.inputs.items()
            if array.dtype != asked.case.inputs[name].dtype
            or not np.array_equal(array, asked.case.inputs[name], equal_nan=True)
        }
        given = asked.case.parameters
        changed |= {name for name, value in asked.base.parameters.items() if repr(value) != repr(given[name])}
        assert len(changed) == 1, (id_, changed)


@EVERY
def test_every_domain_is_violated(spec: Spec) -> None:
    checks = [id_ for id_ in invalid_checks(spec) if not FORM.match(id_)]
    about = {name: [id_ for id_ in checks if target_of(spec, id_) == name] for name in (*spec.inputs, *spec.params)}
    for name, item in items_of(spec).items():
        if item.domain is not None:
            assert [id_ for id_ in about[name] if not id_.startswith("nan_")], name
    for name, given in spec.inputs.items():
        assert given.dtype == "int" or f"nan_{name}" in about[name]
    for name, param in spec.params.items():
        assert param.type != "real" or f"nan_{name}" in about[name]
        assert param.type != "choice" or f"{name}_unknown" in invalid_checks(spec)
        assert param.type != "integer" or f"{name}_fraction" in invalid_checks(spec)


@EVERY
def test_shapes_do_not_fit_and_nothing_else_is_wrong(spec: Spec) -> None:
    found = set()
    for id_, asked in every_case(spec):
        shapes = {name: array.shape for name, array in asked.case.inputs.items()}
        if re.match(SHAPES, id_):
            assert match(spec, shapes) is None, (id_, shapes)
            assert not asked.case.layout
            found |= {name for name in shapes if re.search(rf"_{name}(_[A-Z])?$", id_)}
        else:
            assert match(spec, shapes) == asked.case.layout, id_
    if len(spec.inputs) > 1:
        assert found == set(spec.inputs)


@EVERY
def test_ids_are_those_of_the_spec_alone_and_none_is_empty(spec: Spec) -> None:
    ids = list(invalid_checks(spec))
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", id_) for id_ in ids)
    for dtype in DTYPES:
        assert set(outsides(spec, dtype)) <= set(ids)
    for dtype, seed in (("float64", 1), ("bfloat16", 2), ("float16", 3), ("float32", 4)):
        assert [id_ for id_, items in cases_of(spec.name, dtype, seed).items() if not items] == []


def test_the_ids_of_released_criteria_stay() -> None:
    """They are a contract: baselines and known differences name them."""
    named = {
        "bce": {"input_above_1", "input_negative", "nan_input", "inf_target", "dtype_target_integers"},
        "cross_entropy": {"target_equals_C", "target_above_C", "target_negative", "target_highest", "target_lowest"},
        "ctc": {"targets_equals_blank", "target_lengths_above_S", "input_lengths_above_T", "blank_equals_C"},
        "gaussian_nll": {"var_negative", "var_zero", "eps_negative"},
        "huber": {"delta_zero", "delta_negative", "nan_delta", "shape_target_S", "broadcast_target_S"},
        "kl_div": {"target_negative"},
        "multi_margin": {"p_below_1", "p_above_2", "p_fraction", "reduction_unknown"},
        "nll": {"rank_more_target", "rank_fewer_target", "broadcast_target_N", "dtype_target_floats"},
        "poisson_nll": {"input_negative", "input_zero"},
        "soft_margin": {"target_zero", "target_above_1", "target_below_minus_1"},
    }
    for name, ids in named.items():
        assert ids <= set(invalid_checks(SPECS[name])), name


def test_the_same_seed_gives_the_same_cases() -> None:
    def hashes(seed: int) -> list[str]:
        bench = Bench(SPECS["nll"], "float32", seed)
        return [item.case.hash for id_ in invalid_checks(SPECS["nll"]) for item in invalid_cases(bench, id_)]

    assert hashes(0) == hashes(0)
    assert not set(hashes(0)) & set(hashes(1))


def test_one_element_in_the_middle_and_all_are_tried_just_outside_and_further() -> None:
    for id_, bound in (("input_above_1", 1.0), ("input_negative", 0.0)):
        cases = [item.case.inputs["input"].astype(np.float64) for item in cases_of("bce", "float16")[id_]]
        beyond = [np.abs(array - bound)[(array < 0) | (array > 1)] for array in cases]
        assert {array.size for array in beyond} == {1, cases[0].size}
        assert min(array.min() for array in beyond) < 1e-3
        assert max(array.max() for array in beyond) >= 1
    (row,) = {np.argwhere(a < 0).tolist()[0][0] for a in cases if (a < 0).sum() == 1}
    assert 0 < row < len(cases[0]) - 1


def test_what_a_violation_reaches_is_what_is_computed_from_it() -> None:
    nan = cases_of("nll")["nan_input"][0]  # in one element, reduction none
    assert nan.reached is not None
    (row,) = np.argwhere(np.isnan(nan.case.inputs["input"]))[:, 0]
    assert np.argwhere(nan.reached).tolist() == [[row]]
    label = cases_of("nll")["target_equals_C"][0]
    assert label.reached is not None
    assert label.reached.sum() == 1
    margin = cases_of("cosine_embedding")["nan_margin"][0]
    assert margin.reached is not None
    assert (margin.reached == (margin.case.inputs["target"] == -1)).all()


def test_wrong_dtypes_hold_the_same_numbers() -> None:
    for spec in SPECS.values():
        for id_, asked in every_case(spec, "float64"):
            if id_.startswith("dtype_"):
                assert asked.base is not None
                assert asked.exact is not None
                for name, array in asked.case.inputs.items():
                    numbers = array.astype(np.float64)
                    assert np.array_equal(numbers, asked.base.inputs[name].astype(np.float64)), (spec.name, id_)
                    assert np.array_equal(numbers, asked.exact.inputs[name][0].astype(np.float64)), (spec.name, id_)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_case_of_mixed_dtypes_is_written_and_read(dtype: str) -> None:
    for _, asked in every_case(SPECS["huber"], dtype):
        again = Case.from_json(asked.case.to_json())
        assert again.hash == asked.case.hash
        for name, array in asked.case.inputs.items():
            assert again.inputs[name].dtype == array.dtype
            assert np.array_equal(again.inputs[name], array, equal_nan=True)


# Domains of any form

ODD = """
spec: 1
name: odd
title: Odd domains
summary: Domains that no criterion has so far.
dims: {N: {min: 1}, C: {min: 2}}
inputs:
  low:   {shape: "[N, C]", dtype: float}
  high:  {shape: "[N, C]", dtype: float, domain: low <= high}
  small: {shape: "[N, C]", dtype: float, domain: abs(small) < 1}
  strict: {shape: "[N, C]", dtype: float, domain: strict < 0.5}
  label: {shape: "[N]", dtype: int, domain: -1 <= label and label != 1 and label < C + 1}
params:
  gap: {type: real, domain: 2 * gap + base > 0 and gap != 3, default: 1}
  base: {type: real, default: 0, levels: [0, 1]}
  k: {type: integer, domain: k != 0, default: 1}
formula: "loss = (low + high + small + strict) * label * (gap + base) * k"
reduce: {none: loss}
regimes:
  ordinary: {low: [0, 1], high: [1, 2], small: [-0.5, 0.5], strict: [-1, 0.25]}
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    path = tmp_path_factory.mktemp("specs") / "odd.yaml"
    path.write_text(ODD)
    return load_specs([path.parent])["odd"]


def test_a_domain_of_any_form_is_violated(odd: Spec) -> None:
    bench = Bench(odd, "float64")
    ids = {id_: invalid_cases(bench, id_) for id_ in invalid_checks(odd)}
    assert set(ids) >= {
        *("high_out_of_domain", "small_out_of_domain", "strict_equals_0_5", "strict_above_0_5", "label_equals_1"),
        *("label_below_minus_1", "label_equals_bound", "label_above_bound", "gap_equals_3", "gap_equals_bound"),
        *("gap_below_bound", "k_zero", "inf_strict", "label_highest", "label_lowest", "minus_inf_gap"),
    }
    assert [id_ for id_, items in ids.items() if not items] == []
    for id_ in ("high_out_of_domain", "small_out_of_domain", "label_equals_bound", "gap_below_bound", "k_zero"):
        for asked in ids[id_]:
            assert violated(odd, asked.case) == {id_.split("_")[0]}, (id_, asked.what)
    assert "inf_low" not in ids  # it has no domain, and infinity lies in it
    assert "minus_inf_strict" not in ids


# What comes of them


def plan_of(adapter: str, criterion: str, dtype: str = "float64", **more: Any) -> Plan:
    name = adapter if adapter == "numpy" else f"tests.faulty:{adapter}"
    return make_plan(Options((name,), (criterion,), dtypes=(dtype,), effort="quick", **more))


@functools.cache
def plan_of_all(adapter: str, dtype: str) -> Plan:
    """One plan, and with it one worker, for every criterion."""
    return plan_of(adapter, "*", dtype)


@functools.cache
def result_of(adapter: str, criterion: str, dtype: str = "float64") -> CellResult:
    plan = plan_of_all(adapter, dtype)
    return judge_cell(plan, next(cell for cell in plan.cells if cell.criterion == criterion))


def judged(adapter: str, criterion: str, dtype: str = "float64") -> dict[str, Check]:
    checks = result_of(adapter, criterion, dtype).checks
    return {c.check.removeprefix("invalid."): c for c in checks if c.check.startswith("invalid.")}


def outcomes(adapter: str, criterion: str, dtype: str = "float64") -> dict[str, str]:
    return {name: check.outcome for name, check in judged(adapter, criterion, dtype).items()}


@pytest.mark.parametrize("criterion", ["cross_entropy", "huber", "ctc", "gaussian_nll", "multilabel_soft_margin"])
def test_who_refuses_agrees(criterion: str) -> None:
    assert set(outcomes("Strict", criterion).values()) == {"agrees"}
    assert list(outcomes("Strict", criterion)) == list(invalid_checks(SPECS[criterion]))


@EVERY
def test_the_formulas_refuse_what_must_be_refused(spec: Spec) -> None:
    checks = judged("numpy", spec.name, "float32")
    assert {name: c.message for name, c in checks.items() if c.outcome not in {"agrees", "differs"}} == {}


def test_what_is_answered_differs_and_is_told() -> None:
    check = judged("numpy", "huber")["delta_negative"]
    assert (check.outcome, check.new, check.level) == ("differs", None, "required")
    assert check.counts == {"differs": 6}
    assert "delta is -0.125: answered with" in check.message
    assert [witness["kind"] for witness in check.witnesses] == ["smallest", "worst"]


@pytest.mark.parametrize("criterion", ["cross_entropy", "nll", "nll_2d"])
def test_a_label_out_of_range_that_is_answered_fails(criterion: str) -> None:
    found = outcomes("AnswersLabels", criterion)
    about = [name for name in found if re.match(r"target_", name)]
    assert len(about) == 7
    assert {name: found[name] for name in about} == dict.fromkeys(about, "fails")
    assert all(judged("AnswersLabels", criterion)[name].new == "fails" for name in about)


def test_nan_is_due_where_the_violation_reaches_and_nowhere_else() -> None:
    right, wrong = outcomes("AnswersNaNWhereDue", "cross_entropy"), judged("AnswersNaNElsewhere", "cross_entropy")
    about = [name for name in right if name.startswith("target_")]
    assert {right[name] for name in about} == {"agrees"}
    assert {wrong[name].outcome for name in about} == {"fails"}
    assert wrong["target_equals_C"].counts == {"agrees": 2, "fails": 1}  # what is summed is NaN in either case


@pytest.mark.parametrize("criterion", ["l1", "kl_div"])
def test_broadcasting_fails_and_its_shape_is_told(criterion: str) -> None:
    checks = judged("Broadcasts", criterion)
    bad = [name for name, check in checks.items() if check.outcome == "fails"]
    assert {"rank_more_target", "rank_more_input", "rank_fewer_target"} <= set(bad)
    assert [name for name in bad if name.startswith("broadcast_target")]
    assert all(re.match(r"broadcast|rank", name) for name in bad)
    assert {check.outcome for name, check in checks.items() if name.startswith("shape_")} == {"agrees"}
    told = checks["rank_more_target"].message
    assert "the shapes are input (3,), target (3, 1)" in told
    assert "of shape (3, 3) where (3,) is due; it warned: shapes were broadcast" in told
    assert not result_of("Broadcasts", criterion).stale


def test_broadcasting_that_is_documented_differs() -> None:
    checks = judged("BroadcastsByTheBook", "l1")
    assert {check.outcome for check in checks.values()} == {"agrees", "differs"}
    assert "documented: Shapes are broadcast. (https://example.org)" in checks["rank_more_target"].message


def test_one_axis_too_many_that_changes_nothing_differs() -> None:
    checks = judged("Squeezes", "l1")
    assert checks["rank_more_target"].outcome == "differs"
    assert "as with the right shapes" in checks["rank_more_target"].message
    assert checks["broadcast_target_S"].outcome == "agrees"


def test_numbers_in_a_wrong_dtype_may_be_taken_for_what_they_are() -> None:
    right, wrong = outcomes("Right", "huber"), outcomes("Truncates", "huber")
    about = [name for name in right if name.startswith("dtype_")]
    assert {right[name] for name in about} == {"agrees"}
    assert {name for name in about if wrong[name] != "agrees"} == {name for name in about if name.endswith("_integers")}
    assert wrong["dtype_target_integers"] == "differs"
    assert outcomes("Right", "huber", "float32")["dtype_target_mixed"] == "agrees"


def test_who_has_no_kernel_for_integers_refuses_them() -> None:
    checks = outcomes("OffersNoIntegers", "huber")
    assert checks["dtype_input_integers"] == "agrees"
    assert set(outcomes("OffersNothing", "huber").values()) == {"unsupported"}


@pytest.mark.parametrize("adapter", ["ReturnsNone", "ReturnsBareArray", "ReturnsLists", "ReturnsObjects"])
def test_what_is_no_answer_is_no_refusal(adapter: str) -> None:
    """The formula behind it refuses shapes."""
    found = {name: outcome for name, outcome in outcomes(adapter, "l1").items() if not re.match(SHAPES, name)}
    assert set(found.values()) - {"agrees"} == {"error"}
    assert {name for name in found if found[name] == "agrees"} <= {"reduction_unknown"}


def test_an_answer_of_nan_agrees() -> None:
    assert set(outcomes("AnswersNaN", "l1").values()) == {"agrees"}


def test_a_backward_pass_that_breaks_is_an_error() -> None:
    checks = judged("BreaksBackwards", "huber")
    assert {checks[name].outcome for name in ("delta_zero", "delta_negative")} == {"error"}
    assert "delta is 0: the adapter returned str" in checks["delta_zero"].message


def test_a_call_does_not_answer_for_the_one_before_it() -> None:
    assert outcomes("RuinsTheNext", "l1") == outcomes("Right", "l1")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_outcomes_do_not_hang_on_the_seed(seed: int) -> None:
    plan = plan_of("Broadcasts", "kl_div", seed=seed)
    checks = judge_cell(plan, plan.cells[0]).checks
    mine = {c.check.removeprefix("invalid."): c.outcome for c in checks if c.check.startswith("invalid.")}
    assert mine == outcomes("Broadcasts", "kl_div")


def test_a_cell_has_the_checks_that_were_planned() -> None:
    plan = plan_of("Right", "multi_margin")
    assert sorted(plan.checks(plan.cells[0])) == sorted(c.id for c in judge_cell(plan, plan.cells[0]).checks)


# Known differences


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "id": "labels",
        "checks": "nll/answers_labels/*/*/*/invalid.target_*",
        "versions": ">=1",
        "kind": "wrong",
        "envelope": {"answers": "any"},
        "reason": "labels out of range are taken for the nearest one",
        "owner": "tests",
        "witness": {"dtype": "float64", "check": "invalid.target_equals_C"},
    } | changes


def with_known(tmp_path: Path, adapter: str, **changes: Any) -> tuple[Plan, CellResult]:
    path = tmp_path / "known.yaml"
    YAML(typ="safe", pure=True).dump([entry(**changes)], path)
    plan = plan_of(adapter, "nll", known=(path,))
    return plan, judge_cell(plan, plan.cells[0])


def test_a_known_difference_covers_what_is_answered(tmp_path: Path) -> None:
    plan, result = with_known(tmp_path, "AnswersLabels")
    found = [check for check in result.checks if check.check.startswith("invalid.target_")]
    assert {(check.outcome, check.new, *check.known) for check in found} == {("fails", None, "labels")}
    assert result.stale == []
    assert unmatched(plan) == []


@pytest.mark.parametrize(("seeds", "stale"), [((0,), 0), ((1, 2), 1)])
def test_a_witness_of_invalid_input_may_be_of_another_draw(tmp_path: Path, seeds: tuple[int, ...], stale: int) -> None:
    """`AnswersOddLabels` answers what seeds 0 and 1 draw, and refuses what seed 2 does."""
    witness = [{"dtype": "float64", "check": "invalid.target_equals_C", "seed": seed} for seed in seeds]
    checks = "nll/answers_odd_labels/*/*/*/invalid.target_*"
    assert len(with_known(tmp_path, "AnswersOddLabels", checks=checks, witness=witness)[1].stale) == stale


def test_only_invalid_input_has_a_seed() -> None:
    with pytest.raises(ValueError, match="only invalid input is drawn"):
        Witness(dtype="float64", check="value", seed=1)


def test_of_edge_cases_it_covers_those_that_are_out_of_the_domain(tmp_path: Path) -> None:
    witness = {"dtype": "float64", "check": "edge.target_out_of_range"}
    _, result = with_known(tmp_path, "AnswersLabels", checks="nll/answers_labels/*/*/*/edge.*", witness=witness)
    new = {check.check: (check.new, *check.known) for check in result.checks if check.outcome == "fails"}
    assert new["edge.target_out_of_range"] == (None, "labels")
    assert {"labels"} == {id_ for check in result.checks for id_ in check.known}


def test_of_an_edge_case_that_has_a_value_it_covers_nothing(tmp_path: Path) -> None:
    witness = {"dtype": "float64", "check": "edge.plain"}
    _, result = with_known(tmp_path, "SignFlipped", checks="nll/*/*/*/*/edge.*", witness=witness)
    plain = next(check for check in result.checks if check.check == "edge.plain")
    assert plain.outcome == "fails"
    assert (plain.new, plain.known) == ("fails", [])


def test_one_that_is_no_longer_seen_is_stale(tmp_path: Path) -> None:
    _, result = with_known(tmp_path, "Right", checks="nll/right/*/*/*/invalid.target_*")
    assert ["no longer shows it" in text for text in result.stale] == [True]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"checks": "nll/answers_labels/*/*/*/value"}, "answers: any is for checks of invalid input"),
        ({"checks": "nll/answers_labels/*/*/*/*"}, "answers: any is for checks of invalid input"),
        ({"envelope": {"answers": "some"}}, "answers"),
        ({"witness": {"dtype": "float64", "check": "invalid.absent"}}, "'invalid.absent' is no check of nll"),
    ],
)
def test_an_entry_that_would_hide_more_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(FileError, match=re.escape(said)):
        with_known(tmp_path, "AnswersLabels", **changes)


def test_an_answer_that_is_listed_is_covered_and_others_are_not(tmp_path: Path) -> None:
    only = {"checks": "nll/answers_labels/*/*/*/invalid.target_highest", "envelope": {"answers": [math.inf]}}
    witness = {"dtype": "float64", "check": "invalid.target_highest"}
    _, result = with_known(tmp_path, "AnswersLabels", witness=witness, **only)
    check = next(check for check in result.checks if check.check == "invalid.target_highest")
    assert (check.new, check.known) == ("fails", [])
