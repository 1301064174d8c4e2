"""What becomes of the mutants of a criterion in a dtype under the ordinary checks, beside the right implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from conformance.adapter import Adapter
from conformance.cases.case import Stack
from conformance.record.model import WRONG, Cell, Check
from conformance.spec import spec_for
from conformance.suite import run
from conformance.suite.cell import CellJudge
from conformance.suite.options import Options
from conformance.suite.plan import Framework, Plan
from conformance.verdict.compare import DIFFERS, NAMES
from tests.mutants.adapters import Faulty, Implementation
from tests.mutants.registry import GRADIENT, VALUE, Mutant
from tests.mutants.sharing import shared


@dataclass(frozen=True)
class Fate:
    """What became of a mutant in a dtype.

    `caught`: the outcome of each check that came out worse than it does for the right implementation. `first`: which
    recipe, in the order of the run, was the first to show it; None: none did, but an edge case or the like.
    """

    mutant: Mutant
    dtype: str
    caught: Mapping[str, str]
    first: int | None = None

    @property
    def is_killed(self) -> bool:
        return bool(self.caught)

    @property
    def outcome(self) -> str:
        """The worst of the checks that caught it; "" if none did."""
        return max(self.caught.values(), key=NAMES.index, default="")

    @property
    def mislabelled(self) -> str:
        """What its tag promises and the checks deny."""
        denied = {
            GRADIENT: [name for name in self.caught if name == "value"],
            VALUE: [name for name in self.caught if name.startswith("gradient.")],
        }.get(self.mutant.tag)
        return f"is tagged {self.mutant.tag!r}, but caught by {', '.join(denied)}" if denied else ""


@dataclass
class Watched(CellJudge):
    """A judge that notes which recipe changed a check's outcome, and to what; it shrinks no witness.

    With `right`, the outcomes of the right implementation, it takes no recipe after the one that shows a worse one.
    """

    right: Mapping[str, str] | None = None
    history: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def ask(self, stack: Stack) -> bool:
        return bool(self.judge_stack(stack))

    def judge_stack(self, stack: Stack) -> dict[str, float]:
        if self.right is not None and any(is_worse(t.outcome, self.right.get(n)) for n, t in self.tallies.items()):
            return {}
        found = super().judge_stack(stack)
        for name, tally in self.tallies.items():
            past = self.history.setdefault(name, [])
            if not past or past[-1][1] != tally.outcome:
                past.append((self.recipes, tally.outcome))
        return found

    def checks(self, minimise: bool = True) -> list[Check]:
        return super().checks(minimise=False)


@dataclass(frozen=True)
class Outcomes:
    """What the required checks of a cell came to, and by which recipes."""

    last: Mapping[str, str]
    history: Mapping[str, list[tuple[int, str]]]


def outcomes_of(
    adapter: Adapter, criterion: str, dtype: str, effort: str, seed: int, right: Mapping[str, str] | None = None
) -> Outcomes:
    """One implementation under the ordinary checks; with `right`, generated cases end where it is found to be worse."""
    framework = Framework(adapter, adapter.environment(), (), adapter.name)
    options = Options((adapter.name,), effort=effort, seed=seed)
    cell = Cell(criterion, adapter.name, "cpu", "eager", dtype)
    plan = Plan(options, {criterion: spec_for(criterion)}, {adapter.name: framework}, [cell])
    made: list[Watched] = []

    def watched(*given: Any, **named: Any) -> Watched:
        made.append(Watched(*given, **named))
        made[-1].right = right
        return made[-1]

    with mock.patch.object(run, "CellJudge", watched):
        result = run.judge_cell(plan, cell)
    required = (check for check in result.checks if check.level == "required")
    return Outcomes({check.check: check.outcome for check in required}, made[0].history)


def fates(
    mutants: Sequence[Mutant], dtype: str, effort: str = "default", seed: int = 0
) -> tuple[list[str], list[Fate]]:
    """For mutants of one criterion: where the right implementation is found to be wrong, and what became of them."""
    criterion = mutants[0].criterion
    with shared():
        right = outcomes_of(Implementation(criterion), criterion, dtype, effort, seed)
        found = []
        for mutant in mutants:
            until = None if mutant.tag in (GRADIENT, VALUE) else right.last  # those are looked at to the end
            own = outcomes_of(Faulty(mutant), criterion, dtype, effort, seed, until)
            found.append(fate(mutant, dtype, right, own))
    faults = [f"{criterion}/{dtype}/{name}: {outcome}" for name, outcome in right.last.items() if outcome in WRONG]
    return faults, found


def fate(mutant: Mutant, dtype: str, right: Outcomes, own: Outcomes) -> Fate:
    """What becomes of a mutant with these outcomes, beside those of the right implementation."""
    caught = {name: outcome for name, outcome in own.last.items() if is_worse(outcome, right.last.get(name))}
    showing = [
        number
        for name in caught
        for number, outcome in own.history.get(name, ())
        if is_worse(outcome, right.last.get(name))
    ]
    return Fate(mutant, dtype, caught, min(showing, default=None))


def is_worse(outcome: str, right: str | None) -> bool:
    """Whether an outcome is a bad one, and worse than that of the right implementation on the same check."""
    bad = outcome in NAMES[DIFFERS:]
    return bad and (right not in NAMES or NAMES.index(outcome) > NAMES.index(right))
