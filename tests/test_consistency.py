"""Consistency: each check catches the fault that it is for, a right adapter passes, and witnesses are asked again."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import Call, Environment, Output, Unsupported
from conformance.cases.case import Case, Stack
from conformance.cases.plan import consistency_stacks, stacks
from conformance.cases.variants import STORAGE, another, constant, expanded, free_axes, narrower, rolled, with_cotangent
from conformance.record.journal import Journal
from conformance.record.model import CONSISTENCY, Check
from conformance.record.results import results_of, run_info, write_results
from conformance.reference.escalate import evaluate_balls, precision
from conformance.reference.evaluate import evaluate_stack
from conformance.reference.reduced import reduced
from conformance.spec import spec_for
from conformance.suite.cell import CellJudge
from conformance.suite.consistency import CHECKS, consistency_checks, judge_consistency
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.replay import replay
from tests.faulty import Right, each, with_parameters


class Careful(Right):
    """Right in every way: it passes cotangents on, too."""

    name = "careful"

    def environment(self) -> Environment:
        return Environment(versions={self.name: self.version}, cotangents=True)


class ClipsHugeInput(Careful):
    """Clips huge numbers where they stand: no case that consistency asks of its own accord holds any."""

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        np.clip(call.inputs["input"], -1e150, 1e150, out=call.inputs["input"])
        return output


class IgnoresStrides(Careful):
    """Reads memory from its beginning, in whatever order it lies there."""

    def asked(self, call: Call) -> Call:
        read = {name: array.ravel(order="K").reshape(array.shape) for name, array in call.inputs.items()}
        return dataclasses.replace(call, inputs=read)


class ReadsWholeBuffer(Careful):
    """Takes a part of an array for the beginning of the whole."""

    def asked(self, call: Call) -> Call:
        return dataclasses.replace(call, inputs={name: self.read(array) for name, array in call.inputs.items()})

    def read(self, array: Any) -> Any:
        base = array.base
        return array if base is None or base.size < array.size else base.ravel()[: array.size].reshape(array.shape)


class RefusesNegativeStrides(Careful):
    """Takes no array that lies backward."""

    def asked(self, call: Call) -> Call:
        if any(stride < 0 for array in call.inputs.values() for stride in array.strides):
            raise ValueError("negative strides")
        return call


class AddsUpExpanded(Careful):
    """Gives each position of an expanded input the gradient of all of them."""

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        if not any(stride == 0 for array in call.inputs.values() for stride in array.strides):
            return output
        added = {n: np.broadcast_to(a.sum(0, keepdims=True), a.shape).copy() for n, a in output.gradients.items()}
        return Output(output.value, added)


class DependsOnOrder(Careful):
    """Is off by a quarter where the first number is larger than the last."""

    def answer(self, call: Call) -> Output:
        first, *_, last = call.inputs["input"].ravel()[[0, -1]]
        return each(super().answer(call), lambda array: array * 1.25) if first > last else super().answer(call)


class SumIsMean(Careful):
    def asked(self, call: Call) -> Call:
        return with_parameters(call, reduction="mean") if call.parameters["reduction"] == "sum" else call


class ChangesInput(Careful):
    """Clips its input in place, on the way back."""

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        if call.wrt:
            np.clip(call.inputs["input"], -1, 1, out=call.inputs["input"])
        return output


class ChangesTarget(Careful):
    """Overwrites the labels that it ignores, an old habit."""

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        call.inputs["target"][...] = np.maximum(call.inputs["target"], 0) + 1
        return output


class KeepsAxes(Careful):
    """A reduced value has an axis left."""

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        reduces = call.parameters["reduction"] != "none"
        return Output(output.value[None], output.gradients) if reduces else output


class Drifts(Careful):
    """Every second answer is one step further."""

    asked_before = 0

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        self.asked_before += 1
        return each(output, lambda array: np.nextafter(array, 1e9)) if self.asked_before % 2 else output


class StaleReduction(Careful):
    """The first call after one of another reduction still has that one."""

    last = ""

    def asked(self, call: Call) -> Call:
        mine = call.parameters["reduction"]
        stale, self.last = self.last, mine
        reduced = {stale, mine} == {"sum", "mean"}
        return with_parameters(call, reduction=stale) if reduced else call


class IgnoresCotangent(Careful):
    def asked(self, call: Call) -> Call:
        return dataclasses.replace(call, cotangent=None)


class AveragesCotangent(Careful):
    def asked(self, call: Call) -> Call:
        given = call.cotangent
        return call if given is None else dataclasses.replace(call, cotangent=np.full_like(given, given.mean()))


class MisreadsNarrow(Careful):
    """Labels of another dtype than int64 are all 0."""

    def asked(self, call: Call) -> Call:
        narrow = {n: a for n, a in call.inputs.items() if a.dtype.kind in "iu" and a.dtype != np.int64}
        return dataclasses.replace(call, inputs={**call.inputs, **{n: np.zeros_like(a) for n, a in narrow.items()}})


class RefusesNarrow(Careful):
    def asked(self, call: Call) -> Call:
        if any(array.dtype.kind in "iu" and array.dtype != np.int64 for array in call.inputs.values()):
            raise TypeError("expected int64")
        return call


class MixesGradients(Careful):
    """The gradient by one input is right only beside the other's: without it, it goes through the target as well."""

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        return Output(output.value, {n: 2 * a for n, a in output.gradients.items()}) if len(call.wrt) == 1 else output


class ValueWithoutGradient(Careful):
    """Skips a step where no gradient is wanted."""

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        return output if call.wrt else Output(output.value * output.value.dtype.type(0.5))


class Accumulates(Careful):
    """The gradient of a call is added to that of the last one with its shape, as if nobody had set it to zero."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[Any, Any] = {}

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        for name, array in output.gradients.items():
            self.kept[name, array.shape] = array + self.kept.get((name, array.shape), 0)
        return Output(output.value, {n: np.asarray(self.kept[n, a.shape]) for n, a in output.gradients.items()})


class TwoWords(Careful):
    """Right, and has another word for each call."""

    def environment(self) -> Environment:
        return dataclasses.replace(super().environment(), modes=("eager", "module"), same=("module",))


class ForgetsParameter(TwoWords):
    """Its other word drops a parameter."""

    def asked(self, call: Call) -> Call:
        return with_parameters(call, delta=1.0) if call.mode == "module" else call


class RoundsOtherwise(TwoWords):
    """Its other word gives the neighbour of one number of the gradient, which is as right as any."""

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        if call.mode == "module" and "target" in output.gradients:
            output.gradients["target"].flat[0] = np.nextafter(output.gradients["target"].flat[0], 9)
        return output


class RefusesOtherWords(TwoWords):
    """Its other word does not offer this."""

    def asked(self, call: Call) -> Call:
        if call.mode == "module":
            raise Unsupported("the module takes no such thing")
        return call


FAULTS: list[tuple[type[Right], str, str]] = [
    (IgnoresStrides, "l1", "layout"),
    (IgnoresStrides, "cross_entropy", "layout"),
    (ReadsWholeBuffer, "l1", "layout"),
    (AddsUpExpanded, "l1", "layout"),
    (DependsOnOrder, "l1", "permutation"),
    (SumIsMean, "mse", "reductions"),
    (ChangesInput, "l1", "inputs_unchanged"),
    (ChangesTarget, "cross_entropy", "inputs_unchanged"),
    (KeepsAxes, "mse", "shape_and_dtype"),
    (Drifts, "l1", "repeat"),
    (StaleReduction, "mse", "repeat"),
    (Accumulates, "l1", "repeat"),
    (IgnoresCotangent, "mse", "cotangent"),
    (AveragesCotangent, "cross_entropy", "cotangent"),
    (MisreadsNarrow, "cross_entropy", "target_dtypes"),
    (MisreadsNarrow, "soft_margin", "target_dtypes"),
    (MixesGradients, "l1", "requires_grad"),
    (ValueWithoutGradient, "cross_entropy", "requires_grad"),
    (ForgetsParameter, "huber", "same"),
    (RoundsOtherwise, "mse", "same"),
]


def judge_of(adapter: type[Right], criterion: str, dtype: str = "float64", **more: Any) -> CellJudge:
    plan = make_plan(Options((f"tests.test_consistency:{adapter.__name__}",), (criterion,), dtypes=(dtype,)))
    (cell,) = plan.cells
    framework = plan.frameworks[cell.framework]
    return CellJudge(plan.specs[criterion], framework.adapter, framework.environment, cell, (), "repeat", **more)


@functools.cache
def checks_of(adapter: Any, criterion: str, dtype: str = "float64") -> dict[str, Check]:
    judge = judge_of(adapter, criterion, dtype)
    for stack in consistency_stacks(judge.spec, dtype, "default", 0):
        judge_consistency(judge, stack)
    return {check.check.removeprefix("consistency."): check for check in judge.checks()}


@pytest.mark.parametrize(("adapter", "criterion", "name"), FAULTS, ids=[f"{a.__name__}-{c}" for a, c, _ in FAULTS])
def test_a_fault_is_caught_by_the_check_that_is_for_it(adapter: Any, criterion: str, name: str) -> None:
    check = checks_of(adapter, criterion)[name]
    assert check.outcome == check.new == "fails", {n: c.outcome for n, c in checks_of(adapter, criterion).items()}
    assert [witness["kind"] for witness in check.witnesses] == ["smallest", "worst"]
    assert "asked: " in check.message
    assert all(witness["asked"] for witness in check.witnesses)


def test_a_write_to_an_input_is_seen_in_whatever_case_it_happens() -> None:
    assert checks_of(ClipsHugeInput, "l1")["inputs_unchanged"].outcome == "agrees"
    judge = judge_of(ClipsHugeInput, "l1")
    for stack in stacks(judge.spec, "float64", "quick", 0):
        judge.judge_stack(stack)
    check = next(check for check in judge.checks() if check.check == "consistency.inputs_unchanged")
    assert check.outcome == check.new == "fails"
    assert check.witnesses[0]["case"]["shapes"]["input"] in ([], [1], [1, 1], [1, 1, 1])
    assert "the call changed its input 'input'" in check.message


# what a check finds, and `value` and `gradient.INPUT` with it
SELDOM_ALONE = {"permutation", "reductions", "shape_and_dtype", "repeat"}


@pytest.mark.parametrize(("adapter", "criterion", "name"), FAULTS, ids=[f"{a.__name__}-{c}" for a, c, _ in FAULTS])
def test_and_by_no_other_that_is_not(adapter: Any, criterion: str, name: str) -> None:
    if name not in SELDOM_ALONE:
        found = {n for n, check in checks_of(adapter, criterion).items() if check.outcome in ("fails", "error")}
        assert found - {name} <= ({"gradient.input"} if adapter is MixesGradients else set()), found


@pytest.mark.parametrize(
    "criterion", ["l1", "cross_entropy", "ctc", "gaussian_nll", "nll_2d", "multilabel_soft_margin"]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_adapter_agrees_in_every_way(criterion: str, dtype: str) -> None:
    checks = checks_of(Careful, criterion, dtype)
    names = consistency_checks(spec_for(criterion))
    assert {name: checks[name].outcome for name in names} == dict.fromkeys(names, "agrees")
    assert min(checks[name].cases for name in names) >= 2


def test_what_an_adapter_does_not_take_is_unsupported_or_left_out() -> None:
    assert checks_of(RefusesNarrow, "cross_entropy")["target_dtypes"].outcome == "unsupported"
    assert "expected int64" in checks_of(RefusesNarrow, "cross_entropy")["target_dtypes"].message
    assert checks_of(Right, "l1")["cotangent"].outcome == "unsupported"
    assert "Environment.cotangents" in checks_of(Right, "l1")["cotangent"].message
    assert checks_of(RefusesNegativeStrides, "l1")["layout"].outcome == "agrees"


def test_on_another_device_other_bits_differ_and_fail_nobody() -> None:
    judge = judge_of(Drifts, "l1")
    judge.cell = dataclasses.replace(judge.cell, device="cuda")
    judge_consistency(judge, next(consistency_stacks(judge.spec, "float64")), ["repeat"])
    (check,) = judge.checks()
    assert (check.outcome, check.new) == ("differs", None)


def test_every_check_has_a_name_and_a_way() -> None:
    assert tuple(CHECKS) == CONSISTENCY
    assert "target_dtypes" not in consistency_checks(spec_for("l1"))
    assert "same" not in consistency_checks(spec_for("l1"))


def test_other_words_are_compared_and_judged_by_themselves_only_where_asked_for() -> None:
    options = Options(("tests.test_consistency:TwoWords",), ("l1",), dtypes=("float64",))
    (cell,) = make_plan(options).cells
    assert (cell.mode, checks_of(TwoWords, "l1")["same"].outcome) == ("eager", "agrees")
    assert f"{cell.id}/consistency.same" in make_plan(options).checks(cell)
    plan = make_plan(dataclasses.replace(options, modes=("module",)))
    assert [cell.mode for cell in plan.cells] == ["module"]
    assert f"{plan.cells[0].id}/consistency.same" not in plan.checks(plan.cells[0])
    assert checks_of(RefusesOtherWords, "l1")["same"].outcome == "unsupported"


def test_a_witness_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge, path = judge_of(IgnoresStrides, "l1"), tmp_path / "results.json"
    for stack in consistency_stacks(judge.spec, "float64"):
        judge_consistency(judge, stack)
    journal = Journal(None)
    option = {"adapters": {"careful": "tests.test_consistency:IgnoresStrides"}}
    journal.begin(
        run_info({"careful": {"careful": "1"}}, seed=0, effort="quick", fail_on="new", **option), [judge.cell]
    )
    journal.judged(judge.cell.id, 1.0, [check.to_json() for check in judge.checks()])
    journal.end(1.0, complete=True)
    write_results(path, results_of(journal.record))
    assert replay(path, f"{judge.cell.id}/consistency.layout") == 1
    assert "Fortran" in capsys.readouterr().out


# What the variants are


def stack_of(criterion: str, i: int = 0, dtype: str = "float64") -> Stack:
    return list(consistency_stacks(spec_for(criterion), dtype, "default", 0))[i]


@pytest.mark.parametrize("how", STORAGE)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_storage_changes_no_number(how: str, shape: tuple[int, ...]) -> None:
    for dtype in (float, np.int64):
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        stored = STORAGE[how](array)
        assert isinstance(stored, np.ndarray)
        np.testing.assert_array_equal(stored, array)
        assert stored.dtype == array.dtype
        assert stored.flags.writeable


@pytest.mark.parametrize("criterion", ["cross_entropy", "bce", "ctc", "triplet_margin"])
def test_expanded_inputs_have_stride_zero_and_the_same_numbers(criterion: str) -> None:
    spec, stack = spec_for(criterion), stack_of(criterion, 2)
    for axis in free_axes(spec, stack.layout)[:1]:
        same = constant(spec, stack, axis)
        arrays = expanded(spec, same[0], axis)
        assert any(0 in array.strides for array in arrays.values())
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, same[0].inputs[name])


def test_labels_and_frames_are_not_moved() -> None:
    assert free_axes(spec_for("ctc"), {"T": 3, "N": 2, "C": 3, "S": 1}) == ("N",)
    assert free_axes(spec_for("cross_entropy"), {"N": 2, "C": 3, "D0": 4}) == ("N", "D0")
    stack = stack_of("cross_entropy")
    moved = rolled(spec_for("cross_entropy"), stack)
    assert sorted(moved.inputs["input"].ravel().tolist()) == sorted(stack.inputs["input"].ravel().tolist())


def test_another_call_has_another_reduction_and_size() -> None:
    case = next(s for i in range(4) if len((s := stack_of("l1", i)).layout) > 1)[0]
    other = another(spec_for("l1"), case)
    assert other.parameters["reduction"] != case.parameters["reduction"]
    assert other.inputs["input"].shape != case.inputs["input"].shape


def test_narrower_integers_hold_the_labels() -> None:
    labels = np.array([0, 2, -100])
    case = Case("cross_entropy", "float64", {"N": 3, "C": 3}, {"ignore_index": -100}, {"target": labels})
    assert [dtype for dtype, _ in narrower(spec_for("cross_entropy"), case)] == ["int32", "int16"]
    signs = Case("soft_margin", "float64", {"S0": 1}, {}, {"target": np.array([1])})
    assert [dtype for dtype, _ in narrower(spec_for("soft_margin"), signs)] == ["int32", "int16"]


# The reference


@pytest.mark.parametrize("criterion", ["cross_entropy", "triplet_margin", "gaussian_nll", "ctc", "kl_div"])
def test_gradients_by_a_cotangent_are_those_of_arb(criterion: str) -> None:
    spec, stack = spec_for(criterion), stack_of(criterion)
    wrt = tuple(name for name in spec.differentiable if name in stack.inputs)
    plain = evaluate_stack(spec, stack, wrt)
    stack = with_cotangent(stack, plain["value"].high.shape)
    found = evaluate_stack(spec, stack, wrt)
    with precision(300):
        exact = evaluate_balls(spec, stack, wrt)
    for name in wrt:
        clear = found[name].certified & ~found[name].unsure
        np.testing.assert_allclose(found[name].high[clear], exact[name].astype(float)[clear], rtol=1e-15, atol=0)
        assert not np.array_equal(found[name].high, plain[name].high)


def test_the_gradient_is_linear_in_it() -> None:
    spec, stack = spec_for("mse"), stack_of("mse")
    cotangent = with_cotangent(stack, evaluate_stack(spec, stack, ())["value"].high.shape).cotangent
    assert cotangent is not None
    plain = evaluate_stack(spec, stack, ("input",))["input"]
    found = evaluate_stack(spec, dataclasses.replace(stack, cotangent=cotangent), ("input",))["input"]
    np.testing.assert_allclose(found.high, plain.high * cotangent, rtol=4e-16)
    assert (found.tight > 0).any()


def test_a_reduction_of_given_losses_is_theirs() -> None:
    spec, stack = spec_for("l1"), stack_of("l1")
    value = evaluate_stack(spec, stack, ())["value"]
    losses = value.high * (1 + 2.0**-50)
    for reduction in ("sum", "mean"):
        numbers = reduced(spec, stack, reduction, losses, value)
        weight = stack.inputs.get("weight", np.ones_like(losses)).reshape(len(stack), -1)
        total = losses.reshape(len(stack), -1).sum(1)
        wanted = total if reduction == "sum" else total / weight.sum(1)
        np.testing.assert_allclose(numbers.high, wanted, rtol=1e-14)
        assert (numbers.tight >= 0).all()
        assert (numbers.tight < 1e-12 * np.abs(wanted) + 1e-300).all()
