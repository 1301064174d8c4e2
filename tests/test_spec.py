"""Specs: what a file says arrives as objects; what is wrong with it is told with file, line and column, all at once."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from ruamel.yaml import YAML

from conformance import evaluate
from conformance.errors import FormulaError, SpecError, UsageError
from conformance.formula import names_in
from conformance.spec import (
    Mixed,
    Near,
    Spec,
    Specs,
    Uniform,
    Values,
    check_edge_cases,
    json_schema,
    load_spec,
    load_specs,
    spec_for,
    specs_folder,
)
from conformance.spec.constant import number
from conformance.spec.source import read_source
from conformance.suite.options import Options
from conformance.suite.plan import make_plan

GOOD = """\
spec: 1
name: toy
title: Toy
summary: A toy.
dims:
  N?: {min: 0}
  C:  {min: 1}
inputs:
  input:  {shape: "[N?, C]", dtype: float, differentiable: true}
  other:  {shape: "[N?, C]", dtype: float, default: 1}
  target: {shape: "[N?]", dtype: int, domain: 0 <= target < C}
params:
  delta:     {type: real, domain: delta > 0, default: 1e-3}
  flag:      {type: bool, default: false}
  reduction: {type: choice, choices: [none, sum], default: sum}
formula: |
  error = input - other
  loss  = where(flag, sum(error, over=C), delta * pick(error, target, over=C))
forms:
  - where: "error = -(other - input)"
    source: a book
reduce:
  none: loss
  sum: sum(loss)
kinks:
  - at: error == 0
regimes:
  ordinary: {input: [-1, 1], other: [-1, 1]}
  tiny: {input: [0.001, 1000], delta: [1, 2], why: small}
edge_cases:
  - id: first
    given: {input: [[1, 2]], target: [0], delta: 0.5}
    expect: {value: 0, gradient: {input: [["1/2", 0]]}}
references: []
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes GOOD, with some of its text replaced, and returns the file."""

    def write(*changes: tuple[str, str], name: str = "toy", text: str = GOOD) -> Path:
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
            text = text.replace(old, new)
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def faults(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert all(fault.file == str(path) for fault in caught.value.faults)
    return [f"{fault.line}:{fault.column}: {fault.message}" for fault in caught.value.faults]


def test_a_good_spec_loads(write: Write) -> None:
    spec = load_spec(write())
    assert spec.dims["N"].kind == "optional"
    assert spec.dims["N"].min == 0
    assert spec.inputs["input"].shape == ("N", "C")
    assert spec.params["delta"].levels == (0.001,)
    assert spec.params["flag"].levels == (False, True)
    assert spec.params["reduction"].levels == ("none", "sum")
    assert spec.kinks[0].id == "error == 0"
    assert spec.differentiable == ("input",)
    assert spec.forms[0].loss is not spec.loss
    assert spec.forms[0].reduce.keys() == spec.reduce.keys()
    case = spec.edge_cases[0]
    assert case.parameters == {"delta": 0.5, "flag": False, "reduction": "sum"}
    assert case.gradient == {"input": [[0.5, 0]]}


def test_draws(write: Write) -> None:
    mixed = "{mix: [{values: [0, -0.0]}, {log: [-10, -1]}, {near: other, ulps: 2}]}"
    per_dtype = "{float64: [1e-300, 1], float32: [1, 2], else: [2, 3]}"
    spec = load_spec(
        write(
            ("tiny: {input: [0.001, 1000],", f"flagged: {{flag: true, input: {per_dtype}}}\n  tiny: {{input: {mixed},")
        )
    )
    assert spec.regimes["ordinary"].draws["input"]["float16"] == Uniform(-1, 1)
    assert spec.regimes["tiny"].draws["input"]["bfloat16"] == Mixed(
        (Values((0.0, -0.0)), Uniform(-10, -1, log=True), Near("other", 2))
    )
    flagged = spec.regimes["flagged"].draws
    assert flagged["flag"]["float32"] == Values((1.0,))
    assert list(flagged["input"].values()) == [
        Uniform(1e-300, 1, log=True),
        Uniform(1, 2),
        Uniform(2, 3),
        Uniform(2, 3),
    ]
    assert spec.regimes["tiny"].why == "small"


# What is replaced in GOOD, by what, what the fault's message says, and its place: at the ¦, which is left out of the
# file, or in the line and column given.
WRONG = [
    # keys and values
    ("title: Toy", "¦titel: Toy", "unknown key 'titel'; did you mean 'title'?", ""),
    ("title: Toy\n", "", "the key 'title' is missing", "1:1"),
    ("title: Toy", "title: ¦3", "title: Input should be a valid string", ""),
    ("title: Toy", "title: Toy\n¦title: Toy", "key 'title' stands twice; first in line 3", ""),
    ("spec: 1", "spec: ¦2", "spec: Input should be 1", ""),
    ("name: toy", "name: ¦toys", "the file's name is the criterion's: 'toy'", ""),
    ("name: toy", "name: ¦Toy", "name: String should match", ""),
    (
        "dtype: float, differentiable: true",
        "¦dtpe: float, dtype: float",
        "unknown key 'dtpe'; did you mean 'dtype'?",
        "",
    ),
    ("dtype: int,", "dtype: ¦integer,", "inputs.target.dtype: Input should be 'float' or 'int'", ""),
    (
        "differentiable: true",
        "differentiable: ¦yes",
        "inputs.input.differentiable: Input should be a valid boolean",
        "",
    ),
    # dims and shapes
    ("  C:  {min: 1}", "  C:  ¦{min: 1, rank: [0, 2]}", "'C' takes no rank", ""),
    ("  C:  {min: 1}", "  C:  {max: ¦0}", "dims.C.max: Input should be greater than or equal to 1", ""),
    ("  C:  {min: 1}", "  C:  {min: 3, max: ¦2}", "max 2 is below min 3", ""),
    ("  C:  {min: 1}", "  C:  {min: 1}\n  ¦N:  {}", "'N' stands twice", ""),
    ("  C:  {min: 1}", "  C:  {min: 1}\n  ¦D1:  {}", "'D1' is not a dim", ""),
    ("  C:  {min: 1}", "  C:  {min: 1}\n  E*:  {rank: ¦[2, 1]}", "a rank is [fewest, most]", ""),
    ('target: {shape: "[N?]"', 'target: {shape: "[¦M?]"', "unknown dim 'M?' in a shape", ""),
    ('other:  {shape: "[N?, C]"', 'other:  {shape: "[N?, ¦C, C]"', "'C' stands twice", ""),
    ('other:  {shape: "[N?, C]"', 'other:  {shape: "¦N?, C"', "a shape is dims in brackets", ""),
    # inputs and parameters
    ("domain: 0 <= target < C", "domain: 0 <= target < ¦K", "unknown name 'K'", ""),
    ("domain: 0 <= target < C", "domain: ¦target + C", "a condition is due here", ""),
    ("domain: 0 <= target < C", "¦must_raise: true", "must_raise needs a domain to be out of", ""),
    ("domain: 0 <= target < C", "domain: 0 <= target < C, used: ¦target + C", "a condition is due here", ""),
    ("domain: 0 <= target < C", "¦used: target < C", "used is of integers with a domain", ""),
    ("dtype: float, default: 1", "dtype: float, ¦used: delta > 0, default: 1", "used is of integers with a domain", ""),
    ("dtype: int,", "dtype: int, ¦differentiable: true,", "an input of integers is not differentiable", ""),
    ("default: 1}", "default: 1, broadcast: ¦[but_last, full]}", "patterns begin with full, and each stands once", ""),
    ("default: 1}", "default: 1, broadcast: ¦[full, full]}", "patterns begin with full, and each stands once", ""),
    ("default: 1}", "default: 1, broadcast: ¦[full, dropped, without_last]}", "or the last, not either", ""),
    ("default: 1}", "default: 1, broadcast: ¦[full, behind]}", "Input should be 'full', 'ones'", ""),
    ("dtype: float, default: 1", "dtype: float, default: ¦x", "'x' is not known here: this must be a constant", ""),
    ("domain: delta > 0,", "domain: delta > 1,", "outside the domain stated", "13:55"),
    ("domain: delta > 0,", "domain: ¦delta >,", "not an expression", ""),
    ("domain: delta > 0,", "domain: delta > ¦reduction,", "'reduction' is a choice", ""),
    ("default: 1e-3", "default: 1e-3, levels: ¦[1, -1]", "outside the domain stated", ""),
    ("default: 1e-3", "default: 1e-3, range: ¦[2, 1]", "the range is empty", ""),
    ("default: false", "default: ¦0", "true or false is due", ""),
    ("default: sum}", "default: ¦sun}", "'sun' is none of the choices; did you mean 'sum'?", ""),
    ("type: choice, choices: [none, sum], ", "type: choice, ", "'reduction' needs choices", "15:3"),
    # formulas
    ("input - other", "input - ¦othr", "unknown name 'othr'; did you mean 'other'?", ""),
    ("input - other", "input -¦", "not an expression", ""),
    ("input - other", "input - ¦reduction", "'reduction' is a choice", ""),
    (
        "input - other",
        "where(¦reduction == 'sun', input, other)",
        "'sun' is none of the choices of 'reduction': none, sum",
        "",
    ),
    ("input - other", "where(¦delta == 'sum', input, other)", "'delta' is no choice, and is compared with a text", ""),
    ("input - other", "where(¦reduction < 'sum', input, other)", "a text stands in NAME == 'VALUE'", ""),
    ("input - other", "input - ¦flag", "a condition stands where '-' takes a number", ""),
    ("where(flag,", "where(¦delta,", "a number stands where 'where' takes a condition", ""),
    ("sum(error, over=C)", "¦sum(error, over=K)", "unknown axis 'K'", ""),
    ("sum(error, over=C)", "¦sum(delta, over=C)", "sum over 'C' of what has no such axis", ""),
    ("sum(error, over=C)", "¦sun(error, over=C)", "'sun' is not a primitive", ""),
    ("loss  = where", "lost  = where", "the formula does not assign 'loss'", "17:3"),
    ("error = input - other", "error = input - other\n  ¦delta = 2", "'delta' is taken", ""),
    ("error = input - other", "error = input - other\n  ¦error = 2", "'error' is assigned twice", ""),
    ("error = input - other", "error = ¦input.real", "an attribute has no place in a formula", ""),
    # forms
    ('where: "error = -', 'where: "¦eror = -', "the formula does not assign 'eror'; did you mean 'error'?", ""),
    ("-(other - input)", "-(other - ¦inputs)", "unknown name 'inputs'; did you mean 'input'?", ""),
    ("-(other - input)", "-(other - loss)", "unknown name 'loss'", "20:13"),
    ("-(other - input)", "-¦(other - input", "not an expression", ""),
    ("    source: a book", "    source: a book\n    reduce: {¦mean: loss}", "'mean' is no reduction", ""),
    ("    source: a book\n", "", "the key 'source' is missing", "20:5"),
    # reductions
    ("  sum: sum(loss)", "  sum: ¦loss", "'sum' leaves the axis 'N': it reduces to a number", ""),
    ("  sum: sum(loss)", "  sum: sum(¦lost)", "unknown name 'lost'; did you mean 'loss'?", ""),
    ("  sum: sum(loss)", "  ¦total: sum(loss)", "'total' is no choice of the parameter 'reduction'", ""),
    ("  sum: sum(loss)\n", "", "reduction 'sum' has no expression under 'reduce'", "15:45"),
    # kinks
    ("at: error == 0", "at: ¦eror == 0", "unknown name 'eror'; did you mean 'error'?", ""),
    ("at: error == 0", "at: ¦error", "a condition is due here", ""),
    ("at: error == 0", "at: error == 0\n    subgradient: ¦some", "Input should be 'any' or 'none'", ""),
    ("at: error == 0", "at: error == 0\n  - ¦at: error == 0", "kink 'error == 0' stands twice", ""),
    # regimes
    ("ordinary: {input: [-1, 1], other: [-1, 1]}", "¦ordinary: {input: [-1, 1]}", "the first regime draws every", ""),
    ("delta: [1, 2]", "¦dleta: [1, 2]", "'dleta' is unknown; did you mean 'delta'?", ""),
    ("delta: [1, 2]", "¦reduction: [1, 2]", "'reduction' is drawn as true or false, or not at all", ""),
    ("delta: [1, 2]", "delta: ¦[2, 1]", "the range is empty", ""),
    ("delta: [1, 2]", "delta: ¦[0, 1]", "0.0 is outside the domain of 'delta'", ""),
    ("delta: [1, 2]", "delta: {values: ¦[]}", "values is a list, and not empty", ""),
    ("delta: [1, 2]", "delta: ¦[1, 2, 3]", "a range has two bounds", ""),
    ("delta: [1, 2]", "delta: {log: ¦[-1, 2]}", "a range in magnitude lies on one side of 0", ""),
    ("delta: [1, 2]", "delta: ¦{float64: [1, 2]}", "no draw for float32, float16, bfloat16", ""),
    (
        "delta: [1, 2]",
        "delta: {¦float46: [1, 2], else: [1, 2]}",
        "unknown dtype 'float46'; did you mean 'float64'?",
        "",
    ),
    ("delta: [1, 2]", "delta: ¦{near: input}", "'delta' cannot be drawn near 'input': their shapes differ", ""),
    ("input: [0.001, 1000]", "input: ¦[1, 1e5]", "100000.0 is beyond float16's largest number, 65504", ""),
    ("input: [0.001, 1000]", "input: ¦[1e-40, 1]", "1e-40 is 0 in float16", ""),
    ("input: [0.001, 1000]", "input: ¦{near: input}", "near names another floating input, not 'input'", ""),
    ("input: [0.001, 1000]", "input: ¦{nigh: other}", "a draw is [low, high]", ""),
    ("input: [0.001, 1000]", "input: {near: other, ulps: ¦-1}", "ulps is an integer from 0", ""),
    ("input: [0.001, 1000]", "input: {near: other, ¦log: [1, 2]}", "'log' has no place beside 'near'", ""),
    # edge cases
    ("given: {input: [[1, 2]]", "given: {¦inputs: [[1, 2]]", "unknown name 'inputs'; did you mean 'input'?", ""),
    ("input: [[1, 2]], target: [0],", "input: [[1, 2]],", "the input 'target' is missing", "32:12"),
    ("input: [[1, 2]], target", "input: ¦[[1, 2], [3]], target", "the rows of an array are equally long", ""),
    ("input: [[1, 2]], target", "input: [[1, ¦x]], target", "'x' is not known here: this must be a constant", ""),
    ("target: [0]", "target: [¦0.5]", "an integer is due", ""),
    ("target: [0]", "target: [0, 1]", "no layout of the dims has these shapes: input [1, 2], target [2]", "32:12"),
    ("target: [0]", "target: ¦[2]", "'target' is outside its domain, and no error is expected", ""),
    ("target: [0]", "target: ¦{shape: [1], full: 0}", "an array is nested lists, or {shape", ""),
    ("delta: 0.5}", "delta: ¦-1}", "'delta' is outside its domain, and no error is expected", ""),
    ("expect: {value: 0,", "expect: {value: ¦[0],", "the value has the shape [], not [1]", ""),
    ("expect: {value: 0,", "expect: ¦{", "an edge case expects a value, or an error", ""),
    ("gradient: {input: [[", "gradient: {¦inputs: [[", "there is no gradient with respect to 'inputs'", ""),
    ('[["1/2", 0]]', '¦["1/2", 0]', "the gradient has the shape of 'input': [1, 2]", ""),
    ('[["1/2", 0]]', '[["¦1/0", 0]]', "not decided", ""),
    (
        'expect: {value: 0, gradient: {input: [["1/2", 0]]}}',
        "expect: {error: ¦domain}",
        "everything given is in its",
        "",
    ),
    ("  - id: first", "  - id: ¦First", "edge_cases.0.id: String should match", ""),
    ("    given:", "    ¦levl: required\n    given:", "unknown key 'levl'; did you mean 'level'?", ""),
]


@pytest.mark.parametrize(("old", "new", "message", "place"), WRONG, ids=[f"{w[1]} {w[2]}"[:60] for w in WRONG])
def test_each_fault_is_told_at_its_place(write: Write, old: str, new: str, message: str, place: str) -> None:
    if not place:
        before = GOOD.partition(old)[0] + new.partition("¦")[0]
        place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    told = faults(write((old, new.replace("¦", ""))))
    assert any(text.startswith(f"{place}: ") and message in text for text in told), told


def test_an_edge_case_cannot_stand_twice(write: Write) -> None:
    again = "  - {id: first, given: {input: [[1]], target: [0]}, expect: {value: 0}}\nreferences: []"
    assert faults(write(("references: []", again))) == ["34:10: edge case 'first' stands twice"]


def test_all_faults_come_at_once(write: Write) -> None:
    path = write(
        ("default: 1e-3", "default: -1"),
        ("input - other", "input - othr"),
        ("delta: [1, 2]", "delta: [2, 1]"),
        ("at: error == 0", "at: eror == 0"),
        ("-(other - input)", "-(other - inputs)"),
        ("target: [0]", "target: [0.5]"),
    )
    assert [text.partition(": ")[0] for text in faults(path)] == ["13:55", "17:19", "20:31", "26:9", "29:39", "32:39"]


def test_faults_of_form_come_at_once(write: Write) -> None:
    path = write(("title: Toy", "titel: 1"), ("dtype: int,", "dtype: 7,"), ("summary: A toy.", "summary: []"))
    assert [text.partition(": ")[0] for text in faults(path)] == ["1:1", "3:1", "4:10", "11:34"]


def test_all_files_come_at_once(write: Write, tmp_path: Path) -> None:
    write(("title: Toy", "titel: Toy"))
    write(("name: toy", "name: more"), ("input - other", "input - othr"), name="more")
    with pytest.raises(SpecError) as caught:
        load_specs([tmp_path])
    places = [(Path(fault.file).name, fault.line) for fault in caught.value.faults]
    assert places == [("more.yaml", 17), ("toy.yaml", 1), ("toy.yaml", 3)]
    assert re.match(r".*more\.yaml:17:19: unknown name 'othr'", str(caught.value))


def test_a_fault_in_a_block_of_statements(write: Write) -> None:
    block = "where: |\n      error = -(other - input)\n\n      loss = error + lost"
    path = write(('where: "error = -(other - input)"', block))
    assert "23:22: unknown name 'lost'; did you mean 'loss'?" in faults(path)[0]


def test_forms_take_a_list_of_statements(write: Write) -> None:
    spec = load_spec(
        write(('where: "error = -(other - input)"', 'where: ["error = -other + input", "loss = delta * error"]'))
    )
    assert names_in(spec.forms[0].loss) == {"delta", "input", "other"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("0.1", 0.1),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("9007199254740993.0", 9007199254740992.0),
        ("+.5", 0.5),
        ('"1/3"', 1 / 3),
        ('"sqrt(2)"', math.sqrt(2)),
        ('"exp(-745)"', 5e-324),
        ("inf", math.inf),
        (".inf", None),
        ("1e", None),
    ],
)
def test_numbers_are_rounded_once(write: Write, text: str, value: float | None) -> None:
    path = write(("default: 1e-3", f"default: {text}"))
    if value is None:
        assert faults(path)[0].startswith("13:")
    else:
        default = load_spec(path).params["delta"].default
        assert default == value
        assert isinstance(default, float)


def test_integers_stay_integers(write: Write) -> None:
    default = load_spec(write(("default: 1e-3", "default: 3"))).params["delta"].default
    assert (default, type(default)) == (3, int)


def test_yaml_is_of_version_1_2(write: Write) -> None:
    """`none`, `no`, `on` and the like are texts."""
    spec = load_spec(
        write(
            ("choices: [none, sum]", "choices: [none, sum, no]"),
            ("  sum: sum(loss)", "  sum: sum(loss)\n  no: 0 * sum(loss)"),
        )
    )
    assert spec.params["reduction"].choices == ("none", "sum", "no")


def test_a_large_or_empty_array(write: Write) -> None:
    given = "given: {input: {shape: [0, 3]}, target: {shape: [0]}}"
    path = write(
        ("given: {input: [[1, 2]], target: [0], delta: 0.5}", given),
        ('gradient: {input: [["1/2", 0]]}', "gradient: {input: {shape: [0, 3]}}"),
    )
    case = load_spec(path).edge_cases[0]
    assert np.shape(case.inputs["input"]) == np.shape(case.gradient["input"]) == (0, 3)
    assert np.asarray(case.inputs["target"]).dtype == np.int64


def test_out_of_domain_may_be_expected(write: Write) -> None:
    path = write(("target: [0]", "target: [2]"), ('{value: 0, gradient: {input: [["1/2", 0]]}}', "{error: domain}"))
    assert load_spec(path).edge_cases[0].error == "domain"


def test_extends_takes_what_it_does_not_say(write: Write) -> None:
    write()
    text = "spec: 1\nname: more\nextends: toy\ntitle: More\nedge_cases: []\n"
    more = load_spec(write(name="more", text=text))
    assert (more.name, more.title, more.summary, more.edge_cases) == ("more", "More", "A toy.", ())
    write(("input - other", "input - othr"))
    with pytest.raises(SpecError) as caught:
        load_spec(write(name="more", text=text + "references: [x]\n"))
    assert [(Path(fault.file).name, fault.line) for fault in caught.value.faults] == [("toy.yaml", 17)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tov", "there is no spec 'tov'; did you mean 'toy'?"),
        ("more", "extends more than"),
        ("../toy", "there is no spec"),
    ],
)
def test_extends_what_is_not_there(write: Write, name: str, message: str) -> None:
    write()
    assert any(message in text for text in faults(write(name="more", text=f"spec: 1\nname: more\nextends: {name}\n")))


def test_a_run_reads_of_the_suites_specs_those_that_it_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def noted(path: Path) -> Spec:
        read.append(path.stem)
        return load_spec(path)

    monkeypatch.setattr("conformance.spec.load.load_spec", noted)
    plan = make_plan(Options(("numpy",), ("l1", "huber"), dtypes=("float64",)))
    assert sorted(set(read)) == ["huber", "l1"]
    assert list(plan.specs) == list(load_specs([specs_folder()]))


def test_specs_of_ones_own_are_read_at_once(write: Write) -> None:
    folder = write(("title: Toy", "title: [Toy]")).parent
    with pytest.raises(SpecError, match="title"):
        Specs([folder])


def test_later_folders_override(write: Write, tmp_path: Path) -> None:
    mine = write(("name: toy", "name: l1"), name="l1")
    assert spec_for("l1").title != "Toy"
    assert spec_for("l1", [tmp_path]).path == str(mine)
    assert list(load_specs([specs_folder(), tmp_path])) == sorted(load_specs([specs_folder()]))
    assert load_specs([specs_folder(), tmp_path])["l1"].title == "Toy"


def test_an_unknown_name_is_told_with_a_close_one() -> None:
    with pytest.raises(UsageError, match="no criterion 'cross_entorpy'; did you mean 'cross_entropy'"):
        spec_for("cross_entorpy")
    with pytest.raises(UsageError, match="no folder of specs"):
        load_specs([Path("nowhere")])


def test_a_file_that_changed_is_read_again(write: Write) -> None:
    assert load_spec(write()).title == "Toy"
    assert load_spec(write(("title: Toy", "title: Other toy"))).title == "Other toy"


# Hostile or broken files: a text, and what the message says.
HOSTILE = {
    "empty": ("", "a spec is a mapping"),
    "list": ("- 1", "a spec is a mapping"),
    "syntax": ("spec: 1\nname: [toy", "not YAML"),
    "tab": ("spec:\n\t- 1", "not YAML"),
    "control": ("spec: \x07", "not YAML"),
    "anchor": ("a: &x [1]", "anchors and aliases"),
    "bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "anchors and aliases"),
    "merge": ("a: {<<: *x}", "anchors and aliases"),
    "tag": ("a: !!python/object/apply:os.system [ls]", "tags"),
    "documents": ("spec: 1\n---\nspec: 1\n", "one file holds one spec"),
    "flow depth": ("a: " + "[" * 5_000, "nested deeper"),
    "block depth": ("".join(" " * k + "a:\n" for k in range(500)), "nested deeper"),
    "key depth": ("? " * 1_000 + "a", "a key is a text"),
    "items": ("a: [" + "1, " * 60_000 + "1]", "more than"),
    "size": ("a: " + "x" * 1_000_000, "at most 256 KiB"),
    "digits": ("a: " + "1" * 100_000, "a number has at most"),
    "formula": (GOOD.replace("input - other", "(" * 2_000 + "input" + ")" * 2_000), "not an expression"),
    "formula size": (GOOD.replace("input - other", "input" + " + input" * 2_000), "at most 5000 characters"),
    "doubling": (
        GOOD.replace(
            "  error = input - other",
            "  error = input\n" + "".join(f"  a{k} = {('error' if k == 0 else f'a{k - 1}')} * 2\n" for k in range(100)),
        ),
        "nested deeper than",
    ),
    "form": (GOOD.replace("-(other - input)", "(" * 3_000), "not an expression"),
    "form size": (GOOD.replace("-(other - input)", "input" + " + input" * 2_000), "at most 5000 characters"),
    "tower": (GOOD.replace("delta: 0.5}", 'delta: "1 - ((((9**16)**16)**16)**16)**16"}'), "is outside its domain"),
    "constant": (GOOD.replace("delta: 0.5}", 'delta: "exp(exp(exp(exp(9))))"}'), "not decided"),
    "array": (GOOD.replace("[[1, 2]]", "{shape: [9999, 9999, 9999], fill: 1}"), "at most 10000 numbers"),
    "huge shape": (GOOD.replace("[[1, 2]]", "{shape: [0, 99999999999999999999], fill: 1}"), "an array is nested lists"),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_gets_an_error_and_no_hang(write: Write, text: str, message: str) -> None:
    start = time.perf_counter()
    told = faults(write(text=text))
    assert any(message in item for item in told), told
    assert time.perf_counter() - start < 5


def test_not_utf8_and_not_there(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_bytes(b"spec: 1\nname: \xff\n")
    assert faults(path) == ["2:1: not UTF-8", "1:1: a spec is a mapping: spec: 1, name: …, title: …"][:1]
    assert faults(tmp_path / "none.yaml")[0].startswith("1:1: cannot be read")


@pytest.mark.parametrize("place", sorted(specs_folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_spec_has_what_the_suite_needs(place: Path) -> None:
    spec: Spec = load_spec(place)
    assert next(iter(spec.regimes)) == "ordinary"
    assert len(spec.edge_cases) >= 8
    assert len({case.id for case in spec.edge_cases}) == len(spec.edge_cases)
    assert all(case.why for case in spec.edge_cases if case.level == "unspecified")
    assert spec.references
    assert len(spec.regimes) >= 3
    text = place.read_text(encoding="utf-8").lower()
    assert not [
        word for word in ("torch", "jax", "optax", "tensorflow", "keras", "paddle", "mlx", "onnx") if word in text
    ]


def test_specs_match_their_json_schema() -> None:
    schema = json_schema()
    for place in specs_folder().glob("*.yaml"):
        data = YAML(typ="safe", pure=True).load(place)
        jsonschema.Draft202012Validator(schema).validate(data)


def test_the_samples_read_as_ruamel_reads_them() -> None:
    """Our reader of events and ruamel.yaml's own agree on every spec."""
    for place in specs_folder().glob("*.yaml"):
        assert read_source(place).data == YAML(typ="safe", pure=True).load(place), place.name


def test_wrong_expectations_are_found_at_their_place(write: Write) -> None:
    good = load_spec(write(("expect: {value: 0,", 'expect: {value: "-0.0",')))
    assert check_edge_cases(good, evaluate) == []
    path = write(("expect: {value: 0,", "expect: {value: 1e-300,"), ('[["1/2", 0]]', '[["1/2", "1/3"]]'))
    told = [f"{fault.line}:{fault.column} {fault.message}" for fault in check_edge_cases(load_spec(path), evaluate)]
    assert [text[:50] for text in told] == [
        "33:21 edge case 'first': value: the formula gives "[:50],
        "33:47 edge case 'first': gradient.input: the formula"[:50],
    ]
    unspecified = write(
        ("expect: {value: 0,", "expect: {value: 7,"), ("    given:", "    level: unspecified\n    given:")
    )
    assert check_edge_cases(load_spec(unspecified), evaluate) == []


@pytest.mark.parametrize("name", sorted(path.stem for path in specs_folder().glob("*.yaml")))
def test_every_expectation_is_the_formulas(name: str) -> None:
    assert check_edge_cases(spec_for(name), evaluate) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 / 2", 0.5),
        ("2**-0", 1.0),
        ("-log1p(exp(-1))", -0.3132616875182228),
        ("expm1(1e-20)", 1e-20),
        ("exp(1000)", math.inf),
        ("exp(-1000)", 0.0),
        ("softplus(-40) + sigmoid(-40)", 8.496708510583178e-18),
        ("maximum(1, minimum(2, 3)) * abs(-pi)", 6.283185307179586),
        ("where(1 < 2 and not 2 < 1, 1, 1 / 0)", 1.0),
        ("where(-inf < 1 or nan == nan, 3, 4)", 3.0),
        ("7", 7),
        ("-inf", -math.inf),
    ],
)
def test_constants(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text", ["1/0", "log(-1)", "1 < 2", "sum(1)", "inf - inf", "x", "1/(log(2) - log(2))", "", "true"]
)
def test_what_is_no_constant(text: str) -> None:
    with pytest.raises(FormulaError):
        number(text)


def test_a_folded_text_is_told_where_it_begins(write: Write) -> None:
    path = write(("at: error == 0", "at: >\n      error ==\n      nothing"))
    assert faults(path) == ["26:9: unknown name 'nothing'; known: input, other, target, delta, flag, N, C, error, loss"]
