"""torch: `torch.nn.functional`, eager, and the modules of `torch.nn` that call it. The specs bear torch's own names."""

from __future__ import annotations

import inspect
import os
import shutil
import sysconfig
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from conformance import Binding, Call, Environment, Output, Unsupported
from conformance.adapter.formula import function_of

from ._torch_functions import DIFFERENCES, FUNCTIONS, arguments_of

try:
    import ml_dtypes
except ModuleNotFoundError:  # in the environment of an older torch
    ml_dtypes = None  # type: ignore[assignment,unused-ignore]

# How torch says that it has no kernel, no derivative, or no compiler; the message then names what it has it not for.
REFUSALS = ("not implemented for", "is not implemented", "is not differentiable with respect", "supported on Python")

BFLOAT16 = None if ml_dtypes is None else np.dtype(ml_dtypes.bfloat16)
DTYPES = ("float64", "float32", *(() if BFLOAT16 is None else ("bfloat16",)), "float16")
MODES = ("eager", "formula", "module", "compiled")
MOST_HELD = 10_000  # compilations of a function; beyond its own limit, torch would go on eagerly, or stop


class Adapter:
    """`torch.nn.functional` and `torch.nn`, on one thread."""

    name = "torch"
    compiling = 0.0  # seconds so far

    def __init__(self) -> None:
        self._devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
        self._functions = {criterion: getattr(F, name, None) for criterion, (name, *_) in FUNCTIONS.items()}
        compiler = shutil.which(os.environ.get("CXX", "g++"))
        has_headers = os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h"))
        self._compiler = compiler if compiler and has_headers and hasattr(torch, "compile") else ""
        self._held: tuple[str, Callable[..., Any]] = ("", F.l1_loss)
        self._modes = MODES if self._compiler else MODES[:-1]

    def environment(self) -> Environment:
        """torch's version, the devices it sees, and what of its state can change a result."""
        torch.set_num_threads(1)
        flushes = _flushes_subnormals()
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
                "threads": str(torch.get_num_threads()),
                "flush denormal": str(flushes).lower(),
                "cpu capability": torch.backends.cpu.get_cpu_capability(),
                "C++ compiler": self._compiler or "none, so no mode compiled",
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
        held = _held(call, named, parameters)
        torch.set_num_threads(1)
        inputs = {name: _tensor(array, call.device) for name, array in _unpadded(call).items()}
        try:
            wrt = [inputs[name].requires_grad_() for name in call.wrt]
            if call.mode == "module":
                module = getattr(torch.nn, FUNCTIONS[call.criterion][1])
                function, parameters = module(**{name: inputs[name] for name in held}, **parameters), {}
            function = self._compiled(call.criterion, function) if call.mode == "compiled" else function
            given = {named[name]: tensor for name, tensor in inputs.items() if name not in held}
            stats = torch._dynamo.utils.counters["stats"] if call.mode == "compiled" else {}
            start, graphs = time.perf_counter(), stats.get("unique_graphs", 0)
            value = function(**given, **parameters)
            gradients = _gradients(value, wrt, call)
            self.compiling += (time.perf_counter() - start) * (stats.get("unique_graphs", 0) > graphs)
        except (RuntimeError, NotImplementedError) as error:
            if refusal := _refusal(error):
                raise Unsupported(refusal) from error
            raise
        for name, gradient in zip(call.wrt, gradients, strict=True):
            if gradient is None:
                raise RuntimeError(f"torch gave no gradient for {name!r}: {call.criterion} cuts it off")
        return Output(_array(value), {name: _array(item) for name, item in zip(call.wrt, gradients, strict=True)})

    def _compiled(self, criterion: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled whole for each shape and number; that of another criterion is let go."""
        if criterion == self._held[0]:
            return self._held[1]
        import torch._functorch.config
        import torch._inductor.config

        torch._dynamo.reset()
        torch._dynamo.config.cache_size_limit = torch._dynamo.config.accumulated_cache_size_limit = MOST_HELD
        # Of what earlier runs left on the disk, only libraries of the very same C++ are taken, no graphs.
        torch._inductor.config.fx_graph_cache = torch._functorch.config.enable_autograd_cache = False
        torch._inductor.config.compile_threads = 1
        self._held = criterion, torch.compile(lambda **given: function(**given), fullgraph=True, dynamic=False)
        return self._held[1]

    def script(self, call: Call) -> str:
        """The call as one writes it in torch; `$NAME` stands for the numbers of an input (docs/adapters.md)."""
        lines = ["import torch"]
        for name, array in _unpadded(call).items():
            numbers = array.tolist() if array.dtype.kind in "iub" else f"${name}"
            more = f".reshape{array.shape}" * (not array.size) + ".requires_grad_()" * (name in call.wrt)
            lines.append(f"{name} = torch.tensor({numbers}, dtype=torch.{array.dtype}){more}")
        named, parameters = arguments_of(call)
        held = _held(call, named, parameters)
        given = ", ".join(f"{named[name]}={name}" for name in call.inputs if name not in held)
        more = ", ".join([*(f"{name}={name}" for name in held), *(f"{name}={x!r}" for name, x in parameters.items())])
        function, module, _ = FUNCTIONS[call.criterion]
        plain = f"torch.nn.functional.{function}"
        called = f"torch.compile({plain}, fullgraph=True, dynamic=False)" if call.mode == "compiled" else plain
        whole = f"{called}({', '.join(filter(None, (given, more)))})"
        lines.append(f"value = {f'torch.nn.{module}({more})({given})' if call.mode == 'module' else whole}")
        got = f"torch.autograd.grad(value.sum(), {call.wrt[0]})[0]" if call.wrt else "value"
        return "\n".join([*lines, f"got = {got}.tolist()"])


def _refusal(error: Exception) -> str:
    """What torch says that it does not offer; "" where it fails."""
    said, kind = str(error).strip(), type(error)
    if kind.__module__ == "torch._dynamo.exc" and kind.__name__ in ("Unsupported", "UserError"):
        return f"torch.compile makes no graph of it: {' '.join(said.split())[:300]}"
    return said if any(refusal in said for refusal in REFUSALS) else ""


def _held(call: Call, named: Mapping[str, str], parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The inputs that the constructor of a call's module takes beside parameters; the others are for its call."""
    if call.mode != "module":
        return ()
    name = FUNCTIONS[call.criterion][1]
    if not hasattr(torch.nn, name):
        raise Unsupported(f"torch {torch.__version__} has no module {name}")
    module = getattr(torch.nn, name)
    constructor, forward = (inspect.signature(item).parameters for item in (module, module.forward))
    held = tuple(item for item in call.inputs if item in constructor)
    given = [item for item in (*call.inputs, *parameters) if item not in constructor]
    if extra := [item for item in given if named.get(item) not in forward]:
        raise Unsupported(f"torch.nn.{name} takes no {' and no '.join(extra)}")
    return held


def _unpadded(call: Call) -> Mapping[str, NDArray[Any]]:
    """A call's inputs; targets of one axis are, by the documentation of torch's own function, not padded."""
    targets = call.inputs.get("targets")
    if targets is None or targets.ndim != 1 or call.mode == "formula":
        return call.inputs
    length = call.inputs["target_lengths"]
    return {**call.inputs, "targets": targets[: int(length)] if length.ndim == 0 and length >= 0 else targets}


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


def _flushes_subnormals() -> bool:
    smallest = torch.tensor(np.finfo(np.float32).smallest_subnormal)
    return bool((smallest * 1 == 0).item())
