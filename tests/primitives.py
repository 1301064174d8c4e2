"""Every primitive of the formula language and its derivative rule, against `arb`, to 2^-108.

What is right is written here once more, on rows of `arb` numbers, and shares nothing with the package: values from the
textbook's definition, derivatives as central differences of it with a step of 2^-1500.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from conformance.formula import parse_expression
from conformance.formula.algebra import Term
from conformance.formula.tape import Tape
from conformance.reference.ball import Ball
from conformance.reference.balls import SAFETY
from conformance.reference.escalate import precision
from conformance.reference.formats import FORMATS
from conformance.reference.quad import QUAD, quad, split
from conformance.reference.reductions import Balls

Row = Sequence[arb]
EXACT = arb(2) ** -108
STEP = arb(2) ** -1500
BITS = 16000  # more than sigmoid(2^13) needs, which is 1 - 2^-11819
ROWS, COLUMNS = 12, 4


def exact(x: np.ndarray) -> list[arb]:
    """The numbers of a binary128 or long double array, digit for digit, whatever their size."""
    mantissa, exponent = np.frexp(np.ravel(x))
    rest, parts = mantissa.astype(QUAD) if mantissa.dtype != QUAD else mantissa, []
    for _ in range(3):
        high, *_ = split(rest)
        parts.append(high)
        rest = rest - quad(high)
    columns = zip(exponent.tolist(), *parts, strict=True)
    return [sum((arb(float(p)) for p in column), arb(0)) * arb(2) ** int(e) for e, *column in columns]


def numbers(seed: int, n: int, low: int = -30, high: int = 5) -> np.ndarray:
    """Positive float64 numbers of very different sizes: 2^low to 2^high."""
    draw = np.random.Generator(np.random.Philox(seed))
    return np.ldexp(draw.uniform(0.5, 1, n), draw.integers(low, high, n))


@dataclass(frozen=True)
class Primitive:
    """A formula over x, y (real) and t (a label), what it is, and the sizes of x that it is tried with.

    `right` maps a row of x, a row of y and a label to the row of results. `terms`: errors are measured against the
    largest number of the row or 1, since the result is a sum and may cancel. `y`: the gradient by y is tried, too.
    """

    text: str
    right: Callable[..., list[arb]]
    sizes: tuple[tuple[int, int], ...] = ((-30, 5),)
    signed: bool = True
    terms: bool = False
    y: bool = False


def _each(function: Callable[[arb], arb]) -> Callable[[Row, Row, int], list[arb]]:
    return lambda x, y, t: [function(a) for a in x]


def _pairs(function: Callable[[arb, arb], arb]) -> Callable[[Row, Row, int], list[arb]]:
    return lambda x, y, t: [function(a, b) for a, b in zip(x, y, strict=True)]


def _total(x: Row) -> arb:
    return sum(x, arb(0))


def _norm(p: float) -> Callable[[Row, Row, int], list[arb]]:
    return lambda x, y, t: [_total([abs(a) ** arb(p) for a in x]) ** (1 / arb(p))]


def _log_softmax(x: Row, y: Row, t: int) -> list[arb]:
    log = _total([a.exp() for a in x]).log()
    return [a - log for a in x]


WIDE = ((-30, 5), (-1000, -900), (400, 500))  # exponents of x: products and quotients stay within binary128
GROWING = ((-30, 5), (-1000, -900), (9, 13))  # exp(2^13) is 1e3557
PRIMITIVES: Mapping[str, Primitive] = {
    "+": Primitive("x + y", _pairs(lambda a, b: a + b), WIDE, signed=False, y=True),
    "-": Primitive("x - y", _pairs(lambda a, b: a - b), WIDE, terms=True, y=True),
    "*": Primitive("x * y", _pairs(lambda a, b: a * b), WIDE, y=True),
    "/": Primitive("x / y", _pairs(lambda a, b: a / b), WIDE, y=True),
    "**": Primitive("x ** 3", _each(lambda a: a**3), WIDE),
    "neg": Primitive("-x", _each(lambda a: -a), WIDE),
    "abs": Primitive("abs(x)", _each(abs), WIDE),
    "exp": Primitive("exp(x)", _each(lambda a: a.exp()), GROWING),
    "expm1": Primitive("expm1(x)", _each(lambda a: a.expm1()), GROWING),
    "log": Primitive("log(x)", _each(lambda a: a.log()), WIDE, signed=False),
    "log1p": Primitive("log1p(x)", _each(lambda a: a.log1p()), WIDE, signed=False),
    "sqrt": Primitive("sqrt(x)", _each(lambda a: a.sqrt()), WIDE, signed=False),
    "sigmoid": Primitive("sigmoid(x)", _each(lambda a: 1 / (1 + (-a).exp())), GROWING),
    "softplus": Primitive("softplus(x)", _each(lambda a: a.exp().log1p()), GROWING),
    "xlogy": Primitive("xlogy(x, y)", _pairs(lambda a, b: a * b.log()), WIDE, signed=False, y=True),
    "xlog1py": Primitive("xlog1py(x, y)", _pairs(lambda a, b: a * b.log1p()), WIDE, signed=False, y=True),
    "where": Primitive("where(x > y, x * x, y / x)", _pairs(lambda a, b: a * a if a > b else b / a), y=True),
    "maximum": Primitive("maximum(x, y)", _pairs(lambda a, b: a if a > b else b), WIDE, y=True),
    "minimum": Primitive("minimum(x, y)", _pairs(lambda a, b: a if a < b else b), WIDE, y=True),
    "clip": Primitive("clip(x, -1, 1/4)", _each(lambda a: arb(-1) if a < -1 else arb(0.25) if a > 0.25 else a)),
    "stop_gradient": Primitive("x * stop_gradient(y)", _pairs(lambda a, b: a * b), WIDE),
    "sum": Primitive("sum(x, over=C)", lambda x, y, t: [_total(x)], WIDE, terms=True),
    "mean": Primitive("mean(x, over=C)", lambda x, y, t: [_total(x) / len(x)], WIDE, terms=True),
    "max": Primitive("max(x, over=C)", lambda x, y, t: [x[int(np.argmax([float(a) for a in x]))]], WIDE),
    "pick": Primitive("pick(x, t, over=C)", lambda x, y, t: [x[t]], WIDE),
    "index": Primitive("x * index(C)", lambda x, y, t: [a * i for i, a in enumerate(x)], WIDE),
    "size": Primitive("x / size(C)", lambda x, y, t: [a / len(x) for a in x], WIDE),
    "logsumexp": Primitive(
        "logsumexp(x, over=C)", lambda x, y, t: [_total([a.exp() for a in x]).log()], GROWING, terms=True
    ),
    "logsumexp of others": Primitive(
        "logsumexp(x, over=C, where=index(C) != t)",
        lambda x, y, t: [_total([a.exp() for i, a in enumerate(x) if i != t]).log()],
        GROWING,
        terms=True,
    ),
    "log_softmax": Primitive("log_softmax(x, over=C)", _log_softmax, GROWING, terms=True),
    "norm 1": Primitive("norm(x, over=C, p=1)", lambda x, y, t: [_total([abs(a) for a in x])], WIDE),
    "norm 2": Primitive("norm(x, over=C, p=2)", lambda x, y, t: [_total([a * a for a in x]).sqrt()], WIDE),
    "norm 1.5": Primitive("norm(x, over=C, p=1.5)", _norm(1.5), WIDE),
    "norm 3": Primitive("norm(x, over=C, p=3)", _norm(3), WIDE),
    "norm inf": Primitive(
        "norm(x, over=C, p=inf)", lambda x, y, t: [abs(x[int(np.argmax([abs(float(a)) for a in x]))])], WIDE
    ),
    "rename": Primitive("x * max(rename(y, C, E), over=E)", lambda x, y, t: [a * _largest(y) for a in x], y=True),
}


def _largest(y: Row) -> arb:
    return max(y, key=float)


def check(name: str) -> None:
    """Asserts that a primitive's values and derivatives are within their bounds and 2^-108 of what is right."""
    if name == "ctc_log_likelihood":
        return _check_ctc()
    item = PRIMITIVES[name]
    for k, (low, high) in enumerate(item.sizes):
        x, y = numbers(2 * k, ROWS * COLUMNS, low, high), numbers(2 * k + 1, ROWS * COLUMNS, low, high)
        if item.signed:
            sign = np.where(np.arange(ROWS * COLUMNS) % 3 == 0, -1.0, 1.0)
            x, y = x * sign, y * sign[::-1]
        _check_rows(item, x.reshape(ROWS, COLUMNS), y.reshape(ROWS, COLUMNS), np.arange(ROWS) % COLUMNS)


def _check_rows(item: Primitive, x: np.ndarray, y: np.ndarray, t: np.ndarray) -> None:
    found = _evaluated(item, x, y, t)
    names = ("value", "x", "y") if item.y else ("value", "x")
    with precision(BITS):
        want: dict[str, list[arb]] = {name: [] for name in names}
        for a, b, label in zip(x, y, t, strict=True):
            row, other = ([arb(float(v)) for v in part] for part in (a, b))
            want["value"] += item.right(row, other, int(label))
            want["x"] += _slopes(functools.partial(item.right, y=other, t=int(label)), row)
            if item.y:
                want["y"] += _slopes(functools.partial(item.right, row, t=int(label)), other)
        for name in names:
            largest = arb(max(1.0, float(np.abs(x).max()))) if name == "value" else arb(1)
            assert_right(found[name], want[name], largest if item.terms else arb(0))


def _slopes(function: Callable[[Row], list[arb]], at: Row) -> list[arb]:
    """The derivatives of the sum of a function's results."""
    return [_slope(function, at, j) for j in range(len(at))]


def _slope(function: Callable[[Row], list[arb]], at: Row, j: int) -> arb:
    step = STEP * abs(at[j])
    ahead, back = ([*at[:j], at[j] + side * step, *at[j + 1 :]] for side in (1, -1))
    # results that do not move contribute nothing: not even the noise of arb's last digits
    moved = [p - q for p, q in zip(function(ahead), function(back), strict=True) if p.mid() != q.mid()]
    return _total(moved) / (2 * step)


def _evaluated(item: Primitive, x: np.ndarray, y: np.ndarray, t: np.ndarray) -> dict[str, Ball]:
    layout = {"N": ROWS, "C": COLUMNS, "E": COLUMNS}
    arrays = {"x": x[None, :, :, None], "y": y[None, :, :, None], "t": t[None, :, None, None].astype(float)}
    inputs = {name: Term(Ball(quad(array))) for name, array in arrays.items()}
    with np.errstate(all="ignore"):
        tape = Tape(Balls(FORMATS["float64"], 4), layout, inputs, {}, lambda axis: (axis,))
        root = parse_expression(item.text)
        slopes = tape.gradients(root, ("x", "y"))
        return {"value": tape.term(root).data, **{name: term.data for name, term in slopes.items()}}


def assert_right(z: Ball, want: Sequence[arb], largest: arb | None = None) -> None:
    """z is within its bound of `want`, and within 2^-108 of it, relative to the larger of it and `largest`."""
    room = SAFETY * np.broadcast_to(z.bound()[0], z.x.shape).ravel()
    floor = arb(0) if largest is None else largest
    mantissas, exponents = np.frexp(room)  # a bound may be far below the smallest float64
    bounds = [arb(float(m)) * arb(2) ** int(e) for m, e in zip(mantissas, exponents, strict=True)]
    for got, right, bound in zip(exact(z.x), want, bounds, strict=True):
        off, noise = abs(got - right.mid()), 2 * right.rad()  # of the step and of arb itself
        limit = abs(right.mid()) if abs(right.mid()) > floor else floor
        assert noise <= limit * EXACT / 1024, f"{right} is too wide to tell"
        assert off <= bound + noise, f"{got.str(40)} is more than {bound} off {right.str(40)}"
        assert off <= limit * EXACT + noise, f"{got.str(40)} is not {right.str(40)} to 2^-108"


# The lattice: every alignment of a labelling, written out


def ctc_log_likelihood(frames: Sequence[Row], labels: Sequence[int], blank: int = 0) -> arb:
    """log of the probability of all frame-by-frame paths that collapse to the labelling."""
    classes = range(len(frames[0]))
    ways = arb(0)
    for path in itertools.product(classes, repeat=len(frames)):
        if [c for c, _ in itertools.groupby(path) if c != blank] == list(labels):
            ways += _total([frame[c] for frame, c in zip(frames, path, strict=True)]).exp()
    return ways.log()


def _check_ctc() -> None:
    """Asserts the same of the lattice, for labellings with and without repetition."""
    draw = np.random.Generator(np.random.Philox(9))
    for labels in ([1], [1, 2], [1, 1], [2, 1, 2]):
        frames = draw.standard_normal((5, 3)) * 3
        arrays: dict[str, Any] = {
            "x": frames[None, :, :, None],
            "y": np.array(labels, float).reshape(1, 1, 1, -1),
            "f": np.full((1, 1, 1, 1), 5.0),
            "n": np.full((1, 1, 1, 1), float(len(labels))),
        }
        inputs = {name: Term(Ball(quad(array))) for name, array in arrays.items()}
        layout = {"T": 5, "C": 3, "S": len(labels)}
        tape = Tape(Balls(FORMATS["float64"], 4), layout, inputs, {}, lambda axis: () if axis == "N" else (axis,))
        root = parse_expression("ctc_log_likelihood(x, y, f, n, over=(T, N, C, S), blank=0)")
        with np.errstate(all="ignore"):
            value, slope = tape.term(root).data, tape.gradients(root, ("x",))["x"].data
        with precision(4000):
            rows = [[arb(float(v)) for v in frame] for frame in frames]
            flat = [v for row in rows for v in row]
            right = functools.partial(_of_flat, labels)
            assert_right(value, right(flat), arb(float(np.abs(frames).max())))
            assert_right(slope, _slopes(right, flat), arb(1))


def _of_flat(labels: Sequence[int], frames: Row) -> list[arb]:
    return [ctc_log_likelihood([frames[3 * i : 3 * i + 3] for i in range(5)], labels)]
