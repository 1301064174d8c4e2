"""Which function of mlx is a criterion's, by which names and in which layout it takes what the spec has."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from conformance import Call, Difference, Unsupported
from conformance.adapter.losses import Loss, Native

DOCUMENTATION = "https://ml-explore.github.io/mlx/build/html/python/nn/_autosummary_functions/mlx.nn.losses"


def _said(function: str, sentence: str, when: str = "", checks: tuple[str, ...] = ()) -> tuple[Difference, ...]:
    return (Difference(sentence, f"{DOCUMENTATION}.{function}.html", when, checks),)


BY_AXES = _said(
    "cross_entropy",
    "If the ``targets`` are probabilities (or one-hot encoded), then the ``targets`` shape should be the same as the "
    "``logits`` shape.",
    checks=("invalid.rank_fewer_input",),
)
NORMALISED = _said("cross_entropy", "These can be class indices or probabilities for each class.")
CLIPPED = _said(
    "binary_cross_entropy",
    "the loss calculation clips the input probabilities (in log-space) to a minimum value of ``-100``.",
    "log(input) < -100 or log1p(-input) < -100",
)
LEAST_PRODUCT = _said(
    "cosine_similarity_loss",
    "eps (float, optional): The minimum value of the denominator used for numerical stability.",
    "norm(input1, over=D, p=2) < eps or norm(input2, over=D, p=2) < eps",
)
LEAST_VARIANCE = _said("gaussian_nll_loss", r"\max\left(\text{vars}, \ \epsilon \right)", "var <= eps")
IN_ROOT = _said(
    "triplet_loss", "Small positive constant added to the p-norm sum before taking the ``1 / p`` power.", "eps > 0"
)


def _take(*names: str) -> Callable[[Call, Loss], None]:
    """What hands parameters on."""

    def add(call: Call, loss: Loss) -> None:
        loss.static |= {name: call.parameters[name] for name in names}

    return add


def _axis(call: Call, loss: Loss) -> None:
    loss.static["axis"] = min(1, call.inputs["input"].ndim - 1)


def _classes(call: Call, loss: Loss) -> None:
    if (call.inputs["target"] == operator.index(call.parameters["ignore_index"])).any():
        raise Unsupported(f"{loss.title} ignores no label")
    _axis(call, loss)


def _smoothed(call: Call, loss: Loss) -> None:
    (_classes if call.criterion == "cross_entropy" else _axis)(call, loss)
    if call.parameters["label_smoothing"] == 1:
        raise Unsupported("Label smoothing must be in [0, 1), got 1.")
    loss.static["label_smoothing"] = call.parameters["label_smoothing"]


def _kl_div(call: Call, loss: Loss) -> None:
    loss.without(call, log_target=True)
    axes, reduction = call.inputs["input"].ndim, call.parameters["reduction"]
    if not ((reduction == "sum" and axes) or (reduction == "batchmean" and axes == 2)):
        raise Unsupported("mlx.nn.losses.kl_div_loss sums over an axis first, and then takes the mean or the sum")
    loss.static |= {"axis": axes - 1, "reduction": reduction.removeprefix("batch")}


def _bce(call: Call, loss: Loss) -> None:
    weight, shape = call.inputs.get("weight"), call.inputs["input"].shape
    if weight is not None and weight.shape != shape and np.broadcast_shapes(weight.shape, shape) == shape:
        raise Unsupported("mlx.nn.losses.binary_cross_entropy takes a weight for each target")
    loss.static["with_logits"] = call.criterion == "bce_with_logits"


def _gaussian_nll(call: Call, loss: Loss) -> None:
    shape = call.inputs["input"].shape
    if call.inputs["var"].shape != shape and call.inputs["var"].shape in (shape[:-1], (*shape[:-1], 1)):
        raise Unsupported("mlx.nn.losses.gaussian_nll_loss takes a variance for each element")
    _take("full", "eps")(call, loss)


def _triplet(call: Call, loss: Loss) -> None:
    loss.without(call, swap=False)
    if call.parameters["p"] % 1:
        raise Unsupported("mlx.nn.losses.triplet_loss takes a whole p")
    loss.static["p"] = int(call.parameters["p"])
    _take("margin", "eps")(call, loss)


def _cosine(call: Call, loss: Loss) -> None:
    loss.without(call, negative=False)
    loss.static |= {"axis": -1, "eps": call.parameters["eps"]}


def _hinge(call: Call, loss: Loss) -> None:
    loss.without(call, zero_one=False)


PREDICTIONS = {"input": "predictions", "target": "targets"}
INPUTS = {"input": "inputs", "target": "targets"}
LOGITS = {"input": "logits", "target": "targets"}
WEIGHED = {**INPUTS, "weight": "weights"}
VARIED = {**INPUTS, "var": "vars"}
TRIPLET = {"anchor": "anchors", "positive": "positives", "negative": "negatives"}
VECTORS = {"input1": "x1", "input2": "x2"}
RANKED = {"input1": "inputs1", "input2": "inputs2", "target": "targets"}
FUNCTIONS = {
    "bce": Native("binary_cross_entropy", WEIGHED, add=_bce, differences=CLIPPED),
    "bce_with_logits": Native("binary_cross_entropy", WEIGHED, add=_bce),
    "cosine_similarity": Native("cosine_similarity_loss", VECTORS, tuple(VECTORS), _cosine, LEAST_PRODUCT),
    "cross_entropy": Native("cross_entropy", LOGITS, ("input",), _smoothed, BY_AXES),
    "gaussian_nll": Native("gaussian_nll_loss", VARIED, tuple(VARIED), _gaussian_nll, LEAST_VARIANCE),
    "hinge": Native("hinge_loss", INPUTS, ("input",), _hinge),
    "huber": Native("huber_loss", INPUTS, add=_take("delta")),
    "kl_div": Native("kl_div_loss", INPUTS, add=_kl_div),
    "l1": Native("l1_loss", PREDICTIONS),
    "log_cosh": Native("log_cosh_loss", INPUTS),
    "margin_ranking": Native("margin_ranking_loss", RANKED, ("input1", "input2"), _take("margin")),
    "mse": Native("mse_loss", PREDICTIONS),
    "nll": Native("nll_loss", INPUTS, ("input",), _classes),
    "nll_2d": Native("nll_loss", INPUTS, ("input",), _classes),
    "smooth_l1": Native("smooth_l1_loss", PREDICTIONS, add=_take("beta")),
    "soft_cross_entropy": Native("cross_entropy", LOGITS, add=_smoothed, differences=NORMALISED),
    "triplet_margin": Native("triplet_loss", TRIPLET, tuple(TRIPLET), _triplet, IN_ROOT),
}


def loss_of(call: Call) -> Loss:
    """The function of mlx for a call, and what it is called with."""
    native = FUNCTIONS.get(call.criterion)
    if native is None:
        raise Unsupported(f"mlx has no function for {call.criterion}")
    loss = native.loss(call, "mlx.nn.losses")
    loss.static["reduction"] = call.parameters.get("reduction", "none")
    native.add(call, loss)
    return loss
