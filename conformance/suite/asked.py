"""Stacks that a framework has answered: those that are alike are judged as one.

Judging a small stack costs what asking NumPy costs, and a cell has a few times as many stacks as kinds of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conformance.cases.case import Stack
from conformance.reference.numbers import Numbers, cases_of
from conformance.reference.together import alike, joined
from conformance.spec.model import Spec
from conformance.suite.calls import Answers
from conformance.verdict.compare import Judged

Verdicts = tuple[dict[str, Numbers], dict[str, Judged]]  # by output: the reference's numbers, and the verdicts


@dataclass(frozen=True)
class Asked:
    """A stack, and what the framework answered; in half precision, in the wider dtype as well."""

    stack: Stack
    wrt: tuple[str, ...]
    answers: Answers
    wide: Answers | None = None


def judged_together(
    spec: Spec, asked: Sequence[Asked], judge: Callable[[Asked], Verdicts]
) -> list[Callable[[], Verdicts]]:
    """For each of what was asked, what gives its verdicts. Those that are alike are judged when the first of them is
    asked for; what the framework answers not at all is not judged for the others' sake."""
    found: list[Callable[[], Verdicts]] = [functools.partial(judge, item) for item in asked]
    for has_wide in (False, True):
        same = [i for i, item in enumerate(asked) if (item.wide is not None) == has_wide]
        same = [i for i in same if not asked[i].answers.are_unsupported]
        for group in alike(spec, [asked[i].stack for i in same]):
            members, begin = [same[j] for j in group], 0
            joint = functools.cache(functools.partial(judge, _joined([asked[i] for i in members])))
            for i in members:
                cases = slice(begin, begin + len(asked[i].stack))
                found[i], begin = functools.partial(_part, joint, cases), cases.stop
    return found


def _joined(asked: Sequence[Asked]) -> Asked:
    wide = [item.wide for item in asked if item.wide is not None]
    answers = Answers.joined([item.answers for item in asked])
    return Asked(joined([item.stack for item in asked]), asked[0].wrt, answers, Answers.joined(wide) if wide else None)


def _part(joint: Callable[[], Verdicts], cases: slice) -> Verdicts:
    numbers, judged = joint()
    return (
        {name: cases_of(item, cases) for name, item in numbers.items()},
        {name: cases_of(item, cases) for name, item in judged.items()},
    )
