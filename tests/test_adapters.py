"""The torch adapter: it keeps the protocol, translates, and adds nothing. And how adapters are found."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from conformance import Adapter, Call, Unsupported, load_adapter
from conformance._resources import built_in
from conformance.adapter.load import is_built_in
from conformance.errors import AdapterError

Arrays = dict[str, np.ndarray[Any, Any]]

SHAPE = (3, 4)
RNG = np.random.Generator(np.random.Philox(0))
LABELS = np.array([1, 0, 3])
SIGNS = np.array([1.0, -1.0, 1.0])
LOG_PROBS = np.log(RNG.dirichlet(np.ones(4), size=(5, 2)))


def real(*shape: int) -> np.ndarray[Any, Any]:
    return np.asarray(RNG.uniform(0.125, 0.875, shape))


def pair(**more: np.ndarray[Any, Any]) -> Arrays:
    return {"input": real(*SHAPE), "target": real(*SHAPE), **more}


# criterion: inputs, every parameter, and the names it has gradients for
CASES: dict[str, tuple[Arrays, dict[str, Any], str]] = {
    "l1": (pair(), {}, "input target"),
    "mse": (pair(), {}, "input target"),
    "smooth_l1": (pair(), {"beta": 0.5}, "input target"),
    "huber": (pair(), {"delta": 0.5}, "input target"),
    "cross_entropy": (
        {"input": real(*SHAPE), "target": LABELS, "weight": real(4)},
        {"ignore_index": 3, "label_smoothing": 0.25},
        "input",
    ),
    "soft_cross_entropy": (pair(weight=real(4)), {"label_smoothing": 0.25}, "input target weight"),
    "bce": (pair(weight=real(*SHAPE)), {}, "input target"),
    "bce_with_logits": (pair(weight=real(*SHAPE), pos_weight=real(4)), {}, "input target"),
    "kl_div": (pair(), {"log_target": True}, "input target"),
    "cosine_embedding": (
        {"input1": real(*SHAPE), "input2": real(*SHAPE), "target": SIGNS},
        {"margin": 0.25},
        "input1 input2",
    ),
    "triplet_margin": (
        {"anchor": real(*SHAPE), "positive": real(*SHAPE), "negative": real(*SHAPE)},
        {"margin": 1.0, "p": 3.0, "eps": 1e-6, "swap": True},
        "anchor positive negative",
    ),
    "margin_ranking": (
        {"input1": real(3), "input2": real(3), "target": SIGNS},
        {"margin": 0.25},
        "input1 input2 target",
    ),
    "hinge_embedding": ({"input": real(3), "target": SIGNS}, {"margin": 1.0}, "input"),
    "multilabel_margin": ({"input": real(1, 4), "target": np.array([[3, 0, -1, 1]])}, {}, "input"),
    "soft_margin": ({"input": real(3), "target": SIGNS}, {}, "input"),
    "multilabel_soft_margin": (pair(weight=real(4)), {}, "input target weight"),
    "multi_margin": ({"input": real(*SHAPE), "target": LABELS, "weight": real(4)}, {"p": 2, "margin": 1.0}, "input"),
    "ctc": (
        {
            "log_probs": LOG_PROBS,
            "targets": np.array([[1, 2], [3, 3]]),
            "input_lengths": np.array([5, 4]),
            "target_lengths": np.array([2, 1]),
        },
        {"blank": 0, "zero_infinity": False},
        "log_probs",
    ),
    "nll": ({"input": real(*SHAPE), "target": LABELS, "weight": real(4)}, {"ignore_index": 3}, "input"),
    "nll_2d": ({"input": real(2, 4, 2, 1), "target": np.array([[[0], [1]], [[2], [3]]])}, {"ignore_index": 3}, "input"),
    "poisson_nll": (pair(), {"log_input": False, "full": True, "eps": 1e-8}, "input target"),
    "gaussian_nll": (pair(var=real(*SHAPE)), {"full": True, "eps": 1e-6}, "input target var"),
}


def call_of(criterion: str, dtype: str = "float64", reduction: str = "none", **more: Any) -> Call:
    inputs, parameters, wrt = CASES[criterion]
    cast = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in inputs.items()}
    return Call(criterion, cast, {**parameters, "reduction": reduction}, dtype, wrt=tuple(wrt.split()), **more)


def l1(**inputs: Any) -> Call:
    return Call("l1", inputs, {"reduction": "none"}, str(inputs["input"].dtype), wrt=("input", "target"))


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    pytest.importorskip("torch")
    return load_adapter("torch")


def test_it_keeps_the_protocol(adapter: Adapter) -> None:
    assert isinstance(adapter, Adapter)
    assert adapter.name == "torch"
    environment = adapter.environment()
    assert list(environment.versions) == ["torch"]
    assert environment.devices[0] == "cpu"
    assert {"float64", "float32"} <= set(environment.dtypes)
    assert environment.modes[:3] == ("eager", "formula", "module")
    assert (environment.same, environment.costly) == (("module",), ("compiled",))
    assert environment.details["threads"] == "1"
    assert environment.details["flush denormal"] == "false"
    assert not environment.flushes_subnormals


def test_it_binds_every_criterion_to_a_function_that_exists(adapter: Adapter) -> None:
    import torch.nn.functional as F

    for criterion in CASES:
        binding = adapter.binding(criterion)
        assert binding is not None
        assert hasattr(F, binding.function.removeprefix("torch.nn.functional."))
    assert adapter.binding("dice") is None


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss:UserWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("criterion", CASES)
def test_it_answers_what_torch_answers(adapter: Adapter, criterion: str, reduction: str, dtype: str) -> None:
    import torch

    call = call_of(criterion, dtype, reduction)
    before = {name: array.copy() for name, array in call.inputs.items()}
    output = adapter.run(call)

    binding = adapter.binding(criterion)
    assert binding is not None
    tensors = {name: torch.tensor(array, requires_grad=name in call.wrt) for name, array in call.inputs.items()}
    function = getattr(torch.nn.functional, binding.function.rpartition(".")[2])
    value = function(**tensors, **call.parameters)
    value.sum().backward()

    assert output.value.dtype == dtype
    np.testing.assert_array_equal(output.value, value.detach().numpy())
    assert tuple(output.gradients) == call.wrt
    for name, gradient in output.gradients.items():
        assert gradient.dtype == dtype
        assert gradient.shape == call.inputs[name].shape
        np.testing.assert_array_equal(gradient, tensors[name].grad.numpy())
    for name, array in call.inputs.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("criterion", CASES)
def test_its_gradients_are_all_that_torch_has(adapter: Adapter, criterion: str) -> None:
    binding = adapter.binding(criterion)
    assert binding is not None
    assert binding.gradients is not None
    inputs, _, wrt = CASES[criterion]
    assert [name for name in binding.gradients if name in inputs] == wrt.split()
    for name in set(inputs) - set(binding.gradients):
        call = call_of(criterion)
        with pytest.raises((Unsupported, RuntimeError)):
            adapter.run(Call(criterion, call.inputs, call.parameters, call.dtype, wrt=(name,)))


def test_the_cosine_of_rows_is_asked_for_by_torchs_names(adapter: Adapter) -> None:
    import torch

    x, y = real(*SHAPE), real(*SHAPE)
    given = {"input1": x, "input2": y}, {"eps": 0.5, "negative": False}
    call = Call("cosine_similarity", *given, "float64", wrt=("input1", "input2"))
    output = adapter.run(call)
    tensors = [torch.tensor(array, requires_grad=True) for array in (x, y)]
    value = torch.nn.functional.cosine_similarity(*tensors, dim=1, eps=0.5)
    value.sum().backward()
    np.testing.assert_array_equal(output.value, value.detach().numpy())
    for tensor, gradient in zip(tensors, output.gradients.values(), strict=True):
        np.testing.assert_array_equal(gradient, tensor.grad.numpy())
    assert "cosine_similarity(x1=input1, x2=input2, dim=-1, eps=0.5)" in adapter.script(call)  # type: ignore[attr-defined]
    with pytest.raises(Unsupported, match="not its negative"):
        adapter.run(replace(call, parameters={"eps": 0.5, "negative": True}))


def test_it_gives_only_the_gradients_asked_for(adapter: Adapter) -> None:
    inputs, parameters, _ = CASES["l1"]
    assert adapter.run(Call("l1", inputs, parameters, "float64")).gradients == {}
    assert list(adapter.run(Call("l1", inputs, parameters, "float64", wrt=("target",))).gradients) == ["target"]


def test_it_takes_rank_zero_and_empty_inputs(adapter: Adapter) -> None:
    output = adapter.run(l1(input=np.array(3.0), target=np.array(1.0)))
    assert (output.value.shape, output.value.item()) == ((), 2.0)
    assert (output.gradients["input"].shape, output.gradients["target"].item()) == ((), -1.0)
    output = adapter.run(l1(input=np.zeros((0, 2)), target=np.zeros((0, 2))))
    assert output.value.shape == output.gradients["input"].shape == (0, 2)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda x: np.asfortranarray(x), id="column by column"),
        pytest.param(lambda x: np.repeat(x, 2, axis=1)[:, ::2], id="every other"),
        pytest.param(lambda x: np.flip(np.flip(x).copy()), id="backwards"),
        pytest.param(lambda x: np.broadcast_to(x[:1], SHAPE), id="broadcast, read-only"),
    ],
)
def test_strides_do_not_matter(adapter: Adapter, view: Any) -> None:
    input, target = view(real(*SHAPE)), view(real(*SHAPE))
    got, plain = adapter.run(l1(input=input, target=target)), adapter.run(l1(input=input.copy(), target=target.copy()))
    np.testing.assert_array_equal(got.value, plain.value)
    np.testing.assert_array_equal(got.gradients["input"], plain.gradients["input"])


def test_it_passes_bfloat16_bit_by_bit(adapter: Adapter) -> None:
    input = np.array([1.5, -2.0, np.inf], dtype=ml_dtypes.bfloat16)
    output = adapter.run(l1(input=input, target=np.zeros(3, dtype=ml_dtypes.bfloat16)))
    assert output.value.dtype == output.gradients["input"].dtype == input.dtype
    assert output.value.tolist() == [1.5, 2.0, np.inf]
    assert output.gradients["input"].tolist() == [1.0, -1.0, 1.0]


def test_what_torch_does_not_offer_is_unsupported(adapter: Adapter) -> None:
    with pytest.raises(Unsupported, match="no function for dice"):
        adapter.run(Call("dice", {}, {}, "float64"))
    with pytest.raises(Unsupported, match="torch runs eager"):
        adapter.run(call_of("l1", mode="traced"))
    with pytest.raises(Unsupported, match="torch runs eager"):
        adapter.run(call_of("l1", device="tpu"))
    with pytest.raises(Unsupported, match=r"not implemented for 'Half'"):
        adapter.run(call_of("ctc", "float16"))
    call = call_of("cross_entropy")
    with pytest.raises(Unsupported, match="not differentiable with respect to argument 'weight'"):
        adapter.run(Call("cross_entropy", call.inputs, call.parameters, "float64", wrt=("weight",)))


def test_what_torch_raises_is_its_own(adapter: Adapter) -> None:
    inputs = {"input": real(1, 2), "target": np.array([2])}
    with pytest.raises(IndexError, match="out of bounds"):
        adapter.run(Call("cross_entropy", inputs, {}, "float64"))
    call = call_of("hinge_embedding")
    for wrt in (("target",), ("input", "target")):
        with pytest.raises(RuntimeError, match="no gradient for 'target'"):
            adapter.run(Call(call.criterion, call.inputs, call.parameters, call.dtype, wrt=wrt))


def test_the_built_in_adapters_are_found_beside_the_package() -> None:
    assert {"numpy", "torch"} <= set(built_in())


def test_the_adapter_does_not_shadow_its_framework(adapter: Adapter) -> None:
    import torch

    assert type(adapter).__module__ == "conformance.adapters.torch"
    assert torch.__name__ == "torch"


def test_loading_an_adapter_needs_numpy_and_its_framework_only(tmp_path: Path) -> None:
    mine = "class Mine:\n    name = 'mine'\n    environment = binding = run = None\n"
    (tmp_path / "mine.py").write_text("from conformance import Call, Output, Unsupported\n" + mine)
    heavy = ["hypothesis", "pydantic", "pytest", "ruamel", "flint", "numpy_quaddtype", "jinja2", "torch"]
    check = f"import sys, conformance; conformance.load_adapter('mine:Mine'); print(*set(sys.modules) & set({heavy}))"
    done = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_such_framework", "there is no framework 'no_such_framework'; there are: .*numpy, .*torch"),
        ("no_such_module:Mine", "there is no module 'no_such_module'"),
        ("conformance.errors:Mine", "has no 'Mine'"),
        ("keras:mxnet", "keras has no variant 'mxnet'; it has torch, jax, tensorflow"),
        ("torch:Mine", "module 'torch' has no 'Mine'"),
        ("conformance.errors:Fault", "cannot be constructed"),
        ("conformance.errors:ConformanceError", "is not an adapter: it has no name, environment, binding, run"),
    ],
)
def test_an_adapter_that_cannot_be_loaded_says_why(name: str, sentence: str) -> None:
    with pytest.raises(AdapterError, match=sentence):
        load_adapter(name)


def test_a_framework_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "conformance.adapters.torch", raising=False)
    with pytest.raises(AdapterError, match="'torch' is not installed here"):
        load_adapter("torch")


def test_a_variant_of_a_built_in_adapter_is_no_class_of_a_module() -> None:
    assert all(map(is_built_in, ("keras", "keras:torch", "torch")))
    assert not any(map(is_built_in, ("keras:Mine", "torch:torch", "mine", "mine:Mine")))


def test_a_variant_whose_framework_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(AdapterError, match="'keras:torch' was asked for, but 'keras' is not installed here"):
        load_adapter("keras:torch")
