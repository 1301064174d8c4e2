"""One call that the reference is asked for, and that the oracle answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """Inputs, parameters, the range they were drawn from, and the inputs that lie on a kink.

    `wrt` are the inputs whose gradients are due; those in `at_kink` have none to compare.
    """

    criterion: str
    regime: str
    inputs: Mapping[str, Any]
    parameters: Mapping[str, Any]
    wrt: tuple[str, ...]
    at_kink: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        """All it takes to call it again: floats in hexadecimal."""
        inputs = "\n".join(f"  {name} = {_text(value)}" for name, value in self.inputs.items())
        parameters = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{self.criterion}({parameters}), {self.regime}\n{inputs}"


def _text(value: Any) -> str:
    """Nested lists, floats in hexadecimal."""
    array = np.asarray(value)
    if array.ndim:
        return "[" + ", ".join(_text(part) for part in array) + "]"
    return float(array).hex() if array.dtype.kind == "f" else str(int(array))
