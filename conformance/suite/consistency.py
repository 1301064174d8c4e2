"""Consistency: the same case asked in other ways must be answered as well as it is when asked plainly.

A check looks at a case and nothing else, so that a witness is asked again as it was. Where the plain answer is wrong
already, `value` and `gradient.INPUT` say so, and no check here repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from conformance.adapter import Output
from conformance.cases.bind import check_of_output, output_shapes
from conformance.cases.case import Array, Case, Stack
from conformance.cases.variants import (
    REFUSABLE,
    STORAGE,
    another,
    constant,
    expanded,
    free_axes,
    is_plain,
    narrower,
    rolled,
    rolled_back,
    with_cotangent,
)
from conformance.record.model import CONSISTENCY
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.reference.reduced import reduced
from conformance.spec.model import Spec
from conformance.suite.calls import UNSUPPORTED, Problem, call_of, changes, run_call
from conformance.suite.cell import CellJudge
from conformance.suite.findings import finding_of
from conformance.suite.trial import Trial, Verdict, worst
from conformance.verdict.compare import AGREES, DIFFERS, ERROR, FAILS, UNDECIDED, judge
from conformance.worker.limits import MOST_DEATHS

Rounds = Iterator[list[Verdict]]  # a list for each way of asking, of a verdict for each case


def _layout(trial: Trial) -> Rounds:
    """Inputs that lie otherwise in memory."""
    for how, store in STORAGE.items():
        calls = [replace(call, inputs={n: store(a) for n, a in call.inputs.items()}) for call in trial.calls()]
        if is_plain(calls[0].inputs, trial.calls()[0].inputs):
            continue
        answers = trial.ask(calls)
        if how == REFUSABLE and any(found.get("") and found[""].refused for found in answers.problems):
            continue
        yield trial.against("layout", how, answers)
    for axis in free_axes(trial.spec, trial.stack.layout)[:1]:
        same = Trial(trial.judge, constant(trial.spec, trial.stack, axis))
        plain = same.calls()
        calls = [replace(plain[k], inputs=expanded(trial.spec, same.stack[k], axis)) for k in range(len(plain))]
        if not is_plain(calls[0].inputs, plain[0].inputs):
            yield same.against("layout", f"expanded: one number for all along {axis}, with stride 0", same.ask(calls))


def _permutation(trial: Trial) -> Rounds:
    """The batch in another order."""
    if not free_axes(trial.spec, trial.stack.layout):
        return
    moved = rolled(trial.spec, trial.stack)
    answers = trial.ask(Trial(trial.judge, moved).calls())
    arrays = {n: rolled_back(trial.spec, trial.stack, n, array) for n, array in answers.arrays.items()}
    yield trial.against("permutation", "with every position moved on by one", replace(answers, arrays=arrays))


def _reductions(trial: Trial) -> Rounds:
    """The reductions of the framework's own elementwise losses, and one gradient under `none` and `sum`."""
    plain = trial.unreduced
    choices = trial.spec.params["reduction"].choices if "reduction" in trial.spec.params else ()
    for reduction in (name for name in choices if name != "none"):
        other = plain.reduced_by(reduction)
        numbers = reduced(trial.spec, plain.stack, reduction, plain.judged["value"].answer, plain.numbers["value"])
        yield _reduced(plain, other, reduction, numbers)
        if trial.spec.reduce[reduction].op == "sum" and plain.wrt:
            how = f"reduction {reduction!r}, where 'none' is right"
            gradients = {name: item for name, item in plain.numbers.items() if name != "value"}
            yield plain.against("reductions", how, other.answers, gradients)


def _reduced(plain: Trial, other: Trial, reduction: str, numbers: Numbers) -> list[Verdict]:
    how = f"reduction {reduction!r} beside the framework's own losses under 'none'"
    losses, value = plain.judged["value"], plain.numbers["value"]
    found = judge(numbers, other.answers.arrays["value"], FORMATS[plain.stack.dtype])
    clear = (losses.severity == AGREES) & np.isfinite(losses.answer) & (value.below + value.above == 0)
    verdicts = []
    for k in range(len(plain.stack)):
        problem = other.answers.problem("value", k)
        severity = int(found.severity[k])
        if problem is not None:
            verdicts.append(plain.problem("reductions", how, problem, k))
        elif not clear[k, ...].all() or severity <= UNDECIDED or not numbers.certified[k]:
            verdicts.append(Verdict(min(severity, UNDECIDED)))
        else:
            finding = replace(finding_of(other.stack[k], numbers, found, k), how=how)
            covered = other.coverage.of(other.ids("reductions", "value"), "value", found, k)
            verdicts.append(Verdict(severity, finding, covered))
    return verdicts


def _inputs_unchanged(trial: Trial) -> Rounds:
    """The bytes of every input after the call."""
    calls = trial.calls()
    held = [dict(call.inputs) for call in calls]
    for call in calls:
        run_call(trial.judge.adapter, call)
    verdicts = []
    for k, arrays in enumerate(held):
        text = changes(trial.stack[k].inputs, arrays)
        how = "value and gradients"
        verdicts.append(trial.told("inputs_unchanged", how, FAILS, text, k) if text else Verdict(AGREES))
    yield verdicts


def _shape_and_dtype(trial: Trial) -> Rounds:
    """Every output of every reduction has the shape and the dtype that are due."""
    choices = trial.spec.params["reduction"].choices if "reduction" in trial.spec.params else ("none",)
    for reduction in choices:
        other = trial.reduced_by(reduction) if "reduction" in trial.spec.params else trial
        other = trial if other.stack.parameters == trial.stack.parameters else other
        verdicts = []
        for k, found in enumerate(other.answers.problems):
            wrong = {output: item for output, item in found.items() if item.severity == FAILS}
            text = "; ".join(f"{check_of_output(output)}: {item.text}" for output, item in wrong.items())
            how = f"reduction {reduction!r}"
            verdicts.append(other.told("shape_and_dtype", how, FAILS, text, k) if wrong else Verdict(AGREES))
        yield verdicts


def _repeat(trial: Trial) -> Rounds:
    """The same call again at once, and after one of another size and other parameters: the same bits."""
    adapter, calls = trial.judge.adapter, [trial.calls() for _ in range(3)]
    verdicts = []
    for k in range(len(trial.stack)):
        first, second = run_call(adapter, calls[0][k]), run_call(adapter, calls[1][k])
        cell = trial.judge.cell
        run_call(adapter, call_of(another(trial.spec, trial.stack[k]), trial.wrt, cell.device, cell.mode))
        third = run_call(adapter, calls[2][k])
        again = ((second, "again at once"), (third, "again after a call of another size and reduction"))
        verdicts.append(worst([_bits(trial, "repeat", first, other, how, k) for other, how in again]))
    yield verdicts


def _same(trial: Trial) -> Rounds:
    """The same call in other words: the same bits."""
    adapter = trial.judge.adapter
    for mode in trial.judge.environment.same_as(trial.judge.cell.mode):
        twice = zip(trial.calls(), trial.calls(), strict=True)
        pairs = [(run_call(adapter, one), run_call(adapter, replace(two, mode=mode))) for one, two in twice]
        yield [_bits(trial, "same", *pair, f"in mode {mode}", k) for k, pair in enumerate(pairs)]


def _bits(trial: Trial, name: str, first: Output | Problem, other: Output | Problem, how: str, k: int) -> Verdict:
    """Whether two answers to the same question, the plain one first, are the same bit by bit."""
    if isinstance(first, Problem):
        return Verdict(AGREES)  # told by the outputs' own checks
    if isinstance(other, Problem):
        return trial.problem(name, how, other, k)
    # On a GPU, frameworks say that they are not deterministic unless they are asked to be.
    severity = FAILS if trial.judge.cell.device == "cpu" else DIFFERS
    for output in ("value", *trial.wrt):
        if trial.answers.problem(output, k) is not None:
            continue  # told by the output's own check
        one, two = _given(first, output), _given(other, output)
        what = check_of_output(output)
        if one.dtype != two.dtype or one.shape != two.shape:
            text = f"{what} is of {two.dtype} {two.shape}, and was of {one.dtype} {one.shape}"
            return trial.told(name, how, FAILS, text, k)
        differs = (one != two) & ~((one != one) & (two != two)) | (np.signbit(one) != np.signbit(two)) & (one == two)
        if differs.any():
            place = tuple(int(i) for i in np.argwhere(differs)[0])
            x, y, at = float(one[place]), float(two[place]), list(place) if place else ""
            text = f"{what}{at} is {y!r} ({y.hex()}), and was {x!r} ({x.hex()})"
            return trial.told(name, how, severity, text, k)
    return Verdict(AGREES)


def _given(output: Output, name: str) -> Array:
    gradients = output.gradients if isinstance(output.gradients, Mapping) else {}
    return np.asarray(output.value if name == "value" else gradients.get(name))


def _cotangent(trial: Trial) -> Rounds:
    """The gradients of a sum of the losses, each times a number of its own."""
    plain = trial.unreduced
    if not plain.wrt or not trial.judge.environment.cotangents:
        text = "the adapter passes no cotangent on (Environment.cotangents)"
        text = text if plain.wrt else "the framework gives no gradient by any input of this call"
        yield [Verdict(UNSUPPORTED, text=text)] * len(trial.stack)
        return
    shape = output_shapes(plain.spec, plain.stack, ())["value"][1]
    stack = with_cotangent(plain.stack, shape)
    assert stack.cotangent is not None
    calls = [replace(call, cotangent=stack.cotangent[k, ...].copy()) for k, call in enumerate(plain.calls())]
    numbers = {name: item for name, item in trial.judge.referee.numbers(stack, plain.wrt).items() if name != "value"}
    how = "by a cotangent of numbers from 1/2 to 2 of both signs, under reduction 'none'"
    coverage = trial.judge.coverage(stack, plain.wrt)
    yield plain.against("cotangent", how, plain.ask(calls), numbers, coverage)


def _target_dtypes(trial: Trial) -> Rounds:
    """Integer inputs of other integer dtypes: refused, or answered rightly."""
    plain = trial.calls()
    every = [dict(narrower(trial.spec, trial.stack[k])) for k in range(len(trial.stack))]
    for dtype in dict.fromkeys(name for found in every for name in found):
        calls = [replace(call, inputs=found.get(dtype, call.inputs)) for call, found in zip(plain, every, strict=True)]
        answers = trial.ask(calls)
        for found in answers.problems:
            if "" in found and found[""].severity in (ERROR, UNSUPPORTED):
                found[""] = replace(found[""], severity=UNSUPPORTED)
        yield trial.against("target_dtypes", f"integers of dtype {dtype}", answers)


def _requires_grad(trial: Trial) -> Rounds:
    """The value without any gradient, and each gradient without the others."""
    for wrt in ((), *(((name,) for name in trial.wrt) if len(trial.wrt) > 1 else ())):
        answers = trial.ask(trial.calls(wrt), wrt)
        numbers = {name: item for name, item in trial.numbers.items() if name in ("value", *wrt)}
        how = f"with the gradient by {wrt[0]!r} alone" if wrt else "without any gradient"
        yield trial.against("requires_grad", how, answers, numbers)


_WAYS: tuple[Callable[[Trial], Rounds], ...] = (
    _layout,
    _permutation,
    _reductions,
    _inputs_unchanged,
    _shape_and_dtype,
    _repeat,
    _cotangent,
    _target_dtypes,
    _requires_grad,
    _same,
)
CHECKS: Mapping[str, Callable[[Trial], Rounds]] = dict(zip(CONSISTENCY, _WAYS, strict=True))
UNREDUCED = {"reductions", "cotangent"}  # what asks for the losses themselves


def consistency_checks(spec: Spec, same: Sequence[str] = ()) -> list[str]:
    """The names of the checks that a criterion has, without `consistency.`; `same`: modes to compare with, if any."""
    has = {
        "reductions": "reduction" in spec.params,
        "cotangent": bool(spec.differentiable),
        "target_dtypes": any(item.dtype == "int" for item in spec.inputs.values()),
        "same": bool(same),
    }
    return [name for name in CHECKS if has.get(name, True)]


def judge_consistency(judge_of: CellJudge, stack: Stack, names: Sequence[str] | None = None) -> None:
    """Adds a stack to the consistency checks (all of the criterion's, or those named); `value` and `gradient.INPUT`
    have its plain answers as well, unless checks are named.

    Where a reduction is taken, the checks that need the losses themselves leave the stack out, unless named.
    """
    same = judge_of.environment.same_as(judge_of.cell.mode)
    chosen = consistency_checks(judge_of.spec, same) if names is None else names
    if judge_of.deaths >= MOST_DEATHS:  # of workers: see CellJudge.judge_stack
        for name in chosen:
            judge_of.tally(f"consistency.{name}").leave_out(len(stack))
        return
    trial = Trial(judge_of, stack)
    if names is None:
        chosen = [name for name in chosen if name not in UNREDUCED or trial.unreduced is trial]
        asked = judge_of.asked(stack, trial.wrt, trial.answers)
        judge_of.take(asked, lambda: (trial.numbers, judge_of.referee.by_yardstick(asked, trial.judged)))
    for name in chosen:
        tally = judge_of.tally(f"consistency.{name}")
        tally.recipes += 1
        rounds = _unsupported(trial) if trial.answers.are_unsupported else list(CHECKS[name](trial))
        for k in range(len(stack)):
            _add(judge_of, name, worst([verdicts[k] for verdicts in rounds]), stack)


def _unsupported(trial: Trial) -> list[list[Verdict]]:
    return [[Verdict(UNSUPPORTED, text=found[""].text) for found in trial.answers.problems]]


def _add(judge_of: CellJudge, name: str, verdict: Verdict, stack: Stack) -> None:
    check = f"consistency.{name}"
    tally = judge_of.tally(check)
    if verdict.severity == UNSUPPORTED:
        judge_of.note_unsupported(tally, check, Problem(UNSUPPORTED, verdict.text))
        return
    if verdict.severity == UNDECIDED:
        tally.undecided["reference"] += 1
    finding = None if verdict.finding is None else replace(verdict.finding, recipe=stack.labels.get("recipe", ""))
    tally.measure_finding(finding)
    tally.add(verdict.severity, finding, *verdict.covered)


def retry_consistency(judge_of: CellJudge, case: Case, check: str) -> None:
    """Judges one case by one check, `consistency.NAME`."""
    judge_consistency(judge_of, Stack.of(case), [check.removeprefix("consistency.")])
