"""Judging a cell: one criterion in one framework, device, mode and dtype, all of its cases and all of its checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from conformance.adapter import Adapter, Binding, Difference, Environment
from conformance.cases.argument import arguments
from conformance.cases.bind import check_of_output, output_shapes, spread
from conformance.cases.case import Case, Stack
from conformance.record.model import Cell, Check
from conformance.reference.certify import Ways, certify
from conformance.reference.evaluate import Evaluation
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.reference.together import Share, Together
from conformance.spec.model import Spec
from conformance.suite.calls import UNSUPPORTED, Answers, Problem, run_stack
from conformance.suite.conclusion import concluded
from conformance.suite.findings import finding_of
from conformance.suite.formula import in_mode
from conformance.suite.seconds import Seconds
from conformance.suite.yardstick import MOST_MEASURED, Yardstick, has_yardstick, widened
from conformance.verdict.compare import AGREES, FAILS, UNDECIDED, Judged, by_yardstick, judge
from conformance.verdict.known import Coverage, Entry, condition
from conformance.verdict.tally import Finding, Tally
from conformance.worker.isolated import Isolated
from conformance.worker.limits import MOST_DEATHS


@dataclass
class CellJudge:
    """Everything that judging one cell needs, and the tallies of its checks so far."""

    spec: Spec
    adapter: Adapter
    environment: Environment
    cell: Cell
    known: Sequence[Entry]
    command: str
    tallies: dict[str, Tally] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)  # of checks that are unsupported
    seconds: Seconds = field(default_factory=Seconds)
    warnings: set[str] = field(default_factory=set)
    ways: Ways = field(default_factory=Ways)  # which the reference's numbers went
    recipes: int = 0
    cases: int = 0
    isolated: Isolated | None = None
    deaths: int = 0  # of workers
    together: Together | None = None  # the stacks to come: the reference is evaluated for those as one that are alike

    @cached_property
    def careful(self) -> Adapter:
        """The adapter for calls that may crash: in a worker, if there is one to be had."""
        if self.isolated is None:
            return self.adapter
        adapter = self.isolated.adapter
        self.warnings |= {self.isolated.warning} - {""}
        return in_mode(adapter, self.spec, self.cell.mode, self.environment)

    def wrt(self, present: Sequence[str]) -> tuple[str, ...]:
        """The inputs whose gradients are judged, of those that are present."""
        return tuple(name for name in self.spec.differentiable if name in present and name in self.offered)

    @cached_property
    def documented(self) -> tuple[Difference, ...]:
        """The differences of meaning that the framework documents."""
        return () if self._binding is None else tuple(self._binding.differences)

    @cached_property
    def _binding(self) -> Binding | None:
        try:
            return self.adapter.binding(self.cell.criterion)
        except Exception:
            return None

    @cached_property
    def offered(self) -> tuple[str, ...]:
        """The inputs that the framework differentiates."""
        binding = self._binding
        return self.spec.differentiable if binding is None or binding.gradients is None else binding.gradients

    def why_no_gradient(self, name: str) -> str:
        """What to say of a gradient that is not offered."""
        function = self.cell.criterion if self._binding is None else self._binding.function
        return f"{function} gives no gradient by {name!r} in {self.cell.framework}"

    def judge_stack(self, stack: Stack) -> dict[str, float]:
        """Adds a stack of generated cases to the checks `value` and `gradient.INPUT`; returns how bad the worst number
        of each is (error over budget, at most a million: what `thorough` climbs towards)."""
        wrt = self.wrt(tuple(stack.inputs))
        if self.deaths >= MOST_DEATHS:
            return self._left_out(("value", *wrt), len(stack))
        answers = self._judged_answers(stack, wrt)
        return self.take(stack, wrt, answers, lambda: self._judged(stack, wrt, answers))

    def take(
        self,
        stack: Stack,
        wrt: tuple[str, ...],
        answers: Answers,
        judge_answers: Callable[[], tuple[dict[str, Numbers], dict[str, Judged]]],
    ) -> dict[str, float]:
        """`judge_stack`, of answers that are there; the verdicts are asked for if there are any."""
        self.recipes += 1
        self.cases += len(stack)
        for output in ("value", *wrt):
            self.tally(check_of_output(output)).recipes += 1
        if answers.are_unsupported:  # the reference would be worked out for nothing
            self._note_all_unsupported(("value", *wrt), answers)
            return {}
        numbers, judged = judge_answers()
        own = self.yardstick(stack, wrt)
        with self.seconds.spent("verdict"):
            coverage = self.coverage(stack, wrt)
            self._tally_changes(stack, coverage, answers)
            for output in ("value", *wrt):
                if own is not None and judged[output].vacuous.any():
                    judged[output] = by_yardstick(judged[output], own.proven(output), FORMATS[stack.dtype])
                self._tally_output(stack, coverage, output, numbers[output], judged[output], answers, own)
            return {check_of_output(output): _badness(judged[output]) for output in ("value", *wrt)}

    def coverage(self, stack: Stack, wrt: Sequence[str]) -> Coverage:
        """What the known differences say of a stack."""
        return Coverage(self.known, self.spec, stack, wrt, self.environment.flushes)

    def evaluate(self, stack: Stack, wrt: Sequence[str]) -> tuple[dict[str, Numbers], Answers]:
        """The reference's numbers and the framework's answers for a stack."""
        return self.numbers(stack, wrt), self._judged_answers(stack, wrt)

    def yardstick(self, stack: Stack, wrt: Sequence[str]) -> Yardstick | None:
        """The framework's answers in a wider dtype, if the stack's is a narrow one and it offers both."""
        size = sum(array.size for array in stack.inputs.values())
        if size > MOST_MEASURED or not has_yardstick(stack.dtype, self.environment.dtypes):
            return None
        wide = widened(stack)
        return Yardstick(stack, self._answers(wide, wrt), lambda: self.numbers(wide, wrt))

    def _judged(
        self, stack: Stack, wrt: Sequence[str], answers: Answers
    ) -> tuple[dict[str, Numbers], dict[str, Judged]]:
        """The reference's numbers and the verdicts; what may excuse an answer costs as much again, and matters only
        where one is to be excused."""
        evaluation = self._evaluation(stack, wrt)
        if not any(answers.problems):
            numbers = self._evaluated(evaluation, excuses=False)
            judged = self._compared(numbers, answers, stack.dtype)
            if all((item.severity == AGREES).all() for item in judged.values()):
                return self._certified(stack, numbers), judged
        numbers = self._certified(stack, self._evaluated(evaluation))
        return numbers, self._compared(numbers, answers, stack.dtype)

    def _compared(self, numbers: dict[str, Numbers], answers: Answers, dtype: str) -> dict[str, Judged]:
        with self.seconds.spent("verdict"):
            return {name: judge(item, answers.arrays[name], FORMATS[dtype]) for name, item in numbers.items()}

    def numbers(self, stack: Stack, wrt: Sequence[str]) -> dict[str, Numbers]:
        """The reference's numbers for a stack, certified."""
        return self._certified(stack, self._evaluated(self._evaluation(stack, wrt)))

    def _evaluation(self, stack: Stack, wrt: Sequence[str]) -> Evaluation | Share:
        flushes = self.environment.flushes(stack.dtype)
        together = self.together or Together(self.spec)
        return together.evaluation(stack, wrt, flushes_subnormals=flushes, project=True, quickly=True)

    def _evaluated(self, evaluation: Evaluation | Share, *, excuses: bool = True) -> dict[str, Numbers]:
        with self.seconds.spent("reference"):
            return evaluation.numbers(excuses=excuses)

    def _certified(self, stack: Stack, found: dict[str, Numbers]) -> dict[str, Numbers]:
        with self.seconds.spent("reference"):
            numbers, ways = certify(self.spec, stack, found)
        self.ways += ways
        return numbers

    def _judged_answers(self, stack: Stack, wrt: Sequence[str]) -> Answers:
        answers = self._answers(stack, wrt)
        self.warnings |= answers.warnings
        return answers

    def _note_all_unsupported(self, outputs: Sequence[str], answers: Answers) -> None:
        for check in map(check_of_output, outputs):
            for found in answers.problems:
                self.note_unsupported(self.tally(check), check, found[""])

    def _left_out(self, outputs: Sequence[str], cases: int) -> dict[str, float]:
        """Cases that are left out after too many deaths; known differences that cover the deaths do not cover them."""
        self.warnings.add(f"workers died {MOST_DEATHS} times: the rest of the generated cases did not run")
        for check in map(check_of_output, outputs):
            self.tally(check).leave_out(cases)
        return {}

    def _answers(self, stack: Stack, wrt: Sequence[str]) -> Answers:
        shapes = output_shapes(self.spec, stack, wrt)
        with self.seconds.spent("framework"):
            answers = run_stack(self.adapter, stack, wrt, shapes, self.cell.device, self.cell.mode)
        self.deaths += answers.deaths
        return answers

    def anew(self) -> CellJudge:
        """A judge of the same cell that has judged nothing yet."""
        return CellJudge(
            self.spec, self.adapter, self.environment, self.cell, self.known, self.command, isolated=self.isolated
        )

    def tally(self, check: str) -> Tally:
        """The tally of a check."""
        return self.tallies.setdefault(check, Tally())

    def _tally_output(
        self,
        stack: Stack,
        coverage: Coverage,
        output: str,
        numbers: Numbers,
        judged: Judged,
        answers: Answers,
        own: Yardstick | None,
    ) -> None:
        check = check_of_output(output)
        tally = self.tally(check)
        bad = [k for k in range(len(stack)) if answers.problems[k]]
        if not bad:
            tally.measure(judged, stack.regime, arguments(self.spec, stack) if output == "value" else None)
            if judged.at_kink.any():
                self._note_conventions(stack, tally, output, judged)
            tally.note_multiple(output, judged)
            if own is not None:
                tally.note_apart(judged, own.rounded(output), FORMATS[stack.dtype])
        for k, severity in enumerate(judged.worst().tolist()):
            problem = answers.problem(output, k) if bad else None
            if problem is not None:
                self._add_problem(tally, check, stack, problem, coverage, k)
            elif severity <= UNDECIDED:
                tally.add(severity)
                if severity == UNDECIDED:
                    tally.undecided["budget" if judged.vacuous[k, ...].any() else "reference"] += 1
            else:
                tally.add(
                    severity,
                    replace(finding_of(stack[k], numbers, judged, k, output), recipe=stack.labels.get("recipe", "")),
                    *coverage.of(f"{self.cell.id}/{check}", output, judged, k),
                )

    def _tally_changes(self, stack: Stack, coverage: Coverage, answers: Answers) -> None:
        """What calls wrote to their inputs, in whichever case; `consistency.inputs_unchanged` asks a few on purpose."""
        check, nan, recipe = "consistency.inputs_unchanged", float("nan"), stack.labels.get("recipe", "")
        for k, text in answers.changed.items():
            how = "value and gradients"
            finding = Finding(stack[k], FAILS, (), nan, nan, nan, nan, text, recipe, how=how)
            self.tally(check).add(FAILS, finding, *coverage.of_raised(f"{self.cell.id}/{check}", text, k, FAILS))

    def _note_conventions(self, stack: Stack, tally: Tally, output: str, judged: Judged) -> None:
        shapes = output_shapes(self.spec, stack, () if output == "value" else (output,))[output]
        for kink in self.spec.kinks:
            tally.convention(kink.id, judged, spread(condition(kink.at, self.spec, stack), *shapes))

    def _add_problem(
        self, tally: Tally, check: str, stack: Stack, problem: Problem, coverage: Coverage, k: int
    ) -> None:
        if problem.severity == UNSUPPORTED:
            self.note_unsupported(tally, check, problem)
            return
        covered = coverage.of_raised(f"{self.cell.id}/{check}", problem.text, k, problem.severity)
        nan, recipe = float("nan"), stack.labels.get("recipe", "")
        output, due = check.removeprefix("gradient."), "answer" if problem.refused else ""
        finding = Finding(stack[k], problem.severity, (), nan, nan, nan, nan, problem.text, recipe, output, due)
        tally.add(problem.severity, finding, *covered)

    def note_unsupported(self, tally: Tally, check: str, problem: Problem) -> None:
        """One more case that the framework does not offer, with what it says."""
        tally.counts["unsupported"] += 1
        self.messages.setdefault(check, problem.text)

    def checks(self, minimise: bool = True) -> list[Check]:
        """What every check of the cell came to."""
        return [concluded(self, name, tally, minimise) for name, tally in sorted(self.tallies.items())]

    def retry(self, case: Case, check: str) -> Finding | None:
        """What one more case of a check comes to; None where it agrees or a known difference covers it."""
        probe = self.anew()
        if check.startswith("consistency."):
            from conformance.suite.consistency import retry_consistency

            retry_consistency(probe, case, check)
        else:
            probe.judge_stack(Stack.of(case))
        self.deaths += probe.deaths
        tally = probe.tallies.get(check)
        return None if tally is None or tally.new is None else tally.worst


def _badness(judged: Judged) -> float:
    return min(float(np.nan_to_num(judged.ratio, posinf=0.0).max(initial=0.0)), 1e6)
