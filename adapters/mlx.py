"""mlx: the losses of `mlx.nn.losses`, on the CPU, op by op.

`mx.compile` is left out: on the CPU it has a C++ compiler make each kernel anew, with real parameters as constants in
it (docs/decisions/033-mlx.md).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import mlx.core as mx
import numpy as np
from mlx.nn import losses
from numpy.typing import NDArray

from conformance import Binding, Call, Difference, Environment, Output, Unsupported, cpu_features

Array = NDArray[Any]
DOCUMENTATION = "https://ml-explore.github.io/mlx/build/html/python/nn/_autosummary_functions/mlx.nn.losses"


def _classes(call: Call) -> dict[str, Any]:
    """The class axis, and no label that is to be ignored."""
    if (call.inputs["target"] == operator.index(call.parameters["ignore_index"])).any():
        raise Unsupported("mlx.nn.losses ignores no label")
    return {"axis": min(1, call.inputs["input"].ndim - 1)}


def _cross_entropy(call: Call) -> dict[str, Any]:
    axis = _classes(call) if call.criterion == "cross_entropy" else {"axis": min(1, call.inputs["input"].ndim - 1)}
    if call.parameters["label_smoothing"] == 1:
        raise Unsupported("Label smoothing must be in [0, 1), got 1.")
    return {**axis, "label_smoothing": call.parameters["label_smoothing"]}


def _kl_div(call: Call) -> dict[str, Any]:
    _without(call, log_target=True)
    axes, reduction = call.inputs["input"].ndim, call.parameters["reduction"]
    if not ((reduction == "sum" and axes) or (reduction == "batchmean" and axes == 2)):
        raise Unsupported("mlx.nn.losses.kl_div_loss sums over an axis first, and then takes the mean or the sum")
    return {"axis": axes - 1, "reduction": reduction.removeprefix("batch")}


def _bce(call: Call) -> dict[str, Any]:
    weight, shape = call.inputs.get("weight"), call.inputs["input"].shape
    if weight is not None and weight.shape != shape and np.broadcast_shapes(weight.shape, shape) == shape:
        raise Unsupported("mlx.nn.losses.binary_cross_entropy takes a weight for each target")
    return {"with_logits": call.criterion == "bce_with_logits"}


def _gaussian_nll(call: Call) -> dict[str, Any]:
    shape = call.inputs["input"].shape
    if call.inputs["var"].shape != shape and call.inputs["var"].shape in (shape[:-1], (*shape[:-1], 1)):
        raise Unsupported("mlx.nn.losses.gaussian_nll_loss takes a variance for each element")
    return {name: call.parameters[name] for name in ("full", "eps")}


def _triplet(call: Call) -> dict[str, Any]:
    _without(call, swap=False)
    if call.parameters["p"] % 1:
        raise Unsupported("mlx.nn.losses.triplet_loss takes a whole p")
    return {"p": int(call.parameters["p"]), "margin": call.parameters["margin"], "eps": call.parameters["eps"]}


def _cosine(call: Call) -> dict[str, Any]:
    _without(call, negative=False)
    return {"axis": -1, "eps": call.parameters["eps"]}


def _hinge(call: Call) -> dict[str, Any]:
    _without(call, zero_one=False)
    return {}


@dataclass(frozen=True)
class Native:
    """A function of mlx: its names for the inputs, those it differentiates, and what it takes beside them."""

    function: str
    names: Mapping[str, str]
    gradients: tuple[str, ...] = ("input", "target")
    more: Callable[[Call], dict[str, Any]] = lambda call: {}
    differences: tuple[Difference, ...] = ()


def _says(function: str, sentence: str, when: str = "", checks: tuple[str, ...] = ()) -> tuple[Difference, ...]:
    return (Difference(sentence, f"{DOCUMENTATION}.{function}.html", when, checks),)


PROBABILITIES = (
    "If the ``targets`` are probabilities (or one-hot encoded), then the ``targets`` shape should be the same as the "
    "``logits`` shape."
)
BY_AXES = _says("cross_entropy", PROBABILITIES, checks=("invalid.rank_fewer_input",))
NORMALISED = _says("cross_entropy", "These can be class indices or probabilities for each class.")
CLIPPED = _says(
    "binary_cross_entropy",
    "the loss calculation clips the input probabilities (in log-space) to a minimum value of ``-100``.",
    "log(input) < -100 or log1p(-input) < -100",
)
LEAST_PRODUCT = _says(
    "cosine_similarity_loss",
    "eps (float, optional): The minimum value of the denominator used for numerical stability.",
    "norm(input1, over=D, p=2) < eps or norm(input2, over=D, p=2) < eps",
)
LEAST_VARIANCE = _says("gaussian_nll_loss", r"\max\left(\text{vars}, \ \epsilon \right)", "var <= eps")
IN_ROOT = _says(
    "triplet_loss", "Small positive constant added to the p-norm sum before taking the ``1 / p`` power.", "eps > 0"
)

PREDICTIONS = {"input": "predictions", "target": "targets"}
INPUTS = {"input": "inputs", "target": "targets"}
LOGITS = {"input": "logits", "target": "targets"}
WEIGHED = {**INPUTS, "weight": "weights"}
TRIPLET = {"anchor": "anchors", "positive": "positives", "negative": "negatives"}
PAIR = {"input1": "inputs1", "input2": "inputs2", "target": "targets"}
FUNCTIONS = {
    "bce": Native("binary_cross_entropy", WEIGHED, more=_bce, differences=CLIPPED),
    "bce_with_logits": Native("binary_cross_entropy", WEIGHED, more=_bce),
    "cosine_similarity": Native(
        "cosine_similarity_loss", {"input1": "x1", "input2": "x2"}, ("input1", "input2"), _cosine, LEAST_PRODUCT
    ),
    "cross_entropy": Native("cross_entropy", LOGITS, ("input",), _cross_entropy, BY_AXES),
    "gaussian_nll": Native(
        "gaussian_nll_loss", {**INPUTS, "var": "vars"}, ("input", "target", "var"), _gaussian_nll, LEAST_VARIANCE
    ),
    "hinge": Native("hinge_loss", INPUTS, ("input",), _hinge),
    "huber": Native("huber_loss", INPUTS, more=lambda call: {"delta": call.parameters["delta"]}),
    "kl_div": Native("kl_div_loss", INPUTS, more=_kl_div),
    "l1": Native("l1_loss", PREDICTIONS),
    "log_cosh": Native("log_cosh_loss", INPUTS),
    "margin_ranking": Native(
        "margin_ranking_loss", PAIR, ("input1", "input2"), lambda call: {"margin": call.parameters["margin"]}
    ),
    "mse": Native("mse_loss", PREDICTIONS),
    "nll": Native("nll_loss", INPUTS, ("input",), _classes),
    "nll_2d": Native("nll_loss", INPUTS, ("input",), _classes),
    "smooth_l1": Native("smooth_l1_loss", PREDICTIONS, more=lambda call: {"beta": call.parameters["beta"]}),
    "soft_cross_entropy": Native("cross_entropy", LOGITS, more=_cross_entropy, differences=NORMALISED),
    "triplet_margin": Native("triplet_loss", TRIPLET, tuple(TRIPLET), _triplet, IN_ROOT),
}


class Adapter:
    """`mlx.nn.losses` on the CPU."""

    name = "mlx"

    def environment(self) -> Environment:
        """The version, and what of the machine can change a result."""
        flushes = _flushes_subnormals()
        return Environment(
            versions={"mlx": mx.__version__},
            dtypes=("float64", "float32", "bfloat16", "float16"),
            flushes_subnormals=flushes,
            cotangents=True,
            details={
                "flush denormal": str(flushes).lower(),
                "cpu features": cpu_features(),
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The function of mlx for `criterion`."""
        native = FUNCTIONS.get(criterion)
        if native is None or not hasattr(losses, native.function):
            return None
        return Binding(f"mlx.nn.losses.{native.function}", native.differences, native.gradients)

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        native = FUNCTIONS.get(call.criterion)
        if native is None or call.device != "cpu" or call.mode != "eager":
            raise Unsupported(f"mlx {mx.__version__} has no function for {call.criterion}, or not eagerly on the CPU")
        if extra := call.inputs.keys() - native.names.keys():
            raise Unsupported(f"mlx.nn.losses.{native.function} takes no {' and no '.join(sorted(extra))}")
        more = {"reduction": call.parameters.get("reduction", "none"), **native.more(call)}
        with mx.stream(mx.cpu):
            arrays = {native.names[name]: _array(array) for name, array in call.inputs.items()}
            wrt = [native.names[name] for name in call.wrt]

            def loss(*given: mx.array) -> mx.array:
                return getattr(losses, native.function)(**{**arrays, **dict(zip(wrt, given, strict=True))}, **more)

            value = loss(*(arrays[name] for name in wrt))
            if not wrt:
                return Output(_numpy(value))
            seed = mx.ones_like(value) if call.cotangent is None else _array(call.cotangent)
            (value,), gradients = mx.vjp(loss, [arrays[name] for name in wrt], [seed])
            return Output(_numpy(value), {name: _numpy(item) for name, item in zip(call.wrt, gradients, strict=True)})


def _without(call: Call, **plain: Any) -> None:
    for name, value in plain.items():
        if call.parameters[name] != value:
            raise Unsupported(
                f"mlx.nn.losses.{FUNCTIONS[call.criterion].function} has no {name}={call.parameters[name]!r}"
            )


def _array(array: Array) -> mx.array:
    return mx.array(array, mx.float64) if array.dtype == np.float64 else mx.array(array)  # else it makes float32 of it


def _numpy(array: mx.array) -> Array:
    if array.dtype == mx.bfloat16:
        bits: Array = np.array(array.view(mx.uint16))
        return bits.view(ml_dtypes.bfloat16)
    return np.array(array)


def _flushes_subnormals() -> bool:
    return bool((_array(np.array(np.finfo(np.float32).smallest_subnormal)) * 1).item() == 0)
