"""How a call is said in optax: parameters, axes, masks and reductions by optax's names, and what it has no word for."""

from __future__ import annotations

import operator

import jax.numpy as jnp
import numpy as np

from conformance import Call, Unsupported
from conformance.adapter.losses import Loss


def huber(call: Call, loss: Loss) -> None:
    loss.traced["delta"] = call.parameters["delta"]


def cross_entropy(call: Call, loss: Loss) -> None:
    loss.without(call, label_smoothing=0)
    loss.static["axis"] = min(1, loss.arrays["logits"].ndim - 1)
    kept = loss.arrays["labels"] != operator.index(call.parameters["ignore_index"])
    if not kept.all():
        loss.arrays["where"] = kept


def soft_cross_entropy(call: Call, loss: Loss) -> None:
    loss.without(call, label_smoothing=0)
    loss.static["axis"] = min(1, loss.arrays["logits"].ndim - 1)


def poly(call: Call, loss: Loss) -> None:
    loss.traced["epsilon"] = call.parameters["epsilon"]


def focal(call: Call, loss: Loss) -> None:
    loss.traced["gamma"] = call.parameters["gamma"]
    if call.parameters["balanced"]:
        loss.traced["alpha"] = call.parameters["alpha"]


def dice(call: Call, loss: Loss) -> None:
    loss.without(call, eps=0, squared=False)
    if loss.arrays["predictions"].ndim == 1:
        raise Unsupported("optax.losses.binary_dice_loss takes a batch")
    loss.traced["smooth"] = call.parameters["smooth"] / 2  # both sizes are halved there, so that it counts twice
    loss.static["apply_sigmoid"] = call.parameters["from_logits"]


def ranking(call: Call, loss: Loss) -> None:
    if "where" in loss.arrays:
        mask = loss.arrays["where"]
        if ((mask != 0) & (mask != 1)).any():
            raise Unsupported("where of optax.losses.ranking_softmax_loss is true or false")
        loss.arrays["where"] = mask == 1
    loss.static["reduce_fn"] = {"sum": jnp.sum, "mean": jnp.mean}.get(loss.reduction)
    loss.reduction = "none"


def ntxent(call: Call, loss: Loss) -> None:
    loss.without(call, reduction="mean")  # over all pairs, in optax
    loss.traced["temperature"], loss.reduction = call.parameters["temperature"], "none"


def sparsemax(call: Call, loss: Loss) -> None:
    axes = loss.arrays["scores"].ndim
    if axes != 2 and loss.arrays["labels"].ndim == axes - 1:
        raise Unsupported("optax.losses.multiclass_sparsemax_loss takes a batch, and no further positions")


def hinge(call: Call, loss: Loss) -> None:
    loss.without(call, zero_one=False)


def kl_div(call: Call, loss: Loss) -> None:
    if call.parameters["log_target"]:
        loss.function = "kl_divergence_with_log_targets"
        loss.arrays["log_targets"] = loss.arrays.pop("targets")
        loss.names = {**loss.names, "target": "log_targets"}
    by_batch(call, loss)


def by_batch(call: Call, loss: Loss) -> None:
    is_by_batch = call.parameters["reduction"] == "batchmean"
    loss.static["axis"] = tuple(range(1, loss.arrays["log_predictions"].ndim)) if is_by_batch else ()


def cosine(call: Call, loss: Loss) -> None:
    labels = loss.arrays.pop("labels")
    if (labels != 1).any() or labels.shape not in {array.shape[:-1] for array in loss.arrays.values()}:
        raise Unsupported(
            "optax.losses.cosine_distance is of vectors that belong together: with the label 1, for each pair"
        )


def similarity(call: Call, loss: Loss) -> None:
    loss.without(call, negative=False)
    loss.traced["epsilon"] = call.parameters["eps"]


def triplet(call: Call, loss: Loss) -> None:
    loss.without(call, swap=False)
    p = call.parameters["p"]
    whole, given = (loss.static, int(p)) if p == p // 1 else (loss.traced, p)  # 2, as one writes it
    whole["norm_degree"] = given
    loss.traced |= {"margin": call.parameters["margin"], "eps": call.parameters["eps"]}


def ctc(call: Call, loss: Loss) -> None:
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
