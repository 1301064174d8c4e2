"""The one number that an elementwise loss is a function of: what its error can be plotted over."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import full_rank, make_tape, output_shapes, rank_of
from conformance.cases.case import Stack
from conformance.formula import Node, parse_program
from conformance.formula.node import walk
from conformance.formula.plain import Plain
from conformance.spec.model import Spec

ELEMENTWISE = frozenset(
    {"const", "name", "+", "-", "*", "/", "**", "neg", "abs", "exp", "expm1", "log", "log1p", "sqrt", "sigmoid"}
    | {"softplus", "xlogy", "xlog1py", "where", "maximum", "minimum", "stop_gradient", "and", "or", "not"}
    | {"==", "!=", "<", "<=", ">", ">="}
)


@dataclass(frozen=True, eq=False)
class Argument:
    """`name` is what the formula calls it, or an input's name; `node` computes it."""

    name: str
    node: Node


@functools.lru_cache(maxsize=256)
def argument_of(spec: Spec) -> Argument | None:
    """The first name in the formula that every differentiable input reaches the loss through (`error` in
    `error = input - target`), else the first of these inputs; None where the loss is no function of single elements."""
    shapes = {item.shape for item in spec.inputs.values()}
    if len(shapes) != 1 or any(node.op not in ELEMENTWISE for node in walk(spec.loss)):
        return None
    scope = parse_program(spec.formula)
    for name, node in scope.items():
        if name != "loss" and _reaches(node, spec, None) and not _reaches(scope["loss"], spec, node):
            return Argument(name, node)
    return Argument(spec.differentiable[0], Node("name", value=spec.differentiable[0])) if spec.differentiable else None


def _reaches(root: Node, spec: Spec, past: Node | None) -> bool:
    """Whether an expression depends on a differentiable input other than through `past`."""
    if root is past:
        return False
    if root.op == "name":
        return root.value in spec.differentiable
    return any(_reaches(child, spec, past) for child in root.children)


def arguments(spec: Spec, stack: Stack) -> NDArray[np.float64] | None:
    """The argument of each element of the value, in float64 and the value's shape; None where the value of the stack is
    reduced, or the criterion has no argument."""
    argument = argument_of(spec)
    if argument is None or stack.parameters.get("reduction", "none") != "none":
        return None
    inputs = {name: full_rank(spec, stack.layout, name, a).astype(np.float64) for name, a in stack.inputs.items()}
    with np.errstate(all="ignore"):
        tape = make_tape(spec, stack, Plain(np.dtype(np.float64), rank_of(spec, stack.layout)), inputs)
        found: NDArray[np.float64] = np.asarray(tape.term(argument.node).data)
    full, shape = output_shapes(spec, stack, ())["value"]
    return np.broadcast_to(found, full).reshape(shape)
