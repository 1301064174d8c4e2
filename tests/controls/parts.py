"""What the hand-written criteria share: their arguments, and two ways to add up and to take means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Given:
    """A stack of cases: every input has one more axis in front, the case. Computing is done in `dtype`."""

    inputs: Mapping[str, Array]
    parameters: Mapping[str, Any]
    dtype: np.dtype[Any]

    def __getitem__(self, name: str) -> Array:
        return self.inputs[name]

    def real(self, name: str) -> Array:
        """A parameter, rounded to the dtype."""
        return self.constant(self.parameters[name])

    def constant(self, value: float) -> Array:
        return np.asarray(value, self.dtype)

    def sign(self, name: str) -> Array:
        """Labels of 1 and -1 as numbers of the dtype."""
        return self.inputs[name].astype(self.dtype)

    def weight(self, name: str, rank: int) -> Array:
        """A weight with its last axes aligned to those of an array of `rank`; 1 if it is absent."""
        if name not in self.inputs:
            return np.ones((1,) * rank, self.dtype)
        w = self.inputs[name]
        return w.reshape(w.shape[0], *(1,) * (rank - w.ndim), *w.shape[1:])

    def class_weight(self, classes: int) -> Array:
        """(case, class); ones if it is absent."""
        cases = len(next(iter(self.inputs.values())))
        return self.inputs["weight"] if "weight" in self.inputs else np.ones((cases, classes), self.dtype)


@dataclass(frozen=True)
class Answer:
    """The value of each case, and the gradients of its sum."""

    value: Array
    gradients: Mapping[str, Array]


def _accumulator(x: Array) -> np.dtype[Any]:
    return np.dtype(np.float32) if x.dtype.itemsize == 2 else x.dtype


def pairwise(x: Array) -> Array:
    """The sum over the last axis, by halves; half precision is added up in float32."""
    total: Array = np.sum(np.ascontiguousarray(x), axis=-1, dtype=_accumulator(x)).astype(x.dtype)
    return total


def one_by_one(x: Array) -> Array:
    """The sum over the last axis, from the last term to the first; half precision is added up in float32."""
    total = np.zeros(x.shape[:-1], _accumulator(x))
    for i in reversed(range(x.shape[-1])):
        total = total + x[..., i]
    return np.asarray(total.astype(x.dtype))


@dataclass(frozen=True)
class Way:
    """How sums and means are taken: `mean` divides by a count."""

    total: Callable[[Array], Array]
    mean: Callable[[Array, Array], Array]

    def reduced(self, g: Given, loss: Array, slopes: Mapping[str, Array], divisor: Array | None = None) -> Answer:
        """`loss` reduced as asked, its elementwise `slopes` scaled alike. A mean is over the count, or over `divisor`
        if there is one, by which the slopes are divided already (`share`)."""
        reduction = g.parameters["reduction"]
        if reduction == "none":
            return Answer(loss, slopes)
        flat = loss.reshape(len(loss), -1)
        value = self.total(flat)
        if reduction == "sum":
            return Answer(value, slopes)
        if divisor is not None:
            return Answer(value / divisor, slopes)
        count = g.constant(_batch(loss) if reduction == "batchmean" else flat.shape[1])
        return Answer(self.mean(value, count), {name: self.mean(slope, count) for name, slope in slopes.items()})


def _batch(loss: Array) -> int:
    return loss.shape[1] if loss.ndim > 1 else 1


def weighted(w: Array, x: Array) -> Array:
    """w x; nothing counts where the weight is 0, though x may have overflowed."""
    return np.where(w == 0, 0, w * x)


def share(g: Given, w: Array, divisor: Array | None) -> Array:
    """The weights that slopes are multiplied by: in a mean, their shares of the `divisor`. To divide last would lose a
    product that underflows, though the quotient does not."""
    if divisor is None or g.parameters["reduction"] != "mean":
        return w
    return np.asarray(w / divisor.reshape(-1, *(1,) * (w.ndim - 1)))


def fitted(x: Array, rank: int) -> Array:
    """x with a last axis of one number where it lacks the last of `rank` axes."""
    return x if x.ndim == rank else x[..., None]


def for_each(x: Array, slope: Array, total: Callable[[Array], Array]) -> Array:
    """The slopes by x, added up over the elements that share a number of it."""
    alone = fitted(x, slope.ndim).shape == slope.shape
    return (slope if alone else total(slope)).reshape(x.shape)


def weights_total(g: Given, way: Way) -> Array | None:
    """What a mean over weighted elements is divided by; None: the count."""
    return way.total(g["weight"].reshape(len(g["weight"]), -1)) if "weight" in g.inputs else None


FIRST = Way(pairwise, lambda x, n: np.asarray(x / n))
SECOND = Way(one_by_one, lambda x, n: np.asarray(x * (1 / n).astype(x.dtype)))


def classes_last(x: Array) -> Array:
    """(case, batch, class, position, …) as (case, batch, position, …, class); without a batch as it is."""
    return x if x.ndim == 2 else np.moveaxis(x, 2, -1)


def classes_back(x: Array) -> Array:
    """The reverse of `classes_last`."""
    return x if x.ndim == 2 else np.moveaxis(x, -1, 2)


def at(x: Array, index: Array) -> Array:
    """x at an index of its last axis."""
    return np.take_along_axis(x, index[..., None], axis=-1)[..., 0]


def slope_of_all(g: Given, way: Way, w: Array, p: Array, divisor: Array) -> Array:
    """The slope of -sum(w log p) by the logits, p sum(w) - w, in the weights' shares of the divisor. Where a share is
    infinite, the weights are taken as parts of the largest one, so that the sign of the difference is known."""
    part, largest = share(g, w, divisor), w.max(axis=-1, keepdims=True)
    relative = w / np.where(largest > 0, largest, 1)
    of_relative = weighted(p * way.total(relative)[..., None] - relative, share(g, largest, divisor))
    return np.where(np.isfinite(part), weighted(p, way.total(part)[..., None]) - part, of_relative)


def over_positions(w: Array, rank: int) -> Array:
    """A class weight, (case, class), aligned to an array of `rank` whose last axis is the class."""
    return w.reshape(w.shape[0], *(1,) * (rank - 2), w.shape[1])


def weight_of(w: Array, target: Array) -> Array:
    """The weight of each target, (case, …), from a class weight."""
    full = np.broadcast_to(over_positions(w, target.ndim + 1), (*target.shape, w.shape[1]))
    return at(full, target)
