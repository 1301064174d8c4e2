"""The jax adapter: optax's answers, eager and compiled; compiled formulas; and few shapes where each is compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Call, Unsupported, load_adapter
from conformance._resources import built_in
from conformance.cases.case import DTYPES, in_dtype
from tests.calls import check_formula_by_reference, formula_answer, is_imported_unasked
from tests.test_formula_code import POISON

RNG = np.random.Generator(np.random.Philox(0))
MODES = ("eager", "compiled")
Arrays = dict[str, np.ndarray[Any, Any]]


def real(*shape: int) -> np.ndarray[Any, Any]:
    return np.asarray(RNG.uniform(0.125, 0.875, shape))


PAIR = {"input": real(3, 4), "target": real(3, 4)}
SIGNS = np.array([[1, -1, 1, -1]] * 3)
LABELS = np.array([1, 0, 3])
CASES: dict[str, tuple[Arrays, dict[str, Any]]] = {
    "bce_with_logits": (PAIR, {}),
    "cosine_embedding": (
        {"input1": real(3, 4), "input2": real(3, 4), "target": np.ones(3, np.int64)},
        {"margin": 0.25},
    ),
    "cosine_similarity": ({"input1": real(3, 4), "input2": real(3, 4)}, {"eps": 1e-8, "negative": False}),
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
    "dice": (PAIR, {"smooth": 1.0, "eps": 0, "squared": False, "from_logits": True}),
    "generalised_kl": (PAIR, {}),
    "hinge": ({"input": real(3, 4), "target": SIGNS}, {"zero_one": False}),
    "huber": (PAIR, {"delta": 0.25}),
    "kl_div": (PAIR, {"log_target": False}),
    "log_cosh": (PAIR, {}),
    "mse": (PAIR, {}),
    "multiclass_hinge": ({"input": real(3, 4), "target": LABELS}, {}),
    "multiclass_perceptron": ({"input": real(3, 4), "target": LABELS}, {}),
    "multiclass_sparsemax": ({"input": real(3, 4), "target": LABELS}, {}),
    "nt_xent": ({"input": real(4, 3), "target": np.array([0, 0, 1, 1])}, {"temperature": 0.5, "reduction": "mean"}),
    "perceptron": ({"input": real(3, 4), "target": SIGNS}, {}),
    "poly_cross_entropy": (PAIR, {"epsilon": 2.0}),
    "ranking_softmax": ({**PAIR, "weight": real(3, 4), "mask": np.array([[1, 1, 0, 1]] * 3)}, {}),
    "sigmoid_focal": (PAIR, {"alpha": 0.25, "balanced": True, "gamma": 2.0}),
    "soft_cross_entropy": (PAIR, {"label_smoothing": 0}),
    "sparsemax": ({"input": real(3, 4), "target": (SIGNS + 1) // 2}, {}),
    "triplet_margin": (
        {name: real(3, 4) for name in ("anchor", "positive", "negative")},
        {"margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": False},
    ),
}


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    pytest.importorskip("optax")
    return load_adapter("jax")


def call_of(adapter: Adapter, criterion: str, dtype: str = "float32", mode: str = "eager", **more: Any) -> Call:
    inputs, parameters = CASES[criterion]
    binding = adapter.binding(criterion)
    assert binding is not None
    assert binding.gradients is not None
    inputs = {**inputs, **more.pop("inputs", {})}
    parameters = {"reduction": "none", **parameters, **more.pop("parameters", {})}
    return Call(criterion, in_dtype(inputs, dtype), parameters, dtype, mode=mode, wrt=binding.gradients, **more)


def test_it_keeps_the_protocol(adapter: Adapter) -> None:
    environment = adapter.environment()
    assert isinstance(adapter, Adapter)
    assert list(environment.versions) == ["optax", "jax", "jaxlib"]
    assert environment.devices[0] == "cpu"
    assert environment.modes == environment.compiles == (*MODES, "formula")
    assert environment.costly == ()
    assert environment.dialect == "jax"
    assert environment.cotangents
    assert not environment.flushes("float16")  # of which XLA makes float32 on the CPU
    told = " ".join(dtype for dtype in environment.dtypes if environment.flushes(dtype)) or "none"
    assert environment.details["flush denormal"] == f"eager {told}, compiled {told}"


def test_it_binds_functions_that_exist(adapter: Adapter) -> None:
    import optax

    for criterion in CASES:
        binding = adapter.binding(criterion)
        assert binding is not None
        assert callable(getattr(optax.losses, binding.function.removeprefix("optax.losses.")))
    assert adapter.binding("l1") is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("criterion", CASES)
def test_answers_have_the_shapes_and_the_dtype_due(adapter: Adapter, criterion: str, mode: str) -> None:
    call = call_of(adapter, criterion, mode=mode)
    output = adapter.run(call)
    assert output.value.dtype == np.float32
    assert output.value.shape == {
        "ctc": (2,),
        "cross_entropy": (3,),
        "cosine_embedding": (3,),
        "cosine_similarity": (3,),
        "dice": (3,),
        "multiclass_hinge": (3,),
        "multiclass_perceptron": (3,),
        "multiclass_sparsemax": (3,),
        "nt_xent": (),
        "poly_cross_entropy": (3,),
        "ranking_softmax": (3,),
        "soft_cross_entropy": (3,),
        "triplet_margin": (3,),
    }.get(criterion, (3, 4))
    assert {name: array.shape for name, array in output.gradients.items()} == {
        name: call.inputs[name].shape for name in call.wrt
    }
    assert all(array.dtype == np.float32 for array in output.gradients.values())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_every_dtype_is_computed_in_itself(adapter: Adapter, dtype: str, mode: str) -> None:
    import jax

    output = adapter.run(call_of(adapter, "mse", dtype, mode, parameters={"reduction": "mean"}))
    assert output.value.dtype == output.gradients["input"].dtype == DTYPES[dtype]
    assert not jax.config.jax_enable_x64  # float64 has it while it runs, and the caller's setting stays
    exact = float(((CASES["mse"][0]["input"] - CASES["mse"][0]["target"]) ** 2).mean())
    assert float(output.value) == pytest.approx(exact, rel=16 * float(np.finfo(np.float16).eps))


@pytest.mark.parametrize("mode", MODES)
def test_losses_are_reduced_by_the_array_s_own_methods(adapter: Adapter, mode: str) -> None:
    none, total, mean = (
        adapter.run(call_of(adapter, "huber", "float64", mode, parameters={"reduction": name}))
        for name in ("none", "sum", "mean")
    )
    assert float(total.value) == pytest.approx(none.value.sum(), rel=1e-15)
    assert float(mean.value) == pytest.approx(none.value.mean(), rel=1e-15)
    np.testing.assert_allclose(mean.gradients["input"], none.gradients["input"] / 12, rtol=1e-15)


def test_ignored_labels_are_a_mask(adapter: Adapter) -> None:
    labels = np.array([1, -100, 3])
    output, mean = (
        adapter.run(
            call_of(adapter, "cross_entropy", "float64", inputs={"target": labels}, parameters={"reduction": name})
        )
        for name in ("none", "mean")
    )
    assert output.value[1] == 0
    assert not output.gradients["input"][1].any()
    assert float(mean.value) == pytest.approx(output.value.sum() / 2, rel=1e-15)  # by the labels that are kept


def test_the_class_axis_is_the_second(adapter: Adapter) -> None:
    scores, labels = real(2, 3, 4), RNG.integers(0, 3, (2, 4))
    output = adapter.run(call_of(adapter, "cross_entropy", "float64", inputs={"input": scores, "target": labels}))
    own = np.take_along_axis(scores, labels[:, None], 1)[:, 0]
    np.testing.assert_allclose(output.value, np.log(np.exp(scores).sum(1)) - own, rtol=1e-14)


def test_the_class_axis_of_probabilities_is_the_second(adapter: Adapter) -> None:
    scores, shares = real(2, 3, 4), real(2, 3, 4)
    output = adapter.run(call_of(adapter, "soft_cross_entropy", "float64", inputs={"input": scores, "target": shares}))
    expected = shares.sum(1) * np.log(np.exp(scores).sum(1)) - (shares * scores).sum(1)
    np.testing.assert_allclose(output.value, expected, rtol=1e-14)


def test_a_mask_leaves_items_and_lists_out(adapter: Adapter) -> None:
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 1, 0]])
    inputs = {"mask": mask, "weight": np.ones((3, 4))}
    none, mean = (
        adapter.run(call_of(adapter, "ranking_softmax", "float64", inputs=inputs, parameters={"reduction": name}))
        for name in ("none", "mean")
    )
    scores, relevances = PAIR["input"], PAIR["target"] * mask
    expected = (relevances * (np.log((np.exp(scores) * mask).sum(1, keepdims=True).clip(1e-9)) - scores)).sum(1)
    np.testing.assert_allclose(none.value, expected, rtol=1e-14)
    assert not none.gradients["input"][mask == 0].any()
    lists = 2  # those of which something is left
    assert float(mean.value) == pytest.approx(expected.sum() / lists, rel=1e-15)


def test_smooth_of_dice_counts_twice_in_optax(adapter: Adapter) -> None:
    output = adapter.run(call_of(adapter, "dice", "float64", parameters={"smooth": 3.0}))
    shares, target = 1 / (1 + np.exp(-PAIR["input"])), PAIR["target"]
    overlap = (2 * (shares * target).sum(1) + 3) / (shares.sum(1) + target.sum(1) + 3)
    np.testing.assert_allclose(output.value, 1 - overlap, rtol=1e-14)


def test_alpha_counts_where_it_balances(adapter: Adapter) -> None:
    plain, half, quarter = (
        adapter.run(call_of(adapter, "sigmoid_focal", "float64", parameters={"balanced": balanced, "alpha": alpha}))
        for balanced, alpha in ((False, 0.25), (True, 0.5), (True, 0.25))
    )
    np.testing.assert_allclose(half.value, plain.value / 2, rtol=1e-14)
    weight = 0.25 * PAIR["target"] + 0.75 * (1 - PAIR["target"])
    np.testing.assert_allclose(quarter.value, plain.value * weight, rtol=1e-14)


def test_padding_of_ctc_is_what_lies_beyond_the_lengths(adapter: Adapter) -> None:
    whole = call_of(adapter, "ctc", "float64")
    output = adapter.run(whole)
    short = {
        "log_probs": whole.inputs["log_probs"][:4, 1:],
        "targets": whole.inputs["targets"][1:, :1],
        "input_lengths": np.array([4]),
        "target_lengths": np.array([1]),
    }
    alone = adapter.run(call_of(adapter, "ctc", "float64", inputs=short))
    assert output.value[1] == pytest.approx(alone.value[0], rel=1e-14)
    np.testing.assert_allclose(output.gradients["log_probs"][:4, 1:], alone.gradients["log_probs"], atol=1e-14)
    assert not output.gradients["log_probs"][4, 1].any()


@pytest.mark.parametrize(
    ("criterion", "change"),
    [
        ("bce_with_logits", {"inputs": {"weight": real(3, 4)}}),
        ("cosine_embedding", {"inputs": {"target": np.array([1, -1, 1])}}),
        ("cosine_similarity", {"parameters": {"negative": True}}),
        ("cross_entropy", {"parameters": {"label_smoothing": 0.1}}),
        ("ctc", {"parameters": {"reduction": "mean"}}),
        ("ctc", {"parameters": {"zero_infinity": True}}),
        ("ctc", {"inputs": {"input_lengths": np.array([5, 6])}}),
        ("dice", {"parameters": {"eps": 1e-5}}),
        ("dice", {"parameters": {"squared": True}}),
        ("dice", {"inputs": {"input": real(4), "target": real(4)}}),
        ("hinge", {"parameters": {"zero_one": True}}),
        ("multiclass_sparsemax", {"inputs": {"input": real(2, 3, 4), "target": np.zeros((2, 3), np.int64)}}),
        ("nt_xent", {"parameters": {"reduction": "sum"}}),
        ("ranking_softmax", {"inputs": {"mask": np.full((3, 4), 2)}}),
        ("soft_cross_entropy", {"inputs": {"weight": real(4)}}),
        ("soft_cross_entropy", {"parameters": {"label_smoothing": 0.1}}),
        ("triplet_margin", {"parameters": {"swap": True}}),
        ("mse", {"parameters": {"reduction": "median"}}),
    ],
)
def test_what_optax_does_not_offer_is_unsupported(adapter: Adapter, criterion: str, change: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        adapter.run(call_of(adapter, criterion, **change))


def test_what_optax_refuses_is_its_own_error(adapter: Adapter) -> None:
    with pytest.raises(ValueError, match="Shape mismatch"):
        adapter.run(call_of(adapter, "mse", inputs={"target": real(3, 1)}))


def test_a_cotangent_weighs_the_gradients(adapter: Adapter) -> None:
    weights = RNG.uniform(1, 2, (3, 4))
    plain = adapter.run(call_of(adapter, "mse", "float64"))
    weighed = adapter.run(call_of(adapter, "mse", "float64", "compiled", cotangent=weights))
    np.testing.assert_allclose(weighed.gradients["input"], weights * plain.gradients["input"], rtol=1e-15)


def test_one_shape_is_compiled_once_whatever_the_numbers(adapter: Adapter) -> None:
    seconds = []
    for delta in (0.25, 0.5, 2.0):
        before = adapter.compiling  # type: ignore[attr-defined]
        adapter.run(
            call_of(adapter, "huber", "float64", "compiled", inputs={"input": real(3, 4)}, parameters={"delta": delta})
        )
        seconds.append(adapter.compiling - before)  # type: ignore[attr-defined]
    assert seconds[1:] == [0.0, 0.0]


@pytest.mark.parametrize("criterion", ["soft_margin", "cross_entropy", "multilabel_margin", "ctc", "nll_2d", "circle"])
def test_mode_formula_runs_the_printed_code(adapter: Adapter, criterion: str) -> None:
    check_formula_by_reference(adapter, criterion)


@pytest.mark.parametrize("criterion", POISON)
def test_a_branch_that_is_not_taken_poisons_no_gradient(adapter: Adapter, criterion: str) -> None:
    inputs, parameters, by = POISON[criterion]
    found = formula_answer(adapter, criterion, inputs, (by,), **parameters, reduction="sum")
    assert not np.isnan(found.gradients[by]).any()


def test_a_softplus_keeps_the_digits_of_its_slope(adapter: Adapter) -> None:
    """jax.nn.softplus's own is off by up to 32 ulp; at 0, both sides of the absolute value meet in the middle."""
    x = np.array([-800.0, -36.5, -29.25, 0.0, 29.25, 800.0, np.inf])
    labels = np.full(x.shape, -1)  # soft_margin is then softplus
    found = formula_answer(adapter, "soft_margin", {"input": x, "target": labels}, ("input",), reduction="none")
    small = np.exp(-abs(x))
    np.testing.assert_allclose(found.gradients["input"], np.where(x < 0, small, 1) / (1 + small), rtol=4e-16)


def test_a_formula_s_numbers_are_compiled_in(adapter: Adapter) -> None:
    """They are Python's, and checked before anything is traced; the same ones are compiled once."""
    seconds = []
    for delta in (0.25, 0.5, 0.5):
        before = adapter.compiling  # type: ignore[attr-defined]
        found = formula_answer(adapter, "huber", dict(PAIR), ("input",), delta=delta, reduction="none")
        error = PAIR["input"] - PAIR["target"]
        np.testing.assert_allclose(found.gradients["input"], np.clip(error, -delta, delta), rtol=1e-15)
        seconds.append(adapter.compiling - before)  # type: ignore[attr-defined]
    assert min(seconds[:2]) > 0
    assert seconds[2] == 0
    with pytest.raises(ValueError, match="delta is out of its domain"):
        formula_answer(adapter, "huber", dict(PAIR), (), delta=-1)


def test_a_call_without_code_has_no_formula(adapter: Adapter) -> None:
    with pytest.raises(Unsupported, match="has no code for this framework"):
        adapter.run(call_of(adapter, "huber", mode="formula"))
    with pytest.raises(Unsupported, match="jax runs eager, compiled, formula, on cpu"):
        adapter.run(call_of(adapter, "huber", mode="graph"))


def test_compiled_code_is_let_go_before_memory_maps_run_out(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lattice is compiled at every call, op by op: some hundreds of calls without this, and the process crashes."""
    import jax

    executables, cleared = adapter._executables, list[int]()
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(executables.held))
    monkeypatch.setattr("conformance.adapter.executables.MOST_HELD", 5)
    executables.held = 0
    for _ in range(8):
        before = executables.held
        adapter.run(call_of(adapter, "ctc"))
        assert executables.held > before or cleared
    assert cleared
    assert all(held > 5 for held in cleared)


def test_nothing_of_jax_is_imported_before_it_is_asked_for() -> None:
    assert "jax" in built_in()
    assert not is_imported_unasked("jax")
