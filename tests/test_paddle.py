"""The paddle adapter: functions are called as their documentation says, and what is left out says so."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Unsupported, load_adapter
from conformance.adapter.load import built_in
from tests.calls import call_of, is_imported_unasked


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    pytest.importorskip("paddle")
    return load_adapter("paddle")


def test_it_keeps_the_protocol(adapter: Adapter) -> None:
    environment = adapter.environment()
    assert isinstance(adapter, Adapter)
    assert list(environment.versions) == ["paddlepaddle"]
    assert environment.dtypes == ("float64", "float32")
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


@pytest.mark.parametrize(
    ("criterion", "inputs", "parameters"),
    [
        ("smooth_l1", {"input": [1.0], "target": [0.0]}, {"beta": 0}),
        ("poisson_nll", {"input": [1.0], "target": [0.0]}, {"eps": 0, "log_input": True, "full": False}),
        ("cosine_embedding", {"input1": [1.0], "input2": [1.0], "target": 1}, {"margin": 0}),
        ("l1", {"input": [1.0], "target": [1.0], "weight": [1.0]}, {}),
        ("ctc", {}, {}),
    ],
)
def test_what_paddle_does_not_offer_is_unsupported(
    adapter: Adapter, criterion: str, inputs: dict[str, Any], parameters: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported):
        adapter.run(call_of(criterion, inputs, parameters=parameters))


def test_nothing_of_paddle_is_imported_before_it_is_asked_for() -> None:
    assert "paddle" in built_in()
    assert not is_imported_unasked("paddle")
