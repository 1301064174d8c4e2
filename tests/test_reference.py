"""conformance.evaluate and the numbers behind it: names and shapes, kinks, 0·∞, budgets, overflow, stacks.

Whether the numbers are right is asked in test_oracle.py.
"""

from __future__ import annotations

import functools
import inspect
import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import conformance
from conformance import ConformanceError, Reference, evaluate
from conformance.cases.case import DTYPES, Stack, in_dtype
from conformance.cases.plan import stacks
from conformance.errors import UsageError
from conformance.reference.control import check_cases
from conformance.reference.evaluate import evaluate_stack, make_case
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.spec import load_specs, spec_for, specs_folder

Inputs = Mapping[str, Any]
CRITERIA = tuple(load_specs([specs_folder()]))
INF = math.inf


def numbers(criterion: str, inputs: Inputs, dtype: str = "float64", **parameters: Any) -> dict[str, Numbers]:
    spec = spec_for(criterion)
    case = make_case(spec, inputs, parameters, dtype)
    return evaluate_stack(spec, Stack.of(case), tuple(name for name in spec.differentiable if name in case.inputs))


# The public function


def test_the_signature_is_the_documented_one() -> None:
    parameters = inspect.signature(evaluate).parameters
    assert list(parameters) == ["criterion", "inputs", "parameters", "dtype", "wrt"]
    assert parameters["parameters"].default is None
    assert parameters["dtype"].default == "float64"
    assert parameters["dtype"].kind is parameters["wrt"].kind is inspect.Parameter.KEYWORD_ONLY
    assert conformance.evaluate is evaluate
    fields = [name for name in inspect.signature(Reference).parameters if name != "uncertified"]
    assert fields == ["value", "gradients", "value_budget", "gradient_budgets", "certified"]


def test_a_case_worked_out_by_hand() -> None:
    found = evaluate("l1", {"input": [3.0, -2.0], "target": [1.0, 2.0]})
    assert found.value == 3.0
    assert found.gradients["input"].tolist() == [0.5, -0.5]
    assert found.gradients["target"].tolist() == [-0.5, 0.5]
    assert found.certified


@pytest.mark.parametrize(
    ("reduction", "shape"), [("none", (2, 3)), ("sum", ()), ("mean", ())], ids=["none", "sum", "mean"]
)
def test_value_budgets_and_gradients_have_the_documented_shapes(reduction: str, shape: tuple[int, ...]) -> None:
    found = evaluate("mse", {"input": np.ones((2, 3)), "target": np.zeros((2, 3))}, {"reduction": reduction})
    assert np.shape(found.value) == np.shape(found.value_budget) == shape
    assert set(found.gradients) == set(found.gradient_budgets) == {"input", "target"}
    for array in (*found.gradients.values(), *found.gradient_budgets.values()):
        assert array.shape == (2, 3)
        assert array.dtype == np.float64
    assert np.asarray(found.value).dtype == np.float64


def test_absent_optional_inputs_take_their_defaults() -> None:
    inputs = {"input": [[1.0, 2.0, 0.5]], "target": [1]}
    absent, ones, none = (
        evaluate("cross_entropy", {**inputs, **more}) for more in ({}, {"weight": [1.0, 1.0, 1.0]}, {"weight": None})
    )
    assert absent.value == ones.value == none.value
    weighted = evaluate("cross_entropy", {**inputs, "weight": [1.0, 3.0, 1.0]}, {"reduction": "sum"})
    assert weighted.value == pytest.approx(3 * absent.value, rel=1e-15)


def test_absent_parameters_take_their_defaults() -> None:
    inputs = {"input": [0.25, 3.0], "target": [0.0, 0.0]}
    assert evaluate("smooth_l1", inputs).value == evaluate("smooth_l1", inputs, {"beta": 1, "reduction": "mean"}).value
    assert evaluate("smooth_l1", inputs, {"beta": 2}).value != evaluate("smooth_l1", inputs).value


def test_wrt_chooses_the_gradients() -> None:
    inputs = {"input": [1.0, 2.0], "target": [0.0, 0.0]}
    assert set(evaluate("l1", inputs, wrt=["target"]).gradients) == {"target"}
    assert set(evaluate("l1", inputs, wrt=[]).gradients) == set()
    every = evaluate("l1", inputs)
    assert evaluate("l1", inputs, wrt=["target"]).gradients["target"].tolist() == every.gradients["target"].tolist()


def test_what_is_not_differentiable_has_no_gradient() -> None:
    assert set(evaluate("cross_entropy", {"input": [[1.0, 2.0]], "target": [0]}).gradients) == {"input"}


def test_gradients_are_those_of_the_sum_of_the_output() -> None:
    inputs = {"input": [1.0, 5.0], "target": [0.0, 0.0]}
    none, total = (evaluate("mse", inputs, {"reduction": name}) for name in ("none", "sum"))
    assert none.gradients["input"].tolist() == total.gradients["input"].tolist() == [2.0, 10.0]


def test_inputs_are_taken_as_exact_whatever_the_dtype() -> None:
    inputs = {"input": [0.1], "target": [0.0]}
    assert evaluate("l1", inputs, dtype="float32").value == 0.1
    assert evaluate("l1", {"input": np.array([0.1], np.float32), "target": [0.0]}).value == float(np.float32(0.1))


def test_inputs_are_left_as_they_were() -> None:
    inputs = {"input": np.array([1.0, -2.0]), "target": np.array([0.5, 0.0])}
    before = {name: array.copy() for name, array in inputs.items()}
    evaluate("l1", inputs)
    assert all((inputs[name] == before[name]).all() for name in before)


PAIR: dict[str, Any] = {"input": [1.0, 2.0], "target": [0.0, 0.0]}


@pytest.mark.parametrize(
    ("criterion", "inputs", "more", "said"),
    [
        ("l11", PAIR, {}, "no criterion 'l11'"),
        ("l1", {**PAIR, "wieght": [1.0, 1.0]}, {}, "no input 'wieght'"),
        ("l1", {"input": [1.0]}, {}, "needs the input 'target'"),
        ("l1", {"input": [1.0], "target": None}, {}, "needs the input 'target'"),
        ("l1", {"input": [1.0, 2.0], "target": [1.0, 2.0, 3.0]}, {}, "shapes do not fit"),
        ("cross_entropy", {"input": 1.0, "target": 0}, {}, "shapes do not fit"),
        ("l1", PAIR, {"parameters": {"beta": 1}}, "no parameter 'beta'"),
        ("l1", PAIR, {"parameters": {"reduction": "average"}}, "average"),
        ("smooth_l1", PAIR, {"parameters": {"beta": "one"}}, "beta"),
        ("l1", PAIR, {"dtype": "float8"}, "no dtype 'float8'"),
        ("l1", PAIR, {"wrt": ["imput"]}, "'imput'"),
        ("cross_entropy", {"input": [[1.0, 2.0]], "target": [0]}, {"wrt": ["target"]}, "'target'"),
        ("l1", PAIR, {"wrt": ["weight"]}, "'weight'"),
        ("l1", {"input": ["a", "b"], "target": [0.0, 0.0]}, {}, "input"),
        ("l1", {"input": [1 + 2j, 0], "target": [0.0, 0.0]}, {}, "input"),
        ("l1", {"input": [[1.0, 2.0], [3.0]], "target": [0.0, 0.0]}, {}, "input"),
        ("cross_entropy", {"input": [[1.0, 2.0]], "target": [0.5]}, {}, "target"),
    ],
    ids=lambda value: value.replace(" ", "_").replace("'", "") if isinstance(value, str) else "",
)
def test_a_wrong_argument_is_told_in_one_sentence(
    criterion: str, inputs: Inputs, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConformanceError) as caught:
        evaluate(criterion, inputs, **more)
    assert isinstance(caught.value, UsageError)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_out_of_range_has_no_certified_answer() -> None:
    """Its domain must raise: to answer, a reference would have to make another label of it."""
    try:
        found = evaluate("cross_entropy", {"input": [[1.0, 2.0]], "target": [5]})
    except UsageError as error:
        assert "target" in str(error)  # noqa: PT017
    else:
        assert not found.certified or math.isnan(found.value)


def test_what_is_not_certified_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that nothing can meet: no number may then be called certified."""
    import importlib

    module = importlib.import_module("conformance.reference.evaluate")

    def hopeless(spec: Any, stack: Any, found: dict[str, Numbers], *_: Any) -> dict[str, Numbers]:
        import dataclasses

        item = found["input"]
        changes: dict[str, Any] = {
            "certified": np.zeros_like(item.certified),
            "error": np.full_like(item.error, np.inf),
        }
        return {**found, "input": dataclasses.replace(item, **changes)}

    monkeypatch.setattr(module, "escalate", hopeless)
    found = evaluate("l1", PAIR)
    assert not found.certified
    assert found.uncertified == ("input",)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_ordinary_cases_are_certified(criterion: str) -> None:
    spec = spec_for(criterion)
    ordinary = (stack for stack in stacks(spec, "float64", "quick") if stack.regime == "ordinary")
    stack = next(stack for stack in ordinary if next(iter(stack.inputs.values())).size)
    assert evaluate(criterion, dict(stack[0].inputs), dict(stack.parameters)).certified


def test_no_framework_is_consulted() -> None:
    """The reference runs where every framework is out of reach."""
    code = (
        "import sys\n"
        "for name in ('torch', 'jax', 'tensorflow', 'keras', 'optax', 'scipy'): sys.modules[name] = None\n"
        "import conformance\n"
        "for spec in ('l1', 'cross_entropy'):\n"
        "    target = [1] if spec == 'cross_entropy' else [[0.0, 1.0]]\n"
        "    assert conformance.evaluate(spec, {'input': [[1.0, 2.0]], 'target': target}).certified\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'jax') and sys.modules[name]])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


# Kinks


def hull(found: Numbers) -> tuple[list[float], list[float]]:
    return (found.high - found.below)[0].tolist(), (found.high + found.above)[0].tolist()


def test_at_a_kink_the_hull_holds_both_slopes_and_elsewhere_nothing() -> None:
    found = numbers("l1", {"input": [1.0, 2.0, 3.0], "target": [1.0, 0.0, 4.0]}, reduction="none")
    assert hull(found["input"]) == ([-1.0, 1.0, -1.0], [1.0, 1.0, -1.0])
    assert hull(found["target"]) == ([-1.0, -1.0, 1.0], [1.0, -1.0, 1.0])
    assert not found["value"].above.any()
    assert not found["value"].below.any()


def test_the_hull_is_scaled_like_the_gradient() -> None:
    found = numbers("l1", {"input": [1.0, 2.0], "target": [1.0, 1.0], "weight": [3.0, 1.0]}, reduction="mean")
    (low, exact), (high, same) = hull(found["input"])
    assert (low, high) == pytest.approx((-0.75, 0.75))
    assert low <= -0.75 + 1e-15
    assert high >= 0.75 - 1e-15
    assert exact == same == 0.25


def test_the_hinge_of_a_triplet_leaves_the_gradient_a_choice() -> None:
    inputs = {"anchor": [0.0], "positive": [2.0], "negative": [3.0]}
    found = numbers("triplet_margin", inputs, eps=0.0, margin=1.0, p=1.0, reduction="none")  # 2 - 3 + 1 = 0, exactly
    (low,), (high,) = hull(found["positive"])
    assert low <= 0 <= high
    assert high - low == pytest.approx(1)


def test_a_joint_where_both_sides_agree_leaves_no_choice() -> None:
    found = numbers("smooth_l1", {"input": [2.0], "target": [0.0]}, beta=2.0, reduction="none")
    assert hull(found["input"]) == ([1.0], [1.0])


@pytest.mark.parametrize("beside", [3 * 2.0**-133, 2.0**-120])
def test_beside_a_joint_the_other_branch_counts_as_an_error(beside: float) -> None:
    """1 - 2^-120 is 1 in binary128, which so takes the other branch: its slope is 1, where it is 1 - 2^-120."""
    spec = spec_for("smooth_l1")
    case = make_case(spec, {"input": 1.0, "target": beside}, {"beta": 1.0, "reduction": "sum"}, "bfloat16")
    numbers = evaluate_stack(spec, Stack.of(case), ("input",))
    found = numbers["input"]
    assert found.high + found.low == 1
    assert beside < found.error < 2.0**-100
    assert found.certified
    assert found.below == found.above == 0
    assert check_cases(spec, Stack.of(case), numbers, [0]) == 2


def test_within_its_error_of_a_kink_either_branch_will_do() -> None:
    """margin = 0.1 has no exact dtype form, so in float32 the hinge at 2.1 - 2.0 - margin may fall on either side."""
    gap = float(np.float32(0.1)) - 1e-9
    inputs = {"anchor": [0.0], "positive": [0.0], "negative": [gap]}
    near = numbers("triplet_margin", inputs, "float32", eps=0.0, margin=gap + 1e-12, p=1.0, reduction="none")
    far = numbers("triplet_margin", inputs, "float32", eps=0.0, margin=gap + 1e-3, p=1.0, reduction="none")
    assert near["negative"].below[0, 0] + near["negative"].above[0, 0] > 0.9
    assert far["negative"].below[0, 0] + far["negative"].above[0, 0] == 0


def test_a_derivative_that_does_not_exist_is_nan() -> None:
    found = evaluate("kl_div", {"input": [-1.0, -1.0], "target": [0.0, 0.5]})
    assert np.isnan(found.gradients["target"]).tolist() == [True, False]
    assert not np.isnan(found.gradients["input"]).any()


# What is masked out does not matter


def test_a_branch_not_taken_neither_counts_nor_differentiates() -> None:
    found = evaluate("kl_div", {"input": [-INF, -1.0], "target": [0.0, 0.5]}, {"reduction": "sum"})
    assert math.isfinite(found.value)
    assert found.gradients["input"].tolist() == [0.0, -0.5]


def test_an_ignored_row_may_hold_anything() -> None:
    rows = [[1.0, 2.0], [math.nan, INF]]
    found = evaluate("cross_entropy", {"input": rows, "target": [1, -100]}, {"reduction": "sum"})
    kept = evaluate("cross_entropy", {"input": rows[:1], "target": [1]}, {"reduction": "sum"})
    assert found.value == kept.value
    assert found.gradients["input"].tolist() == [*kept.gradients["input"].tolist(), [0.0, 0.0]]


def test_a_masked_class_has_no_share() -> None:
    found = evaluate("cross_entropy", {"input": [[0.0, 0.0, -INF]], "target": [0]})
    assert found.value == math.log(2)
    assert found.gradients["input"].tolist() == [[-0.5, 0.5, 0.0]]
    assert found.certified


def test_where_every_other_class_is_masked_the_loss_is_zero() -> None:
    found = evaluate("cross_entropy", {"input": [[3.0, -INF, -INF]], "target": [0]})
    assert found.value == 0.0
    assert found.gradients["input"].tolist() == [[0.0, 0.0, 0.0]]


def test_where_all_classes_are_masked_the_smoothed_loss_has_no_gradient() -> None:
    found = evaluate("cross_entropy", {"input": [-INF, -INF], "target": 0}, {"label_smoothing": 1})
    assert np.isnan(found.value)
    assert np.isnan(found.gradients["input"]).all()


def test_a_masked_target_costs_everything() -> None:
    assert evaluate("cross_entropy", {"input": [[0.0, -INF]], "target": [1]}).value == INF


# Empty batches


@pytest.mark.parametrize("criterion", ["cross_entropy", "cosine_embedding", "triplet_margin"])
def test_an_empty_batch(criterion: str) -> None:
    empty, labels = np.zeros((0, 3)), np.zeros(0, int)
    inputs: dict[str, dict[str, Any]] = {
        "cross_entropy": {"input": empty, "target": labels},
        "cosine_embedding": {"input1": empty, "input2": empty, "target": labels},
        "triplet_margin": {"anchor": empty, "positive": empty, "negative": empty},
    }
    found = {name: evaluate(criterion, inputs[criterion], {"reduction": name}) for name in ("none", "sum", "mean")}
    assert np.shape(found["none"].value) == (0,)
    assert found["sum"].value == 0
    assert math.isnan(found["mean"].value)  # 0/0
    for gradient in found["sum"].gradients.values():
        assert gradient.shape == (0, 3)


# Budgets


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_tight_budget_is_within_the_sound_one(criterion: str, dtype: str) -> None:
    spec = spec_for(criterion)
    wrt = spec.differentiable
    for stack in list(stacks(spec, dtype, "quick"))[:6]:
        for item in evaluate_stack(spec, stack, tuple(name for name in wrt if name in stack.inputs)).values():
            assert (item.tight <= item.sound).all()
            assert (item.error <= item.tight).all()
            for array in (item.error, item.tight, item.sound, item.below, item.above):
                assert not np.isnan(array).any()
                assert not (array < 0).any()
            assert not (item.overflow_tight & ~item.overflow_sound).any()


@pytest.mark.parametrize("criterion", ["mse", "cross_entropy"])
def test_a_budget_grows_with_the_unit_roundoff(criterion: str) -> None:
    target: Any = [1] if criterion == "cross_entropy" else [[0.5, 0.25, 1.0]]
    inputs = {"input": [[1.0, 2.0, 3.0]], "target": target}
    budgets = {name: evaluate(criterion, inputs, dtype=name) for name in ("float64", "float32", "bfloat16")}
    for dtype, bits in (("float32", 29), ("bfloat16", 45)):
        ratio = budgets[dtype].value_budget / budgets["float64"].value_budget
        assert ratio == pytest.approx(2.0**bits, rel=0.02)
    assert 0 < budgets["float64"].value_budget < 64 * 2.0**-53 * 4


def test_the_budget_of_tiny_numbers_is_the_underflow_unit() -> None:
    found = evaluate("mse", {"input": [1e-200], "target": [0.0]}, {"reduction": "none"})
    assert found.value_budget[0] >= FORMATS["float64"].tiny / 2
    assert found.value_budget[0] <= 16 * FORMATS["float64"].tiny


def test_a_sum_below_the_normal_numbers_is_exact_unless_they_are_flushed() -> None:
    spec = spec_for("l1")
    case = make_case(spec, {"input": [3 * 2.0**-149], "target": [2.0**-149]}, {"reduction": "sum"}, "float32")
    kept = evaluate_stack(spec, Stack.of(case), ())["value"]
    flushed = evaluate_stack(spec, Stack.of(case), (), flushes_subnormals=True)["value"]
    assert kept.tight.max() < 2.0**-160
    assert flushed.tight.min() > 2.0**-126


def test_a_share_of_the_paths_may_lack_a_part_that_is_flushed() -> None:
    """Two ways lead on from the blank at frame 1: 7.5e-38 of all paths take one, 8.9e-42 the other."""
    frames = [
        [-0.0380687341094017, 0, 0],
        [-84.38822174072266, 0, 0],
        [0, -9.032868385314941, 0],
        [-36.9541130065918, 0, -46.42215347290039],
    ]
    inputs = {"log_probs": frames, "targets": [2, 0], "input_lengths": 4, "target_lengths": 2}
    spec = spec_for("ctc")
    case = make_case(spec, inputs, {"blank": 1, "reduction": "sum"}, "float32")
    case = replace(case, inputs=in_dtype(case.inputs, "float32"))
    kept, flushed = (
        evaluate_stack(spec, Stack.of(case), ("log_probs",), flushes_subnormals=on)["log_probs"] for on in (False, True)
    )
    assert kept.high[0, 1, 0] == pytest.approx(-7.47466212e-38)
    assert kept.tight[0, 1, 0] < 3e-42
    assert 8.9e-42 < flushed.tight[0, 1, 0] < 1e-35
    assert flushed.tight[0, 3, 0] == pytest.approx(kept.tight[0, 3, 0])


def test_the_quotient_for_the_gradient_of_bce_is_sound_and_a_clamped_one_is_not() -> None:
    found = numbers("bce", {"input": [0.25, 2.0**-148], "target": [1.0, 0.0]}, "float32", reduction="none")["input"]
    assert found.sound[0, 0] > 2 * found.tight[0, 0]  # three roundings more than -1/input
    assert found.sound[0, 1] < 1e-5  # 1/(1 - input), however small the input


def test_a_form_on_the_other_side_of_a_kink_leaves_the_same_choice() -> None:
    """In binary128, too, margin - 3e307 + 3e307 is 0: the form is at its kink, and stands on the side of the hinge."""
    inputs = {"input": [-(2.0**1021), -(2.0**1021)], "target": 0}
    found = numbers("multi_margin", inputs, margin=-0.5, reduction="sum")["input"]
    assert found.high[0].tolist() == [0, 0]
    assert (-found.below[0]).tolist() == [-0.5, 0]
    assert found.above[0].tolist() == [0, 0.5]


def test_a_parameter_brings_its_own_rounding_into_the_budget() -> None:
    inputs = {"input": [0.001], "target": [0.0]}
    exact, rounded = (
        evaluate("smooth_l1", inputs, {"beta": beta, "reduction": "none"}, dtype="float32") for beta in (0.25, 0.3)
    )
    assert rounded.value_budget[0] / rounded.value[0] > exact.value_budget[0] / exact.value[0] * 1.2


def test_the_budget_covers_what_the_parameter_loses_in_the_dtype() -> None:
    inputs = {"input": [0.125], "target": [0.0]}
    for dtype in ("float32", "float16", "bfloat16"):
        found = evaluate("smooth_l1", inputs, {"beta": 0.3, "reduction": "none"}, dtype=dtype)
        beta = float(DTYPES[dtype].type(0.3))
        assert abs(0.125**2 / (2 * beta) - found.value[0]) <= found.value_budget[0]


# Overflow


def test_an_intermediate_beyond_the_dtype_is_flagged() -> None:
    found = numbers("mse", {"input": [3e38, 1.0, 2e19], "target": [-3e38, 0.0, 0.0]}, "float32", reduction="none")
    assert found["value"].overflow_tight[0].tolist() == [True, False, True]
    assert found["input"].overflow_tight[0].tolist()[:2] == [True, False]


def added_up_one_by_one(terms: NDArray[Any]) -> float:
    return float(np.add.accumulate(terms, dtype=terms.dtype)[-1])  # as it stands: no halves, no blocks


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param(np.full(100_003, 0.7), id="alike"),
        pytest.param(np.where(np.arange(100_003) % 3, 0.1, 0.3), id="of two kinds"),
        pytest.param(np.exp(3 * np.random.Generator(np.random.Philox(1)).standard_normal(100_003)), id="of all sizes"),
        pytest.param(np.linspace(0, 1, 100_003), id="spread"),
    ],
)
def test_a_sum_one_by_one_of_terms_that_round_alike_is_sound(losses: NDArray[Any]) -> None:
    """Nothing averages out where all terms err the same way, and the budget knows it."""
    terms = losses.astype(np.float32)
    given = {"input": terms, "target": np.zeros_like(terms)}
    found = evaluate("l1", given, {"reduction": "sum"}, dtype="float32", wrt=())
    error = abs(added_up_one_by_one(terms) - float(found.value))
    assert error <= found.value_budget
    worst_case = 2 * terms.size * 2.0**-24 * float(found.value)
    assert found.value_budget < (1.01 if losses[0] == losses[3] else 0.15) * worst_case


def test_a_running_sum_that_overflows_is_flagged_though_the_mean_does_not() -> None:
    found = numbers("l1", {"input": [3e38, 3e38], "target": [0.0, 0.0]}, "float32", reduction="mean")
    assert found["value"].high[0] < FORMATS["float32"].max
    assert found["value"].overflow_tight[0]
    wide = numbers("l1", {"input": [3e38, 3e38], "target": [0.0, 0.0]}, "float64", reduction="mean")
    assert not wide["value"].overflow_tight[0]


@pytest.mark.parametrize(("var", "overflows"), [(0.404296875, True), (0.41015625, False)])
def test_an_intermediate_that_rounding_lifts_beyond_the_largest_is_flagged(var: float, overflows: bool) -> None:
    """The gradient by var is half of (103.46875 / var)², 65,496 or 63,639; float16 ends at 65,504."""
    inputs = {"input": [103.0], "target": [-0.46875], "var": [var]}
    assert numbers("gaussian_nll", inputs, "float16", reduction="none")["var"].overflow_tight[0] == overflows


def test_a_term_that_overflows_to_the_other_side_is_flagged() -> None:
    """(2.4e19)² overflows, so the derivative by the variance is -inf in one place, and 2e-39 in the two others."""
    inputs = {"input": [2.4e19, 0.0, 0.0], "target": [0.0, 0.0, 0.0]}
    each = numbers("gaussian_nll", inputs | {"var": [2.5e38, 2.5e38, 2.5e38]}, "float32", reduction="none")["var"]
    assert (np.sign(each.high).tolist(), each.overflow_other.tolist()) == ([[-1, 1, 1]], [[False, False, False]])
    shared = numbers("gaussian_nll", inputs | {"var": [2.5e38]}, "float32", reduction="none")["var"]
    assert (shared.high > 0).all()
    assert shared.overflow_other.all()
    near = numbers("gaussian_nll", inputs | {"input": [2.4e18, 0.0, 0.0], "var": [2.5e38]}, "float32", reduction="none")
    assert not near["var"].overflow_other.any()


def test_an_infinity_in_another_case_of_the_stack_hides_no_overflow() -> None:
    spec = spec_for("multi_margin")
    wide = {"input": [-0.3e308] + 3 * [0.3e308], "target": 0}  # the sum of 2·hinge overflows, a quarter of it does not
    cases = [make_case(spec, item, {"p": 2}, "float64") for item in (wide, {"input": [-INF, 0, 0, 0], "target": 0})]
    inputs = {name: np.stack([case.inputs[name] for case in cases]) for name in cases[0].inputs}
    both = Stack(spec.name, "float64", cases[0].layout, cases[0].parameters, inputs)
    alone, together = (evaluate_stack(spec, stack, ("input",))["input"] for stack in (Stack.of(cases[0]), both))
    assert alone.overflow_sound[0].tolist() == together.overflow_sound[0].tolist() == [True, False, False, False]


def test_a_value_beyond_float64_is_infinite() -> None:
    assert evaluate("mse", {"input": [1e200], "target": [0.0]}).value == INF


@pytest.mark.parametrize(
    ("criterion", "inputs", "output", "tight"),
    [
        ("mse", {"input": [1e200], "target": [0.0]}, "value", 0.0),  # whoever rounds, overflows
        ("mse", {"input": [math.inf], "target": [0.0]}, "value", 0.0),
        ("l1", {"input": [FORMATS["float64"].max], "target": [-(2.0**970)]}, "value", INF),  # the largest is near
        # Vectors of one or two times the smallest number: their norm, and so the sign of what is due, is any.
        ("cosine_embedding", {"input1": [1.0, 1.0], "input2": [1e-323, 5e-324], "target": 1}, "input2", INF),
    ],
)
def test_what_a_number_beyond_float64_may_be(criterion: str, inputs: Inputs, output: str, tight: float) -> None:
    found = numbers(criterion, inputs)[output]
    assert np.isinf(found.high).all()
    assert (found.tight == tight).all()
    assert (found.sound == tight).all()


# Stacks

OVERFLOWS = ("overflow_tight", "overflow_sound", "overflow_other")
BOUNDS = ("error", "tight", "sound", "below", "above")
FIELDS = ("high", "low", *BOUNDS, "certified", *OVERFLOWS)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_stack_in_one_pass_is_its_cases_one_by_one(criterion: str, dtype: str) -> None:
    spec = spec_for(criterion)
    for stack in list(stacks(spec, dtype, "quick"))[:5]:
        wrt = tuple(name for name in spec.differentiable if name in stack.inputs)
        whole = evaluate_stack(spec, stack, wrt)
        for k in {0, len(stack) - 1}:
            alone = evaluate_stack(spec, Stack.of(stack[k]), wrt)
            for name, item in alone.items():
                for field in FIELDS:
                    got, want = getattr(whole[name], field)[k], getattr(item, field)[0]
                    same(got, want, field, f"{name}.{field} of case {k}")


# What neighbours may be, made of a case's own numbers: at kinks, exact, vanishing, overflowing, infinite.
NEIGHBOURS: tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], ...] = (
    np.zeros_like,
    np.ones_like,
    lambda numbers: numbers * 1e-30,
    lambda numbers: numbers * 1e30,
    lambda numbers: np.where(numbers > 0, INF, numbers),
)
SCALES = (1.0, 1e10, 1e-12, 1e5)  # products of ordinary numbers do not come near overflow


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_no_number_depends_on_neighbours_however_far_off(criterion: str, dtype: str) -> None:
    spec = spec_for(criterion)
    for drawn, scale in zip(stacks(spec, dtype, "quick"), SCALES, strict=False):
        stack = of_floats(drawn.only(range(min(len(drawn), 3))), functools.partial(np.multiply, scale))
        wrt = tuple(name for name in spec.differentiable if name in stack.inputs)
        others = [of_floats(stack, change) for change in NEIGHBOURS]
        inputs = {name: np.concatenate([s.inputs[name] for s in (stack, *others)]) for name in stack.inputs}
        together = evaluate_stack(spec, replace(stack, inputs=inputs), wrt)
        for name, alone in evaluate_stack(spec, stack, wrt).items():
            for field in FIELDS:
                got = getattr(together[name], field)[: len(stack)]
                same(got, getattr(alone, field), field, f"{name}.{field}")


def same(got: Any, want: Any, field: str, place: str) -> None:
    """Number for number; bounds up to their own rounding, which is float64's or, beside far numbers, a long double's.
    A share of a thousandth at most depends on it: what running sums drift by is read from the terms' last digits."""
    is_bound = field in BOUNDS
    np.testing.assert_allclose(got, want, rtol=is_bound * 1e-3, atol=is_bound * 5e-324, err_msg=place)


def of_floats(stack: Stack, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Stack:
    """The stack with other floating inputs, rounded to its dtype."""
    floats = {name: change(a.astype(np.float64)) for name, a in stack.inputs.items() if a.dtype.kind not in "iub"}
    return replace(stack, inputs={**stack.inputs, **in_dtype(floats, stack.dtype)})


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("far", [2, 40, 2**36])
def test_a_score_far_below_may_be_on_a_level_within_its_own_rounding(dtype: str, far: int) -> None:
    """Two inner products that differ by less than the larger's last place: an implementation sees them tied, and shares
    out evenly what mathematics gives to one, however small the other's exponential."""
    size = 2.0 ** (FORMATS[dtype].digits + 2) * far
    anchor = np.array([[0.0, 0, 0], [0, 0, 0], [1, 1, 1]])
    positive = np.array([[0.0, size, 0], [far, 0, size], [0, 0, 0]])
    case = make_case(
        spec_for("npair"), {"anchor": anchor, "positive": positive, "target": np.arange(3)}, {"l2_reg": 0.0}, dtype
    )
    case = replace(case, inputs=in_dtype(case.inputs, dtype))
    numbers = evaluate_stack(spec_for("npair"), Stack.of(case), ("anchor", "positive"), project=True, quickly=True)
    tied = {"anchor": (np.array([far, size, size]) / 2 / 3), "positive": np.array([1, 1, 1]) / 2 / 3}
    for name, row in (("anchor", 2), ("positive", 0)):
        found = numbers[name]
        assert np.all(abs(tied[name] - found.high[0, row]) <= found.tight[0, row]), name


@pytest.mark.parametrize(
    ("criterion", "kind"), [("triplet_margin", {"p": 2}), ("triplet_margin_with_distance", {"distance": "euclidean"})]
)
def test_a_norm_in_units_of_its_largest_component_is_sound_where_its_slope_underflows(
    criterion: str, kind: dict[str, Any]
) -> None:
    """The slope, 0.25, is multiplied by the largest component before it is divided: 1.4e-6 has few bits in float16."""
    spec, rows = spec_for(criterion), np.zeros((4, 3))
    anchor, negative = rows.copy(), np.full((4, 3), 0.0078125)
    anchor[0] = [float.fromhex(x) for x in ("0x1.ca4p-8", "0x1.3acp-7", "0x1.6p-10")]
    negative[0] = [float.fromhex(x) for x in ("0x1.c9cp-8", "0x1.2p-9", "0x1.474p-7")]
    given = {**kind, "eps": 0, "margin": 1, "reduction": "mean", "swap": False}
    case = make_case(spec, {"anchor": anchor, "positive": rows, "negative": negative}, given, "float16")
    found = evaluate_stack(spec, Stack.of(case), ("negative",))["negative"]
    answered = 0.00016546249389648438  # by the printed code in tensorflow; 0.00016754 is right
    error = abs(found.high[0, 0, 0] - answered)
    assert found.tight[0, 0, 0] < error < found.sound[0, 0, 0] < 10 * error


def test_a_ctc_fused_with_a_softmax_may_round_the_differences_of_its_scores() -> None:
    """One frame, one label: the gradient is the softmax without 1 at the label. Its x - max(x), -49.79, has an ulp of
    2^-47, half of which is 16 of a power of e."""
    scores = np.array([float.fromhex(x) for x in ("-0x1.cp+5", "-0x1.0c3ecd940d76cp-7", "-0x1.8e5f432c48498p+5")])
    spec, given = spec_for("ctc"), {"targets": [[1]], "input_lengths": [1], "target_lengths": [1]}
    case = make_case(spec, {"log_probs": scores.reshape(1, 1, 3), **given}, {"reduction": "sum"}, "float64")
    found = evaluate_stack(spec, Stack.of(case), ("log_probs",), project=True)["log_probs"]
    shares = np.exp(scores - scores.max())
    answered = (shares / shares.sum() - [0, 1, 0]).reshape(1, 1, 1, 3)
    assert found.modulo is not None
    high, low, _ = found.modulo(answered)
    error = abs((high - found.high) + (low - found.low))
    assert 10 * np.spacing(found.high[0, 0, 0, 2]) < error[0, 0, 0, 2] < found.sound[0, 0, 0, 2]
    assert np.all(error <= found.sound)
