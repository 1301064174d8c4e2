"""What fails a run: every --fail-on against every outcome, known and new; the verdict line; the baseline."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.record.baseline import compare
from conformance.record.gate import FAIL_ON, FAILED, NOTHING_RAN, PASSED, conclude, decide, is_failing
from conformance.record.model import OUTCOMES
from tests.report_samples import cell, check, document, realistic

KNOWN: dict[str, Any] = {"known": ["an entry"]}

# (outcome, the cases beside the known ones; "-": no known difference): the --fail-on under which it fails
FAILS_UNDER = {
    ("fails", "-"): {"new", "required", "inaccurate"},
    ("error", "-"): {"new", "required", "inaccurate"},
    ("inaccurate", "-"): {"inaccurate"},
    ("fails", None): {"required", "inaccurate"},
    ("fails", "inaccurate"): {"required", "inaccurate"},
    ("fails", "error"): {"new", "required", "inaccurate"},
    ("error", None): {"required", "inaccurate"},
    ("inaccurate", None): set(),
    ("inaccurate", "inaccurate"): {"inaccurate"},
}


@pytest.mark.parametrize("fail_on", FAIL_ON)
@pytest.mark.parametrize("level", ["required", "unspecified"])
@pytest.mark.parametrize(
    ("outcome", "new"),
    sorted({*FAILS_UNDER, *((outcome, new) for outcome in OUTCOMES for new in ("-", None))}, key=str),
)
def test_the_gate(outcome: str, new: str | None, level: str, fail_on: str) -> None:
    more = {} if new == "-" else {**KNOWN, "new": new}
    wanted = level == "required" and fail_on in FAILS_UNDER.get((outcome, new), set())
    judged = check(outcome, level=level, **more)
    assert is_failing(judged, fail_on) == wanted
    decision = decide(document(judged, check(name="gradient.input")), fail_on)
    assert decision.exit_code == (FAILED if wanted else PASSED)
    assert decision.failing == ((judged["id"],) if wanted else ())
    assert decision.verdict.startswith("FAIL: " if wanted else "PASS: ")


@pytest.mark.parametrize("fail_on", FAIL_ON)
def test_stale_entries_fail_under_all_but_none(fail_on: str) -> None:
    decision = decide(document(check(), stale=["torch-9: no longer seen"]), fail_on)
    assert decision.exit_code == (PASSED if fail_on == "none" else FAILED)
    assert "; 1 stale" in decision.verdict


def test_fixed_upstream_does_not_fail() -> None:
    assert decide(document(check(), fixed_upstream=["torch-9"])).exit_code == PASSED


@pytest.mark.parametrize("checks", [[], [check("not run")], [check("unsupported")]])
def test_nothing_ran(checks: list[dict[str, Any]]) -> None:
    decision = decide(document(*checks), "none")
    assert decision.exit_code == NOTHING_RAN
    assert decision.verdict.startswith("NOTHING RAN: ")


def test_a_run_that_was_cut_off_does_not_pass() -> None:
    doc = document(check(), complete=False)
    assert decide(doc).verdict.startswith("INCOMPLETE: 0 new")
    assert decide(doc).exit_code == FAILED
    assert decide(doc, "none").exit_code == PASSED
    assert decide(document(check("fails"), complete=False)).verdict.startswith("FAIL: 1 new")


def test_the_verdict_line() -> None:
    known = [check("fails", where=cell(f"a{i}"), **KNOWN) for i in range(4)]
    known += [check("inaccurate", where=cell(f"b{i}"), **KNOWN) for i in range(10)]
    left_out = {cell(f"c{i}"): "filtered out" for i in range(37)}
    doc = document(*known, not_run=left_out)
    assert doc["run"]["verdict"] == "PASS: 0 new; 14 known (4 wrong, 10 inaccurate); 37 not run"
    doc = document(check("inaccurate"), check("error", "gradient.input"), fail_on="required")
    wanted = "FAIL: 1 new; 0 known (0 wrong, 0 inaccurate); 0 not run; 1 more inaccurate; --fail-on required"
    assert doc["run"]["verdict"] == wanted


# What became of one check, from the baseline to now.
STEPS = [
    ("agrees", "agrees", {}, {}, None),
    ("agrees", "fails", {}, {}, "newly_failing"),
    ("inaccurate", "error", {}, {}, "newly_failing"),
    ("unsupported", "fails", {}, {}, "newly_failing"),
    ("undecided", "fails", {}, {}, "newly_failing"),
    ("fails", "fails", KNOWN, {**KNOWN, "new": "fails"}, "newly_failing"),
    ("fails", "fails", {}, KNOWN, None),
    ("fails", "agrees", {}, {}, "fixed"),
    ("fails", "inaccurate", {}, {}, "fixed"),
    ("agrees", "inaccurate", {}, {}, "worse"),
    ("error", "fails", {}, {}, "worse"),
    ("fails", "error", {}, {}, "worse"),
    ("fails", "fails", {"worst_ratio": 2.0}, {"worst_ratio": 4.5}, "worse"),
    ("fails", "fails", {"worst_ratio": 2.0}, {"worst_ratio": float("inf")}, "worse"),
    ("fails", "fails", {"worst_ratio": 2.0}, {"worst_ratio": 3.9}, None),
    ("fails", "fails", {**KNOWN, "worst_ratio": 2.0}, {**KNOWN, "worst_ratio": 99.0}, None),
    ("fails", "fails", {**KNOWN, "worst_ratio": 99.0}, {**KNOWN, "worst_ratio": 2.0}, None),
    ("agrees", "agrees", {"worst_ratio": 0.1}, {"worst_ratio": 0.9}, None),
    ("inaccurate", "inaccurate", {"worst_ratio": 9.0}, {"worst_ratio": 2.0}, "better"),
    ("inaccurate", "agrees", {}, {}, "better"),
    ("agrees", "differs", {}, {}, "changed"),
    ("agrees", "agrees", {}, {"conventions": [{"kink": "k", "chosen": {"0": 3}}]}, "changed"),
    ("agrees", "fails", {"level": "unspecified"}, {"level": "unspecified"}, "changed"),
    ("agrees", "unsupported", {}, {}, "gone"),
    ("agrees", "undecided", {}, {}, "gone"),
    ("unsupported", "agrees", {}, {}, "added"),
    ("unsupported", "unsupported", {}, {}, None),
]


@pytest.mark.parametrize(("was", "now", "before", "after", "kind"), STEPS)
def test_comparison(was: str, now: str, before: dict[str, Any], after: dict[str, Any], kind: str | None) -> None:
    other = check(name="gradient.input")
    changes = compare(document(check(was, **before), other), document(check(now, **after), other)).to_json()
    assert changes.pop("note") == ""
    assert {key for key, ids in changes.items() if ids} == ({kind} if kind else set())


def test_sizes_are_compared_only_where_the_cases_are_the_same() -> None:
    small, large = (document(check("inaccurate", worst_ratio=size), seed=seed) for size, seed in ((2.0, 0), (9.0, 1)))
    changes = compare(small, large)
    assert changes.worse == []
    assert "seed" in changes.note


def test_a_check_that_the_suite_added_fails_nobody() -> None:
    old, added = document(check()), check("fails", "edge.new_one")
    doc = document(check(), added, suite="0.2.0", baseline=old)
    assert doc["run"]["baseline"]["changes"]["added"] == [added["id"]]
    assert doc["run"]["verdict"].startswith("PASS: 0 new;")
    assert "; 1 added and wrong" in doc["run"]["verdict"]


@pytest.mark.parametrize("fail_on", ["required", "inaccurate"])
def test_a_baseline_excuses_nothing_under_the_stricter_gates(fail_on: str) -> None:
    assert decide(document(check("fails"), baseline=document(check("fails"))), fail_on).exit_code == FAILED


def test_what_the_baseline_left_out_is_not_the_suites_addition() -> None:
    fault = check("fails", where=cell("bce"))
    filtered = document(check(), not_run={cell("bce"): "filtered out"})
    assert document(check(), fault, baseline=filtered)["run"]["failing"] == [fault["id"]]
    elsewhere = check("fails", where=cell("bce", framework="jax"))
    assert document(check(), elsewhere, baseline=document(check()))["run"]["failing"] == [elsewhere["id"]]


def test_a_baseline_excuses_what_it_shows_and_nothing_more() -> None:
    old = document(check("fails", worst_ratio=3.0))
    same, worse = (document(check("fails", worst_ratio=ratio), baseline=old)["run"] for ratio in (3.0, 30.0))
    assert same["failing"] == []
    assert same["verdict"] == "PASS: 0 new; 0 known (0 wrong, 0 inaccurate); 0 not run; 1 in the baseline too"
    assert worse["failing"] == [check()["id"]]
    assert worse["verdict"].startswith("FAIL: 1 new;")


def test_a_worse_check_that_is_known_fails_nobody() -> None:
    old = document(check("agrees"))
    assert document(check("inaccurate", **KNOWN), baseline=old)["run"]["failing"] == []
    assert document(check("inaccurate"), baseline=old)["run"]["failing"] == [check()["id"]]


def test_nothing_changed_since_itself() -> None:
    doc = realistic()
    assert not any(compare(doc, doc).to_json().values())
    assert conclude(doc, "new", realistic(), "old.json").exit_code == PASSED
    assert doc["run"]["baseline"]["file"] == "old.json"
