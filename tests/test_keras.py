"""The keras adapter, on the backend that keras is set to (KERAS_BACKEND): it translates, and adds nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Call, Unsupported, load_adapter
from conformance._resources import built_in
from conformance.cases.case import DTYPES
from conformance.errors import AdapterError
from conformance.spec import spec_for
from tests.calls import call_of, check_formula_by_reference, formula_answer, is_imported_unasked
from tests.test_formula_code import POISON, SPECS

RNG = np.random.Generator(np.random.Philox(0))
Arrays = dict[str, np.ndarray[Any, Any]]


def real(*shape: int) -> np.ndarray[Any, Any]:
    return np.asarray(RNG.uniform(0.125, 0.875, shape))


LABELS = np.array([1, 0, 3])
PAIR = {"input": real(3, 4), "target": real(3, 4)}
WEIGHTED = {**PAIR, "weight": real(3, 4)}
SIGNS = {"input": real(3, 4), "target": RNG.choice([-1, 1], (3, 4))}
ONE_HOT = {"input": real(3, 4), "target": np.eye(4, dtype=np.int64)[LABELS]}
REGION = {"smooth": 0, "eps": 1e-7, "from_logits": False}
CASES: dict[str, tuple[Arrays, dict[str, Any]]] = {
    "bce": (WEIGHTED, {}),
    "bce_with_logits": (WEIGHTED, {}),
    "categorical_focal": (PAIR, {"alpha": 0.25, "gamma": 2.0, "label_smoothing": 0.1}),
    "categorical_hinge": (ONE_HOT, {}),
    "cosine_similarity": ({"input1": real(3, 4), "input2": real(3, 4)}, {"eps": 1e-7, "negative": True}),
    "cross_entropy": ({"input": real(3, 4), "target": LABELS}, {"ignore_index": -100, "label_smoothing": 0}),
    "ctc": (
        {
            "log_probs": real(5, 2, 4),
            "targets": np.array([[1, 2], [3, 3]]),
            "input_lengths": np.array([5, 4]),
            "target_lengths": np.array([2, 1]),
        },
        {"blank": 0, "zero_infinity": False},
    ),
    "dice": (PAIR, {**REGION, "squared": False}),
    "hinge": (SIGNS, {"zero_one": False}),
    "huber": (WEIGHTED, {"delta": 0.25}),
    "l1": (WEIGHTED, {}),
    "log_cosh": (PAIR, {}),
    "mape": (PAIR, {"eps": 1e-7, "scale": 100}),
    "mse": (WEIGHTED, {}),
    "msle": (PAIR, {"eps": 0.25}),
    "poisson_nll": (PAIR, {"log_input": False, "full": False, "eps": 0.125}),
    "sigmoid_focal": (PAIR, {"alpha": 0.25, "balanced": True, "gamma": 2.0}),
    "soft_cross_entropy": (PAIR, {"label_smoothing": 0.1}),
    "squared_hinge": (SIGNS, {"zero_one": False}),
    "tversky": (PAIR, {**REGION, "alpha": 0.25, "beta": 0.75}),
}


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    pytest.importorskip("keras")
    return load_adapter("keras")


def keras_call(criterion: str, dtype: str = "float32", **more: Any) -> Call:
    """One of CASES, with its gradient by what is predicted; `inputs` and `parameters` may say more."""
    inputs, parameters = CASES[criterion]
    inputs, parameters = {**inputs, **more.pop("inputs", {})}, {**parameters, **more.pop("parameters", {})}
    wrt = tuple(name for name in ("input", "input1", "log_probs") if name in inputs)
    return call_of(criterion, inputs, dtype, parameters=parameters, wrt=wrt, **more)


def theirs(call: Call) -> Any:
    """What one writes in keras."""
    import keras

    losses, x = keras.losses, {name: keras.ops.convert_to_tensor(array) for name, array in call.inputs.items()}
    true, pred = x.get("target"), x.get("input")
    each = {} if true is None or pred is None else {"y_true": true[..., None], "y_pred": pred[..., None]}
    of_class = {} if true is None or pred is None else {"y_true": true, "y_pred": pred}
    weight, p = x.get("weight"), call.parameters
    logits: dict[str, Any] = {"reduction": None, "from_logits": True}
    before = keras.config.epsilon()
    keras.config.set_epsilon(p.get("eps", before))
    try:
        return keras.ops.convert_to_numpy({
            "bce": lambda: losses.BinaryCrossentropy(reduction=None)(**each, sample_weight=weight),
            "bce_with_logits": lambda: losses.BinaryCrossentropy(**logits)(**each, sample_weight=weight),
            "categorical_focal": lambda: losses.CategoricalFocalCrossentropy(
                0.25, 2.0, label_smoothing=0.1, **logits)(**of_class),
            "categorical_hinge": lambda: losses.categorical_hinge(true, pred),
            "cosine_similarity": lambda: losses.cosine_similarity(x["input2"], x["input1"]),
            "cross_entropy": lambda: losses.sparse_categorical_crossentropy(true, pred, from_logits=True),
            "ctc": lambda: keras.ops.ctc_loss(
                x["targets"], keras.ops.swapaxes(x["log_probs"], 0, 1), x["target_lengths"], x["input_lengths"]),
            "dice": lambda: losses.dice(true, pred, axis=(1,)),
            "hinge": lambda: losses.Hinge(reduction=None)(**each),
            "huber": lambda: losses.Huber(0.25, reduction=None)(**each, sample_weight=weight),
            "l1": lambda: losses.MeanAbsoluteError(reduction=None)(**each, sample_weight=weight),
            "log_cosh": lambda: losses.LogCosh(reduction=None)(**each),
            "mape": lambda: losses.MeanAbsolutePercentageError(reduction=None)(**each),
            "mse": lambda: losses.MeanSquaredError(reduction=None)(**each, sample_weight=weight),
            "msle": lambda: losses.MeanSquaredLogarithmicError(reduction=None)(**each),
            "poisson_nll": lambda: losses.Poisson(reduction=None)(**each),
            "sigmoid_focal": lambda: losses.BinaryFocalCrossentropy(True, 0.25, 2.0, **logits)(**each),
            "soft_cross_entropy": lambda: losses.categorical_crossentropy(
                true, pred, from_logits=True, label_smoothing=0.1),
            "squared_hinge": lambda: losses.SquaredHinge(reduction=None)(**each),
            "tversky": lambda: losses.tversky(true, pred, 0.25, 0.75, axis=(1,)),
        }[call.criterion]())  # fmt: skip
    finally:
        keras.config.set_epsilon(before)


def test_it_keeps_the_protocol(adapter: Adapter) -> None:
    import keras

    environment = adapter.environment()
    backend = keras.backend.backend()
    assert isinstance(adapter, Adapter)
    assert adapter.name == f"keras:{backend}"
    assert list(environment.versions)[:2] == ["keras", backend]
    assert environment.modes == (("eager", "formula") if backend == "torch" else ("eager", "compiled", "formula"))
    assert ("formula" in environment.compiles) == (backend == "jax")
    assert environment.dialect == "keras"
    assert isinstance(environment.flushes_subnormals, tuple)
    assert environment.cotangents


def test_one_process_has_one_backend(adapter: Adapter) -> None:
    import keras

    here = keras.backend.backend()
    assert load_adapter(f"keras:{here}").name == adapter.name
    other = next(name for name in ("torch", "jax") if name != here)
    with pytest.raises(AdapterError, match=f"keras runs on {here} in this process"):
        load_adapter(f"keras:{other}")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # keras's convert_to_numpy, of torch
@pytest.mark.parametrize("criterion", CASES)
def test_it_answers_what_keras_answers(adapter: Adapter, criterion: str) -> None:
    import keras

    binding = adapter.binding(criterion)
    assert binding is not None
    for mode in adapter.environment().modes[:-1]:
        call = keras_call(criterion, mode=mode)
        output, wanted = adapter.run(call), theirs(call)
        assert output.value.dtype == np.float32
        assert output.value.shape == wanted.shape
        np.testing.assert_allclose(output.value, wanted, rtol=1e-5)
        (name,) = call.wrt
        assert output.gradients[name].shape == call.inputs[name].shape
        assert output.gradients[name].any()
    assert keras.config.epsilon() == 1e-7
    assert keras.config.floatx() == "float32"


@pytest.mark.parametrize("criterion", ["mse", "huber"])
def test_a_class_of_keras_reduces_and_weighs(adapter: Adapter, criterion: str) -> None:
    none, total, mean = (
        adapter.run(keras_call(criterion, parameters={"reduction": name})) for name in ("none", "sum", "mean")
    )
    assert float(total.value) == pytest.approx(float(none.value.sum()), rel=1e-6)
    divisor = float(WEIGHTED["weight"].sum()) if criterion == "mse" else 12  # by the weight, and by the count
    assert float(mean.value) == pytest.approx(float(none.value.sum()) / divisor, rel=1e-6)
    np.testing.assert_allclose(mean.gradients["input"], none.gradients["input"] / divisor, rtol=1e-5)


def test_a_weight_of_fewer_axes_is_spread(adapter: Adapter) -> None:
    weight = real(1)
    pair = {"input": real(3, 1), "target": real(3, 1)}
    found = adapter.run(keras_call("bce", inputs={**pair, "weight": weight}))
    full = adapter.run(keras_call("bce", inputs={**pair, "weight": np.broadcast_to(weight, (3, 1)).copy()}))
    np.testing.assert_array_equal(found.value, full.value)


def test_the_class_axis_is_the_second(adapter: Adapter) -> None:
    scores, labels = real(2, 3, 4), RNG.integers(0, 3, (2, 4))
    output = adapter.run(keras_call("cross_entropy", inputs={"input": scores, "target": labels}))
    own = np.take_along_axis(scores, labels[:, None], 1)[:, 0]
    np.testing.assert_allclose(output.value, np.log(np.exp(scores).sum(1)) - own, rtol=1e-5)
    assert output.gradients["input"].shape == scores.shape


def test_ignored_labels_count_for_nothing(adapter: Adapter) -> None:
    labels = np.array([1, -100, 3])
    none, mean = (
        adapter.run(keras_call("cross_entropy", inputs={"target": labels}, parameters={"reduction": name}))
        for name in ("none", "mean")
    )
    assert none.value[1] == 0
    assert not none.gradients["input"][1].any()
    assert float(mean.value) == pytest.approx(float(none.value.sum()) / 2, rel=1e-6)


def test_epsilon_is_the_spec_s_own(adapter: Adapter) -> None:
    far, near = (
        adapter.run(keras_call("mape", inputs={"target": np.full((3, 4), 0.25)}, parameters={"eps": eps}))
        for eps in (0.5, 1e-7)
    )
    np.testing.assert_allclose(near.value, 2 * far.value, rtol=1e-6)


def test_a_cotangent_weighs_the_gradients(adapter: Adapter) -> None:
    weights = np.asarray(RNG.uniform(1, 2, (3, 4)), np.float32)
    for mode in adapter.environment().modes[:-1]:
        plain = adapter.run(keras_call("huber", mode=mode))
        weighed = adapter.run(keras_call("huber", mode=mode, cotangent=weights))
        np.testing.assert_allclose(weighed.gradients["input"], weights * plain.gradients["input"], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_every_dtype_is_answered_in_itself(adapter: Adapter, dtype: str) -> None:
    output = adapter.run(keras_call("mse", dtype, parameters={"reduction": "sum"}))
    assert output.value.dtype == output.gradients["input"].dtype == DTYPES[dtype]


@pytest.mark.parametrize(
    ("criterion", "changes", "said"),
    [
        ("l1", {"device": "tpu"}, "on cpu here"),
        ("l1", {"mode": "xla"}, "runs eager"),
        ("l1", {"mode": "formula"}, "has no code for this framework"),
        ("l1", {"inputs": {name: real() for name in WEIGHTED}}, "takes a batch"),
        ("bce_with_logits", {"inputs": {"pos_weight": real(4)}}, "takes no pos_weight"),
        ("categorical_focal", {"inputs": {"weight": real(4)}}, "one number, or one for each class"),
        ("cosine_similarity", {"parameters": {"negative": False}}, "no negative of False"),
        ("cross_entropy", {"inputs": {"weight": real(4)}}, "takes no weight"),
        ("cross_entropy", {"parameters": {"label_smoothing": 0.5}}, "no label_smoothing of 0.5"),
        ("cross_entropy", {"inputs": {"input": real(4), "target": np.array(1)}}, "takes a batch"),
        ("ctc", {"parameters": {"reduction": "mean"}}, "divides by no length"),
        ("ctc", {"parameters": {"zero_infinity": True}}, "no zero_infinity"),
        ("dice", {"parameters": {"smooth": 1}}, "no smooth of 1"),
        ("mape", {"parameters": {"scale": 1}}, "no scale of 1"),
        ("poisson_nll", {"parameters": {"log_input": True}}, "no log_input of True"),
        ("tversky", {"parameters": {"from_logits": True}}, "no from_logits of True"),
    ],
)
def test_what_keras_does_not_offer_is_unsupported(
    adapter: Adapter, criterion: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Unsupported, match=said):
        adapter.run(keras_call(criterion, **changes))
    assert adapter.binding("smooth_l1") is adapter.binding("kl_div") is None


@pytest.mark.parametrize("criterion", SPECS)
def test_mode_formula_runs_the_printed_code(adapter: Adapter, criterion: str) -> None:
    """One case of each criterion, since jax compiles each; a run judges all of them."""
    check_formula_by_reference(adapter, criterion)


@pytest.mark.parametrize("criterion", POISON)
def test_a_branch_that_is_not_taken_poisons_no_gradient(adapter: Adapter, criterion: str) -> None:
    inputs, parameters, by = POISON[criterion]
    found = formula_answer(adapter, criterion, inputs, (by,), **parameters, reduction="sum")
    assert not np.isnan(found.gradients[by]).any()


def test_a_formula_of_an_empty_batch_is_answered(adapter: Adapter) -> None:
    """keras.ops.max refuses an array without elements, also where another axis is the empty one."""
    arrays = {"input": np.zeros((0, 3)), "target": np.zeros(0, np.int64)}
    found = formula_answer(adapter, "cross_entropy", arrays, ("input",), reduction="sum")
    assert found.value == 0
    assert found.gradients["input"].shape == (0, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_formula_of_scalars_is_of_their_dtype(adapter: Adapter, dtype: str) -> None:
    """Of a number beside them keras makes one of `floatx`: 1e-7 would be rounded, and float16 become float32."""
    arrays = {"input": np.array(1, DTYPES[dtype]), "target": np.array(0, DTYPES[dtype])}
    found = formula_answer(adapter, "mape", arrays, ("input",), dtype, eps=1e-7, reduction="none")
    assert found.value.dtype == found.gradients["input"].dtype == DTYPES[dtype]
    if dtype == "float64":
        assert float(found.value) == pytest.approx(spec_for("mape").params["scale"].default / 1e-7, rel=1e-15)


def test_an_input_that_the_code_does_not_look_at_has_the_gradient_0(adapter: Adapter) -> None:
    answer = formula_answer(adapter, "soft_cross_entropy", PAIR, ("target",), label_smoothing=1, reduction="sum")
    found = answer.gradients["target"]
    assert found.dtype == np.float64
    assert found.shape == (3, 4)
    assert not found.any()


def test_weights_of_the_classes_are_alpha(adapter: Adapter) -> None:
    weight = real(4)
    whole = adapter.run(keras_call("categorical_focal", inputs={"weight": weight}, parameters={"alpha": 1}))
    same = adapter.run(keras_call("categorical_focal", inputs={"weight": np.ones(4)}, parameters={"alpha": 1}))
    assert whole.value.shape == same.value.shape == (3,)
    assert (whole.value < same.value).all()


def test_what_keras_raises_is_its_own(adapter: Adapter) -> None:
    with pytest.raises(ValueError, match="Invalid value for argument `reduction`"):
        adapter.run(keras_call("l1", parameters={"reduction": "product"}))


def test_nothing_of_keras_is_imported_before_it_is_asked_for() -> None:
    assert "keras" in built_in()
    assert not any(name.startswith("_") for name in built_in())  # the modules beside it
    assert not is_imported_unasked("keras")
    code = "import sys, conformance.adapter.load as l; l.is_built_in('keras:jax'); sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
