"""Which function of optax is a criterion's, by which names, and what optax documents to be different."""

from __future__ import annotations

from dataclasses import replace

import optax

from conformance import Call, Difference, Unsupported
from conformance.adapter.losses import Loss, Native

from . import _jax_calls as calls

LOSSES = "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/losses"
REDUCTIONS = ("none", "sum", "mean", "batchmean")


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
LABELS_BROADCAST = Difference(
    "labels: Array of labels with shape broadcastable to `logits`.",
    f"{LOSSES}/_classification.py",
    checks=("invalid.broadcast_target_*", "invalid.rank_fewer_target"),
)
CLASSES_BROADCAST = replace(LABELS_BROADCAST, sentence="must have a shape broadcastable to `[..., num_classes]`.")
MASKED = Difference(
    "Contrarily to :func:`optax.softmax_cross_entropy` this function handles ``labels*logsoftmax(logits)`` as ``0`` "
    "when ``logits=-inf`` and ``labels=0``, following the convention that ``0 log 0 = 0``.",
    f"{LOSSES}/_classification.py",
    when="input == -inf and target == 0",
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
COSINE = {"input1": "predictions", "input2": "targets"}
LISTS = {**LOGITS, "weight": "weights", "mask": "where"}
GROUPS = {"input": "embeddings", "target": "labels"}
TRIPLET = {"anchor": "anchors", "positive": "positives", "negative": "negatives"}
CTC = {
    "log_probs": "logits",
    "targets": "labels",
    "input_lengths": "logit_paddings",
    "target_lengths": "label_paddings",
}
FUNCTIONS = {
    "bce_with_logits": Native("sigmoid_binary_cross_entropy", LOGITS, ("input", "target"), differences=(RESHAPED,)),
    "cosine_embedding": Native("cosine_distance", VECTORS, ("input1", "input2"), calls.cosine),
    "cosine_similarity": Native("cosine_similarity", COSINE, ("input1", "input2"), calls.similarity),
    "cross_entropy": Native("softmax_cross_entropy_with_integer_labels", LOGITS, ("input",), calls.cross_entropy),
    "ctc": Native("ctc_loss", CTC, ("log_probs",), calls.ctc, (NORMALISED, LOG_ZERO)),
    "dice": Native("binary_dice_loss", PAIR, ("input",), calls.dice),
    "generalised_kl": Native(
        "generalized_kl_divergence", LOGS, ("input", "target"), calls.by_batch, (POSITIVE_TARGET,)
    ),
    "hinge": Native("hinge_loss", OUTPUTS, ("input",), calls.hinge),
    "huber": Native("huber_loss", PAIR, ("input", "target"), calls.huber, (BROADCAST,)),
    "kl_div": Native("kl_divergence", LOGS, ("input", "target"), calls.kl_div, (POSITIVE,)),
    "log_cosh": Native("log_cosh", PAIR, ("input", "target"), differences=(BROADCAST,)),
    "mse": Native("squared_error", PAIR, ("input", "target")),
    "multiclass_hinge": Native("multiclass_hinge_loss", SCORES, ("input",)),
    "multiclass_perceptron": Native("multiclass_perceptron_loss", SCORES, ("input",)),
    "multiclass_sparsemax": Native("multiclass_sparsemax_loss", SCORES, ("input",), calls.sparsemax),
    "nt_xent": Native("ntxent", GROUPS, ("input",), calls.ntxent),
    "perceptron": Native("perceptron_loss", OUTPUTS, ("input",)),
    "poly_cross_entropy": Native("poly_loss_cross_entropy", LOGITS, ("input",), calls.poly, (CLASSES_BROADCAST,)),
    "ranking_softmax": Native("ranking_softmax_loss", LISTS, ("input",), calls.ranking),
    "sigmoid_focal": Native("sigmoid_focal_loss", LOGITS, ("input",), calls.focal, (LABELS_BROADCAST,)),
    "soft_cross_entropy": Native(
        "softmax_cross_entropy", LOGITS, ("input", "target"), calls.soft_cross_entropy, (MASKED,)
    ),
    "sparsemax": Native("sparsemax_loss", LOGITS, ("input",)),
    "triplet_margin": Native("triplet_margin_loss", TRIPLET, tuple(TRIPLET), calls.triplet, (EPSILON,)),
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
