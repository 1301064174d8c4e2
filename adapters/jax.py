"""jax: the losses of optax, eager and under `jax.jit`, and formulas under `jax.jit`; jax has no losses of its own.

optax returns losses, and whoever calls it takes their `.sum()` or `.mean()`; so does this adapter, and no more:
weights, smoothed labels and other divisors would be mathematics of its own (docs/decisions/025-jax.md).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from conformance import Binding, Call, Environment, Output, Unsupported, cpu_features
from conformance.adapter.executables import Executables
from conformance.adapter.losses import formula_of

from ._jax_losses import FUNCTIONS, loss_of

MODES = ("eager", "compiled", "formula")
DTYPES = ("float64", "float32", "bfloat16", "float16")


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
        flushes = {mode: [dtype for dtype in DTYPES if _flushes_subnormals(mode, dtype)] for mode in MODES[:2]}
        return Environment(
            versions={"optax": optax.__version__, "jax": jax.__version__, "jaxlib": jax.lib.__version__},
            devices=tuple(self._devices),
            dtypes=DTYPES,
            modes=MODES,
            compiles=MODES,
            dialect="jax",
            flushes_subnormals=tuple(dtype for dtype in DTYPES if any(dtype in each for each in flushes.values())),
            cotangents=True,
            details={
                "flush denormal": ", ".join(f"{mode} {' '.join(each) or 'none'}" for mode, each in flushes.items()),
                "cpu features": cpu_features(),
                "devices": ", ".join(f"{name} {device.device_kind}" for name, device in self._devices.items()),
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
            raise Unsupported(f"jax runs {', '.join(MODES)}, on {' and '.join(self._devices)} here")
        self._executables.let_go()
        loss = formula_of(call) if call.mode == "formula" else loss_of(call)
        wrt = tuple(loss.names[name] for name in call.wrt)
        fixed = (loss.function, tuple(loss.static.items()), loss.reduction, wrt)
        answer = functools.partial(_answer, *fixed) if call.mode == "eager" else _compiled(*fixed)
        with jax.enable_x64(call.dtype == "float64"), jax.default_device(self._devices[call.device]):
            arrays, seed = jax.tree.map(jnp.asarray, (loss.arrays, call.cotangent))
            value, gradients = answer(arrays, loss.traced, seed)
            found = {name: np.asarray(gradients[loss.names[name]]) for name in call.wrt}
            if loss.batch_second:
                found = {name: np.swapaxes(array, 0, 1) for name, array in found.items()}
            return Output(np.asarray(value), found)


def _answer(
    function: str | Callable[..., Any],
    static: Any,
    reduction: str,
    wrt: tuple[str, ...],
    arrays: Any,
    traced: Any,
    seed: Any,
) -> tuple[Any, Any]:
    """The value, and the gradients by the arrays in `wrt`, as `jax.vjp` gives them."""
    called = getattr(optax.losses, function) if isinstance(function, str) else function

    def losses(given: Any) -> Any:
        found = called(**{**arrays, **given}, **traced, **dict(static))
        where = {"where": arrays["where"]} if "where" in arrays and "mean" in reduction else {}
        return found if reduction == "none" else getattr(found, reduction.removeprefix("batch"))(**where)

    if not wrt:
        return losses({}), {}
    value, pull = jax.vjp(losses, {name: arrays[name] for name in wrt})
    return value, pull(jnp.ones_like(value) if seed is None else seed.astype(value.dtype))[0]


@functools.cache
def _compiled(*fixed: Any) -> Callable[..., tuple[Any, Any]]:
    return jax.jit(functools.partial(_answer, *fixed))  # type: ignore[no-any-return,unused-ignore]


def _flushes_subnormals(mode: str, dtype: str) -> bool:
    """Whether twice the smallest number is 0: not in float16, of which XLA makes float32 on the CPU."""
    double = jax.jit(lambda x: x + x) if mode == "compiled" else lambda x: x + x
    with jax.enable_x64(dtype == "float64"):
        return bool(double(jnp.asarray(jnp.finfo(dtype).smallest_subnormal, dtype)) == 0)
