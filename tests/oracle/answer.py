"""What the oracle says about one call: the value and the derivatives of the sum of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from flint import arb, ctx

from . import (
    criteria,
    criteria_batches,
    criteria_ctc,
    criteria_labels,
    criteria_pairs,
    criteria_pointwise,
    criteria_regions,
    criteria_scores,
    criteria_vectors,
)
from .scalars import Scalars, Undecided, constant, exact, seeded, slope, total
from .ulps import LARGEST, ulp

Inputs = Mapping[str, Any]
T = TypeVar("T")

PRECISIONS = (2400, 9600, 38400)
DECIDED = arb(2) ** -40  # the radius that is left, in ulps

FORMULAS: dict[str, Callable[..., Scalars]] = {
    **criteria.FORMULAS,
    **criteria_labels.FORMULAS,
    **criteria_ctc.FORMULAS,
    **criteria_pointwise.FORMULAS,
    **criteria_scores.FORMULAS,
    **criteria_regions.FORMULAS,
    **criteria_vectors.FORMULAS,
    **criteria_pairs.FORMULAS,
    **criteria_batches.FORMULAS,
}


@dataclass(frozen=True)
class Answer:
    """`value` and `gradients[name]` are object arrays of arb, in the shapes of the output and of the inputs."""

    value: Scalars
    gradients: dict[str, Scalars]


def answer(criterion: str, inputs: Inputs, parameters: Inputs, wrt: Iterable[str]) -> Answer:
    """The value of a criterion, and the gradients of its sum in the inputs `wrt`, each to 2**-40 ulp."""
    value = _decided(lambda: _map(constant, _call(criterion, _balls(inputs), parameters)))
    return Answer(value, {name: _decided(partial(_gradient, criterion, inputs, parameters, name)) for name in wrt})


def _decided(compute: Callable[[], Scalars]) -> Scalars:
    """The result at the first precision that decides every branch and every number."""
    for precision in PRECISIONS:
        with ctx.workprec(precision):
            try:
                result = compute()
            except Undecided:
                continue
            if all(_is_decided(x) for x in result.flat):
                return result
    raise Undecided(f"not even at {PRECISIONS[-1]} bits")


def _is_decided(x: arb) -> bool:
    beyond_float64 = bool(abs(x).lower() > 2 * LARGEST)
    return not x.mid().is_finite() or beyond_float64 or bool(x.rad() <= DECIDED * ulp(x))


def _balls(inputs: Inputs) -> dict[str, Any]:
    """Floating inputs as exact balls; integers (labels, lengths) as they are."""
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    return {name: exact(array) if array.dtype.kind == "f" else array for name, array in arrays.items()}


def _call(criterion: str, balls: Mapping[str, Any], parameters: Inputs) -> Scalars:
    return np.asarray(FORMULAS[criterion](**balls, **parameters), dtype=object)


def _gradient(criterion: str, inputs: Inputs, parameters: Inputs, name: str) -> Scalars:
    """One pass per element: that element is `x + t`, and the answer is the coefficient of t."""
    balls = _balls(inputs)
    point = balls[name]
    result = np.empty(point.shape, dtype=object)
    for at in np.ndindex(point.shape):
        moved = point.copy()
        moved[at] = seeded(point[at])
        result[at] = slope(total(_call(criterion, {**balls, name: moved}, parameters)))
    return result


def _map(function: Callable[[Any], Any], array: Scalars) -> Scalars:
    result = np.empty(array.shape, dtype=object)
    for at in np.ndindex(array.shape):
        result[at] = function(array[at])
    return result
