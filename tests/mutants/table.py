"""The mutation score as tables, and what is wrong with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tabulate import tabulate

from conformance.record.model import WRONG
from tests.mutants.registry import GRADIENT, TAGS, Mutant
from tests.mutants.scoring import Fate

ENOUGH = 0.95
HEADERS = ("criterion", "mutant", "tag", "dtype", "outcome", "recipe", "caught by")


def rows_of(found: Sequence[Fate]) -> list[list[Any]]:
    """A row for each mutant, or two where its dtypes differ in what caught it."""
    rows = []
    for mutant, fates in by_mutant(found).items():
        dtypes = defaultdict(list)
        for fate in fates:
            dtypes[fate.outcome or "survives", fate.first, checks_of(fate)].append(fate.dtype)
        for (outcome, first, checks), names in dtypes.items():
            rows.append([mutant.criterion, mutant.name, mutant.tag, ", ".join(names), outcome, first or "", checks])
    return rows


def checks_of(fate: Fate) -> str:
    """The checks that caught it; of edge cases and the like the first, and how many more."""
    drawn = [name for name in fate.caught if name == "value" or name.startswith("gradient.")]
    others = [name for name in fate.caught if name not in drawn]
    more = [others[0] + (f" + {len(others) - 1}" if others[1:] else "")] if others else []
    return ", ".join(drawn + more)


def by_mutant(found: Sequence[Fate]) -> dict[Mutant, list[Fate]]:
    """The fates of each mutant, one for each dtype."""
    groups: dict[str, list[Fate]] = defaultdict(list)
    for fate in found:
        groups[fate.mutant.id].append(fate)
    return {fates[0].mutant: fates for fates in groups.values()}


def is_killed(fates: Sequence[Fate]) -> bool:
    """Whether a mutant is killed in every dtype."""
    return all(fate.caught for fate in fates)


def scores(found: Sequence[Fate]) -> str:
    """By tag and by criterion: how many there are, are killed, and are killed by an outcome that fails a run."""
    mutants = by_mutant(found)
    tables = []
    for title, groups in (
        ("tag", [(tag, [m for m in mutants if m.tag == tag]) for tag in TAGS]),
        (
            "criterion",
            [(c, [m for m in mutants if m.criterion == c]) for c in dict.fromkeys(m.criterion for m in mutants)],
        ),
    ):
        rows = [_score(name, [mutants[m] for m in group]) for name, group in groups if group]
        rows.append(_score("all", list(mutants.values())))
        tables.append(tabulate(rows, (title, "mutants", "killed", "by fails or error", "%")))
    return "\n\n".join(tables)


def _score(name: str, group: Sequence[Sequence[Fate]]) -> list[Any]:
    killed = [fates for fates in group if is_killed(fates)]
    failing = [fates for fates in killed if all(fate.outcome in WRONG for fate in fates)]
    return [name, len(group), len(killed), len(failing), f"{100 * share(group):.1f}"]


def share(group: Sequence[Sequence[Fate]]) -> float:
    """The share of mutants that are killed; 1 if there are none."""
    return sum(map(is_killed, group)) / len(group) if group else 1.0


def survivors(found: Sequence[Fate]) -> Iterator[str]:
    """Each survivor, where it survives, and why."""
    for mutant, fates in by_mutant(found).items():
        if not is_killed(fates):
            where = ", ".join(fate.dtype for fate in fates if not fate.caught)
            yield f"survives: {mutant.id} ({where}): {mutant.survives or 'no reason is known'}"


def faults_of(found: Sequence[Fate], is_standard: bool = True) -> list[str]:
    """Why the command fails. What the registry says of survivors holds for the standard run: seed 0, all dtypes."""
    mutants = by_mutant(found)
    faults = [f"{fate.mutant.id} ({fate.dtype}) {fate.mislabelled}" for fate in found if fate.mislabelled]
    for mutant, fates in mutants.items():
        is_complete = is_standard and {fate.dtype for fate in fates} >= set(mutant.dtypes)
        if is_killed(fates) and mutant.survives and is_complete:
            faults.append(f"{mutant.id} is said to survive, and is killed")
        if not is_killed(fates) and not mutant.survives:
            faults.append(f"{mutant.id} survives, and nobody says why")
        if not is_killed(fates) and mutant.tag == GRADIENT:
            faults.append(f"{mutant.id} survives, though its gradient is wrong")
    if (killed := share(list(mutants.values()))) < ENOUGH:
        faults.append(f"{100 * killed:.1f} % are killed; {100 * ENOUGH:.0f} % are due")
    return faults


def as_json(fate: Fate) -> dict[str, Any]:
    """A fate as plain data."""
    mutant = fate.mutant
    return {
        "criterion": mutant.criterion,
        "mutant": mutant.name,
        "tag": mutant.tag,
        "about": mutant.about,
        "dtype": fate.dtype,
        "outcome": fate.outcome or "survives",
        "recipe": fate.first,
        "caught": dict(fate.caught),
        "survives": mutant.survives,
    }
