"""The formula language: what it takes, what it refuses, and that nothing is ever executed."""

from __future__ import annotations

import time

import pytest

from conformance.errors import FormulaError
from conformance.formula import Builder, dims_of, names_in, parse_expression, parse_program, statements
from conformance.formula.node import walk


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "x.y",
        "x[0]",
        "lambda: 1",
        "[i for i in x]",
        "x if y else z",
        "f'{x}'",
        "'text'",
        "True",
        "x @ y",
        "x // y",
        "x % y",
        "x ** y",
        "x ** -1",
        "x ** 0.5",
        "x ** 99",
        "exp",
        "exp()",
        "exp(x, y)",
        "exp(x, over=C)",
        "logsumexp(x)",
        "norm(x, over=C)",
        "sum(x, over=1)",
        "sum(*x)",
        "sum(**x)",
        "eval(x)",
        "x := 1",
        "x in y",
        "1e999",
        str(2**60),
        "x +",
        "",
        "\0",
    ],
)
def test_refuses_what_is_not_in_the_language(text: str) -> None:
    with pytest.raises(FormulaError):
        parse_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "x" + ")" * 5000,
        "+".join(["x"] * 5000),
        "-" * 3000 + "x",
        "x" * 100_000,
        "exp(" * 90 + "x" + ")" * 90,
    ],
)
def test_a_hostile_formula_is_an_error_and_not_a_hang(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(FormulaError):
        parse_expression(text)
    assert time.perf_counter() - start < 5


def test_a_fault_names_its_place() -> None:
    with pytest.raises(FormulaError, match="'foo' is not a primitive") as caught:
        parse_program("a = x + 1\nb = a * foo(a)\n")
    assert (caught.value.line, caught.value.column) == (2, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x + 1", "an assignment"),
        ("a = 1\na = 2", "assigned twice"),
        ("exp = 1", "primitive"),
        ("a, b = 1", "an assignment"),
        ("a += 1", "an assignment"),
        ("# nothing", "empty"),
    ],
)
def test_a_program_is_assignments(text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        parse_program(text)


def test_a_statement_keeps_the_parentheses_around_its_expression() -> None:
    text = "a = (x\n  + y)\nb =  where(a > 0,\n  a, 2)  # twice"
    first, second = statements(text)
    assert first == ("a", "(x\n  + y)", 1, 4)
    assert second == ("b", "where(a > 0,\n  a, 2)", 3, 5)
    assert parse_expression(first.text).op == "+"


def test_equal_expressions_are_one_node() -> None:
    builder = Builder()
    first, second = (parse_expression("exp(x) + exp(x) * 2", builder) for _ in range(2))
    assert first is second
    assert sum(node.op == "exp" for node in walk(first)) == 1


def test_integer_and_float_constants_are_kept_apart() -> None:
    builder = Builder()
    assert parse_expression("1", builder).value == 1
    assert parse_expression("-0.5", builder).value == -0.5


def test_a_form_replaces_one_statement_and_shares_the_rest() -> None:
    builder = Builder()
    plain = parse_program("a = exp(x)\nb = a + 1\nloss = b * a", builder)
    form = parse_program("a = exp(x)\nb = a + 1\nloss = b * a", builder, {"b": "1 + a"})
    assert plain["a"] is form["a"]
    assert plain["loss"] is not form["loss"]
    with pytest.raises(FormulaError, match="'c' is not assigned"):
        parse_program("a = x", builder, {"c": "x"})


def test_chained_comparisons_and_names() -> None:
    node = parse_expression("0 <= target < C or target == ignore_index")
    assert node.op == "or"
    assert node.is_boolean
    assert names_in(node) == {"target", "C", "ignore_index"}


def test_dims_follow_reductions() -> None:
    dims = {"input": ("N", "C", "D0"), "target": ("N", "D0"), "weight": ("C",)}

    def axes(text: str) -> tuple[str, ...]:
        return dims_of(parse_expression(text), dims, lambda name: ("D0",) if name == "D" else (name,))

    assert axes("input") == ("C", "D0", "N")
    assert axes("sum(input, over=C)") == ("D0", "N")
    assert axes("sum(input, over=(C, D))") == ("N",)
    assert axes("sum(input)") == ()
    assert axes("pick(weight, target, over=C)") == ("D0", "N")
    assert axes("index(C) == target") == ("C", "D0", "N")
    assert axes("logsumexp(input, over=C, where=index(C) != target)") == ("D0", "N")
    assert axes("size(input)") == ()


def test_clip_is_a_minimum_of_a_maximum() -> None:
    builder = Builder()
    assert parse_expression("clip(x, 0, 1)", builder) is parse_expression("minimum(maximum(x, 0), 1)", builder)
