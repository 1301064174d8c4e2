"""Hard values, beside the covering array: infinities, numbers that nothing looks at, subnormal and largest ones, sums
that overflow or cancel on their way, and empty layouts.

A number that would leave its domain stays as it was. Whether a case is decided, the reference says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import full_rank, make_tape, output_shapes, rank_of
from conformance.cases.case import DTYPES, Stack
from conformance.cases.data import Data, how_drawn
from conformance.cases.domain import labels, names_of
from conformance.cases.draw import to_dtype
from conformance.cases.factors import Condition, Space, Special, space_of
from conformance.cases.layouts import Bucket, hard_buckets
from conformance.cases.special import divisors, places
from conformance.cases.steps import largest, smallest_normal, smallest_subnormal
from conformance.formula import Node
from conformance.formula.node import walk
from conformance.formula.plain import Plain
from conformance.spec.layout import axes_of
from conformance.spec.model import Draw, Input, Mixed, Near, Spec, Uniform, Values

Array = NDArray[Any]
Mask = NDArray[np.bool_]

KINDS = ("infinite", "ignored", "largest", "subnormal", "overflowing", "cancelling", "empty")
SUMMED = {"overflowing", "cancelling"}  # what only a sum can get wrong
DIVIDES = {*SUMMED, "largest"}
FORMULA = -1  # beside the forms' numbers
SPECIALS = (np.nan, np.inf, -np.inf)
SELECTING = {"where", "pick", "leading", "logsumexp", "ctc_log_likelihood"}  # what may leave a number out


def hard_space(spec: Spec, dtype: str) -> Space:
    """The factors of `spec` in `dtype`, with small, single and empty layouts, and the kinds of hard values."""
    layouts = hard_buckets(spec)
    kinds = tuple(Special(kind) for kind in KINDS if _has(spec, layouts, kind))
    return space_of(spec, dtype, {"layout": layouts, "special": kinds}, tuple(_rules(spec)))


def _has(spec: Spec, layouts: Sequence[Bucket], kind: str) -> bool:
    if kind == "empty":  # an edge case of the spec's own says more
        return any(bucket.name == "empty" for bucket in layouts) and not _has_empty_edge(spec)
    # Labels and lengths say what counts. Of other numbers that a formula leaves out (a log-probability whose target is
    # 0), nobody promises that they may be NaN.
    has_labels = any(item.dtype == "int" for item in spec.inputs.values())
    return kind != "ignored" or (has_labels and any(node.op in SELECTING for node in walk(spec.loss)))


def _has_empty_edge(spec: Spec) -> bool:
    return any(np.size(value) == 0 for edge in spec.edge_cases for value in edge.inputs.values())


def _rules(spec: Spec) -> Iterator[tuple[tuple[str, ...], Condition]]:
    yield ("special", "layout"), lambda row: (row["special"].kind == "empty") == (row["layout"].name == "empty")
    if "reduction" in spec.params:
        yield ("special", "reduction"), lambda row: _goes_with(row["special"].kind, spec.reduce[row["reduction"]], row)


def _goes_with(kind: str, root: Node, row: Mapping[str, Any]) -> bool:
    """Sums are there to be got wrong; and a mean over nothing, which has no value, is for the edge cases."""
    if kind == "empty":
        return root.op != "/"
    return kind not in SUMMED or row["reduction"] != "none"


def harden(data: Data, kind: str) -> str:
    """Changes the data of a stack, each case in one of its floating inputs; returns the names of what was changed."""
    names = [n for n, array in data.arrays.items() if array.size and data.spec.inputs[n].dtype == "float"]
    if kind == "empty" or not names:
        return ""
    if kind == "ignored":
        _ignore_some(data)
    before = dict(data.arrays)
    chosen = data.source.below(len(names), (len(before[names[0]]),))
    for i, name in enumerate(names):
        _change(data, kind, name, chosen == i)
    if kind != "ignored":
        _restore(data, before, ~_has_values(data))
    return ", ".join(name for name in names if _bits(data.arrays[name]) != _bits(before[name]))


def _bits(array: Array) -> bytes:
    return array.tobytes()  # a NaN is none of its own, and -0 is 0


def _restore(data: Data, before: Mapping[str, Array], cases: Mask) -> None:
    for name, array in before.items():
        back = cases.reshape((-1,) + (1,) * (array.ndim - 1))
        data.arrays[name] = np.where(back, array, data.arrays[name])


def _change(data: Data, kind: str, name: str, cases: Mask) -> None:
    """Changes one input in these cases, as far as its domain, and the signs that are drawn for it, allow."""
    array, item = data.arrays[name], data.spec.inputs[name]
    flat = array.reshape(len(array), -1)
    mask, numbers = _placed(data, kind, name, flat)
    mask = mask & cases[:, None]
    if kind in DIVIDES and name in divisors(data.spec, data.parameters.get("reduction", "none")):
        return  # what is divided by a sum that overflows is 0, in every implementation
    if kind == "ignored":
        mask = mask & _is_ignored(data, name, mask)[:, None]
    changed = np.where(mask, numbers, flat).astype(array.dtype).reshape(array.shape)
    data.arrays[name] = np.where(_may_be(data, item, changed, kind), changed, array)


def _may_be(data: Data, item: Input, changed: Array, kind: str) -> Mask:
    inside = data.inside(item, changed)
    if kind == "ignored":  # without a domain any number will do, and NaN where it is not looked at
        return inside | (item.domain is None)
    if kind == "infinite":  # where the spec says that it means something: of a vector, no norm is left
        drawn = {float(np.sign(value)) for value in item.special if np.isinf(value)}
    else:
        drawn = signs(data.spec, item, data.dtype)
    return inside & np.isin(np.sign(changed.astype(np.float64)), [0.0, *drawn])


def signs(spec: Spec, item: Input, dtype: str) -> set[float]:
    """The signs, 1 and -1, of the numbers that the regimes draw for an input: a log-probability is never positive."""
    regimes, names = spec.regimes.values(), {name: param.default for name, param in spec.params.items()}
    bounds = [bound for regime in regimes for bound in _bounds(how_drawn(spec, regime, item, dtype, names))]
    return {float(np.sign(bound)) for bound in bounds if bound}


def _bounds(how: Draw) -> Iterator[float]:
    match how:
        case Uniform():
            yield from (how.low, how.high)
        case Values():
            yield from how.values
        case Mixed():
            for part in how.parts:
                yield from _bounds(part)
        case Near():
            yield from (1.0, -1.0)


def _placed(data: Data, kind: str, name: str, flat: Array) -> tuple[Mask, Array]:
    """Where numbers are to stand in an input, a row for each case, and which."""
    source, dtype, (cases, size) = data.source, DTYPES[data.dtype], flat.shape
    half = source.below(2, flat.shape) == 0
    match kind:
        case "infinite":
            return places(source, cases, size), _any_of(data, (np.inf, -np.inf), flat.shape)
        case "ignored":
            one = _any_of(data, SPECIALS, (cases, 1))
            return half & _without_effect(data, name), np.broadcast_to(one, flat.shape)
        case "subnormal":
            least, normal = smallest_subnormal(dtype), smallest_normal(dtype)
            sizes = (least, 3 * least, normal - least, normal)
            divides = name in divisors(data.spec, data.parameters.get("reduction", "none"))
            return half, _any_of(data, _signed(*sizes, *(() if divides else (0.0,))), flat.shape)
        case "largest":
            # One in each case: the difference of two sums that are out of range has no value in the dtype.
            one = np.arange(size) == source.below(size, (cases, 1))
            return one, _any_of(data, _signed(largest(dtype)), flat.shape)
    return _summed(data, kind, flat)


def _summed(data: Data, kind: str, flat: Array) -> tuple[Mask, Array]:
    """Numbers whose sum is in range and whose running sum is not, but never on both sides, where in some order it would
    be inf - inf; and a large number and its negative, with small ones between them that must not be lost."""
    dtype, (cases, size) = DTYPES[data.dtype], flat.shape
    top, digits = largest(dtype), -np.log2(smallest_subnormal(dtype) / smallest_normal(dtype))
    place = np.arange(size)
    if kind == "overflowing":
        # The last one stays in range whatever it is multiplied by (up to 8): no order comes to inf - inf.
        shares = np.where(place < 2, 0.53125, np.where(place == size - 1, -0.125, 0.0)) * (size > 2)
        large = top * _any_of(data, (1.0, -1.0), (cases, 1)).astype(np.float64)
    else:
        shares = np.where(place == 0, 1.0, np.where(place == size - 1, -1.0, 0.0)) * (size > 2)
        large = np.ldexp(1.0, int(digits) + 1 + data.source.below(2, (cases, 1)))
    return np.broadcast_to(shares != 0, flat.shape), to_dtype(large * shares, data.dtype)


def _signed(*sizes: float) -> tuple[float, ...]:
    return tuple(sign * size for size in sizes for sign in (1.0, -1.0))


def _any_of(data: Data, numbers: Sequence[float], shape: tuple[int, ...]) -> Array:
    pool = to_dtype(np.array(numbers, np.float64), data.dtype)
    return pool[data.source.below(len(numbers), shape)]


def _ignore_some(data: Data) -> None:
    """Has the formula leave something out: a label that a parameter singles out in one place of each case, if that is
    not all of it; and a 0 in a quarter of the places of what cannot be negative, such as a probability."""
    for name, array in data.arrays.items():
        item = data.spec.inputs[name]
        if not array.size or item.domain is None or item.default is not None:
            continue  # where all weights are 0 there is nothing to divide by
        if item.dtype == "int":
            data.arrays[name] = _with_singled(data, item, array)
        elif data.inside(item, np.zeros_like(array)).all() and not data.inside(item, -np.ones_like(array)).any():
            data.arrays[name] = np.where(data.source.below(4, array.shape) == 0, np.zeros_like(array), array)


def _with_singled(data: Data, item: Input, array: Array) -> Array:
    if array[0].size < 2 or set(data.spec.inputs) & names_of(item.domain) - {item.name}:
        return array
    _, singled = labels(item, data.layout, data.parameters, data.names)
    if not len(singled):
        return array
    flat = array.reshape(len(array), -1).copy()
    at = data.source.below(flat.shape[1], (len(flat),))
    flat[np.arange(len(flat)), at] = singled[data.source.below(len(singled), (len(flat),))]
    return flat.reshape(array.shape)


def _without_effect(data: Data, name: str) -> Mask:
    """Where the gradient is 0: what is not looked at is there, and what is on the flat side of a hinge. Where only all
    of a gradient along an axis means something (`modulo`), all of it is."""
    zero: Mask = _plain(data, name, FORMULA) == 0
    for modulo in data.spec.modulo:
        if modulo.of == name:
            shape, axes = data.arrays[name].shape, axes_of(data.spec, name, tuple(data.layout))
            at = 1 + axes.index(modulo.over)
            zero = np.broadcast_to(zero.reshape(shape).all(axis=at, keepdims=True), shape).reshape(len(zero), -1)
    return zero


def _is_ignored(data: Data, name: str, mask: Mask) -> Mask:
    """The cases whose value stays what it is whatever stands in these places of an input."""
    array, kept = data.arrays[name], np.ones(len(mask), bool)
    value = _plain(data, "value", FORMULA)
    for number in SPECIALS:
        changed = np.where(mask.reshape(array.shape), np.array(number, array.dtype), array)
        data.arrays[name] = changed
        kept &= (_plain(data, "value", FORMULA) == value).all(axis=1)
    data.arrays[name] = array
    return kept


def _has_values(data: Data) -> Mask:
    """The cases of which neither the formula nor a form of it, computed as it stands in the dtype, makes NaN anywhere:
    where inf - inf or 0 * inf comes out of textbooks' formulas, no implementation is to blame."""
    kept = np.ones(len(next(iter(data.arrays.values()))), bool)
    wrt = [name for name in data.spec.differentiable if name in data.arrays]
    for form in range(FORMULA, len(data.spec.forms)):
        only = None if form == FORMULA else data.spec.forms[form].only
        for output in ("value", *wrt):
            if only is None or (only == "value") == (output == "value"):
                kept &= ~np.isnan(_plain(data, output, form, data.dtype)).any(axis=1)
    return kept


def _plain(data: Data, output: str, form: int, dtype: str = "float64") -> Array:
    """An output of the formula, or of a form, in a dtype's plain numbers: a row for each case, in float64."""
    spec, arrays = data.spec, {name: data.arrays[name] for name in data.shapes}
    stack = Stack(spec.name, dtype, data.layout, data.parameters, arrays)
    wrt = () if output == "value" else (output,)
    full = {n: full_rank(spec, stack.layout, n, a).astype(DTYPES[dtype]) for n, a in arrays.items()}
    reduce = spec.reduce if form == FORMULA else spec.forms[form].reduce
    root = reduce[stack.parameters.get("reduction", "none")]
    with np.errstate(all="ignore"):
        tape = make_tape(spec, stack, Plain(DTYPES[dtype], rank_of(spec, stack.layout)), full)
        found = tape.gradients(root, wrt)[output].data if wrt else tape.term(root).data
    whole, shape = output_shapes(spec, stack, wrt)[output]
    rows: Array = np.broadcast_to(found, whole).reshape(shape[0], -1).astype(np.float64)
    return rows
