"""Every primitive of the formula language in a formula of its own, evaluated in binary128 and in `arb`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from conformance.formula import names_in, parse_expression
from conformance.formula.algebra import Term
from conformance.formula.tape import Tape
from conformance.reference.arbs import Arbs, exact
from conformance.reference.ball import Ball
from conformance.reference.formats import FORMATS
from conformance.reference.quad import BINARY128, Kind
from conformance.reference.reductions import Balls

LAYOUT = {"N": 30, "C": 4, "J": 4}
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """A formula of x and y (N by C) and of the labels t (N), and where its numbers are drawn."""

    text: str
    low: int = -8  # exponents of two
    high: int = 8
    positive: bool = False
    bits: int = 108  # the number, and its bound, relative to the number; 0: the bound alone is promised


def tree(text: str, **more: float) -> list[Tree]:
    """A tree at ordinary sizes and at the ends of float64."""
    return [Tree(text, **more), Tree(text, **{"low": -1000, "high": 1000, **more})]  # type: ignore[arg-type]


P = ("1", "1.5", "2", "3", "inf")
TREES: tuple[Tree, ...] = (
    *tree("x + y"),
    *tree("x - y"),
    *tree("x * y"),
    *tree("x / y"),
    *tree("x ** 2"),
    *tree("x ** 7"),
    *tree("-x"),
    *tree("abs(x)"),
    *tree("maximum(x, y)"),
    *tree("minimum(x, y)"),
    *tree("clip(x, -1, 1)"),
    *tree("where(x > y, x, y)"),
    *tree("where(not (x > y) and y > 0 or x < 0, x, y)"),
    *tree("x * stop_gradient(y)"),
    *tree("exp(x)", high=13),
    *tree("expm1(x)", high=13),
    *tree("sigmoid(x)"),
    *tree("softplus(x)"),
    *tree("log(x)", positive=True),
    *tree("log1p(x)", positive=True),
    *tree("sqrt(x)", positive=True),
    *tree("xlogy(x, y)", positive=True),
    *tree("xlog1py(x, y)", positive=True),
    *tree("sum(x, over=C)", positive=True),
    *tree("mean(x, over=C)", positive=True),
    *tree("sum(x)", positive=True),
    *tree("max(x, over=C)"),
    *tree("logsumexp(x, over=C)", bits=0),
    *tree("logsumexp(x - pick(x, t, over=C), over=C, where=index(C) != t)", bits=0),
    *tree("log_softmax(x, over=C)", bits=0),
    *(each for p in P for each in tree(f"norm(x, over=C, p={p})", low=-500, high=500)),
    *tree("pick(x, t, over=C)"),
    *tree("x * index(C)"),
    *tree("x * size(C)"),
    *tree("where(leading(x > 0, over=C), x, 0)"),
    *tree("sum(rename(x, C, J) * y, over=J)", bits=0),
)


def evaluated(item: Tree, kind: Kind = BINARY128, seed: int = 0) -> Iterator[tuple[str, Ball, list[arb]]]:
    """The value and each gradient of a tree, in balls of a kind and in `arb` at the precision that is set; nothing
    where a number beyond the kind decided a branch."""
    inputs, root = _inputs(item, seed), parse_expression(item.text)
    wrt = sorted(names_in(root) & {"x", "y"})
    balls = Balls(FORMATS["float64" if kind is BINARY128 else "float32"], 1 + len(LAYOUT), kind=kind)
    fast = _tape(balls, {name: Ball(kind.of(a)) for name, a in inputs.items()})
    slow = _tape(Arbs(1 + len(LAYOUT)), {name: exact(array) for name, array in inputs.items()})
    found = {"value": fast.term(root), **fast.gradients(root, wrt)}
    if balls.cases.lost.any():
        return
    right = {"value": slow.term(root), **slow.gradients(root, wrt)}
    for name, got in found.items():
        yield name, got.data, right[name].data.ravel().tolist()


def _tape(arithmetic: Any, arrays: Mapping[str, Any]) -> Tape:
    terms = {name: Term(array) for name, array in arrays.items()}
    return Tape(arithmetic, LAYOUT, terms, {}, lambda axis: (axis,))


def _inputs(item: Tree, seed: int) -> dict[str, Float]:
    draw = np.random.Generator(np.random.Philox(seed))
    shape = (1, LAYOUT["N"], LAYOUT["C"], 1)

    def numbers() -> Float:
        signs = 1 if item.positive else draw.choice([-1.0, 1.0], shape)
        return np.ldexp(draw.uniform(0.5, 1, shape) * signs, draw.integers(item.low, item.high, shape))

    labels = draw.integers(0, LAYOUT["C"], (*shape[:2], 1, 1)).astype(np.float64)
    return {"x": numbers(), "y": numbers(), "t": labels}
