"""Formulas as MathML: every primitive has a rule, and what a reader sees is what the tree says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from conformance.errors import FormulaError
from conformance.formula.mathml import RULES, expression, program
from conformance.formula.node import COMPARISONS
from conformance.formula.parse import BINARY, FUNCTIONS
from conformance.spec import load_specs, specs_folder

SPECS = load_specs([specs_folder()])
# What MathML Core knows, of what we use.
CORE = {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "msup", "msub", "munder"} | {
    "mtable",
    "mtr",
    "mtd",
}


def read(text: str) -> str:
    """What a formula reads like, without its layout."""
    words = "".join(ET.fromstring(expression(text)).itertext())
    return re.sub(r"\s+", " ", words.replace("\u00a0", " ")).strip()


def test_every_primitive_has_a_rule() -> None:
    written = set(FUNCTIONS) - {"clip"}  # which is a minimum of a maximum
    assert set(RULES) == written | COMPARISONS | set(BINARY.values()) | {
        "neg",
        "and",
        "or",
        "not",
        "is",
        "const",
        "name",
    }


@pytest.mark.parametrize("name", SPECS)
def test_every_formula_of_the_suite_is_printed(name: str) -> None:
    spec = SPECS[name]
    for text in [program(spec.formula), *map(expression, spec.reductions.values())]:
        assert {item.tag for item in ET.fromstring(text).iter()} <= CORE


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-x + 2 * (y - 1)", "−x+2·(y−1)"),
        ("x - (y - z)", "x−(y−z)"),
        ("x - (y + z)", "x−(y+z)"),
        ("(x + y)**2", "(x+y)2"),
        ("-2 * x", "(−2)·x"),
        ("abs(x) <= delta", "|x|≤delta"),
        ("x != 0 and not (x > 1 or x < -1)", "x≠0 and not (x>1 or x<−1)"),
        ("(x > 1 or y > 1) and z > 1", "(x>1 or y>1) and z>1"),
        ("log1p(exp(-x))", "log(1+e−x)"),
        ("softplus(x)", "log(1+ex)"),
        ("expm1(x) * 2", "(ex−1)·2"),
        ("xlogy(t, x + 1)", "t·log(x+1)"),
        ("xlog1py(1 - t, -x)", "(1−t)·log(1−x)"),
        ("where(x > 0, x, where(x < 0, -x, 0))", "x if x>0−x if x<00 otherwise"),
        ("sum(x, over=(C, J)) / size(C)", "∑C,Jxsize(C)"),
        ("logsumexp(x, over=C, where=index(C) != t)", "log∑C,indexC≠tex"),
        ("pick(log_softmax(x, over=C), t, over=C)", "(logsoftmaxC(x))C=t"),
        ("norm(u, over=D, p=2)", "‖u‖2,D"),
        ("clip(x, 0, 1)", "min(max(x,0),1)"),
        ("rename(t, C, J)", "tC→J"),
        ("d_pos + log_probs", "dpos+log_probs"),
        ("pi - inf", "π−∞"),
    ],
)
def test_what_a_reader_sees(text: str, wanted: str) -> None:
    assert read(text) == wanted


def test_statements_are_rows() -> None:
    rows = ET.fromstring(program("error = input - target  # signed\nloss = abs(error)")).iter("mtr")
    assert ["".join(row.itertext()) for row in rows] == ["error=input−target", "loss=|error|"]


@pytest.mark.parametrize("text", ["<b>", "import os", "x = <script>"])
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        program(text)


@pytest.mark.parametrize("text", ["x = ª", "x = ℌ + 𝒾"])
def test_names_of_any_alphabet_stay_text(text: str) -> None:
    ET.fromstring(program(text))
