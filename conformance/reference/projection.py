"""Gradients that are defined up to multiples of a direction: the part that is defined, of balls and of answers."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from conformance.cases.bind import Shapes
from conformance.formula.algebra import Term
from conformance.formula.tape import Tape
from conformance.reference.ball import Ball
from conformance.reference.escalate import MOST_EXPONENT
from conformance.reference.numbers import Float, Modulus
from conformance.reference.quad import Bound, magnitude, quad, split, total
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
        held = np.stack([own, sound + multiple * (self.errors[1] + self.unit[1] * magnitude(self.p))])
        whole = Term(Ball(g.x, held, g.h, g.flags, g.loose))
        return o.sub(whole, o.mul(Term(self.weight), o.sum(whole, self.axes))).data  # type: ignore[no-any-return]

    def for_answers(self, shapes: Shapes) -> Modulus:
        """The same for a framework's answers, exact enough to add nothing to the error."""
        full, shape = shapes
        p = np.broadcast_to(self.p, full)

        def split_answer(answer: Float) -> tuple[Float, Float, Float]:
            g = quad(answer.reshape(full))
            # what is not finite is judged where it stands, and spoils nothing else
            multiple = total(np.where(np.isfinite(g), g, 0.0), self.axes) / self.size
            high, low, _ = split(g - np.where(p == 0.0, 0.0, p * multiple))
            taken = np.broadcast_to(multiple.astype(np.float64), full)
            return high.reshape(shape), low.reshape(shape), taken.reshape(shape)

        return split_answer
