"""mlx: the losses of `mlx.nn.losses`, and formulas, on the CPU, op by op.

`mx.compile` is left out: on the CPU it has a C++ compiler make each kernel anew, with real parameters as constants in
it (docs/decisions/033-mlx.md).
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import mlx.core as mx
import numpy as np
from mlx.nn import losses
from numpy.typing import NDArray

from conformance import Binding, Call, Environment, Output, Unsupported, cpu_features
from conformance.adapter.losses import formula_of

from ._mlx_losses import FUNCTIONS, loss_of

Array = NDArray[Any]
MODES = ("eager", "formula")


class Adapter:
    """`mlx.nn.losses` on the CPU."""

    name = "mlx"

    def environment(self) -> Environment:
        """The version, and what of the machine can change a result."""
        flushes = _flushes_subnormals()
        return Environment(
            versions={"mlx": mx.__version__},
            dtypes=("float64", "float32", "bfloat16", "float16"),
            modes=MODES,
            dialect="mlx",
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
        if call.device != "cpu" or call.mode not in MODES:
            raise Unsupported(f"mlx runs {' and '.join(MODES)}, on the CPU")
        loss = formula_of(call) if call.mode == "formula" else loss_of(call)
        function = getattr(losses, loss.function) if isinstance(loss.function, str) else loss.function
        with mx.stream(mx.cpu):
            arrays = {name: _array(array) for name, array in loss.arrays.items()}
            wrt = [loss.names[name] for name in call.wrt]

            def called(*given: mx.array) -> mx.array:
                return function(**{**arrays, **dict(zip(wrt, given, strict=True))}, **loss.static)

            value = called(*(arrays[name] for name in wrt))
            if not wrt:
                return Output(_numpy(value))
            seed = mx.ones_like(value) if call.cotangent is None else _array(call.cotangent)
            (value,), gradients = mx.vjp(called, [arrays[name] for name in wrt], [seed])
            return Output(_numpy(value), {name: _numpy(item) for name, item in zip(call.wrt, gradients, strict=True)})


def _array(array: Array) -> mx.array:
    return mx.array(array, mx.float64) if array.dtype == np.float64 else mx.array(array)  # else it makes float32 of it


def _numpy(array: mx.array) -> Array:
    if array.dtype == mx.bfloat16:
        bits: Array = np.array(array.view(mx.uint16))
        return bits.view(ml_dtypes.bfloat16)
    return np.array(array)


def _flushes_subnormals() -> bool:
    return bool((_array(np.array(np.finfo(np.float32).smallest_subnormal)) * 1).item() == 0)
