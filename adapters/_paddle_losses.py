"""Which function of paddle is a criterion's, by which names and in which layout it takes what the spec has."""

from __future__ import annotations

import operator

import numpy as np

from conformance import Call, Difference, Harmful, Unsupported
from conformance.adapter.losses import Loss, Native

DOCUMENTATION = "https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/functional"


def _said(function: str, sentence: str, when: str = "", checks: tuple[str, ...] = ()) -> tuple[Difference, ...]:
    return (Difference(sentence, f"{DOCUMENTATION}/{function}_en.html", when, checks),)


ONE_LABEL = _said(
    "cosine_embedding_loss",
    "label (Tensor): tensor with shape: [N] or [1], 'N' means the length of input array.",
    checks=("invalid.broadcast_target_N",),
)
ONE_SIZE = _said(
    "gaussian_nll_loss",
    "same shape as the input, or same shape as the input but with one dimension equal to 1 (to allow for "
    "broadcasting).",
    checks=("invalid.broadcast_target_*",),
)


ONE_MORE = _said("cross_entropy", ":math:`[N_1, N_2, ..., N_k, 1]`, k >= 1.", checks=("invalid.rank_more_target",))
NORMALISED = _said("cross_entropy", "and the sum of the labels for each sample should be 1.")
WEIGHT_FOR_EACH = _said(
    "multi_label_soft_margin_loss", "weight: N-D Tensor, the shape is [N,1]", checks=("invalid.rank_more_weight",)
)


def _positive(call: Call, loss: Loss, name: str) -> None:
    if call.parameters[name] == 0:
        raise Unsupported(f"{loss.title} has no {name}=0")


def _batched(call: Call, loss: Loss) -> None:
    if call.inputs["target"].ndim == 0 and call.inputs[next(iter(call.inputs))].ndim == 1:
        raise Unsupported(f"{loss.title} takes a batch")


def _float_labels(call: Call, loss: Loss) -> None:
    if call.inputs["target"].dtype.kind in "iu":
        loss.arrays["label"] = call.inputs["target"].astype(call.dtype)


def _epsilon(call: Call, loss: Loss) -> None:
    loss.static["epsilon"] = loss.static.pop("eps")


def _poisson_nll(call: Call, loss: Loss) -> None:
    _positive(call, loss, "eps")
    _epsilon(call, loss)


def _smooth_l1(call: Call, loss: Loss) -> None:
    _positive(call, loss, "beta")
    loss.static |= {"delta": loss.static.pop("beta"), "is_huber": False}


def _rows(call: Call, loss: Loss) -> None:
    if call.inputs[next(iter(call.inputs))].ndim != 2:
        raise Unsupported(f"{loss.title} takes a batch of rows")


def _cross_entropy(call: Call, loss: Loss) -> None:
    is_soft, smoothing = call.criterion == "soft_cross_entropy", call.parameters["label_smoothing"]
    if call.inputs["input"].ndim < 2:
        raise Unsupported(f"{loss.title} takes a batch")
    if "weight" in call.inputs and (is_soft or smoothing > 0):
        raise Unsupported(f"{loss.title} has one weight for each example, if labels are soft or smoothed")
    if not is_soft:
        ignored = operator.index(call.parameters["ignore_index"])
        if (ignored < 0 or smoothing > 0) and (call.inputs["target"] == ignored).any():
            raise Unsupported(f"{loss.title} ignores no label below 0, and none if they are smoothed")
    loss.static["soft_label"] = is_soft
    moved = ("input", "label") if is_soft else ("input",)
    loss.arrays |= {name: np.moveaxis(loss.arrays[name], 1, -1) for name in moved if loss.arrays[name].ndim > 1}
    loss.classes_last = True
    loss.ends_in_one = is_soft or smoothing > 0


def _nll(call: Call, loss: Loss) -> None:
    if call.inputs["input"].ndim < 2:
        raise Unsupported(f"{loss.title} takes a batch")
    is_ignored = np.ravel(call.inputs["target"] == operator.index(call.parameters["ignore_index"]))
    if call.parameters["reduction"] != "none" and is_ignored[1:].any():  # the first is the output's one element
        raise Harmful(
            f"{loss.title} writes beyond its output for each ignored label but the first, unless the reduction is none"
        )
    if loss.arrays["label"].dtype.kind in "iu":
        loss.arrays["label"] = loss.arrays["label"].astype(np.int64)


def _sigmoid_focal(call: Call, loss: Loss) -> None:
    loss.without(call, balanced=True)
    del loss.static["balanced"]


def _cosine(call: Call, loss: Loss) -> None:
    loss.without(call, negative=False)
    loss.static |= {"axis": -1}
    del loss.static["negative"]


def _distance(call: Call, loss: Loss) -> None:
    loss.without(call, distance="euclidean", eps=1e-6)
    del loss.static["distance"], loss.static["eps"]


def _npair(call: Call, loss: Loss) -> None:
    loss.without(call, reduction="mean")
    del loss.static["reduction"]


PAIR = {"input": "input", "target": "label"}
BOTH = ("input", "target")
WEIGHED = {**PAIR, "weight": "weight"}
LOGITS = {"input": "logit", "target": "label", "weight": "weight", "pos_weight": "pos_weight"}
TRIPLET = {"anchor": "input", "positive": "positive", "negative": "negative"}
VECTORS = {"input1": "input1", "input2": "input2", "target": "label"}
RANKED = {"input1": "input", "input2": "other", "target": "label"}
PAIRS = {"anchor": "anchor", "positive": "positive", "target": "labels"}
VARIED = {**PAIR, "var": "variance"}
FUNCTIONS = {
    "bce": Native("binary_cross_entropy", WEIGHED, ("input",)),
    "bce_with_logits": Native("binary_cross_entropy_with_logits", LOGITS, ("input",)),
    "cosine_embedding": Native("cosine_embedding_loss", VECTORS, ("input1", "input2"), _batched, ONE_LABEL),
    "cosine_similarity": Native("cosine_similarity", {"input1": "x1", "input2": "x2"}, ("input1", "input2"), _cosine),
    "cross_entropy": Native("cross_entropy", WEIGHED, ("input",), _cross_entropy, ONE_MORE),
    "gaussian_nll": Native("gaussian_nll_loss", VARIED, tuple(VARIED), _epsilon, ONE_SIZE),
    "hinge_embedding": Native("hinge_embedding_loss", PAIR, ("input",), _float_labels),
    "huber": Native("smooth_l1_loss", PAIR),
    "kl_div": Native("kl_div", PAIR, ("input",)),
    "l1": Native("l1_loss", PAIR),
    "margin_ranking": Native("margin_ranking_loss", RANKED, ("input1", "input2"), _float_labels),
    "mse": Native("mse_loss", PAIR),
    "multi_margin": Native("multi_margin_loss", WEIGHED, ("input",), _rows),
    "multilabel_margin": Native("multi_label_margin_loss", PAIR, ("input",), _rows),
    "multilabel_soft_margin": Native("multi_label_soft_margin_loss", WEIGHED, differences=WEIGHT_FOR_EACH),
    "nll": Native("nll_loss", WEIGHED, ("input",), _nll),
    "nll_2d": Native("nll_loss", WEIGHED, ("input",), _nll),
    "npair": Native("npair_loss", PAIRS, ("anchor", "positive"), _npair),
    "poisson_nll": Native("poisson_nll_loss", PAIR, add=_poisson_nll),
    "sigmoid_focal": Native("sigmoid_focal_loss", {"input": "logit", "target": "label"}, ("input",), _sigmoid_focal),
    "smooth_l1": Native("smooth_l1_loss", PAIR, add=_smooth_l1),
    "soft_cross_entropy": Native("cross_entropy", WEIGHED, ("input",), _cross_entropy, NORMALISED),
    "soft_margin": Native("soft_margin_loss", PAIR, ("input",)),
    "triplet_margin": Native("triplet_margin_loss", TRIPLET, tuple(TRIPLET), _epsilon),
    "triplet_margin_with_distance": Native("triplet_margin_with_distance_loss", TRIPLET, tuple(TRIPLET), _distance),
}


def loss_of(call: Call) -> Loss:
    """The function of paddle for a call, and what it is called with."""
    native = FUNCTIONS.get(call.criterion)
    if native is None:
        raise Unsupported(f"paddle has no function for {call.criterion}")
    loss = native.loss(call, "paddle.nn.functional")
    loss.static |= call.parameters
    native.add(call, loss)
    return loss
