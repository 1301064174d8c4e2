"""Known differences: what a file of them may say, which cases an entry covers, and when it is stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from conformance._resources import built_in, folder
from conformance.adapter import Environment
from conformance.cases.case import DTYPES, Stack
from conformance.errors import ConformanceError, FileError
from conformance.reference.evaluate import evaluate_stack, make_case
from conformance.reference.formats import FORMATS
from conformance.spec import load_specs, specs_folder
from conformance.suite.options import Options
from conformance.suite.plan import Plan, framework_of, make_plan
from conformance.suite.run import CellResult, judge_cell, unmatched
from conformance.verdict.compare import AGREES, FAILS, judge
from conformance.verdict.known import Coverage, Entry, Witness, fault_of, fault_of_witness, read_known, witness_case

VALUE = "l1/near_tie/cpu/eager/float64/value"
WITNESS: dict[str, Any] = {
    "dtype": "float64",
    "check": "value",
    "inputs": {"input": [1.0], "target": [0.0]},
    "parameters": {"reduction": "none"},
}

TENTH = {**WITNESS, "inputs": {"input": [0.1], "target": [0.0]}}


def entry(**changes: Any) -> dict[str, Any]:
    """An entry that says rightly what `NearTie` does."""
    usual: dict[str, Any] = {
        "id": "near-tie",
        "checks": "l1/near_tie/*/*/*/value",
        "versions": ">=1,<2",
        "kind": "wrong",
        "when": "abs(input - target) < 2",
        "envelope": {"answers": [0]},
        "reason": "the value is 0 where the error is below 2",
        "owner": "us",
        "witness": WITNESS,
    }
    return {**usual, **changes}


def written(folder: Path, *entries: dict[str, Any], text: str = "") -> Path:
    path = folder / "mine.known.yaml"
    if text:
        path.write_text(text, encoding="utf-8")
    else:
        YAML(typ="safe").dump(list(entries), path)
    return path


def faults(folder: Path, *entries: dict[str, Any], text: str = "") -> str:
    with pytest.raises(FileError) as caught:
        read_known(written(folder, *entries, text=text))
    return str(caught.value)


# Reading


def test_an_entry_is_read(tmp_path: Path) -> None:
    (read,) = read_known(written(tmp_path, entry()))
    assert read.patterns == ("l1/near_tie/*/*/*/value",)
    assert read.matches(VALUE)
    assert not read.matches("l1/near_tie/cpu/eager/float64/gradient.input")
    assert read.envelope.answers == (0.0,)


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    assert read_known(written(tmp_path, text="# nothing is known\n")) == []


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    wrong = [
        entry(id="a", versions="two"),
        entry(id="b", when="abs(input"),
        entry(id="c", kind="odd", owner=""),
        entry(id="d", envelope={"upl": 3}),
        {name: value for name, value in entry(id="e").items() if name != "reason"},
        entry(id="f"),
        entry(id="f"),
    ]
    told = faults(tmp_path, *wrong).splitlines()
    for name, word in (("a", "version"), ("b", "when"), ("c", "kind"), ("c", "owner"), ("d", "upl"), ("e", "reason")):
        assert any(f" {name}: " in line and word in line for line in told), (name, word, told)
    assert any("f: the id stands twice" in line for line in told)
    assert all("mine.known.yaml" in line for line in told)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"versions": "two"}, "'>=2.0,<2.14'"),
        ({"when": "input - target"}, "not a condition"),
        ({"when": "abs(input <"}, "abs(input <"),
        ({"when": "__import__('os')"}, "__import__"),
        ({"reason": "slow"}, "reason"),
        ({"envelope": {"instead": "loss == 0"}}, "instead"),
        ({"envelope": {"instead": "loss = open('x')"}}, "instead"),
        ({"envelope": {"answers": ["many"]}}, "answers"),
        ({"envelope": {"raises": "a ("}}, "raises"),
        ({"envelope": {"ulp": "many"}}, "ulp"),
        ({"envelope": {"computed_in": "float31"}}, "there is no dtype 'float31'"),
        ({"envelope": {"times": 0.5}}, "greater than or equal to 1"),
        ({"envelope": {}}, "envelope"),
        ({"witness": {**WITNESS, "dtype": "float8"}}, "float8"),
        ({"checks": []}, "checks"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_wrong_entry_is_told(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    text = faults(tmp_path, entry(**changes))
    assert "near-tie" in text
    assert said in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- id: [1\n", "not YAML"),
        ("- {id: a, id: b}\n", "not YAML"),
        ("id: a\n", "must be a list"),
        ("- a\n", "entry 1"),
        ("just text", "must be a list"),
    ],
    ids=["torn", "twice", "mapping", "scalar entry", "text"],
)
def test_a_file_that_is_none_is_told_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    told = faults(tmp_path, text=text)
    assert said in told
    assert "mine.known.yaml" in told


def test_broken_yaml_is_told_with_its_place(tmp_path: Path) -> None:
    told = faults(tmp_path, text="- id: a\n  checks: b\n  versions: [c\n- id: d\n")
    assert "line 4" in told
    assert "^" not in told


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None], ids=["not text", "not there"])
def test_an_unreadable_file_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.known.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError, match=r"mine\.known\.yaml cannot be read"):
        read_known(path)


@pytest.mark.parametrize("name", [name for name in built_in() if (folder("adapters") / f"{name}.known.yaml").is_file()])
def test_the_built_in_lists_hold(name: str) -> None:
    """Every entry names what its criterion has, and its witness is a case."""
    specs = load_specs([specs_folder()])
    for item in read_known(folder("adapters") / f"{name}.known.yaml"):
        criteria = {pattern.split("/")[0] for pattern in item.patterns}
        assert criteria <= {*specs, "*"}, item.id
        spoken_of = [spec for name, spec in specs.items() if item.speaks_of(name)]
        for spec in spoken_of:
            assert not fault_of(item, spec), item.id
        for witness in item.witnesses:
            assert not all(fault_of_witness(witness, spec) for spec in spoken_of), item.id
        assert name == "numpy" or item.link.startswith("https://"), item.id


# Witnesses


def read_one(**changes: Any) -> Entry:
    return Entry.model_validate(entry(**changes))


def test_a_witness_holds_hexadecimal_and_special_numbers() -> None:
    spec = load_specs([specs_folder()])["l1"]
    inputs = {"input": ["0x1.8p+1", "-inf", "nan", 2], "target": [0.0, 1, 2, 3]}
    case = witness_case(Witness.model_validate({**WITNESS, "dtype": "float32", "inputs": inputs}), spec)
    np.testing.assert_array_equal(case.inputs["input"], np.array([3.0, -np.inf, np.nan, 2.0], np.float32))
    assert case.inputs["input"].dtype == np.float32


@pytest.mark.parametrize(
    "witness",
    [
        {"dtype": "float64", "check": "value", "inputs": {"imput": [1.0], "target": [0.0]}},
        {"dtype": "float64", "check": "value", "inputs": {"input": [1.0], "target": [0.0, 1.0, 2.0]}},
        {"dtype": "float64", "check": "value", "inputs": {"input": ["wide"], "target": [0.0]}},
        {"dtype": "float64", "check": "value"},
        {"dtype": "float64", "check": "gradient.wieght", "inputs": {"input": [1.0], "target": [0.0]}},
    ],
    ids=["input", "shapes", "text", "none", "check"],
)
def test_a_witness_that_is_no_case_ends_the_run_before_it_starts(tmp_path: Path, witness: dict[str, Any]) -> None:
    """Not in the middle of it: the plan is refused, with the entry's name."""
    with pytest.raises(ConformanceError, match="near-tie"):
        plan("NearTie", written(tmp_path, entry(witness=witness)))


def test_an_entry_has_one_witness_or_several() -> None:
    other = {**WITNESS, "dtype": "float32"}
    assert [item.dtype for item in read_one().witnesses] == ["float64"]
    assert [item.dtype for item in read_one(witness=[WITNESS, other]).witnesses] == ["float64", "float32"]


def test_an_entry_needs_a_witness(tmp_path: Path) -> None:
    assert "witness" in faults(tmp_path, entry(witness=[]))


def rare(**changes: Any) -> dict[str, Any]:
    """An entry for `RareZero`, whose fault no draw meets; its witness does."""
    inputs = {"input": [1.5, 3.0], "target": [0.25, 1.0]}
    return entry(
        id="rare",
        checks=["l1/rare_zero/*/*/*/value", "l1/rare_zero/*/*/*/gradient.*"],
        when="",
        reason="the loss of one pair of numbers is 0, and so are its neighbours'",
        **{"witness": {**WITNESS, "inputs": inputs}, **changes},
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_a_witness_decides_what_no_draw_meets(tmp_path: Path, seed: int) -> None:
    """It is a case of its cell: of the check that it names, and of the others."""
    without = judged("RareZero", seed=seed)
    assert not {"fails", "error"} & {check.outcome for check in without.checks}
    found = judged("RareZero", written(tmp_path, rare()), seed=seed)
    for name in ("value", "gradient.input", "gradient.target"):
        check = next(check for check in found.checks if check.check == name)
        before = next(check for check in without.checks if check.check == name)
        assert (check.outcome, check.known) == ("fails", ["rare"])
        assert check.new not in {"fails", "error"}
        assert (check.recipes, check.cases) == (before.recipes + 1, before.cases + 1)
    assert (found.recipes, found.cases) == (without.recipes + 1, without.cases + 1)
    assert not found.stale


def test_a_witness_is_of_its_dtype(tmp_path: Path) -> None:
    known = written(tmp_path, rare())
    assert value_of(judged("RareZero", known, dtype="float32")).outcome != "fails"
    inputs = {"input": [1.5], "target": [0.25]}
    both = rare(witness=[{**WITNESS, "dtype": dtype, "inputs": inputs} for dtype in ("float64", "float32")])
    assert value_of(judged("RareZero", written(tmp_path, both), dtype="float32")).outcome == "fails"


def test_beyond_the_versions_a_witness_that_still_shows_is_new(tmp_path: Path) -> None:
    check = value_of(judged("RareZero", written(tmp_path, rare(versions="<1.5"))))
    assert (check.outcome, check.new, check.known) == ("fails", "fails", [])


def test_each_witness_must_still_show(tmp_path: Path) -> None:
    fine = {**WITNESS, "check": "gradient.input", "inputs": {"input": [1.0], "target": [0.0]}}
    result = judged("RareZero", written(tmp_path, rare(witness=[rare()["witness"], fine])))
    (told,) = result.stale
    assert told.startswith("rare: its witness for gradient.input no longer shows it")


def test_a_witness_may_be_a_case_of_one_of_the_criteria_only(tmp_path: Path) -> None:
    """l1 has no input `var`; gaussian_nll has."""
    witness = {"dtype": "float64", "check": "value", "inputs": {"input": [1.0], "target": [0.0], "var": [1.0]}}
    both = entry(checks="*/near_tie/*/*/*/value", when="", witness=[WITNESS, witness])
    planned = plan("NearTie", written(tmp_path, both), criteria=("l1", "gaussian_nll"))
    for cell in planned.cells:
        stale = judge_cell(planned, cell).stale
        assert bool(stale) == (cell.criterion == "gaussian_nll"), stale  # where it is a case, and comes out right


def test_an_unsteady_edge_case_is_asked_until_it_shows(tmp_path: Path) -> None:
    """`Chancy` answers rightly at first: agreement by chance is none."""
    edge = "edge.empty_sum"
    assert outcome_of(judged("Chancy"), edge) == "agrees"
    known = entry(
        checks=f"l1/chancy/*/*/*/{edge}",
        when="",
        unsteady=True,
        envelope={"answers": [7]},
        witness={"dtype": "float64", "check": edge},
    )
    result = judged("Chancy", written(tmp_path, known))
    assert outcome_of(result, edge) == "fails"
    assert not result.stale


def outcome_of(result: CellResult, name: str) -> str:
    return next(check.outcome for check in result.checks if check.check == name)


# Coverage


def plan(
    adapter: str, *known: Path, dtype: str = "float64", criteria: tuple[str, ...] = ("l1",), seed: int = 0
) -> Plan:
    framework = (f"tests.faulty:{adapter}",)
    return make_plan(Options(framework, criteria, dtypes=(dtype,), effort="quick", seed=seed, known=known))


def judged(adapter: str, *known: Path, dtype: str = "float64", seed: int = 0) -> CellResult:
    planned = plan(adapter, *known, dtype=dtype, seed=seed)
    return judge_cell(planned, planned.cells[0])


def value_of(result: CellResult) -> Any:
    return next(check for check in result.checks if check.check == "value")


def test_without_an_entry_a_fault_is_new() -> None:
    check = value_of(judged("NearTie"))
    assert (check.outcome, check.new, check.known) == ("fails", "fails", [])


def test_what_an_entry_covers_is_known_and_still_fails(tmp_path: Path) -> None:
    result = judged("NearTie", written(tmp_path, entry()))
    check = value_of(result)
    assert (check.outcome, check.known) == ("fails", ["near-tie"])
    assert check.new not in {"fails", "error"}
    assert not result.stale


@pytest.mark.parametrize("adapter", ["NearTieAndMore", "NearTieAndLarger"])
def test_an_entry_hides_no_new_fault_in_the_same_check(tmp_path: Path, adapter: str) -> None:
    check = value_of(judged(adapter, written(tmp_path, entry())))
    assert check.known == ["near-tie"]
    assert check.new == "fails"
    assert "near-tie" not in check.message
    got = check.witnesses[0]["got"]
    assert got != "0x0.0p+0"  # the new fault is the one that is shown


@pytest.mark.parametrize(
    "changes",
    [
        {"when": "abs(input - target) < 1"},
        {"envelope": {"answers": [1]}},
        {"envelope": {"ulp": 3}},
        {"envelope": {"absolute": 1e-3}},
        {"envelope": {"ratio": 2}},
        {"envelope": {"raises": "kernel"}},
        {"envelope": {"instead": "loss = 1"}},
        {"checks": "l1/near_tie/*/*/float32/value"},
        {"checks": "l1/near_tie/*/*/*/gradient.input"},
        {"versions": ">=1,<1.5"},
    ],
    ids=str,
)
def test_an_entry_that_does_not_say_it_does_not_cover_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert value_of(judged("NearTie", written(tmp_path, entry(**changes)))).new == "fails"


@pytest.mark.parametrize(
    "envelope",
    [
        {"absolute": 16},
        {"instead": "loss = where(abs(error) < 2, 0, weight * abs(error))"},
        {"answers": ["0x0p+0"]},
        {"ulp": 1e300, "absolute": 16},
    ],
    ids=str,
)
def test_an_envelope_in_other_words_covers_it(tmp_path: Path, envelope: dict[str, Any]) -> None:
    covering = entry(envelope=envelope)
    if "instead" in envelope:
        covering = {name: value for name, value in covering.items() if name != "when"}
    check = value_of(judged("NearTie", written(tmp_path, covering)))
    assert check.known == ["near-tie"]
    assert check.new not in {"fails", "error"}


def test_what_is_computed_in_a_narrower_dtype_is_known_and_no_more(tmp_path: Path) -> None:
    """Rounded inputs make a difference vanish: no number of ulps says how far off that is."""
    covering = entry(checks="l1/in_float32/*/*/*/value", envelope={"computed_in": "float32"}, witness=TENTH)
    covering.pop("when")
    path = written(tmp_path, covering)
    narrow, more = (value_of(judged(adapter, path)) for adapter in ("InFloat32", "InFloat32AndMore"))
    assert (narrow.outcome, narrow.known) == (more.outcome, more.known) == ("fails", ["near-tie"])
    assert narrow.new not in {"fails", "error"}
    assert more.new == "fails"  # known is only what vanished: 0, whatever it is off by


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_computed_in_a_wider_dtype_is_rounded_to_the_narrower(dtype: str) -> None:
    spec = load_specs([specs_folder()])["l1"]
    case = make_case(spec, {"input": [0.1], "target": [0.0]}, {"reduction": "none"}, dtype)
    stack = Stack.of(case)
    envelope = {"instead": "loss = 3 * abs(error)", "computed_in": "float32"}
    own = Entry.model_validate(entry(checks="l1/*/*/*/*/value", when="", envelope=envelope))
    answer = (3 * case.inputs["input"].astype(np.float32)).astype(dtype)[None]
    for given, left in ((answer, AGREES), (answer + answer.dtype.type(0.001), FAILS)):
        verdict = judge(evaluate_stack(spec, stack, ())["value"], given, FORMATS[dtype])
        covered = Coverage([own], spec, stack, ()).of("l1/x/cpu/eager/float32/value", "value", verdict, 0)
        assert covered.left == left


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_takes_subnormal_inputs_for_0_is_known_and_no_more(dtype: str) -> None:
    spec = load_specs([specs_folder()])["l1"]
    least, large = 2.0**-127, 2.0**100
    given = {"input": [-large, 1.0], "target": [0.0, -least], "weight": [least, 1.0]}
    case = make_case(spec, given, {"reduction": "none"}, dtype)
    stack, wrt = Stack.of(case), ("input",)
    numbers = evaluate_stack(spec, stack, wrt)
    own = Entry.model_validate(entry(checks="l1/*/*/*/*/*", when="", envelope={"flushed": True}))
    for name, check, right, flushed in (
        ("value", "value", [large * least, 1], [0, 1]),
        ("input", "gradient.input", [-least, 1], [0, 1]),
    ):
        for answer, left in ((right, AGREES), (flushed, AGREES), ([0, 2], FAILS), ([2 * least * large, 1], FAILS)):
            verdict = judge(numbers[name], np.array([answer]).astype(DTYPES[dtype]), FORMATS[dtype])
            covered = Coverage([own], spec, stack, wrt).of(f"l1/x/cpu/eager/{dtype}/{check}", name, verdict, 0)
            assert covered.left == left, (name, answer)
            assert (verdict.severity == AGREES).all() == (answer is right)


def test_a_parameter_in_float32_is_named_in_instead_and_covers_no_more() -> None:
    spec = load_specs([specs_folder()])["huber"]
    case = make_case(spec, {"input": [3.0], "target": [0.0]}, {"delta": 0.3, "reduction": "none"}, "float64")
    stack, delta = Stack.of(case), float(np.float32(0.3))
    envelope = {"instead": "loss = weight * delta_float32 * (abs(error) - delta_float32 / 2)"}
    own = Entry.model_validate(entry(checks="huber/*/*/*/*/value", when="", envelope=envelope))
    assert not fault_of(own, spec)
    right = delta * (3 - delta / 2)
    for answer, left in ((right, AGREES), (float(np.float32(right)), FAILS)):
        verdict = judge(evaluate_stack(spec, stack, ())["value"], np.array([[answer]]), FORMATS["float64"])
        assert (verdict.severity == FAILS).all()
        assert Coverage([own], spec, stack, ()).of("huber/x/cpu/eager/float64/value", "value", verdict, 0).left == left


def test_an_answer_may_be_off_by_that_many_times_the_budget_of_what_is_computed() -> None:
    spec = load_specs([specs_folder()])["l1"]
    stack = Stack.of(make_case(spec, {"input": [3.0], "target": [0.1]}, {"reduction": "none"}, "float64"))
    envelope = {"instead": "loss = 2 * weight * abs(error)", "times": 2.0**28}
    own = Entry.model_validate(entry(checks="l1/*/*/*/*/value", when="", envelope=envelope))
    for error, left in ((0.0, AGREES), (2.0**-26, AGREES), (2.0**-20, FAILS), (np.nan, FAILS), (np.inf, FAILS)):
        verdict = judge(evaluate_stack(spec, stack, ())["value"], np.array([[5.8 + error]]), FORMATS["float64"])
        assert Coverage([own], spec, stack, ()).of("l1/x/cpu/eager/float64/value", "value", verdict, 0).left == left


@pytest.mark.parametrize("limit", [{"absolute": 1.0}, {"ulp": 1e300}, {"ratio": 1e300}], ids=str)
def test_no_limit_covers_a_number_where_an_infinity_is_due(limit: dict[str, float]) -> None:
    spec = load_specs([specs_folder()])["l1"]
    stack = Stack.of(make_case(spec, {"input": [np.inf], "target": [0.0]}, {"reduction": "none"}, "float64"))
    own = Entry.model_validate(entry(checks="l1/*/*/*/*/value", when="", envelope=limit))
    verdict = judge(evaluate_stack(spec, stack, ())["value"], np.array([[16.1]]), FORMATS["float64"])
    assert Coverage([own], spec, stack, ()).of("l1/x/cpu/eager/float64/value", "value", verdict, 0).left == FAILS


def test_every_limit_of_an_envelope_must_hold(tmp_path: Path) -> None:
    assert value_of(judged("NearTie", written(tmp_path, entry(envelope={"absolute": 16, "ulp": 1})))).new == "fails"


def test_two_entries_cover_a_check_together(tmp_path: Path) -> None:
    halves = (
        entry(
            id="near", when="abs(input - target) < 1", witness={**WITNESS, "inputs": {"input": [0.5], "target": [0.0]}}
        ),
        entry(id="nearer", when="abs(input - target) >= 1 and abs(input - target) < 2"),
    )
    check = value_of(judged("NearTie", written(tmp_path, *halves)))
    assert check.known == ["near", "nearer"]
    assert check.new not in {"fails", "error"}


def test_what_is_raised_can_be_known(tmp_path: Path) -> None:
    raising = entry(checks="l1/raises/*/*/*/*", envelope={"raises": "RuntimeError: the kernel"}, when="")
    result = judged("Raises", written(tmp_path, raising))
    assert {check.new for check in result.checks} == {None}
    assert {check.outcome for check in result.checks if check.check == "value"} == {"error"}
    other = judged("Raises", written(tmp_path, {**raising, "envelope": {"raises": "out of memory"}}))
    assert value_of(other).new == "error"


def test_edge_cases_are_covered_by_their_check_alone(tmp_path: Path) -> None:
    """An entry for the value of generated cases says nothing of edge cases."""
    result = judged(
        "NearTie", written(tmp_path, entry(checks=["l1/near_tie/*/*/*/value", "l1/near_tie/*/*/*/edge.both*"]))
    )
    edges = {check.check: check for check in result.checks if check.check.startswith("edge.")}
    assert all(check.known == [] or check.check.startswith("edge.both") for check in edges.values())


# Stale


def test_an_entry_whose_witness_no_longer_shows_is_stale(tmp_path: Path) -> None:
    result = judged("Right", written(tmp_path, entry(checks="l1/right/*/*/*/value")))
    (told,) = result.stale
    assert told.startswith("near-tie: ")
    assert "l1/right/cpu/eager/float64" in told
    assert not result.fixed


def test_beyond_its_versions_it_may_be_fixed_upstream(tmp_path: Path) -> None:
    result = judged("Right", written(tmp_path, entry(checks="l1/right/*/*/*/value", versions="<1.5")))
    assert not result.stale
    (told,) = result.fixed
    assert "fixed upstream?" in told


def test_beyond_its_versions_a_fault_that_still_shows_is_new(tmp_path: Path) -> None:
    result = judged("NearTie", written(tmp_path, entry(versions="<1.5")))
    assert value_of(result).new == "fails"
    assert not result.stale
    assert not result.fixed


def test_an_entry_that_matches_no_check_is_stale(tmp_path: Path) -> None:
    planned = plan("NearTie", written(tmp_path, entry(checks="l1/near_tie/*/*/*/gradient.wieght")))
    (told,) = unmatched(planned)
    assert "near-tie" in told
    assert "matches no check" in told


def test_an_entry_for_what_was_filtered_out_is_not_stale(tmp_path: Path) -> None:
    mse = entry(checks="mse/near_tie/*/*/float32/value", when="")
    assert not unmatched(plan("NearTie", written(tmp_path, mse)))


@pytest.mark.parametrize(
    "pattern", ["l1/near_tie/cuda/*/*/value", "l1/near_tie/*/compiled/*/value", "l1/near_tie/*/*/bfloat16/value"]
)
def test_an_entry_for_what_this_machine_lacks_is_not_stale(tmp_path: Path, pattern: str) -> None:
    """One list serves a machine with a GPU and one without."""
    assert not unmatched(plan("NearTie", written(tmp_path, entry(checks=pattern))))


def test_an_entry_for_another_framework_is_no_concern(tmp_path: Path) -> None:
    planned = plan("NearTie", written(tmp_path, entry(checks="l1/elsewhere/*/*/*/value")))
    assert not unmatched(planned)
    assert value_of(judge_cell(planned, planned.cells[0])).new == "fails"


@pytest.mark.parametrize(
    "changes",
    [
        {"checks": "l1/near_tie/value"},
        {"when": "abs(imput - target) < 2"},
        {"checks": "*/near_tie/*/*/*/value", "when": "abs(input - target) < beta"},
        {"envelope": {"instead": "looss = 0"}},
        {"envelope": {"instead": "loss = imput"}},
    ],
    ids=str,
)
def test_an_entry_that_does_not_fit_its_criterion_ends_the_run_before_it_starts(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(ConformanceError, match="near-tie"):
        plan("NearTie", written(tmp_path, entry(**changes)))


@pytest.mark.parametrize(
    ("versions", "version", "applies"),
    [
        (">=2.13,<2.14", "2.13.0+cpu", True),
        (">=2.13,<2.14", "2.13.1", True),
        (">=2.13,<2.14", "2.14.0", False),
        (">=2.13,<2.14", "2.12.9", False),
        ("", "9.9", True),
        (">=2.13", "2.14.0.dev20261101+cu130", True),
        (">=2.13", "not a version", False),
    ],
)
def test_versions(versions: str, version: str, applies: bool) -> None:
    assert read_one(versions=versions).applies_to({"near_tie": version, "other": "0"}) is applies


@pytest.mark.parametrize(
    ("versions", "seen", "applies"),
    [
        ("jaxlib>=0.10.2,<0.11", "0.10.2", True),
        ("jaxlib >=0.10.2, <0.11", "0.10.2", True),
        ("Jax_Lib>=0.10.2", "", False),
        ("jax-numpy==3", "3", True),  # a package's name is written in several ways
        ("jaxlib>=0.11", "0.10.2", False),
        ("elsewhere>=0", "", False),
        (">=0.2.8,<0.2.9", "0.2.8", True),
    ],
)
def test_a_range_may_be_that_of_another_package(versions: str, seen: str, applies: bool) -> None:
    packages = {"optax": "0.2.8", "jaxlib": "0.10.2", "jax_numpy": "3"}
    one = read_one(versions=versions)
    assert one.version(packages) == seen
    assert one.applies_to(packages) is applies


def test_a_package_without_a_range_is_told(tmp_path: Path) -> None:
    assert "not a version range" in faults(tmp_path, entry(versions="jaxlib"))


def test_a_fault_of_another_package_is_known_by_its_version(tmp_path: Path) -> None:
    """A framework may be new, and the compiler beneath it old: the range says whose fault it is."""
    assert value_of(judged("NearTieBeneath", written(tmp_path, entry(versions="beneath>=3")))).known == ["near-tie"]
    assert value_of(judged("NearTieBeneath", written(tmp_path, entry(versions="beneath>=4")))).known == []
    shown = {**WITNESS, "inputs": {"input": [9.0], "target": [0.0]}}  # it never was
    (told,) = judged("NearTieBeneath", written(tmp_path, entry(versions="beneath<3", witness=shown))).fixed
    assert "(3.1)" in told


def test_the_variants_of_an_adapter_share_one_file_and_patterns_tell_them_apart() -> None:
    class Variant:
        name = "keras:torch"
        binding = run = None

        def environment(self) -> Environment:
            return Environment(versions={"keras": "3.15.1"})

    known = framework_of("keras:torch", Options(), lambda name, specs: Variant()).known  # type: ignore[arg-type,return-value]
    patterns = {pattern.split("/")[1] for item in known for pattern in item.patterns}
    assert {"keras:*", "keras:torch"} <= patterns
    assert all({"keras:*", "keras:torch"} & {p.split("/")[1] for p in item.patterns} for item in known)
    clip = next(item for item in known if item.id == "keras-bce-clip")
    assert clip.matches("bce/keras:jax/cpu/compiled/float32/value")
    assert not clip.matches("bce/keras/cpu/eager/float32/value")


def test_a_witness_may_be_of_a_criterion_that_is_filtered_out(tmp_path: Path) -> None:
    """Its entry speaks of both; which one the witness is of, a run of the other does not ask."""
    both = entry(checks=["l1/near_tie/*/*/*/value", "huber/near_tie/*/*/*/value"], when="")
    told = {**WITNESS, "parameters": {"reduction": "none", "delta": 1.0}}
    assert plan("NearTie", written(tmp_path, {**both, "witness": told})).cells
