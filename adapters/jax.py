"""jax: the losses of optax, eager and under `jax.jit`; jax has none of its own.

optax returns losses, and whoever calls it takes their `.sum()` or `.mean()`; so does this adapter, and no more:
weights, smoothed labels and other divisors would be mathematics of its own (docs/decisions/025-jax.md).
"""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from conformance import Binding, Call, Difference, Environment, Output, Unsupported, cpu_features
from conformance.adapter.executables import Executables

Array = NDArray[Any]
LOSSES = "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/losses"
MODES = ("eager", "compiled")
REDUCTIONS = ("none", "sum", "mean", "batchmean")


@dataclass
class Loss:
    """A call of optax: its arguments by its own names, and the gradients wanted."""

    function: str
    names: dict[str, str]  # of the spec's inputs
    arrays: dict[str, Array] = field(default_factory=dict)
    traced: dict[str, Any] = field(default_factory=dict)  # numbers
    static: dict[str, Any] = field(default_factory=dict)  # what is compiled in


def _huber(call: Call, loss: Loss) -> None:
    loss.traced["delta"] = call.parameters["delta"]


def _cross_entropy(call: Call, loss: Loss) -> None:
    _without(call, label_smoothing=0)
    loss.static["axis"] = min(1, loss.arrays["logits"].ndim - 1)
    kept = loss.arrays["labels"] != operator.index(call.parameters["ignore_index"])
    if not kept.all():
        loss.arrays["where"] = kept


def _kl_div(call: Call, loss: Loss) -> None:
    if call.parameters["log_target"]:
        loss.function = "kl_divergence_with_log_targets"
        loss.arrays["log_targets"] = loss.arrays.pop("targets")
        loss.names["target"] = "log_targets"
    is_by_batch = call.parameters["reduction"] == "batchmean"
    loss.static["axis"] = tuple(range(1, loss.arrays["log_predictions"].ndim)) if is_by_batch else ()


def _cosine(call: Call, loss: Loss) -> None:
    labels = loss.arrays.pop("labels")
    if (labels != 1).any() or labels.shape not in {array.shape[:-1] for array in loss.arrays.values()}:
        raise Unsupported(
            "optax.losses.cosine_distance is of vectors that belong together: with the label 1, for each pair"
        )


def _triplet(call: Call, loss: Loss) -> None:
    _without(call, swap=False)
    p = call.parameters["p"]
    whole, given = (loss.static, int(p)) if p == p // 1 else (loss.traced, p)  # 2, as one writes it
    whole["norm_degree"] = given
    loss.traced |= {"margin": call.parameters["margin"], "eps": call.parameters["eps"]}


def _ctc(call: Call, loss: Loss) -> None:
    _without(call, zero_infinity=False)
    if call.parameters["reduction"] == "mean":
        raise Unsupported(
            "optax.losses.ctc_loss divides by no length, and the mean is one of losses over their lengths"
        )
    logits, labels = loss.arrays["logits"], loss.arrays["labels"]
    if logits.ndim != 3 or labels.ndim != 2:
        raise Unsupported("optax.losses.ctc_loss takes a batch: logits of three axes, labels of two")
    loss.arrays["logits"] = np.swapaxes(logits, 0, 1)
    for name, most in ("logit_paddings", len(logits)), ("label_paddings", labels.shape[1]):
        lengths = loss.arrays[name][..., None]
        if ((lengths < 0) | (lengths > most)).any():
            raise Unsupported(f"{name} of optax.losses.ctc_loss say no length below 0 or beyond the array")
        loss.arrays[name] = (np.arange(most) >= lengths).astype(logits.dtype)
    loss.static["blank_id"] = call.parameters["blank"]


@dataclass(frozen=True)
class Native:
    """A function of optax: its names for the inputs, those it differentiates, and what else a call of it takes."""

    function: str
    names: dict[str, str]
    gradients: tuple[str, ...]
    add: Callable[[Call, Loss], None] = lambda call, loss: None
    differences: tuple[Difference, ...] = ()


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
    "huber": Native("huber_loss", PAIR, ("input", "target"), _huber, (BROADCAST,)),
    "kl_div": Native("kl_divergence", {**PAIR, "input": "log_predictions"}, ("input", "target"), _kl_div, (POSITIVE,)),
    "mse": Native("squared_error", PAIR, ("input", "target")),
    "triplet_margin": Native("triplet_margin_loss", TRIPLET, tuple(TRIPLET), _triplet, (EPSILON,)),
}


class Adapter:
    """`optax.losses`, on one device, op by op or compiled; float64 with `jax_enable_x64`, the other dtypes without."""

    name = "jax"

    def __init__(self) -> None:
        self._executables = Executables()
        self._devices = {device.platform.replace("gpu", "cuda"): device for device in reversed(jax.devices())}
        self._devices = {"cpu": jax.devices("cpu")[0], **self._devices}

    @property
    def compiling(self) -> float:
        """The seconds spent compiling so far."""
        return self._executables.compiling

    def environment(self) -> Environment:
        """The versions, the devices that jax sees, and what can change the bits of a result."""
        flushes = {mode: _flushes_subnormals(mode) for mode in MODES}
        return Environment(
            versions={"optax": optax.__version__, "jax": jax.__version__, "jaxlib": jax.lib.__version__},
            devices=tuple(self._devices),
            dtypes=("float64", "float32", "bfloat16", "float16"),
            modes=MODES,
            compiles=MODES,
            flushes_subnormals=any(flushes.values()),
            cotangents=True,
            details={
                "flush denormal": ", ".join(f"{mode} {str(flush).lower()}" for mode, flush in flushes.items()),
                "cpu features": cpu_features(),
                "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
                "matmul precision": str(jax.config.jax_default_matmul_precision),
                "jax_enable_x64": "with float64 only",
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The function of optax for `criterion`."""
        native = FUNCTIONS.get(criterion)
        if native is None or not hasattr(optax.losses, native.function):
            return None
        return Binding(f"optax.losses.{native.function}", native.differences, native.gradients)

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        if call.device not in self._devices or call.mode not in MODES:
            raise Unsupported(f"jax runs eager and compiled, on {' and '.join(self._devices)} here")
        self._executables.let_go()
        loss = _loss(call)
        wrt = tuple(loss.names[name] for name in call.wrt)
        fixed = (loss.function, tuple(loss.static.items()), call.parameters.get("reduction", "none"), wrt)
        answer = _compiled(*fixed) if call.mode == "compiled" else functools.partial(_answer, *fixed)
        with jax.enable_x64(call.dtype == "float64"), jax.default_device(self._devices[call.device]):
            arrays, seed = jax.tree.map(jnp.asarray, (loss.arrays, call.cotangent))
            value, gradients = answer(arrays, loss.traced, seed)
            found = {name: np.asarray(gradients[loss.names[name]]) for name in call.wrt}
            if call.criterion == "ctc":
                found = {name: np.swapaxes(array, 0, 1) for name, array in found.items()}
            return Output(np.asarray(value), found)


def _loss(call: Call) -> Loss:
    native = FUNCTIONS.get(call.criterion)
    if native is None:
        raise Unsupported(f"optax {optax.__version__} has no function for {call.criterion}")
    if extra := call.inputs.keys() - native.names.keys():
        raise Unsupported(f"optax.losses.{native.function} takes no {' and no '.join(sorted(extra))}")
    if call.parameters.get("reduction", "none") not in REDUCTIONS:
        raise Unsupported(f"an array of jax has no reduction {call.parameters['reduction']!r}")
    loss = Loss(native.function, dict(native.names))
    loss.arrays = {native.names[name]: array for name, array in call.inputs.items()}
    native.add(call, loss)
    return loss


def _without(call: Call, **plain: Any) -> None:
    for name, value in plain.items():
        if call.parameters[name] != value:
            raise Unsupported(f"optax.losses.{FUNCTIONS[call.criterion].function} has no {name}")


def _answer(
    function: str, static: Any, reduction: str, wrt: tuple[str, ...], arrays: Any, traced: Any, seed: Any
) -> tuple[Any, Any]:
    """The value, and the gradients by the arrays in `wrt`, as `jax.vjp` gives them."""

    def losses(given: Any) -> Any:
        found = getattr(optax.losses, function)(**{**arrays, **given}, **traced, **dict(static))
        where = {"where": arrays["where"]} if "where" in arrays and "mean" in reduction else {}
        return found if reduction == "none" else getattr(found, reduction.removeprefix("batch"))(**where)

    if not wrt:
        return losses({}), {}
    value, pull = jax.vjp(losses, {name: arrays[name] for name in wrt})
    return value, pull(jnp.ones_like(value) if seed is None else seed.astype(value.dtype))[0]


@functools.cache
def _compiled(*fixed: Any) -> Callable[..., tuple[Any, Any]]:
    return jax.jit(functools.partial(_answer, *fixed))  # type: ignore[no-any-return,unused-ignore]


def _flushes_subnormals(mode: str) -> bool:
    double = jax.jit(lambda x: x + x) if mode == "compiled" else lambda x: x + x
    return bool(double(jnp.asarray(np.finfo(np.float32).smallest_subnormal)) == 0)
