"""The spec's edge cases, judged: against the reference where the mathematics decides, recorded where it does not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bench import Invalid
from conformance.cases.case import DTYPES, Case, Stack, in_dtype
from conformance.record.model import Check
from conformance.spec.layout import match
from conformance.spec.model import EdgeCase, Spec
from conformance.suite.calls import UNSUPPORTED, Problem
from conformance.suite.cell import CellJudge
from conformance.suite.findings import finding_of
from conformance.suite.refusals import judge_refusal
from conformance.verdict.compare import AGREES, DIFFERS, FAILS, INACCURATE, Judged
from conformance.verdict.known import Coverage, Covered
from conformance.verdict.tally import Finding, Tally

Array = NDArray[Any]


def applies(edge: EdgeCase, spec: Spec, dtype: str) -> bool:
    """Whether the dtype can hold the case: no finite number of it becomes infinite, and none becomes 0."""
    with np.errstate(over="ignore", under="ignore"):
        return all(
            bool(np.all(np.isfinite(rounded) == np.isfinite(array)) and np.all((rounded == 0) == (array == 0)))
            for name, array in _exact(edge, spec).items()
            if array.dtype.kind == "f"
            for rounded in [array.astype(DTYPES[dtype]).astype(np.float64)]
        )


def _exact(edge: EdgeCase, spec: Spec) -> dict[str, Array]:
    kinds = {"float": np.float64, "int": np.int64}
    return {name: np.array(value, dtype=kinds[spec.inputs[name].dtype]) for name, value in edge.inputs.items()}


def edge_case(edge: EdgeCase, spec: Spec, dtype: str) -> Case:
    """The case of an edge case in a dtype, every number rounded to it."""
    with np.errstate(all="ignore"):
        inputs = in_dtype(_exact(edge, spec), dtype)
    layout = match(spec, {name: array.shape for name, array in inputs.items()})
    parameters = {**{name: item.default for name, item in spec.params.items()}, **edge.parameters}
    return Case(spec.name, dtype, layout or {}, parameters, inputs)


def judge_edge(judge_of: CellJudge, edge: EdgeCase) -> Check:
    """The check `edge.ID`."""
    check = f"edge.{edge.id}"
    tally = judge_of.tally(check)
    tally.recipes = 1
    case = edge_case(edge, judge_of.spec, judge_of.cell.dtype)
    if edge.error is not None:
        judge_refusal(judge_of, tally, check, Invalid(case, None, "an input out of its domain"))
    else:
        _judge_value(judge_of, tally, check, case, edge)
    done = next(item for item in judge_of.checks(minimise=False) if item.check == check)
    done.level = edge.level
    return done


def _judge_value(judge_of: CellJudge, tally: Tally, check: str, case: Case, edge: EdgeCase) -> None:
    outputs = (("value",) if edge.value is not None else ()) + tuple(edge.gradient)
    offered = judge_of.wrt(tuple(case.inputs))
    wrt = tuple(name for name in edge.gradient if name in offered)
    stack = Stack.of(case)
    answers = judge_of.answers(stack, wrt)
    numbers, verdicts = judge_of.referee.verdicts(stack, wrt, answers)
    coverage = judge_of.coverage(stack, wrt)
    worst: tuple[int, Finding | None, Covered] = (AGREES, None, Covered([], AGREES))
    for output in (name for name in outputs if name == "value" or name in wrt):
        problem = answers.problem(output, 0)
        if problem is not None and problem.severity == UNSUPPORTED:
            judge_of.note_unsupported(tally, check, problem)
            return
        found = _of_problem(judge_of, check, case, problem, coverage, output) if problem else None
        if found is None:
            judged = _decided(verdicts[output], numbers[output].high)
            tally.measure(judged)
            severity = int(judged.worst()[0])
            covered = coverage.of(f"{judge_of.cell.id}/{check}", output, judged, 0)
            found = severity, finding_of(case, numbers[output], judged, 0, output), covered
        worst = max(worst, found, key=lambda item: (item[2].left, item[0]))
    severity, finding, covered = worst
    if edge.level == "unspecified" and severity >= INACCURATE and finding is not None:
        finding = replace(finding, severity=DIFFERS)
        severity, covered = DIFFERS, Covered([], DIFFERS)
    tally.add(severity, finding, *covered)


def _of_problem(
    judge_of: CellJudge, check: str, case: Case, problem: Problem, coverage: Coverage, output: str
) -> tuple[int, Finding | None, Covered]:
    nan = math.nan
    due = "answer" if problem.refused else ""
    finding = Finding(case, problem.severity, (), nan, nan, nan, nan, problem.text, output=output, due=due)
    covered = coverage.of_raised(f"{judge_of.cell.id}/{check}", problem.text, 0, problem.severity)
    return problem.severity, finding, covered


def _decided(judged: Judged, wanted: NDArray[np.float64]) -> Judged:
    """A NaN that the spec expects is met by NaN alone."""
    nan = np.isnan(wanted)
    if not nan.any():
        return judged
    severity = np.where(nan, np.where(np.isnan(judged.answer), AGREES, FAILS), judged.severity).astype(np.int8)
    ratio = np.where(nan & (severity == FAILS), np.inf, judged.ratio)
    return replace(judged, severity=severity, ratio=ratio)
