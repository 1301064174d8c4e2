"""Few shapes where each is compiled: recipes are folded onto those that were answered, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.cases.case import Stack
from conformance.cases.plan import EFFORTS, bulk_case, consistency_stacks, few_for, for_each_stack, stacks
from conformance.spec import load_specs, specs_folder

SPECS = load_specs([specs_folder()])
CRITERIA = ("l1", "cross_entropy", "ctc", "triplet_margin", "bce_with_logits")


def variant(criterion: str, stack: Stack) -> tuple[Any, ...]:
    """What is compiled: shapes, and every parameter that is not real."""
    shapes = tuple((name, array.shape[1:]) for name, array in stack.inputs.items())
    real = {name for name, param in SPECS[criterion].params.items() if param.type == "real"}
    return shapes, tuple((name, value) for name, value in stack.parameters.items() if name not in real)


def kind(stack: Stack) -> str:
    word = stack.labels["recipe"].split()[0]
    return word if word in ("hard", "bulk") else ""


def drawn(
    criterion: str, effort: str = "default", seed: int = 0, refuse: Any = lambda stack: False, *, traces: bool = True
) -> list[Stack]:
    seen: list[Stack] = []

    def visit(stack: Stack) -> dict[str, float]:
        seen.append(stack)
        return {} if refuse(stack) else {"value": 1.0}

    few = few_for(SPECS[criterion], "float32", effort, traces=traces)
    for_each_stack(SPECS[criterion], "float32", effort, seed, visit, few)
    return seen


@pytest.mark.parametrize("effort", ["quick", "default"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_variants_are_bounded(criterion: str, effort: str) -> None:
    found = drawn(criterion, effort)
    most = dict(zip(("", "hard"), EFFORTS[effort].variants, strict=True))
    for name, count in most.items():
        levels = {variant(criterion, stack) for stack in found if kind(stack) == name}
        drawn_ones = 4 if "ignore_index" in SPECS[criterion].params else 2  # a level that is drawn is several numbers
        assert 1 <= len(levels) <= count * drawn_ones
    assert len(found) == sum(1 for _ in stacks(SPECS[criterion], "float32", effort))


@pytest.mark.parametrize(("effort", "most"), [("quick", 3), ("default", 12)])
@pytest.mark.parametrize("criterion", [*CRITERIA, "huber", "smooth_l1", "gaussian_nll", "margin_ranking", "nll"])
def test_where_numbers_are_compiled_in_they_are_bounded_too(criterion: str, effort: str, most: int) -> None:
    for seed in range(2):
        found = drawn(criterion, effort, seed, traces=False)
        shapes = (tuple((name, array.shape[1:]) for name, array in stack.inputs.items()) for stack in found)
        assert len({(s, *stack.parameters.items()) for s, stack in zip(shapes, found, strict=True)}) <= most
        assert len(found) == sum(1 for _ in stacks(SPECS[criterion], "float32", effort, seed))


def test_a_choice_that_a_regime_draws_stays_with_it() -> None:
    found = drawn("kl_div", traces=False)
    assert {stack.regime for stack in found} == set(SPECS["kl_div"].regimes)
    assert len({(stack.inputs["input"].shape[1:], *stack.parameters.items()) for stack in found}) <= 2 * 12


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_same_seed_gives_the_same_cases(criterion: str) -> None:
    one, two, other = (drawn(criterion, "quick", seed) for seed in (0, 0, 1))
    assert [stack[0].hash for stack in one] == [stack[0].hash for stack in two]
    assert [stack[0].hash for stack in one] != [stack[0].hash for stack in other]


def test_regimes_and_special_values_stay_as_many() -> None:
    plain = {stack.regime for stack in stacks(SPECS["l1"], "float32")}
    assert {stack.regime for stack in drawn("l1")} == plain


def test_what_is_refused_takes_no_place() -> None:
    def refuse(stack: Stack) -> bool:
        return "weight" in stack.inputs or stack.parameters["label_smoothing"] != 0

    found = drawn("cross_entropy", refuse=refuse)
    answered = [stack for stack in found if not refuse(stack)]
    assert len(answered) > 0.8 * len(found)
    assert {kind(stack) for stack in answered} == {"", "hard", "bulk"}


def test_consistency_asks_for_what_is_answered() -> None:
    spec = SPECS["cross_entropy"]
    few = few_for(spec, "float32", "default")

    def visit(stack: Stack) -> dict[str, float]:
        return {} if "weight" in stack.inputs or stack.parameters["label_smoothing"] else {"value": 1.0}

    for_each_stack(spec, "float32", "default", 0, visit, few)
    asked = list(consistency_stacks(spec, "float32", "default", 0, few))
    assert all("weight" not in stack.inputs and stack.parameters["label_smoothing"] == 0 for stack in asked)
    plain = list(consistency_stacks(spec, "float32", "default", 0))
    assert [s.parameters["reduction"] for s in asked] == [s.parameters["reduction"] for s in plain]


def test_a_large_case_that_was_moved_is_drawn_again_from_its_origin() -> None:
    def refuse(stack: Stack) -> bool:
        return "weight" in stack.inputs or stack.parameters["label_smoothing"] != 0

    for seed in range(4):
        for stack in drawn("cross_entropy", seed=seed, refuse=refuse):
            if kind(stack) == "bulk":
                again = bulk_case(SPECS["cross_entropy"], "float32", stack.labels["recipe"])
                assert again is not None
                assert again.hash == stack[0].hash
