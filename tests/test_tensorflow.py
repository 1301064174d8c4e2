"""The tensorflow adapter: it translates, and gives tensorflow's own answers, in each mode; and runs formulas."""

from __future__ import annotations

import subprocess
import sys
import time
from fnmatch import fnmatch
from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Call, Unsupported, load_adapter
from conformance._resources import built_in, folder
from conformance.cases.case import DTYPES, in_dtype
from conformance.verdict.entries import read_known
from tests.calls import check_formula_by_reference, formula_answer
from tests.test_formula_code import POISON

RNG = np.random.Generator(np.random.Philox(0))
MODES = ("eager", "compiled", "xla")
Arrays = dict[str, np.ndarray[Any, Any]]


def real(*shape: int) -> np.ndarray[Any, Any]:
    return np.asarray(RNG.uniform(0.125, 0.875, shape))


PAIR = {"input": real(3, 4), "target": real(3, 4)}
WEIGHTED = {**PAIR, "weight": real(3, 4)}
LABELS = np.array([1, 0, 3])
CASES: dict[str, tuple[Arrays, dict[str, Any]]] = {
    "bce": (WEIGHTED, {}),
    "bce_with_logits": ({**PAIR, "pos_weight": real(4)}, {}),
    "cross_entropy": ({"input": real(3, 4), "target": LABELS}, {"ignore_index": -100, "label_smoothing": 0}),
    "ctc": (
        {
            "log_probs": real(5, 2, 4),
            "targets": np.array([[1, 2], [3, 99]]),  # 99 is padding
            "input_lengths": np.array([5, 4]),
            "target_lengths": np.array([2, 1]),
        },
        {"blank": 0, "zero_infinity": False},
    ),
    "huber": (WEIGHTED, {"delta": 0.25}),
    "l1": (WEIGHTED, {}),
    "mse": (WEIGHTED, {}),
    "poisson_nll": (PAIR, {"log_input": True, "full": True, "eps": 1e-8}),
}
V1 = ("bce", "huber", "l1", "mse")


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    pytest.importorskip("tensorflow")
    return load_adapter("tensorflow")


def call_of(adapter: Adapter, criterion: str, dtype: str = "float32", mode: str = "eager", **more: Any) -> Call:
    inputs, parameters = CASES[criterion]
    binding = adapter.binding(criterion)
    assert binding is not None
    assert binding.gradients is not None
    inputs = {**inputs, **more.pop("inputs", {})}
    parameters = {**parameters, "reduction": "none", **more.pop("parameters", {})}
    return Call(criterion, in_dtype(inputs, dtype), parameters, dtype, mode=mode, wrt=binding.gradients, **more)


def theirs(criterion: str, inputs: Arrays, reduction: str) -> Any:
    """What one writes in tensorflow."""
    import tensorflow as tf

    x = {name: tf.constant(array) for name, array in inputs.items()}
    v1 = tf.compat.v1.losses
    by_count = {"none": "none", "sum": "weighted_sum", "mean": "weighted_sum_over_batch_size"}[reduction]
    by_weight = {"none": "none", "sum": "weighted_sum", "mean": "weighted_mean"}[reduction]
    if criterion == "bce":
        return v1.log_loss(x["target"], x["input"], x["weight"], epsilon=0, reduction=by_count)
    if criterion == "huber":
        return v1.huber_loss(x["target"], x["input"], x["weight"], delta=0.25, reduction=by_count)
    if criterion == "l1":
        return v1.absolute_difference(x["target"], x["input"], x["weight"], reduction=by_weight)
    if criterion == "mse":
        return v1.mean_squared_error(x["target"], x["input"], x["weight"], reduction=by_weight)
    if criterion == "bce_with_logits":
        losses = tf.nn.weighted_cross_entropy_with_logits(x["target"], x["input"], x["pos_weight"])
    elif criterion == "cross_entropy":
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=x["target"], logits=x["input"])
    elif criterion == "poisson_nll":
        losses = tf.nn.log_poisson_loss(x["target"], x["input"], compute_full_loss=True)
    else:
        labels = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], tf.constant([1, 2, 3]), [2, 2])
        losses = tf.nn.ctc_loss(labels, x["log_probs"], None, tf.constant([5, 4]), blank_index=0)
    return {"none": tf.identity, "sum": tf.reduce_sum, "mean": tf.reduce_mean}[reduction](losses)


def test_it_keeps_the_protocol(adapter: Adapter) -> None:
    environment = adapter.environment()
    assert isinstance(adapter, Adapter)
    assert list(environment.versions) == ["tensorflow"]
    assert environment.devices[0] == "cpu"
    assert environment.modes == (*MODES, "formula")
    assert environment.dialect == "tensorflow"
    assert environment.compiles == ("compiled", "xla")
    assert environment.costly == ()
    assert environment.cotangents
    assert environment.details["threads"] == "1"
    assert isinstance(environment.flushes_subnormals, tuple)
    assert set(environment.flushes_subnormals) <= set(environment.dtypes)


def test_each_dtype_that_a_known_difference_speaks_of_has_a_witness() -> None:
    for item in read_known(folder("adapters") / "tensorflow.known.yaml"):
        spoken_of = {dtype for dtype in DTYPES for pattern in item.patterns if fnmatch(dtype, pattern.split("/")[4])}
        assert spoken_of == {witness.dtype for witness in item.witnesses}, item.id


def test_it_says_of_each_dtype_whether_it_flushes(adapter: Adapter) -> None:
    """float16 is computed in float32, where its subnormal numbers are normal ones."""
    flushed = adapter.environment().flushes_subnormals
    smallest = np.array(2.0**-24, np.float16)
    call = Call("cross_entropy", {"input": np.array([smallest, 0], np.float16), "target": np.array(0)}, {
        "ignore_index": -100, "label_smoothing": 0, "reduction": "none"
    }, "float16", wrt=("input",))  # fmt: skip
    assert np.isfinite(adapter.run(call).value)
    assert isinstance(flushed, tuple)
    assert "float16" not in flushed


def test_it_binds_functions_that_exist(adapter: Adapter) -> None:
    import operator

    import tensorflow as tf

    for criterion in CASES:
        binding = adapter.binding(criterion)
        assert binding is not None
        assert callable(operator.attrgetter(binding.function.removeprefix("tf."))(tf))
    assert adapter.binding("smooth_l1") is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("criterion", CASES)
def test_it_answers_what_tensorflow_answers(adapter: Adapter, criterion: str, reduction: str, mode: str) -> None:
    if (criterion, reduction) == ("ctc", "mean"):
        pytest.skip("another mean than tf.reduce_mean")
    if (criterion, mode) == ("ctc", "xla"):
        pytest.skip("XLA has no CTCLoss")
    call = call_of(adapter, criterion, mode=mode, parameters={"reduction": reduction})
    before = {name: array.copy() for name, array in call.inputs.items()}
    output = adapter.run(call)
    wanted = theirs(criterion, dict(call.inputs), reduction).numpy()
    assert output.value.dtype == np.float32
    assert output.value.shape == wanted.shape
    np.testing.assert_allclose(output.value, wanted, rtol=1e-5)
    assert tuple(output.gradients) == call.wrt
    for name, gradient in output.gradients.items():
        assert gradient.dtype == np.float32
        assert gradient.shape == call.inputs[name].shape
    for name, array in call.inputs.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("criterion", sorted({*CASES} - {"ctc", *V1}))
def test_gradients_are_those_of_the_sum_or_of_a_cotangent(adapter: Adapter, criterion: str, mode: str) -> None:
    plain = adapter.run(call_of(adapter, criterion, "float64", mode))
    seeds = RNG.uniform(0.5, 2, plain.value.shape)
    seeded = adapter.run(call_of(adapter, criterion, "float64", mode, cotangent=seeds))
    for name, gradient in plain.gradients.items():
        spread = seeds.reshape(seeds.shape + (1,) * (gradient.ndim - seeds.ndim))
        np.testing.assert_allclose(seeded.gradients[name], gradient * spread, rtol=1e-14)
        step = 2.0**-20
        moved = [
            adapter.run(call_of(adapter, criterion, "float64", mode, inputs={name: CASES[criterion][0][name] + by}))
            for by in (step, -step)
        ]
        slope = (moved[0].value.sum() - moved[1].value.sum()) / (2 * step)
        assert gradient.sum() == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("criterion", CASES)
def test_v1_answers_in_float32_and_the_others_in_the_dtype(adapter: Adapter, criterion: str, dtype: str) -> None:
    call = call_of(adapter, criterion, dtype)
    output = adapter.run(call)
    assert output.value.dtype == (np.float32 if criterion in V1 else DTYPES[dtype])
    assert {gradient.dtype for gradient in output.gradients.values()} == {np.dtype(DTYPES[dtype])}


def test_the_class_axis_is_the_second(adapter: Adapter) -> None:
    inputs = {"input": real(2, 4, 3), "target": np.array([[0, 1, 2], [3, 2, 1]])}
    found = adapter.run(call_of(adapter, "cross_entropy", "float64", inputs=inputs))
    assert found.value.shape == (2, 3)
    assert found.gradients["input"].shape == (2, 4, 3)
    x = inputs["input"]
    wanted = np.log(np.exp(x).sum(axis=1)) - np.take_along_axis(x, inputs["target"][:, None], 1)[:, 0]
    np.testing.assert_allclose(found.value, wanted, rtol=1e-14)


def test_a_weight_of_the_last_axis_alone_is_spread(adapter: Adapter) -> None:
    weight = real(4)
    found = adapter.run(call_of(adapter, "bce", inputs={"weight": weight}))
    full = adapter.run(call_of(adapter, "bce", inputs={"weight": np.broadcast_to(weight, (3, 4)).copy()}))
    np.testing.assert_array_equal(found.value, full.value)


@pytest.mark.parametrize(
    ("criterion", "changes", "said"),
    [
        ("l1", {"device": "tpu"}, "runs eager, compiled, xla, formula, on cpu"),
        ("l1", {"mode": "graph"}, "runs eager, compiled, xla, formula, on cpu"),
        ("l1", {"mode": "formula"}, "has no code for this framework"),
        ("cross_entropy", {"parameters": {"label_smoothing": 0.5}}, "no label_smoothing"),
        ("cross_entropy", {"inputs": {"weight": real(4)}}, "takes no weight"),
        ("cross_entropy", {"parameters": {"ignore_index": 3}}, "ignores no label"),
        ("bce_with_logits", {"inputs": {"weight": real(4)}}, "takes no weight"),
        ("poisson_nll", {"parameters": {"log_input": False}}, "no log_input"),
        ("poisson_nll", {"parameters": {"reduction": "product"}}, "no reduction 'product'"),
        ("ctc", {"parameters": {"zero_infinity": True}}, "no zero_infinity"),
        ("ctc", {"parameters": {"reduction": "mean"}}, "divides by no length"),
        ("ctc", {"inputs": {"target_lengths": np.array([3, 1])}}, "as many as there are"),
        ("ctc", {"inputs": {"log_probs": real(5, 4), "targets": LABELS}}, "takes a batch"),
    ],
)
def test_what_tensorflow_does_not_offer_is_unsupported(
    adapter: Adapter, criterion: str, changes: dict[str, Any], said: str
) -> None:
    changes = {key: dict(item) if isinstance(item, dict) else item for key, item in changes.items()}
    with pytest.raises(Unsupported, match=said):
        adapter.run(call_of(adapter, criterion, **changes))


def test_what_tensorflow_raises_is_its_own(adapter: Adapter) -> None:
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match="outside the valid range"):
        adapter.run(call_of(adapter, "cross_entropy", inputs={"target": np.array([4, 0, 0])}))
    with pytest.raises(ValueError, match="Invalid Reduction Key product"):
        adapter.run(call_of(adapter, "l1", parameters={"reduction": "product"}))
    with pytest.raises(ValueError, match="are incompatible"):
        adapter.run(call_of(adapter, "mse", inputs={"target": real(3, 5)}))


@pytest.mark.parametrize("mode", MODES[1:])
def test_numbers_are_traced_and_not_baked_in(adapter: Adapter, mode: str) -> None:
    before = adapter.compiling  # type: ignore[attr-defined]
    one = adapter.run(call_of(adapter, "huber", mode=mode, parameters={"delta": 0.375}))
    spent = adapter.compiling  # type: ignore[attr-defined]
    other = adapter.run(call_of(adapter, "huber", mode=mode, parameters={"delta": 0.125}))
    assert adapter.compiling == spent >= before  # type: ignore[attr-defined]
    assert (one.value != other.value).any()
    np.testing.assert_allclose(
        other.value, adapter.run(call_of(adapter, "huber", parameters={"delta": 0.125})).value, rtol=1e-6
    )


@pytest.mark.parametrize("mode", MODES[1:])
def test_the_time_of_a_new_shape_is_told_apart(adapter: Adapter, mode: str) -> None:
    before = adapter.compiling  # type: ignore[attr-defined]
    start = time.perf_counter()
    adapter.run(call_of(adapter, "mse", mode=mode, inputs={name: real(2, 29) for name in WEIGHTED}))
    assert 0 < adapter.compiling - before <= time.perf_counter() - start  # type: ignore[attr-defined]


def test_what_xla_has_no_kernel_for_is_unsupported_in_the_same_words_each_time(adapter: Adapter) -> None:
    for reduction in ("none", "sum"):
        with pytest.raises(Unsupported, match=r"^No registered 'CTCLoss' OpKernel for XLA_CPU_JIT devices$"):
            adapter.run(call_of(adapter, "ctc", mode="xla", parameters={"reduction": reduction}))


def test_an_expanded_input_and_one_backwards_are_what_they_hold(adapter: Adapter) -> None:
    for view in (np.broadcast_to(real(1, 4), (3, 4)), np.flip(real(3, 4))):
        found = adapter.run(call_of(adapter, "mse", inputs={"input": view}))
        plain = adapter.run(call_of(adapter, "mse", inputs={"input": view.copy()}))
        np.testing.assert_array_equal(found.value, plain.value)


@pytest.mark.parametrize("criterion", ["soft_margin", "cross_entropy", "multilabel_margin", "ctc", "nll_2d"])
def test_mode_formula_runs_the_printed_code(adapter: Adapter, criterion: str) -> None:
    """Gradients through tf.gather, too, which are no tensors but tf.IndexedSlices."""
    check_formula_by_reference(adapter, criterion)


@pytest.mark.parametrize("criterion", POISON)
def test_a_branch_that_is_not_taken_poisons_no_gradient(adapter: Adapter, criterion: str) -> None:
    inputs, parameters, by = POISON[criterion]
    found = formula_answer(adapter, criterion, inputs, (by,), **parameters, reduction="sum")
    assert not np.isnan(found.gradients[by]).any()


def test_loading_another_adapter_loads_no_tensorflow() -> None:
    assert "tensorflow" in built_in()
    check = "import sys, conformance; conformance.load_adapter('numpy'); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
