"""The mutants: every faulty implementation with its criterion, its tag and, if no check sees it, the reason.

Most are functions of `Given`, as the controls are, whose faults they have. What is wrong with how a call is taken (its
arrays' memory, a cache, what is refused) is a function of the call itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from conformance import Call, Output
from tests.controls.parts import Answer, Given

# What is wrong. The first two are meant literally: the command makes sure that the other half of the answer is right.
GRADIENT = "gradient only"
VALUE = "value only"
BOTH = "value and gradient"
SPECIAL = "special values"  # infinities, NaN, zeros: what a branch not taken or a weight of 0 should hide
PRECISION = "precision"  # constants, accumulators and thresholds of a narrower dtype, digits lost
SHAPE = "shape"  # axes, ranks, broadcasting, sizes
STATE = "state"  # left behind between calls, or in the caller's arrays
LAYOUT = "layout"  # how arrays lie in memory
INVALID = "invalid"  # what must be refused is answered
TAGS = (GRADIENT, VALUE, BOTH, SPECIAL, PRECISION, SHAPE, STATE, LAYOUT, INVALID)

DTYPES = ("float64", "float32")

Memory = dict[Any, Any]  # what a faulty implementation keeps from call to call; empty for every cell


class Right(Protocol):
    """The right implementation of a call."""

    def run(self, call: Call) -> Output:
        """The answer; what is out of domain is refused."""

    def answer(self, call: Call) -> Output:
        """The answer, whatever is in the call."""


OfGiven = Callable[[Given], Answer]
OfCall = Callable[[Call, Right, Memory], Output]


@dataclass(frozen=True)
class Mutant:
    """One faulty implementation; one of `of_given` and `of_call` is there."""

    criterion: str
    name: str
    tag: str
    about: str  # what somebody did, and why it looks right
    dtypes: tuple[str, ...] = DTYPES  # in which it is a fault
    survives: str = ""  # why no check tells it from the right implementation, in the standard run
    of_given: OfGiven | None = None
    of_call: OfCall | None = None

    @property
    def id(self) -> str:
        """`cross_entropy.mean_over_all_labels`."""
        return f"{self.criterion}.{self.name}"

    def concerns(self, dtype: str) -> bool:
        """Whether it is a fault in a dtype: in any, unless it says in which."""
        return dtype in self.dtypes or self.dtypes == DTYPES


MUTANTS: dict[str, Mutant] = {}


def fault(criterion: str, tag: str, **more: Any) -> Callable[[OfGiven], OfGiven]:
    """Registers a function of `Given` as a mutant; `more`: `dtypes`, `survives`."""

    def register(function: OfGiven) -> OfGiven:
        _add(Mutant(criterion, _name(criterion, function), tag, _about(function), of_given=function, **more))
        return function

    return register


def fault_of_call(criterion: str, tag: str, **more: Any) -> Callable[[OfCall], OfCall]:
    """Registers a function of the call as a mutant; `more`: `dtypes`, `survives`."""

    def register(function: OfCall) -> OfCall:
        _add(Mutant(criterion, _name(criterion, function), tag, _about(function), of_call=function, **more))
        return function

    return register


def _name(criterion: str, function: Callable[..., Any]) -> str:
    return function.__name__.removeprefix(f"{criterion}_")


def _about(function: Callable[..., Any]) -> str:
    return " ".join((inspect.getdoc(function) or "").split())


def _add(mutant: Mutant) -> None:
    if mutant.id in MUTANTS:
        raise ValueError(f"two mutants are named {mutant.id}")
    MUTANTS[mutant.id] = mutant
