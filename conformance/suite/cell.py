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
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec
from conformance.suite.asked import Asked, Verdicts, judged_together
from conformance.suite.calls import UNSUPPORTED, Answers, Problem, run_stack
from conformance.suite.conclusion import concluded
from conformance.suite.findings import finding_of
from conformance.suite.formula import in_mode
from conformance.suite.referee import Referee
from conformance.suite.seconds import Seconds
from conformance.suite.yardstick import MOST_MEASURED, has_yardstick, rounded, widened
from conformance.verdict.compare import FAILS, UNDECIDED, Judged
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
    recipes: int = 0
    cases: int = 0
    isolated: Isolated | None = None
    deaths: int = 0  # of workers
    _pending: list[Asked] = field(default_factory=list)  # asked, not yet judged

    @cached_property
    def careful(self) -> Adapter:
        """The adapter for calls that may crash: in a worker, if there is one to be had."""
        if self.isolated is None:
            return self.adapter
        adapter = self.isolated.adapter
        self.warnings |= {self.isolated.warning} - {""}
        return in_mode(adapter, self.spec, self.cell.mode, self.environment)

    @cached_property
    def referee(self) -> Referee:
        """What judges the answers."""
        return Referee(self.spec, self.environment, self.seconds)

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

    def ask(self, stack: Stack) -> bool:
        """Has the framework answer a stack of generated cases; whether it did. Judged is what was asked by `settle`."""
        asked = self._ask(stack)
        self._pending += [] if asked is None else [asked]
        return asked is not None and not asked.answers.are_unsupported

    def settle(self) -> None:
        """Adds the stacks that were asked to the checks `value` and `gradient.INPUT`."""
        pending, self._pending = self._pending, []
        for asked, verdicts in zip(pending, judged_together(self.spec, pending, self.referee.judged), strict=True):
            self.take(asked, verdicts)

    def judge_stack(self, stack: Stack) -> dict[str, float]:
        """Adds one stack, after those that were asked before; returns how bad the worst number of each check is (error
        over budget, at most a million: what `thorough` climbs towards)."""
        self.settle()
        asked = self._ask(stack)
        return {} if asked is None else self.take(asked, lambda: self.referee.judged(asked))

    def _ask(self, stack: Stack) -> Asked | None:
        wrt = self.wrt(tuple(stack.inputs))
        if self.deaths >= MOST_DEATHS:
            self._leave_out(("value", *wrt), len(stack))
            return None
        return self.asked(stack, wrt, self.answers(stack, wrt))

    def asked(self, stack: Stack, wrt: tuple[str, ...], answers: Answers) -> Asked:
        """A stack with its answers; those in a wider dtype too, if the stack's is a narrow one and there are both."""
        size = sum(array.size for array in stack.inputs.values())
        if answers.are_unsupported or size > MOST_MEASURED or not has_yardstick(stack.dtype, self.environment.dtypes):
            return Asked(stack, wrt, answers)
        return Asked(stack, wrt, answers, self._answers(widened(stack), wrt))

    def take(self, asked: Asked, verdicts: Callable[[], Verdicts]) -> dict[str, float]:
        """`judge_stack`, of answers that are there; the verdicts are asked for if there are any."""
        stack, answers, outputs = asked.stack, asked.answers, ("value", *asked.wrt)
        self.recipes += 1
        self.cases += len(stack)
        for output in outputs:
            self.tally(check_of_output(output)).recipes += 1
        if answers.are_unsupported:  # the reference would be worked out for nothing
            self._note_all_unsupported(outputs, answers)
            return {}
        numbers, judged = verdicts()
        with self.seconds.spent("verdict"):
            coverage = self.coverage(stack, asked.wrt)
            self._tally_changes(stack, coverage, answers)
            for output in outputs:
                self._tally_output(asked, coverage, output, numbers[output], judged[output])
            return {check_of_output(output): _badness(judged[output]) for output in outputs}

    def coverage(self, stack: Stack, wrt: Sequence[str]) -> Coverage:
        """What the known differences say of a stack."""
        return Coverage(self.known, self.spec, stack, wrt, self.environment.flushes)

    def evaluate(self, stack: Stack, wrt: Sequence[str]) -> tuple[dict[str, Numbers], Answers]:
        """The reference's numbers and the framework's answers for a stack."""
        return self.referee.numbers(stack, wrt), self.answers(stack, wrt)

    def _note_all_unsupported(self, outputs: Sequence[str], answers: Answers) -> None:
        for check in map(check_of_output, outputs):
            for found in answers.problems:
                self.note_unsupported(self.tally(check), check, found[""])

    def _leave_out(self, outputs: Sequence[str], cases: int) -> None:
        """Cases that are left out after too many deaths; known differences that cover the deaths do not cover them."""
        self.warnings.add(f"workers died {MOST_DEATHS} times: the rest of the generated cases did not run")
        for check in map(check_of_output, outputs):
            self.tally(check).leave_out(cases)

    def answers(self, stack: Stack, wrt: Sequence[str]) -> Answers:
        """The framework's answers to a stack; what it warned of is noted."""
        answers = self._answers(stack, wrt)
        self.warnings |= answers.warnings
        return answers

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

    def _tally_output(self, asked: Asked, coverage: Coverage, output: str, numbers: Numbers, judged: Judged) -> None:
        stack, answers, check = asked.stack, asked.answers, check_of_output(output)
        tally = self.tally(check)
        bad = [k for k in range(len(stack)) if answers.problems[k]]
        if not bad:
            tally.measure(judged, stack.regime, arguments(self.spec, stack) if output == "value" else None)
            if judged.at_kink.any():
                self._note_conventions(stack, tally, output, judged)
            tally.note_multiple(output, judged)
            if asked.wide is not None:
                tally.note_apart(judged, rounded(asked.wide, output, stack.dtype), FORMATS[stack.dtype])
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
