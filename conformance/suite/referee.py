"""What the reference says of a framework's answers: its numbers, the verdicts, and the second yardstick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from conformance.adapter import Environment
from conformance.cases.case import Stack, by_case
from conformance.reference.certify import Ways, certify
from conformance.reference.evaluate import Evaluation
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec
from conformance.suite.asked import Asked, Verdicts
from conformance.suite.calls import Answers
from conformance.suite.seconds import Seconds
from conformance.suite.yardstick import proven, widened
from conformance.verdict.compare import AGREES, Judged, by_yardstick, judge


@dataclass
class Referee:
    """Judges answers of one criterion in one environment; `seconds` are counted on."""

    spec: Spec
    environment: Environment
    seconds: Seconds
    ways: Ways = field(default_factory=Ways)  # which the reference's numbers went

    def numbers(self, stack: Stack, wrt: Sequence[str]) -> dict[str, Numbers]:
        """The reference's numbers for a stack, certified."""
        with self.seconds.spent("reference"):
            return self._certified(stack, self._evaluation(stack, wrt).numbers())

    def judged(self, asked: Asked) -> Verdicts:
        """The reference's numbers and the verdicts, those of the second yardstick included."""
        numbers, judged = self.verdicts(asked.stack, asked.wrt, asked.answers)
        return numbers, self.by_yardstick(asked, judged)

    def verdicts(self, stack: Stack, wrt: Sequence[str], answers: Answers) -> Verdicts:
        """The reference's numbers and the verdicts; what may excuse an answer costs a few times as much, and matters
        only in the cases in which one is to be excused."""
        with self.seconds.spent("reference"):
            evaluation = self._evaluation(stack, wrt)
            numbers = evaluation.numbers(excuses=False)
        judged = self._compared(numbers, answers, stack.dtype)
        left = np.array([bool(found) for found in answers.problems])
        left |= np.logical_or.reduce([item.worst() != AGREES for item in judged.values()])
        with self.seconds.spent("reference"):
            if not left.any():
                return self._certified(stack, numbers), judged
            numbers = self._certified(stack, evaluation.excused(numbers, left, answers.infinite))
        return numbers, self._compared(numbers, answers, stack.dtype)

    def by_yardstick(self, asked: Asked, judged: dict[str, Judged]) -> dict[str, Judged]:
        """The verdicts, those that a wide budget left open decided by the answers in the wider dtype, if there are."""
        is_open = np.logical_or.reduce([by_case(item.vacuous) for item in judged.values()])
        if asked.wide is None or not is_open.any():
            return judged
        cases, dtype, found = np.flatnonzero(is_open), asked.stack.dtype, dict(judged)
        answers = asked.wide.only(cases)
        _, wide = self.verdicts(widened(asked.stack.only(cases)), asked.wrt, answers)
        for output, item in wide.items():
            yardstick = np.full(judged[output].answer.shape, np.nan)
            yardstick[cases] = proven(answers, item, output, dtype)
            found[output] = by_yardstick(judged[output], yardstick, FORMATS[dtype])
        return found

    def _evaluation(self, stack: Stack, wrt: Sequence[str]) -> Evaluation:
        flushes = self.environment.flushes(stack.dtype)
        return Evaluation(self.spec, stack, wrt, flushes_subnormals=flushes, project=True, quickly=True)

    def _certified(self, stack: Stack, found: dict[str, Numbers]) -> dict[str, Numbers]:
        numbers, ways = certify(self.spec, stack, found)
        self.ways += ways
        return numbers

    def _compared(self, numbers: dict[str, Numbers], answers: Answers, dtype: str) -> dict[str, Judged]:
        with self.seconds.spent("verdict"):
            return {name: judge(item, answers.arrays[name], FORMATS[dtype]) for name, item in numbers.items()}
