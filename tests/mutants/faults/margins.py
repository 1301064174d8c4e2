"""Hinges of single numbers: hinge_embedding and margin_ranking."""

from __future__ import annotations

import numpy as np

from conformance import Call, Output
from tests.controls.first import elementwise as right
from tests.controls.parts import FIRST, Answer, Given
from tests.mutants.changes import answered, averaged_over_the_active, but, call_with, given, is_mean, revalued
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    PRECISION,
    SHAPE,
    SPECIAL,
    STATE,
    Memory,
    Right,
    fault,
    fault_of_call,
)


@fault("hinge_embedding", BOTH)
def hinge_embedding_clamped_together(g: Given) -> Answer:
    """The clamp at 0 goes around both branches; a distance is never negative, and what is given need not be one."""
    answer = right.hinge_embedding(but(g, reduction="none"))
    there = answer.value > 0
    return FIRST.reduced(g, np.where(there, answer.value, 0), {"input": np.where(there, answer.gradients["input"], 0)})


@fault("hinge_embedding", BOTH)
def hinge_embedding_margin_of_one(g: Given) -> Answer:
    """The margin cannot be set, and is 1 (pytorch/pytorch#1378)."""
    return right.hinge_embedding(but(g, margin=1.0))


@fault("hinge_embedding", GRADIENT)
def hinge_embedding_gradient_beyond_the_margin(g: Given) -> Answer:
    """The backward pass gives -1 to all that are apart, whether or not the margin is kept."""
    slope = np.where(g["target"] == 1, 1, -1).astype(g.dtype)
    unreduced = right.hinge_embedding(but(g, reduction="none"))
    return FIRST.reduced(g, unreduced.value, {"input": slope})


@fault("hinge_embedding", SPECIAL)
def hinge_embedding_nan_is_beyond(g: Given) -> Answer:
    """where(input < margin, margin - input, 0): a NaN is not below the margin, and costs nothing."""
    x, margin = g["input"], g.real("margin")
    loss = np.where(g["target"] == 1, x, np.where(x < margin, margin - x, 0))
    return revalued(g, right.hinge_embedding(g), loss)


@fault("hinge_embedding", BOTH)
def hinge_embedding_squared(g: Given) -> Answer:
    """The hinge is squared, as in the contrastive loss of Hadsell, Chopra and LeCun (2006)."""
    x, close = g["input"], g["target"] == 1
    hinge = np.maximum(g.real("margin") - x, 0)
    return FIRST.reduced(g, np.where(close, x, hinge * hinge), {"input": np.where(close, 1, -2 * hinge)})


@fault("hinge_embedding", GRADIENT)
def hinge_embedding_gradient_of_the_mean_of_the_close(g: Given) -> Answer:
    """The mean's divisor reaches the branch of those together only."""
    answer = right.hinge_embedding(g)
    if not is_mean(g):
        return answer
    total = right.hinge_embedding(but(g, reduction="sum")).gradients["input"]
    return answered(answer, input=np.where(g["target"] == 1, answer.gradients["input"], total))


@fault("hinge_embedding", PRECISION, dtypes=("float64",))
def hinge_embedding_margin_in_float32(g: Given) -> Answer:
    """The margin is a float of the kernel's signature: 0.3 is not 0.3 there."""
    return right.hinge_embedding(but(g, margin=float(np.float32(g.parameters["margin"]))))


@fault_of_call("hinge_embedding", INVALID)
def hinge_embedding_all_else_is_apart(call: Call, right: Right, memory: Memory) -> Output:
    """target == 1 is together and all else apart, so labels of 0 and 1 seem to work."""
    return right.run(call_with(call, {"target": np.where(call.inputs["target"] == 1, 1, -1)}))


@fault_of_call("hinge_embedding", SHAPE)
def hinge_embedding_of_nothing_is_what_memory_holds(call: Call, right: Right, memory: Memory) -> Output:
    """The sum's accumulator is set by the first block, and where there is none it is not set."""
    output = right.run(call)
    if call.inputs["input"].size or call.parameters["reduction"] != "sum":
        return output
    return Output(np.full_like(output.value, 7), output.gradients)


@fault("margin_ranking", BOTH)
def margin_ranking_margin_subtracted(g: Given) -> Answer:
    """max(0, -y (x1 - x2) - margin): the sign of the margin is lost when the minus is drawn in."""
    return right.margin_ranking(but(g, margin=-g.parameters["margin"]))


@fault("margin_ranking", BOTH)
def margin_ranking_margin_has_the_label(g: Given) -> Answer:
    """-y (x1 - x2 - margin): the label multiplies the margin too, which shows for labels of -1 alone."""
    label = g.sign("target")
    lead = label * ((g["input1"] - g["input2"]) - g.real("margin"))
    slope = np.where(lead < 0, -label, 0)
    return FIRST.reduced(g, np.maximum(-lead, 0), {"input1": slope, "input2": -slope})


@fault("margin_ranking", GRADIENT)
def margin_ranking_gradient_of_input2_has_the_sign_of_input1(g: Given) -> Answer:
    """The second gradient is a copy of the first, and its sign was not turned."""
    answer = right.margin_ranking(g)
    return answered(answer, input2=answer.gradients["input1"])


@fault("margin_ranking", GRADIENT)
def margin_ranking_gradient_without_margin(g: Given) -> Answer:
    """The mask of the backward pass is that of a margin of 0, the default."""
    return Answer(right.margin_ranking(g).value, right.margin_ranking(but(g, margin=0.0)).gradients)


@fault("margin_ranking", SPECIAL)
def margin_ranking_nan_to_num(g: Given) -> Answer:
    """nan_to_num on the loss, so that training goes on; infinities become large numbers, and NaN becomes 0."""
    answer = right.margin_ranking(g)
    return answered(answer, np.nan_to_num(answer.value))


@fault("margin_ranking", PRECISION, dtypes=("float64",))
def margin_ranking_difference_in_float32(g: Given) -> Answer:
    """The scores are compared as float32, though they came as float64."""
    x1, x2 = (g[name].astype(np.float32).astype(g.dtype) for name in ("input1", "input2"))
    return right.margin_ranking(given(g, input1=x1, input2=x2))


@fault("margin_ranking", BOTH)
def margin_ranking_mean_of_the_active(g: Given) -> Answer:
    """The mean is over the pairs that are in the wrong order, not over all."""
    return averaged_over_the_active(g, right.margin_ranking)


@fault_of_call("margin_ranking", SHAPE)
def margin_ranking_scalar_in_brackets(call: Call, right: Right, memory: Memory) -> Output:
    """A pair without axes is made a batch of one, and its loss stays one."""
    output = right.run(call)
    if call.inputs["input1"].ndim or call.parameters["reduction"] != "none":
        return output
    return Output(output.value[None], output.gradients)


@fault_of_call("margin_ranking", STATE)
def margin_ranking_difference_in_place(call: Call, right: Right, memory: Memory) -> Output:
    """input1 -= input2: one array less to allocate, and the caller's scores are gone."""
    output = right.run(call)
    call.inputs["input1"][...] -= call.inputs["input2"]
    return output
