"""The suite judges: the right adapter passes, each mutant is caught, and whatever an adapter does, the run goes on."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np
import pytest

from conformance import Call, Environment, Output, load_adapter
from conformance.cases.case import Stack
from conformance.cases.plan import EFFORTS, stacks
from conformance.errors import AdapterError, ConformanceError, UsageError
from conformance.record.journal import Journal
from conformance.record.model import Check, new_of
from conformance.record.results import first_fault, results_of, run_info
from conformance.reference.evaluate import make_case
from conformance.spec import load_specs, specs_folder
from conformance.suite.cell import CellJudge
from conformance.suite.options import Options
from conformance.suite.plan import Plan, make_plan
from conformance.suite.run import CellResult, command_for, judge_cell
from tests.faulty import Right

EIGHT = ("bce_with_logits", "cosine_embedding", "cross_entropy", "kl_div", "l1", "mse", "smooth_l1", "triplet_margin")
WRONG = ("fails", "error")


def plan_of(*frameworks: str, criteria: tuple[str, ...] = ("l1",), dtype: str = "float64", **more: Any) -> Plan:
    names = tuple(name if ":" in name or name == "numpy" else f"tests.faulty:{name}" for name in frameworks)
    return make_plan(Options(names, criteria, dtypes=(dtype,), effort="quick", **more))


@functools.cache
def judged(framework: str, criterion: str = "l1", dtype: str = "float64") -> CellResult:
    plan = plan_of(framework, criteria=(criterion,), dtype=dtype)
    (cell,) = plan.cells
    return judge_cell(plan, cell)


@functools.cache
def by_name(framework: str, criterion: str = "l1") -> dict[str, Check]:
    return {check.check: check for check in judged(framework, criterion).checks}


def outcomes(framework: str) -> dict[str, str]:
    return {name: check.outcome for name, check in by_name(framework).items() if check.level == "required"}


GENERATED = ("value", "gradient.input", "gradient.target")


# The right adapter


@pytest.mark.parametrize("criterion", EIGHT)
def test_the_formula_itself_fails_nothing_new(criterion: str) -> None:
    checks = judged("numpy", criterion, "float64").checks
    assert {check.id: check.message for check in checks if new_of(check.to_json()) in WRONG} == {}
    assert any(check.outcome == "agrees" for check in checks)


@pytest.mark.parametrize("criterion", ["cross_entropy", "l1", "kl_div"])
def test_nor_does_it_in_float32(criterion: str) -> None:
    checks = judged("numpy", criterion, "float32").checks
    assert {check.id: check.message for check in checks if new_of(check.to_json()) in WRONG} == {}


def test_a_cell_has_the_checks_that_were_planned() -> None:
    plan = plan_of("numpy")
    (cell,) = plan.cells
    result = judged("numpy")
    assert sorted(check.id for check in result.checks) == sorted(plan.checks(cell))
    assert result.recipes == 24 + EFFORTS["quick"].hard + EFFORTS["quick"].consistency
    assert result.cases >= 100


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_gradients_that_are_not_offered_are_planned_and_unsupported(dtype: str) -> None:
    plan = plan_of("ForwardOnly", criteria=("l1",), dtype=dtype)
    (cell,) = plan.cells
    result = judge_cell(plan, cell)
    assert sorted(check.id for check in result.checks) == sorted(plan.checks(cell))
    found = {check.check: check for check in result.checks}
    assert found["value"].outcome == by_name("Right")["value"].outcome == "inaccurate"  # a mean overflows
    for name in ("input", "target"):
        assert found[f"gradient.{name}"].outcome == "unsupported"
        assert found[f"gradient.{name}"].message == f"forward.l1 gives no gradient by '{name}' in forward"
    assert found["consistency.cotangent"].outcome == "unsupported"
    assert found["consistency.repeat"].outcome == "agrees"


def test_one_gradient_of_two_may_be_offered() -> None:
    found = by_name("OfInputOnly")
    assert found["gradient.input"].outcome == "agrees"
    assert found["gradient.target"].outcome == "unsupported"
    assert found["consistency.cotangent"].outcome == "agrees"


def test_the_same_cell_comes_to_the_same_checks() -> None:
    plan = plan_of("SignFlipped")
    again = judge_cell(plan, plan.cells[0])
    assert [check.to_json() for check in again.checks] == [check.to_json() for check in judged("SignFlipped").checks]


# Mutants: which checks of which criterion must catch them

MUTANTS = [
    ("SignFlipped", "l1", ("gradient.input", "gradient.target", "edge.both_signs")),
    ("OffByMillionth", "mse", ("value", "gradient.input", "gradient.target")),
    ("MeanOverBatch", "smooth_l1", ("value", "gradient.input")),
    ("ReductionIgnored", "mse", ("value", "gradient.input")),
    ("BetaIgnored", "smooth_l1", ("value", "gradient.input", "edge.large_beta")),
    ("WrongBranch", "smooth_l1", ("value", "gradient.input", "edge.quadratic")),
    ("SwapIgnored", "triplet_margin", ("value", "gradient.anchor", "edge.swapped")),
    ("WeightDropped", "l1", ("value", "gradient.input", "edge.mean_by_weight")),
    ("WeightDropped", "cross_entropy", ("value", "gradient.input", "edge.weighted_mean")),
    ("Float32Constants", "smooth_l1", ("value", "gradient.input")),
    ("SmoothingDenominator", "cross_entropy", ("value", "gradient.input", "edge.smoothing_half")),
    ("IgnoredCounted", "cross_entropy", ("value", "gradient.input", "edge.ignored_row")),
    ("EpsilonAdded", "cosine_embedding", ("value", "gradient.input1")),
    ("LogClamped", "kl_div", ("value", "gradient.target")),
]


@pytest.mark.parametrize(("mutant", "criterion", "caught"), MUTANTS, ids=[f"{m}-{c}" for m, c, _ in MUTANTS])
def test_a_mutant_is_caught(mutant: str, criterion: str, caught: tuple[str, ...]) -> None:
    checks = by_name(mutant, criterion)
    assert {name: checks[name].outcome for name in caught} == dict.fromkeys(caught, "fails")
    for name in caught:
        assert checks[name].new == "fails"
        assert checks[name].message.startswith(f"{criterion}/")
        assert [witness["kind"] for witness in checks[name].witnesses] == ["smallest", "worst"]


@pytest.mark.parametrize(("mutant", "criterion", "caught"), MUTANTS[:4], ids=[m for m, _, _ in MUTANTS[:4]])
def test_what_a_mutant_does_right_is_not_blamed(mutant: str, criterion: str, caught: tuple[str, ...]) -> None:
    if mutant == "SignFlipped":
        assert by_name(mutant, criterion)["value"].outcome not in WRONG
    assert by_name(mutant, criterion)["edge.empty_mean"].new is None


def test_the_smallest_witness_is_small() -> None:
    smallest, worst = by_name("SignFlipped")["gradient.input"].witnesses
    sizes = [sum(len(str(v)) for v in item["case"]["inputs"].values()) for item in (smallest, worst)]
    assert sizes[0] <= sizes[1]
    assert all(shape in ([], [1], [1, 1]) for shape in smallest["case"]["shapes"].values())


def test_a_gradient_that_does_not_come_back_is_an_error() -> None:
    checks = by_name("TargetGradientMissing")
    assert checks["gradient.target"].outcome == "error"
    assert checks["gradient.input"].outcome == "agrees"
    assert "nothing was returned" in checks["gradient.target"].message


# Misbehaviour: an outcome, and its reason


@pytest.mark.parametrize(
    ("adapter", "outcome", "said"),
    [
        ("Raises", "error", "RuntimeError: the kernel gave up"),
        ("RaisesSystemExit", "error", "SystemExit"),
        ("ReturnsNone", "error", "NoneType"),
        ("ReturnsBareArray", "error", "Output is due"),
        ("ReturnsLists", "error", "NumPy array is due"),
        ("ReturnsNoValue", "error", "nothing was returned"),
        ("WrongShape", "fails", "the shape is"),
        ("WrongDtype", "fails", "the dtype is float32 where float64 is due"),
        ("AnswersNaN", "fails", "nan"),
        ("AnswersInfinity", "fails", "inf"),
        ("RaisesUnsupported", "unsupported", "no kernel for this device"),
        ("RaisesSilently", "unsupported", "without a reason"),
        ("NoBinding", "unsupported", "no native function"),
    ],
)
def test_misbehaviour_is_an_outcome(adapter: str, outcome: str, said: str) -> None:
    checks = by_name(adapter)
    assert {name: checks[name].outcome for name in GENERATED} == dict.fromkeys(GENERATED, outcome)
    assert said in checks["gradient.input"].message


def test_an_array_of_something_else_is_an_outcome() -> None:
    assert outcomes("ReturnsObjects")["value"] in WRONG
    assert outcomes("ReturnsObjects")["edge.both_signs"] in WRONG


@pytest.mark.parametrize("adapter", ["ReturnsNone", "ReturnsBareArray", "ReturnsLists", "ReturnsObjects", "WrongDtype"])
def test_an_answer_without_form_is_no_refusal(adapter: str) -> None:
    """An input out of its domain is refused by raising, or by NaN; not by something that is no answer at all."""
    assert by_name(adapter)["edge.negative_weight"].outcome != "agrees"


def test_a_raise_is_a_refusal() -> None:
    assert by_name("Raises")["edge.negative_weight"].outcome == "agrees"
    assert by_name("AnswersNaN")["edge.negative_weight"].outcome == "agrees"


def test_a_call_that_is_not_made_is_an_error_and_no_refusal() -> None:
    checks = by_name("RaisesHarmful")
    assert {checks[name].outcome for name in ("value", "gradient.input", "edge.both_signs")} == {"error"}
    assert "not called: the kernel writes beyond its output" in checks["value"].message
    assert checks["edge.negative_weight"].outcome == "unsupported"


def test_what_is_written_to_inputs_harms_nobody() -> None:
    mine, right = (
        {check.check: (check.outcome, check.counts, check.worst_ulp) for check in judged(name).checks}
        for name in ("Mutates", "Right")
    )
    told = "consistency.inputs_unchanged"
    assert (mine.pop(told)[0], right.pop(told)[0]) == ("fails", "agrees")
    assert mine == right


def test_warnings_are_recorded_and_no_errors() -> None:
    assert any("DeprecationWarning: this function will go away" in text for text in judged("Warns").warnings)
    assert outcomes("Warns")["gradient.input"] == "agrees"


@pytest.mark.parametrize(
    "adapter", ["Raises", "RaisesSystemExit", "ReturnsNone", "WrongShape", "NoBinding", "BindingRaises"]
)
def test_the_run_goes_on_with_the_next_criterion(adapter: str) -> None:
    plan = plan_of(adapter, criteria=("l1", "mse"))
    results = [judge_cell(plan, cell) for cell in plan.cells]
    assert [result.cell.criterion for result in results] == ["l1", "mse"]
    assert {check.outcome for check in results[1].checks} <= {"agrees", "inaccurate", "differs", "unsupported"}


@pytest.mark.parametrize(
    "adapter", ["Raises", "ReturnsObjects", "WrongShape", "AnswersNaN", "AnswersInfinity", "NoBinding", "Warns"]
)
def test_whatever_it_does_the_results_keep_their_schema(adapter: str) -> None:
    result = judged(adapter)
    journal = Journal(None)
    journal.begin(run_info({"faulty": {"faulty": "1"}}, seed=0, effort="quick", fail_on="new"), [result.cell])
    journal.judged(result.cell, 0.5, [check.to_json() for check in result.checks])
    journal.end(1.0)
    document = results_of(journal.record)
    assert first_fault(document) is None
    assert document["run"]["verdict"].split(":")[0] in {"PASS", "FAIL", "NOTHING RAN"}


# Adapters that cannot be loaded


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("EnvironmentRaises", "OSError: libcudart"),
        ("EnvironmentIsNone", "NoneType"),
        ("CannotBeMade", "OSError: no licence"),
        ("NotAnAdapter", "it has no name, environment, binding, run"),
        ("HasSlash", "slash"),
        ("Absent", "has no 'Absent'"),
        ("tests.absent:Adapter", "no module 'tests.absent'"),
        ("nowhere:", "nowhere"),
        (":", ":"),
        ("", ""),
    ],
)
def test_an_adapter_that_cannot_be_loaded_is_told(name: str, said: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        make_plan(Options((name if ":" in name or not name else f"tests.faulty:{name}",)))
    assert isinstance(caught.value, AdapterError | UsageError)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# The plan


def test_two_adapters_of_one_name_are_refused() -> None:
    with pytest.raises(ConformanceError, match="right"):
        plan_of("Right", "Namesake")


def test_the_same_adapter_twice_is_once() -> None:
    assert [cell.id for cell in plan_of("Right").cells] == ["l1/right/cpu/eager/float64"]


def test_the_command_names_the_adapter_of_its_cell() -> None:
    plan = plan_of("Right", "Other", "numpy")
    named = {cell.framework: command_for(cell, plan) for cell in plan.cells}
    assert "--framework tests.faulty:Right " in named["right"]
    assert "--framework tests.faulty:Other " in named["other"]
    assert "--framework numpy " in named["numpy"]
    for part in ("--criterion l1", "--dtype float64", "--device cpu", "--conformance-seed 0", "--effort quick"):
        assert part in named["right"]


def test_what_is_not_offered_is_not_run_and_says_why() -> None:
    plan = plan_of("Right", devices=("cuda",))
    assert not plan.cells
    assert "right offers no device cuda here" in {reason for _, reason in plan.skipped}
    plan = plan_of("Right", dtype="bfloat16")
    assert not plan.cells
    assert "right offers no dtype bfloat16 here" in {reason for _, reason in plan.skipped}


def test_all_that_was_planned_is_in_the_plan() -> None:
    plan = plan_of("Right")
    cells = {cell.id for cell in plan.cells} | {cell.id for cell, _ in plan.skipped}
    every = {
        f"{name}/right/cpu/eager/{dtype}" for name in load_specs([specs_folder()]) for dtype in ("float64", "float32")
    }
    assert cells == every
    assert all(reason for _, reason in plan.skipped)


def test_a_spec_of_ones_own_is_judged_by_the_formula(tmp_path: Any) -> None:
    """--specs with the built-in adapter: the formula of that file, not of the built-in folder."""
    text = (specs_folder() / "l1.yaml").read_text(encoding="utf-8").replace("name: l1", "name: my_l1", 1)
    (tmp_path / "my_l1.yaml").write_text(text, encoding="utf-8")
    plan = make_plan(Options(("numpy",), ("my_l1",), dtypes=("float64",), effort="quick", specs=(tmp_path,)))
    found = {check.check: check for check in judge_cell(plan, plan.cells[0]).checks}
    assert found["gradient.input"].outcome in {"agrees", "inaccurate"}, found["gradient.input"].message


@pytest.mark.parametrize(
    ("flushes", "dtypes"), [(False, ()), (True, ("float32", "float16")), (("float32", "bfloat16"), ("float32",))]
)
def test_the_budget_allows_for_subnormals_in_the_dtypes_that_are_flushed(
    flushes: bool | tuple[str, ...], dtypes: tuple[str, ...]
) -> None:
    plan = plan_of("Right")
    environment = Environment({}, flushes_subnormals=flushes)
    judge = CellJudge(plan.specs["mse"], load_adapter("tests.faulty:Right"), environment, plan.cells[0], (), "")
    for dtype, tiny in (("float32", 2.0**-70), ("float16", 2.0**-10)):  # their squares are subnormal
        case = make_case(plan.specs["mse"], {"input": [tiny], "target": [0.0]}, {}, dtype)
        budget = float(judge.referee.numbers(Stack.of(case), ())["value"].tight.item())
        smallest = float(np.finfo(dtype).smallest_normal)
        assert (budget >= smallest) == (dtype in dtypes)


def test_no_reference_is_worked_out_for_what_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **more: object) -> None:
        raise AssertionError("the reference was asked")

    plan = plan_of("RaisesUnsupported")
    judge = CellJudge(
        plan.specs["l1"], load_adapter("tests.faulty:RaisesUnsupported"), Environment({}), plan.cells[0], (), ""
    )
    monkeypatch.setattr("conformance.suite.referee.Evaluation", never)
    stack = next(stacks(plan.specs["l1"], "float64", "quick"))
    judge.judge_stack(stack)
    counts = {check.check: check.counts for check in judge.checks()}
    assert counts == {name: {"unsupported": len(stack)} for name in GENERATED}


class Costly(Right):
    """Says that it compiles for seconds; and keeps what it is asked."""

    calls: ClassVar[list[Call]] = []

    def environment(self) -> Environment:
        return Environment(versions={self.name: self.version}, modes=("eager", "compiled"), costly=("compiled",))

    def answer(self, call: Call) -> Output:
        self.calls.append(call)
        return super().answer(call)


def test_a_costly_mode_has_generated_cases_alone_and_says_what_did_not_run() -> None:
    options = Options(("tests.test_suite:Costly",), ("huber",), dtypes=("float64",), effort="quick")
    assert [cell.mode for cell in make_plan(options).cells] == ["eager"]
    plan = make_plan(dataclasses.replace(options, modes=("compiled",)))
    (cell,) = plan.cells
    Costly.calls.clear()
    checks = {check.check: check for check in judge_cell(plan, cell).checks}
    plan.close()
    assert {f"{cell.id}/{name}" for name in checks} == set(plan.checks(cell))
    compiled = {
        (*(array.shape for array in call.inputs.values()), *call.parameters.items(), call.wrt) for call in Costly.calls
    }
    assert len(compiled) <= 3
    left_out = {name for name, check in checks.items() if check.outcome == "not run"}
    assert left_out == {name for name in checks if name.partition(".")[0] in ("edge", "invalid", "consistency")}
    assert {checks[name].message for name in left_out} == {"mode compiled is costly: at --effort thorough only"}
    assert all(checks[name].outcome == "agrees" for name in checks.keys() - left_out)
