"""Numbers that binary128 leaves uncertain, evaluated again at growing precision until they are certain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import flint
import numpy as np
from flint import arb
from numpy.typing import NDArray

from conformance.cases.bind import full_rank, make_tape, output_shapes, rank_of
from conformance.cases.case import Stack
from conformance.reference.arbs import Arbs, exact
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec

PRECISIONS = (300, 1200, 5000)  # bits; at the last, a zero by cancellation is within an ulp of the smallest float64
_CLOSE = 2.0**-56  # of an ulp's share that a radius may take of the number
_TINIEST = arb(2) ** -1085


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """flint's working precision, within a block."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def escalate(
    spec: Spec, stack: Stack, numbers: dict[str, Numbers], doubtful: dict[str, NDArray[np.bool_]]
) -> dict[str, Numbers]:
    """`numbers` with those that are `doubtful` replaced, as far as `arb` decides them."""
    left = {name: mask.copy() for name, mask in doubtful.items() if mask.any()}
    found = dict(numbers)
    for bits in PRECISIONS:
        if not left:
            break
        with precision(bits), np.errstate(all="ignore"):
            arrays = evaluate_balls(spec, stack, tuple(name for name in left if name != "value"))
            for name in list(left):
                found[name], left[name] = _filled(found[name], arrays[name], left[name])
                if not left[name].any():
                    del left[name]
    return found


def evaluate_balls(spec: Spec, stack: Stack, wrt: Sequence[str]) -> dict[str, NDArray[Any]]:
    """ "value" and the gradients in `wrt` as arrays of `arb`, at flint's precision, in the outputs' shapes."""
    arithmetic = Arbs(rank_of(spec, stack.layout))
    inputs = {name: exact(full_rank(spec, stack.layout, name, array)) for name, array in stack.inputs.items()}
    tape = make_tape(spec, stack, arithmetic, inputs)
    root = spec.reduce[stack.parameters.get("reduction", "none")]
    balls = {"value": tape.term(root).data, **{name: term.data for name, term in tape.gradients(root, wrt).items()}}
    shapes = output_shapes(spec, stack, wrt)
    return {name: np.broadcast_to(ball, shapes[name][0]).reshape(shapes[name][1]) for name, ball in balls.items()}


def _filled(n: Numbers, balls: NDArray[Any], doubtful: NDArray[np.bool_]) -> tuple[Numbers, NDArray[np.bool_]]:
    high, low, error = np.array(n.high), np.array(n.low), np.array(n.error)
    certified, unsure = np.array(n.certified), np.array(n.unsure)
    left = doubtful.copy()
    for place in zip(*np.nonzero(doubtful), strict=True):
        ball = balls[place]
        radius = ball.rad()
        if not ball.is_finite() or not (radius <= abs(ball.mid()) * _CLOSE or radius < _TINIEST):
            continue
        high[place] = float(ball.mid())
        rest = ball - arb(float(high[place])) if np.isfinite(high[place]) else arb(0)
        low[place], error[place] = float(rest.mid()), np.nextafter(float(abs(rest.rad())), np.inf)
        certified[place], unsure[place], left[place] = True, False, False
    grown = np.where(error > n.error, error - n.error, 0)  # the budgets hold the reference's own error
    found = replace(n, high=high, low=low, error=error, certified=certified, unsure=unsure)
    return replace(found, tight=n.tight + grown, sound=n.sound + grown), left
