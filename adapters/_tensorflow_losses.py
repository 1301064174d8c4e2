"""Which function of tensorflow is a criterion's, by which names and in which layout it takes what the spec has."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np

from conformance import Call, Difference, Unsupported
from conformance.adapter import losses
from conformance.adapter.losses import Loss, int32

V1, BY_WEIGHT, BY_COUNT = "compat.v1.losses", "weighted_mean", "weighted_sum_over_batch_size"
SPARSE = ("indices", "values", "dense_shape")  # of a tf.SparseTensor
BROADCAST = Difference(
    "Optional `Tensor` whose rank is either 0, or the same rank as `labels`, and must be broadcastable to `labels` "
    "(i.e., all dimensions must be either `1`, or the same as the corresponding `losses` dimension).",
    "https://www.tensorflow.org/api_docs/python/tf/compat/v1/losses/compute_weighted_loss",
    checks=("invalid.broadcast_weight_*", "invalid.rank_fewer_weight"),
)
NEGATIVE_BLANK = Difference(
    "Negative values will start from `num_labels`, ie, `-1` will reproduce the ctc_loss behavior of using "
    "`num_labels - 1` for the blank symbol.",
    "https://www.tensorflow.org/api_docs/python/tf/nn/ctc_loss",
    checks=("invalid.blank_negative",),
)
SOFTMAX = Difference(
    "This class performs the softmax operation for you, so `logits` should be e.g. linear projections of "
    "outputs by an LSTM.",
    "https://www.tensorflow.org/api_docs/python/tf/nn/ctc_loss",
)
EPSILON = Difference(
    "A small increment to add to avoid taking a log of zero.",
    "https://www.tensorflow.org/api_docs/python/tf/compat/v1/losses/log_loss",
    when="input == 0 or input == 1",
)


def _huber(call: Call, loss: Loss) -> None:
    loss.arrays["delta"] = np.array(call.parameters["delta"], np.float32)  # that of v1 is computed in float32


def _bce(call: Call, loss: Loss) -> None:
    loss.static["epsilon"] = 0.0
    if "weights" in loss.arrays:  # NumPy adds the axes that are not there
        weights = loss.arrays["weights"]
        loss.arrays["weights"] = weights.reshape((1,) * (loss.arrays["labels"].ndim - weights.ndim) + weights.shape)


def _bce_with_logits(call: Call, loss: Loss) -> None:
    if "pos_weight" in loss.arrays:
        loss.function = "nn.weighted_cross_entropy_with_logits"


def _cross_entropy(call: Call, loss: Loss) -> None:
    loss.without(call, label_smoothing=0)
    if (loss.arrays["labels"] == operator.index(call.parameters["ignore_index"])).any():
        raise Unsupported(f"tf.{loss.function} ignores no label")
    if loss.arrays["logits"].ndim > 1:
        loss.arrays["logits"], loss.classes_last = np.moveaxis(loss.arrays["logits"], 1, -1), True


def _poisson_nll(call: Call, loss: Loss) -> None:
    loss.without(call, log_input=True)
    loss.static["compute_full_loss"] = call.parameters["full"]


def _ctc(call: Call, loss: Loss) -> None:
    loss.without(call, zero_infinity=False)
    if call.parameters["reduction"] == "mean":
        raise Unsupported("tf.nn.ctc_loss divides by no length, and the mean is one of losses over their lengths")
    labels, lengths = loss.arrays.pop("labels"), loss.arrays.pop("label_length")
    if loss.arrays["logits"].ndim != 3 or labels.ndim != 2:
        raise Unsupported("tf.nn.ctc_loss takes a batch: logits of three axes, labels of two")
    if lengths.shape != labels.shape[:1] or ((lengths < 0) | (lengths > labels.shape[1])).any():
        raise Unsupported("the labels of tf.nn.ctc_loss, a tf.SparseTensor, are as many as there are")
    there = np.arange(labels.shape[1]) < lengths[:, None]
    loss.arrays["logit_length"] = int32(loss.arrays["logit_length"])
    sparse = np.argwhere(there), int32(labels[there]), np.array(labels.shape)
    loss.arrays |= dict(zip(SPARSE, sparse, strict=True))
    loss.static |= {"blank_index": call.parameters["blank"], "label_length": None}


@dataclass(frozen=True)
class Native(losses.Native):
    """A function of tensorflow."""

    mean: str = ""  # what v1 calls the spec's; "" where the caller reduces


PAIR = {"input": "predictions", "target": "labels", "weight": "weights"}
LOGITS = {"input": "logits", "target": "labels"}
CTC = {"log_probs": "logits", "targets": "labels", "input_lengths": "logit_length", "target_lengths": "label_length"}
WEIGHTED = {**LOGITS, "pos_weight": "pos_weight"}
FUNCTIONS = {
    "bce": Native(f"{V1}.log_loss", PAIR, add=_bce, mean=BY_COUNT, differences=(EPSILON,)),
    "bce_with_logits": Native("nn.sigmoid_cross_entropy_with_logits", WEIGHTED, add=_bce_with_logits),
    "cross_entropy": Native("nn.sparse_softmax_cross_entropy_with_logits", LOGITS, ("input",), _cross_entropy),
    "ctc": Native("nn.ctc_loss", CTC, ("log_probs",), _ctc, differences=(SOFTMAX, NEGATIVE_BLANK)),
    "huber": Native(f"{V1}.huber_loss", PAIR, add=_huber, mean=BY_COUNT, differences=(BROADCAST,)),
    "l1": Native(f"{V1}.absolute_difference", PAIR, mean=BY_WEIGHT, differences=(BROADCAST,)),
    "mse": Native(f"{V1}.mean_squared_error", PAIR, mean=BY_WEIGHT, differences=(BROADCAST,)),
    "poisson_nll": Native("nn.log_poisson_loss", {"input": "log_input", "target": "targets"}, add=_poisson_nll),
}


def loss_of(call: Call) -> Loss:
    """The function of tensorflow for a call, and what it is called with."""
    native, reduction = FUNCTIONS.get(call.criterion), call.parameters.get("reduction", "none")
    if native is None:
        raise Unsupported(f"tensorflow has no function for {call.criterion}")
    loss = native.loss(call, "tf")
    if not native.mean and reduction not in ("none", "sum", "mean"):
        raise Unsupported(f"tensorflow has no reduction {reduction!r}")
    if native.mean:
        loss.static["reduction"] = {"sum": "weighted_sum", "mean": native.mean}.get(reduction, reduction)
    else:
        loss.reduction = reduction
    native.add(call, loss)
    return loss
