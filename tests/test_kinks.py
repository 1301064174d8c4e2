"""Where the mathematics leaves the gradient a choice: every subgradient, worked out by hand, agrees, and what lies just
outside of them fails.

The interval of each element stands on its own (a box around the hull), so that choices which depend on each other, or
on one kink that is met twice, are never refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from conformance.cases.case import DTYPES, Stack
from conformance.reference.evaluate import evaluate, evaluate_stack, make_case
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.spec import load_specs, spec_for, specs_folder
from conformance.verdict.compare import AGREES, FAILS, POINTS, judge
from conformance.verdict.known import amended

Interval = tuple[float, float]
OUTSIDE = 1e-3  # far beyond any budget here


class Kink(NamedTuple):
    """A case at a kink: a criterion, or one whose `loss` is another, and the subgradients of each element."""

    criterion: str
    inputs: Mapping[str, Any]
    gradients: Mapping[str, list[Interval]]
    loss: str = ""
    parameters: Mapping[str, Any] = {}


def numbers(kink: Kink, dtype: str) -> dict[str, Numbers]:
    spec = spec_for(kink.criterion)
    spec = amended(spec, f"loss = {kink.loss}") if kink.loss else spec
    case = make_case(spec, kink.inputs, {"reduction": "none", **kink.parameters}, dtype)
    return evaluate_stack(spec, Stack.of(case), tuple(kink.gradients))


def severities(found: Numbers, answer: Any, dtype: str) -> set[int]:
    array = np.array([answer], DTYPES[dtype]).reshape(found.high.shape)
    return set(judge(found, array, FORMATS[dtype]).severity.ravel().tolist())


def at(x: float) -> Interval:
    return x, x


def rows(loss: str, anchor: list[float], *gradient: Interval) -> Kink:
    """A loss of one row: `anchor` over D."""
    zeros = [0.0] * len(anchor)
    inputs = {"anchor": anchor, "positive": zeros, "negative": zeros}
    return Kink("triplet_margin", inputs, {"anchor": list(gradient)}, loss)


def pair(loss: str, x: float, y: float, by_x: Interval, by_y: Interval | None = None) -> Kink:
    """A loss of two numbers, `input` and `target`."""
    gradients = {"input": [by_x]} if by_y is None else {"input": [by_x], "target": [by_y]}
    return Kink("l1", {"input": x, "target": y}, gradients, loss)


COMPOSED = {
    # abs inside norm inside maximum: [0, 1] of the maximum times [-1, 1] of the norm at 0 times [-1, 1] of abs at 0
    "all three at their kinks": rows("maximum(norm(abs(anchor), over=D, p=2), 0)", [0.0, 0.0], (-1, 1), (-1, 1)),
    # the norm is smooth at (3, 0); abs is not at 0, but the norm's slope there is 0
    "abs at 0 where the norm is flat": rows("maximum(norm(abs(anchor), over=D, p=2), 0)", [3.0, 0.0], at(1), at(0)),
    "a tie of norm and number": rows("maximum(norm(abs(anchor), over=D, p=2), 5)", [3.0, -4.0], (0, 0.6), (-0.8, 0)),
    "a tie, and abs inside a 1-norm": rows("maximum(norm(abs(anchor), over=D, p=1), 3)", [3.0, 0.0], (0, 1), (-1, 1)),
    "a cubic norm at 0": rows("norm(anchor, over=D, p=3)", [0.0, 0.0], (-1, 1), (-1, 1)),
    "a 1-norm": rows("norm(anchor, over=D, p=1)", [-3.0, 0.0], at(-1), (-1, 1)),
    "the largest of two magnitudes": rows("norm(anchor, over=D, p=inf)", [2.0, -2.0, 1.0], (0, 1), (-1, 0), at(0)),
    "maximum in maximum, three equal": pair("maximum(maximum(input, target), 0)", 0.0, 0.0, (0, 1), (0, 1)),
    "maximum in maximum, the outer tied": pair("maximum(maximum(input, target), 0)", 0.0, -1.0, (0, 1), at(0)),
    "maximum in maximum, the inner tied": pair("maximum(maximum(input, target), 0)", 2.0, 2.0, (0, 1), (0, 1)),
    "minimum of maximum": pair("minimum(maximum(input, 0), target)", 0.0, 0.0, (0, 1), (0, 1)),
    "a kink turned round": pair("maximum(-abs(input), target)", 0.0, 0.0, (-1, 1), (0, 1)),
    "divided by a negative number": pair("maximum(input, 0) / target", 0.0, -2.0, (-0.5, 0), at(0)),
    "scaled": pair("-3 * abs(input - target)", 1.0, 1.0, (-3, 3), (-3, 3)),
    "three equal in max": rows("max(anchor, over=D)", [2.0, 2.0, 2.0], (0, 1), (0, 1), (0, 1)),
    "two of three in max": rows("max(anchor, over=D)", [2.0, 1.0, 2.0], (0, 1), at(0), (0, 1)),
    "max of magnitudes": rows("max(abs(anchor), over=D)", [0.0, 0.0], (-1, 1), (-1, 1)),
    # one kink twice: consistent choices are among the independent ones
    "the same abs twice cancels": pair("abs(input) - abs(input)", 0.0, 0.0, at(0)),
    "relu(x) - relu(-x) is x, and torch says 0": pair("maximum(input, 0) - maximum(-input, 0)", 0.0, 0.0, (0, 2)),
    "max(x, -x, 0)": pair("maximum(maximum(input, -input), 0)", 0.0, 0.0, (-1, 1)),
    "one difference, two kinks": pair("abs(input - target) + maximum(input - target, 0)", 1.0, 1.0, (-1, 2), (-2, 1)),
}

HINGE = {"margin": 1.0}
CRITERIA = {
    # 0.5 + 0.5 - 1 = 0 for each wrong class; a third of each slope
    "multi_margin, two ties": Kink(
        "multi_margin",
        {"input": [1.0, 0.5, 0.5], "target": 0},
        {"input": [(-2 / 3, 0), (0, 1 / 3), (0, 1 / 3)]},
        parameters={"margin": 0.5},
    ),
    "multi_margin, three ties": Kink(
        "multi_margin",
        {"input": [0.5, 0.5, 1.0, 0.5], "target": 2},
        {"input": [(0, 0.25), (0, 0.25), (-0.75, 0), (0, 0.25)]},
        parameters={"margin": 0.5},
    ),
    "multi_margin squared has none": Kink(
        "multi_margin",
        {"input": [1.0, 0.5, 0.5], "target": 0},
        {"input": [at(0)] * 3},
        parameters={"margin": 0.5, "p": 2},
    ),
    "multilabel_margin, two labels above one class": Kink(
        "multilabel_margin",
        {"input": [1.0, 1.0, 0.0], "target": [0, 1, -1]},
        {"input": [(-1 / 3, 0), (-1 / 3, 0), (0, 2 / 3)]},
    ),
    "multilabel_margin, one label above three classes": Kink(
        "multilabel_margin",
        {"input": [0.0, 0.0, 1.0, 0.0], "target": [2, -1, 0, 1]},
        {"input": [(0, 0.25), (0, 0.25), (-0.75, 0), (0, 0.25)]},
    ),
    "multilabel_margin, a label twice": Kink(
        "multilabel_margin", {"input": [1.0, 0.0], "target": [0, 0]}, {"input": [(-1, 0), (0, 1)]}
    ),
    # anchor = positive, so d_pos = 0 and both distances to the negative are 2. d_pos gives [-1, 1]; of d_neg's slope,
    # a share of each distance: the negative's own is -1 whatever the shares, and the box also holds 0 and -2
    "triplet_margin, swap tie at distance 0": Kink(
        "triplet_margin",
        {"anchor": [0.0], "positive": [0.0], "negative": [2.0]},
        {"anchor": [(-1, 2)], "positive": [(-1, 2)], "negative": [(-2, 0)]},
        parameters={"swap": True, "eps": 0.0, "margin": 3.0},
    ),
    "triplet_margin, swap tie at distance 0 and at the margin": Kink(
        "triplet_margin",
        {"anchor": [0.0], "positive": [0.0], "negative": [2.0]},
        {"anchor": [(-1, 2)], "positive": [(-1, 2)], "negative": [(-2, 0)]},
        parameters={"swap": True, "eps": 0.0, "margin": 2.0},
    ),
    "triplet_margin, all equal": Kink(
        "triplet_margin",
        {"anchor": [5.0], "positive": [5.0], "negative": [5.0]},
        {"anchor": [(-2, 2)], "positive": [(-1, 1)], "negative": [(-1, 1)]},
        parameters={"eps": 0.0, "margin": 1.0},
    ),
    # cos = 0 = margin, and its gradient by input1 = (2, 0) is (0, 1/2), by input2 = (0, 4) (1/4, 0)
    "cosine_embedding at the margin": Kink(
        "cosine_embedding",
        {"input1": [2.0, 0.0], "input2": [0.0, 4.0], "target": -1},
        {"input1": [at(0), (0, 0.5)], "input2": [(0, 0.25), at(0)]},
        parameters={"margin": 0.0},
    ),
    # cos = 3/5, which no dtype holds: within its error of the margin, either side will do, from 0 to (0.128, -0.096)
    # and (0, 0.8). Each is a difference, v/|a| - cos a/|a|^2 with |a| = 5, whose two terms the box lets choose apart.
    "cosine_embedding at a rounded margin": Kink(
        "cosine_embedding",
        {"input1": [3.0, 4.0], "input2": [1.0, 0.0], "target": -1},
        {"input1": [(-0.072, 0.2), (-0.096, 0)], "input2": [(-0.6, 0.6), (0, 0.8)]},
        parameters={"margin": 0.6},
    ),
    "hinge_embedding at the margin": Kink(
        "hinge_embedding", {"input": [1.0, 1.0], "target": [-1, 1]}, {"input": [(-1, 0), at(1)]}, parameters=HINGE
    ),
    "margin_ranking at the margin": Kink(
        "margin_ranking",
        {"input1": [3.0], "input2": [2.0], "target": [1]},
        {"input1": [(-1, 0)], "input2": [(0, 1)]},
        parameters=HINGE,
    ),
    "huber at delta": Kink(
        "huber", {"input": [2.0, -2.0], "target": [0.0, 0.0]}, {"input": [at(2), at(-2)]}, parameters={"delta": 2.0}
    ),
    "smooth_l1 at beta": Kink(
        "smooth_l1", {"input": [2.0, -2.0], "target": [0.0, 0.0]}, {"input": [at(1), at(-1)]}, parameters={"beta": 2.0}
    ),
    "smooth_l1 with beta 0": Kink(
        "smooth_l1", {"input": [2.0, 2.0], "target": [2.0, 0.0]}, {"input": [(-1, 1), at(1)]}, parameters={"beta": 0.0}
    ),
    "the mean scales the choice": Kink(
        "l1",
        {"input": [1.0, 2.0], "target": [1.0, 0.0], "weight": [3.0, 1.0]},
        {"input": [(-0.75, 0.75), at(0.25)]},
        parameters={"reduction": "mean"},
    ),
}
KINKS = COMPOSED | CRITERIA


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kink", KINKS.values(), ids=KINKS.keys())
def test_every_subgradient_agrees_and_what_lies_outside_fails(kink: Kink, dtype: str) -> None:
    found = numbers(kink, dtype)
    for name, intervals in kink.gradients.items():
        low, high = np.array(intervals, float).T
        for share in (0, 0.25, 0.5, 1):
            assert severities(found[name], low + share * (high - low), dtype) == {AGREES}, (name, share)
        assert severities(found[name], low - OUTSIDE, dtype) == {FAILS}, name
        assert severities(found[name], high + OUTSIDE, dtype) == {FAILS}, name


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_at_a_jump_the_value_of_either_branch_will_do(dtype: str) -> None:
    """input * target is 1 up to its rounding, and whoever computes it may find either side of 1."""
    tenth = float(DTYPES[dtype].type(0.1))
    jump = Kink("l1", {"input": tenth, "target": 10.0}, {}, "where(input * target > 1, 100, 101)")
    found = numbers(jump, dtype)["value"]
    assert severities(found, 100, dtype) == severities(found, 101, dtype) == {AGREES}
    assert severities(found, 97, dtype) == severities(found, 104, dtype) == {FAILS}
    away = numbers(jump._replace(inputs={"input": tenth, "target": 10.001}), dtype)["value"]
    assert severities(away, 100, dtype) == {AGREES}
    assert severities(away, 101, dtype) == {FAILS}


def test_a_jump_at_an_exact_number_leaves_no_choice() -> None:
    found = numbers(Kink("l1", {"input": 1.0, "target": 1.0}, {}, "where(input > target, 100, 101)"), "float32")
    assert severities(found["value"], 101, "float32") == {AGREES}
    assert severities(found["value"], 100, "float32") == {FAILS}


def test_the_table_of_conventions_has_every_kink_with_a_choice() -> None:
    """docs/conventions.md names kinks that are, with points that are, and leaves none out."""
    lines = (Path(__file__).parents[1] / "docs" / "conventions.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "| torch " in line]
    kinks = {(row[0], row[1]) for row in rows if not row[1].startswith("multiple in ")}
    specs = load_specs([specs_folder()]).values()
    # of second order: value and gradient agree on both sides
    assert kinks == {(s.name, k.id) for s in specs for k in s.kinks if k.subgradient == "any" and k.order == 1}
    assert {point for row in rows for point in row[4].split(", ")} <= {*POINTS, "0", "1", "-1", "other"}


def test_a_loss_without_a_value_asks_for_no_gradient_even_of_what_counts_for_nothing() -> None:
    """With all smoothing, soft_cross_entropy does not look at its target; where all is forbidden there is no loss."""
    nothing = {"input": np.array([-np.inf, -np.inf]), "target": np.zeros(2)}
    masked = {"input": np.array([-np.inf, 0.0]), "target": np.zeros(2)}
    parameters = {"label_smoothing": 1.0, "reduction": "sum"}
    assert np.isnan(evaluate("soft_cross_entropy", nothing, parameters).gradients["target"]).all()
    found = evaluate("soft_cross_entropy", masked, parameters).gradients["target"]
    assert np.isnan(found[0])
    assert found[1] == 0
