"""Losses as adapters keep them: a table of a framework's functions, and one call of a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapter.formula import function_of
from conformance.adapter.protocol import Call, Difference, Unsupported


@dataclass
class Loss:
    """A call of a framework: the function (a name: one of its own), and its arguments by the function's names."""

    function: str | Callable[..., Any]
    names: Mapping[str, str]  # of the spec's inputs
    arrays: dict[str, NDArray[Any]]
    reduction: str = "none"  # of the losses that it returns
    static: dict[str, Any] = field(default_factory=dict)  # arguments that are no arrays
    traced: dict[str, Any] = field(default_factory=dict)  # numbers that a compiler need not know
    classes_last: bool = False
    batch_second: bool = False
    ends_in_one: bool = False  # the value has an axis of size 1 behind its own
    home: str = ""  # of the function, such as `torch.nn.functional`

    @property
    def title(self) -> str:
        """The function's whole name."""
        return f"{self.home}.{self.function}"

    def without(self, call: Call, **plain: Any) -> None:
        """Refuses a call whose parameters are not these, the only ones that the function knows.

        Raises:
            Unsupported: says which.
        """
        for name, value in plain.items():
            if call.parameters[name] != value:
                raise Unsupported(f"{self.title} has no {name}={call.parameters[name]!r}")


@dataclass(frozen=True)
class Native:
    """A function of a framework: its names for the inputs, those it differentiates, and what else a call needs."""

    function: str
    names: Mapping[str, str]
    gradients: tuple[str, ...] = ("input", "target")
    add: Callable[[Call, Loss], None] = lambda call, loss: None
    differences: tuple[Difference, ...] = ()

    def loss(self, call: Call, home: str) -> Loss:
        """The function, called with the inputs of a call.

        Raises:
            Unsupported: it does not take one of them.
        """
        arrays = {self.names[name]: array for name, array in call.inputs.items() if name in self.names}
        found = Loss(self.function, self.names, arrays, home=home)
        if extra := call.inputs.keys() - self.names.keys():
            raise Unsupported(f"{found.title} takes no {' and no '.join(sorted(extra))}")
        return found


def int32(array: NDArray[Any]) -> NDArray[Any]:
    """The integers as some functions take them; those that int32 does not hold, as they are."""
    narrow = array.astype(np.int32)
    return narrow if (narrow == array).all() else array


def formula_of(call: Call) -> Loss:
    """The call's code, called with its inputs and parameters.

    Raises:
        Unsupported: it brings none.
    """
    return Loss(
        function_of(call), {name: name for name in call.inputs}, dict(call.inputs), static=dict(call.parameters)
    )
