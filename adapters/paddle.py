"""paddle: `paddle.nn.functional`, and formulas, in dynamic mode, in float64 and float32, which the CPU has, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray

from conformance import Binding, Call, Environment, Output, Unsupported, cpu_features
from conformance.adapter.losses import formula_of

from ._paddle_losses import FUNCTIONS, loss_of

MODES = ("eager", "formula")
PLACES = {"cpu": "cpu", "cuda": "gpu:0"}  # paddle's words for devices


class Adapter:
    """`paddle.nn.functional` in dynamic mode, on one device; on the CPU, on one thread."""

    name = "paddle"

    def __init__(self) -> None:
        has_gpu = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
        self._devices = ("cpu", "cuda") if has_gpu else ("cpu",)

    def environment(self) -> Environment:
        """The version, the devices that paddle sees, and what of its state can change a result."""
        flushes = _flushes_subnormals()
        return Environment(
            versions={"paddlepaddle": paddle.__version__},
            devices=self._devices,
            modes=MODES,
            dialect="paddle",
            flushes_subnormals=flushes,
            cotangents=True,
            details={
                "flush denormal": str(flushes).lower(),
                "cpu features": cpu_features(),
                "compiled with MKLDNN": str(paddle.base.core.is_compiled_with_mkldnn()).lower(),
                "CUDA": str(paddle.version.cuda()).lower(),
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The function of paddle for `criterion`."""
        native = FUNCTIONS.get(criterion)
        if native is None or not hasattr(F, native.function):
            return None
        return Binding(f"paddle.nn.functional.{native.function}", native.differences, native.gradients)

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        if call.device not in self._devices or call.mode not in MODES:
            raise Unsupported(f"paddle runs {' and '.join(MODES)}, on {' and '.join(self._devices)} here")
        place = PLACES[call.device]
        paddle.set_device(place)  # of what the function makes itself
        is_formula = call.mode == "formula"
        loss = formula_of(call) if is_formula else loss_of(call)
        function = getattr(F, loss.function) if isinstance(loss.function, str) else loss.function
        tensors = {name: paddle.to_tensor(array, place=place) for name, array in loss.arrays.items()}
        wrt = [tensors[loss.names[name]] for name in call.wrt]
        for tensor in wrt:
            tensor.stop_gradient = False
        value = function(**tensors, **loss.static)
        if loss.ends_in_one and value.ndim:
            value = value.squeeze(-1)
        gradients = _gradients(value, dict(zip(call.wrt, wrt, strict=True)), call)
        if loss.classes_last:
            gradients = {name: np.moveaxis(array, -1, 1) for name, array in gradients.items()}
        return Output(value.numpy(), gradients)


def _gradients(value: paddle.Tensor, wrt: dict[str, paddle.Tensor], call: Call) -> dict[str, NDArray[Any]]:
    """What paddle gives; an input that the printed code of a formula does not look at has the gradient 0."""
    if not wrt:
        return {}
    seed = None if call.cotangent is None else [paddle.to_tensor(call.cotangent, place=value.place)]
    found = paddle.grad([value], [*wrt.values()], seed, allow_unused=True)
    is_formula = call.mode == "formula"
    whole = [paddle.zeros_like(x) if is_formula and g is None else g for x, g in zip(wrt.values(), found, strict=True)]
    return {name: item.numpy() for name, item in zip(wrt, whole, strict=True) if item is not None}


def _flushes_subnormals() -> bool:
    return bool((paddle.to_tensor(np.float32(1e-45)) * 1).item() == 0)
