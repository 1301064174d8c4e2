"""Which function of optax is a criterion's, by which names and in which layout it takes what the spec has."""

from __future__ import annotations

import operator
from dataclasses import replace

import numpy as np
import optax

from conformance import Call, Difference, Unsupported
from conformance.adapter.losses import Loss, Native

LOSSES = "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/losses"
REDUCTIONS = ("none", "sum", "mean", "batchmean")


def _huber(call: Call, loss: Loss) -> None:
    loss.traced["delta"] = call.parameters["delta"]


def _cross_entropy(call: Call, loss: Loss) -> None:
    loss.without(call, label_smoothing=0)
    loss.static["axis"] = min(1, loss.arrays["logits"].ndim - 1)
    kept = loss.arrays["labels"] != operator.index(call.parameters["ignore_index"])
    if not kept.all():
        loss.arrays["where"] = kept


def _hinge(call: Call, loss: Loss) -> None:
    loss.without(call, zero_one=False)


def _kl_div(call: Call, loss: Loss) -> None:
    if call.parameters["log_target"]:
        loss.function = "kl_divergence_with_log_targets"
        loss.arrays["log_targets"] = loss.arrays.pop("targets")
        loss.names = {**loss.names, "target": "log_targets"}
    _by_batch(call, loss)


def _by_batch(call: Call, loss: Loss) -> None:
    is_by_batch = call.parameters["reduction"] == "batchmean"
    loss.static["axis"] = tuple(range(1, loss.arrays["log_predictions"].ndim)) if is_by_batch else ()


def _cosine(call: Call, loss: Loss) -> None:
    labels = loss.arrays.pop("labels")
    if (labels != 1).any() or labels.shape not in {array.shape[:-1] for array in loss.arrays.values()}:
        raise Unsupported(
            "optax.losses.cosine_distance is of vectors that belong together: with the label 1, for each pair"
        )


def _triplet(call: Call, loss: Loss) -> None:
    loss.without(call, swap=False)
    p = call.parameters["p"]
    whole, given = (loss.static, int(p)) if p == p // 1 else (loss.traced, p)  # 2, as one writes it
    whole["norm_degree"] = given
    loss.traced |= {"margin": call.parameters["margin"], "eps": call.parameters["eps"]}


def _ctc(call: Call, loss: Loss) -> None:
    loss.without(call, zero_infinity=False)
    if call.parameters["reduction"] == "mean":
        raise Unsupported(
            "optax.losses.ctc_loss divides by no length, and the mean is one of losses over their lengths"
        )
    logits, labels = loss.arrays["logits"], loss.arrays["labels"]
    if logits.ndim != 3 or labels.ndim != 2:
        raise Unsupported("optax.losses.ctc_loss takes a batch: logits of three axes, labels of two")
    loss.arrays["logits"], loss.batch_second = np.swapaxes(logits, 0, 1), True
    for name, most in ("logit_paddings", len(logits)), ("label_paddings", labels.shape[1]):
        lengths = loss.arrays[name][..., None]
        if ((lengths < 0) | (lengths > most)).any():
            raise Unsupported(f"{name} of optax.losses.ctc_loss say no length below 0 or beyond the array")
        loss.arrays[name] = (np.arange(most) >= lengths).astype(logits.dtype)
    loss.static["blank_id"] = call.parameters["blank"]


RESHAPED = Difference(
    "Be particularly careful if you're relying on implicit broadcasting to reshape `logits` or `labels`.",
    f"{LOSSES}/_classification.py",
    checks=("invalid.broadcast_*", "invalid.rank_*"),
)
BROADCAST = Difference(
    "targets: a vector with shape broadcastable to that of `predictions`",
    f"{LOSSES}/_regression.py",
    checks=("invalid.broadcast_target_*", "invalid.rank_fewer_target"),
)
POSITIVE = Difference(
    "targets: Probabilities of target distribution with shape [..., dim]. Expected to be strictly positive.",
    f"{LOSSES}/_classification.py",
    when="not log_target and target == 0",
)
POSITIVE_TARGET = replace(POSITIVE, when="target == 0")
EPSILON = Difference(
    "eps: A small epsilon value to ensure numerical stability in the distance calculation.",
    f"{LOSSES}/_self_supervised.py",
    when="eps > 0",
)
NORMALISED = Difference(
    "logits: (B, T, K)-array containing logits of each class where B denotes the batch size, T denotes the max time "
    "frames in ``logits``, and K denotes the number of classes including a class for blanks.",
    f"{LOSSES}/_classification.py",
)
LOG_ZERO = Difference("log_epsilon: Numerically-stable approximation of log(+0).", f"{LOSSES}/_classification.py")

PAIR = {"input": "predictions", "target": "targets"}
LOGS = {**PAIR, "input": "log_predictions"}
OUTPUTS = {"input": "predictor_outputs", "target": "targets"}
SCORES = {"input": "scores", "target": "labels"}
LOGITS = {"input": "logits", "target": "labels"}
VECTORS = {"input1": "predictions", "input2": "targets", "target": "labels"}
TRIPLET = {"anchor": "anchors", "positive": "positives", "negative": "negatives"}
CTC = {
    "log_probs": "logits",
    "targets": "labels",
    "input_lengths": "logit_paddings",
    "target_lengths": "label_paddings",
}
FUNCTIONS = {
    "bce_with_logits": Native("sigmoid_binary_cross_entropy", LOGITS, ("input", "target"), differences=(RESHAPED,)),
    "cosine_embedding": Native("cosine_distance", VECTORS, ("input1", "input2"), _cosine),
    "cross_entropy": Native("softmax_cross_entropy_with_integer_labels", LOGITS, ("input",), _cross_entropy),
    "ctc": Native("ctc_loss", CTC, ("log_probs",), _ctc, (NORMALISED, LOG_ZERO)),
    "generalised_kl": Native("generalized_kl_divergence", LOGS, ("input", "target"), _by_batch, (POSITIVE_TARGET,)),
    "hinge": Native("hinge_loss", OUTPUTS, ("input",), _hinge),
    "huber": Native("huber_loss", PAIR, ("input", "target"), _huber, (BROADCAST,)),
    "kl_div": Native("kl_divergence", LOGS, ("input", "target"), _kl_div, (POSITIVE,)),
    "mse": Native("squared_error", PAIR, ("input", "target")),
    "multiclass_hinge": Native("multiclass_hinge_loss", SCORES, ("input",)),
    "multiclass_perceptron": Native("multiclass_perceptron_loss", SCORES, ("input",)),
    "perceptron": Native("perceptron_loss", OUTPUTS, ("input",)),
    "sparsemax": Native("sparsemax_loss", LOGITS, ("input",)),
    "triplet_margin": Native("triplet_margin_loss", TRIPLET, tuple(TRIPLET), _triplet, (EPSILON,)),
}


def loss_of(call: Call) -> Loss:
    """The function of optax for a call, and what it is called with."""
    native, reduction = FUNCTIONS.get(call.criterion), call.parameters.get("reduction", "none")
    if native is None:
        raise Unsupported(f"optax {optax.__version__} has no function for {call.criterion}")
    loss = native.loss(call, "optax.losses")
    if reduction not in REDUCTIONS:
        raise Unsupported(f"an array of jax has no reduction {reduction!r}")
    loss.reduction = reduction
    native.add(call, loss)
    return loss
