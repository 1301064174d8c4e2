"""optax's losses, for `--framework optax_adapter:Optax@PATH/TO/python`. Needs NumPy, jax and optax, of any release.

A small adapter to begin with, or for old releases; the built-in `jax` knows more of optax. Reductions, weights and
ignored labels are unsupported here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from conformance import Binding, Call, Environment, Output, Unsupported

jax.config.update("jax_enable_x64", True)  # without it, jax turns float64 into float32

# criterion: the function in optax, and the inputs that it is differentiated by
FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bce_with_logits": ("sigmoid_binary_cross_entropy", ("input", "target")),
    "cross_entropy": ("softmax_cross_entropy_with_integer_labels", ("input",)),
    "huber": ("huber_loss", ("input", "target")),
    "mse": ("squared_error", ("input", "target")),
}
DEFAULTS = {"reduction": "none", "ignore_index": -100, "label_smoothing": 0}


class Optax:
    """`optax.losses`, eager, on the CPU."""

    name = "optax"

    def environment(self) -> Environment:
        """optax's version, and jax's."""
        versions = {"optax": optax.__version__, "jax": jax.__version__, "jaxlib": jax.lib.__version__}
        return Environment(versions, dtypes=("float64", "float32", "bfloat16", "float16"))

    def binding(self, criterion: str) -> Binding | None:
        """The function of optax for `criterion`."""
        name, gradients = FUNCTIONS.get(criterion, ("", ()))
        return Binding(f"optax.{name}", gradients=gradients) if hasattr(optax, name) else None

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        name, _ = FUNCTIONS[call.criterion]
        if extra := set(call.inputs) - {"input", "target"}:
            raise Unsupported(f"optax.{name} takes no {', '.join(sorted(extra))}")
        for key, value in call.parameters.items():
            if value != DEFAULTS.get(key, value):
                raise Unsupported(f"optax.{name} has no {key}")
        target = call.inputs["target"]
        if np.any(target == call.parameters.get("ignore_index", np.nan)):
            raise Unsupported(f"optax.{name} ignores no label")
        return self._run(call, getattr(optax, name))

    def _run(self, call: Call, function: Callable[..., Any]) -> Output:
        options = {"delta": call.parameters["delta"]} if "delta" in call.parameters else {}

        def loss(inputs: dict[str, Any]) -> Any:
            x = inputs["input"]
            x = jnp.moveaxis(x, 1, -1) if call.criterion == "cross_entropy" and x.ndim > 1 else x
            return function(x, inputs["target"], **options)

        inputs = {key: jnp.asarray(array) for key, array in call.inputs.items()}
        wanted = {key: inputs[key] for key in call.wrt}
        value, pull = jax.vjp(lambda given: loss({**inputs, **given}), wanted)
        (gradients,) = pull(jnp.ones_like(value))
        return Output(np.asarray(value), {key: np.asarray(gradients[key]) for key in call.wrt})
