"""The reference against the oracle: how many ulps apart, criterion by criterion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flint import arb

import conformance

from .answer import answer
from .cases import CRITERIA, Case, cases
from .draws import Floats
from .scalars import Scalars
from .ulps import error_in_ulps

SHARE_OF_BUDGET = 2.0**-10


@dataclass(frozen=True)
class Miss:
    """One number of the reference that is off: which call, which number, by how many ulps."""

    case: Case
    number: str
    wanted: arb
    got: float
    ulps: float
    budget: float

    def __str__(self) -> str:
        wanted = f"{float(self.wanted).hex()} ({self.wanted.str(25, radius=False)})"
        off = f"{self.ulps:.3g} ulp off, budget {self.budget:.3g}"
        return f"{self.case}\n  {self.number}: wanted {wanted}, got {self.got.hex()} ({self.got!r}), {off}"


@dataclass
class Tally:
    """What came of the cases of one criterion; `worst` in ulps, by number (`value`, `gradient.NAME`).

    `by_budget` are misses that certification allows: errors of at most 2**-10 of the float64 budget.
    """

    criterion: str
    cases: int = 0
    uncertified: list[Case] = field(default_factory=list)
    worst: dict[str, float] = field(default_factory=dict)
    misses: list[Miss] = field(default_factory=list)
    by_budget: list[Miss] = field(default_factory=list)

    @property
    def share_certified(self) -> float:
        """The share of cases that the reference certifies entirely."""
        return 1 - len(self.uncertified) / max(self.cases, 1)


def tally(criterion: str, limit: float = 1.0) -> Tally:
    """Every case of a criterion through the reference and the oracle; only certified cases are measured."""
    result = Tally(criterion)
    for case in cases(criterion):
        result.cases += 1
        reference = conformance.evaluate(criterion, case.inputs, case.parameters)
        if not _is_certified(reference.certified):
            result.uncertified.append(case)
            continue
        for name, got, wanted, budget in _numbers(case, reference):
            _measure(result, case, name, np.asarray(got, np.float64), wanted, np.asarray(budget), limit)
    return result


def _is_certified(certified: Any) -> bool:
    parts = certified.values() if isinstance(certified, dict) else [certified]
    return all(bool(np.all(part)) for part in parts)


def _numbers(case: Case, reference: Any) -> Iterator[tuple[str, Any, Scalars, Any]]:
    """The value and each gradient: as the reference has it, as the oracle has it, and the budget."""
    missing = set(case.wrt) - set(reference.gradients)
    assert not missing, f"{case.criterion}: the reference has no gradient in {sorted(missing)}"
    wrt = [name for name in reference.gradients if name in case.inputs and name not in case.at_kink]
    wanted = answer(case.criterion, case.inputs, case.parameters, wrt)
    yield "value", reference.value, wanted.value, reference.value_budget
    for name in wrt:
        yield f"gradient.{name}", reference.gradients[name], wanted.gradients[name], reference.gradient_budgets[name]


def _measure(
    result: Tally, case: Case, number: str, got: Floats, wanted: Scalars, budget: Floats, limit: float
) -> None:
    """Adds one array to the tally: its worst element, and the worst of those beyond the limit as a miss."""
    assert got.shape == wanted.shape, f"{case}\n  {number}: shape {got.shape}, wanted {wanted.shape}"
    budget = np.broadcast_to(budget, got.shape)
    for at in np.ndindex(got.shape):
        exact: arb = wanted.item(at)
        ulps = error_in_ulps(float(got[at]), exact)
        allowed = ulps > limit and _within_budget(float(got[at]), exact, float(budget[at]))
        if not allowed:
            result.worst[number] = max(result.worst.get(number, 0.0), ulps)
        if ulps > limit:
            miss = Miss(case, f"{number}{list(at)}", exact, float(got[at]), ulps, float(budget[at]))
            (result.by_budget if allowed else result.misses).append(miss)


def _within_budget(got: float, exact: arb, budget: float) -> bool:
    """Whether certification lets the error pass as too small to matter to any verdict in float64."""
    if not (math.isfinite(got) and math.isfinite(budget) and exact.is_finite()):
        return False
    return bool(abs(arb(got) - exact) <= arb(budget) * SHARE_OF_BUDGET)


def specified() -> tuple[str, ...]:
    """The criteria of the oracle that have a spec."""
    from conformance._resources import folder

    specs = folder("specs")
    return tuple(name for name in CRITERIA if (specs / f"{name}.yaml").is_file())


def table() -> str:
    """A line per criterion: cases, share certified, numbers that missed, and those that only their budget excuses;
    then the largest error of the value and of each gradient, in ulps, of the numbers that nothing excuses."""
    lines = ["criterion                cases  certified  missed  by budget  largest error in ulps"]
    for criterion in specified():
        row = tally(criterion)
        worst = "  ".join(f"{number.removeprefix('gradient.')} {ulps:.4g}" for number, ulps in row.worst.items())
        share = math.floor(1000 * row.share_certified) / 10
        counts = f"{row.cases:>5}  {share:>8.1f}%  {len(row.misses):>6}  {len(row.by_budget):>9}"
        lines.append(f"{criterion:<24} {counts}  {worst}")
    return "\n".join(lines)
