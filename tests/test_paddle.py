"""The paddle adapter: functions are called as their documentation says, and what is left out says so."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Harmful, Unsupported, load_adapter
from conformance._resources import built_in
from conformance.recipe import DIALECTS, recipe
from conformance.spec import spec_for
from conformance.suite.calls import Problem, run_call
from conformance.verdict.compare import ERROR
from tests.calls import call_of, check_formula, formula_edges, is_imported_unasked


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    pytest.importorskip("paddle")
    return load_adapter("paddle")


def test_it_keeps_the_protocol(adapter: Adapter) -> None:
    environment = adapter.environment()
    assert isinstance(adapter, Adapter)
    assert list(environment.versions) == ["paddlepaddle"]
    assert environment.dtypes == ("float64", "float32")
    assert environment.modes == ("eager", "formula")
    assert environment.dialect == "paddle"
    assert environment.details["flush denormal"] == str(environment.flushes_subnormals).lower()


def test_it_binds_functions_that_exist(adapter: Adapter) -> None:
    import paddle.nn.functional as F

    for criterion in sys.modules[type(adapter).__module__].FUNCTIONS:
        binding = adapter.binding(criterion)
        assert binding is not None
        function = getattr(F, binding.function.removeprefix("paddle.nn.functional."))
        for difference in binding.differences:
            assert difference.sentence in " ".join(function.__doc__.split())
    assert adapter.binding("hinge") is None


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_gradients_are_of_the_dtype(adapter: Adapter, dtype: str) -> None:
    inputs = {"input": np.array([3.0, -2.0]), "target": np.array([1.0, 2.0])}
    output = adapter.run(call_of("mse", inputs, dtype, wrt=("target", "input"), cotangent=np.array([0.5, 1], dtype)))
    assert {output.value.dtype, *(item.dtype for item in output.gradients.values())} == {np.dtype(dtype)}
    assert output.value.tolist() == [4, 16]
    assert {name: item.tolist() for name, item in output.gradients.items()} == {"target": [-2, 8], "input": [2, -8]}


def test_the_two_forms_of_smooth_l1_loss(adapter: Adapter) -> None:
    inputs = {"input": np.array([4.0]), "target": np.array([0.0])}
    assert adapter.run(call_of("huber", inputs, parameters={"delta": 2})).value.tolist() == [6]
    assert adapter.run(call_of("smooth_l1", inputs, parameters={"beta": 2})).value.tolist() == [3]


def test_a_gradient_that_paddle_does_not_give_is_left_out(adapter: Adapter) -> None:
    inputs = {"input": np.array([1.0]), "target": np.array([0.0]), "var": np.array([1.0])}
    call = call_of("gaussian_nll", inputs, parameters={"full": False, "eps": 1e-6}, wrt=("input", "var"))
    assert adapter.run(call).gradients.keys() == {"input"}


@pytest.mark.parametrize("criterion", ["cross_entropy", "soft_cross_entropy"])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2)])
def test_the_class_axis_is_the_second(adapter: Adapter, criterion: str, shape: tuple[int, ...]) -> None:
    rng = np.random.Generator(np.random.Philox(0))
    scores, labels = rng.uniform(-4, 4, shape), rng.integers(0, 4, (3, *shape[2:]))
    chosen = np.moveaxis(np.eye(4)[labels], -1, 1)
    target = labels if criterion == "cross_entropy" else chosen
    parameters = {"label_smoothing": 0.0, **({"ignore_index": -100} if criterion == "cross_entropy" else {})}
    output = adapter.run(call_of(criterion, {"input": scores, "target": target}, parameters=parameters, wrt=("input",)))
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(output.value, -np.log((shares * chosen).sum(1)), rtol=1e-13)
    np.testing.assert_allclose(output.gradients["input"], shares - chosen, rtol=1e-13)


def test_smoothed_losses_lose_the_axis_that_paddle_leaves_behind(adapter: Adapter) -> None:
    call = call_of("cross_entropy", {"input": np.zeros((3, 4)), "target": [0, 1, 2]}, parameters={
        "ignore_index": -100, "label_smoothing": 0.5
    })  # fmt: skip
    assert adapter.run(call).value.shape == (3,)


@pytest.mark.parametrize(("spec", "edge"), list(formula_edges()))
def test_printed_code_meets_every_edge_case(adapter: Adapter, spec: Any, edge: Any) -> None:
    check_formula(adapter, spec, edge)


def printed(helper: str, criterion: str) -> Any:
    """A helper of the printed code, run as it is printed."""
    namespace: dict[str, Any] = {}
    exec(recipe(spec_for(criterion), DIALECTS["paddle"]), namespace)
    return namespace[helper]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_printed_exp_goes_down_to_0(adapter: Adapter, dtype: str) -> None:
    import paddle

    low, high = (-103.0, 88.7) if dtype == "float32" else (-745.0, 709.7)
    x = np.concatenate([np.linspace(low, high, 1001), [0.0, -np.inf, np.inf, np.nan, -4000.0]]).astype(dtype)
    given = paddle.to_tensor(x, stop_gradient=False)
    value = printed("_exp", "kl_div")(given)
    (slope,) = paddle.grad([value.sum()], [given])
    info = np.finfo(dtype)
    rtol, atol = 4 * float(info.eps), 2 * float(info.smallest_subnormal)
    np.testing.assert_allclose(value.numpy(), np.exp(x.astype(np.longdouble)).astype(dtype), rtol=rtol, atol=atol)
    np.testing.assert_allclose(slope.numpy(), value.numpy(), rtol=rtol, atol=atol)
    assert paddle.exp(paddle.full([16], -4000.0, dtype))[0] > 0


def test_numbers_keep_their_digits_and_small_differences_differ(adapter: Adapter) -> None:
    import paddle

    small = paddle.to_tensor(np.array([2.0**-60, 0.0]))
    assert (small == 0).tolist() == [True, True]
    assert printed("_equal", "ranking_softmax")(small, 0).tolist() == [False, True]
    three = paddle.to_tensor(np.array(3.0))
    assert (three**0.1).item() != 3.0**0.1
    assert printed("_power", "triplet_margin")(three, 0.1).item() == pytest.approx(3.0**0.1, rel=1e-15)
    assert [item.item() for item in printed("_pair", "triplet_margin")(three, 0.1)] == [3, 0.1]


def test_the_printed_expm1_has_the_slope_of_exp(adapter: Adapter) -> None:
    import paddle

    x = np.array([-9.0, -1.0, -0.5, 0.0, 0.5, 1.0, 9.0, -np.inf], np.float32)
    given = paddle.to_tensor(x, stop_gradient=False)
    value = printed("_expm1", "generalised_kl")(given)
    (slope,) = paddle.grad([value.sum()], [given])
    np.testing.assert_allclose(value.numpy(), np.expm1(x.astype(float)), rtol=4e-7)
    np.testing.assert_allclose(slope.numpy(), np.exp(x.astype(float)), rtol=4e-7)


def test_the_printed_log_has_a_slope_where_1_over_x_overflows(adapter: Adapter) -> None:
    import paddle

    x = paddle.to_tensor(np.array([2.0**-1074, 2.0**-10, 1.0, 8.0]), stop_gradient=False)
    own = paddle.grad([(0 * paddle.log(x)).sum()], [x])[0].tolist()
    value = printed("_log", "kl_div")(x)
    ours = paddle.grad([(0 * value).sum()], [x])[0].tolist()
    np.testing.assert_allclose(value.numpy(), np.log([2.0**-1074, 2.0**-10, 1, 8]), rtol=4e-16)
    assert np.isnan(own[0])
    assert ours == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("criterion", "inputs", "parameters"),
    [
        ("smooth_l1", {"input": [1.0], "target": [0.0]}, {"beta": 0}),
        ("poisson_nll", {"input": [1.0], "target": [0.0]}, {"eps": 0, "log_input": True, "full": False}),
        ("cosine_embedding", {"input1": [1.0], "input2": [1.0], "target": 1}, {"margin": 0}),
        ("l1", {"input": [1.0], "target": [1.0], "weight": [1.0]}, {}),
        ("cross_entropy", {"input": [0.0, 1.0], "target": 1}, {"label_smoothing": 0, "ignore_index": -100}),
        ("cross_entropy", {"input": [[0.0]], "target": [-100]}, {"label_smoothing": 0, "ignore_index": -100}),
        ("cross_entropy", {"input": [[0.0]], "target": [0]}, {"label_smoothing": 0.5, "ignore_index": 0}),
        ("soft_cross_entropy", {"input": [[0.0]], "target": [[1.0]], "weight": [1.0]}, {"label_smoothing": 0}),
        ("multi_margin", {"input": [0.0, 1.0], "target": 1}, {"p": 1, "margin": 1}),
        ("npair", {"anchor": [[1.0]], "positive": [[1.0]], "target": [0]}, {"l2_reg": 0, "reduction": "sum"}),
        ("cosine_similarity", {"input1": [1.0], "input2": [1.0]}, {"eps": 0, "negative": True}),
        (
            "triplet_margin_with_distance",
            {"anchor": [1.0], "positive": [1.0], "negative": [1.0]},
            {"distance": "cosine", "eps": 1e-6, "margin": 1, "swap": False},
        ),
        ("ctc", {}, {}),
    ],
)
def test_what_paddle_does_not_offer_is_unsupported(
    adapter: Adapter, criterion: str, inputs: dict[str, Any], parameters: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported):
        adapter.run(call_of(criterion, inputs, parameters=parameters))


def test_a_call_that_would_write_beyond_its_output_is_not_made_and_is_no_refusal(adapter: Adapter) -> None:
    inputs, parameters = {"input": [[2.0], [0.0]], "target": [-100, 0]}, {"ignore_index": -100, "reduction": "sum"}
    assert adapter.run(call_of("nll", inputs, parameters=parameters)).value == 0
    call = call_of("nll", {**inputs, "target": [0, -100]}, parameters=parameters)
    with pytest.raises(Harmful, match="writes beyond its output"):
        adapter.run(call)
    problem = run_call(adapter, call)
    assert isinstance(problem, Problem)
    assert (problem.severity, problem.refused, problem.died) == (ERROR, False, False)
    assert problem.text.startswith("not called: paddle.nn.functional.nll_loss writes")


def test_nothing_of_paddle_is_imported_before_it_is_asked_for() -> None:
    assert "paddle" in built_in()
    assert not is_imported_unasked("paddle")
