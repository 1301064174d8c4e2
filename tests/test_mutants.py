"""The mutation score: a sound registry, mutants that die at once, and a command that tells when the score is wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conformance.cases import plan
from conformance.cases.expand import expand
from conformance.cases.plan import stacks
from conformance.reference.certify import certify
from conformance.reference.evaluate import Evaluation, evaluate_stack
from conformance.spec import load_specs, spec_for, specs_folder
from conformance.suite import referee
from tests.controls.first import elementwise
from tests.controls.parts import Answer, Given
from tests.mutants.__main__ import main
from tests.mutants.changes import answered, slopes
from tests.mutants.faults import MUTANTS
from tests.mutants.registry import BOTH, DTYPES, GRADIENT, TAGS, VALUE, Mutant, fault, fault_of_call
from tests.mutants.scoring import Fate, Outcomes, fate, fates
from tests.mutants.sharing import Known, shared
from tests.mutants.table import faults_of

SAMPLE = {
    GRADIENT: "l1.gradient_of_the_target_has_the_sign_of_the_input",
    VALUE: "smooth_l1.half_subtracted",
    BOTH: "mse.weight_squared",
    "special values": "mse.nan_to_num",
    "precision": "l1.sum_in_float32",
    "shape": "nll.mean_without_batch_over_classes",
    "state": "smooth_l1.first_beta_kept",
    "invalid": "nll.label_clamped",
}


# The registry


def test_there_are_enough_and_every_criterion_has_some() -> None:
    assert len(MUTANTS) >= 150
    counts = Counter(mutant.criterion for mutant in MUTANTS.values())
    assert set(counts) == set(load_specs([specs_folder()]))
    assert min(counts.values()) >= 5


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=list(MUTANTS))
def test_a_mutant_says_what_it_is(mutant: Mutant) -> None:
    assert mutant.tag in TAGS
    assert set(mutant.dtypes) <= set(DTYPES)
    assert mutant.about.endswith(".")
    assert (mutant.of_given is None) != (mutant.of_call is None)


def test_every_tag_is_there() -> None:
    assert {mutant.tag for mutant in MUTANTS.values()} == set(TAGS)


@pytest.fixture
def no_mutants(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Mutant]]:
    """An empty registry, for the length of a test."""
    there = dict(MUTANTS)
    MUTANTS.clear()
    yield MUTANTS
    MUTANTS.clear()
    MUTANTS.update(there)


def test_two_of_one_name_are_refused(no_mutants: dict[str, Mutant]) -> None:
    def l1_wrong(g: Given) -> Answer:
        return elementwise.l1(g)

    fault("l1", BOTH)(l1_wrong)
    assert list(no_mutants) == ["l1.wrong"]
    with pytest.raises(ValueError, match=r"l1\.wrong"):
        fault("l1", BOTH)(l1_wrong)


# Judging


@pytest.mark.parametrize("name", SAMPLE.values(), ids=list(SAMPLE))
def test_a_mutant_of_each_tag_is_killed(name: str) -> None:
    mutant = MUTANTS[name]
    assert mutant.tag == next(tag for tag, other in SAMPLE.items() if other == name)
    faults, (found,) = fates([mutant], "float64", effort="quick")
    assert faults == []
    assert found.is_killed
    assert found.mislabelled == ""


def test_what_is_shared_is_what_would_be_worked_out() -> None:
    known, spec = Known(), spec_for("bce")
    for stack in list(stacks(spec, "float32", "quick"))[:4]:
        wrt = tuple(name for name in spec.differentiable if name in stack.inputs)
        plain = certify(spec, stack, evaluate_stack(spec, stack, wrt, project=True))[0]
        for _ in range(2):
            shared = known.certify(spec, stack, known.evaluation(spec, stack, wrt, project=True).numbers())[0]
            for name, numbers in plain.items():
                assert np.array_equal(shared[name].high, numbers.high, equal_nan=True)
                assert np.array_equal(shared[name].sound, numbers.sound, equal_nan=True)


def test_the_suite_asks_what_is_shared() -> None:
    with shared():
        assert referee.Evaluation is not Evaluation  # type: ignore[attr-defined]
        assert plan.expand is not expand  # type: ignore[attr-defined]
    assert referee.Evaluation is Evaluation  # type: ignore[attr-defined]


RIGHT = Outcomes({"value": "inaccurate", "gradient.input": "agrees", "edge.a": "differs"}, {})


@pytest.mark.parametrize(
    ("own", "caught"),
    [
        ({"value": "inaccurate", "gradient.input": "agrees", "edge.a": "differs"}, {}),
        ({"value": "fails", "gradient.input": "inaccurate"}, {"value": "fails", "gradient.input": "inaccurate"}),
        ({"value": "agrees", "gradient.input": "undecided", "edge.a": "agrees"}, {}),
        ({"value": "error", "edge.a": "inaccurate"}, {"value": "error", "edge.a": "inaccurate"}),
        ({"value": "unsupported"}, {}),
        ({"invalid.new": "fails"}, {"invalid.new": "fails"}),
    ],
)
def test_worse_than_the_right_one(own: dict[str, str], caught: dict[str, str]) -> None:
    assert fate(MUTANTS["mse.half"], "float64", RIGHT, Outcomes(own, {})).caught == caught


def test_the_first_recipe_is_the_first_that_is_worse() -> None:
    history = {"value": [(1, "agrees"), (4, "inaccurate"), (9, "fails")], "gradient.input": [(7, "inaccurate")]}
    own = Outcomes({"value": "fails", "gradient.input": "inaccurate"}, history)
    assert fate(MUTANTS["mse.half"], "float64", RIGHT, own).first == 7


# What the command says of a run


def found(name: str, *caught: str, survives: str = "") -> Fate:
    mutant = MUTANTS[name]
    return Fate(
        Mutant(mutant.criterion, mutant.name, mutant.tag, mutant.about, dtypes=("float64",), survives=survives),
        "float64",
        dict.fromkeys(caught, "fails"),
    )


MANY = [found(name, "edge.a") for name in MUTANTS if name.split(".")[0] in {"cross_entropy", "ctc"}]


@pytest.mark.parametrize(
    ("fates", "said"),
    [
        (MANY, []),
        ([*MANY, found("bce.target_rounded")], ["survives, and nobody says why"]),
        ([*MANY, found("bce.target_rounded", survives="it is right")], []),
        ([*MANY, found("bce.target_rounded", "value", survives="it is right")], ["said to survive, and is killed"]),
        ([*MANY, found("l1.gradient_as_a_quotient", survives="so it is")], ["survives, though its gradient is wrong"]),
        ([*MANY, found("l1.gradient_as_a_quotient", "value")], ["tagged 'gradient only', but caught by value"]),
        ([*MANY, found("l1.root_of_the_square", "gradient.input")], ["tagged 'value only', but caught by gradient"]),
        ([found("bce.target_rounded", survives="it is right")], ["0.0 % are killed"]),
    ],
)
def test_what_is_wrong_with_a_score(fates: list[Fate], said: list[str]) -> None:
    faults = faults_of(fates)
    assert len(faults) == len(said)
    for fault_, words in zip(faults, said, strict=True):
        assert words in fault_


def test_a_survivor_may_be_killed_by_other_cases() -> None:
    killed = [*MANY, found("bce.target_rounded", "value", survives="it is right")]
    assert faults_of(killed, is_standard=False) == []


def l1_doubled(g: Given) -> Answer:
    """Twice the loss, and the right gradient."""
    return answered(elementwise.l1(g), 2 * elementwise.l1(g).value)


def l1_right(g: Given) -> Answer:
    """Nothing is wrong here."""
    return elementwise.l1(g)


def l1_uphill(g: Given) -> Answer:
    """The gradient points uphill."""
    return slopes(elementwise.l1(g), np.negative)


def test_the_command_ends_with_0_where_all_are_killed(
    no_mutants: dict[str, Mutant], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault("l1", VALUE)(l1_doubled)
    fault("l1", GRADIENT)(l1_uphill)
    where = tmp_path / "score.json"
    assert main(["--effort", "quick", "--dtype", "float64", "--json", str(where)]) == 0
    written = capsys.readouterr().out
    assert "doubled" in written
    assert "WRONG" not in written
    assert [(item["mutant"], item["outcome"], item["recipe"]) for item in json.loads(where.read_text())] == [
        ("doubled", "fails", 1),
        ("uphill", "fails", 1),
    ]


def test_the_command_ends_with_1_where_one_survives(
    no_mutants: dict[str, Mutant], capsys: pytest.CaptureFixture[str]
) -> None:
    fault("l1", GRADIENT)(l1_right)
    assert main(["--effort", "quick", "--dtype", "float64"]) == 1
    written = capsys.readouterr().out
    assert "survives: l1.right (float64): no reason is known" in written
    assert "WRONG: l1.right survives, though its gradient is wrong" in written


def test_the_command_judges_what_it_is_asked_for(no_mutants: dict[str, Mutant]) -> None:
    fault("l1", GRADIENT)(l1_right)
    assert main(["--criterion", "mse", "--effort", "quick"]) == 0


def test_a_fault_of_a_call_has_a_memory_for_each_cell(no_mutants: dict[str, Mutant]) -> None:
    seen: list[int] = []

    def l1_counts(call, right, memory):  # type: ignore[no-untyped-def]
        """Answers rightly, and counts."""
        memory["calls"] = memory.get("calls", 0) + 1
        seen.append(memory["calls"])
        return right.run(call)

    fault_of_call("l1", "state")(l1_counts)
    for dtype in DTYPES:
        fates(list(no_mutants.values()), dtype, effort="quick")
    assert seen.count(1) == 2
