"""How a call is said in torch: its arguments by torch's names, and the whole of it as one writes it."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from conformance import Call, Unsupported

from ._torch_functions import FUNCTIONS, MODULE_NAMES, NAMES


class Distance:
    """A function of two tensors, such as torch's documentation of this loss passes; in Python it reads `written`."""

    def __init__(self, written: str, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        self._written, self._function = written, function

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._function(x, y)

    def __repr__(self) -> str:
        return self._written


COSINE = Distance(
    "lambda x, y: 1.0 - torch.nn.functional.cosine_similarity(x, y, dim=-1)",
    lambda x, y: 1.0 - F.cosine_similarity(x, y, dim=-1),
)
NORMS = {"euclidean": 2.0, "manhattan": 1.0, "chebyshev": math.inf}


@functools.cache  # what is compiled is compiled for each function
def distance_of(name: str, eps: float) -> Distance:
    """What torch is given for a distance of the spec."""
    if name == "cosine":
        return COSINE
    p = NORMS[name]
    written = f"torch.nn.PairwiseDistance(p={p if math.isfinite(p) else 'torch.inf'}, eps={eps!r})"
    return Distance(written, torch.nn.PairwiseDistance(p=p, eps=eps))


def arguments_of(call: Call) -> tuple[dict[str, str], dict[str, Any]]:
    """What torch calls each input of a call, and its parameters."""
    named, parameters = {name: name for name in call.inputs}, dict(call.parameters)
    if call.mode == "formula":
        return named, parameters
    names = MODULE_NAMES if call.mode == "module" else NAMES
    named |= {name: other for name, other in names.get(call.criterion, {}).items() if name in named}
    if call.criterion == "triplet_margin_with_distance":
        parameters["distance_function"] = distance_of(parameters.pop("distance"), parameters.pop("eps"))
    if call.criterion == "cosine_similarity":
        if parameters.pop("negative"):
            raise Unsupported("torch has the similarity only, not its negative")
        parameters = {"dim": -1, **parameters}
    return named, parameters


def held_by_module(call: Call, named: Mapping[str, str], parameters: Mapping[str, Any]) -> tuple[str, ...]:
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


def unpadded(call: Call) -> Mapping[str, NDArray[Any]]:
    """A call's inputs; targets of one axis are, by the documentation of torch's own function, not padded."""
    targets = call.inputs.get("targets")
    if targets is None or targets.ndim != 1 or call.mode == "formula":
        return call.inputs
    length = call.inputs["target_lengths"]
    return {**call.inputs, "targets": targets[: int(length)] if length.ndim == 0 and length >= 0 else targets}


def written(call: Call) -> str:
    """The call as one writes it in torch; `$NAME` stands for the numbers of an input (docs/adapters.md)."""
    lines = ["import torch"]
    for name, array in unpadded(call).items():
        numbers = array.tolist() if array.dtype.kind in "iub" else f"${name}"
        more = f".reshape{array.shape}" * (not array.size) + ".requires_grad_()" * (name in call.wrt)
        lines.append(f"{name} = torch.tensor({numbers}, dtype=torch.{array.dtype}){more}")
    named, parameters = arguments_of(call)
    held = held_by_module(call, named, parameters)
    given = ", ".join(f"{named[name]}={name}" for name in call.inputs if name not in held)
    more = ", ".join([*(f"{name}={name}" for name in held), *(f"{name}={x!r}" for name, x in parameters.items())])
    function, module, _ = FUNCTIONS[call.criterion]
    plain = f"torch.nn.functional.{function}"
    called = f"torch.compile({plain}, fullgraph=True, dynamic=False)" if call.mode == "compiled" else plain
    whole = f"{called}({', '.join(filter(None, (given, more)))})"
    lines.append(f"value = {f'torch.nn.{module}({more})({given})' if call.mode == 'module' else whole}")
    got = f"torch.autograd.grad(value.sum(), {call.wrt[0]})[0]" if call.wrt else "value"
    return "\n".join([*lines, f"got = {got}.tolist()"])
