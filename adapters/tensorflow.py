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
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf

from conformance import Binding, Call, Environment, Output, Unsupported, cpu_features
from conformance.adapter.losses import formula_of
from conformance.adapter.traces import Traces

from ._tensorflow_losses import FUNCTIONS, SPARSE, loss_of

DTYPES = ("float64", "float32", "bfloat16", "float16")
TRACED = ("compiled", "xla")
MODES = ("eager", *TRACED, "formula")
SETTINGS = ("TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "TF_XLA_FLAGS", "TF_DETERMINISTIC_OPS")
# how tensorflow says that it has no kernel for a dtype, and that XLA has none
REFUSALS = ("is not in the list of allowed values", "Could not find device for node", "No OpKernel was registered")
NOT_IN_XLA = re.compile(r"No registered '\w+' OpKernel for XLA_\w+ devices")


class Adapter:
    """`tf.nn` and `tf.compat.v1.losses`, on one device and one thread."""

    name = "tensorflow"

    def __init__(self) -> None:
        self._traces = Traces()
        self._traced = functools.cache(lambda mode, *fixed: self._traces.traced(_answer(*fixed), by_xla=mode == "xla"))
        self._refused: dict[tuple[Any, ...], str] = {}  # in whatever shapes: what was traced, of which dtypes
        self._gpus = tf.config.list_physical_devices("GPU")
        self._devices = {"cpu": "CPU", "cuda": "GPU"} if self._gpus else {"cpu": "CPU"}
        with contextlib.suppress(RuntimeError):  # it runs already, as it was told then
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            for gpu in self._gpus:
                tf.config.experimental.set_memory_growth(gpu, True)

    @property
    def compiling(self) -> float:
        """The seconds spent compiling so far."""
        return self._traces.compiling

    def environment(self) -> Environment:
        """tensorflow's version, the devices it sees, and what can change the bits of a result."""
        flushed = tuple(filter(self._flushes_subnormals, DTYPES))
        return Environment(
            versions={"tensorflow": tf.__version__},
            devices=tuple(self._devices),
            dtypes=DTYPES,
            modes=MODES,
            compiles=TRACED,
            dialect="tensorflow",
            flushes_subnormals=flushed,
            cotangents=True,
            details={
                "threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
                "flush denormal": " ".join(flushed),
                "cpu features": cpu_features(),
                "TF32": str(tf.config.experimental.tensor_float_32_execution_enabled()).lower(),
                "GPU": ", ".join(tf.config.experimental.get_device_details(gpu)["device_name"] for gpu in self._gpus),
                **{name: os.environ.get(name, "") for name in SETTINGS},
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The function of tensorflow for `criterion`."""
        native = FUNCTIONS.get(criterion)
        return None if native is None else Binding(f"tf.{native.function}", native.differences, native.gradients)

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        if call.device not in self._devices or call.mode not in MODES:
            raise Unsupported(f"tensorflow runs {', '.join(MODES)}, on {' and '.join(self._devices)} here")
        loss = formula_of(call) if call.mode == "formula" else loss_of(call)
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

    def _flushes_subnormals(self, dtype: str) -> bool:
        """Whether twice the smallest number of a dtype is 0, in any mode."""
        finfo: Any = ml_dtypes.finfo  # untyped
        smallest = tf.constant(np.array(finfo(dtype).smallest_subnormal))
        ways = (tf.add, *(self._traces.traced(tf.add, by_xla=mode == "xla") for mode in TRACED))
        return any(bool(add(smallest, smallest) == 0) for add in ways)


def _refusal(error: Any) -> str:
    """What tensorflow says that it has no kernel for; "" where it fails."""
    if missing := NOT_IN_XLA.search(error.message):
        return missing[0]  # around it are names of functions, numbered in this process
    return error.message.partition("\n")[0] if any(refusal in str(error) for refusal in REFUSALS) else ""


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
