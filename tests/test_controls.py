"""Right implementations are never told that they fail; a fault planted in one is."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import ml_dtypes
import numpy as np
import pytest

from conformance import Call, load_adapter
from conformance.cases.case import Stack
from conformance.cases.plan import stacks
from conformance.reference.numbers import Numbers
from conformance.spec import load_specs, specs_folder
from tests.controls.adapters import Answers, Torch64, rounded_once
from tests.controls.first import First
from tests.controls.judging import Panel, panel_for, smaller
from tests.controls.second import Second

NAMES = sorted(load_specs([specs_folder()]))
RECIPES = 6


def judged(panel: Panel, seed: int, recipes: int = RECIPES) -> Panel:
    panel.take(itertools.islice(stacks(panel.spec, panel.dtype, "quick", seed), recipes))
    return panel


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("criterion", NAMES)
def test_no_control_fails(criterion: str, dtype: str) -> None:
    panel = judged(panel_for(criterion, dtype), seed=31)
    assert panel.fails == 0, [(name, score.witnesses) for name, score in panel.scores.items()]
    narrowed = dtype == "float32" and Torch64().binding(criterion) is not None
    assert set(panel.scores) == {"rounded", "first", "second"} | ({"torch64"} if narrowed else set())
    agreed = {name: score.counts["agrees"] / score.cases for name, score in panel.scores.items()}
    assert agreed["first"] > 0.5
    if not panel.spec.modulo:  # where a direction is taken out of the answer, with what rounding put there
        assert agreed["rounded"] >= max(agreed["first"], agreed["second"])  # nobody can do better


class Mutant(First):
    """`first`, one gradient of which is off by a part in ten thousand."""

    name = "mutant"

    def stack(self, stack: Stack, wrt: Sequence[str], numbers: Mapping[str, Numbers] | None = None) -> Answers:
        answers = super().stack(stack, wrt, numbers)
        return {name: a if name == "value" else (a * (1 + 2.0**-13)).astype(a.dtype) for name, a in answers.items()}


@pytest.mark.parametrize("criterion", NAMES)
def test_a_planted_fault_fails(criterion: str) -> None:
    mutant = Mutant()
    panel = judged(panel_for(criterion, "float32", [mutant]), seed=32)
    witnesses = panel.scores["mutant"].witnesses
    assert panel.fails
    assert "value" not in witnesses


def test_the_witness_of_a_fault_is_made_small() -> None:
    mutant = Mutant()
    panel = judged(panel_for("mse", "float32", [mutant]), seed=32)
    case, sentence = smaller(panel, mutant, "input", panel.scores["mutant"].witnesses["input"][0])
    assert case.size == 2
    assert sentence.startswith("input fails: wanted")


def test_controls_are_adapters() -> None:
    x, t = np.array([1.5, -2.0], np.float32), np.array([1.0, 1.0], np.float32)
    call = Call("mse", {"input": x, "target": t}, {"reduction": "mean"}, "float32", wrt=("input",))
    for name in ("first:First", "second:Second", "adapters:Rounded", "adapters:Torch64"):
        output = load_adapter(f"tests.controls.{name}").run(call)
        assert output.value == np.float32(4.625)
        assert output.gradients["input"].tolist() == [0.5, -3.0]
        assert output.value.dtype == output.gradients["input"].dtype == np.float32


def test_first_and_second_cover_every_criterion() -> None:
    assert sorted(First.criteria) == sorted(Second.criteria) == NAMES


def test_rounding_once_is_rounding_once() -> None:
    def once(high: float, low: float, dtype: type) -> float:
        return float(rounded_once(np.array([high]), np.array([low]), np.dtype(dtype))[0])

    tie = 1 + 2.0**-24  # between two float32; the even one is 1
    assert once(tie, 0.0, np.float32) == 1
    assert once(tie, 2.0**-80, np.float32) == 1 + 2.0**-23
    assert once(tie, -(2.0**-80), np.float32) == 1
    assert once(1 + 2.0**-8 + 2.0**-40, 0.0, ml_dtypes.bfloat16) == 1 + 2.0**-7  # over float32 it would be 1
    assert once(2.0**-150, 2.0**-210, np.float32) == 2.0**-149
    assert once(float("inf"), 0.0, np.float32) == float("inf")
