"""Which function of paddle is a criterion's, by which names and in which layout it takes what the spec has."""

from __future__ import annotations

from conformance import Call, Difference, Unsupported
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


def _positive(call: Call, loss: Loss, name: str) -> None:
    if call.parameters[name] == 0:
        raise Unsupported(f"paddle.nn.functional.{loss.function} has no {name}=0")


def _batched(call: Call, loss: Loss) -> None:
    if call.inputs["target"].ndim == 0 and call.inputs[next(iter(call.inputs))].ndim == 1:
        raise Unsupported(f"paddle.nn.functional.{loss.function} takes a batch")


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


PAIR = {"input": "input", "target": "label"}
BOTH = ("input", "target")
WEIGHED = {**PAIR, "weight": "weight"}
LOGITS = {"input": "logit", "target": "label", "weight": "weight", "pos_weight": "pos_weight"}
TRIPLET = {"anchor": "input", "positive": "positive", "negative": "negative"}
VECTORS = {"input1": "input1", "input2": "input2", "target": "label"}
RANKED = {"input1": "input", "input2": "other", "target": "label"}
VARIED = {**PAIR, "var": "variance"}
FUNCTIONS = {
    "bce": Native("binary_cross_entropy", WEIGHED, ("input",)),
    "bce_with_logits": Native("binary_cross_entropy_with_logits", LOGITS, ("input",)),
    "cosine_embedding": Native("cosine_embedding_loss", VECTORS, ("input1", "input2"), _batched, ONE_LABEL),
    "gaussian_nll": Native("gaussian_nll_loss", VARIED, tuple(VARIED), _epsilon, ONE_SIZE),
    "hinge_embedding": Native("hinge_embedding_loss", PAIR, ("input",), _float_labels),
    "huber": Native("smooth_l1_loss", PAIR),
    "kl_div": Native("kl_div", PAIR, ("input",)),
    "l1": Native("l1_loss", PAIR),
    "margin_ranking": Native("margin_ranking_loss", RANKED, ("input1", "input2"), _float_labels),
    "mse": Native("mse_loss", PAIR),
    "poisson_nll": Native("poisson_nll_loss", PAIR, add=_poisson_nll),
    "smooth_l1": Native("smooth_l1_loss", PAIR, add=_smooth_l1),
    "soft_margin": Native("soft_margin_loss", PAIR, ("input",)),
    "triplet_margin": Native("triplet_margin_loss", TRIPLET, tuple(TRIPLET), _epsilon),
}


def loss_of(call: Call) -> Loss:
    """The function of paddle for a call, and what it is called with."""
    native = FUNCTIONS.get(call.criterion)
    if native is None:
        raise Unsupported(f"paddle has no function for {call.criterion}")
    loss = native.loss(call)
    loss.static |= call.parameters
    native.add(call, loss)
    return loss
