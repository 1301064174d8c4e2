"""What a check came to, case by case: counts, worst and smallest witness, conventions, what is known and what new."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.record.model import roll_up
from conformance.reference.formats import Format
from conformance.reference.numbers import ulp
from conformance.verdict.compare import AGREES, INACCURATE, NAMES, POINTS, UNDECIDED, Judged
from conformance.verdict.curve import Curve

WRITTEN = 10_000  # numbers; a case of more is kept by its recipe


@dataclass(frozen=True)
class Finding:
    """One case of one check that did not simply agree."""

    case: Case
    severity: int
    index: tuple[int, ...]  # the worst element
    wanted: float
    got: float
    ulps: float
    ratio: float
    text: str = ""  # what was raised, or what is wrong with the answer's form
    recipe: str = ""  # where the case was drawn from
    how: str = ""  # in which way it was asked that is not the usual one
    output: str = "value"  # the output at fault: "value", or the input whose gradient it is
    due: str = ""  # "number", "answer" (it raised), "refusal" (it answered); "": a script could not tell
    bounds: tuple[float, float] = (math.nan, math.nan)  # between which the number due lies; NaN: NaN is due
    share: float = 0.0  # of the sum over the last axis, taken out of the answer before it is compared

    @property
    def drawn(self) -> str:
        """The recipe that stands for the case, if it is too large to be written out."""
        return self.recipe if self.case.size > WRITTEN else ""

    @property
    def kind(self) -> tuple[object, ...]:
        """What a smaller case has to share with this one to show the same fault."""
        special = ("" if math.isfinite(number) else repr(number) for number in (self.wanted, self.got))
        return self.severity, self.how, self.text[:20], *special

    @property
    def rank(self) -> tuple[int, float]:
        """Larger is worse."""
        return self.severity, self.ratio if self.ratio == self.ratio else -1.0


def worst_element(judged: Judged, k: int) -> tuple[int, ...]:
    """The index, within case k, of the element that decides its verdict."""
    severity = judged.severity[k, ...]
    if not severity.size:
        return ()
    ratio = np.nan_to_num(judged.ratio[k, ...], nan=0.0, posinf=np.finfo(float).max)
    score = np.where(severity == severity.max(), ratio, -1.0)
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(score)), score.shape))


@dataclass
class Measured:
    """How far off some answers are: how many cases there were, and their largest errors."""

    cases: int = 0
    ulps: float = 0.0
    ratio: float = 0.0

    def add(self, judged: Judged) -> None:
        """A stack's cases; of their elements, those that are finite."""
        self.cases += len(judged.ulps)
        if judged.ulps.size:
            self.ulps = max(self.ulps, float(np.nanmax(np.append(judged.ulps.ravel(), 0.0))))
            self.ratio = max(self.ratio, float(judged.ratio.max()))


@dataclass
class Tally:
    """The cases of one check so far."""

    recipes: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)  # why: "budget" or "reference"
    apart: float | None = None  # from the framework's own float32 result rounded once, in ulps at most
    new_counts: Counter[str] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    measured: Measured = field(default_factory=Measured)
    regimes: dict[str, Measured] = field(default_factory=dict)
    curve: Curve = field(default_factory=Curve)
    worst: Finding | None = None
    smallest: Finding | None = None
    conventions: dict[str, Counter[str]] = field(default_factory=dict)

    def add(
        self, severity: int, finding: Finding | None = None, known: Sequence[str] = (), left: int | None = None
    ) -> None:
        """One more case; `known` names the known differences that cover faults of it, `left` is its severity without
        those (none, if they are not given)."""
        left = left if left is not None else AGREES if known else severity
        name = NAMES[severity]
        self.counts[name] += 1
        self.known.update(known)
        self.new_counts[NAMES[left]] += 1
        if finding is None or severity <= UNDECIDED:
            return
        fresh = (left >= INACCURATE, max(left, UNDECIDED), finding.severity)
        if self.worst is None or (fresh, finding.rank) > (self._fresh_worst, self.worst.rank):
            self.worst, self._fresh_worst = finding, fresh
        if self.smallest is None or (fresh, -finding.case.size) > (self._fresh_smallest, -self.smallest.case.size):
            self.smallest, self._fresh_smallest = finding, fresh

    def leave_out(self, cases: int) -> None:
        """Cases that were drawn and not run: an error that no known difference covers."""
        self.counts["not run"] += cases
        self.new_counts["error"] += cases

    _fresh_worst: tuple[bool, int, int] = (False, 0, 0)
    _fresh_smallest: tuple[bool, int, int] = (False, 0, 0)

    def measure(self, judged: Judged, regime: str = "", argument: NDArray[np.float64] | None = None) -> None:
        """The largest error of a stack, over the elements that are finite; also by regime, if it has one, and over the
        argument of each element, if there is one."""
        self.measured.add(judged)
        if regime:
            self.regimes.setdefault(regime, Measured()).add(judged)
        if argument is not None:
            self.curve.add(argument, judged.ulps)

    def measure_finding(self, finding: Finding | None) -> None:
        """The error of a finding, where that is a number."""
        if finding is not None and math.isfinite(finding.ulps):
            self.measured.ulps = max(self.measured.ulps, finding.ulps)
            self.measured.ratio = max(self.measured.ratio, finding.ratio)

    def note_apart(self, judged: Judged, yardstick: NDArray[np.float64], fmt: Format) -> None:
        """How far answers are from the framework's own result in float32, rounded once."""
        finite = np.isfinite(judged.answer) & np.isfinite(yardstick)
        if finite.any():
            x, y = judged.answer[finite], yardstick[finite]
            apart = np.abs(x - y) / ulp(np.maximum(np.abs(x), np.abs(y)), fmt)
            self.apart = max(self.apart or 0.0, float(apart.max()))

    def convention(self, kink: str, judged: Judged, there: NDArray[np.bool_]) -> None:
        """Which point of the interval was taken, where there was a choice and the named kink is."""
        points = judged.chosen[judged.at_kink & there & (judged.severity == AGREES)]
        if points.size:
            self.conventions.setdefault(kink, Counter()).update(POINTS[point] for point in points.tolist())

    def note_multiple(self, output: str, judged: Judged) -> None:
        """Which multiple of a direction a framework adds, where the gradient is defined up to multiples of it."""
        if judged.multiple is not None:
            taken = self.conventions.setdefault(f"multiple in {output}", Counter())
            for multiple in np.unique(np.round(judged.multiple[np.isfinite(judged.multiple)], 6)):
                taken[{0.0: "0", 1.0: "1", -1.0: "-1"}.get(float(multiple), "other")] += 1

    @property
    def outcome(self) -> str:
        """The worst of all cases; undecided only where nothing was decided."""
        return roll_up(self.counts.elements())

    @property
    def new(self) -> str | None:
        """The worst of the cases that no known difference covers; None where that is agreement."""
        worst = roll_up(self.new_counts.elements())
        return worst if worst in NAMES[INACCURATE:] else None
