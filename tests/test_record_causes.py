"""Which checks share a cause, and what a cause says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.record.causes import Cause, causes_of
from tests.report_samples import cell, check, document, realistic, witness

DTYPES = ("float64", "float32", "bfloat16", "float16")


def wrong(
    name: str = "value", dtype: str = "float32", got: str = "nan", reduction: str = "sum", **more: Any
) -> dict[str, Any]:
    case = {**witness()["case"], "parameters": {"reduction": reduction}}
    where = cell(more.pop("criterion", "l1"), dtype, more.pop("mode", "eager"), more.pop("framework", "torch"))
    seen = witness(wanted=more.pop("wanted", "0x1p+0"), got=got, case=case, output=more.pop("output", "value"))
    return check(more.pop("outcome", "fails"), name, where, witnesses=[seen], **more)


def one(*checks: dict[str, Any], **changes: Any) -> Cause:
    """The one cause of these checks."""
    causes = causes_of(document(*checks, **changes))
    assert len(causes) == 1, [cause.title for cause in causes]
    return causes[0]


def test_dtypes_modes_and_reductions_share_a_cause() -> None:
    checks = [wrong(dtype=d, reduction=r) for d, r in zip(DTYPES, ("none", "mean", "sum", "sum"), strict=True)]
    cause = one(*checks)
    assert cause.title == "l1 value: NaN where a number is due (all 4 dtypes, all reductions)"
    assert (cause.standing, cause.severity, len(cause.checks)) == ("new", "fails", 4)
    agrees = [check(where=cell(dtype=d, mode="eager")) for d in DTYPES]
    cause = one(*agrees, *(wrong(dtype=d, mode="compiled") for d in DTYPES))
    assert "mode compiled" in cause.title


def test_a_gradient_and_the_edge_case_of_one_share_a_cause() -> None:
    cause = one(
        wrong("gradient.input"), wrong("gradient.target"), wrong("edge.zero", output="input", cases=1, level="required")
    )
    assert cause.title.startswith("l1 gradient: NaN")


@pytest.mark.parametrize(
    ("wanted", "got", "said"),
    [
        ("0x1p+0", "nan", "NaN where a number is due"),
        ("0x1p+0", "inf", "infinite where a number is due"),
        ("inf", "nan", "NaN where an infinity is due"),
        ("inf", "0x1p+0", "finite where an infinity is due"),
        ("nan", "0x1p+0", "finite where NaN is due"),
        ("inf", "-inf", "the wrong sign"),
        ("0x1p+0", "-0x1p+0", "the wrong sign"),
        ("0x1p+0", "0x0p+0", "0 where it is not"),
        ("0x0p+0", "0x1p+0", "not 0 where it is"),
        ("0x1p+0", "0x1p+1", "too large"),
        ("-0x1p+0", "-0x1p+1", "too large"),
        ("0x1p+0", "0x1p-1", "too small"),
        ("nan", "an input out of its domain is answered with 1.5", "an input out of its domain is answered with …"),
    ],
)
def test_symptoms(wanted: str, got: str, said: str) -> None:
    assert said in one(wrong(wanted=wanted, got=got)).title


def test_another_symptom_or_criterion_is_another_cause() -> None:
    doc = document(wrong(), wrong(dtype="float64", got="0x1p+1"), wrong(criterion="mse"))
    assert len(causes_of(doc)) == 3


def test_errors_that_say_the_same_share_a_cause_across_criteria() -> None:
    said = "RuntimeError: no kernel of 3 arguments"
    cause = one(
        wrong(outcome="error", got=said, wanted="nan"), wrong(outcome="error", got=said, wanted="nan", criterion="mse")
    )
    assert cause.title.startswith("RuntimeError: no kernel of … arguments")


def test_inaccurate_ones_are_not_told_apart_by_sign() -> None:
    rows = [wrong(dtype=d, got=g, outcome="inaccurate") for d, g in zip(DTYPES, ("0x1p+1", "0x1p-1"), strict=False)]
    assert "digits lost" in one(*rows).title


def test_all_frameworks_point_at_our_spec() -> None:
    both = [wrong(), wrong(framework="jax")]
    assert one(*both).everywhere
    assert "look at the spec first" in one(*both).title
    assert not one(*both, check(where=cell(framework="mxnet"))).everywhere
    assert "framework jax, torch" in one(*both, check(where=cell(framework="mxnet"))).title
    # two versions of one framework are one framework
    assert not one(wrong(), wrong(framework="torch@old")).everywhere


def test_several_documents() -> None:
    causes = causes_of(document(wrong()), document(wrong(framework="jax")))
    assert [cause.everywhere for cause in causes] == [True]
    assert len(causes[0].checks) == 2


def test_a_known_difference_is_a_cause() -> None:
    several = wrong(dtype="float64", known=["a", "b"], new=None)
    causes = causes_of(document(wrong(known=["a"], new=None), several))
    assert [(cause.entry, cause.standing, len(cause.checks)) for cause in causes] == [
        ("a", "known wrong", 2),
        ("b", "known wrong", 1),
    ]
    # what is new beside a known difference is not the known one
    cause = one(wrong(known=["a"], new="fails"))
    assert (cause.entry, cause.standing) == ("", "new")


def test_worst_first_and_nothing_where_nothing_is_wrong() -> None:
    assert [cause.standing for cause in causes_of(realistic())] == sorted(
        (cause.standing for cause in causes_of(realistic())),
        key=["new", "added", "as before", "known wrong", "inaccurate", "known inaccurate"].index,
    )
    assert causes_of(document(check())) == []
    assert causes_of(document()) == []


def test_with_a_baseline_what_is_wrong_there_too_is_no_news() -> None:
    old = document(wrong())
    assert one(wrong(), baseline=old).standing == "as before"
