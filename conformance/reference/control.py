"""The control of the reference while it is used: one case in 64 is evaluated again, and must lie within its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from flint import arb

from conformance.cases.bind import check_of_output
from conformance.cases.case import Stack
from conformance.errors import ReferenceFault
from conformance.reference.escalate import TINIEST, evaluate_balls, positions_of, precision
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec

EVERY = 64  # one case in so many
LARGEST = 2**12  # positions of a case's layout: larger ones are left out, so that the control stays cheap
BITS = 300
_HULL = 1 + arb(2) ** -50  # an interval of choices is carried on in fewer digits than numbers are
_SLACK = arb(2) ** -200  # of a number, for the ball that it is compared with
_INFINITE = arb(FORMATS["float64"].max) + arb(2) ** 970  # from here on, float64 rounds to infinity


def check_sample(spec: Spec, stack: Stack, numbers: Mapping[str, Numbers]) -> int:
    """How many numbers of a stack were evaluated again and lie within their bounds.

    Raises:
        ReferenceFault: one does not.
    """
    if positions_of(spec, stack) > LARGEST:
        return 0
    return check_cases(spec, stack, numbers, sample(stack))


def sample(stack: Stack) -> list[int]:
    """The cases of a stack that are evaluated again: chosen by their content, so the same in every run and replay."""
    arrays = [np.ascontiguousarray(stack.inputs[name]) for name in sorted(stack.inputs)]
    is_joined = any(isinstance(value, np.ndarray) for value in stack.parameters.values())
    found, common = [], None
    for k in range(len(stack)):
        if common is None or is_joined:
            common = _begin(stack, k)
        text = common.copy()
        for array in arrays:
            text.update(array[k].tobytes())
        if int.from_bytes(text.digest(), "little") % EVERY == 0:
            found.append(k)
    return found


def _begin(stack: Stack, k: int) -> Any:
    """A digest of all of a case but its arrays."""
    parameters = sorted((name, _plain(value)) for name, value in stack.parameters_of(k).items())
    return blake2b(repr((stack.criterion, stack.dtype, parameters)).encode(), digest_size=8)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def check_cases(spec: Spec, stack: Stack, numbers: Mapping[str, Numbers], cases: Sequence[int]) -> int:
    """`check_sample` for these cases of the stack."""
    if not cases:
        return 0
    part = stack.only(cases)
    wrt = tuple(name for name in numbers if name != "value")
    checked = 0
    with precision(BITS), np.errstate(all="ignore"):
        for name, balls in evaluate_balls(spec, part, wrt, project=True).items():
            for row, k in enumerate(cases):
                checked += _check_case(stack, k, name, numbers[name], balls[row, ...])
    return checked


def _check_case(stack: Stack, k: int, output: str, n: Numbers, balls: Any) -> int:
    checked = 0
    for place in np.ndindex(np.shape(balls)):
        ball = balls[place] if place else balls if isinstance(balls, arb) else balls[()]
        within = is_within(n, (k, *place), ball)
        if within is False:
            raise ReferenceFault(_sentence(stack, k, output, place, n, ball))
        checked += within is True
    return checked


def is_within(n: Numbers, at: tuple[int, ...], ball: arb) -> bool | None:
    """Whether a number lies within its bound of the exact one, which `ball` holds; None where the ball cannot tell."""
    high = float(n.high[at])
    if not ball.is_finite() or not (n.certified[at] or np.isfinite(n.error[at])):
        return None  # the ball is too wide to say anything, or no bound was claimed
    if np.isnan(high):
        return False
    if np.isinf(high):
        return not (abs(ball) < _INFINITE) and bool((ball > 0) == (high > 0))
    off = ball - arb(high) - arb(float(n.low[at]))
    room, slack = arb(float(n.error[at])), abs(ball.mid()) * _SLACK + TINIEST
    below, above = (arb(float(part[at])) * _HULL if n.unsure[at] else arb(0) for part in (n.below, n.above))
    if off > room + above or off < -(room + below):
        return False
    surely = off < room + above + slack and off > -(room + below + slack)
    return True if surely else None


def _sentence(stack: Stack, k: int, output: str, place: tuple[int, ...], n: Numbers, ball: arb) -> str:
    at = (k, *place)
    what = check_of_output(output)
    where = f"{what}[{', '.join(map(str, place))}]" if place else what
    return (
        f"the reference contradicts itself: {where} of {stack.criterion} in {stack.dtype}, case {stack[k].hash}, is "
        f"{float(n.high[at])!r} + {float(n.low[at])!r} +/- {float(n.error[at])!r} in {n.bits[at]} bits, and "
        f"{ball.str(40, radius=True)} in {BITS} bits. This is a fault of the suite and says nothing of a framework; "
        f"please report it with this sentence, the command and the seed."
    )
