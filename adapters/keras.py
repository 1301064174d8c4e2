"""keras: its losses on torch, jax or tensorflow: `keras:torch`, `keras:jax`, `keras:tensorflow`, one in a process.

A loss of keras is a mean over the last axis, and whoever wants each number's own gives it an axis of one to be the mean
of. Its class reduces, and weighs samples; an operation more would be mathematics of ours (docs/decisions/031-keras.md).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import operator
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from conformance import Binding, Call, Environment, Output, Unsupported, cpu_features

from ._keras_backends import BACKENDS
from ._keras_losses import FUNCTIONS, native_of

VARIANTS = ("torch", "jax", "tensorflow")
DTYPES = ("float64", "float32", "bfloat16", "float16")
PLACES = {"cpu": "cpu:0", "cuda": "gpu:0"}  # keras's words for devices
EPSILON = 1e-7  # keras's own, of which a criterion without an `eps` knows nothing
CALLED = ("y_true", "y_pred", "sample_weight")  # by a loss; what else there is goes to its constructor


class Adapter:
    """`keras.losses` on one backend, op by op or compiled, with the call's `dtype` and a wide `floatx`."""

    def __init__(self, backend: str = "") -> None:
        if backend and "keras" not in sys.modules:
            os.environ["KERAS_BACKEND"] = backend
        self._keras = importlib.import_module("keras")
        here = self._keras.backend.backend()
        if here != (backend or here) or here not in BACKENDS:
            raise RuntimeError(f"keras runs on {here} in this process, and on one of its backends only")
        self.name = f"keras:{here}"
        self._backend = BACKENDS[here]()
        self._devices = ("cpu", "cuda") if self._backend.has_gpu else ("cpu",)
        self._answer = functools.cache(self._answered)

    @property
    def compiling(self) -> float:
        """The seconds spent compiling so far."""
        return float(self._backend.compiling)

    def environment(self) -> Environment:
        """The versions, keras's first, and what can change the bits of a result."""
        flushes = tuple(dtype for dtype in DTYPES if self._flushes_subnormals(dtype))
        return Environment(
            versions={"keras": self._keras.__version__, **self._backend.versions},
            devices=self._devices,
            dtypes=DTYPES,
            modes=self._backend.modes,
            compiles=self._backend.compiles,
            dialect="keras",
            flushes_subnormals=flushes,
            cotangents=True,
            details={
                "flush denormal": " ".join(flushes),
                "cpu features": cpu_features(),
                **self._backend.settings,
                **{name: os.environ.get(name, "") for name in ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")},
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The loss of keras for `criterion`."""
        native = FUNCTIONS.get(criterion)
        return None if native is None else Binding(f"keras.{native.function}", native.differences)

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        if call.device not in self._devices or call.mode not in self._backend.modes:
            where = " and ".join(self._devices)
            raise Unsupported(f"{self.name} runs {' and '.join(self._backend.modes)}, on {where} here")
        native, loss = native_of(call)
        wrt = tuple(native.names[name] for name in call.wrt)
        epsilon = call.parameters.get("eps", EPSILON)
        fixed = (native.function, call.mode, call.dtype, loss.reduction, epsilon, wrt, tuple(loss.options.items()))
        place = self._keras.device(PLACES[call.device])
        with place, self._backend.in_dtype(call.dtype), self._settings(call.dtype, epsilon):
            given = {name: self._keras.ops.convert_to_tensor(array) for name, array in loss.arrays.items()}
            seed = None if call.cotangent is None else self._keras.ops.convert_to_tensor(call.cotangent)
            value, gradients = self._answer(*fixed)(given, seed)
            found = {}
            for name, gradient in zip(call.wrt, gradients, strict=True):
                if gradient is None and call.mode != "formula":
                    raise RuntimeError(f"keras gave no gradient for {name!r}: {native.function} cuts it off")
                # An input that the printed code does not look at has the gradient 0.
                array = np.zeros_like(call.inputs[name]) if gradient is None else self._backend.array(gradient)
                found[name] = native.layout.back(array) if name in native.layout.of else array
            return Output(self._backend.array(value), found)

    @contextlib.contextmanager
    def _settings(self, dtype: str, epsilon: float) -> Iterator[None]:
        """keras's own settings for a call: whoever uses float64 says so, and half precision is advised against."""
        config = self._keras.config
        before = config.floatx(), config.epsilon()
        try:
            config.set_floatx("float64" if dtype == "float64" else "float32")
            config.set_epsilon(epsilon)
            yield
        finally:
            config.set_floatx(before[0])
            config.set_epsilon(before[1])

    def _answered(
        self,
        function: str | Callable[..., Any],
        mode: str,
        dtype: str,
        reduction: str | None,
        epsilon: float,  # in the settings; here, so that it is part of what is compiled
        wrt: tuple[str, ...],
        options: tuple[tuple[str, Any], ...],
    ) -> Callable[..., tuple[Any, Sequence[Any]]]:
        """What gives the value, and the gradients by the arrays in `wrt`, of the arrays of a call and a cotangent."""
        called = operator.attrgetter(function)(self._keras) if isinstance(function, str) else function

        def value_of(arrays: dict[str, Any]) -> Any:
            if not isinstance(called, type):
                losses = called(**arrays, **dict(options))
                return losses if reduction is None else self._keras.ops.sum(losses)
            more = {name: array for name, array in arrays.items() if name not in CALLED}
            loss = called(reduction=reduction, dtype=dtype, **more, **dict(options))
            return loss(**{name: array for name, array in arrays.items() if name in CALLED})

        answer = functools.partial(self._backend.answer, value_of, wrt)
        return self._backend.compiled(answer) if mode in self._backend.traced else answer

    def _flushes_subnormals(self, dtype: str) -> bool:
        """Whether twice the smallest number of a dtype is 0, in any mode."""
        finfo: Any = ml_dtypes.finfo  # untyped
        smallest = np.array(finfo(dtype).smallest_subnormal)

        def double(tensor: Any) -> Any:
            return tensor + tensor

        ways = [double, *([self._backend.compiled(double)] if "compiled" in self._backend.modes else [])]
        with self._keras.device("cpu:0"), self._backend.in_dtype(dtype):
            tensor = self._keras.ops.convert_to_tensor(smallest)
            return any(not self._backend.array(way(tensor)) for way in ways)
