"""Numbers in float64: enough for a dtype with far fewer digits; where they are not, binary128's are taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Stack
from conformance.cases.plan import stacks
from conformance.reference.ball import BEYOND
from conformance.reference.balls import SAFETY
from conformance.reference.control import check_cases
from conformance.reference.escalate import precision
from conformance.reference.evaluate import Evaluation, make_case
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers, half_ulp
from conformance.reference.quad import BINARY64
from conformance.spec import spec_for
from tests.primitives import exact
from tests.test_certify import CRITERIA
from tests.trees import TREES, Tree, evaluated

WITHIN = [item for item in TREES if item.low >= -500]
MASKS = ("overflow_tight", "overflow_sound", "overflow_other")


def numbers(criterion: str, stack: Stack, *, quickly: bool = True, **more: Any) -> dict[str, Numbers]:
    spec = spec_for(criterion)
    wrt = tuple(name for name in spec.differentiable if name in stack.inputs)
    return Evaluation(spec, stack, wrt, project=True, quickly=quickly).numbers(**more)


def stack_of(criterion: str, dtype: str, *inputs: dict[str, Any], **parameters: Any) -> Stack:
    cases = [make_case(spec_for(criterion), item, parameters, dtype) for item in inputs]
    arrays = {name: np.stack([case.inputs[name] for case in cases]) for name in cases[0].inputs}
    return Stack(criterion, dtype, cases[0].layout, cases[0].parameters, arrays)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("item", WITHIN, ids=lambda item: f"{item.text} at 2**{item.low}".replace(" ", ""))
def test_every_primitive_in_float64_lies_within_its_bound(item: Tree) -> None:
    """Or it is not claimed to: near the ends of the range, or where such a number decides a branch. Inputs are those of
    the narrower dtypes, which do not come near."""
    with precision(5000):
        for _, got, want in evaluated(item, BINARY64):
            known = np.broadcast_to(True if got.flags is None else (got.flags & BEYOND) == 0, got.x.shape)
            assert item.low == -500 or item.high > 8 or known.all()  # exp overflows
            bound = np.broadcast_to(got.bound(), (2, *got.x.shape))[:, known]
            there = [number for number, is_known in zip(want, known.ravel(), strict=True) if is_known]
            rooms = exact(SAFETY * bound[0])
            for mine, right, room in zip(exact(got.x[known]), there, rooms, strict=True):
                assert abs(mine - right) <= room + 2 * right.rad(), (mine, right, room)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_number_lies_within_its_bound(criterion: str, dtype: str) -> None:
    for stack in list(stacks(spec_for(criterion), dtype, "quick"))[10:18]:
        found = numbers(criterion, stack)
        check_cases(spec_for(criterion), stack, found, range(len(stack)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_numbers_and_budgets_are_those_of_binary128(criterion: str, dtype: str) -> None:
    """Budgets follow discrete things, a tie or the least normal number, so they may be apart a little; as a rule by
    2^-28 of themselves."""
    apart = []
    for stack in list(stacks(spec_for(criterion), dtype, "quick"))[:12]:
        quick, whole = (numbers(criterion, stack, quickly=way) for way in (True, False))
        for name, n in whole.items():
            mine, in_float64 = quick[name], quick[name].bits == 53
            with np.errstate(invalid="ignore"):
                off = np.where(mine.high == n.high, 0, np.abs((mine.high - n.high) + (mine.low - n.low)))
            assert (np.nan_to_num(off) <= mine.error + n.error).all()
            assert (np.isnan(mine.high) == np.isnan(n.high)).all()
            room = (half_ulp(n.high, FORMATS[dtype]) + 1e-300)[in_float64]
            for field in ("tight", "sound", "below", "above"):
                one, other = (getattr(item, field)[in_float64] + room for item in (mine, n))
                ratio = np.divide(one, other, out=np.ones_like(one), where=one != other)
                assert ((ratio > 0.5) & (ratio < 2)).all(), (name, field)
                apart.append(np.abs(ratio - 1).ravel())
            for field in MASKS:
                np.testing.assert_array_equal(getattr(mine, field)[in_float64], getattr(n, field)[in_float64])
    found = np.concatenate(apart)
    assert np.mean(found > 1e-6) < 0.01 if found.size else criterion == "ctc", found.max()


def test_most_numbers_are_those_of_float64_and_none_where_float64_is_judged() -> None:
    for dtype, bits in (("float32", 53), ("float16", 53), ("float64", 113)):
        for stack in list(stacks(spec_for("huber"), dtype, "quick"))[:10]:
            assert all(np.mean(n.bits == bits) > 0.9 for n in numbers("huber", stack).values())


def test_the_cases_that_need_more_digits_get_them_and_the_others_do_not() -> None:
    """The cosine of the second is the margin, as far as float64 can tell."""
    plain, tie = ({"input1": [1.0, 2.0, 3.0], "input2": [x, 4.0, 6.0], "target": -1} for x in (-3.0, 2.0))
    stack = stack_of("cosine_embedding", "float32", plain, tie, margin=1.0, reduction="none")
    found = numbers("cosine_embedding", stack)
    whole = numbers("cosine_embedding", stack, quickly=False)
    assert found["value"].bits.ravel().tolist() == [53, 113]
    np.testing.assert_array_equal(found["value"].high[1], whole["value"].high[1])


def test_a_number_that_cancels_is_not_taken_for_zero() -> None:
    """The gradient by the target is -x / 2: within any budget of 0, and yet not 0."""
    plain, tiny = ({"input": [x, 1.0], "target": [1.0, 0.0]} for x in (2.0, 2.0**-100))
    found = numbers("multilabel_soft_margin", stack_of("multilabel_soft_margin", "float32", plain, tiny))["target"]
    assert found.bits.tolist() == [[53, 53], [113, 113]]
    assert found.high[1, 0] == -(2.0**-101)


@pytest.mark.parametrize("x", [800.0, 1e4])
def test_what_is_beyond_float64_is_left_to_binary128(x: float) -> None:
    stack = stack_of("poisson_nll", "float32", {"input": [x], "target": [1.0]}, log_input=True, full=False)
    found, whole = numbers("poisson_nll", stack), numbers("poisson_nll", stack, quickly=False)
    for name, n in whole.items():
        assert (found[name].bits == 113).all()
        np.testing.assert_array_equal(found[name].high, n.high)
        np.testing.assert_array_equal(found[name].overflow_tight, n.overflow_tight)


def test_forms_widen_the_sound_budget_alike() -> None:
    for stack in list(stacks(spec_for("bce_with_logits"), "float32", "quick"))[:6]:
        spec = spec_for("bce_with_logits")
        wrt = tuple(name for name in spec.differentiable if name in stack.inputs)
        evaluation = Evaluation(spec, stack, wrt, quickly=True)
        first, then = evaluation.numbers(excuses=False), evaluation.numbers()
        whole = Evaluation(spec, stack, wrt).numbers()
        for name, n in whole.items():
            assert (then[name].sound >= first[name].sound).all()
            np.testing.assert_allclose(then[name].sound, n.sound, rtol=0.3, atol=1e-44)


def test_a_function_that_is_wrong_in_float64_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from conformance.errors import ReferenceFault
    from conformance.reference.functions import FUNCTIONS

    right = FUNCTIONS["softplus"]
    monkeypatch.setitem(FUNCTIONS, "softplus", lambda x: right(x) * (1 + 2.0**-40))
    stack = stack_of("soft_margin", "float32", {"input": [0.3, 2.0], "target": [1.0, -1.0]}, reduction="none")
    found = numbers("soft_margin", stack)
    assert (found["value"].bits == 53).all()
    with pytest.raises(ReferenceFault, match="in 53 bits"):
        check_cases(spec_for("soft_margin"), stack, found, [0])
