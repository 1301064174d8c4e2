"""The axes of the frame that an argument lacks, added to it in printed code, of size 1."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from conformance.recipe.axes import Axes, Unprintable, expression
from conformance.recipe.neutral import call, trailing


def wider(axes: Axes, name: str, places: Sequence[int], missing: Sequence[int]) -> ast.expr:
    """The input `name`, whose axes have these `places` in the frame, with the `missing` ones behind its first.

    Raises:
        Unprintable: one stands for any number of axes, and lies between others.
    """
    frame, tree = list(axes.frame), ast.Name(name)
    after = [k for k in missing if k > places[-1]]
    found: ast.expr = behind(axes, tree, frame[places[-1]]) if after else tree
    for k in reversed(missing[: len(missing) - len(after)]):
        if axes.spec.dims[frame[k]].kind == "star":
            raise Unprintable(f"{name} lacks the axes {frame[k]} between others")
        found = call("expand", found, expression(axes.number(frame[k], frame)))
    return found


def behind(axes: Axes, tree: ast.expr, last: str) -> ast.expr:
    """An array whose last axis is `last`, with an axis of size 1 for each one behind it in the frame."""
    return trailing(tree, axes.number(last, axes.frame))
