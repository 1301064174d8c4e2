"""Losses of a training loop in plain NumPy, gradients by hand, and their adapter: a template for one of your own.

PYTHONPATH=examples conformance check-adapter numpy_losses:NumpyLosses
PYTHONPATH=examples conformance run --framework numpy_losses:NumpyLosses
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance import Binding, Call, Environment, Output, Unsupported

Array = np.ndarray[Any, Any]

# The losses: each gives the elementwise loss, and its slopes by input.


def squared(input: Array, target: Array) -> tuple[Array, dict[str, Array]]:
    error = input - target
    return error**2, {"input": 2 * error, "target": -2 * error}


def huber(input: Array, target: Array, delta: float) -> tuple[Array, dict[str, Array]]:
    error = input - target
    slope = np.clip(error, -delta, delta)
    return np.where(abs(error) <= delta, error**2 / 2, delta * (abs(error) - delta / 2)), {
        "input": slope,
        "target": -slope,
    }


def logistic(input: Array, target: Array) -> tuple[Array, dict[str, Array]]:
    turned = -target.astype(input.dtype) * input
    small = np.exp(-abs(turned))
    share = np.where(turned >= 0, 1 / (1 + small), small / (1 + small))
    return np.maximum(turned, 0) + np.log1p(small), {"input": -target * share}


# The adapter: which criterion is which function, and what it does not take.

FUNCTIONS: dict[str, Callable[..., tuple[Array, dict[str, Array]]]] = {
    "mse": squared,
    "huber": huber,
    "soft_margin": logistic,
}


class NumpyLosses:
    name = "numpy_losses"

    def environment(self) -> Environment:
        return Environment(versions={"numpy_losses": "1.0", "numpy": np.__version__}, dtypes=("float64", "float32"))

    def binding(self, criterion: str) -> Binding | None:
        return Binding(f"numpy_losses.{FUNCTIONS[criterion].__name__}") if criterion in FUNCTIONS else None

    def run(self, call: Call) -> Output:
        given = dict(call.parameters)
        reduction = given.pop("reduction")
        if "weight" in call.inputs:
            raise Unsupported("these losses take no weight")
        if call.inputs["input"].shape != call.inputs["target"].shape:
            raise ValueError("input and target differ in shape")
        with np.errstate(all="ignore"):
            loss, slopes = FUNCTIONS[call.criterion](**call.inputs, **given)
            if reduction == "none":
                return Output(loss, {name: self._in(call, slopes[name]) for name in call.wrt})
            count = loss.size if reduction == "mean" else 1
            value = loss.sum() / np.asarray(count, loss.dtype)
            return Output(self._in(call, value), {name: self._in(call, slopes[name] / count) for name in call.wrt})

    def _in(self, call: Call, array: Array) -> Array:
        return np.asarray(array, dtype=call.dtype)
