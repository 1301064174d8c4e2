"""`conformance check-adapter`: what is wrong with an adapter is told, and the slip that explains it is found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance import Binding, Difference, Environment
from conformance.cases.bind import plain_answers
from conformance.cases.plan import stacks
from conformance.cli import main
from conformance.errors import UsageError
from conformance.reference.evaluate import evaluate_stack
from conformance.spec import load_specs, spec_for, specs_folder
from conformance.suite.check_adapter import check_adapter
from conformance.suite.slips import Seen, Slip, explanation, slips
from tests import faulty

MINE = "tests.test_check_adapter"


@pytest.mark.parametrize(
    ("adapter", "criterion", "said"),
    [
        ("EpsilonAdded", "cosine_embedding", "these are the numbers with 1e-08 added to each denominator"),
        ("LogClamped", "kl_div", "these are the numbers with each argument of log held at 1e-06"),
        ("BetaIgnored", "smooth_l1", "these are the numbers with beta held at its default, 1"),
        ("WeightDropped", "bce", "these are the numbers with weight left out"),
        ("ReductionIgnored", "l1", "these are the numbers with reduction 'mean' where 'sum' is asked"),
        ("MeanOverBatch", "mse", "these are the numbers with a mean that divides by the size of the first axis alone"),
        ("Float32Constants", "huber", "these are the numbers with parameters rounded to float32"),
        ("SignFlipped", "mse", "these are the numbers with a factor of -1"),
        ("WrongBranch", "smooth_l1", "no slip that the suite knows explains it"),
        ("AnswersInfinity", "l1", "no slip that the suite knows explains it"),
        ("TargetGradientMissing", "l1", "name in Binding.gradients the inputs that are differentiated"),
        ("WrongShape", "l1", "the shape is (1,) where () is due\n    a reduced value has shape ()"),
        ("WrongDtype", "l1", "the dtype is float32 where float64 is due\n    answers have the dtype of the call"),
        ("Mutates", "l1", "copy what the framework writes to"),
        ("ReturnsLists", "l1", "convert what the framework gives to a NumPy array"),
        ("ReturnsNone", "l1", "run() returns an Output(value, gradients)"),
        ("Raises", "l1", "RuntimeError: the kernel gave up\n    raise Unsupported(reason)"),
    ],
)
def test_what_is_wrong_is_told(adapter: str, criterion: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_adapter(f"tests.faulty:{adapter}", [criterion], ["float64"]) == 1
    out = capsys.readouterr().out
    assert said in out
    assert "MEND: " in out


def test_what_is_right_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_adapter("tests.faulty:Right", ["huber", "bce"]) == 0
    assert "FIT: 4 of 4 cells ran" in capsys.readouterr().out


def test_the_example_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_adapter("examples.numpy_losses:NumpyLosses") == 0
    assert "FIT: 6 of 6 cells ran" in capsys.readouterr().out


def test_where_nothing_runs_nothing_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_adapter("tests.faulty:RaisesUnsupported", ["l1"]) == 5
    out = capsys.readouterr().out
    assert "unsupported in every case: no kernel for this device" in out
    assert "NOTHING RAN" in out
    with pytest.raises(UsageError, match="binds nothing of what is asked"):
        check_adapter("examples.numpy_losses:NumpyLosses", ["ctc"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nobody:Nobody"], "is its folder on the path, as in PYTHONPATH=."),
        (["tests.faulty:Right", "--dtype", "float31"], "float31"),
        (["tests.faulty:Right", "--criterion", "l2"], "l2"),
    ],
)
def test_wrong_usage(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-adapter", *args]) == 4
    assert said in capsys.readouterr().err


class Careless(faulty.Right):
    """Its protocol is wrong in many ways."""

    name = "careless"

    def environment(self) -> Environment:
        return Environment(versions={}, devices=("gpu",), dtypes=("float64",), modes=("eager", "graph"))

    def binding(self, criterion: str) -> Any:
        unknown = Difference("It says so.", "the manual", when="inputs > 0")
        found: dict[str, Any] = {
            "l1": "careless.l1",
            "mse": Binding("careless.mse", gradients=("inputs",)),
            "huber": Binding("careless.huber", differences=(unknown, Difference(" ", "", when="input >"))),
        }
        if criterion == "bce":
            raise KeyError("bce")
        return found.get(criterion)


def test_the_protocol_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):  # no device that there is: nothing is left to bind
        check_adapter(f"{MINE}:Careless")
    out = capsys.readouterr().out
    for said in (
        "environment().versions is empty",
        "environment().devices has 'gpu'; there are cpu, cuda",
        "environment().modes has 'graph'",
        "binding('l1'): a Binding or None is due, and str was returned",
        "binding('mse'): gradients names 'inputs'; of mse, input, target can be differentiated",
        "binding('huber'): the condition 'inputs > 0' names inputs, which huber does not have",
        "binding('huber'): a Difference has the framework's own sentence",
        "binding('huber'): the condition 'input >'",
        "binding('bce') raised KeyError: 'bce'",
    ):
        assert said in out


# Slips


def seen_of(criterion: str, slip: Callable[[Any], Slip | None], output: str = "value") -> tuple[Any, list[Seen]]:
    """What a slip makes of a criterion's quick cases in float64; a right adapter where there is no slip."""
    spec = spec_for(criterion)
    made, found = slip(spec), []
    for stack in stacks(spec, "float64", "quick"):
        numbers = evaluate_stack(spec, stack, ())[output]
        right = plain_answers(spec, stack, ())[output]
        answer = right if made is None else made.answer(stack, output)
        if answer.shape == right.shape:
            off = ~np.isclose(answer, right, rtol=1e-12, atol=0, equal_nan=True).reshape(len(stack), -1)
            found.append(Seen.of(stack, numbers, answer, np.asarray(off.any(axis=1))))
    return spec, found


def named(text: str) -> Callable[[Any], Slip | None]:
    return lambda spec: next(slip for slip in slips(spec) if slip.text == text)


@pytest.mark.parametrize(
    ("criterion", "text"),
    [
        ("kl_div", "input and target exchanged"),
        ("bce", "input clipped to 1e-07 and 1 - 1e-07"),
        ("poisson_nll", "eps held at its default, 1e-08"),
        ("gaussian_nll", "full held at its default, False"),
        ("triplet_margin", "a factor of 1/2"),
        ("cross_entropy", "label_smoothing held at its default, 0"),
    ],
)
def test_a_slip_explains_itself(criterion: str, text: str) -> None:
    spec, seen = seen_of(criterion, named(text))
    assert explanation(spec, seen, "value").startswith(f"these are the numbers with {text}")


def test_what_is_right_needs_no_explanation() -> None:
    spec, seen = seen_of("huber", lambda spec: None)
    assert explanation(spec, seen, "value") == ""


@pytest.mark.parametrize("criterion", load_specs([specs_folder()]))
def test_every_slip_can_be_tried(criterion: str) -> None:
    """It answers with numbers, or says that it does not apply; nothing else comes out of it."""
    spec, seen = seen_of(criterion, lambda spec: None)
    few = [dataclasses.replace(item, wrong=np.ones(len(item.stack), bool)) for item in seen[:2]]
    tried = [item.explained(slip, "value") for slip in list(slips(spec))[::7] for item in few]
    assert all(mask.dtype == bool for mask in tried)
    assert tried
