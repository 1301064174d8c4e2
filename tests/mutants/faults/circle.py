"""Circle loss."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import batches as right
from tests.controls.parts import Answer, Given
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    PRECISION,
    Memory,
    Right,
    fault,
    fault_of_call,
)


@fault("circle", GRADIENT)
def circle_gradient_of_moving_weights(g: Given) -> Answer:
    """The weights are differentiated, though they are said to be constants."""
    return answered(right.circle(g), **right.circle(but(g, constant_weights=False)).gradients)


@fault("circle", GRADIENT)
def circle_gradient_of_constant_weights(g: Given) -> Answer:
    """The weights are constants always."""
    return answered(right.circle(g), **right.circle(but(g, constant_weights=True)).gradients)


@fault("circle", BOTH)
def circle_inner_products(g: Given) -> Answer:
    """Vectors are taken to have length 1 already."""
    return right.circle(but(g, normalise=False))


@fault("circle", BOTH)
def circle_cosines(g: Given) -> Answer:
    """Vectors are always brought to length 1."""
    return right.circle(but(g, normalise=True))


@fault("circle", BOTH)
def circle_margin_turned(g: Given) -> Answer:
    """1 - margin for the margin, as some papers have it."""
    return right.circle(but(g, margin=1 - g.parameters["margin"]))


@fault("circle", BOTH)
def circle_default_scale(g: Given) -> Answer:
    """gamma is 80 whatever is asked for."""
    return right.circle(but(g, gamma=80.0))


@fault("circle", BOTH)
def circle_mean_over_the_active(g: Given) -> Answer:
    """The mean is over the vectors that cost something."""
    answer = right.circle(g)
    if not is_mean(g):
        return answer
    loss = right.circle(but(g, reduction="none")).value
    scale = (loss.shape[1] / np.maximum((loss > 0).sum(axis=1), 1)).astype(g.dtype)
    return each(answer, lambda a: a * scale.reshape(-1, *(1,) * (a.ndim - 1)))


@fault("circle", BOTH)
def circle_one_label_for_two(g: Given) -> Answer:
    """Labels in a byte: 256 is 0."""
    return right.circle(given(g, target=np.where(g["target"] > 1, 0, g["target"])))


@fault("circle", GRADIENT)
def circle_gradient_halved(g: Given) -> Answer:
    """A similarity is of two vectors, and only the first one gets its slope."""
    answer = right.circle(g)
    return answered(answer, input=answer.gradients["input"] / 2)


@fault("circle", PRECISION, dtypes=("float64",))
def circle_margin_in_float32(g: Given) -> Answer:
    """The margin is a float of the kernel's signature."""
    return right.circle(but(g, margin=float(np.float32(g.parameters["margin"]))))


@fault_of_call("circle", LAYOUT)
def circle_embeddings_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """The embeddings are read as they lie."""
    return right.run(call_with(call, {"input": as_it_lies(call.inputs["input"])}))


@fault_of_call("circle", INVALID)
def circle_any_scale(call: Call, right: Right, memory: Memory) -> Output:
    """A gamma of 0 or below is a number like any other."""
    return right.answer(call)
