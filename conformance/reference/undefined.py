"""Where a gradient does not exist: one rule for every arithmetic in which the reference is evaluated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conformance.cases.bind import Shapes, spread
from conformance.cases.case import Stack
from conformance.formula.tape import Tape
from conformance.reference.numbers import Mask
from conformance.spec.model import Spec


def without_derivative(
    spec: Spec, stack: Stack, tape: Tape, no_value: Mask, shapes: Mapping[str, Shapes], *, or_unsure: bool = False
) -> dict[str, Mask]:
    """By input, where there is no derivative: by a kink whose `subgradient` is none, or of a number that has no value
    (`no_value`) itself though every input is finite (0/0).

    With `or_unsure`, also where the arithmetic cannot tell whether it is at such a kink: a ball that is NaN does not
    say, and NaN as a number does.
    """
    wrt = shapes.keys() - {"value"}
    masks: list[tuple[set[str], Mask]] = []
    if no_value.any():
        finite = [np.isfinite(array).reshape(len(stack), -1).all(axis=1) for array in stack.inputs.values()]
        every = np.logical_and.reduce(finite).reshape((-1,) + (1,) * (no_value.ndim - 1))
        masks.append((set(wrt), (no_value & every).reshape(shapes["value"][0])))
    for kink in spec.kinks:
        if kink.subgradient == "none":
            cond = tape.cond(kink.at)
            here = cond.true | cond.unsure if or_unsure and cond.unsure is not None else cond.true
            masks.append((set(kink.of or spec.differentiable) & wrt, here))
    found: dict[str, Mask] = {}
    for names, mask in masks:
        for name in names if mask.any() else ():
            there = spread(mask, *shapes[name])
            found[name] = found[name] | there if name in found else there
    return found
