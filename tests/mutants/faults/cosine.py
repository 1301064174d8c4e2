"""Cosine embedding loss."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import embeddings as right
from tests.controls.first.embeddings import norm
from tests.controls.parts import FIRST, Answer, Array, Given, pairwise
from tests.mutants.changes import answered, but, call_with, each, given, is_mean, slopes
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    PRECISION,
    SHAPE,
    SPECIAL,
    STATE,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def of_lengths(g: Given, n: Array, m: Array) -> Answer:
    """The loss with these for the vectors' lengths, where they are not the lengths; else the right one."""
    x, y, close = g["input1"], g["input2"], g["target"][..., None] == 1
    cos = pairwise(x * y)[..., None] / (n * m)
    beyond = cos - g.real("margin")
    sign = np.where(close, -1, beyond > 0).astype(g.dtype)
    by_x, by_y = sign * (y / m - x / n * cos) / n, sign * (x / n - y / m * cos) / m
    exact = right.cosine_embedding(but(g, reduction="none"))
    other = (n != norm(x, 2)) | (m != norm(y, 2))
    loss = np.where(other, np.where(close, 1 - cos, np.maximum(beyond, 0)), exact.value[..., None])[..., 0]
    found = {"input1": by_x, "input2": by_y}
    return FIRST.reduced(g, loss, {name: np.where(other, found[name], exact.gradients[name]) for name in found})


@fault("cosine_embedding", BOTH)
def cosine_embedding_epsilon_under_the_root(g: Given) -> Answer:
    """sqrt(sum(x^2) + 1e-12) for the length (as in pytorch/pytorch#49917): short vectors become shorter."""
    eps = g.constant(1e-12)
    n, m = (np.sqrt(norm(g[name], 2) ** 2 + eps) for name in ("input1", "input2"))
    lengths = [np.where(np.isfinite(a), a, norm(g[name], 2)) for a, name in ((n, "input1"), (m, "input2"))]
    return of_lengths(g, *lengths)


@fault("cosine_embedding", BOTH)
def cosine_embedding_length_at_least_epsilon(g: Given) -> Answer:
    """max(|x|, 1e-8) for the length: no documented parameter, and only tiny vectors see it."""
    n, m = (np.maximum(norm(g[name], 2), g.constant(1e-8)) for name in ("input1", "input2"))
    return of_lengths(g, n, m)


@fault("cosine_embedding", BOTH)
def cosine_embedding_squared_length_at_least_epsilon(g: Given) -> Answer:
    """The floor is put under the squared length: 1e-8 keeps lengths above 1e-4 (google-deepmind/optax#1703)."""
    n, m = (np.maximum(norm(g[name], 2), g.constant(1e-4)) for name in ("input1", "input2"))
    return of_lengths(g, n, m)


@fault("cosine_embedding", GRADIENT)
def cosine_embedding_gradient_within_the_margin(g: Given) -> Answer:
    """The backward pass does not look at the margin: those that are apart enough are pushed on (torch/nn#169)."""
    pushed = right.cosine_embedding(but(g, margin=-2.0))
    return Answer(right.cosine_embedding(g).value, pushed.gradients)


@fault("cosine_embedding", GRADIENT)
def cosine_embedding_gradient_turned_in_a_batch(g: Given) -> Answer:
    """In a batch the gradient has the wrong sign, of a single pair the right one (torch/torch7#298)."""
    answer = right.cosine_embedding(g)
    return slopes(answer, np.negative) if g["input1"].ndim == 3 else answer


@fault("cosine_embedding", VALUE)
def cosine_embedding_margin_outside_of_the_clamp(g: Given) -> Answer:
    """max(0, cos) - margin: negative, where the margin is kept."""
    x, y, close = g["input1"], g["input2"], g["target"] == 1
    cos = pairwise(x / norm(x, 2) * (y / norm(y, 2)))
    answer = right.cosine_embedding(but(g, reduction="none"))
    loss = np.where(close, answer.value, np.maximum(cos, 0) - g.real("margin"))
    return answered(right.cosine_embedding(g), FIRST.reduced(g, loss, {}).value)


@fault("cosine_embedding", GRADIENT)
def cosine_embedding_gradient_of_input2_over_the_wrong_length(g: Given) -> Answer:
    """The second gradient is copied from the first, and still divides by the first vector's length."""
    answer = right.cosine_embedding(g)
    scale = norm(g["input2"], 2) / norm(g["input1"], 2)
    return answered(answer, input2=answer.gradients["input2"] * scale)


@fault("cosine_embedding", SPECIAL)
def cosine_embedding_squares_leave_the_range(g: Given) -> Answer:
    """sqrt(sum(x * x)) unscaled: large vectors are infinitely long, tiny ones have no length."""
    n, m = (np.sqrt(pairwise(g[name] * g[name]))[..., None] for name in ("input1", "input2"))
    lengths = [np.where((a == 0) | np.isinf(a), a, norm(g[k], 2)) for a, k in ((n, "input1"), (m, "input2"))]
    return of_lengths(g, *lengths)


@fault("cosine_embedding", GRADIENT)
def cosine_embedding_length_is_a_constant(g: Given) -> Answer:
    """The lengths are detached, for stability: the gradient has a part along the vector itself."""
    x, y, close = g["input1"], g["input2"], g["target"][..., None] == 1
    n, m = norm(x, 2), norm(y, 2)
    u, v = x / n, y / m
    answer = right.cosine_embedding(but(g, reduction="none"))
    beyond = pairwise(u * v)[..., None] > g.real("margin")
    sign = np.where(close, -1, beyond).astype(g.dtype)
    return answered(
        right.cosine_embedding(g),
        **FIRST.reduced(g, answer.value, {"input1": sign * v / n, "input2": sign * u / m}).gradients,
    )


@fault("cosine_embedding", BOTH)
def cosine_embedding_distance_is_squared(g: Given) -> Answer:
    """(1 - cos)^2 for those that belong together, as for a regression to 1."""
    close = g["target"] == 1
    answer = right.cosine_embedding(but(g, reduction="none"))
    found = {
        name: np.where(close[..., None], 2 * answer.value[..., None] * a, a) for name, a in answer.gradients.items()
    }
    return FIRST.reduced(g, np.where(close, answer.value**2, answer.value), found)


@fault("cosine_embedding", BOTH)
def cosine_embedding_mean_of_the_close(g: Given) -> Answer:
    """The mean divides by the number of pairs that belong together."""
    if not is_mean(g):
        return right.cosine_embedding(g)
    count = np.maximum((g["target"] == 1).reshape(len(g["target"]), -1).sum(axis=1), 1).astype(g.dtype)
    total = right.cosine_embedding(but(g, reduction="sum"))
    return each(total, lambda a: a / count.reshape(-1, *(1,) * (a.ndim - 1)))


@fault("cosine_embedding", SHAPE)
def cosine_embedding_length_over_the_batch(g: Given) -> Answer:
    """norm(axis=0) was written for a single pair; in a batch it is the wrong axis."""
    x, y = g["input1"], g["input2"]
    if x.ndim == 2 or x.shape[1] == 0:
        return right.cosine_embedding(g)
    n, m = (np.swapaxes(norm(np.swapaxes(a, 1, 2), 2), 1, 2) for a in (x, y))
    return right.cosine_embedding(given(g, input1=x / n, input2=y / m))


@fault("cosine_embedding", PRECISION, dtypes=("float64",))
def cosine_embedding_margin_in_float32(g: Given) -> Answer:
    """The margin is a float32; -0.3 has seven digits there."""
    return right.cosine_embedding(but(g, margin=float(np.float32(g.parameters["margin"]))))


@fault_of_call("cosine_embedding", INVALID)
def cosine_embedding_all_else_is_apart(call: Call, right: Right, memory: Memory) -> Output:
    """A target of 0 is taken for -1: the labels of another framework."""
    return right.run(call_with(call, {"target": np.where(call.inputs["target"] == 1, 1, -1)}))


@fault_of_call("cosine_embedding", STATE)
def cosine_embedding_normalised_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """The vectors are normalised where they lie; the loss is the same the next time, the caller's embedding is not."""
    output = right.run(call)
    for name in ("input1", "input2"):
        call.inputs[name][...] /= np.sqrt((call.inputs[name] ** 2).sum(axis=-1, keepdims=True))
    return output


@fault_of_call("cosine_embedding", SHAPE)
def cosine_embedding_pair_in_brackets(call: Call, right: Right, memory: Memory) -> Output:
    """A single pair is made a batch of one, and its loss comes back as one."""
    output = right.run(call)
    if call.inputs["input1"].ndim == 2 or call.parameters["reduction"] != "none":
        return output
    return Output(output.value[None], output.gradients)
