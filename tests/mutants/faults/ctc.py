"""Connectionist temporal classification."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance import Call, Output
from tests.controls.first.ctc import _backward, _forward, along, ctc
from tests.controls.lattice import Paths, losses, paths_of
from tests.controls.parts import FIRST, Answer, Array, Given
from tests.mutants.changes import answered, as_it_lies, but, call_with, each, given, is_mean, over, slopes
from tests.mutants.registry import (
    BOTH,
    GRADIENT,
    INVALID,
    LAYOUT,
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


def place(paths: Paths) -> Array:
    return np.arange(paths.states.shape[1])


def log_likelihood(paths: Paths) -> Array:
    last = np.where(paths.ends, _forward(paths)[-1], -np.inf)
    return np.asarray(np.logaddexp.reduce(last, axis=1))


def loss_of_batch(g: Given) -> tuple[int, ...]:
    """The shape of the losses: (case,) or (case, batch)."""
    return g["log_probs"].shape[:1] if g["log_probs"].ndim == 3 else (len(g["log_probs"]), g["log_probs"].shape[2])


def by_element(g: Given, mask: Array) -> Array:
    """What holds of batch elements, in the shape of the gradient."""
    return mask.reshape(-1, 1, *loss_of_batch(g)[1:], 1) if g["log_probs"].ndim == 4 else mask.reshape(-1, 1, 1)


@fault("ctc", BOTH)
def ctc_repeats_without_a_blank(g: Given) -> Answer:
    """Two equal labels may follow each other at once: the second half of Graves's condition is forgotten
    (chainer/chainer#2292)."""
    paths = paths_of(g)
    return along(
        g, replace(paths, skips=np.broadcast_to((place(paths) % 2 == 1) & (place(paths) >= 2), paths.states.shape))
    )


@fault("ctc", BOTH)
def ctc_no_label_is_followed_at_once(g: Given) -> Answer:
    """Every two labels need a blank between them, the different ones too."""
    paths = paths_of(g)
    return along(g, replace(paths, skips=np.zeros_like(paths.skips)))


@fault("ctc", BOTH)
def ctc_blank_is_0(g: Given) -> Answer:
    """The blank is 0, whatever is passed for it."""
    return ctc(but(g, blank=0))


@fault("ctc", BOTH)
def ctc_blank_is_last(g: Given) -> Answer:
    """The blank is the last class, as TensorFlow had it."""
    return ctc(but(g, blank=g["log_probs"].shape[-1] - 1))


@fault("ctc", BOTH)
def ctc_ends_with_a_blank(g: Given) -> Answer:
    """Paths end in the last blank; those that end with the last label are not counted."""
    paths = paths_of(g)
    last = 2 * paths.labels[:, None]
    return along(g, replace(paths, ends=place(paths) == last))


@fault("ctc", BOTH)
def ctc_ends_with_a_label(g: Given) -> Answer:
    """Paths end with the last label, unless there is none."""
    paths = paths_of(g)
    last = 2 * paths.labels[:, None]
    return along(g, replace(paths, ends=place(paths) == np.maximum(last - 1, 0)))


@fault("ctc", BOTH)
def ctc_mean_of_the_losses(g: Given) -> Answer:
    """The plain mean: each loss should be divided by its target's length first."""
    if not is_mean(g):
        return ctc(g)
    total = ctc(but(g, reduction="sum"))
    return each(total, lambda a: a / g.constant(g["target_lengths"][0].size))


@fault("ctc", BOTH)
def ctc_mean_over_all_labels(g: Given) -> Answer:
    """The sum of the losses over the sum of the lengths: the same, if all targets are equally long."""
    if not is_mean(g):
        return ctc(g)
    total, labels = ctc(but(g, reduction="sum")), g["target_lengths"].reshape(len(g["target_lengths"]), -1)
    divisor = np.maximum(labels, 1).sum(axis=1).astype(g.dtype)
    return Answer(total.value / divisor, slopes(total, lambda a: over(a, divisor)).gradients)


@fault("ctc", SPECIAL)
def ctc_mean_divides_by_0(g: Given) -> Answer:
    """An empty target's loss is divided by its length, 0."""
    answer = ctc(g)
    empty = (g["target_lengths"].reshape(len(g["target_lengths"]), -1) == 0).any(axis=1)
    return answered(answer, np.where(empty, np.inf, answer.value)) if is_mean(g) else answer


@fault("ctc", GRADIENT)
def ctc_gradient_of_the_impossible(g: Given) -> Answer:
    """zero_infinity zeroes the loss; the gradient is 0 * NaN, from inf - inf in the lattice (pytorch/pytorch#21680)."""
    answer = ctc(g)
    impossible = log_likelihood(paths_of(g)) == -np.inf
    return answered(answer, log_probs=np.where(by_element(g, impossible), np.nan, answer.gradients["log_probs"]))


@fault("ctc", GRADIENT)
def ctc_gradient_of_empty_targets_missing(g: Given) -> Answer:
    """An empty target has no labels to collect the gradient of, and the blank's is forgotten
    (pytorch/pytorch#18215)."""
    answer = ctc(g)
    empty = g["target_lengths"].reshape(-1) == 0
    return answered(answer, log_probs=np.where(by_element(g, empty), 0, answer.gradients["log_probs"]))


@fault("ctc", GRADIENT)
def ctc_gradient_beyond_the_length(g: Given) -> Answer:
    """Frames beyond an utterance's length keep what is in the buffer, the last one (tensorflow/tensorflow#41280)."""
    answer = ctc(g)
    slope = answer.gradients["log_probs"]
    frames = np.arange(slope.shape[1])
    lengths = g["input_lengths"].reshape(len(slope), -1)
    held = slope.reshape(*slope.shape[:2], -1, slope.shape[-1]).copy()
    for k, lengths_of_case in enumerate(lengths):
        for n, length in enumerate(lengths_of_case):
            if 0 < length < len(frames):
                held[k, length:, n] = held[k, length - 1, n]
    return answered(answer, log_probs=held.reshape(slope.shape))


@fault("ctc", BOTH)
def ctc_input_lengths_ignored(g: Given) -> Answer:
    """All frames are used, those behind an utterance's end among them; a full batch does not show it."""
    lengths = np.full_like(g["input_lengths"], g["log_probs"].shape[1])
    return ctc(given(g, input_lengths=lengths))


@fault("ctc", BOTH)
def ctc_target_lengths_ignored(g: Given) -> Answer:
    """All places of a target are labels, its padding too."""
    lengths = np.full_like(g["target_lengths"], g["targets"].shape[-1])
    return ctc(given(g, target_lengths=lengths))


@fault("ctc", SPECIAL)
def ctc_probabilities_not_logarithms(g: Given) -> Answer:
    """The recursion over probabilities: a likelihood below 1e-308, or 1e-38, is 0."""
    answer, ll = ctc(g), log_likelihood(paths_of(g))
    lost = (np.exp(ll) == 0) & (ll > -np.inf)
    shape = loss_of_batch(g)
    dropped = lost.reshape(shape) if g.parameters["reduction"] == "none" else lost.reshape(shape[0], -1).any(axis=1)
    return answered(answer, np.where(dropped, np.inf, answer.value))


@fault("ctc", GRADIENT)
def ctc_gradient_assigned(g: Given) -> Answer:
    """grad[label] = share for each state in turn: of a label that stands twice, the later one is left."""
    paths, answer = paths_of(g), ctc(g)
    later = np.zeros(paths.states.shape, bool)
    for s in range(paths.states.shape[1]):
        for r in range(s + 1, paths.states.shape[1]):
            later[:, s] |= paths.inside[:, r] & (paths.states[:, r] == paths.states[:, s]) & (s % 2 == 1)
    return answered(answer, log_probs=_slope(g, replace(paths, inside=paths.inside & ~later), paths))


def _slope(g: Given, collected: Paths, paths: Paths, twice: bool = False) -> Array:
    """The gradient with the shares of some states alone; `twice`: with each frame's emission counted twice."""
    ll = log_likelihood(paths)
    running = (np.arange(len(paths.emissions))[:, None] < paths.frames) & (ll > -np.inf)
    exponent = np.stack(_forward(paths)) + np.stack(_backward(paths)) - ll[:, None]
    exponent = exponent + paths.emissions if twice else exponent
    shares = np.where(running[..., None], np.exp(exponent), 0).astype(g.dtype)
    loss, found = losses(g, collected, FIRST, ll, shares)
    return FIRST.reduced(g, loss, found).gradients["log_probs"]


@fault("ctc", GRADIENT)
def ctc_gradient_with_the_emission_twice(g: Given) -> Answer:
    """alpha + beta, both with the frame's emission in it: Graves divides by it, and this does not."""
    return answered(ctc(g), log_probs=_slope(g, paths_of(g), paths_of(g), twice=True))


@fault("ctc", GRADIENT)
def ctc_gradient_of_the_longest(g: Given) -> Answer:
    """beta starts at the batch's last frame for all: shorter utterances get nothing (pytorch/pytorch#15798)."""
    answer = ctc(g)
    lengths = g["input_lengths"].reshape(len(g["input_lengths"]), -1)
    shorter = (lengths < lengths.max(axis=1, keepdims=True)).reshape(-1)
    return answered(answer, log_probs=np.where(by_element(g, shorter), 0, answer.gradients["log_probs"]))


@fault("ctc", SPECIAL)
def ctc_minus_infinity_is_a_large_number(g: Given) -> Answer:
    """log(0) is -1e30 in the lattice, so that nothing is NaN; what is impossible costs 1e30."""
    answer, impossible = ctc(g), log_likelihood(paths_of(g)) == -np.inf
    return answer if not impossible.any() else answered(answer, np.where(np.isinf(answer.value), 1e30, answer.value))


@fault("ctc", VALUE)
def ctc_normalises_again(g: Given) -> Answer:
    """A log_softmax inside, in case the caller forgot it: nothing changes for those who did not."""
    x = g["log_probs"]
    normed = x - np.logaddexp.reduce(np.where(np.isnan(x), -np.inf, x), axis=-1, keepdims=True)
    return answered(ctc(g), ctc(given(g, log_probs=np.where(np.isfinite(normed), normed, x).astype(g.dtype))).value)


@fault("ctc", PRECISION, dtypes=("float64",))
def ctc_lattice_in_float32(g: Given) -> Answer:
    """The lattice is kept in float32, for there are thousands of its numbers."""
    rough = ctc(Given({**g.inputs, "log_probs": g["log_probs"].astype(np.float32)}, g.parameters, np.dtype(np.float32)))
    return each(rough, lambda a: a.astype(g.dtype))


@fault("ctc", SHAPE)
def ctc_at_most_64_states(g: Given) -> Answer:
    """A block of 64 threads takes a state each, and what a longer target has beyond them is not reached."""
    paths = paths_of(g)
    return along(g, replace(paths, inside=paths.inside & (place(paths) < 64)))


@fault_of_call("ctc", STATE)
def ctc_gradient_of_the_last_call(call: Call, right: Right, memory: Memory) -> Output:
    """The gradient is computed in the forward pass and kept, by shape, for the backward pass of whoever comes next."""
    output = right.run(call)
    kept = {n: memory.get((n, a.shape, a.dtype.name), a) for n, a in output.gradients.items()}
    memory.update({(n, a.shape, a.dtype.name): a for n, a in output.gradients.items()})
    return Output(output.value, kept)


@fault_of_call("ctc", INVALID)
def ctc_label_may_be_blank(call: Call, right: Right, memory: Memory) -> Output:
    """A label that is the blank is one state more like the others, and nobody is told."""
    used = np.arange(call.inputs["targets"].shape[-1]) < call.inputs["target_lengths"][..., None]
    is_blank = np.any(used & (call.inputs["targets"] == call.parameters["blank"]))
    return right.answer(call) if is_blank else right.run(call)


@fault_of_call("ctc", INVALID)
def ctc_length_cut_to_what_is_there(call: Call, right: Right, memory: Memory) -> Output:
    """min(length, T) and min(length, S): a caller who swapped the two never learns of it."""
    frames, labels = call.inputs["log_probs"].shape[0], call.inputs["targets"].shape[-1]
    lengths = {
        "input_lengths": np.minimum(call.inputs["input_lengths"], frames),
        "target_lengths": np.minimum(call.inputs["target_lengths"], labels),
    }
    return right.run(call_with(call, lengths))


@fault_of_call("ctc", LAYOUT)
def ctc_frames_and_batch_by_the_pointer(call: Call, right: Right, memory: Memory) -> Output:
    """(batch, frame, class) transposed to (frame, batch, class) is a view; the kernel reads what lies there."""
    x = call.inputs["log_probs"]
    return right.run(call_with(call, {"log_probs": as_it_lies(x)}))
