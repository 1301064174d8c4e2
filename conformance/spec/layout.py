"""From symbolic shapes to concrete axes: which axes a case has, and how large they are.

A *layout* maps the names of the axes that a case has to their sizes, in the order of the spec's dims: `N?` gives "N" or
nothing, `D*` of rank 2 gives "D0" and "D1". Without its optional axis a criterion takes no further positions (a
framework could not tell `[C, D0]` from `[N, C]`), so an absent axis goes with every star at its lowest rank.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from conformance.spec.model import Dim, Input, Spec

Layout = Mapping[str, int]


def expand(dim: Dim, axes: Sequence[str]) -> tuple[str, ...]:
    """The axes among `axes` that `dim` stands for."""
    if dim.kind == "star":
        return tuple(axis for axis in axes if axis[: len(dim.name)] == dim.name and axis[len(dim.name) :].isdigit())
    return tuple(axis for axis in axes if axis == dim.name)


def axes_of(spec: Spec, name: str, axes: Sequence[str]) -> tuple[str, ...]:
    """The axes, in order, of the input `name` in a case that has `axes`."""
    return tuple(axis for dim in spec.inputs[name].shape for axis in expand(spec.dims[dim], axes))


def axes_held(spec: Spec, name: str, axes: Sequence[str], rank: int) -> tuple[str, ...]:
    """The axes of an input's array of `rank` axes: it may lack leading ones or, by its patterns, the last."""
    mine = axes_of(spec, name, axes)
    return mine[:rank] if "without_last" in spec.inputs[name].broadcast else mine[len(mine) - rank :]


def broadcast(shape: tuple[int, ...], pattern: str) -> tuple[int, ...]:
    """The shape that stands for `shape` under a pattern."""
    ones = (1,) * len(shape)
    match pattern:
        case "ones":
            return ones
        case "last":
            return (*ones[1:], *shape[-1:])
        case "first":
            return (*shape[:1], *ones[1:])
        case "dropped":
            return shape[-1:]
        case "but_last":
            return (*shape[:-1], *ones[-1:])
        case "without_last":
            return shape[:-1]
    return shape


def skeletons(spec: Spec) -> Iterator[tuple[str, ...]]:
    """The combinations of axes that a case of `spec` may have, the fullest presence first."""
    dims = [dim for dim in spec.dims.values() if dim.kind != "copy"]
    optional = [dim for dim in dims if dim.kind == "optional"]
    stars = [dim for dim in dims if dim.kind == "star"]
    for present in itertools.product((True, False), repeat=len(optional)):
        ranks = [range(dim.rank[0], (dim.rank[1] if all(present) else dim.rank[0]) + 1) for dim in stars]
        for rank in itertools.product(*ranks):
            chosen = dict(zip((dim.name for dim in optional), present, strict=True))
            counts = dict(zip((dim.name for dim in stars), rank, strict=True))
            yield tuple(axis for dim in dims for axis in _axes(dim, chosen, counts))


def _axes(dim: Dim, chosen: Mapping[str, bool], counts: Mapping[str, int]) -> list[str]:
    if dim.kind == "star":
        return [f"{dim.name}{i}" for i in range(counts[dim.name])]
    return [dim.name] if chosen.get(dim.name, True) else []


def match(spec: Spec, shapes: Mapping[str, tuple[int, ...]]) -> Layout | None:
    """The layout in which every input has its given shape, or one that its patterns allow; None: there is none."""
    for axes in skeletons(spec):
        sizes = _unify(spec, axes, shapes)
        if sizes is not None:
            return sizes
    return None


def _unify(spec: Spec, axes: tuple[str, ...], shapes: Mapping[str, tuple[int, ...]]) -> Layout | None:
    sizes: dict[str, int] = {}
    for name in sorted(shapes, key=lambda item: bool(spec.inputs[item].broadcast)):
        wanted, shape = axes_of(spec, name, axes), shapes[name]
        if not _may_have_rank(spec.inputs[name], len(shape), len(wanted)):
            return None
        loose = _may_be_one(spec.inputs[name], wanted)
        for axis, size in zip(axes_held(spec, name, axes, len(shape)), shape, strict=True):
            if sizes.setdefault(axis, size) != size and not (size == 1 and axis in loose):
                return None
    return {axis: sizes.get(axis, 1) for axis in axes}


def _may_have_rank(item: Input, rank: int, full: int) -> bool:
    if rank == full:
        return True
    return rank == full - 1 if "without_last" in item.broadcast else rank < full and "dropped" in item.broadcast


def _may_be_one(item: Input, axes: tuple[str, ...]) -> set[str]:
    """The axes that have size 1 in some pattern of as many axes."""
    shapes = [broadcast((2,) * len(axes), pattern) for pattern in item.broadcast]
    same = [shape for shape in shapes if len(shape) == len(axes)]
    return {axis for shape in same for axis, size in zip(axes, shape, strict=True) if size == 1}
