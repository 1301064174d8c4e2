"""The shapes that cases come in: a small set per criterion, since a compiled framework pays for every new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance.spec.layout import Layout, axes_of, expand, skeletons
from conformance.spec.model import Dim, Spec

MOST = 12

# Sizes by the number of axes. They differ within a layout, so that swapped axes show; 33 and 301 leave a remainder
# in every vector width.
SMALL = ((), (3,), (3, 4), (3, 4, 2), (4, 2, 3, 2))
MEDIUM = ((), (17,), (8, 10), (8, 10, 5), (8, 3, 5, 3))
LARGE = ((), (301,), (12, 33), (12, 33, 2), (12, 2, 33, 2))
# What sums have to get right: a hundred thousand elements in an input. Few where they are paired with one another.
BULK = ((), (100_003,), (1_000, 101), (40, 51, 50), (16, 20, 16, 20), (8, 9, 10, 11, 13))
PAIRED = 4  # positions of an axis that has a copy
BESIDE = 1  # of one that the largest input lacks: labels, which more than these might find no frame to stand in


@dataclass(frozen=True)
class Bucket:
    """A layout and its name."""

    name: str
    layout: Layout

    def __str__(self) -> str:
        return f"{self.name} " + ("x".join(f"{axis}={size}" for axis, size in self.layout.items()) or "scalar")


def buckets(spec: Spec) -> tuple[Bucket, ...]:
    """The layouts that cases of `spec` have, the smallest first: at most 12, every combination of axes among them."""
    found: dict[tuple[tuple[str, int], ...], Bucket] = {}
    for name, layout in _wanted(spec):
        if len(found) < MOST:
            found.setdefault(tuple(layout.items()), Bucket(name, layout))
    order = {bucket: i for i, bucket in enumerate(("ones", "small", "medium", "large"))}
    return tuple(sorted(found.values(), key=lambda bucket: (order[bucket.name], len(bucket.layout))))


def _wanted(spec: Spec) -> Iterator[tuple[str, Layout]]:
    """Layouts in the order in which they matter."""
    every = list(skeletons(spec))
    plain = sorted(every, key=lambda axes: abs(len(axes) - 2))
    for axes in every:
        yield "small", _sized(spec, axes, SMALL)
    yield "large", _sized(spec, plain[0], LARGE)
    yield "medium", _sized(spec, plain[0], MEDIUM)
    for axes in every:
        yield "ones", {axis: _clip(spec, axis, 1) for axis in axes}
    for axes in plain:
        yield "medium", _sized(spec, axes, MEDIUM)


def small_layouts(spec: Spec) -> tuple[Layout, ...]:
    """A small layout for every combination of axes, but for none at all."""
    return tuple(_sized(spec, axes, SMALL) for axes in skeletons(spec) if axes)


def plain_layout(spec: Spec) -> Layout:
    """The small layout that has every optional axis, and is nearest to two axes."""
    return _sized(spec, _full(spec)[0], SMALL)


def _full(spec: Spec) -> list[tuple[str, ...]]:
    """The combinations of axes with every optional one, the plainest first."""
    optional = {dim.name for dim in spec.dims.values() if dim.kind == "optional"}
    full = [axes for axes in skeletons(spec) if axes and optional <= set(axes)]
    return sorted(full, key=lambda axes: abs(len(axes) - 2))


def bulk_buckets(spec: Spec) -> tuple[Bucket, ...]:
    """The layouts whose largest input has some 100,000 elements, the plainest first: every optional axis is there,
    and one beside those that are paired with themselves."""
    paired = {dim.like for dim in spec.dims.values()}
    return tuple(Bucket("bulk", _bulk(spec, axes)) for axes in _full(spec) if set(axes) - paired)


def hard_buckets(spec: Spec) -> tuple[Bucket, ...]:
    """Small layouts; those with one position along their first axis that may be absent or of any number; and those with
    none, along each axis that may have none."""
    found = []
    for axes in skeletons(spec):
        small = _sized(spec, axes, SMALL)
        found.append(Bucket("small", small))
        batch = [axis for axis in axes if dim_of(spec, axis).kind != "fixed" or dim_of(spec, axis).min == 0][:1]
        found += [Bucket("single", {**small, axis: 1}) for axis in batch]
        found += [Bucket("empty", {**small, axis: 0}) for axis in axes if dim_of(spec, axis).min == 0]
    return tuple(found)


def _bulk(spec: Spec, axes: tuple[str, ...]) -> Layout:
    biggest = max((axes_of(spec, name, axes) for name in spec.inputs), key=len)
    sizes = dict(_sized(spec, biggest, BULK))
    for axis in {dim.like for dim in spec.dims.values() if dim.like in sizes}:
        first = next(other for other in sizes if other != axis)
        sizes |= {axis: PAIRED, first: -(-sizes[first] * sizes[axis] // PAIRED)}
    return {axis: sizes.get(axis, _clip(spec, axis, BESIDE)) for axis in axes}


def _sized(spec: Spec, axes: Sequence[str], table: Sequence[Sequence[int]]) -> Layout:
    sizes = table[len(axes)] if len(axes) < len(table) else (*table[-1], *(2 for _ in range(len(axes))))
    return {axis: _clip(spec, axis, size) for axis, size in zip(axes, sizes, strict=False)}


def _clip(spec: Spec, axis: str, size: int) -> int:
    dim = dim_of(spec, axis)
    return max(dim.min, 1, size if dim.max is None else min(size, dim.max))


def dim_of(spec: Spec, axis: str) -> Dim:
    """The dim that an axis belongs to."""
    return next(dim for dim in spec.dims.values() if axis in expand(dim, (axis,)))
