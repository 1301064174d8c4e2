"""Cases: what is drawn lies in its domain and its dtype, every pair is covered, and a seed means one thing."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from conformance.cases import DTYPES, Stack
from conformance.cases.bind import full_rank, make_tape, output_shapes, outside, used
from conformance.cases.covering import covering_rows, feasible_pairs, pairs_in, uncovered_pairs
from conformance.cases.domain import labels
from conformance.cases.expand import expand, space_for
from conformance.cases.factors import DRAWN, Factor, Row, Rule, Space
from conformance.cases.layouts import buckets
from conformance.cases.plan import EFFORTS, Drawn, climb, drawn_bits, for_each_stack, recipes, stacks
from conformance.cases.recipe import BITS, Recipe, recipe_from_bits, row_from_bits
from conformance.cases.special import divisors
from conformance.errors import FormulaError, SpecError
from conformance.formula import parse_expression
from conformance.formula.plain import Plain
from conformance.formula.tape import Tape
from conformance.spec import load_specs, specs_folder
from conformance.spec.layout import axes_held, broadcast, match, skeletons
from conformance.spec.model import BROADCASTING, Dim, Input, Param, Regime, Spec, Uniform, Values

SPECS = load_specs([specs_folder()])
CELLS = [pytest.param(spec, dtype, id=f"{name}-{dtype}") for name, spec in SPECS.items() for dtype in DTYPES]
EVERY = pytest.mark.parametrize("spec", [pytest.param(spec, id=name) for name, spec in SPECS.items()])


def toy(**changes: Any) -> Spec:
    """A criterion with labels, an ignored one among them, and a weight."""
    text = {
        "target": "0 <= target < C or target == ignore_index",
        "weight": "weight >= 0",
        "k": "0 <= k < C",
        "r": "r > 0",
    }
    domain = {name: parse_expression(item) for name, item in text.items()}
    loss = parse_expression("weight * input")
    spec = Spec(
        name="toy",
        title="",
        summary="",
        dims={"N": Dim("N", "optional"), "C": Dim("C"), "D": Dim("D", "star", rank=(0, 1))},
        inputs={
            "input": Input("input", ("N", "C", "D"), special=(math.inf,)),
            "target": Input("target", ("N", "D"), "int", domain["target"]),
            "weight": Input("weight", ("C",), default=1, domain=domain["weight"]),
        },
        params={
            "ignore_index": Param("ignore_index", "integer", -100, levels=(1,)),
            "k": Param("k", "integer", 0, domain=domain["k"], levels=(0, 2)),
            "r": Param("r", "real", 1, domain=domain["r"], range=(0.5, 2.0)),
            "reduction": Param("reduction", "choice", "mean", ("none", "mean", "batchmean")),
        },
        loss=loss,
        reduce={
            "none": loss,
            "mean": parse_expression("sum(input) / sum(weight)"),
            "batchmean": parse_expression("sum(input) / size(N)"),
        },
        formula="",
        reductions={},
        forms=(),
        kinks=(),
        modulo=(),
        regimes={
            "ordinary": Regime("ordinary", {"input": _all(Uniform(-8, 8)), "weight": _all(Uniform(0, 1))}),
            "fixed": Regime("fixed", {"input": _all(Values((0, 1))), "r": _all(Uniform(3, 4))}),
        },
        edge_cases=(),
        references=(),
        path="toy.yaml",
    )
    return dataclasses.replace(spec, **changes)


def _all(how: Any) -> dict[str, Any]:
    return dict.fromkeys(DTYPES, how)


TOY = toy()


def in_domain(spec: Spec, stack: Stack) -> bool:
    """By the formula's own evaluation, which the cases' room does without."""
    arrays = {name: full_rank(spec, stack.layout, name, array).astype(float) for name, array in stack.inputs.items()}
    tape = make_tape(spec, stack, Plain(np.dtype(float), len(stack.layout) + 1), arrays)
    items: list[Input | Param] = [*(spec.inputs[name] for name in stack.inputs), *spec.params.values()]
    return all(item.domain is None or bool((tape.cond(item.domain).true | _unused(tape, item)).all()) for item in items)


def _unused(tape: Tape, item: Input | Param) -> Any:
    return ~tape.cond(item.used).true if isinstance(item, Input) and item.used is not None else np.zeros((), bool)


# --- every criterion -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "dtype"), CELLS)
def test_stacks_are_what_the_spec_says(spec: Spec, dtype: str) -> None:
    for stack in stacks(spec, dtype, "quick"):
        assert 1 <= len(stack) <= 16
        assert in_domain(spec, stack), stack.labels
        shapes = {name: array.shape[1:] for name, array in stack.inputs.items()}
        assert match(spec, shapes) is not None, (stack.layout, shapes)
        assert {array.shape[0] for array in stack.inputs.values()} == {len(stack)}
        for name, array in stack.inputs.items():
            item = spec.inputs[name]
            assert array.dtype == (DTYPES[dtype] if item.dtype == "float" else np.int64)
            wide = array.astype(float)
            is_hard = stack.labels["recipe"].startswith("hard")  # tests/test_cases_hard.py
            assert is_hard or np.isin(wide[~np.isfinite(wide)], item.special).all()
        output_shapes(spec, stack, [name for name in spec.differentiable if name in stack.inputs])


@pytest.mark.parametrize(("spec", "dtype"), CELLS)
def test_every_feasible_pair_is_covered(spec: Spec, dtype: str) -> None:
    space = space_for(spec, dtype)
    rows = covering_rows(space)
    assert uncovered_pairs(space, rows) == []
    at_least = np.prod(sorted(space.counts)[-2:])
    assert len(rows) <= 1.8 * at_least
    assert rows[0] == row_from_bits(space, 0)


@EVERY
def test_first_rows_cover_every_single_level(spec: Spec) -> None:
    space, quick = space_for(spec, "float32"), EFFORTS["quick"].covering
    possible = {level for pair in feasible_pairs(space) for level in pair}
    seen = {level for row in covering_rows(space)[:quick] for level in enumerate(row)}
    assert seen == possible


@EVERY
def test_efforts_draw_what_they_promise(spec: Spec) -> None:
    quick, default = (list(recipes(spec, "float64", effort)) for effort in ("quick", "default"))
    assert len(quick) == 24 + EFFORTS["quick"].hard
    assert len(default) >= 120
    assert sum(recipe.origin.startswith("random") for recipe in default) >= 40
    assert len({(recipe.levels, recipe.seed) for recipe in default}) == len(default)


@EVERY
def test_shapes_are_few_and_every_combination_of_axes_is_among_them(spec: Spec) -> None:
    found = buckets(spec)
    assert len(found) <= 14
    assert {tuple(bucket.layout) for bucket in found} == set(skeletons(spec))
    assert all(size > 0 for bucket in found for size in bucket.layout.values())
    assert max(math.prod(bucket.layout.values()) for bucket in found) >= 300


@EVERY
def test_the_bits_of_a_recipe_suffice(spec: Spec) -> None:
    """The last factor's levels are even to 1 in 256."""
    assert math.prod(space_for(spec, "float32").counts) <= 2 ** (BITS - 8)


@EVERY
def test_a_recipe_means_one_thing(spec: Spec) -> None:
    first, second = ([stack[0].hash for stack in stacks(spec, "bfloat16", "quick", 7)] for _ in range(2))
    assert first == second
    assert first != [stack[0].hash for stack in stacks(spec, "bfloat16", "quick", 8)]


# --- covering arrays -------------------------------------------------------------------------------------------------


def brute_force(space: Space) -> set[Row]:
    rows = itertools.product(*map(range, space.counts))
    return {row for row in rows if all(tuple(row[f] for f in rule.factors) in rule.allowed for rule in space.rules)}


@pytest.mark.parametrize("seed", range(12))
def test_covering_under_random_rules(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = [int(n) for n in rng.integers(2, 5, 5)]
    rules = []
    for _ in range(4):
        factors = tuple(int(f) for f in rng.choice(5, int(rng.integers(2, 4)), replace=False))
        rows = list(itertools.product(*(range(counts[f]) for f in factors)))
        rules.append(Rule(factors, frozenset(row for row in rows if rng.random() < 0.6)))
    space = Space(tuple(Factor(f"f{i}", tuple(range(n))) for i, n in enumerate(counts)), tuple(rules))
    valid = brute_force(space)
    assert feasible_pairs(space) == {pair for row in valid for pair in pairs_in(row)}
    assert set(covering_rows(space)) <= valid
    assert uncovered_pairs(space, covering_rows(space)) == []
    if valid:
        assert {row_from_bits(space, int(n)) for n in rng.integers(0, 2**BITS, 50)} <= valid


def test_a_hole_is_found() -> None:
    space = space_for(TOY, "float32")
    rows = list(covering_rows(space))
    lonely = next(row for row in rows if uncovered_pairs(space, [other for other in rows if other != row]))
    missing = uncovered_pairs(space, [row for row in rows if row != lonely])
    assert all(pair in set(pairs_in(lonely)) for pair in missing)


# --- factors ---------------------------------------------------------------------------------------------------------


def rows_of(spec: Spec) -> list[dict[str, Any]]:
    space = space_for(spec, "float32")
    return [space.levels(row) for row in covering_rows(space)]


def test_a_reduction_over_an_axis_needs_the_axis() -> None:
    rows = rows_of(TOY)
    assert all("N" in row["layout"].layout for row in rows if row["reduction"] == "batchmean")
    assert any("N" not in row["layout"].layout for row in rows)


def test_a_regime_that_draws_a_parameter_overrides_its_levels() -> None:
    assert {row["r"] for row in rows_of(TOY) if row["regime"] == "fixed"} == {DRAWN}
    assert {row["r"] for row in rows_of(TOY) if row["regime"] == "ordinary"} == {1, DRAWN}
    for stack in stacks(TOY, "float32", "quick"):
        assert (3 <= stack.parameters["r"] <= 4) == (stack.regime == "fixed")


def test_levels_outside_their_domain_are_left_out() -> None:
    assert all(row["k"] < row["layout"].layout["C"] for row in rows_of(TOY))


def test_labels_must_be_something_besides_ignored() -> None:
    rows = rows_of(toy(params={**TOY.params, "ignore_index": Param("ignore_index", "integer", 0)}))
    assert all(row["layout"].layout["C"] > 1 for row in rows)


def test_padding_may_be_anything_and_what_is_used_may_not() -> None:
    spec = SPECS["ctc"]
    padded = 0
    for stack in stacks(spec, "float32", "default"):
        targets, looked_at = stack.inputs["targets"], used(spec, stack, "targets")
        legal = (targets >= 0) & (targets < stack.layout["C"]) & (targets != stack.parameters["blank"])
        assert looked_at.shape == targets.shape
        assert np.array_equal(looked_at.sum(axis=-1), stack.inputs["target_lengths"])
        assert (legal | ~looked_at).all()
        assert not outside(spec, stack)
        padded += int((~legal).sum())
    assert padded > 500


@pytest.mark.parametrize(("label", "where"), [(-1, []), (3, []), (0, []), (-1, ["targets"]), (0, ["targets"])])
def test_a_label_is_out_of_its_domain_only_where_it_is_used(label: int, where: list[str]) -> None:
    inputs = {
        "log_probs": np.full((1, 2, 2, 3), -1.0),
        "targets": np.array([[[1, 2], [1, label]]]),
        "input_lengths": np.array([[2, 2]]),
        "target_lengths": np.array([[2, 2 if where else 1]]),
    }
    parameters = {"blank": 0, "zero_infinity": False, "reduction": "sum"}
    stack = Stack("ctc", "float64", {"T": 2, "N": 2, "C": 3, "S": 2}, parameters, inputs)
    assert [item.name for item in outside(SPECS["ctc"], stack)] == where


SHAPES = {
    "full": (3, 4, 2),
    "ones": (1, 1, 1),
    "last": (1, 1, 2),
    "first": (3, 1, 1),
    "dropped": (2,),
    "but_last": (3, 4, 1),
    "without_last": (3, 4),
}


@pytest.mark.parametrize(("pattern", "shape"), SHAPES.items())
def test_broadcast_patterns(pattern: str, shape: tuple[int, ...]) -> None:
    assert broadcast((3, 4, 2), pattern) == shape


@pytest.mark.parametrize(
    ("var", "fits"),
    [((3, 3), True), ((3, 1), True), ((3,), True), ((1, 3), False), ((1, 1), False), ((1,), False), ((), False)],
)
def test_an_input_stands_for_its_full_shape_only_as_its_patterns_say(var: tuple[int, ...], fits: bool) -> None:
    spec = SPECS["gaussian_nll"]
    assert (match(spec, {"input": (3, 3), "target": (3, 3), "var": var}) is not None) == fits


def test_a_missing_last_axis_is_the_last() -> None:
    spec = SPECS["gaussian_nll"]
    assert axes_held(spec, "var", ("S0", "S1"), 1) == ("S0",)
    assert full_rank(spec, {"S0": 3, "S1": 3}, "var", np.zeros((5, 3))).shape == (5, 3, 1)


def test_the_variance_comes_in_each_of_its_patterns() -> None:
    patterns, seen = ("full", "but_last", "without_last"), set()
    for stack in stacks(SPECS["gaussian_nll"], "float32", "default"):
        full, own = stack.inputs["input"].shape[1:], stack.inputs["var"].shape[1:]
        seen |= {(len(full), pattern) for pattern in patterns if broadcast(full, pattern) == own}
    assert seen >= set(itertools.product((1, 2, 3), patterns))


def test_inputs_that_may_broadcast_still_span_the_layout() -> None:
    pair = {name: Input(name, ("N", "C"), broadcast=BROADCASTING) for name in ("x", "y")}
    spec = toy(inputs=pair, dims={"N": Dim("N"), "C": Dim("C")}, reduce={"none": parse_expression("x + y")}, params={})
    shapes = set()
    for stack in stacks(spec, "float32", "default"):
        x, y = (stack.inputs[name].shape[1:] for name in ("x", "y"))
        assert np.broadcast_shapes(x, y) == tuple(stack.layout.values())
        shapes.add((x, y))
    assert len({row["broadcast.x"] for row in rows_of(spec)}) == len(BROADCASTING)
    assert len(shapes) > 15


# --- random recipes --------------------------------------------------------------------------------------------------


def test_no_bits_are_the_plainest_recipe() -> None:
    plain = space_for(TOY, "float32").levels(recipe_from_bits(space_for(TOY, "float32"), "toy", "float32", 0).levels)
    assert plain["regime"] == "ordinary"
    assert str(plain["layout"]) == "ones C=1"
    assert (plain["ignore_index"], plain["k"], plain["r"], plain["reduction"]) == (-100, 0, 1, "mean")
    assert (plain["present.weight"], plain["special"].kind) == (False, "none")


def test_levels_are_even() -> None:
    space = space_for(TOY, "float32")
    numbers = np.random.default_rng(0).integers(0, 2**BITS, 6000)
    rows = [row_from_bits(space, int(number)) for number in numbers]
    for f in (0, 1):
        shares = Counter(row[f] for row in rows)
        expected = len(rows) / space.counts[f]
        assert all(abs(count - expected) < 6 * math.sqrt(expected) for count in shares.values())


def test_random_numbers_are_many_and_unlike_each_other() -> None:
    numbers = drawn_bits(400, 0)
    assert len(numbers) == len(set(numbers)) == 400
    apart = [(a ^ b).bit_count() for a, b in itertools.pairwise(numbers[60:])]
    assert np.mean(apart) > BITS / 3, "Hypothesis's mutator copies one recipe over the next"


@pytest.mark.parametrize("count", [1, 8, 40])
def test_as_many_as_asked_for(count: int) -> None:
    assert len(drawn_bits(count, 5)) == count


def test_what_a_visit_raises_is_raised_once() -> None:
    calls = []

    def take(number: int) -> None:
        calls.append(number)
        if len(calls) == 5:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        climb(50, 0, take)
    assert len(calls) == 5


def test_climbing_finds_worse_recipes() -> None:
    best = []
    for climbs in (True, False):
        scores: list[float] = []

        def take(number: int, scores: list[float] = scores, climbs: bool = climbs) -> dict[str, float] | None:
            scores.append(float(number.bit_count()))
            return {"bits": scores[-1]} if climbs else None

        climb(300, 1, take)
        best.append(max(scores))
    assert best[0] > best[1]


def test_for_each_stack_counts() -> None:
    seen: list[Stack] = []
    drawn = for_each_stack(TOY, "float32", "default", 0, seen.append)
    assert drawn == Drawn(len(seen), sum(map(len, seen)), drawn.pairs, len(feasible_pairs(space_for(TOY, "float32"))))
    assert [stack[0].hash for stack in seen] == [stack[0].hash for stack in stacks(TOY, "float32")]


# --- data ------------------------------------------------------------------------------------------------------------


def toy_stacks(count: int = 300, dtype: str = "float32", spec: Spec = TOY) -> list[Stack]:
    space = space_for(spec, dtype)
    numbers = np.random.default_rng(1).integers(0, 2**BITS, count)
    return [expand(spec, dtype, recipe_from_bits(space, "toy", dtype, int(number))) for number in numbers]


def test_labels_are_ignored_now_and_then_but_never_all() -> None:
    shares = []
    for stack in toy_stacks():
        target = stack.inputs["target"].reshape(len(stack), -1)
        ignored = target == stack.parameters["ignore_index"]
        if stack.parameters["ignore_index"] == -100:
            assert not ignored.all(axis=1).any()
            if target.shape[1] > 20:
                shares.append(ignored.mean())
    assert 0.1 < np.mean(shares) < 0.45
    assert min(shares) == 0
    assert max(shares) > 0.8


def test_labels_reach_every_class() -> None:
    for size in {stack.layout["C"] for stack in toy_stacks()}:
        seen = {int(t) for stack in toy_stacks() if stack.layout["C"] == size for t in stack.inputs["target"].flat}
        assert set(range(size)) <= seen <= {*range(size), -100, 1}


def test_labels_by_their_domain() -> None:
    ordinary, singled = labels(
        TOY.inputs["target"], {"C": 4}, {"ignore_index": 9, "flag": True}, {"C": 4, "ignore_index": 9}
    )
    assert (ordinary.tolist(), singled.tolist()) == ([0, 1, 2, 3], [9])
    sign = Input("target", (), "int", parse_expression("target == 1 or target == -1"))
    assert labels(sign, {}, {}, {})[0].tolist() == [-1, 1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_specials_are_placed(dtype: str) -> None:
    seen = Counter(stack.labels["special"] for stack in toy_stacks(400, dtype))
    assert {"zero, in input", "tie, in input", "subnormal, in input", "inf in input, in input", "none"} <= set(seen)
    for stack in toy_stacks(200, dtype):
        array = stack.inputs["input"].astype(float).reshape(len(stack), -1)
        marks = {
            "zero, in input": array == 0,
            "inf in input, in input": np.isinf(array),
            "subnormal, in input": (array != 0)
            & (np.abs(array) < float(np.nextafter(np.array(0, DTYPES[dtype]), 1)) * 5),
        }
        if stack.labels["special"] in marks and stack.regime == "ordinary":
            assert marks[stack.labels["special"]].sum() >= 1


def test_a_weight_that_is_divided_by_gets_no_zero() -> None:
    assert divisors(TOY, "mean") == {"weight"}
    assert divisors(TOY, "batchmean") == set()
    zeroed = [stack for stack in toy_stacks(600) if stack.labels["special"] == "zero, in weight"]
    assert zeroed
    assert all(stack.parameters["reduction"] != "mean" for stack in zeroed)


def test_some_stacks_have_few_bits() -> None:
    coarse = [np.all(np.rint(s.inputs["input"] * 64) == s.inputs["input"] * 64) for s in toy_stacks() if _is_plain(s)]
    assert 0.03 < np.mean(coarse) < 0.3


def _is_plain(stack: Stack) -> bool:
    return stack.regime == "ordinary" and stack.labels["special"] == "none"


def test_parameters_need_not_be_representable() -> None:
    drawn = [s.parameters["r"] for s in toy_stacks(100, "float16") if s.parameters["r"] != 1]
    assert all(type(value) is float for value in drawn)
    assert any(float(np.float16(value)) != value for value in drawn)


def test_a_regime_that_misses_its_domain_says_so() -> None:
    regimes = {"wrong": Regime("wrong", {"input": _all(Uniform(0, 1)), "weight": _all(Uniform(-2, -1))})}
    spec = toy(regimes=regimes)
    with pytest.raises(SpecError, match=r"toy\.yaml.*regime 'wrong' hardly ever draws 'weight' inside its domain"):
        list(stacks(spec, "float32", "quick"))


def test_a_domain_beyond_the_small_language_says_so() -> None:
    domain = parse_expression("log(weight) > 0")
    spec = toy(inputs={**TOY.inputs, "weight": dataclasses.replace(TOY.inputs["weight"], domain=domain)})
    with pytest.raises(FormulaError, match="'log' has no place in a domain"):
        list(stacks(spec, "float32", "quick"))


def test_labels_that_depend_on_another_input() -> None:
    inputs = {
        "x": Input("x", ("N", "C")),
        "short": Input("short", ("N",), "int", parse_expression("0 <= short <= long")),
        "long": Input("long", ("N",), "int", parse_expression("0 <= long <= C")),
    }
    spec = toy(inputs=inputs, reduce={"none": parse_expression("x")}, params={}, dims={"N": Dim("N"), "C": Dim("C")})
    for stack in stacks(spec, "float32", "quick"):
        assert (stack.inputs["short"] >= 0).all()
        assert (stack.inputs["short"] <= stack.inputs["long"]).all()
        assert (stack.inputs["long"] <= stack.layout["C"]).all()


def test_the_bits_of_a_stack_are_pinned() -> None:
    """Whatever changes these hashes changes every case of every criterion: say so in the changelog."""
    space = space_for(TOY, "float32")
    found = [expand(TOY, "float32", Recipe(row, 42))[0].hash for row in covering_rows(space)[:3]]
    assert found == ["0852de166d78", "36cb947e65e3", "83d3d2c7080b"]
