"""torch: `torch.nn.functional`, eager, and the modules of `torch.nn` that call it. The specs bear torch's own names."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from conformance import Binding, Call, Environment, Output, Unsupported
from conformance.adapter.formula import function_of

from ._torch_calls import arguments_of, held_by_module, unpadded, written
from ._torch_compiler import Compiler, refusal_of
from ._torch_functions import DIFFERENCES, FUNCTIONS
from ._torch_settings import flushes_subnormals, settings

try:
    import ml_dtypes
except ModuleNotFoundError:  # in the environment of an older torch
    ml_dtypes = None  # type: ignore[assignment,unused-ignore]

BFLOAT16 = None if ml_dtypes is None else np.dtype(ml_dtypes.bfloat16)
DTYPES = ("float64", "float32", *(() if BFLOAT16 is None else ("bfloat16",)), "float16")
MODES = ("eager", "formula", "module", "compiled")


class Adapter:
    """`torch.nn.functional` and `torch.nn`, on one thread."""

    name = "torch"

    def __init__(self) -> None:
        self._devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
        self._functions = {criterion: getattr(F, name, None) for criterion, (name, *_) in FUNCTIONS.items()}
        self._compiler = Compiler()
        self._modes = MODES if self._compiler.path else MODES[:-1]

    @property
    def compiling(self) -> float:
        """The seconds spent compiling so far."""
        return self._compiler.seconds

    def environment(self) -> Environment:
        """torch's version, the devices it sees, and what of its state can change a result."""
        torch.set_num_threads(1)
        flushes = flushes_subnormals()
        return Environment(
            versions={"torch": torch.__version__},
            devices=self._devices,
            dtypes=DTYPES,
            modes=self._modes,
            same=("module",),
            costly=("compiled",),
            dialect="torch",
            flushes_subnormals=flushes,
            cotangents=True,
            details={
                **settings(),
                "flush denormal": str(flushes).lower(),
                "C++ compiler": self._compiler.path or "none, so no mode compiled",
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The function of `torch.nn.functional` for `criterion`."""
        if self._functions.get(criterion) is None:
            return None
        function, _, gradients = FUNCTIONS[criterion]
        return Binding(f"torch.nn.functional.{function}", DIFFERENCES.get(criterion, ()), tuple(gradients.split()))

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        function = function_of(call) if call.mode == "formula" else self._functions.get(call.criterion)
        if function is None:
            raise Unsupported(f"torch {torch.__version__} has no function for {call.criterion}")
        if call.device not in self._devices or call.mode not in self._modes:
            raise Unsupported(f"torch runs {', '.join(self._modes)}, on {' and '.join(self._devices)} here")
        named, parameters = arguments_of(call)
        held = held_by_module(call, named, parameters)
        torch.set_num_threads(1)
        inputs = {name: _tensor(array, call.device) for name, array in unpadded(call).items()}
        try:
            wrt = [inputs[name].requires_grad_() for name in call.wrt]
            if call.mode == "module":
                module = getattr(torch.nn, FUNCTIONS[call.criterion][1])
                function, parameters = module(**{name: inputs[name] for name in held}, **parameters), {}
            is_compiled = call.mode == "compiled"
            function = self._compiler.compiled(call.criterion, function) if is_compiled else function
            given = {named[name]: tensor for name, tensor in inputs.items() if name not in held}
            with self._compiler.timed() if is_compiled else contextlib.nullcontext():
                value = function(**given, **parameters)
                gradients = _gradients(value, wrt, call)
        except (RuntimeError, NotImplementedError) as error:
            if refusal := refusal_of(error):
                raise Unsupported(refusal) from error
            raise
        for name, gradient in zip(call.wrt, gradients, strict=True):
            if gradient is None:
                raise RuntimeError(f"torch gave no gradient for {name!r}: {call.criterion} cuts it off")
        return Output(_array(value), {name: _array(item) for name, item in zip(call.wrt, gradients, strict=True)})

    def script(self, call: Call) -> str:
        """The call as one writes it in torch; `$NAME` stands for the numbers of an input (docs/adapters.md)."""
        return written(call)


def _gradients(value: torch.Tensor, wrt: list[torch.Tensor], call: Call) -> tuple[torch.Tensor | None, ...]:
    is_formula = call.mode == "formula"  # an input that the printed code does not look at has the gradient 0
    if not value.requires_grad:
        return tuple(torch.zeros_like(tensor) if is_formula else None for tensor in wrt)
    seed = torch.ones_like(value) if call.cotangent is None else _tensor(call.cotangent, call.device)
    gradients: tuple[torch.Tensor | None, ...] = torch.autograd.grad(
        value, wrt, seed, allow_unused=True, materialize_grads=is_formula
    )
    return gradients


def _tensor(array: NDArray[Any], device: str) -> torch.Tensor:
    """The array's own memory, strides and all: what torch does to its inputs shows. A copy where torch takes none."""
    if not array.flags.writeable or (array.ndim and min(array.strides) < 0):
        array = array.copy()
    if BFLOAT16 is not None and array.dtype == BFLOAT16:
        tensor = torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    else:
        tensor = torch.from_numpy(array)
    return tensor if device == "cpu" else tensor.to(device)


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16 and BFLOAT16 is not None:
        bits: NDArray[Any] = tensor.view(torch.int16).numpy()
        return bits.view(BFLOAT16)
    array: NDArray[Any] = tensor.numpy()
    return array
