"""The verdict on one number: a table of what is wanted, with its budgets, and what came, to what that comes to."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.record.model import roll_up
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers, half_ulp, ulp
from conformance.verdict.compare import (
    AGREES,
    ERROR,
    FAILS,
    INACCURATE,
    NAMES,
    POINTS,
    UNDECIDED,
    Judged,
    bounds,
    judge,
)
from conformance.verdict.message import distance, full, headline
from conformance.verdict.tally import Finding, Tally, worst_element

NAN, INF = math.nan, math.inf
DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
MAX32 = FORMATS["float32"].max
TINY32 = FORMATS["float32"].tiny


def wanted(high: float, tight: float = 0.0, sound: float | None = None, **more: Any) -> Numbers:
    """The reference's numbers for one case of one element; exact and certified unless it is said."""

    def number(value: float) -> Any:
        return np.array([float(value)])

    def mask(name: str, default: bool = False) -> Any:
        return np.array([bool(more.get(name, default))])

    return Numbers(
        number(high),
        low=number(more.get("low", 0.0)),
        error=number(more.get("error", 0.0)),
        tight=number(tight),
        sound=number(tight if sound is None else sound),
        below=number(more.get("below", 0.0)),
        above=number(more.get("above", 0.0)),
        overflow_tight=mask("overflow"),
        overflow_sound=mask("overflow_sound", bool(more.get("overflow", False))),
        overflow_other=mask("overflow_other"),
        certified=mask("certified", True),
        unsure=mask("unsure"),
        bits=np.array([113], np.int16),
    )


def judged(numbers: Numbers, answer: float, dtype: str = "float32") -> Judged:
    return judge(numbers, np.array([answer], DTYPES[dtype]), FORMATS[dtype])


def verdict(numbers: Numbers, answer: float, dtype: str = "float32") -> str:
    return NAMES[int(judged(numbers, answer, dtype).severity[0])]


def ulps_above(value: float, n: int, dtype: Any = np.float32) -> float:
    return float(value + n * np.spacing(dtype(value)).astype(np.float64))


U = 2.0**-23  # an ulp of float32 at 1

TABLE: list[tuple[str, Numbers, float, str]] = [
    # finite numbers, budgets without the half ulp of the last rounding
    ("the number itself", wanted(1.0), 1.0, "agrees"),
    ("rounded to nearest", wanted(0.1), float(np.float32(0.1)), "agrees"),
    ("the other neighbour, no budget", wanted(0.1), float(np.nextafter(np.float32(0.1), np.float32(0))), "fails"),
    ("one ulp off, no budget", wanted(1.0), 1 + U, "fails"),
    ("within tight", wanted(1.0, 4 * U), 1 + 4 * U, "agrees"),
    ("half an ulp beyond tight", wanted(1.0, 3.5 * U), 1 + 4 * U, "agrees"),
    ("between tight and sound", wanted(1.0, 2 * U, 8 * U), 1 + 6 * U, "inaccurate"),
    ("below, between tight and sound", wanted(1.0, 2 * U, 8 * U), 1 - 6 * U, "inaccurate"),
    ("beyond sound", wanted(1.0, 2 * U, 8 * U), 1 + 10 * U, "fails"),
    ("wrong sign", wanted(1.0, U), -1.0, "fails"),
    ("what is cut off counts", wanted(1.0, low=0.25 * U), 1.0, "agrees"),
    # signed zero
    ("minus zero for zero", wanted(0.0), -0.0, "agrees"),
    ("zero for minus zero", wanted(-0.0), 0.0, "agrees"),
    ("tiny for zero", wanted(0.0), TINY32, "fails"),
    # subnormals: an ulp there is the smallest number
    ("a subnormal itself", wanted(3 * TINY32), 3 * TINY32, "agrees"),
    ("rounded to a subnormal", wanted(3.4 * TINY32), 3 * TINY32, "agrees"),
    ("half the smallest, to zero", wanted(0.5 * TINY32), 0.0, "agrees"),
    ("the smallest, to zero", wanted(TINY32), 0.0, "fails"),
    ("a subnormal, to zero", wanted(9 * TINY32), 0.0, "fails"),
    ("far below the smallest", wanted(1e-300), 0.0, "agrees"),
    # a budget wider than the number proves nothing
    ("vacuous, something else", wanted(1.0, 5.0), 3.0, "undecided"),
    ("vacuous, right sign", wanted(1.0, 1.5), 2.0, "undecided"),
    ("vacuous, and rounded rightly", wanted(0.1, 1.0), float(np.float32(0.1)), "agrees"),
    ("vacuous, beyond all the same", wanted(1.0, 5.0), 7.0, "fails"),
    ("cancelled to zero, exactly got", wanted(0.0, 1.0), 0.0, "agrees"),
    ("cancelled to zero, something got", wanted(0.0, 1.0), 0.5, "undecided"),
    # what is not certified
    ("uncertified, near", wanted(1.0, U, certified=False), 1.0, "undecided"),
    ("uncertified, far beyond", wanted(1.0, U, certified=False), 2.0, "fails"),
    # NaN
    ("NaN for a number", wanted(1.0, U), NAN, "fails"),
    ("NaN where it may overflow", wanted(1.0, U, overflow=True), NAN, "fails"),
    ("NaN for infinity", wanted(INF), NAN, "fails"),
    ("NaN for NaN is no pass by default", wanted(NAN), NAN, "undecided"),
    ("a number for NaN", wanted(NAN), 1.0, "undecided"),
    # infinities
    ("infinity itself", wanted(INF), INF, "agrees"),
    ("minus infinity itself", wanted(-INF), -INF, "agrees"),
    ("the other infinity", wanted(INF), -INF, "fails"),
    ("a number for infinity", wanted(INF), MAX32, "fails"),
    ("infinity itself, that may be a number", wanted(INF, INF), INF, "agrees"),
    ("a number for infinity, that may be one", wanted(INF, INF), MAX32, "undecided"),
    ("the other infinity, for a number beyond float64 of either sign", wanted(INF, INF), -INF, "undecided"),
    ("a number for infinity, that may be one in a form", wanted(INF, 0.0, INF), MAX32, "inaccurate"),
    ("NaN for infinity, that may be a number", wanted(INF, INF), NAN, "fails"),
    ("infinity for a number", wanted(1.0, U), INF, "fails"),
    ("overflow of an intermediate", wanted(1.0, U, overflow=True), INF, "inaccurate"),
    ("overflow of a form's intermediate", wanted(1.0, U, overflow_sound=True), INF, "inaccurate"),
    ("overflow to the wrong sign", wanted(1.0, U, overflow=True), -INF, "fails"),
    ("overflow of a term of the other sign", wanted(1.0, U, overflow_other=True), -INF, "inaccurate"),
    ("overflow of a term of the other sign only", wanted(1.0, U, overflow_other=True), INF, "fails"),
    ("negative, overflow", wanted(-1.0, U, overflow=True), -INF, "inaccurate"),
    # the rounding threshold to infinity
    ("beyond the largest", wanted(1e39), INF, "agrees"),
    ("beyond the largest, negative", wanted(-1e39), -INF, "agrees"),
    ("beyond the largest, other sign", wanted(1e39), -INF, "fails"),
    ("beyond the largest, saturated", wanted(1e39), MAX32, "fails"),
    ("beyond the largest, NaN", wanted(1e39), NAN, "fails"),
    ("at the threshold, up", wanted(MAX32 + 2.0**103), INF, "agrees"),
    ("at the threshold, down", wanted(MAX32 * (1 + 2.0**-25)), MAX32, "agrees"),
    ("within its budget of the threshold", wanted(MAX32 * (1 - 2.0**-20), MAX32 * 2.0**-19), INF, "agrees"),
    ("far below the threshold", wanted(MAX32 / 2, MAX32 * 2.0**-19), INF, "fails"),
    ("infinity, by a vacuous budget", wanted(1.0, INF), INF, "undecided"),
    ("infinity, by a budget wider than all numbers", wanted(1.0, 1e39), INF, "undecided"),
    ("the other infinity, by a vacuous budget", wanted(-1.0, INF), INF, "undecided"),
    ("the other infinity, by a budget wider than all numbers", wanted(-1.0, 1e39), INF, "undecided"),
    ("the other infinity, by a budget that does not reach it", wanted(-1e38, 4e38), INF, "fails"),
    ("the other infinity, within the sound budget only", wanted(-1.0, U, 1e39), INF, "inaccurate"),
    ("the largest itself", wanted(MAX32), MAX32, "agrees"),
    ("infinity for the largest", wanted(MAX32), INF, "fails"),
    # kinks: from `below` under the number to `above` over it
    ("at the lower end", wanted(0.0, below=1, above=1), -1.0, "agrees"),
    ("at the upper end", wanted(0.0, below=1, above=1), 1.0, "agrees"),
    ("between", wanted(0.0, below=1, above=1), 0.3, "agrees"),
    ("just outside", wanted(0.0, below=1, above=1), 1 + U, "fails"),
    ("outside by its budget", wanted(0.0, 2 * U, below=1, above=1), 1 + 2 * U, "agrees"),
    ("one-sided: on the other side", wanted(0.0, below=0, above=1), -0.5, "fails"),
    ("NaN at a kink", wanted(0.0, below=1, above=1), NAN, "fails"),
    ("infinite at a kink, as one of its choices is when rounded", wanted(0.0, below=1e40, above=1), -INF, "agrees"),
    ("infinite at a kink, where the choices of that sign are small", wanted(0.0, below=1e40, above=1), INF, "fails"),
    ("infinite at a kink of ordinary choices", wanted(0.0, below=1, above=1), -INF, "fails"),
]


@pytest.mark.parametrize(("numbers", "answer", "outcome"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_verdict_on_a_number(numbers: Numbers, answer: float, outcome: str) -> None:
    assert verdict(numbers, answer) == outcome


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_numbers_of_every_dtype(dtype: str) -> None:
    fmt, kind = FORMATS[dtype], DTYPES[dtype]
    step = 2.0 ** (1 - fmt.digits)
    assert verdict(wanted(1.0), 1.0, dtype) == "agrees"
    assert verdict(wanted(1.0), 1 + step, dtype) == "fails"
    assert verdict(wanted(1.0, step), 1 + step, dtype) == "agrees"
    assert verdict(wanted(1.0, step / 4, 4 * step), 1 + 3 * step, dtype) == "inaccurate"
    assert verdict(wanted(fmt.max), fmt.max, dtype) == "agrees"
    assert verdict(wanted(fmt.max), INF, dtype) == "fails"
    assert verdict(wanted(fmt.tiny), fmt.tiny, dtype) == "agrees"
    assert verdict(wanted(fmt.tiny), 0.0, dtype) == "fails"
    assert verdict(wanted(0.3), float(kind(0.3)), dtype) == "agrees"
    assert verdict(wanted(INF), INF, dtype) == "agrees"
    assert verdict(wanted(1.0), NAN, dtype) == "fails"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_what_rounds_to_infinity_may_be_infinite(dtype: str) -> None:
    fmt = FORMATS[dtype]
    half = 2.0**fmt.max_exponent * fmt.unit
    assert verdict(wanted(fmt.max + half), INF, dtype) == "agrees"  # a tie, rounded to even
    assert verdict(wanted(fmt.max + 0.99 * half), fmt.max, dtype) == "agrees"
    assert verdict(wanted(fmt.max + 4 * half), INF, dtype) == "agrees"
    assert verdict(wanted(fmt.max + 4 * half), fmt.max, dtype) == "fails"
    assert verdict(wanted(fmt.max - 2 * half), INF, dtype) == "fails"


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_ulp_is_the_distance_between_neighbours(dtype: str) -> None:
    fmt, kind = FORMATS[dtype], DTYPES[dtype]
    for value in (1.0, 1.5, 3.0, 2.0**-10, fmt.min_normal, fmt.min_normal / 2, fmt.tiny, fmt.max):
        x = kind(value)
        below = np.nextafter(x, kind(0))
        assert float(ulp(np.array(float(below)), fmt)) == float(x) - float(below)
    assert float(ulp(np.array(0.0), fmt)) == fmt.tiny
    assert np.isnan(ulp(np.array([NAN, INF, -INF]), fmt)).all()
    assert half_ulp(np.array([NAN, INF]), fmt).tolist() == [0.0, 0.0]


def test_the_error_is_told_in_ulps_and_as_a_share_of_the_budget() -> None:
    found = judged(wanted(1.0, 7.5 * U), 1 + 4 * U)
    assert found.ulps[0] == 4
    assert found.ratio[0] == pytest.approx(0.5)
    assert judged(wanted(1.0), 1.0).ratio[0] == 0
    wrong = judged(wanted(1.0), NAN)
    assert math.isnan(wrong.ulps[0])
    assert wrong.ratio[0] == INF
    assert judged(wanted(INF), INF).ratio[0] == 0


def test_ulps_of_a_wrong_zero_count_in_the_wanted_numbers_ulps() -> None:
    assert judged(wanted(1.0), 0.0).ulps[0] == 2.0**23
    assert judged(wanted(0.0), 1.0).ulps[0] == 2.0**23


def test_the_point_taken_at_a_kink_is_noted() -> None:
    points = {-1.0: "steepest", 0.0: "flattest", 1.0: "steepest", 0.5: "between"}  # of [-1, 1]
    for answer, point in points.items():
        found = judged(wanted(0.0, below=1, above=1), answer)
        assert found.at_kink[0]
        assert POINTS[found.chosen[0]] == point
    away = judged(wanted(0.5), 0.5)
    assert not away.at_kink[0]
    assert away.chosen[0] == -1


@pytest.mark.parametrize("sign", [1, -1])
def test_a_point_is_named_by_how_steep_it_is_whichever_way_the_slope_goes(sign: int) -> None:
    for answer, point in ((0.0, "flattest"), (2.0, "steepest"), (1.0, "middle"), (0.5, "between")):
        interval = {"above": 2} if sign > 0 else {"below": 2}
        assert POINTS[judged(wanted(0.0, **interval), sign * answer).chosen[0]] == point
    away = wanted(sign * 1.0, below=1 - sign, above=1 + sign)  # from 1 to 3, or from -3 to -1
    assert [POINTS[judged(away, sign * answer).chosen[0]] for answer in (1.0, 3.0)] == ["flattest", "steepest"]


def test_an_overflow_is_noted_as_one() -> None:
    assert judged(wanted(1.0, U, overflow=True), INF).overflowed[0]
    assert not judged(wanted(1.0, 2 * U, 8 * U), 1 + 6 * U).overflowed[0]


def test_a_case_is_as_bad_as_its_worst_element_and_an_empty_one_agrees() -> None:
    def array(*values: float) -> Any:
        return np.array(values).reshape(2, 2)

    zero, no, yes = np.zeros((2, 2)), np.zeros((2, 2), bool), np.ones((2, 2), bool)
    bits = np.full((2, 2), 113, np.int16)
    numbers = Numbers(array(1, 2, 3, 4), zero, zero, zero, zero, zero, zero, no, no, no, yes, no, bits)
    found = judge(numbers, array(1, 2, 3, 5).astype(np.float32), FORMATS["float32"])
    assert found.worst().tolist() == [AGREES, FAILS]
    assert worst_element(found, 1) == (1,)
    none, never = np.zeros((2, 0)), np.zeros((2, 0), bool)
    bits = np.zeros((2, 0), np.int16)
    numbers = Numbers(none, none, none, none, none, none, none, never, never, never, never, never, bits)
    empty = judge(numbers, none.astype(np.float32), FORMATS["float32"])
    assert empty.worst().tolist() == [AGREES, AGREES]
    assert worst_element(empty, 0) == ()


def test_judging_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    for answer in (NAN, INF, -INF, 1e38, 0.0):
        judged(wanted(INF), answer)
        judged(wanted(1e308, INF), answer)
    assert not recwarn


# Of many cases


def case(size: int = 1) -> Case:
    inputs = {"input": np.arange(size, dtype=np.float32), "target": np.zeros(size, np.float32)}
    return Case("l1", "float32", {"S0": size}, {"reduction": "none"}, inputs)


def finding(severity: int = FAILS, size: int = 1, ratio: float = 2.0, text: str = "") -> Finding:
    return Finding(case(size), severity, (0,), 1.0, 2.0, 8388608.0, ratio, text)


@pytest.mark.parametrize(
    ("outcomes", "outcome"),
    [
        (["agrees", "fails", "error"], "fails"),
        (["agrees", "error", "inaccurate"], "error"),
        (["agrees", "inaccurate", "differs"], "inaccurate"),
        (["agrees", "differs", "undecided"], "differs"),
        (["agrees", "undecided"], "agrees"),
        (["undecided", "unsupported"], "undecided"),
        (["unsupported"], "unsupported"),
        ([], "not run"),
    ],
    ids=lambda value: "+".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_the_outcome_of_a_check_is_the_worst_of_its_cases(outcomes: list[str], outcome: str) -> None:
    from collections import Counter

    assert roll_up(Counter(outcomes)) == outcome


def test_a_check_keeps_its_worst_and_its_smallest_witness() -> None:
    tally = Tally()
    for severity, size, ratio in (
        (INACCURATE, 1, 9.0),
        (FAILS, 5, 3.0),
        (FAILS, 2, 2.0),
        (FAILS, 9, 70.0),
        (FAILS, 3, NAN),
    ):
        tally.add(severity, finding(severity, size, ratio))
    assert tally.worst is not None
    assert tally.smallest is not None
    assert (tally.worst.severity, tally.worst.ratio) == (FAILS, 70.0)
    assert (tally.smallest.severity, tally.smallest.case.size) == (FAILS, 4)  # two inputs of two


@pytest.mark.parametrize("first", [NAN, 70.0])
def test_a_witness_without_a_ratio_does_not_hide_the_worst(first: float) -> None:
    tally = Tally()
    for ratio in (first, 70.0, NAN):
        tally.add(FAILS, finding(ratio=ratio))
    assert tally.worst is not None
    assert tally.worst.ratio == 70.0


def test_a_new_fault_is_the_witness_though_a_known_one_is_worse() -> None:
    tally = Tally()
    tally.add(FAILS, finding(ratio=1e9), known=["seen-before"])
    tally.add(INACCURATE, finding(INACCURATE, ratio=1.5))
    assert tally.outcome == "fails"
    assert tally.new == "inaccurate"
    assert tally.known == {"seen-before"}
    assert tally.worst is not None
    assert tally.worst.ratio == 1.5


def test_what_only_known_differences_cover_is_not_new() -> None:
    tally = Tally()
    tally.add(AGREES)
    tally.add(FAILS, finding(), known=["seen-before"])
    assert (tally.outcome, tally.new) == ("fails", None)


# The sentences


def test_a_failure_message_stands_alone() -> None:
    text = full(
        "l1/torch/cpu/eager/float32/value", "fails", finding(size=3), finding(), {"fails": 2, "agrees": 5}, "pytest X"
    )
    for part in ("l1/torch/cpu/eager/float32/value", "wanted: 1.0 (0x1.0", "got:    2.0 (0x1.0", "8,388,608 ulp"):
        assert part in text
    for part in ("200 % of budget", "at [0]", "input = [0x0.0p+0]", "reduction = 'none'", "pytest X", "2 fails"):
        assert part in text
    assert text.index("smallest") < text.index("worst")


def test_the_sentence_of_an_exception_says_what_was_raised() -> None:
    raised = Finding(case(), ERROR, (), NAN, NAN, NAN, NAN, "RuntimeError: no kernel\nmore")
    assert headline("l1", raised) == "l1 raises: RuntimeError: no kernel"
    assert "no kernel" in full("l1", "error", raised, raised, {"error": 1}, "pytest X")


def test_a_wrong_special_value_has_no_ulps() -> None:
    assert distance(Finding(case(), FAILS, (), 1.0, NAN, NAN, INF)) == "a wrong special value"
    assert UNDECIDED < INACCURATE < FAILS


# Between which numbers an answer would not have been judged so


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
def test_bounds_are_where_the_verdict_changes(dtype: str, seed: int) -> None:
    draw, fmt = np.random.default_rng(seed), FORMATS[dtype]
    for _ in range(200):
        high = float(draw.uniform(0.5, 4) * draw.choice([-1, 0, 1]))
        tight = float(draw.uniform(0, 8) * fmt.unit)
        sides = {name: float(draw.uniform(0, 4) * fmt.unit * draw.integers(2)) for name in ("below", "above")}
        numbers = wanted(high, tight, 3 * tight, low=float(draw.uniform(-0.4, 0.4) * ulp(np.array(high or 1e-3), FORMATS["float64"])), **sides)  # fmt: skip  # noqa: E501
        answer = float(np.array(high + draw.uniform(-40, 40) * fmt.unit).astype(DTYPES[dtype]))
        severity = int(judged(numbers, answer, dtype).severity[0])
        for level in (INACCURATE, FAILS):
            low, top = bounds(numbers, (0,), level, NAN, fmt)
            near = min(abs(answer - low), abs(answer - top)) <= 2 * ulp(np.array(answer), FORMATS["float64"])
            assert near or (low <= answer <= top) == (severity < level), (high, answer, low, top, numbers)
        if severity >= INACCURATE:
            low, top = bounds(numbers, (0,), severity, answer, fmt)
            assert not low <= answer <= top


@pytest.mark.parametrize(
    ("numbers", "ends"),
    [
        (wanted(INF), (INF, INF)),
        (wanted(-INF), (-INF, -INF)),
        (wanted(MAX32), (MAX32 - 2.0**103, INF)),
        (wanted(1.0, 1.0, overflow=True), (-(2.0**-24), 2.0 + 2.0**-23)),
        (wanted(0.0, 0.0), (-TINY32 / 2, TINY32 / 2)),
    ],
)
def test_bounds_at_the_ends(numbers: Numbers, ends: tuple[float, float]) -> None:
    assert bounds(numbers, (0,), FAILS, NAN, FORMATS["float32"]) == ends
    assert all(math.isnan(end) for end in bounds(wanted(NAN), (0,), FAILS, 1.0, FORMATS["float32"]))
