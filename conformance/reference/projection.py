"""Gradients that are defined up to multiples of a direction: the part that is defined, of balls and of answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from conformance.cases.bind import Shapes
from conformance.formula import Node
from conformance.formula.algebra import Term
from conformance.formula.arithmetic import Axes
from conformance.formula.tape import Tape
from conformance.reference.ball import Ball
from conformance.reference.escalate import MOST_EXPONENT
from conformance.reference.numbers import Float
from conformance.reference.quad import Bound, Quad, magnitude, quad, split, total
from conformance.spec.model import Modulo


class Projection:
    """Takes multiples of a direction p out of a gradient g: g − w Σg with w = p / Σp, over one axis.

    Nothing is taken where Σp is 0 or beyond binary128."""

    def __init__(self, tape: Tape, modulo: Modulo, unit: Bound) -> None:
        self.algebra = tape.algebra
        self.unit = unit  # roundoff of the reference and of the dtype
        self.axes = tape.axes_named(modulo.over)
        p: Ball = tape.term(modulo.direction).data
        size = total(p.x, self.axes)
        self.has_any = (size > 0.0) & (size < quad(2.0) ** MOST_EXPONENT)
        self.p = np.where(self.has_any, p.x, 0.0)
        self.size = np.where(self.has_any, size, 1.0)
        self.errors = np.where(self.has_any, p.bound(), 0)
        self.held = np.where(self.has_any, self._held(tape, modulo.direction, p), 0)

    def _held(self, tape: Tape, direction: Node, p: Ball) -> Bound:
        """How far off, by the dtype's roundings, an answer's part along the direction may be, for a multiple of 1.

        Beside the direction as it is written, of exp(x) the softmax of x counts: it is what a log-softmax that is fused
        with the loss leaves in its gradient, and it rounds x − max(x) before it takes the power."""
        forms = [p]
        if direction.op == "exp":
            forms.append(self.algebra.softmax(tape.term(direction.args[0]), self.axes, None).data)
        held = [ball.bound()[1] + self.unit[1] * magnitude(ball.x) for ball in forms]
        bound: Bound = np.maximum(held[0], held[-1])
        return bound

    @cached_property
    def weight(self) -> Ball:
        """The direction, scaled to a sum of 1: w. It is the mathematics', so only the reference's own error counts."""
        size, own = magnitude(self.size), self.errors[0]
        w = self.p / self.size
        off = own + magnitude(w) * np.sum(own, axis=self.axes, keepdims=True)
        known = off / size + 4 * self.unit[0] * magnitude(w)
        return Ball(w, np.stack([known, np.zeros_like(known)]))

    def of_ball(self, g: Ball) -> Ball:
        """A gradient without its part along the direction."""
        o = self.algebra
        # An answer whose parts sum to 0 holds the multiple Σg of p, with the dtype's errors in p and in the product.
        multiple = magnitude(total(g.x, self.axes))
        own, sound = g.bound() + np.zeros_like(self.errors)
        held = np.stack([own, sound + multiple * self.held])
        whole = Term(Ball(g.x, held, g.h, g.flags, g.loose))
        return o.sub(whole, o.mul(Term(self.weight), o.sum(whole, self.axes))).data  # type: ignore[no-any-return]

    def for_answers(self, shapes: Shapes) -> Modulus:
        """The same for a framework's answers."""
        full, shape = shapes
        return Modulus(np.broadcast_to(self.p, full), self.size, self.axes, shape[1:])


@dataclass(frozen=True)
class Modulus:
    """Takes multiples of a direction out of answers, exact enough to add nothing to the error.

    Attributes:
        direction: at full rank, with the stack's axis in front, like `size`, its sum over `axes`.
        shape: of a case's answer.
    """

    direction: Quad
    size: Quad
    axes: Axes
    shape: tuple[int, ...]

    def __call__(self, answer: Float) -> tuple[Float, Float, Float]:
        """The projection of an answer as high + low, and the multiple of the direction that was taken out."""
        p = self.direction
        g = quad(answer.reshape(p.shape))
        # what is not finite is judged where it stands, and spoils nothing else
        multiple = total(np.where(np.isfinite(g), g, 0.0), self.axes) / self.size
        high, low, _ = split(g - np.where(p == 0.0, 0.0, p * multiple))
        taken = np.broadcast_to(multiple.astype(np.float64), p.shape)
        shape = (len(p), *self.shape)
        return high.reshape(shape), low.reshape(shape), taken.reshape(shape)
