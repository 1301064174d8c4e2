"""Numbers that binary128 leaves uncertain, evaluated again at growing precision until they are certain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

import flint
import numpy as np
from flint import arb
from numpy.typing import NDArray

from conformance.cases.bind import full_cotangent, full_rank, make_tape, output_shapes, rank_of, whole_layout
from conformance.cases.case import Stack, by_case
from conformance.formula.algebra import Term
from conformance.formula.node import dims_within, walk
from conformance.formula.tape import Tape
from conformance.reference.arbs import ONE, ZERO, Arbs, exact
from conformance.reference.numbers import Float, Mask, Numbers
from conformance.reference.undefined import without_derivative
from conformance.spec.layout import axes_of, expand
from conformance.spec.model import Modulo, Spec

Arrays = dict[str, NDArray[Any]]  # of arb objects, by output

PRECISIONS = (300, 1200, 5000)  # bits; at the last, a zero by cancellation is within an ulp of the smallest float64
LARGEST = 2**16  # positions of a case at the first precision, in proportion fewer at more bits: some seconds
_CLOSE = 2.0**-56  # of an ulp's share that a radius may take of the number
TINIEST = arb(2) ** -1085  # below it, no digit matters in float64
NOTHING: Any = arb("nan")
MOST_EXPONENT = 16383  # of what the parts of a direction may sum to, so that binary128 holds it as well


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """flint's working precision, within a block."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def positions_of(spec: Spec, stack: Stack) -> int:
    """How many positions an operation of the formula looks at in each case of a stack at most: `arb`'s work."""
    layout = whole_layout(spec, stack.layout)
    seen = _seen(spec, stack.parameters.get("reduction", "none"), tuple(layout))
    return max(math.prod(layout[axis] for axis in axes) for axes in seen)


@lru_cache(maxsize=4096)
def _seen(spec: Spec, reduction: str, axes: tuple[str, ...]) -> frozenset[frozenset[str]]:
    """The axes that each operation looks at: of all that it is made of, and its own."""
    root, dims = spec.reduce[reduction], {name: axes_of(spec, name, axes) for name in spec.inputs}
    known = dims_within(root, dims, lambda axis: expand(spec.dims[axis], axes))
    return frozenset(known[id(node)].union(*(known[id(child)] for child in node.children)) for node in walk(root))


def escalate(
    spec: Spec, stack: Stack, numbers: Mapping[str, Numbers], doubtful: Mapping[str, Mask], *, project: bool = False
) -> dict[str, Numbers]:
    """`numbers` with those that are `doubtful` replaced, as far as `arb` decides them.

    Only cases that hold such numbers are evaluated, and none that is too large (`LARGEST`).
    """
    found = dict(numbers)
    left = {name: mask.copy() for name, mask in doubtful.items() if mask.any()}
    for bits in PRECISIONS:
        if not left or positions_of(spec, stack) * bits > LARGEST * PRECISIONS[0]:
            break
        cases = np.flatnonzero(np.logical_or.reduce([by_case(mask) for mask in left.values()]))
        with precision(bits), np.errstate(all="ignore"):
            wrt = tuple(name for name in left if name != "value")
            arrays = evaluate_balls(spec, stack.only(cases), wrt, project=project)
            for name in list(left):
                balls = np.empty(left[name].shape, dtype=object)
                balls[cases] = arrays[name]
                found[name], left[name] = _filled(found[name], balls, left[name], bits)
                if not left[name].any():
                    del left[name]
    return found


def evaluate_balls(spec: Spec, stack: Stack, wrt: Sequence[str], *, project: bool = False) -> Arrays:
    """ "value" and the gradients in `wrt` as arrays of `arb`, at flint's precision, in the outputs' shapes.

    They mean what `evaluate_stack` gives: projected if `project`, and NaN where there is no derivative.
    """
    arithmetic = Arbs(rank_of(spec, stack.layout))
    inputs = {name: exact(full_rank(spec, stack.layout, name, array)) for name, array in stack.inputs.items()}
    tape = make_tape(spec, stack, arithmetic, inputs)
    root = spec.reduce[stack.parameters.get("reduction", "none")]
    given = full_cotangent(spec, stack)
    cotangent = None if given is None else Term(exact(given))
    gradients = tape.gradients(root, wrt, cotangent)
    balls = {"value": tape.term(root).data, **{name: term.data for name, term in gradients.items()}}
    for modulo in spec.modulo if project else ():
        if modulo.of in wrt:
            balls[modulo.of] = _projected(tape, modulo, balls[modulo.of])
    shapes = output_shapes(spec, stack, wrt)
    found = {name: np.broadcast_to(ball, shapes[name][0]).reshape(shapes[name][1]) for name, ball in balls.items()}
    no_value = np.frompyfunc(lambda ball: bool(ball.is_nan()), 1, 1)(found["value"]).astype(bool)
    for name, missing in without_derivative(spec, stack, tape, no_value, shapes, or_unsure=True).items():
        found[name] = np.where(missing, NOTHING, found[name])
    return found


def _projected(tape: Tape, modulo: Modulo, g: NDArray[Any]) -> NDArray[Any]:
    """g without its multiples of a direction; nothing is taken where the direction's parts sum to 0 or to no number."""
    arithmetic, axes = tape.algebra.arithmetic, tape.axes_named(modulo.over)
    p = tape.term(modulo.direction).data
    size = arithmetic.sum(p, axes)
    usable = np.frompyfunc(lambda total: bool(total > 0 and total < arb(2) ** MOST_EXPONENT), 1, 1)(size).astype(bool)
    weight = np.where(usable, p, ZERO) / np.where(usable, size, ONE)
    left: NDArray[Any] = g - weight * arithmetic.sum(g, axes)
    return left


def _filled(n: Numbers, balls: NDArray[Any], doubtful: Mask, bits: int) -> tuple[Numbers, Mask]:
    high, low, error = np.array(n.high), np.array(n.low), np.array(n.error)
    certified, unsure = np.array(n.certified), np.array(n.unsure)
    width = np.array(n.bits)
    left = doubtful.copy()
    for place in zip(*np.nonzero(doubtful), strict=True):
        ball = balls[place]
        if not ball.is_finite() or not (ball.rad() <= abs(ball.mid()) * _CLOSE or ball.rad() < TINIEST):
            continue
        high[place] = float(ball.mid())
        rest = ball - arb(float(high[place])) if np.isfinite(high[place]) else arb(0)
        low[place], error[place] = float(rest.mid()), np.nextafter(_above(rest - arb(float(rest.mid()))), np.inf)
        certified[place], unsure[place], left[place], width[place] = True, False, False, bits
    found = replace(n, high=high, low=low, error=error, certified=certified, unsure=unsure, bits=width)
    return _with_room(found, n), left


def _above(ball: arb) -> float:
    return float(abs(ball).upper())


def _with_room(found: Numbers, before: Numbers) -> Numbers:
    """The budgets hold the reference's own error; the choices at a kink stay where they are when the number moves."""
    grown = np.where(found.error > before.error, found.error - before.error, 0)
    moved: Float = np.nan_to_num((found.high - before.high) + (found.low - before.low), posinf=0.0, neginf=0.0)
    open_ = (before.below > 0) | (before.above > 0)
    below = np.where(open_, np.maximum(before.below + moved, 0), before.below)
    above = np.where(open_, np.maximum(before.above - moved, 0), before.above)
    return replace(found, tight=before.tight + grown, sound=before.sound + grown, below=below, above=above)
