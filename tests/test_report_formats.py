"""Markdown, JUnit XML, CSV, annotations and the badge: made from results documents alone, whatever stands in them."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from conformance.cli import main
from conformance.errors import UsageError
from conformance.record.results import write_results
from conformance.report import badge, github, junit, markdown, table
from conformance.report.formats import FORMATS, format_of, render
from tests.report_samples import cell, check, document, realistic, witness

HOSTILE = (
    "\x1b[2J\x00\ufffe\u202e <script>alert(1)</script> | `x` ]]> **b** @someone [l](u)\n# head\n::error::owned\r\n--"
)


def hostile() -> dict[str, Any]:
    """A framework that says all that could break out of a report."""
    said = {"got": HOSTILE, "sentence": HOSTILE, "command": HOSTILE, "script": f"import os\n#{HOSTILE}"}
    seen = witness(wanted="nan", due="answer", **said)
    bad = check("error", "value", cell("l1", framework="=cmd|x"), message=HOSTILE, witnesses=[seen])
    known = check("fails", "gradient.input", cell("l1"), known=[HOSTILE], message=HOSTILE)
    skipped = check("unsupported", "value", cell("mse"), message=HOSTILE)
    versions = {"=cmd|x": {"x": HOSTILE}}
    return document(bad, known, skipped, not_run={cell("ctc"): HOSTILE}, stale=[HOSTILE], frameworks=versions)


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize(
    "docs", [[], [document()], [hostile()], [realistic(), realistic()]], ids=["none", "empty", "hostile", "two"]
)
def test_every_format_takes_every_document(name: str, docs: list[dict[str, Any]]) -> None:
    text = render(docs, name)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ufffe]", text)
    assert text == render(docs, name)


def test_a_suffix_says_the_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [format_of(f"a/x.{end}") for end in ("html", "MD", "xml", "csv", "svg", "txt", "out")] == [
        "html", "markdown", "junit", "csv", "badge", "terminal", "html"]  # fmt: skip
    write_results(tmp_path / "in.json", realistic())
    outs = [tmp_path / f"out.{end}" for end in ("html", "md", "xml", "csv", "svg", "txt")]
    args = [word for out in outs for word in ("-o", str(out))]
    assert main(["report", str(tmp_path / "in.json"), *args]) == 0
    heads = ("<!doctype html", "## FAIL: 2 new", "<?xml", "id,criterion", "<svg", "loss-conformance 0.1.0")
    for out, head in zip(outs, heads, strict=True):
        assert out.read_text(encoding="utf-8").lower().startswith(head.lower())
    assert main(["report", str(tmp_path / "in.json"), "--format", "github"]) == 0
    assert capsys.readouterr().out.startswith("::error title=")
    assert main(["report", str(tmp_path / "in.json")]) == 4
    assert main(["report", str(tmp_path / "in.json"), "--format", "pdf"]) == 4
    with pytest.raises(UsageError, match="no format 'pdf'"):
        render([], "pdf")


# Markdown


def unfenced(text: str) -> str:
    """What Markdown would read as markup: without blocks and spans of code."""
    text = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def test_markdown_says_what_is_wrong_first() -> None:
    text = markdown.render([realistic()])
    assert text.startswith("## FAIL: 2 new; 2 known")
    assert text.index("### Wrong, and new (2 checks, 2 causes)") < text.index("### Wrong, and known")
    assert "| kl_div |" in text
    assert "`cross_entropy/torch/cpu/eager/float32/gradient.input`" in text
    assert "### Not run (10)" in text
    wide = {line.count("|") for line in text.splitlines() if line.startswith("| cross_entropy |")}
    heads = {line.count("|") for line in text.splitlines() if line.startswith("| | float64")}
    assert wide <= heads


@pytest.mark.parametrize("name", ["markdown", "terminal"])
def test_what_every_framework_shows_points_at_the_spec(name: str) -> None:
    here, there = document(check("fails")), document(check("fails", where=cell(framework="jax")))
    text = render([here, there], name)
    assert "In every framework: look at the spec first (1)" in text.split("FAIL")[0]
    assert "In every framework" not in render([here, document(check(where=cell(framework="jax")))], name)
    assert "In every framework" not in render([here], name)


def test_markdown_has_no_markup_of_others() -> None:
    text = unfenced(markdown.render([hostile()]))
    for markup in ("<script", "**b**", "@someone", "[l](", "\n# head", "`x`"):
        assert markup not in text, markup
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows
    assert all(line.endswith("|") for line in rows)


def test_a_fence_holds_what_looks_like_one() -> None:
    assert markdown.fenced("a\n````\nb").startswith("`````text\n")
    assert markdown.code("a`b|c") == "a&#96;b&#124;c"
    assert markdown.text("__a_b__ 1 * 2") == "&#95;&#95;a_b&#95;&#95; 1 &#42; 2"


@pytest.mark.parametrize("limit", [1000, 5000, 2**20])
def test_markdown_is_cut_between_rows_and_counted(limit: int) -> None:
    many = [check("fails", "value", cell(f"c{i:05}"), known=[f"entry-{i}-{'ä' * 200}"]) for i in range(6000)]
    text = markdown.render([document(*many)], limit)
    assert len(text.encode()) <= limit
    assert re.search(r"… and [\d,]+ rows more, which did not fit; the results file has all.\n$", text)
    rows = [line for line in text.splitlines() if line.startswith("| entry-")]
    assert all(line.count("|") == 5 for line in rows)
    assert rows
    assert "did not fit" not in markdown.render([realistic()])


# JUnit


def test_junit_counts_what_it_holds() -> None:
    doc = realistic()
    root = ET.fromstring(junit.render([doc]))
    assert root.tag == "testsuites"
    cases = list(root.iter("testcase"))
    cells = sum("cell" in e and e["status"] == "not run" for e in doc["ledger"])
    assert len(cases) == len(doc["checks"]) + cells
    for suite in root.iter("testsuite"):
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        for plural, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(plural) == str(sum(case.find(kind) is not None for case in suite))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
        float(suite.get("time", ""))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == (str(len(cases)), "1", "1")
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)


def case_of(*checks: dict[str, Any], **changes: Any) -> ET.Element:
    return next(iter(ET.fromstring(junit.render([document(*checks, **changes)])).iter("testcase")))


@pytest.mark.parametrize(
    ("outcome", "more", "kind"),
    [
        ("agrees", {}, None),
        ("differs", {}, None),
        ("fails", {}, "failure"),
        ("error", {}, "error"),
        ("fails", {"known": ["x"]}, None),
        ("inaccurate", {}, None),
        ("unsupported", {}, "skipped"),
        ("undecided", {}, "skipped"),
        ("not run", {}, "skipped"),
    ],
)
def test_junit_kinds(outcome: str, more: dict[str, Any], kind: str | None) -> None:
    found = {child.tag for child in case_of(check(outcome, message="why", **more))} - {"system-out"}
    assert found == ({kind} if kind else set())
    assert case_of(check("inaccurate", message="why"), fail_on="inaccurate").find("failure") is not None
    known = case_of(check("fails", known=["x"], message="why")).findtext("system-out")
    assert known == "known: x\nwhy"


def test_junit_of_what_no_check_says() -> None:
    root = ET.fromstring(junit.render([document(check(), stale=["old-1: gone"], complete=False)]))
    failed = {(case.get("classname"), case.get("name")) for case in root.iter("testcase") if len(case)}
    assert failed == {("known_differences", "old-1"), ("run", "complete")}
    assert list(ET.fromstring(junit.render([document()])).iter("error"))


# CSV


def rows(*docs: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.render(docs))))


def test_csv_has_a_row_for_each_check() -> None:
    doc = realistic()
    found = rows(doc)
    assert [row["id"] for row in found] == [check["id"] for check in doc["checks"]]
    wrong = next(row for row in found if row["standing"] == "new" and row["criterion"] == "cross_entropy")
    assert (wrong["fails"], wrong["agrees"], wrong["worst_ulp"]) == ("13", "1587", "1250.5")
    assert float(wrong["wanted"]) == float.fromhex("0x1.91e5b2f5f2b3ap-138")
    assert wrong["version"] == "2.13.0"


def test_csv_starts_no_formula() -> None:
    for start in ("=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "\n=1"):
        (row,) = rows(document(check("fails", known=[start])))
        assert not re.match(r"\s*[=+\-@]", row["known"]), start
    (row,) = rows(document(check("fails", witnesses=[witness(wanted="-0x1.8p+0", got="nan")])))
    assert (row["wanted"], row["got"]) == ("-1.5", "nan")
    assert not any(re.match(r"\s*[=+@]", cell) for row in rows(hostile()) for cell in row.values())


# Annotations


def test_annotations_are_causes_ten_at_most() -> None:
    one = [check("fails", where=cell("l1", dtype)) for dtype in ("float64", "float32")]
    text = github.render([document(*one)])
    assert text.count("\n") == 1
    assert "%0Afails, 2 checks\n" in text
    many = github.render([document(*(check("fails", where=cell(f"c{i:02}")) for i in range(40)))]).splitlines()
    assert len(many) == 10
    assert "31 causes more" in many[-1]


def test_annotations_tell_what_fails_and_nothing_else() -> None:
    assert github.render([document(check(), check("inaccurate", "gradient.input"))]) == ""
    assert github.render([document(check("fails", known=["x"]))]) == ""
    assert github.render([document(check("fails", known=["x"]), fail_on="required")]).count("::error") == 1
    assert github.render([document(check("fails"), fail_on="none", stale=["x"])]) == ""
    stale = github.render([document(check(), stale=["old: gone"])])
    assert stale == "::error title=stale known difference::old: gone\n"
    assert "INCOMPLETE" in github.render([document(check(), complete=False)])


def test_annotations_cannot_be_forged() -> None:
    lines = github.render([hostile()]).splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"::error title=[^:,\r\n]*::[^\r\n]*", line)
        assert "%" not in re.sub("%(25|0A|0D|3A|2C)", "", line)


# The badge


@pytest.mark.parametrize(
    ("docs", "said", "colour"),
    [
        ([document(check())], "torch 2.13.0: pass", badge.GREEN),
        ([document(check("fails", known=["x"]))], "torch 2.13.0: pass, 1 known wrong", badge.GREEN),
        ([document(check()), document(check("fails"))], "fail, 1 new", badge.RED),
        ([document(check(), complete=False)], "incomplete", badge.GREY),
        ([document()], "nothing ran", badge.GREY),
        ([], "nothing: nothing ran", badge.GREY),
    ],
)
def test_badge(docs: list[dict[str, Any]], said: str, colour: str) -> None:
    root = ET.fromstring(badge.render(docs))
    svg = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{svg}svg"
    assert said in (root.findtext(f"{svg}title") or "")
    assert said in root.get("aria-label", "")
    assert {item.get("fill") for item in root.iter(f"{svg}path")} == {colour}
