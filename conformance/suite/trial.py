"""A stack of cases, asked plainly: what other ways of asking are compared with, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from conformance.adapter import Call
from conformance.cases.bind import check_of_output, output_shapes
from conformance.cases.case import Stack
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec
from conformance.suite.calls import UNSUPPORTED, Answers, Problem, call_of, run_calls
from conformance.suite.cell import CellJudge
from conformance.suite.findings import finding_of
from conformance.verdict.compare import AGREES, UNDECIDED, Judged, judge
from conformance.verdict.known import Coverage, Covered
from conformance.verdict.tally import Finding

NAN = math.nan


@dataclass(frozen=True)
class Verdict:
    """What one way of asking came to, for one case."""

    severity: int
    finding: Finding | None = None
    covered: Covered = field(default_factory=lambda: Covered([], AGREES))
    text: str = ""  # why it is unsupported


@dataclass
class Trial:
    """A stack, asked plainly: what every check compares with, worked out once."""

    judge: CellJudge
    stack: Stack

    @property
    def spec(self) -> Spec:
        """The criterion's."""
        return self.judge.spec

    @cached_property
    def wrt(self) -> tuple[str, ...]:
        """The inputs whose gradients are asked for."""
        return self.judge.wrt(tuple(self.stack.inputs))

    @cached_property
    def answers(self) -> Answers:
        """The plain answers."""
        return self.ask(self.calls())

    @cached_property
    def numbers(self) -> dict[str, Numbers]:
        """The reference's, with the budgets of all forms."""
        return self.judge.referee.numbers(self.stack, self.wrt)

    @cached_property
    def judged(self) -> dict[str, Judged]:
        """The verdicts on the plain answers."""
        return self.compare(self.numbers, self.answers)

    @cached_property
    def coverage(self) -> Coverage:
        """What known differences say of these cases."""
        return self.judge.coverage(self.stack, self.wrt)

    @cached_property
    def unreduced(self) -> Trial:
        """The same cases under the reduction `none`; this trial, if it is theirs."""
        if self.stack.parameters.get("reduction", "none") == "none":
            return self
        return self.reduced_by("none")

    def reduced_by(self, reduction: str) -> Trial:
        """The same cases under another reduction."""
        return Trial(self.judge, replace(self.stack, parameters={**self.stack.parameters, "reduction": reduction}))

    def calls(self, wrt: Sequence[str] | None = None) -> list[Call]:
        """A call for each case, with arrays of its own."""
        cell, names = self.judge.cell, self.wrt if wrt is None else wrt
        return [call_of(self.stack[k], names, cell.device, cell.mode) for k in range(len(self.stack))]

    def ask(self, calls: Sequence[Call], wrt: Sequence[str] | None = None) -> Answers:
        """The answers to other calls about the same cases."""
        shapes = output_shapes(self.spec, self.stack, self.wrt if wrt is None else wrt)
        with self.judge.seconds.spent("framework"):
            answers = run_calls(self.judge.adapter, calls, shapes)
        self.judge.deaths += answers.deaths
        return answers

    def compare(self, numbers: Mapping[str, Numbers], answers: Answers) -> dict[str, Judged]:
        """The verdict on each output that `numbers` has."""
        fmt = FORMATS[self.stack.dtype]
        return {name: judge(item, answers.arrays[name], fmt) for name, item in numbers.items()}

    def ids(self, name: str, output: str) -> tuple[str, ...]:
        """The checks whose known differences cover a fault in an output: this one, and the output's own."""
        return (f"{self.judge.cell.id}/consistency.{name}", f"{self.judge.cell.id}/{check_of_output(output)}")

    def against(
        self,
        name: str,
        how: str,
        answers: Answers,
        numbers: Mapping[str, Numbers] | None = None,
        coverage: Coverage | None = None,
    ) -> list[Verdict]:
        """The verdict on each case asked in another way, as far as it is worse than that on the plain one; `coverage`
        is that of the other way, where the plain one's does not speak of it."""
        numbers = self.numbers if numbers is None else numbers
        judged = {
            output: replace(found, severity=np.where(found.severity > self.judged[output].severity, found.severity, 0))
            for output, found in self.compare(numbers, answers).items()
        }
        every = [
            [self._verdict(name, how, output, numbers, judged, answers, k, coverage) for output in numbers]
            for k in range(len(self.stack))
        ]
        return [worst(items) for items in every]

    def _verdict(
        self,
        name: str,
        how: str,
        output: str,
        numbers: Mapping[str, Numbers],
        judged: Mapping[str, Judged],
        answers: Answers,
        k: int,
        coverage: Coverage | None,
    ) -> Verdict:
        if self.answers.problem(output, k) is not None:
            return Verdict(AGREES)  # told by the output's own check
        problem = answers.problem(output, k)
        if problem is not None:
            return self.problem(name, how, problem, k)
        found = judged[output]
        severity = int(found.severity[k, ...].max(initial=AGREES))
        if severity <= UNDECIDED:
            return Verdict(severity)
        finding = finding_of(self.stack[k], numbers[output], found, k, output)
        finding = replace(finding, how=f"{how}; {check_of_output(output)}")
        return Verdict(severity, finding, (coverage or self.coverage).of(self.ids(name, output), output, found, k))

    def problem(self, name: str, how: str, problem: Problem, k: int) -> Verdict:
        """The verdict where no answer came."""
        if problem.severity == UNSUPPORTED:
            return Verdict(UNSUPPORTED, text=f"{how}: {problem.text}")
        return self.told(name, how, problem.severity, problem.text, k)

    def told(self, name: str, how: str, severity: int, text: str, k: int) -> Verdict:
        """A verdict that a sentence explains."""
        finding = Finding(self.stack[k], severity, (), NAN, NAN, NAN, NAN, text, how=how)
        covered = self.coverage.of_raised(self.ids(name, "value")[0], text, k, severity)
        return Verdict(severity, finding, covered)


def worst(items: Sequence[Verdict]) -> Verdict:
    """What counts of several: the worst that no known difference covers; unsupported only if all are."""
    done = [item for item in items if item.severity != UNSUPPORTED]
    if not done:
        return items[0] if items else Verdict(AGREES)
    return max(done, key=lambda item: (item.covered.left, item.severity))
