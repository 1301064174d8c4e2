"""Hard values: every kind turns up, nothing leaves what it may be, and no case that was drawn before has changed."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from conformance.cases import DTYPES, Stack
from conformance.cases.expand import expand, space_for
from conformance.cases.hard import KINDS, SUMMED, signs
from conformance.cases.plan import EFFORTS, recipes
from conformance.cases.recipe import recipe_beside
from conformance.cases.steps import largest, smallest_normal
from conformance.reference.evaluate import evaluate_stack
from tests.test_cases import CELLS, EVERY, SPECS


def hard_of(name: str, dtype: str = "float32", count: int = 14, seed: int = 0) -> list[Stack]:
    space = space_for(SPECS[name], dtype, "hard")
    return [expand(SPECS[name], dtype, recipe_beside("hard", space, name, dtype, seed, i)) for i in range(count)]


def kinds_of(name: str, dtype: str = "float32") -> list[str]:
    space = space_for(SPECS[name], dtype, "hard")
    return [level.kind for factor in space.factors if factor.name == "special" for level in factor.levels]


def kind(stack: Stack) -> str:
    return stack.labels["special"].split(",")[0]


def wide(stack: Stack) -> dict[str, Any]:
    return {name: array.astype(float) for name, array in stack.inputs.items()}


# What was drawn before recipes had room for more cases; the digests are those of the recipes without hard values.
BEFORE = {
    ("cross_entropy", "float64"): "161060a441108bcd",
    ("cross_entropy", "bfloat16"): "e2aa41dbd37ccbcd",
    ("ctc", "float32"): "339d2d058140747e",
    ("l1", "float16"): "101e65611eada990",
    ("l1", "float64"): "26d23d6432e12e60",
}


@pytest.mark.parametrize(("cell", "digest"), BEFORE.items())
def test_no_other_case_has_changed(cell: tuple[str, str], digest: str) -> None:
    found, spec = hashlib.sha256(), SPECS[cell[0]]
    for recipe in recipes(spec, cell[1], "default", 0):
        stack = expand(spec, cell[1], dataclasses.replace(recipe, room=1))
        if not stack.labels["recipe"].startswith("hard"):
            found.update(stack.labels["recipe"].encode())
            for name in sorted(stack.inputs):
                found.update(stack.inputs[name].tobytes())
            found.update(repr((list(stack.layout.items()), sorted(stack.parameters.items()))).encode())
    assert found.hexdigest()[:16] == digest


@pytest.mark.parametrize(("spec", "dtype"), CELLS)
def test_every_kind_takes_its_turn(spec: Any, dtype: str) -> None:
    space, count = space_for(spec, dtype, "hard"), len(kinds_of(spec.name, dtype))
    drawn = [recipe_beside("hard", space, spec.name, dtype, 3, i) for i in range(count)]
    levels = [space.levels(recipe.levels) for recipe in drawn]
    assert sorted(row["special"].kind for row in levels) == sorted(kinds_of(spec.name, dtype))
    assert {row["regime"] for row in levels} == {next(iter(spec.regimes))}
    for row in levels:
        assert (row["special"].kind == "empty") == (0 in row["layout"].layout.values())
        assert row["special"].kind not in SUMMED or row.get("reduction") != "none"
        assert not (row["special"].kind == "empty" and spec.reduce[row["reduction"]].op == "/")


@EVERY
def test_efforts_say_how_many(spec: Any) -> None:
    for effort in ("quick", "default"):
        assert sum(r.kind == "hard" for r in recipes(spec, "float32", effort)) == EFFORTS[effort].hard
    assert EFFORTS["thorough"].hard >= 100
    assert {"infinite", "largest", "subnormal", "overflowing", "cancelling"} <= set(kinds_of(spec.name))


def test_every_axis_that_may_be_empty_is_and_a_batch_of_one_is_among_the_layouts() -> None:
    layouts = next(f.levels for f in space_for(SPECS["l1"], "float32", "hard").factors if f.name == "layout")
    assert {tuple(b.layout.values()) for b in layouts if b.name == "empty"} >= {(0,), (0, 4), (3, 0)}
    assert all(next(iter(b.layout.values())) == 1 for b in layouts if b.name == "single")
    axes = next(f.levels for f in space_for(SPECS["ctc"], "float32", "hard").factors if f.name == "layout")
    assert {axis for b in axes for axis, size in b.layout.items() if size == 0} == {"S"}


@pytest.mark.parametrize("name", ["cross_entropy", "nll_2d", "ctc"])
def test_what_is_ignored_holds_nan_and_infinities_and_changes_nothing(name: str) -> None:
    """Put a 0 wherever something is not finite: value and gradient are the same."""
    spec, seen = SPECS[name], set()
    for stack in (s for s in hard_of(name, "float64", 40) if kind(s) == "ignored"):
        inputs = {n: np.where(np.isfinite(a.astype(float)), a, 0).astype(a.dtype) for n, a in stack.inputs.items()}
        seen |= {str(x) for a in wide(stack).values() for x in a[~np.isfinite(a)]}
        one, other = (evaluate_stack(spec, s, ()) for s in (stack, dataclasses.replace(stack, inputs=inputs)))
        np.testing.assert_array_equal(one["value"].high, other["value"].high)
    assert seen == {"nan", "inf", "-inf"}


@EVERY
def test_nan_is_only_where_it_is_ignored(spec: Any) -> None:
    for stack in hard_of(spec.name, "float32", len(KINDS)):
        has_nan = any(np.isnan(array).any() for array in wide(stack).values())
        assert not has_nan or kind(stack) == "ignored"


@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormals_and_largest_numbers_are_those_of_the_dtype(dtype: str) -> None:
    found = {name: [s for s in hard_of("l1", dtype, 28) if kind(s) == name] for name in ("subnormal", "largest")}
    small = np.concatenate([np.abs(a).ravel() for s in found["subnormal"] for a in wide(s).values()])
    assert ((small > 0) & (small < smallest_normal(DTYPES[dtype]))).any()
    large = np.concatenate([a.ravel() for s in found["largest"] for a in wide(s).values()])
    assert {largest(DTYPES[dtype]), -largest(DTYPES[dtype])} <= set(large.tolist())


def test_zeros_of_both_signs_turn_up() -> None:
    zeros = [a[a == 0] for s in hard_of("l1", "float32", 28) if kind(s) == "subnormal" for a in s.inputs.values()]
    assert set(np.signbit(np.concatenate(zeros)).tolist()) == {True, False}


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_a_running_sum_overflows_and_comes_back(dtype: str) -> None:
    top, shown = largest(DTYPES[dtype]), 0
    for stack in (s for s in hard_of("nll", dtype, 60) if kind(s) == "overflowing" and "input" in s.labels["special"]):
        with np.errstate(over="ignore"):
            running = np.cumsum(wide(stack)["input"].reshape(len(stack), -1) / top, axis=1)
        shown += int(((np.abs(running).max(1) > 1) & (np.abs(running[:, -1]) < 1)).sum())
    assert shown


def test_large_numbers_cancel_with_small_ones_between() -> None:
    for stack in (s for s in hard_of("hinge_embedding", "float32", 28) if kind(s) == "cancelling"):
        flat = wide(stack)["input"].reshape(len(stack), -1)
        large = np.abs(flat[:, 0]) >= 2.0**23
        assert (flat[large, 0] == -flat[large, -1]).all()


def test_a_log_probability_is_never_positive() -> None:
    spec = SPECS["ctc"]
    assert signs(spec, spec.inputs["log_probs"], "float32") == {-1.0}
    for stack in (s for s in hard_of("ctc", "float32", 28) if kind(s) != "ignored"):
        assert (wide(stack)["log_probs"] <= 0).all()


def test_an_infinity_that_the_mathematics_leaves_open_is_left_to_the_edge_cases() -> None:
    for stack in (s for s in hard_of("cross_entropy", "float32", 28) if kind(s) == "infinite"):
        assert not (wide(stack)["input"] == np.inf).any()


def test_infinities_of_both_signs_are_drawn_where_they_may_be() -> None:
    found = [a[np.isinf(a)] for s in hard_of("l1", "float32", 56) if kind(s) == "infinite" for a in wide(s).values()]
    assert set(np.concatenate(found).tolist()) == {np.inf, -np.inf}


def test_seeds_differ_and_repeat() -> None:
    hashes = [[stack[0].hash for stack in hard_of("l1", seed=seed)] for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_bfloat16_is_that() -> None:
    assert {a.dtype for s in hard_of("mse", "bfloat16", 7) for a in s.inputs.values()} == {np.dtype(ml_dtypes.bfloat16)}
