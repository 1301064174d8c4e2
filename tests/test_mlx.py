"""The mlx adapter: functions are called as their documentation says, in all dtypes of the CPU, and nothing is added."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Unsupported, load_adapter
from conformance._resources import built_in
from conformance.cases.case import DTYPES
from conformance.recipe import DIALECTS, recipe
from conformance.spec import spec_for
from tests.calls import call_of, check_formula, formula_edges, is_imported_unasked

RNG = np.random.Generator(np.random.Philox(0))
SCORES = RNG.uniform(-4, 4, (3, 4))
LABELS = np.array([1, 0, 3])
CHOICE = {"ignore_index": -100, "label_smoothing": 0, "reduction": "none"}


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    pytest.importorskip("mlx")
    return load_adapter("mlx")


def test_it_keeps_the_protocol(adapter: Adapter) -> None:
    environment = adapter.environment()
    assert isinstance(adapter, Adapter)
    assert list(environment.versions) == ["mlx"]
    assert environment.modes == ("eager", "formula")
    assert environment.dialect == "mlx"
    assert environment.cotangents
    assert environment.details["flush denormal"] == str(environment.flushes_subnormals).lower()


def test_it_binds_functions_that_exist(adapter: Adapter) -> None:
    from mlx.nn import losses

    for criterion in sys.modules[type(adapter).__module__].FUNCTIONS:
        binding = adapter.binding(criterion)
        assert binding is not None
        assert callable(getattr(losses, binding.function.removeprefix("mlx.nn.losses.")))
    assert adapter.binding("ctc") is None


def test_what_it_documents_is_in_the_docstrings(adapter: Adapter) -> None:
    from mlx.nn import losses

    for criterion in sys.modules[type(adapter).__module__].FUNCTIONS:
        binding = adapter.binding(criterion)
        assert binding is not None
        said = " ".join(getattr(losses, binding.function.rpartition(".")[2]).__doc__.split())
        for difference in binding.differences:
            assert difference.sentence in said.replace(r"\text{inputs}", "inputs")


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_every_dtype_is_answered_in_itself(adapter: Adapter, dtype: str) -> None:
    inputs = {"input": np.array([3.0, -2.0]), "target": np.array([1.0, 2.0])}
    output = adapter.run(call_of("mse", inputs, dtype, wrt=("target", "input")))
    assert {output.value.dtype, *(item.dtype for item in output.gradients.values())} == {np.dtype(DTYPES[dtype])}
    assert output.value.tolist() == [4, 16]
    assert {name: item.tolist() for name, item in output.gradients.items()} == {"target": [-4, 8], "input": [4, -8]}


def test_a_cotangent_is_passed_on(adapter: Adapter) -> None:
    inputs = {"input": np.array([3.0, -2.0]), "target": np.array([1.0, 2.0])}
    call = call_of("mse", inputs, wrt=("input",), cotangent=np.array([0.5, -1.0]))
    assert adapter.run(call).gradients["input"].tolist() == [2, 8]


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2)])
def test_the_class_axis_is_the_second(adapter: Adapter, shape: tuple[int, ...]) -> None:
    scores, labels = RNG.uniform(-4, 4, shape), RNG.integers(0, 4, (3, *shape[2:]))
    own = np.take_along_axis(scores, labels[:, None], 1)[:, 0]
    value = adapter.run(call_of("cross_entropy", {"input": scores, "target": labels}, parameters=CHOICE)).value
    np.testing.assert_allclose(value, np.log(np.exp(scores).sum(1)) - own, rtol=1e-5)
    value = adapter.run(call_of("nll", {"input": scores, "target": labels}, parameters=CHOICE)).value
    np.testing.assert_array_equal(value, -own)


def test_kl_div_sums_over_an_axis_first(adapter: Adapter) -> None:
    x, t = RNG.uniform(-4, 0, (2, 3, 4))
    expected = (np.exp(t) * (t - x)).sum()
    for reduction, divisor in (("sum", 1), ("batchmean", 3)):
        call = call_of("kl_div", {"input": x, "target": t}, parameters={"log_target": True, "reduction": reduction})
        assert float(adapter.run(call).value) == pytest.approx(expected / divisor, rel=1e-5)


@pytest.mark.parametrize(
    ("criterion", "inputs", "parameters"),
    [
        ("bce", {"input": [[0.5], [0.5]], "target": [[1.0], [1.0]], "weight": [1.0]}, {}),
        ("cosine_similarity", {"input1": [1.0], "input2": [1.0]}, {"eps": 0, "negative": True}),
        ("cross_entropy", {"input": SCORES, "target": LABELS, "weight": np.ones(4)}, CHOICE),
        ("cross_entropy", {"input": SCORES, "target": LABELS}, {**CHOICE, "ignore_index": 3}),
        ("cross_entropy", {"input": SCORES, "target": LABELS}, {**CHOICE, "label_smoothing": 1}),
        ("hinge", {"input": [1.0], "target": [1]}, {"zero_one": True}),
        ("kl_div", {"input": SCORES, "target": SCORES}, {"log_target": False, "reduction": "sum"}),
        ("kl_div", {"input": SCORES, "target": SCORES}, {"log_target": True, "reduction": "mean"}),
        ("triplet_margin", dict.fromkeys(("anchor", "positive", "negative"), SCORES), {"swap": True}),
        ("l1", {"input": [1.0], "target": [1.0], "weight": [1.0]}, {}),
        ("ctc", {}, {}),
    ],
)
def test_what_mlx_does_not_offer_is_unsupported(
    adapter: Adapter, criterion: str, inputs: dict[str, Any], parameters: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported):
        adapter.run(call_of(criterion, inputs, parameters=parameters))


def test_a_variance_for_each_element_is_taken_whatever_the_shape(adapter: Adapter) -> None:
    one = {"input": [[1.0], [2.0]], "target": [[1.0], [2.0]], "var": [[1.0], [1.0]]}
    call = call_of("gaussian_nll", one, parameters={"full": False, "eps": 1e-6})
    assert adapter.run(call).value.tolist() == [[0], [0]]
    with pytest.raises(Unsupported):
        adapter.run(call_of("gaussian_nll", {**one, "var": [1.0, 1.0]}, parameters={"full": False, "eps": 1e-6}))


def test_shapes_that_do_not_fit_are_mlx_s_to_refuse(adapter: Adapter) -> None:
    with pytest.raises(ValueError, match="does not match"):
        adapter.run(call_of("mse", {"input": [1.0, 2.0], "target": [1.0]}))


@pytest.mark.parametrize(("spec", "edge"), list(formula_edges()))
def test_printed_code_meets_every_edge_case(adapter: Adapter, spec: Any, edge: Any) -> None:
    check_formula(adapter, spec, edge)


def printed(helper: str, criterion: str = "kl_div") -> Any:
    """A helper of the printed code, run as it is printed."""
    namespace: dict[str, Any] = {}
    exec(recipe(spec_for(criterion), DIALECTS["mlx"]), namespace)
    return namespace[helper]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_printed_exp_has_all_digits_and_its_own_slope(adapter: Adapter, dtype: str) -> None:
    import mlx.core as mx

    low, high = (-103.0, 88.7) if dtype == "float32" else (-745.0, 709.7)
    x = np.concatenate([np.linspace(low, high, 1001), [0.0, -np.inf, np.inf, np.nan]]).astype(dtype)
    with mx.stream(mx.cpu):
        given = mx.array(x, getattr(mx, dtype))
        (value,), (slope,) = mx.vjp(printed("_exp"), [given], [mx.ones_like(given)])
        value, slope = np.array(value), np.array(slope)
    expected = np.exp(x.astype(np.longdouble))
    info = np.finfo(dtype)
    np.testing.assert_allclose(
        value, expected.astype(dtype), rtol=4 * float(info.eps), atol=2 * float(info.smallest_subnormal)
    )
    np.testing.assert_array_equal(slope, value)


def test_the_printed_where_sends_nothing_to_the_branch_that_is_not_taken(adapter: Adapter) -> None:
    import mlx.core as mx

    with mx.stream(mx.cpu):
        taken, x = mx.array([True, False]), mx.array([2.0, 3.0])
        infinite = [mx.array([mx.inf, mx.inf])]
        (own,) = mx.vjp(lambda x: mx.where(taken, x, 1), [x], infinite)[1]
        (ours,) = mx.vjp(lambda x: printed("_where")(taken, x, 1), [x], infinite)[1]
    assert np.isnan(own.tolist()[1])
    assert ours.tolist() == [np.inf, 0]


def test_the_printed_quotient_squares_nothing(adapter: Adapter) -> None:
    import mlx.core as mx

    with mx.stream(mx.cpu):
        given = [mx.array([2.0**80]), mx.array([2.0**80])]
        own = mx.vjp(lambda x, y: x / y, given, [mx.ones((1,))])[1]
        ours = mx.vjp(printed("_divide", "gaussian_nll"), given, [mx.ones((1,))])[1]
    assert own[1].tolist() != [-(2.0**-80)]
    assert [item.tolist() for item in ours] == [[2.0**-80], [-(2.0**-80)]]


def test_nothing_of_mlx_is_imported_before_it_is_asked_for() -> None:
    assert "mlx" in built_in()
    assert not is_imported_unasked("mlx")
