"""Named axes as axis numbers: counted from the end, so that leading axes may be absent.

In the printed code every array has the axes of the *frame*, in its order: of size 1 where it lacks one, and leading
ones left out. So broadcasting and `keepdims` do the rest, and only the arguments have to be brought into that form.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cached_property

from conformance.spec.model import Input, Spec


class Unprintable(Exception):
    """The formula has no code: the message says what about it the generator cannot print."""


def expression(text: str) -> ast.expr:
    """The tree of a Python expression."""
    return ast.parse(text, mode="eval").body


class Axes:
    """The axes of a spec's printed code.

    Args:
        spec: whose.
        used: the dims that some expression of the code has.
    """

    def __init__(self, spec: Spec, used: set[str]) -> None:
        self.spec = spec
        kept = [dim for dim in spec.dims.values() if dim.name in used]
        self.variables: dict[str, str] = {}  # of axes whose numbers depend on an array's rank
        self.frame = tuple(sorted((dim.name for dim in kept), key=lambda name: spec.dims[name].kind == "copy"))
        for kind in ("star", "optional"):
            if sum(dim.kind == kind for dim in spec.dims.values()) > 1:
                raise Unprintable(
                    f"it has more than one {kind} dim, and the number of axes does not tell which is which"
                )

    @cached_property
    def anchor(self) -> Input:
        """The input that tells the sizes: one that is always there, and has the axes that may be absent."""
        loose = {dim.name for dim in self.spec.dims.values() if dim.kind in {"star", "optional"}}
        there = [item for item in self.spec.inputs.values() if item.default is None and not item.broadcast]
        fit = [item for item in there if loose <= set(item.shape)]
        if not fit:
            raise Unprintable("no input that is always there has all axes that may be absent")
        return max(fit, key=lambda item: len(item.shape))

    @cached_property
    def extra(self) -> str:
        """How many axes the star dim stands for, in Python."""
        dims = [self.spec.dims[name] for name in self.anchor.shape]
        others = sum(dim.kind != "star" for dim in dims)
        (star,) = (dim for dim in dims if dim.kind == "star")
        rank = f"{self.anchor.name}.ndim - {others}" if others else f"{self.anchor.name}.ndim"
        return f"larger({rank}, {star.rank[0]})" if any(dim.kind == "optional" for dim in dims) else rank

    def variable(self, dim: str, dims: Sequence[str]) -> str:
        """The name of the variable that holds an axis's number; "" where the number is known beforehand."""
        after = [self.spec.dims[name] for name in dims[list(dims).index(dim) + 1 :]]
        if any(item.kind == "optional" for item in after):
            raise Unprintable(f"the axis {dim} comes before one that may be absent")
        if not any(item.kind == "star" for item in after):
            return ""
        self.variables.setdefault(dim, f"{dim.lower()}_axis")
        return self.variables[dim]

    def number(self, dim: str, dims: Sequence[str]) -> str:
        """An axis's number from the end of an array with the axes `dims`, as Python."""
        name = self.variable(dim, dims)
        after = list(dims)[list(dims).index(dim) + 1 :]
        fixed = sum(self.spec.dims[item].kind != "star" for item in after)
        if not name:
            return str(-1 - fixed)
        mine = list(self.frame)[list(self.frame).index(dim) + 1 :] if dim in self.frame else after
        ahead = sum(self.spec.dims[item].kind != "star" for item in mine) - fixed
        return name if not ahead else f"{name} + {ahead}"

    def definitions(self) -> list[str]:
        """The lines that define the variables used, for arrays with the axes of the frame."""
        found = []
        for dim, name in self.variables.items():
            after = self.frame[self.frame.index(dim) + 1 :]
            fixed = sum(self.spec.dims[item].kind != "star" for item in after)
            found.append(f"{name} = {-1 - fixed} - ({self.extra})")
        return found

    def numbers(self, dims: Sequence[str]) -> str:
        """The numbers of several axes of the frame, for a reduction."""
        if len(dims) == 1 and self.spec.dims[dims[0]].kind != "star":
            return self.number(dims[0], self.frame)
        parts = []
        for dim in dims:
            if self.spec.dims[dim].kind == "star":
                fixed = len(self.frame) - 1 - self.frame.index(dim)
                parts.append(f"*range({-fixed} - ({self.extra}), {-fixed})")
            elif self.spec.dims[dim].kind == "optional":
                raise Unprintable(f"it reduces over {dim} by name, which may be absent")
            else:
                parts.append(self.number(dim, self.frame))
        return f"({', '.join(parts)},)"

    def size(self, dim: str) -> str:
        """The size of an axis, in Python."""
        dim = self.spec.dims[dim].like or dim
        kind = self.spec.dims[dim].kind
        holder = self._holder(dim)
        if kind == "star":
            return f"math.prod({self.part((dim,), holder)})"
        if kind == "optional":
            fixed = sum(self.spec.dims[item].kind != "star" for item in holder.shape) - 1
            low = next((self.spec.dims[i].rank[0] for i in holder.shape if self.spec.dims[i].kind == "star"), 0)
            if holder.shape[0] != dim:
                raise Unprintable(f"{dim} is not the first axis of {holder.name}, and may be absent")
            return f"({holder.name}.shape[0] if {holder.name}.ndim > {fixed + low} else 1)"
        return f"{holder.name}.shape[{self._start(holder, holder.shape.index(dim))}]"

    @cached_property
    def holders(self) -> set[str]:
        """The inputs that tell the sizes of axes: their shapes have to stay as they were given."""
        return {self._holder(dim).name for item in self.spec.inputs.values() for dim in item.shape}

    def _holder(self, dim: str) -> Input:
        there = (i for i in self.spec.inputs.values() if dim in i.shape and i.default is None and not i.broadcast)
        return self.anchor if dim in self.anchor.shape else next(there)

    def part(self, dims: Sequence[str], holder: Input) -> str:
        """The part of an input's shape that belongs to some of its dims, in Python."""
        mine = list(holder.shape)
        runs: list[list[int]] = []
        for k, dim in enumerate(mine):
            if dim in dims:
                if runs and runs[-1][1] == k:
                    runs[-1][1] = k + 1
                else:
                    runs.append([k, k + 1])
        if len(runs) == 1 and runs[0][1] == runs[0][0] + 1 < len(mine) and not self._is_loose(dims):
            return f"({self.size(dims[0])},)"
        return " + ".join(self._slice(holder, first, last) for first, last in runs) or "()"

    def _slice(self, holder: Input, first: int, last: int) -> str:
        whole = f"{holder.name}.shape"
        if first == 0 and last == len(holder.shape):
            return whole
        stop = "" if last == len(holder.shape) else self._start(holder, last)
        if first and self._is_loose(holder.shape[first:]) and self._is_loose(holder.shape[:first]):
            return f"{whole}[{self._start(holder, first - 1)}:{stop}][1:]"  # the axis before it may be the last one
        return f"{whole}[{self._start(holder, first) if first else ''}:{stop}]"

    def _start(self, holder: Input, k: int) -> str:
        """Where the k-th dim begins in a shape: from the end or from the front, as that is known."""
        if not self._is_loose(holder.shape[k:]):
            return str(k - len(holder.shape))
        if not self._is_loose(holder.shape[:k]):
            return str(k)
        if self.spec.dims[holder.shape[k]].kind == "star":
            fixed = len(holder.shape) - 1 - k
            return f"{holder.name}.ndim - {self.extra}" + (f" - {fixed}" if fixed else "")
        return self.number(holder.shape[k], holder.shape)

    def _is_loose(self, dims: Sequence[str]) -> bool:
        return any(self.spec.dims[dim].kind in {"star", "optional"} for dim in dims)
