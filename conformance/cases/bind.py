"""A stack of cases bound to the names of a formula: every array of full rank, every parameter a number."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import DTYPES, Stack
from conformance.cases.steps import largest, smallest_normal
from conformance.formula import dims_of
from conformance.formula.algebra import Term
from conformance.formula.plain import Plain
from conformance.formula.tape import Tape
from conformance.spec.layout import axes_held, axes_of, expand
from conformance.spec.model import Input, Param, Spec

Mask = NDArray[np.bool_]
Shapes = tuple[tuple[int, ...], tuple[int, ...]]


def dtype_numbers(dtype: str) -> dict[str, float]:
    """What a condition may say of the dtype: its largest finite and its smallest normal number."""
    return {"largest": largest(DTYPES[dtype]), "smallest_normal": smallest_normal(DTYPES[dtype])}


def make_tape(spec: Spec, stack: Stack, arithmetic: Any, arrays: Mapping[str, Any], beyond: str = "") -> Tape:
    """A tape over `arithmetic` for the inputs `arrays` (its own, of full rank); absent inputs take their defaults.
    `beyond` joints: see `Tape`. Joined stacks, whose parameters may differ, are for the reference's arithmetics."""
    inputs = {name: Term(array) for name, array in arrays.items()}
    for name, item in spec.inputs.items():
        if name not in inputs:
            number = arithmetic.constant(float(item.default or 0))
            inputs[name] = Term(arithmetic.broadcast(number, _shape_of(spec, stack.layout, name)))
    numbers = {**dtype_numbers(stack.dtype), **stack.parameters}
    inputs |= {name: Term(arithmetic.constants(x)) for name, x in numbers.items() if isinstance(x, np.ndarray)}
    layout = whole_layout(spec, stack.layout)
    axes = tuple(layout)
    return Tape(arithmetic, layout, inputs, numbers, lambda axis: expand(spec.dims[axis], axes), spec.joints, beyond)


def whole_layout(spec: Spec, layout: Mapping[str, int]) -> Mapping[str, int]:
    """A layout with the second axes that its formula uses for pairs."""
    copies = {dim.name: layout[dim.like] for dim in spec.dims.values() if dim.kind == "copy" and dim.like in layout}
    return {**layout, **copies} if copies else layout


def rank_of(spec: Spec, layout: Mapping[str, int]) -> int:
    """The rank of full-rank arrays: one axis for the case, one for each of the layout."""
    return 1 + len(whole_layout(spec, layout))


def _shape_of(spec: Spec, layout: Mapping[str, int], name: str) -> tuple[int, ...]:
    mine, layout = axes_of(spec, name, tuple(layout)), whole_layout(spec, layout)
    return (1, *(size if axis in mine else 1 for axis, size in layout.items()))


def full_rank(spec: Spec, layout: Mapping[str, int], name: str, array: NDArray[Any]) -> NDArray[Any]:
    """An input with its stack's axis in front, as an array with one axis for each axis of the layout."""
    mine = axes_held(spec, name, tuple(layout), array.ndim - 1)
    order = sorted(range(len(mine)), key=lambda i: list(layout).index(mine[i]))
    array = array.transpose((0, *(i + 1 for i in order)))
    sizes = dict(zip((mine[i] for i in order), array.shape[1:], strict=True))
    return array.reshape((array.shape[0], *(sizes.get(axis, 1) for axis in whole_layout(spec, layout))))


def output_shapes(spec: Spec, stack: Stack, wrt: Sequence[str]) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """For "value" and each name in `wrt`: the full-rank shape to broadcast to, and the shape the framework gives it."""
    k, layout = len(stack), whole_layout(spec, stack.layout)
    mine = _axes_of_value(spec, stack.parameters.get("reduction", "none"), tuple(layout))
    value = tuple(size for axis, size in layout.items() if axis in mine)
    full = tuple(size if axis in mine else 1 for axis, size in layout.items())
    shapes = {"value": ((k, *full), (k, *value))}
    for name in wrt:
        array = stack.inputs[name]
        shapes[name] = (full_rank(spec, stack.layout, name, np.empty(array.shape, bool)).shape, array.shape)
    return shapes


@functools.lru_cache(maxsize=4096)
def _axes_of_value(spec: Spec, reduction: str, axes: tuple[str, ...]) -> frozenset[str]:
    """The axes that a value has under a reduction, of those that the cases have."""
    dims = {name: axes_of(spec, name, axes) for name in spec.inputs}
    return frozenset(dims_of(spec.reduce[reduction], dims, lambda axis: expand(spec.dims[axis], axes)))


def full_cotangent(spec: Spec, stack: Stack) -> NDArray[Any] | None:
    """The cotangent of a stack's values as an array of full rank; None: it has none."""
    return None if stack.cotangent is None else stack.cotangent.reshape(output_shapes(spec, stack, ())["value"][0])


def check_of_output(output: str) -> str:
    """The name of the check that judges an output: `value`, or `gradient.INPUT`."""
    return output if output == "value" else f"gradient.{output}"


def spread(mask: Mask, full: tuple[int, ...], shape: tuple[int, ...]) -> Mask:
    """A full-rank condition in the shape of an output; along axes that the output lacks, it need hold only once."""
    lost = tuple(i for i, (have, want) in enumerate(zip(mask.shape, full, strict=True)) if want == 1 and have != 1)
    return np.broadcast_to(mask.any(axis=lost, keepdims=True) if lost else mask, full).reshape(shape)


def plain_value(spec: Spec, stack: Stack) -> NDArray[np.float64]:
    """What the formula comes to in float64, without a bound on its error; of the output's shape, the case in front."""
    return plain_answers(spec, stack, ())["value"]


def plain_answers(spec: Spec, stack: Stack, wrt: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """The same, "value" and the gradient by each input in `wrt`."""
    root = spec.reduce[stack.parameters.get("reduction", "none")]
    with np.errstate(all="ignore"):
        tape = _plain_tape(spec, stack)
        found = {"value": tape.term(root).data}
        found |= {name: term.data for name, term in tape.gradients(root, wrt).items()} if wrt else {}
    shapes = output_shapes(spec, stack, wrt)
    return {name: np.broadcast_to(found[name], full).reshape(shape) for name, (full, shape) in shapes.items()}


def outside(spec: Spec, stack: Stack) -> list[Input | Param]:
    """The inputs and parameters of which some value lies outside its stated domain."""
    tape = _plain_tape(spec, stack)
    items: list[Input | Param] = [*(spec.inputs[name] for name in stack.inputs), *spec.params.values()]
    return [item for item in items if not (_holds(tape, item) | ~_counts(tape, item)).all()]


def used(spec: Spec, stack: Stack, name: str) -> Mask:
    """Which elements of an input are looked at, in its shape."""
    array = stack.inputs[name]
    place = full_rank(spec, stack.layout, name, np.arange(array.size).reshape(array.shape))
    mask = np.ones(array.size, bool)
    mask[place.ravel()] = np.broadcast_to(_counts(_plain_tape(spec, stack), spec.inputs[name]), place.shape).ravel()
    return mask.reshape(array.shape)


def _plain_tape(spec: Spec, stack: Stack) -> Tape:
    arrays = {n: full_rank(spec, stack.layout, n, a).astype(np.float64) for n, a in stack.inputs.items()}
    return make_tape(spec, stack, Plain(np.dtype(np.float64), rank_of(spec, stack.layout)), arrays)


def _holds(tape: Tape, item: Input | Param) -> Mask:
    return np.ones((), bool) if item.domain is None else tape.cond(item.domain).true


def _counts(tape: Tape, item: Input | Param) -> Mask:
    return np.ones((), bool) if isinstance(item, Param) or item.used is None else tape.cond(item.used).true
