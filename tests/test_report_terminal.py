"""The summary at the end of a run, and the commands that make reports from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.errors import FileError
from conformance.record.results import write_results
from conformance.report.commands import diff, report
from conformance.report.terminal import conventions_table, summary
from conformance.report.view import conventions, matrix
from conformance.report.words import clean, number, one_line, share, size, ulps
from tests.report_samples import CRITERIA, cell, check, document, realistic


@pytest.fixture(scope="module")
def text() -> str:
    return summary(realistic(stale=["torch-9: matches no check"]), width=100)


def test_the_verdict_is_the_last_line(text: str) -> None:
    assert text.splitlines()[-1].startswith("FAIL: 2 new; 2 known (1 wrong, 1 inaccurate); 10 not run")


def test_every_criterion_has_a_row_with_word_and_error(text: str) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()[5:14]}
    assert set(CRITERIA) <= rows.keys()
    assert rows["kl_div"] == ["agrees", "1.12", "agrees", "1.12"]
    assert rows["cosine_embedding"] == ["agrees", "1", "fails*", "9.5e+06"]


def test_what_is_wrong_stands_worst_first_with_its_numbers(text: str) -> None:
    assert text.index("cross_entropy/torch/cpu/eager/float32/gradient.input") < text.index(
        "ctc/torch/cpu/eager/float32"
    )
    assert "fails, 1,250 ulp, 340 times the budget, 13 of 1,600 cases" in text
    assert "  torch-cosine-zero (" in text
    assert text.index("Wrong, and new (2)") < text.index("Wrong, and known (1)") < text.index("Inaccurate (1)")


@pytest.mark.parametrize(
    "words",
    [
        "l1           input == target  input          torch 2.13.0  flattest, steepest  float64, float32",
        "l1 edge.empty_mean, torch (float64, float32): differs",
        "torch-9: matches no check",
        "torch-17: not seen on 2.13.0",
        "    8 filtered out: --dtype",
        "Unsupported (1)",
        "verdicts undecided",
        "torch 2.13.0; seed 0, effort default",
    ],
)
def test_the_rest_is_told(text: str, words: str) -> None:
    assert words in text


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_prose_and_tables_keep_to_the_width(width: int) -> None:
    for line in summary(realistic(), width=width).splitlines()[2:-1]:
        assert len(line) <= width or "/torch/" in line or line.startswith("(") or not line.startswith(" ")


def test_a_table_that_is_too_wide_is_broken_between_columns() -> None:
    many = [check(where=cell("l1", dtype)) for dtype in ("float64", "float32", "bfloat16", "float16")]
    lines = summary(document(*many), width=40).splitlines()
    heads = [line.split() for line in lines if "float" in line]
    assert heads == [["float64", "float32"], ["bfloat16", "float16"]]


def test_the_share_that_a_wide_budget_left_undecided_is_told() -> None:
    half = cell("kl_div", "float16")
    vacuous = check("agrees", where=half, counts={"agrees": 1590, "undecided": 10}, undecided={"budget": 10})
    text = summary(document(vacuous, check(where=cell("l1", "float16")), check(where=cell("kl_div"))))
    table = text[text.index("Undecided: the budget is wider than the number") :].splitlines()
    assert table[2].split() == ["float32", "float16"]
    assert table[4].split() == ["kl_div", "-", "0.6%"]
    assert not any(line.startswith("l1") for line in table[4:6])


def test_long_lists_are_cut_and_counted() -> None:
    text = summary(document(*(check("fails", where=cell(f"c{i:02}")) for i in range(40))), limit=5)
    assert "Wrong, and new (40)" in text
    assert "... and 35 more" in text


def test_what_shares_a_cause_is_told_once() -> None:
    dtypes = ("float64", "float32", "float16")
    same = [check("fails", where=cell("l1", d), worst_ratio=2.0 + i) for i, d in enumerate(dtypes)]
    text = summary(document(*same, check("fails", where=cell("mse"))))
    section = text[text.index("Wrong, and new (4, in 2 groups)") :]
    assert "2 more like it" in section
    assert "l1/torch/cpu/eager/float16/value" in section  # the worst one
    assert "l1/torch/cpu/eager/float64/value" not in section
    assert text.splitlines()[-1].startswith("FAIL: 4 new;")


def test_hostile_text_cannot_steer_the_terminal() -> None:
    doc = document(check("error", message="\x1b]0;owned\x07 \u202eback\r\n second line", where=cell("l1\x1b[2J")))
    text = summary(doc)
    assert not any(c in text for c in "\x1b\x07\r\u202e")
    assert "\\x1b]0;owned\\x07" in text


def test_ascii_only() -> None:
    doc = document(check("error", message="größer als 1 μ"))
    assert "größer" in summary(doc)
    assert summary(doc, ascii_only=True).isascii()


def test_nothing_at_all() -> None:
    assert summary(document()).splitlines()[-1].startswith("NOTHING RAN: ")


def test_baseline_changes_are_told() -> None:
    doc = document(check("fails"), baseline=document(check()))
    text = summary(doc)
    assert "Since the baseline old.json (suite 0.1.0)" in text
    assert "newly failing (1)" in text
    assert "nothing changed" in summary(document(check(), baseline=document(check())))


def test_words() -> None:
    assert [number(x) for x in (0.5, 12.34, 1250.5, 999_999, 1.2e6)] == ["0.5", "12.3", "1,250", "1,000,000", "1.2e+06"]
    assert [share(x) for x in (0.4, 3.5, 340, "inf", None)] == ["40 % of budget", "350 % of budget", "340 times the budget", "", ""]  # fmt: skip  # noqa: E501
    assert [ulps(x) for x in (3.1, None, "nan")] == ["3.1 ulp", "", ""]
    assert size({"worst_ulp": 3.1, "worst_ratio": 0.4}) == "3.1 ulp, 40 % of budget"
    assert size({"worst_ulp": None, "worst_ratio": "inf"}) == "nan or inf"
    assert clean("a\x00b\n\tc") == "a\\x00b\n\tc"
    assert one_line("a  b\nc", 80) == "a b c"
    assert one_line("x" * 50, 10) == "xxxxxxx..."


def files(folder: Path, *docs: dict[str, Any]) -> list[Path]:
    paths = [folder / f"{i}.json" for i in range(len(docs))]
    for path, doc in zip(paths, docs, strict=True):
        write_results(path, doc)
    return paths


def test_diff_says_what_got_worse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = files(tmp_path, document(check()), document(check("fails")))
    assert diff(old, new) == 1
    out = capsys.readouterr().out
    assert check()["id"] in out
    assert out.splitlines()[-1] == "WORSE: 1 newly failing or worse"


def test_diff_of_the_same_and_of_the_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = files(tmp_path, document(check("fails")), document(check()))
    assert diff(bad, good) == 0
    assert "fixed (1)" in capsys.readouterr().out
    assert diff(bad, bad) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "NOT WORSE: nothing newly failing, nothing worse"


def test_report_writes_one_page_of_many_files(tmp_path: Path) -> None:
    paths = files(tmp_path, document(check()), document(check(), frameworks={"torch": {"torch": "2.12.0"}}))
    assert report(paths, tmp_path / "out" / "page.html") == 0
    page = (tmp_path / "out" / "page.html").read_text()
    assert "torch 2.13.0" in page
    assert "torch 2.12.0" in page


def test_report_refuses_bad_files(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(FileError, match="not JSON"):
        report([tmp_path / "bad.json"], tmp_path / "out.html")
    good = files(tmp_path, document(check()))
    with pytest.raises(FileError, match="cannot be written"):
        report(good, tmp_path)
    assert not (tmp_path / "out.html").exists()


# Conventions


def convention(check_name: str, dtype: str, *points: str) -> dict[str, Any]:
    kinks = [{"kink": "tie", "chosen": dict.fromkeys(points, 1)}]
    return check("agrees", f"gradient.{check_name}", cell("l1", dtype), conventions=kinks)


def test_inputs_and_dtypes_that_take_the_same_points_share_a_row() -> None:
    same = [convention(name, dtype, "flattest") for name in ("input", "target") for dtype in ("float64", "float32")]
    (row,) = conventions({"checks": same})
    assert (row.inputs, row.points) == (("input", "target"), ("flattest",))
    assert [place.split()[0] for place in row.where] == ["float64", "float32"]


def test_what_takes_other_points_has_a_row_of_its_own() -> None:
    checks = [convention("input", "float64", "flattest"), convention("input", "float32", "flattest", "middle")]
    checks.append(convention("target", "float64", "steepest"))
    rows = conventions({"checks": checks})
    assert [(row.inputs, row.points, [place.split()[0] for place in row.where]) for row in rows] == [
        (("input",), ("flattest",), ["float64"]),
        (("input",), ("flattest", "middle"), ["float32"]),
        (("target",), ("steepest",), ["float64"]),
    ]


def test_a_foreign_kink_cannot_break_the_table() -> None:
    foul = convention("input", "float64", "x\n| y \x1b[2J")
    table = conventions_table([{"checks": [foul], "run": {"frameworks": {}}}], "github")
    assert len(table.splitlines()) == 3
    assert "\x1b" not in table


def test_who_only_refuses_has_not_agreed() -> None:
    refuses = [check("unsupported", "value"), check("agrees", "invalid.target_negative")]
    assert [box.outcome for row in matrix(document(*refuses)).values() for box in row.values()] == ["unsupported"]
    answers = [*refuses, check("fails", "invalid.target_equals_C")]
    assert [box.outcome for row in matrix(document(*answers)).values() for box in row.values()] == ["fails"]
