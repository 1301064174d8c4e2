"""From symbolic shapes to concrete axes: which axes a case has, and how large they are.

A *layout* maps the names of the axes that a case has to their sizes, in the order of the spec's dims: `N?` gives "N" or
nothing, `D*` of rank 2 gives "D0" and "D1". Without its optional axis a criterion takes no further positions (a
framework could not tell `[C, D0]` from `[N, C]`), so an absent axis goes with every star at its lowest rank.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from conformance.spec.model import Dim, Spec

Layout = Mapping[str, int]


def expand(dim: Dim, axes: Sequence[str]) -> tuple[str, ...]:
    """The axes among `axes` that `dim` stands for."""
    if dim.kind == "star":
        return tuple(axis for axis in axes if axis[: len(dim.name)] == dim.name and axis[len(dim.name) :].isdigit())
    return tuple(axis for axis in axes if axis == dim.name)


def axes_of(spec: Spec, name: str, axes: Sequence[str]) -> tuple[str, ...]:
    """The axes, in order, of the input `name` in a case that has `axes`."""
    return tuple(axis for dim in spec.inputs[name].shape for axis in expand(spec.dims[dim], axes))


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
    """The layout in which every input has its given shape; None where there is none.

    A broadcast input may have 1 for any size, and fewer leading axes.
    """
    for axes in skeletons(spec):
        sizes = _unify(spec, axes, shapes)
        if sizes is not None:
            return sizes
    return None


def _unify(spec: Spec, axes: tuple[str, ...], shapes: Mapping[str, tuple[int, ...]]) -> Layout | None:
    sizes: dict[str, int] = {}
    for name in sorted(shapes, key=lambda item: spec.inputs[item].broadcast):
        wanted = axes_of(spec, name, axes)
        loose, shape = spec.inputs[name].broadcast, shapes[name]
        if len(shape) != len(wanted) and not (loose and len(shape) < len(wanted)):
            return None
        for axis, size in zip(wanted[len(wanted) - len(shape) :], shape, strict=True):
            if sizes.setdefault(axis, size) != size and not (loose and size == 1):
                return None
    return {axis: sizes.get(axis, 1) for axis in axes}
