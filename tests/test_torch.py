"""torch beside its eager functions, which tests/test_adapters.py has: modules, and what is compiled."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Call, Output, Unsupported, load_adapter
from conformance.record.model import Check
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.run import judge_cell
from conformance.verdict.known import read_known
from tests.test_adapters import CASES, call_of, real

has_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
ROOT = Path(__file__).parent.parent
COSINE = Call(
    "cosine_similarity",
    {"input1": real(3, 4), "input2": real(3, 4)},
    {"eps": 0.5, "negative": False},
    "float64",
    wrt=("input1", "input2"),
)


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    pytest.importorskip("torch")
    return load_adapter("torch")


def assert_same(one: Output, other: Output) -> None:
    assert one.value.tobytes() == other.value.tobytes()
    assert {n: a.tobytes() for n, a in one.gradients.items()} == {n: a.tobytes() for n, a in other.gradients.items()}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss:UserWarning")
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("criterion", CASES)
def test_a_module_answers_what_its_function_answers(adapter: Adapter, criterion: str, reduction: str) -> None:
    call = call_of(criterion, "float32", reduction)
    assert_same(adapter.run(replace(call, mode="module")), adapter.run(call))


def test_a_module_is_called_by_its_own_names(adapter: Adapter) -> None:
    assert_same(adapter.run(replace(COSINE, mode="module")), adapter.run(COSINE))


def test_what_a_module_does_not_take_is_unsupported(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    call = call_of("huber", mode="module")
    weighed = replace(call, inputs={**call.inputs, "weight": real(3, 4)})
    with pytest.raises(Unsupported, match=r"torch\.nn\.HuberLoss takes no weight"):
        adapter.run(weighed)
    with pytest.raises(Unsupported, match=r"torch\.nn\.HuberLoss takes no slope"):
        adapter.run(replace(call, parameters={**call.parameters, "slope": 1.0}))
    monkeypatch.delattr(torch.nn, "HuberLoss")
    with pytest.raises(Unsupported, match="has no module HuberLoss"):
        adapter.run(call)


@pytest.mark.parametrize("criterion", ["bce_with_logits", "poisson_nll", "cross_entropy", "huber"])
def test_the_script_of_a_module_gives_its_answer(adapter: Any, criterion: str) -> None:
    call = call_of(criterion, mode="module")
    assert "torch.nn.functional" not in adapter.script(call)
    np.testing.assert_array_equal(answer_of_script(adapter, call), adapter.run(call).gradients[call.wrt[0]])


def triplets(distance: str, **more: Any) -> Call:
    inputs = {name: real(3, 4) for name in ("anchor", "positive", "negative")}
    parameters = {"distance": distance, "eps": 0.5, "margin": 2.0, "swap": True, "reduction": "sum"}
    return Call("triplet_margin_with_distance", inputs, parameters, "float64", wrt=tuple(inputs), **more)


@pytest.mark.parametrize("mode", ["eager", "module"])
@pytest.mark.parametrize("distance", ["euclidean", "manhattan", "chebyshev", "cosine"])
def test_a_distance_is_a_function_that_torch_documents(adapter: Any, distance: str, mode: str) -> None:
    import torch

    functions: dict[str, Any] = {
        "euclidean": torch.nn.PairwiseDistance(eps=0.5),
        "manhattan": torch.nn.PairwiseDistance(p=1, eps=0.5),
        "chebyshev": lambda x, y: torch.max(torch.abs(x - y + 0.5), dim=1).values,
        "cosine": lambda x, y: 1.0 - torch.nn.functional.cosine_similarity(x, y),
    }
    call = triplets(distance, mode=mode)
    output = adapter.run(call)
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in call.inputs.items()}
    function = torch.nn.functional.triplet_margin_with_distance_loss
    value = function(**tensors, distance_function=functions[distance], margin=2.0, swap=True, reduction="sum")
    value.backward()
    assert output.value == value.item() > 0
    for name, gradient in output.gradients.items():
        np.testing.assert_array_equal(gradient, tensors[name].grad.numpy())
    np.testing.assert_array_equal(answer_of_script(adapter, call), output.gradients["anchor"])


@has_compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, in what it imports to compile
@pytest.mark.parametrize("distance", ["manhattan", "cosine"])
def test_a_distance_is_compiled_once(adapter: Any, distance: str) -> None:
    call, seconds = triplets(distance), []
    for _ in range(2):
        before = adapter.compiling
        output = adapter.run(replace(call, mode="compiled"))
        seconds.append(adapter.compiling - before)
    assert (seconds[0] > 0, seconds[1]) == (True, 0)
    np.testing.assert_allclose(output.value, adapter.run(call).value, rtol=1e-12)


def answer_of_script(adapter: Any, call: Call) -> Any:
    """What a call's script comes to, run by itself."""
    script = adapter.script(call)
    for name, array in call.inputs.items():
        script = script.replace(f"${name}", str(array.tolist()))
    scope: dict[str, Any] = {}
    exec(script, scope)
    return scope["got"]


def test_a_module_that_drops_a_parameter_fails_in_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    options = Options(("torch",), ("huber",), dtypes=("float32",), modes=("eager",), effort="quick")
    plan = make_plan(options)

    def check() -> Check:
        return next(item for item in judge_cell(plan, plan.cells[0]).checks if item.check == "consistency.same")

    def forgetful(self: Any, input: Any, target: Any) -> Any:
        return torch.nn.functional.huber_loss(input, target, self.reduction)

    try:
        assert check().outcome == "agrees"
        monkeypatch.setattr(torch.nn.HuberLoss, "forward", forgetful)
        found = check()
    finally:
        plan.close()
    assert found.outcome == found.new == "fails"
    assert "in mode module" in found.message


def test_no_known_difference_is_of_modules_alone() -> None:
    """They are their functions' own."""
    entries = read_known(ROOT / "adapters" / "torch.known.yaml")
    assert not [entry.id for entry in entries if any("/module/" in pattern for pattern in entry.patterns)]


@has_compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, in what it imports to compile
def test_what_is_compiled_answers_within_rounding_and_once_for_each_shape(adapter: Any) -> None:
    eager = call_of("soft_cross_entropy", "float32", "mean")
    call, seconds = replace(eager, mode="compiled"), []
    for _ in range(2):
        before = adapter.compiling
        output, plain = adapter.run(call), adapter.run(eager)
        seconds.append(adapter.compiling - before)
        np.testing.assert_allclose(output.value, plain.value, rtol=1e-6)
        for name, gradient in output.gradients.items():
            np.testing.assert_allclose(gradient, plain.gradients[name], rtol=1e-5, atol=1e-7)
    assert seconds[0] > 0
    assert seconds[1] == 0
    assert adapter.run(eager).value == plain.value  # nothing of it stays with eager calls
    assert "torch.compile(torch.nn.functional.cross_entropy, fullgraph=True, dynamic=False)(" in adapter.script(call)


@has_compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_would_run_eagerly_in_part_is_unsupported(adapter: Adapter) -> None:
    with pytest.raises(Unsupported, match=r"torch\.compile makes no graph of it: .*ctc_loss"):
        adapter.run(call_of("ctc", "float32", mode="compiled"))


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    adapter = load_adapter("torch")
    environment = adapter.environment()
    assert environment.modes == ("eager", "formula", "module")
    assert environment.details["C++ compiler"] == "none, so no mode compiled"
    with pytest.raises(Unsupported, match="torch runs eager, formula, module"):
        adapter.run(call_of("l1", mode="compiled"))
    plan = make_plan(Options(("torch",), ("l1",), dtypes=("float32",), modes=("compiled",)))
    assert plan.cells == []
    reasons = {why for cell, why in plan.skipped if cell.mode == "compiled"}
    assert reasons == {"torch offers no mode compiled here"}


@has_compiler
def test_compiled_cells_are_planned_where_they_are_asked_for() -> None:
    pytest.importorskip("torch")
    options = Options(("torch",), ("l1", "dice"), dtypes=("float32",))
    assert {cell.mode for cell in make_plan(options).cells} == {"eager", "formula"}
    assert {cell.mode for cell in make_plan(replace(options, modes=("compiled",))).cells} == {"compiled"}
