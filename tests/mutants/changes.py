"""What mutants change: what they are given, and what the right implementation answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided

from conformance import Call, Output
from tests.controls.parts import FIRST, Answer, Array, Given


def but(g: Given, **parameters: Any) -> Given:
    """The same with other parameters."""
    return replace(g, parameters={**g.parameters, **parameters})


def given(g: Given, **inputs: Array) -> Given:
    """The same with other inputs."""
    return replace(g, inputs={**g.inputs, **inputs})


def without(g: Given, *names: str) -> Given:
    """The same without some inputs."""
    return replace(g, inputs={name: array for name, array in g.inputs.items() if name not in names})


def answered(answer: Answer, value: Array | None = None, **gradients: Array) -> Answer:
    """The same answer with another value, or other gradients."""
    return Answer(answer.value if value is None else value, {**answer.gradients, **gradients})


def revalued(g: Given, answer: Answer, loss: Array, divisor: Array | None = None) -> Answer:
    """The same answer, with the value of other losses."""
    return answered(answer, FIRST.reduced(g, loss, {}, divisor).value)


def slopes(answer: Answer, change: Callable[[Array], Array]) -> Answer:
    """The same answer with all gradients changed."""
    return Answer(answer.value, {name: change(array) for name, array in answer.gradients.items()})


def each(answer: Answer, change: Callable[[Array], Array]) -> Answer:
    """The same answer with value and gradients changed."""
    return answered(slopes(answer, change), change(answer.value))


def mixed(*parts: tuple[Any, Answer]) -> Answer:
    """A weighted sum of answers; what has a weight of 0 is not in it."""
    kept = [(factor, answer) for factor, answer in parts if np.any(factor)]
    value = sum(factor * answer.value for factor, answer in kept)
    names = parts[0][1].gradients
    return Answer(
        np.asarray(value), {name: np.asarray(sum(factor * a.gradients[name] for factor, a in kept)) for name in names}
    )


def over(x: Array, divisor: Array) -> Array:
    """x over a number for each case."""
    return np.asarray(x / divisor.reshape(-1, *(1,) * (x.ndim - 1)))


def as_it_lies(x: Array) -> Array:
    """What a kernel reads that takes an array's first address and its shape, and believes it to be contiguous."""
    forward = x[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in x.strides)]
    low, high = byte_bounds(forward)
    if high - low < x.nbytes:  # numbers that stand for several: there is not as much to read
        return x
    return np.asarray(as_strided(forward, x.shape, np.empty(x.shape, x.dtype).strides)).copy()


def is_mean(g: Given) -> bool:
    return bool(g.parameters["reduction"] == "mean")


def averaged_over_the_active(g: Given, right: Callable[[Given], Answer]) -> Answer:
    """The right answer, but for a mean that is over the losses above 0, not over all."""
    answer = right(g)
    if not is_mean(g):
        return answer
    loss = right(but(g, reduction="none")).value.reshape(len(answer.value), -1)
    scale = loss.shape[1] / np.maximum((loss > 0).sum(axis=1), 1).astype(g.dtype)
    return each(answer, lambda a: a * scale.reshape(-1, *(1,) * (a.ndim - 1)))


def call_with(call: Call, inputs: Mapping[str, Array] | None = None, **parameters: Any) -> Call:
    """The call with other inputs and parameters."""
    return replace(call, inputs={**call.inputs, **(inputs or {})}, parameters={**call.parameters, **parameters})


def mapped(output: Output, change: Callable[[Array], Array]) -> Output:
    """The output with every array changed, and its dtype kept."""
    arrays = {name: np.asarray(change(a)).astype(a.dtype) for name, a in output.gradients.items()}
    return Output(np.asarray(change(output.value)).astype(output.value.dtype), arrays)
