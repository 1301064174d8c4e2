"""The onnxruntime adapter: the operators' own answers, forward only, and one session for all shapes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Call, Unsupported, load_adapter
from conformance._resources import built_in
from conformance.cases.case import DTYPES, in_dtype
from tests.calls import is_imported_unasked

RNG = np.random.Generator(np.random.Philox(0))
SCORES = RNG.uniform(-4, 4, (3, 4))
LABELS = np.array([1, 0, 3])
CRITERIA = ("cross_entropy", "nll", "nll_2d")


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    return load_adapter("onnxruntime")


def call_of(criterion: str, dtype: str = "float64", **more: Any) -> Call:
    shape = (3, 4, 1, 1) if criterion == "nll_2d" else (3, 4)
    inputs = {"input": SCORES.reshape(shape), "target": LABELS.reshape((3, *shape[2:])), **more.pop("inputs", {})}
    parameters = {"ignore_index": -100, "reduction": "none", **more.pop("parameters", {})}
    if criterion == "cross_entropy":
        parameters = {"label_smoothing": 0, **parameters}
    return Call(criterion, in_dtype(inputs, dtype), parameters, dtype, mode="compiled", **more)


def exact(criterion: str) -> np.ndarray[Any, Any]:
    """The losses, in float64."""
    own = SCORES[np.arange(3), LABELS]
    return np.asarray(np.log(np.exp(SCORES).sum(1)) - own if criterion == "cross_entropy" else -own)


def test_it_keeps_the_protocol(adapter: Adapter) -> None:
    environment = adapter.environment()
    assert isinstance(adapter, Adapter)
    assert list(environment.versions) == ["onnxruntime", "onnx"]
    assert environment.devices == ("cpu",)
    assert environment.modes == ("compiled",)
    assert environment.compiles == ()
    assert not environment.cotangents
    assert environment.details["execution provider"] == "CPUExecutionProvider"
    assert environment.details["threads"] == "1"
    assert environment.details["flush denormal"] == str(environment.flushes_subnormals).lower()


def test_it_binds_operators_that_exist_and_offers_no_gradients(adapter: Adapter) -> None:
    from onnx import defs

    for criterion in CRITERIA:
        binding = adapter.binding(criterion)
        assert binding is not None
        assert binding.gradients == ()
        assert defs.has(binding.function.removeprefix("ai.onnx."))
    assert adapter.binding("l1") is None
    with pytest.raises(Unsupported, match="no gradients"):
        adapter.run(call_of("nll", wrt=("input",)))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_dtype_is_answered_in_itself(adapter: Adapter, criterion: str, dtype: str) -> None:
    call = call_of(criterion, dtype)
    value = adapter.run(call).value
    assert value.dtype == DTYPES[dtype]
    assert value.shape == call.inputs["target"].shape
    near = 16 * float(np.finfo(DTYPES[dtype]).eps)
    np.testing.assert_allclose(value.astype(np.float64).reshape(3), exact(criterion), rtol=near, atol=near)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_bfloat16_is_unsupported_in_onnxruntime_s_words(adapter: Adapter, criterion: str) -> None:
    with pytest.raises(Unsupported, match=r"Type Error: Type 'tensor\(bfloat16\)'"):
        adapter.run(call_of(criterion, "bfloat16"))


@pytest.mark.parametrize("criterion", ["cross_entropy", "nll"])
@pytest.mark.parametrize("ignore_index", [-100, 0])
def test_the_mean_is_by_the_weight_that_is_kept(adapter: Adapter, criterion: str, ignore_index: int) -> None:
    weight = np.array([1.0, 3.0, 5.0, 7.0])
    call = call_of(criterion, inputs={"weight": weight}, parameters={"reduction": "mean", "ignore_index": ignore_index})
    w = weight[LABELS] * (ignore_index != LABELS)
    assert float(adapter.run(call).value) == pytest.approx((w * exact(criterion)).sum() / w.sum(), rel=1e-14)


@pytest.mark.parametrize("criterion", ["cross_entropy", "nll"])
def test_an_ignored_label_costs_nothing_whatever_its_row_holds(adapter: Adapter, criterion: str) -> None:
    scores = SCORES.copy()
    scores[1] = np.nan
    call = call_of(criterion, inputs={"input": scores, "target": np.array([1, -100, 3])})
    np.testing.assert_allclose(adapter.run(call).value, exact(criterion) * [1, 0, 1], rtol=1e-14)


def test_ignore_index_is_left_out_where_it_is_the_default_and_no_label_has_it(adapter: Adapter) -> None:
    """The standard has a body of its own for that: a mean over nothing is 0 there, and NaN with the attribute."""
    nothing = {"input": np.zeros((0, 4)), "target": np.zeros(0, np.int64)}
    values = [
        float(adapter.run(call_of("nll", inputs=nothing, parameters={"reduction": "mean", "ignore_index": k})).value)
        for k in (-100, 1)
    ]
    assert values[0] == 0
    assert np.isnan(values[1])


def test_the_class_axis_is_the_second(adapter: Adapter) -> None:
    scores, labels = RNG.uniform(-4, 4, (2, 3, 4)), RNG.integers(0, 3, (2, 4))
    value = adapter.run(call_of("cross_entropy", inputs={"input": scores, "target": labels})).value
    own = np.take_along_axis(scores, labels[:, None], 1)[:, 0]
    np.testing.assert_allclose(value, np.log(np.exp(scores).sum(1)) - own, rtol=1e-13)


@pytest.mark.parametrize(
    ("criterion", "change"),
    [
        ("cross_entropy", {"parameters": {"label_smoothing": 0.1}}),
        ("cross_entropy", {"inputs": {"input": np.zeros(4), "target": np.array(1)}}),
        ("nll", {"inputs": {"input": np.zeros(4), "target": np.array(1)}}),
        ("nll", {"inputs": {"target": LABELS.astype(np.uint8)}}),
        ("nll", {"device": "cuda"}),
    ],
)
def test_what_the_operators_do_not_offer_is_unsupported(
    adapter: Adapter, criterion: str, change: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported):
        adapter.run(call_of(criterion, **change))


def test_what_onnxruntime_refuses_is_its_own_error(adapter: Adapter) -> None:
    with pytest.raises(Exception, match="Out of range value in index tensor"):
        adapter.run(call_of("nll", inputs={"target": np.array([1, 0, 4])}))
    with pytest.raises(Exception, match="Target rank must be 1 less"):
        adapter.run(call_of("nll", inputs={"target": LABELS[:, None]}))


def test_one_session_serves_all_shapes(adapter: Adapter) -> None:
    module = sys.modules[type(adapter).__module__]
    made = module._session.cache_info
    adapter.run(call_of("nll"))
    before = made().misses
    for n in (1, 2, 5):
        adapter.run(call_of("nll", inputs={"input": np.zeros((n, 7)), "target": np.zeros(n, np.int64)}))
    assert made().misses == before
    adapter.run(call_of("nll", inputs={"input": np.zeros((2, 7, 1, 1, 1)), "target": np.zeros((2, 1, 1, 1), np.int64)}))
    assert made().misses == before + 1


def test_a_script_comes_to_the_same(adapter: Adapter) -> None:
    call = call_of("cross_entropy", inputs={"weight": np.ones(4)}, parameters={"ignore_index": 3, "reduction": "sum"})
    lines = adapter.script(call)  # type: ignore[attr-defined]
    for name in ("input", "weight"):
        lines = lines.replace(f"${name}", str(call.inputs[name].tolist()))
    found: dict[str, Any] = {}
    exec(lines, found)
    assert found["got"] == float(adapter.run(call).value)


def test_nothing_of_onnxruntime_is_imported_before_it_is_asked_for() -> None:
    assert "onnxruntime" in built_in()
    assert not is_imported_unasked("onnx")
