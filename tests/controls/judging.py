"""Judging every control on the same stacks: the reference is computed once, each answer compared as the suite does."""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance._resources import folder
from conformance.cases.bind import check_of_output, output_shapes
from conformance.cases.case import Case, Stack
from conformance.cases.plan import stacks
from conformance.cases.shrink import minimise
from conformance.reference.evaluate import evaluate_stack
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers, half_ulp, ulp
from conformance.spec import spec_for
from conformance.spec.model import Spec
from conformance.suite.calls import UNSUPPORTED, run_stack
from conformance.suite.findings import finding_of
from conformance.verdict.compare import AGREES, ERROR, NAMES, Judged, judge
from conformance.verdict.known import Coverage, Entry, read_known
from conformance.verdict.message import headline
from tests.controls.adapters import Control, Rounded, Stacked, Torch64
from tests.controls.condition import WELL, conditions
from tests.controls.first import First
from tests.controls.second import Second

Severities = NDArray[np.int_]


def all_controls(dtype: str) -> list[Control]:
    """The controls that answer in a dtype."""
    found: list[Control] = [Rounded(), First(), Second()]
    return found if dtype == "float64" else [*found, Torch64()]


def controls_of(criterion: str, dtype: str) -> list[Control]:
    """Those of them that have the criterion: torch lacks some."""
    return [control for control in all_controls(dtype) if control.binding(criterion) is not None]


@dataclass
class Score:
    """What a control's cases came to. A case is its value and all of its gradients, and as bad as the worst of them."""

    counts: Counter[str] = field(default_factory=Counter)
    known: int = 0  # cases that only a known difference of torch explains
    worst: dict[str, float] = field(default_factory=lambda: {"tight": 0.0, "sound": 0.0})  # error over budget
    witnesses: dict[str, tuple[Case, str]] = field(default_factory=dict)  # by output: the smallest case that fails

    @property
    def cases(self) -> int:
        return sum(self.counts.values())

    def witness(self, output: str, case: Case, sentence: str) -> None:
        if output not in self.witnesses or case.size < self.witnesses[output][0].size:
            self.witnesses[output] = (case, sentence)


MEASURED = 4  # of the stacks one in so many has its budgets measured: condition numbers cost as much as the reference
LARGEST = 20_000  # elements of such a stack


@dataclass
class Budgets:
    """How wide budgets are. `ulps`: the sound budget in ulps of the number; of each case the median over its
    well-conditioned numbers (those that are normal, with no choice of a kink, and lose a digit at most to errors of the
    inputs). Of all finite numbers that are not 0, `wide` have a tight budget larger than themselves."""

    ulps: list[float] = field(default_factory=list)
    numbers: int = 0
    wide: int = 0

    def add(self, n: Numbers, dtype: str, condition: NDArray[np.float64] | None) -> None:
        fmt = FORMATS[dtype]
        plain = np.isfinite(n.high) & (n.high != 0) & (n.below + n.above == 0)
        half = half_ulp(n.high, fmt)
        self.numbers += int(plain.sum())
        self.wide += int((plain & (n.tight + half > np.abs(n.high))).sum())
        if condition is None:
            return
        well = plain & (condition <= WELL) & (np.abs(n.high) >= fmt.min_normal) & (np.abs(n.high) <= fmt.max)
        ulps = np.where(well, (n.sound + half) / ulp(np.where(well, n.high, 1.0), fmt), np.nan)
        self.ulps += [float(np.nanmedian(case)) for case in ulps if not np.isnan(case).all()]

    @property
    def median(self) -> float:
        return float(np.median(self.ulps)) if self.ulps else float("nan")

    @property
    def worst(self) -> float:
        return max(self.ulps, default=float("nan"))


@dataclass
class Panel:
    """Every control on one criterion in one dtype."""

    spec: Spec
    dtype: str
    controls: Sequence[Control]
    known: Sequence[Entry] = ()
    scores: dict[str, Score] = field(default_factory=dict)
    budgets: dict[str, Budgets] = field(default_factory=dict)  # by output
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    stacks: int = 0

    @property
    def cases(self) -> int:
        return sum(score.cases for score in self.scores.values())

    @property
    def fails(self) -> int:
        return sum(score.counts["fails"] + score.counts["error"] for score in self.scores.values())

    def take(self, drawn: Iterable[Stack], cases: float = float("inf")) -> None:
        """Judges stacks until so many cases are judged."""
        for stack in self._timed(drawn):
            wrt = tuple(name for name in self.spec.differentiable if name in stack.inputs)
            start = time.perf_counter()
            numbers = evaluate_stack(self.spec, stack, wrt, project=True)
            self.seconds["reference"] += time.perf_counter() - start
            self._measure(stack, wrt, numbers)
            for control in self.controls:
                self.judge(control, stack, numbers)
            if self.cases >= cases:
                return

    def _measure(self, stack: Stack, wrt: Sequence[str], numbers: Mapping[str, Numbers]) -> None:
        start, found = time.perf_counter(), {}
        self.stacks += 1
        if self.stacks % MEASURED == 0 and sum(array.size for array in stack.inputs.values()) <= LARGEST:
            found = conditions(self.spec, stack, wrt)
        with np.errstate(all="ignore"):
            for output, n in numbers.items():
                self.budgets.setdefault(output, Budgets()).add(n, self.dtype, found.get(output))
        self.seconds["budgets"] += time.perf_counter() - start

    def _timed(self, drawn: Iterable[Stack]) -> Iterator[Stack]:
        start = time.perf_counter()
        for stack in drawn:
            self.seconds["drawing"] += time.perf_counter() - start
            yield stack
            start = time.perf_counter()

    def judge(self, control: Control, stack: Stack, numbers: Mapping[str, Numbers]) -> None:
        """Adds what `control` says to `stack` to its score."""
        score, start = self.scores.setdefault(control.name, Score()), time.perf_counter()
        wrt = self._offered(control, stack)
        answers, severity, unsupported = self._answers(control, stack, wrt, numbers)
        self.seconds[control.name] += time.perf_counter() - start
        start = time.perf_counter()
        coverage = Coverage(self.known, self.spec, stack, wrt) if control.name == "torch64" else None
        known = np.zeros(len(stack), bool)
        for output, answer in answers.items():
            judged = judge(numbers[output], answer, FORMATS[self.dtype])
            worst = judged.worst().astype(np.int_)
            covered = np.zeros(len(stack), bool)
            for k in np.flatnonzero(worst >= ERROR).tolist():
                left = coverage.of(self._id(output), output, judged, k).left if coverage else worst[k]
                covered[k] = left < worst[k]
                worst[k] = left
                if left >= ERROR:
                    sentence = headline(output, finding_of(stack[k], numbers[output], judged, k))
                    score.witness(output, stack[k], sentence)
            severity, known = np.maximum(severity, worst), known | covered
            _note_worst(score, numbers[output], judged, covered, self.dtype)
        score.known += int((known & (severity < ERROR)).sum())
        score.counts.update(NAMES[s] for s in severity[~unsupported])
        self.seconds["verdict"] += time.perf_counter() - start

    def _offered(self, control: Control, stack: Stack) -> tuple[str, ...]:
        binding = control.binding(self.spec.name)
        offered = self.spec.differentiable if binding is None or binding.gradients is None else binding.gradients
        return tuple(name for name in self.spec.differentiable if name in stack.inputs and name in offered)

    def _id(self, output: str) -> str:
        return f"{self.spec.name}/torch/cpu/eager/{self.dtype}/{check_of_output(output)}"

    def _answers(
        self, control: Control, stack: Stack, wrt: Sequence[str], numbers: Mapping[str, Numbers]
    ) -> tuple[dict[str, NDArray[Any]], Severities, NDArray[np.bool_]]:
        """The answers; what each case comes to by an answer missing; and which cases are unsupported."""
        severity, unsupported = np.full(len(stack), AGREES, np.int_), np.zeros(len(stack), bool)
        if isinstance(control, Stacked):
            return control.stack(stack, wrt, numbers), severity, unsupported
        found = run_stack(control, stack, wrt, output_shapes(self.spec, stack, wrt), "cpu", "eager")
        for k, problems in enumerate(found.problems):
            for output, problem in problems.items():
                if problem.severity == UNSUPPORTED:
                    unsupported[k] = True
                    continue
                severity[k] = problem.severity
                self.scores[control.name].witness(output or "value", stack[k], problem.text)
        return found.arrays, severity, unsupported


def _note_worst(score: Score, n: Numbers, judged: Judged, covered: NDArray[np.bool_], dtype: str) -> None:
    """Error over budget, where there is one and no known difference explains the case."""
    finite = np.isfinite(n.high) & np.isfinite(judged.answer)
    finite &= ~covered.reshape(-1, *(1,) * (finite.ndim - 1))
    if not finite.any():
        return
    fmt = FORMATS[dtype]
    half = np.maximum(half_ulp(n.high, fmt), half_ulp(judged.answer, fmt))
    for name, budget in (("tight", n.tight), ("sound", n.sound)):
        there = finite & (judged.distance > 0)
        ratio = np.divide(judged.distance, budget + half, out=np.zeros_like(half), where=there)
        score.worst[name] = max(score.worst[name], float(ratio.max()))


def panel_for(criterion: str, dtype: str, controls: Sequence[Control] | None = None) -> Panel:
    """The controls on one criterion in one dtype, nothing judged yet."""
    known = read_known(folder("adapters") / "torch.known.yaml")
    return Panel(spec_for(criterion), dtype, controls or controls_of(criterion, dtype), known)


def fresh(spec: Spec, dtype: str, seed: int) -> Iterator[Stack]:
    """Stacks without end: those of one seed after those of another."""
    for s in itertools.count(seed):
        yield from stacks(spec, dtype, "default", s)


def smaller(panel: Panel, control: Control, output: str, case: Case) -> tuple[Case, str]:
    """The smallest case on which `control` still fails, and how."""
    best = (case, panel.scores[control.name].witnesses[output][1])

    def still(candidate: Case) -> bool:
        nonlocal best
        again = Panel(panel.spec, panel.dtype, [control], panel.known)
        again.take([Stack.of(candidate)])
        if output in (found := again.scores[control.name].witnesses):
            best = found[output]
            return True
        return False

    minimise(case, panel.spec, still)
    return best
