"""Half precision's second yardstick: the framework's own float32 result, right there and rounded once."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest

from conformance import Call, Environment, Output
from conformance.cases.case import DTYPES, in_dtype
from conformance.record.model import Check
from conformance.reference.formats import FORMATS
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.run import judge_cell
from conformance.verdict.compare import NAMES, by_yardstick
from tests.faulty import Right, each
from tests.test_verdict import judged, wanted


class RoundsOnce(Right):
    """Half precision by way of float32."""

    name = "rounds_once"
    dtypes: tuple[str, ...] = ("float32", "bfloat16")

    def environment(self) -> Environment:
        return Environment(versions={self.name: "1"}, dtypes=self.dtypes)

    def answer(self, call: Call) -> Output:
        output = super().answer(dataclasses.replace(call, dtype="float32", inputs=in_dtype(call.inputs, "float32")))
        return self.rounded(output, DTYPES[call.dtype])

    def rounded(self, output: Output, dtype: np.dtype[Any]) -> Output:
        with np.errstate(all="ignore"):
            return Output(output.value.astype(dtype), {n: a.astype(dtype) for n, a in output.gradients.items()})


class AnUlpOff(RoundsOnce):
    """As far off as half precision often is: 1 ulp from its own float32 result rounded once."""

    name = "an_ulp_off"

    def rounded(self, output: Output, dtype: np.dtype[Any]) -> Output:
        once = super().rounded(output, dtype)
        return once if dtype == np.float32 else each(once, lambda a: np.nextafter(a, np.array(0, a.dtype)))


class WithoutFloat32(AnUlpOff):
    name = "without_float32"
    dtypes = ("bfloat16",)


class WrongInBoth(RoundsOnce):
    """Equal to its own float32 result rounded once, and that is a tenth too large."""

    name = "wrong_in_both"

    def rounded(self, output: Output, dtype: np.dtype[Any]) -> Output:
        return super().rounded(each(output, lambda array: np.asarray(array * np.float32(1.1))), dtype)


@functools.cache
def checks_of(adapter: str) -> tuple[Check, ...]:
    options = Options(
        frameworks=(f"tests.test_yardstick:{adapter}",),
        criteria=("bce",),
        dtypes=("bfloat16",),
        effort="quick",
    )
    plan = make_plan(options)
    (cell,) = plan.cells
    return tuple(check for check in judge_cell(plan, cell).checks if not check.check.startswith(("edge.", "invalid.")))


def undecided(adapter: str) -> int:
    return sum(check.undecided.get("budget", 0) for check in checks_of(adapter))


def test_what_is_near_its_own_float32_result_is_decided() -> None:
    assert undecided("WithoutFloat32") > 10 * undecided("AnUlpOff")


def test_but_not_where_float32_is_wrong_too() -> None:
    # A tenth is within the budget of bfloat16 where that is wide; float32 knows better.
    assert undecided("WrongInBoth") > 0
    assert all(check.outcome == "fails" for check in checks_of("WrongInBoth"))


def test_the_distance_from_the_own_float32_result_is_told() -> None:
    assert {check.apart_ulp for check in checks_of("RoundsOnce")} == {0.0}
    assert {check.apart_ulp for check in checks_of("AnUlpOff")} == {1.0}
    assert {check.apart_ulp for check in checks_of("WithoutFloat32")} == {None}


@pytest.mark.parametrize(
    ("answer", "yardstick", "verdict"),
    [
        (1.25, 1.25, "agrees"),
        (1.25, 1.2578125, "agrees"),  # 1 ulp
        (1.25, 1.265625, "undecided"),  # 2 ulp
        (1.25, float("nan"), "undecided"),
        (float("nan"), float("nan"), "fails"),
        (float("nan"), 1.25, "fails"),
        (9.0, 9.0, "fails"),  # beyond the budget; no yardstick changes that
    ],
)
def test_only_what_a_wide_budget_left_open_is_met_by_a_yardstick(answer: float, yardstick: float, verdict: str) -> None:
    fmt = FORMATS["bfloat16"]
    found = by_yardstick(judged(wanted(1.0, tight=4.0), answer, "bfloat16"), np.array([yardstick]), fmt)
    assert NAMES[int(found.severity[0])] == verdict
    assert bool(found.vacuous[0]) == (verdict == "undecided")


def test_nor_what_the_reference_left_open() -> None:
    uncertain = judged(wanted(1.0, tight=4.0, certified=False), 1.25, "bfloat16")
    found = by_yardstick(uncertain, np.array([1.25]), FORMATS["bfloat16"])
    assert NAMES[int(found.severity[0])] == "undecided"
    assert not found.vacuous[0]
