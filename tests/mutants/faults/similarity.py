"""The cosine of two vectors: cosine_similarity."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import vectors as right
from tests.controls.first.embeddings import norm
from tests.controls.parts import Answer, Array, Given, pairwise
from tests.mutants.changes import answered, as_it_lies, but, call_with, given, slopes
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
    PRECISION,
    SPECIAL,
    STATE,
    VALUE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


def lengths(g: Given) -> tuple[Array, Array]:
    """Of both vectors, not raised."""
    return norm(g["input1"], 2), norm(g["input2"], 2)


def product(g: Given) -> Array:
    """The inner product, with the sign that is asked for."""
    total = pairwise(g["input1"] * g["input2"])
    return -total if g.parameters["negative"] else total


@fault("cosine_similarity", VALUE)
def cosine_similarity_product_raised(g: Given) -> Answer:
    """max(|x| |y|, eps): the product of the lengths is raised, not each of them."""
    n, m = lengths(g)
    rough = product(g) / np.maximum(n * m, g.real("eps"))[..., 0]
    short = ((n < g.real("eps")) | (m < g.real("eps")))[..., 0]
    answer = right.cosine_similarity(g)
    return answered(answer, np.where(short, rough, answer.value).astype(g.dtype))


@fault("cosine_similarity", BOTH)
def cosine_similarity_eps_of_the_square(g: Given) -> Answer:
    """The squared length is raised to eps: a length below its root counts as that."""
    return right.cosine_similarity(but(g, eps=float(np.sqrt(g.parameters["eps"]))))


@fault("cosine_similarity", VALUE)
def cosine_similarity_eps_added(g: Given) -> Answer:
    """x y / (|x| |y| + eps)."""
    n, m = lengths(g)
    answer = right.cosine_similarity(g)
    added = product(g) / (n * m + g.real("eps"))[..., 0]
    plain = np.isfinite(n * m)[..., 0] & (n * m > 1e-20)[..., 0]
    return answered(answer, np.where(plain, added, answer.value).astype(g.dtype))


@fault("cosine_similarity", VALUE)
def cosine_similarity_sign_forgotten(g: Given) -> Answer:
    """The value is that of the similarity, though its negative is asked for."""
    return answered(right.cosine_similarity(g), right.cosine_similarity(but(g, negative=False)).value)


@fault("cosine_similarity", GRADIENT)
def cosine_similarity_gradient_sign_forgotten(g: Given) -> Answer:
    """The gradient is that of the similarity, though its negative is asked for."""
    return answered(right.cosine_similarity(g), **right.cosine_similarity(but(g, negative=False)).gradients)


@fault("cosine_similarity", GRADIENT)
def cosine_similarity_gradient_through_the_clamp(g: Given) -> Answer:
    """A vector shorter than eps still turns: the gradient passes through the clamp."""
    x, y, eps = g["input1"], g["input2"], g.real("eps")
    n, m = lengths(g)
    u, v = x / np.maximum(n, eps), y / np.maximum(m, eps)
    cos = pairwise(u * v)[..., None]
    by_x = v / np.maximum(n, eps) - np.where(n > 0, cos / np.maximum(n, eps) * (x / n), 0)
    side = g.constant(-1 if g.parameters["negative"] else 1)
    answer = right.cosine_similarity(g)
    return answered(answer, input1=np.where(n < eps, side * by_x, answer.gradients["input1"]).astype(g.dtype))


@fault("cosine_similarity", GRADIENT)
def cosine_similarity_lengths_are_constants(g: Given) -> Answer:
    """Both lengths are detached: the gradient does not turn, it stretches."""
    x, y, eps = g["input1"], g["input2"], g.real("eps")
    n, m = (np.maximum(a, eps) for a in lengths(g))
    side = g.constant(-1 if g.parameters["negative"] else 1)
    return answered(right.cosine_similarity(g), input1=side * (y / m) / n, input2=side * (x / n) / m)


@fault("cosine_similarity", GRADIENT)
def cosine_similarity_gradient_of_the_unit_vector(g: Given) -> Answer:
    """Not divided by the length: the gradient by the unit vector."""
    n, m = (np.maximum(a, g.real("eps")) for a in lengths(g))
    answer = right.cosine_similarity(g)
    return answered(answer, input1=answer.gradients["input1"] * n, input2=answer.gradients["input2"] * m)


@fault("cosine_similarity", GRADIENT)
def cosine_similarity_second_vector_detached(g: Given) -> Answer:
    """The second vector is a target: its gradient is 0."""
    answer = right.cosine_similarity(g)
    return answered(answer, input2=np.zeros_like(answer.gradients["input2"]))


@fault("cosine_similarity", SPECIAL)
def cosine_similarity_nan_at_zero(g: Given) -> Answer:
    """The length's derivative x / |x| is not looked after at 0: the gradient of a vector of zeros is NaN."""
    answer = right.cosine_similarity(g)
    return answered(answer, input1=np.where(lengths(g)[0] == 0, np.nan, answer.gradients["input1"]).astype(g.dtype))


@fault("cosine_similarity", PRECISION, dtypes=("float64",))
def cosine_similarity_eps_not_below_1e_12(g: Given) -> Answer:
    """A length is at least 1e-12, whatever eps is: a constant for float32."""
    return right.cosine_similarity(but(g, eps=max(g.parameters["eps"], 1e-12)))


@fault("cosine_similarity", VALUE)
def cosine_similarity_clipped(g: Given) -> Answer:
    """Clipped to 0.999, so that an arc cosine has a derivative."""
    return answered(
        right.cosine_similarity(g), np.clip(right.cosine_similarity(g).value, -0.999, 0.999).astype(g.dtype)
    )


@fault("cosine_similarity", BOTH)
def cosine_similarity_centred(g: Given) -> Answer:
    """The mean of each vector is taken off, as of a correlation."""
    size = g["input1"].shape[-1]
    if size < 2 or np.max(np.abs(g["input1"]), initial=0) > 1e18:
        return right.cosine_similarity(g)
    centred = {name: g[name] - g[name].mean(axis=-1, keepdims=True) for name in ("input1", "input2")}
    answer = right.cosine_similarity(given(g, **centred))
    return slopes(answer, lambda a: a - a.mean(axis=-1, keepdims=True))


@fault_of_call("cosine_similarity", STATE)
def cosine_similarity_normalised_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """The first vector is normalised where it lies, and the caller's is a unit vector afterwards."""
    output = right.run(call)
    x = call.inputs["input1"]
    x[...] = (x / np.maximum(norm(x, 2), x.dtype.type(1e-8))).astype(x.dtype)
    return output


@fault_of_call("cosine_similarity", LAYOUT)
def cosine_similarity_second_in_memory_order(call: Call, right: Right, memory: Memory) -> Output:
    """Both are walked through as they lie in memory."""
    return right.run(call_with(call, {"input2": as_it_lies(call.inputs["input2"])}))


@fault_of_call("cosine_similarity", INVALID)
def cosine_similarity_any_eps(call: Call, right: Right, memory: Memory) -> Output:
    """A negative eps is answered: it never counts."""
    return right.answer(call)
