"""The way of the reference's numbers to a verdict: certified, evaluated again, or undecided; and the control of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import flint
import numpy as np
import pytest
from flint import arb

from conformance import evaluate
from conformance.cases.case import Case, Stack
from conformance.cases.plan import stacks
from conformance.cli import main
from conformance.errors import ReferenceFault
from conformance.record.journal import Journal
from conformance.record.results import first_fault, read_results, results_of, write_results
from conformance.reference import control, escalate
from conformance.reference.certify import Ways, certify
from conformance.reference.control import check_cases, is_within, sample
from conformance.reference.escalate import positions_of, precision
from conformance.reference.evaluate import evaluate_stack, make_case
from conformance.reference.formats import FORMATS
from conformance.reference.functions import FUNCTIONS
from conformance.reference.numbers import Numbers
from conformance.reference.quad import quad
from conformance.reference.reductions import Balls
from conformance.report.html import render
from conformance.report.terminal import summary
from conformance.report.words import ways
from conformance.spec import load_specs, spec_for, specs_folder
from conformance.suite.run import judge_cell
from conformance.verdict.compare import NAMES, judge
from conformance.verdict.known import amended
from tests import report_samples as samples
from tests.test_plugin import last_line, ran
from tests.test_suite import judged, plan_of

CRITERIA = sorted(load_specs([specs_folder()]))


def stack_of(criterion: str, inputs: dict[str, Any], dtype: str = "float64", **parameters: Any) -> Stack:
    return Stack.of(make_case(spec_for(criterion), inputs, parameters, dtype))


def evaluated(criterion: str, stack: Stack) -> dict[str, Numbers]:
    spec = spec_for(criterion)
    wrt = tuple(name for name in spec.differentiable if name in stack.inputs)
    return evaluate_stack(spec, stack, wrt, project=True)


def certified(criterion: str, inputs: dict[str, Any], dtype: str = "float64", **more: Any) -> dict[str, Numbers]:
    stack = stack_of(criterion, inputs, dtype, **more)
    return certify(spec_for(criterion), stack, evaluated(criterion, stack))[0]


# The control


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_number_lies_within_its_bound(criterion: str, dtype: str) -> None:
    """All that the control may ever look at, of some stacks: none is outside, and few can not be compared."""
    spec, numbers, compared = spec_for(criterion), 0, 0
    for stack in list(stacks(spec, dtype, "quick"))[:10]:
        found = evaluated(criterion, stack)
        numbers += sum(int((np.isfinite(item.high) & ~item.unsure).sum()) for item in found.values())
        compared += check_cases(spec, stack, found, range(len(stack)))
    assert compared >= 0.99 * numbers  # at a kink, a tie of roots stays open for ever, and the numbers that rest on it


def test_a_ball_that_cannot_tell_a_kink_has_no_derivative() -> None:
    """nt_xent's one vector is NaN, so has no direction: a number says so, where a ball of NaN compares with nothing."""
    spec = spec_for("nt_xent")
    stack = Stack.of(make_case(spec, {"input": [[np.nan, 1.0]], "target": [1]}, {"reduction": "none"}, "float64"))
    found = evaluate_stack(spec, stack, ("input",))
    assert np.isnan(found["input"].high).all()
    assert found["value"].high == 0
    assert check_cases(spec, stack, found, [0]) == 1  # the value


def largest_of(loss: str, anchor: list[float]) -> tuple[Numbers, int]:
    """The gradient of a loss by its one row, and how many numbers the control compared."""
    spec, zeros = amended(spec_for("triplet_margin"), f"loss = {loss}"), [0.0] * len(anchor)
    inputs = {"anchor": anchor, "positive": zeros, "negative": zeros}
    stack = Stack.of(make_case(spec, inputs, {"reduction": "none"}, "float64"))
    found = evaluate_stack(spec, stack, ("anchor",))
    return found["anchor"], check_cases(spec, stack, found, [0])


NEAR = [3.0, float(np.nextafter(3.0, 4))]


@pytest.mark.parametrize(
    ("loss", "anchor", "due"),
    [
        # whose third is the larger a dtype cannot tell, and the reference can
        ("max(anchor / 3, over=D)", NEAR, [0, 1 / 3]),
        ("max(anchor / 3, over=D)", NEAR[::-1], [1 / 3, 0]),
        ("norm(anchor / 3, over=D, p=inf)", NEAR, [0, 1 / 3]),
        # exact in the reference
        ("max(anchor - 0.5, over=D)", NEAR, [0, 1]),
        ("norm(anchor - 0.5, over=D, p=inf)", NEAR, [0, 1]),
    ],
)
def test_of_near_ties_the_larger_has_the_slope(loss: str, anchor: list[float], due: list[float]) -> None:
    """Either may have it in the dtype, so a choice is left; in the reference it is not that neither has."""
    slope, compared = largest_of(loss, anchor)
    np.testing.assert_array_equal(slope.high, [due])
    assert not slope.unsure.any()
    np.testing.assert_allclose(slope.below[0], due)
    np.testing.assert_allclose(slope.above[0], due[::-1])
    assert compared == 3


@pytest.mark.parametrize("loss", ["max(anchor, over=D)", "norm(anchor, over=D, p=inf)"])
def test_an_infinite_component_is_the_largest(loss: str) -> None:
    slope, _ = largest_of(loss, [np.inf, 1.0])
    np.testing.assert_array_equal(slope.high, [[1, 0]])
    slope, _ = largest_of(loss, [1.0, np.inf, np.inf])
    np.testing.assert_array_equal(slope.high + slope.above, [[0, 1, 1]])
    np.testing.assert_array_equal(slope.high - slope.below, [[0, 0, 0]])


@pytest.mark.parametrize(
    ("criterion", "name"),
    [("cross_entropy", "softplus"), ("soft_margin", "softplus"), ("gaussian_nll", "log"), ("poisson_nll", "exp")],
)
def test_a_function_wrong_by_a_hair_ends_the_cell(criterion: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = FUNCTIONS[name]
    monkeypatch.setitem(FUNCTIONS, name, lambda x: right(x) + right(x) * quad(2.0**-60))
    plan = plan_of("numpy", criteria=(criterion,))
    with pytest.raises(ReferenceFault, match=rf"{criterion} in float64, case [0-9a-f]{{12}}, is .* in 113 bits"):
        judge_cell(plan, plan.cells[0])


def test_a_product_wrong_by_a_hair_ends_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Balls.mul

    def wrong(self: Balls, x: Any, y: Any) -> Any:
        z = right(self, x, y)
        return replace(z, x=z.x + z.x * quad(2.0**-60))

    monkeypatch.setattr(Balls, "mul", wrong)
    plan = plan_of("numpy", criteria=("kl_div",))
    with pytest.raises(ReferenceFault):
        judge_cell(plan, plan.cells[0])


def test_a_run_with_a_broken_reference_comes_to_no_verdict(tmp_path: Path) -> None:
    args = ("--criterion", "soft_margin", "--criterion", "l1", "--dtype", "float64", "--effort", "quick")
    code, out = ran(tmp_path, *args, "--framework", "faulty:RightBesideABrokenReference", "--results", "out.json")
    assert code == 1, out
    assert last_line(out).startswith("INCOMPLETE: 0 new;")
    assert "the reference contradicts itself" in out
    document = read_results(tmp_path / "out.json")
    assert {check["criterion"] for check in document["checks"]} == {"l1"}
    lost = next(e for e in document["ledger"] if e.get("cell") == "soft_margin/right_beside/cpu/eager/float64")
    assert lost["status"] == "not run"
    assert lost["reason"].startswith("the reference contradicts itself")
    alone = (*args[:2], *args[4:])
    code, _ = ran(tmp_path, *alone, "--framework", "faulty:RightBesideABrokenReference")
    assert code == 1  # nothing was judged, which alone would be 5


def test_the_sample_is_one_case_in_64_whatever_stands_beside_it() -> None:
    draw = np.random.Generator(np.random.Philox(1)).standard_normal((20_000, 3))
    many = Stack("l1", "float64", {"S0": 3}, {"reduction": "mean"}, {"input": draw, "target": np.zeros_like(draw)})
    chosen = sample(many)
    assert 20_000 / 64 * 0.8 < len(chosen) < 20_000 / 64 * 1.2
    assert all(sample(Stack.of(many[k])) == [0] for k in chosen[:20])
    assert sample(many.only([k for k in range(1000) if k not in chosen])) == []


def test_a_case_too_large_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "EVERY", 1)
    for size, checked in ((control.LARGEST, True), (control.LARGEST + 1, False)):
        stack = stack_of("l1", {"input": np.arange(size), "target": np.zeros(size)}, reduction="sum")
        _, found = certify(spec_for("l1"), stack, evaluated("l1", stack))
        assert bool(found.checked) == checked


def test_within_means_within() -> None:
    n = evaluated("l1", stack_of("l1", {"input": [3.0], "target": [0.0]}, reduction="none"))["value"]
    with precision(300):
        assert_within_means_within(n, (0, 0), arb(3))


def assert_within_means_within(n: Numbers, at: tuple[int, ...], exact: arb) -> None:
    assert is_within(n, at, exact) is True
    assert is_within(n, at, exact + arb(2) ** -150) is False  # exact: no error at all is allowed
    assert is_within(n, at, exact + arb(0, 1)) is None
    assert is_within(n, at, escalate.NOTHING) is None
    loose = replace(n, error=np.array([[2.0**-100]]))
    assert is_within(loose, at, exact + arb(2) ** -101) is True
    assert is_within(replace(n, high=np.array([[np.nan]])), at, exact) is False
    assert is_within(replace(n, high=np.array([[np.inf]])), at, exact) is False
    assert is_within(replace(n, high=np.array([[np.inf]])), at, arb("1e309")) is True
    assert is_within(replace(n, high=np.array([[-np.inf]])), at, arb("1e309")) is False
    kink = replace(n, unsure=np.array([[True]]), above=np.array([[2.0]]))
    assert is_within(kink, at, exact + 2) is True
    assert is_within(kink, at, exact - 1) is False
    assert is_within(kink, at, exact + 2 + arb(2) ** -52) is True  # intervals of choices are rounded
    assert is_within(kink, at, exact + 2 + arb(2) ** -40) is False


def test_a_third_of_a_choice_is_within_its_interval() -> None:
    x = np.array([[0.0, 0.0, 2.0**-149, 0.0], [2.0, 0, 0, 0], [2.0, 0, 0, 0]])  # 1 + 2^-149 is 1 in binary128
    n = certified("multiclass_hinge", {"input": x, "target": [1, 0, 0]}, reduction="mean")
    assert n["input"].certified.all()


# Escalation


def uncertain(found: dict[str, Numbers], where: dict[str, Any]) -> dict[str, Numbers]:
    """The numbers with their certificates taken away at some places."""
    changed = dict(found)
    for name, mask in where.items():
        error = np.where(mask, 1.0, found[name].error)
        changed[name] = replace(found[name], certified=found[name].certified & ~mask, error=error)
    return changed


def test_only_what_is_uncertain_is_evaluated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {"input": np.array([[1.5, 2.0], [3.0, 0.5], [0.25, 7.0]]), "target": np.zeros((3, 2))}
    stack = Stack("mse", "float64", {"S0": 2}, {"reduction": "none"}, inputs)
    first = evaluated("mse", stack)
    mask = np.array([[False, False], [False, True], [False, False]])
    sizes: list[int] = []
    whole = escalate.evaluate_balls

    def counted(spec: Any, part: Stack, *args: Any, **more: Any) -> Any:
        sizes.append(len(part))
        return whole(spec, part, *args, **more)

    monkeypatch.setattr(escalate, "evaluate_balls", counted)
    found, went = certify(spec_for("mse"), stack, uncertain(first, {"input": mask}))
    assert sizes == [1]  # one case of three, at the lowest precision
    assert (went.binary128, went.arb, went.undecided) == (3 * 6 - 1, 1, 0)
    assert found["input"].certified.all()
    np.testing.assert_array_equal(found["input"].high, first["input"].high)
    assert found["input"].bits.tolist() == [[113, 113], [113, 300], [113, 113]]


def test_beyond_the_limit_it_stays_undecided_and_is_counted_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(escalate, "LARGEST", 1)
    stack = stack_of("mse", {"input": [1.0, 2.0], "target": [0.0, 0.0]}, reduction="none")
    found, went = certify(
        spec_for("mse"), stack, uncertain(evaluated("mse", stack), {"value": np.array([[True, False]])})
    )
    assert (went.undecided, went.arb) == (1, 0)
    answer = np.array([[1.0, 4.0]])
    assert [NAMES[k] for k in judge(found["value"], answer, FORMATS["float64"]).severity[0]] == ["undecided", "agrees"]


def test_the_work_is_that_of_the_largest_operation() -> None:
    """The layout of npair has four axes, and no operation looks at more than three of them at once."""
    batch = np.ones((12, 33))
    stack = stack_of("npair", {"anchor": batch, "positive": batch, "target": np.arange(12)})
    assert positions_of(spec_for("npair"), stack) == 12 * 33 * 12


def test_more_precision_is_for_smaller_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on the work: what may be evaluated at 300 bits may be too large for 1,200."""
    bits: list[int] = []
    evaluated_balls = escalate.evaluate_balls

    def seen(*args: Any, **more: Any) -> Any:
        bits.append(flint.ctx.prec)
        return evaluated_balls(*args, **more)

    monkeypatch.setattr(escalate, "evaluate_balls", seen)
    monkeypatch.setattr(escalate, "LARGEST", 3)
    stack = stack_of("mse", {"input": [np.nan, 2.0], "target": [0.0, 0.0]}, reduction="none")
    first = evaluated("mse", stack)
    certify(spec_for("mse"), stack, uncertain(first, {"value": np.array([[True, False]])}))
    assert bits == [300]  # NaN stays NaN however many bits there are; the next precision is not tried


def test_binary128s_own_overflow_is_no_answer() -> None:
    """exp(20000) is beyond binary128. Times 0 it is 0: infinity times 0 would make it NaN, and certain."""
    same: dict[str, Any] = {"input": [20000.0, 1.0], "target": [20000.0, 1.0]}
    stack = stack_of("kl_div", same, log_target=True, reduction="sum")
    assert not evaluated("kl_div", stack)["value"].certified.any()
    assert certified("kl_div", same, log_target=True, reduction="sum")["value"].high.tolist() == [0.0]
    found = evaluate("kl_div", same, {"log_target": True, "reduction": "sum"})
    assert found.value == 0
    assert found.certified
    assert found.gradients["target"].tolist() == [np.inf, np.e]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_number_goes_one_way_and_nearly_all_the_fast_one(criterion: str) -> None:
    went, count = Ways(), 0
    for stack in list(stacks(spec_for(criterion), "float32", "quick"))[:12]:
        found = evaluated(criterion, stack)
        count += sum(item.high.size for item in found.values())
        went += certify(spec_for(criterion), stack, found)[1]
    assert sum(asdict(went).values()) - went.checked == count
    assert went.binary128 + went.interval >= 0.99 * (count - went.undefined)


def test_a_number_that_moves_leaves_its_choices_where_they_are() -> None:
    n = evaluated("l1", stack_of("l1", {"input": [1.0], "target": [1.0]}, reduction="none"))["input"]
    assert (n.high.item(), n.below.item(), n.above.item()) == (0.0, 1.0, 1.0)
    moved = escalate._with_room(replace(n, high=n.high + 1), n)
    assert (moved.below.item(), moved.above.item()) == (2.0, 0.0)


def test_the_lengths_of_ties_are_told_apart_without_arb() -> None:
    """0.3 - -0.7 is 1 only nearly: that the hinge at 1 is not met is known exactly, since the difference is exact."""
    gap = stack_of("margin_ranking", {"input1": [0.3], "input2": [-0.7], "target": [1]}, margin=1.0, reduction="none")
    assert not evaluated("margin_ranking", gap)["input1"].unsure.any()


def test_parallel_vectors_are_decided() -> None:
    """Their loss is 0; binary128 finds 6e-69, and a bound that no number of the dtype can tell from 0."""
    x = [[1.1, 2.3, -0.7]]
    n = certified("cosine_embedding", {"input1": x, "input2": x, "target": [1]}, reduction="none")["value"]
    assert n.certified.all()

    def verdict(answer: float) -> tuple[str, float]:
        found = judge(n, np.array([[answer]]), FORMATS["float64"])
        return NAMES[int(found.severity.item())], float(found.ulps.item())

    assert verdict(0.0) == ("agrees", 0.0)
    assert verdict(2.0**-53)[0] == "inaccurate"  # 1 - cos, as the textbook has it
    assert verdict(-(2.0**-52))[0] == "inaccurate"
    assert verdict(1e-34)[0] == "undecided"  # within a budget that is wider than the number
    assert verdict(1e-3)[0] == "fails"


def test_escalation_finds_the_zero_of_parallel_vectors() -> None:
    x = [[1.1, 2.3, -0.7]]
    stack = stack_of("cosine_embedding", {"input1": x, "input2": x, "target": [1]}, reduction="none")
    found = evaluated("cosine_embedding", stack)
    again = escalate.escalate(
        spec_for("cosine_embedding"), stack, found, {name: item.doubtful for name, item in found.items()}, project=True
    )
    assert again["value"].high.item() == 0.0
    assert all(item.certified.all() for item in again.values())


def test_the_highest_of_numbers_that_float64_cannot_tell_apart_is_found() -> None:
    x = np.array([[0.0, 2.0**-400, 2.0**-300, 2.0**-350]])
    found = evaluate("multiclass_hinge", {"input": x, "target": np.array([0])}, {"reduction": "sum"})
    assert found.gradients["input"].tolist() == [[-1.0, 0.0, 1.0, 0.0]]


def test_the_largest_component_at_0_may_have_any_slope_of_its_ball() -> None:
    x = [[1.0, 2.0]]
    n = certified(
        "triplet_margin",
        {"anchor": x, "positive": x, "negative": [[5.0, 2.0]]},
        p=np.inf,
        eps=0.0,
        margin=5.0,
        reduction="sum",
    )
    assert n["value"].high.item() == 1.0
    assert n["positive"].below.tolist() == n["positive"].above.tolist() == [[[1.0, 1.0]]]
    assert n["negative"].high.tolist() == [[[-1.0, 0.0]]]


def test_a_class_forbidden_beside_a_forbidden_target_changes_nothing() -> None:
    inputs = {"input": [[-np.inf, -np.inf, 0.5, 0.5]], "target": [0]}
    n = certified("cross_entropy", inputs, reduction="sum")
    assert n["value"].high.item() == np.inf
    assert n["input"].high.tolist() == [[[-1.0, 0.0, 0.5, 0.5]]]


def test_no_answer_to_a_nan_is_ever_a_pass() -> None:
    n = certified("cross_entropy", {"input": [[-np.inf, -np.inf]], "target": [0]}, reduction="sum")["value"]
    assert np.isnan(n.high).all()
    for answer in (np.nan, 0.0, np.inf):
        assert NAMES[int(judge(n, np.array([answer]), FORMATS["float64"]).severity[0])] == "undecided"


# What is kept of it


def test_a_cell_says_which_way_its_numbers_went() -> None:
    went = judged("numpy", "cross_entropy").reference
    assert went.binary128 > 1000
    assert went.checked > 0
    plan = plan_of("numpy", criteria=("cross_entropy",))
    assert judge_cell(plan, plan.cells[0]).reference == went


def test_results_keep_it_and_may_lack_it(tmp_path: Path) -> None:
    counts = {"binary128": 990, "interval": 5, "arb": 4, "undecided": 1, "undefined": 7, "checked": 16}
    new, old = samples.document(samples.check()), samples.document(samples.check())
    for entry in new["ledger"]:
        entry["reference"] = counts
    assert first_fault(new) is None
    assert first_fault(old) is None
    line = "99.5 % of 1,000 numbers certified in binary128, 4 by arb, 1 undecided; 16 checked again"
    assert f"reference: {line}" in summary(new)
    assert "certified in binary128" not in summary(old)
    assert line in render([old, new])
    write_results(tmp_path / "new.json", new)
    assert read_results(tmp_path / "new.json")["ledger"][0]["reference"] == counts


def test_the_share_is_never_rounded_up_to_all() -> None:
    counts = {"binary128": 99_999, "interval": 0, "arb": 1, "undecided": 0, "undefined": 0, "checked": 0}
    assert ways(counts).startswith("99.9 % of 100,000 numbers")
    assert ways({**counts, "binary128": 0, "arb": 0}).startswith("100 % of 0 numbers")


def test_a_journal_carries_it_into_the_results() -> None:
    journal = Journal(None)
    journal.begin(samples.document()["run"], ["l1/numpy/cpu/formula/float64"])
    journal.judged("l1/numpy/cpu/formula/float64", 0.5, [], asdict(Ways(binary128=3)))
    journal.end(1.0)
    assert results_of(journal.record)["ledger"][0]["reference"]["binary128"] == 3


# `show --certificate`


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(["show", *args])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def case_file(tmp_path: Path) -> Path:
    case = Case("l1", "float32", {"S0": 3}, {"reduction": "sum"}, {"input": f32(0.1, 2, 3), "target": f32(0, 2, 1)})
    (tmp_path / "case.json").write_text(json.dumps(case.to_json()))
    return tmp_path / "case.json"


def f32(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


def test_the_certificate_of_a_case(case_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = shown(capsys, "l1", "--certificate", str(case_file))
    assert code == 0
    value = next(line for line in out.splitlines() if line.startswith("  -"))
    assert value.split()[1:3] == ["2.10000000149011611938477", "0x1.0cccccd000000p+1"] or "2.1000000014901161" in value
    assert "binary128" in value
    assert "[-1.0, 1.0]" in out  # the slope where input meets target
    assert "gradient.target" in out
    assert "7 of 7 numbers of binary128 were evaluated again in 300 bits and lie within their bounds" in out


def test_the_certificate_says_where_more_precision_was_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.array([[1.1, 2.3, -0.7]])
    inputs = {"input1": x, "input2": x, "target": np.array([1])}
    case = Case("cosine_embedding", "float64", {"N": 1, "D": 3}, {"margin": 0, "reduction": "sum"}, inputs)
    path = tmp_path / "a:b.json"  # a colon in a file's name is no check
    path.write_text(json.dumps({"kind": "smallest", "case": case.to_json()}))
    code, out, _ = shown(capsys, "cosine_embedding", "--certificate", str(path))
    assert code == 0
    assert "arb, 1200 bits" in out


def test_the_certificate_of_a_witness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = judged("SignFlipped")
    document = samples.document(*(check.to_json() for check in result.checks))
    write_results(tmp_path / "r.json", document)
    id_ = next(check.id for check in result.checks if check.check == "gradient.input")
    for more in ("", ":smallest", ":worst"):
        code, out, _ = shown(capsys, "l1", "--certificate", f"{tmp_path / 'r.json'}:{id_}{more}")
        assert (code, out.startswith("l1, float64, case ")) == (0, True)
    code, _, err = shown(capsys, "l1", "--certificate", f"{tmp_path / 'r.json'}:l1/nobody/cpu/eager/float64/value")
    assert (code, "holds no check" in err) == (4, True)


@pytest.mark.parametrize(
    ("criterion", "text", "said"),
    [
        ("l1", "absent.json", "there is no file 'absent.json'"),
        ("mse", "case.json", "is a case of 'l1', not of 'mse'"),
        ("l1", "torn.json", "is no JSON file"),
        ("l1", "list.json", "holds no case"),
        ("l1", "half.json", "holds no case"),
        ("l1", "short.json", "the shapes do not fit l1"),
        ("l1", "case.json:l1/torch/cpu/eager/float32/value", 'lacks "schema"'),
    ],
)
def test_a_wrong_case_is_told_in_one_sentence(
    criterion: str,
    text: str,
    said: str,
    case_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(case_file.parent)
    data = json.loads(case_file.read_text())
    Path("torn.json").write_text("{")
    Path("list.json").write_text("[1]")
    Path("half.json").write_text('{"criterion": "l1"}')
    Path("short.json").write_text(json.dumps({**data, "inputs": {**data["inputs"], "target": ["0x0p+0"] * 2}, "shapes": {"input": [3], "target": [2]}}))  # fmt: skip  # noqa: E501
    code, out, err = shown(capsys, criterion, "--certificate", text)
    assert (code, out) == (4, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_fault_of_the_reference_is_no_usage_error(
    case_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> int:
        raise ReferenceFault("the reference contradicts itself")

    monkeypatch.setattr("conformance.report.certificate.check_cases", broken)
    code, _, err = shown(capsys, "l1", "--certificate", str(case_file))
    assert (code, err) == (1, "conformance: the reference contradicts itself\n")
