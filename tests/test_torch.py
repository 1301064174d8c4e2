"""torch beside its eager functions, which tests/test_adapters.py has: the modules that call them."""

from __future__ import annotations

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
    script = adapter.script(call)
    for name, array in call.inputs.items():
        script = script.replace(f"${name}", str(array.tolist()))
    scope: dict[str, Any] = {}
    exec(script, scope)
    assert "torch.nn.functional" not in script
    np.testing.assert_array_equal(scope["got"], adapter.run(call).gradients[call.wrt[0]])


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
