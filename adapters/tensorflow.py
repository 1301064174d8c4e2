"""tensorflow: the losses of `tf.nn` and `tf.compat.v1.losses`, op by op, traced by `tf.function`, or compiled by XLA.

tf.nn returns losses, and whoever calls it takes their tf.reduce_sum or tf.reduce_mean; so does this adapter. v1 reduces
by itself. Weights that a function does not take would be mathematics of our own (docs/decisions/026-tensorflow.md).
"""

from __future__ import annotations

import contextlib
import functools
import operator
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from conformance import Binding, Call, Difference, Environment, Output, Unsupported, cpu_features
from conformance.adapter.formula import function_of

Array = NDArray[Any]
V1, BY_WEIGHT, BY_COUNT = "compat.v1.losses", "weighted_mean", "weighted_sum_over_batch_size"
DTYPES = ("float64", "float32", "bfloat16", "float16")
TRACED = {"compiled": None, "xla": True}  # `tf.function(jit_compile=…)`
MODES = ("eager", *TRACED, "formula")
SETTINGS = ("TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "TF_XLA_FLAGS", "TF_DETERMINISTIC_OPS")
SPARSE = ("indices", "values", "dense_shape")  # of a tf.SparseTensor
# how tensorflow says that it has no kernel for a dtype, and that XLA has none
REFUSALS = ("is not in the list of allowed values", "Could not find device for node", "No OpKernel was registered")
NOT_IN_XLA = re.compile(r"No registered '\w+' OpKernel for XLA_\w+ devices")
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


@dataclass
class Loss:
    """A call of tensorflow: the function (a name: the one below `tf`), and its arguments by its own names."""

    function: str | Callable[..., Any]
    names: Mapping[str, str]  # of the spec's inputs
    arrays: dict[str, Array]
    reduction: str = "none"  # of the losses that it returns
    static: dict[str, Any] = field(default_factory=dict)  # what `tf.function` bakes in
    classes_last: bool = False


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
    _without(call, label_smoothing=0)
    if (loss.arrays["labels"] == operator.index(call.parameters["ignore_index"])).any():
        raise Unsupported(f"tf.{loss.function} ignores no label")
    if loss.arrays["logits"].ndim > 1:
        loss.arrays["logits"], loss.classes_last = np.moveaxis(loss.arrays["logits"], 1, -1), True


def _poisson_nll(call: Call, loss: Loss) -> None:
    _without(call, log_input=True)
    loss.static["compute_full_loss"] = call.parameters["full"]


def _ctc(call: Call, loss: Loss) -> None:
    _without(call, zero_infinity=False)
    if call.parameters["reduction"] == "mean":
        raise Unsupported("tf.nn.ctc_loss divides by no length, and the mean is one of losses over their lengths")
    labels, lengths = loss.arrays.pop("labels"), loss.arrays.pop("label_length")
    if loss.arrays["logits"].ndim != 3 or labels.ndim != 2:
        raise Unsupported("tf.nn.ctc_loss takes a batch: logits of three axes, labels of two")
    if lengths.shape != labels.shape[:1] or ((lengths < 0) | (lengths > labels.shape[1])).any():
        raise Unsupported("the labels of tf.nn.ctc_loss, a tf.SparseTensor, are as many as there are")
    there = np.arange(labels.shape[1]) < lengths[:, None]
    loss.arrays["logit_length"] = _int32(loss.arrays["logit_length"])
    sparse = np.argwhere(there), _int32(labels[there]), np.array(labels.shape)
    loss.arrays |= dict(zip(SPARSE, sparse, strict=True))
    loss.static |= {"blank_index": call.parameters["blank"], "label_length": None}


def _int32(array: Array) -> Array:
    """The integers as ctc_loss takes them; those that int32 does not hold, as they are."""
    narrow = array.astype(np.int32)
    return narrow if (narrow == array).all() else array


@dataclass(frozen=True)
class Native:
    """A function of tensorflow: its names for the inputs, those it differentiates, and what else a call of it takes."""

    function: str
    names: dict[str, str]
    gradients: tuple[str, ...] = ("input", "target")
    add: Callable[[Call, Loss], None] = lambda call, loss: None
    mean: str = ""  # what v1 calls the spec's; "" where the caller reduces
    differences: tuple[Difference, ...] = ()


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


class Adapter:
    """`tf.nn` and `tf.compat.v1.losses`, on one device and one thread."""

    name = "tensorflow"
    compiling = 0.0  # seconds so far

    def __init__(self) -> None:
        self._refused: dict[tuple[Any, ...], str] = {}  # in whatever shapes: what was traced, of which dtypes
        gpus = tf.config.list_physical_devices("GPU")
        self._devices = {"cpu": "CPU", "cuda": "GPU"} if gpus else {"cpu": "CPU"}
        with contextlib.suppress(RuntimeError):  # it runs already, as it was told then
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)

    def environment(self) -> Environment:
        """tensorflow's version, the devices it sees, and what can change the bits of a result."""
        flushed = tuple(filter(_flushes_subnormals, DTYPES))
        return Environment(
            versions={"tensorflow": tf.__version__},
            devices=tuple(self._devices),
            dtypes=DTYPES,
            modes=MODES,
            compiles=tuple(TRACED),
            dialect="tensorflow",
            flushes_subnormals=flushed,
            cotangents=True,
            details={
                "threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
                "flush denormal": " ".join(flushed),
                "cpu features": cpu_features(),
                **{name: os.environ.get(name, "") for name in SETTINGS},
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The function of tensorflow for `criterion`."""
        native = FUNCTIONS.get(criterion)
        return None if native is None else Binding(f"tf.{native.function}", native.differences, native.gradients)

    def _traced(self, *fixed: Any) -> Callable[..., tuple[Any, Any]]:
        """`tf.function`, and how long it takes where it traces, and XLA where it compiles."""

        def timed(*given: Any) -> tuple[Any, Any]:
            function, start = _compiled(*fixed), time.perf_counter()
            before = function.experimental_get_tracing_count()
            found = function(*given)
            self.compiling += (time.perf_counter() - start) * (function.experimental_get_tracing_count() > before)
            return found  # type: ignore[no-any-return,unused-ignore]

        return timed

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        if call.device not in self._devices or call.mode not in MODES:
            raise Unsupported(f"tensorflow runs {', '.join(MODES)}, on {' and '.join(self._devices)} here")
        loss = _formula(call) if call.mode == "formula" else _loss(call)
        wrt = tuple(loss.names[name] for name in call.wrt)
        fixed: tuple[Any, ...] = loss.function, loss.reduction, wrt, *loss.static.items()
        seeds = [] if call.cotangent is None else [call.cotangent]
        key = (call.device, call.mode, *fixed, *(x.dtype for x in loss.arrays.values())) if call.mode in TRACED else ()
        if refusal := self._refused.get(key):
            raise Unsupported(refusal)
        try:
            with tf.device(self._devices[call.device]):
                given = tf.nest.map_structure(tf.constant, (loss.arrays, seeds))
                value, gradients = (self._traced(call.mode, *fixed) if key else _answer(*fixed))(*given)
        except tf.errors.OpError as error:
            if refusal := _refusal(error):
                self._refused |= {key: refusal} if key else {}
                raise Unsupported(refusal) from error
            raise
        found = {name: item.numpy() for name, item in zip(call.wrt, gradients, strict=True)}
        if loss.classes_last:
            found = {name: np.moveaxis(array, -1, 1) for name, array in found.items()}
        return Output(value.numpy(), found)


def _refusal(error: Any) -> str:
    """What tensorflow says that it has no kernel for; "" where it fails."""
    if missing := NOT_IN_XLA.search(error.message):
        return missing[0]  # around it are names of functions, numbered in this process
    return error.message.partition("\n")[0] if any(refusal in str(error) for refusal in REFUSALS) else ""


def _formula(call: Call) -> Loss:
    names = {name: name for name in call.inputs}
    return Loss(function_of(call), names, dict(call.inputs), static=dict(call.parameters))


def _loss(call: Call) -> Loss:
    native, reduction = FUNCTIONS.get(call.criterion), call.parameters.get("reduction", "none")
    if native is None:
        raise Unsupported(f"tensorflow {tf.__version__} has no function for {call.criterion}")
    if extra := call.inputs.keys() - native.names.keys():
        raise Unsupported(f"tf.{native.function} takes no {' and no '.join(sorted(extra))}")
    if not native.mean and reduction not in ("none", "sum", "mean"):
        raise Unsupported(f"tensorflow has no reduction {reduction!r}")
    arrays = {native.names[name]: array for name, array in call.inputs.items()}
    loss = Loss(native.function, native.names, arrays, reduction)
    if native.mean:
        loss.static["reduction"] = {"sum": "weighted_sum", "mean": native.mean}.get(reduction, reduction)
        loss.reduction = "none"
    native.add(call, loss)
    return loss


def _without(call: Call, **plain: Any) -> None:
    for name, value in plain.items():
        if call.parameters[name] != value:
            raise Unsupported(f"tf.{FUNCTIONS[call.criterion].function} has no {name}")


def _answer(
    function: str | Callable[..., Any], reduction: str, wrt: tuple[str, ...], *static: Any
) -> Callable[..., tuple[Any, Any]]:
    """What gives the value, and the gradients by the arguments in `wrt`."""
    called = operator.attrgetter(function)(tf) if isinstance(function, str) else function

    def answer(given: dict[str, Any], seeds: list[Any]) -> tuple[Any, Any]:
        arguments = {**given, **dict(static)}
        if SPARSE[0] in given:
            arguments["labels"] = tf.SparseTensor(*(arguments.pop(name) for name in SPARSE))
        with tf.GradientTape() as tape:
            tape.watch([given[name] for name in wrt])
            value = called(**arguments)
            value = value if reduction == "none" else getattr(tf, f"reduce_{reduction}")(value)
        # the losses of v1 are float32, whatever they are given
        gradients = tape.gradient(value, [given[name] for name in wrt], *(tf.cast(seed, value.dtype) for seed in seeds))
        for name, gradient in zip(wrt, gradients, strict=True):
            if gradient is None:
                raise RuntimeError(f"tensorflow gave no gradient for {name!r}: {called.__name__} cuts it off")
        return value, [tf.convert_to_tensor(gradient) for gradient in gradients]  # of tf.gather: tf.IndexedSlices

    return answer


@functools.cache
def _compiled(mode: str, *fixed: Any) -> Any:
    return tf.function(_answer(*fixed), autograph=False, jit_compile=TRACED[mode])


def _flushes_subnormals(dtype: str) -> bool:
    """Whether twice the smallest number of a dtype is 0, in any mode."""
    finfo: Any = ml_dtypes.finfo  # untyped
    smallest = tf.constant(np.array(finfo(tf.as_dtype(dtype).as_numpy_dtype).smallest_subnormal))
    traced = (tf.function(tf.add, autograph=False, jit_compile=jit) for jit in TRACED.values())
    return any(bool(add(smallest, smallest) == 0) for add in (tf.add, *traced))
