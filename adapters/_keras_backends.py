"""What keras leaves to its backends: value and gradients of a function, op by op or compiled, and arrays of them."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from conformance.adapter.executables import Executables
from conformance.adapter.traces import Traces

Array = NDArray[Any]
Losses = Callable[[dict[str, Any]], Any]  # the value, of tensors by keras's names


class Torch:
    """torch: eager mode, `torch.autograd`."""

    modes, compiles, traced, compiling = ("eager", "formula"), (), (), 0.0

    def __init__(self) -> None:
        self._torch = importlib.import_module("torch")
        self._torch.set_num_threads(1)
        self.versions, self.has_gpu = {"torch": self._torch.__version__}, self._torch.cuda.is_available()
        self.settings = {
            "float32 matmul precision": self._torch.get_float32_matmul_precision(),
            "deterministic algorithms": str(self._torch.are_deterministic_algorithms_enabled()).lower(),
        }

    def in_dtype(self, dtype: str) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def answer(self, value_of: Losses, wrt: tuple[str, ...], given: dict[str, Any], seed: Any) -> tuple[Any, Any]:
        tensors = [given[name].requires_grad_() for name in wrt]
        value = value_of(given)
        if not value.requires_grad:
            return value, [None] * len(wrt)
        seed = self._torch.ones_like(value) if seed is None else seed.to(value.dtype)
        return value, self._torch.autograd.grad(value, tensors, seed, allow_unused=True) if wrt else ()

    def array(self, tensor: Any) -> Array:
        tensor = tensor.detach().cpu()
        if tensor.dtype == self._torch.bfloat16:
            return tensor.view(self._torch.int16).numpy().view(ml_dtypes.bfloat16)  # type: ignore[no-any-return]
        return tensor.numpy()  # type: ignore[no-any-return]


class Jax:
    """jax: op by op or under `jax.jit`, `jax.vjp`; float64 with `jax_enable_x64`, the other dtypes without."""

    modes = compiles = ("eager", "compiled", "formula")
    traced = ("compiled", "formula")  # op by op, a formula's every new shape takes seconds

    def __init__(self) -> None:
        self._jax = importlib.import_module("jax")
        self._executables = Executables()
        self.versions = {"jax": self._jax.__version__, "jaxlib": self._jax.lib.__version__}
        self.has_gpu = any(device.platform == "gpu" for device in self._jax.devices())
        self.settings = {"matmul precision": str(self._jax.config.jax_default_matmul_precision)}

    @property
    def compiling(self) -> float:
        return self._executables.compiling

    def in_dtype(self, dtype: str) -> contextlib.AbstractContextManager[object]:
        self._executables.let_go()
        return self._jax.enable_x64(dtype == "float64")  # type: ignore[no-any-return]

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self._jax.jit(function)  # type: ignore[no-any-return]

    def answer(self, value_of: Losses, wrt: tuple[str, ...], given: dict[str, Any], seed: Any) -> tuple[Any, Any]:
        value, pull = self._jax.vjp(lambda some: value_of({**given, **some}), {name: given[name] for name in wrt})
        found = pull(self._jax.numpy.ones_like(value) if seed is None else seed.astype(value.dtype))[0]
        return value, [found[name] for name in wrt]

    def array(self, tensor: Any) -> Array:
        return np.asarray(tensor)


class TensorFlow:
    """tensorflow: op by op or traced by `tf.function`, `tf.GradientTape`."""

    modes, compiles, traced = ("eager", "compiled", "formula"), ("compiled",), ("compiled",)

    def __init__(self) -> None:
        self._tf, self._traces = importlib.import_module("tensorflow"), Traces()
        self.versions = {"tensorflow": self._tf.__version__}
        self.has_gpu = bool(self._tf.config.list_physical_devices("GPU"))
        self.settings = {"TF32": str(self._tf.config.experimental.tensor_float_32_execution_enabled()).lower()}
        with contextlib.suppress(RuntimeError):  # it runs already, as it was told then
            self._tf.config.threading.set_intra_op_parallelism_threads(1)
            self._tf.config.threading.set_inter_op_parallelism_threads(1)

    @property
    def compiling(self) -> float:
        return self._traces.compiling

    def in_dtype(self, dtype: str) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self._traces.traced(function)

    def answer(self, value_of: Losses, wrt: tuple[str, ...], given: dict[str, Any], seed: Any) -> tuple[Any, Any]:
        by = [given[name] for name in wrt]
        with self._tf.GradientTape() as tape:
            tape.watch(by)
            value = value_of(given)
        found = tape.gradient(value, by, None if seed is None else self._tf.cast(seed, value.dtype))
        return value, [None if item is None else self._tf.convert_to_tensor(item) for item in found]

    def array(self, tensor: Any) -> Array:
        return tensor.numpy()  # type: ignore[no-any-return]


BACKENDS: Mapping[str, Any] = {"torch": Torch, "jax": Jax, "tensorflow": TensorFlow}
