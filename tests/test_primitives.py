"""Every primitive of the reference against `arb`: the number within its bound, and the bound as small as promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flint import arb

from conformance.formula import parse_expression
from conformance.formula.derivatives import RULES
from conformance.formula.node import walk
from conformance.formula.parse import FUNCTIONS
from conformance.reference.ball import Ball, C
from conformance.reference.balls import SAFETY
from conformance.reference.escalate import precision
from conformance.reference.formats import FORMATS, sum_factor
from conformance.reference.functions import FUNCTIONS as VALUES
from conformance.reference.functions import sum_is_exact
from conformance.reference.quad import _wide_anywhere, magnitude, quad, split, total
from conformance.reference.reductions import Balls
from tests.primitives import exact, numbers
from tests.trees import TREES, Tree, evaluated

RANK = 2
BITS = 2000
TINIEST = arb(2) ** -16100  # where binary128 underflows
BLUR = arb(2) ** -2000
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def balls(dtype: str = "float64", rank: int = RANK) -> Balls:
    return Balls(FORMATS[dtype], rank)


def assert_within(z: Ball, want: Sequence[arb], slack: float = 2.0**-106, close: float | None = None) -> None:
    """z is within its bound of `want`, and within `close` (`slack` / 4) of it; and its bound is within `slack` of z."""
    bound = exact(SAFETY * np.broadcast_to(z.bound()[0], z.x.shape).astype(np.longdouble))
    for got, right, room in zip(exact(z.x), want, bound, strict=True):
        blur = 2 * right.rad()  # of the ball that it is compared with, which has to be small beside all it decides
        assert blur <= abs(right) * 2.0**-300 or blur < BLUR, right
        off = abs(got - right)
        assert off <= room + blur, (got, right, room)
        size = abs(right.mid())
        assert off <= size * (slack / 4 if close is None else close) + TINIEST + blur, (got, right)
        assert room <= size * slack + TINIEST + blur, (right, room)


def assert_tree(item: Tree) -> None:
    """The value of a tree and its gradients are within their bounds, and as close as it promises."""
    slack, close = (2.0**-98, 2.0**-item.bits) if item.bits else (1e300, 1e300)
    for _, got, want in evaluated(item):
        assert_within(got, want, slack, close)


@pytest.mark.parametrize("item", TREES, ids=lambda item: f"{item.text} at 2**{item.low}".replace(" ", ""))
def test_every_primitive_and_its_derivative_is_that_of_arb(item: Tree) -> None:
    """Within its bound; and to 2^-108 of itself, where that is no matter of condition."""
    with precision(5000):
        assert_tree(item)


def test_no_primitive_and_no_derivative_is_left_out() -> None:
    tried = {node.op for item in TREES for node in walk(parse_expression(item.text))}
    language = {"maximum" if name == "clip" else name for name in FUNCTIONS} | set(RULES)
    assert language - tried == {"ctc_log_likelihood"}  # a recursion over these, controlled in every case of its spec


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_primitive_wrong_by_a_hair_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = VALUES[name]
    monkeypatch.setitem(VALUES, name, lambda x: right(x) * quad(1 + 2.0**-52) - right(x) * quad(2.0**-52 - 2.0**-60))
    item = Tree(f"{name}(x)", positive=True)
    with precision(5000), pytest.raises(AssertionError):
        assert_tree(item)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "sum", "logsumexp", "softmax", "norm"])
def test_an_operation_wrong_by_a_hair_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(Balls, name)

    def wrong(self: Balls, *args: Any) -> Ball:
        z: Ball = right(self, *args)
        return replace(z, x=z.x + z.x * quad(2.0**-60))

    monkeypatch.setattr(Balls, name, wrong)
    texts = {"add": "x + y", "sub": "x - y", "mul": "x * y", "div": "x / y", "sum": "sum(x, over=C)"}
    texts |= {"logsumexp": "logsumexp(x, over=C)", "softmax": "logsumexp(x, over=C)", "norm": "norm(x, over=C, p=3)"}
    with precision(5000), pytest.raises(AssertionError):
        assert_tree(Tree(texts[name], positive=True, bits=0))


def test_a_sum_is_known_to_be_exact_only_where_it_is() -> None:
    a, b = numbers(11, 400, -70, 70), numbers(12, 400, -70, 70)
    z = balls().sub(Ball(quad(a[None])), Ball(quad(b[None])))
    claimed = (z.bound()[0] == 0).ravel()
    assert 50 < claimed.sum() < 350
    with precision(300):
        for known, got, x, y in zip(claimed.tolist(), exact(z.x), a, b, strict=True):
            assert known == bool(got == arb(float(x)) - arb(float(y)))


def test_a_zero_by_underflow_is_not_exact() -> None:
    x = Ball(quad([[-1e38, -1e5]]))
    for name in ("exp", "sigmoid", "softplus"):
        z = balls().unary(name, x)
        assert (z.x == quad(0.0)).all()
        assert (z.bound()[0] > 0).all()
        assert (balls().mul(z, Ball(quad([[1e-300]]))).bound()[0] > 0).all()
    assert (balls().softmax(Ball(quad([[0.0, -1e5]])), (1,), None).bound()[0] > 0).all()
    assert (balls().unary("exp", Ball(quad([[-np.inf]]))).bound()[0] == 0).all()


UNARY: dict[str, Callable[[arb], arb]] = {
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.expm1(),
    "log": lambda x: x.log(),
    "log1p": lambda x: x.log1p(),
    "sqrt": lambda x: x.sqrt(),
    "abs": lambda x: abs(x),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "softplus": lambda x: x.exp().log1p(),
}


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name: str) -> None:
    values = numbers(1, 200)
    if name not in {"log", "sqrt", "log1p"}:
        values = np.concatenate([values, -values])
    x = Ball(quad(values[None]))
    with precision(BITS):
        assert_within(balls().unary(name, x), [UNARY[name](arb(float(v))) for v in values])


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_arithmetic(name: str) -> None:
    a, b = numbers(2, 200), numbers(3, 200)
    z = getattr(balls(), name)(Ball(quad(a[None])), Ball(quad(b[None])))
    op = {"add": arb.__add__, "sub": arb.__sub__, "mul": arb.__mul__, "div": arb.__truediv__}[name]
    with precision(BITS):
        assert_within(z, [op(arb(float(x)), arb(float(y))) for x, y in zip(a, b, strict=True)])


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e-8])
def test_logsumexp_and_softmax(scale: float) -> None:
    rows = np.random.Generator(np.random.Philox(4)).standard_normal((20, 6)) * scale
    x = Ball(quad(rows))
    with precision(BITS):
        right = [[arb(float(v)) for v in row] for row in rows]
        sums = [sum((v.exp() for v in row), arb(0)) for row in right]
        # log Σ exp is off absolutely, by the rounding within it: relative to the result only where that is not small
        lse = balls().logsumexp(x, (1,), None)
        for got, s, room in zip(exact(lse.x), sums, lse.bound()[0].ravel(), strict=True):
            assert abs(got - s.log()) <= arb(float(SAFETY * room))
            assert float(room) < 2.0**-107 * max(1.0, scale)
        assert_within(
            balls().softmax(x, (1,), None),
            [v.exp() / s for row, s in zip(right, sums, strict=True) for v in row],
            2.0**-96 if scale > 1 else 2.0**-104,
        )


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, np.inf])
def test_norms(p: float) -> None:
    rows = np.random.Generator(np.random.Philox(5)).standard_normal((20, 7)) * 1e-5
    z = balls().norm(Ball(quad(rows)), p, (1,))
    with precision(BITS):
        right = [[abs(arb(float(v))) for v in row] for row in rows]
        if np.isinf(p):
            want = [arb(float(np.abs(row).max())) for row in rows]
        else:
            want = [sum((v ** arb(p) for v in row), arb(0)) ** (1 / arb(p)) for row in right]
        assert_within(z, want, 2.0**-104)


def test_errors_of_arguments_are_carried_on() -> None:
    """A perturbed argument moves the result by no more than the bound says, however large the perturbation."""
    arithmetic = balls("float16")
    for name, function in UNARY.items():
        values = numbers(6, 60, -6, 3)
        for share in (1e-6, 1e-2, 0.9):
            room = (values * share)[None]
            b = np.stack([0 * room, room]).astype(np.longdouble)
            z = arithmetic.unary(name, Ball(quad(values[None]), b))
            with precision(200):
                for value, off, bound in zip(values, room[0], z.bound()[1][0], strict=True):
                    for moved in (arb(float(value)) - arb(float(off)), arb(float(value)) + arb(float(off))):
                        moved_by = abs(function(moved) - function(arb(float(value))))
                        assert moved_by <= arb(float(bound)) * (1 + arb(2) ** -40), (name, value, off)


def test_a_quotient_by_what_may_be_zero_is_unbounded() -> None:
    one = Ball(quad([[1.0]]))
    unsure = Ball(quad([[1.0]]), np.array([[[0.0]], [[1.0]]], np.longdouble))
    with np.errstate(all="ignore"):
        assert np.isinf(balls().div(one, unsure).bound()[1])
        assert np.isinf(balls().unary("log", unsure).bound()[1])


def test_multiplying_by_a_power_of_two_is_exact() -> None:
    x, half = Ball(quad([[0.1]])), Ball(quad([[0.5]]))
    assert np.all(balls().mul(x, half).bound() == 0)
    assert np.all(balls().mul(x, Ball(quad([[0.3]]))).bound() > 0)
    both = balls().mul(x, Ball(quad([[0.5], [0.3]]))).bound()  # each element by itself
    assert np.all(both[:, 0] == 0)
    assert np.all(both[:, 1] > 0)


def test_an_exact_difference_of_equal_numbers_is_exactly_zero() -> None:
    x = Ball(quad([[0.1]]))
    assert np.all(balls().sub(x, x).bound() == 0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_numpy_in_the_dtype_keeps_within_its_bounds(dtype: str) -> None:
    """The error analysis holds for NumPy's own arithmetic in each dtype."""
    kind, arithmetic = np.dtype(dtype), balls(dtype)
    values = numbers(7, 300, -8, 4).astype(kind)
    x = Ball(quad(values[None]))
    for name in ("exp", "log", "sqrt", "log1p", "expm1"):
        function = getattr(np, name)
        z = arithmetic.unary(name, x)
        off = magnitude(quad(function(values).astype(np.float64)[None]) - z.x)
        assert np.all(off <= C * z.bound()[1] + SAFETY * z.bound()[0]), name


def test_pairwise_sums_keep_their_bound_and_empty_ones_are_zero() -> None:
    draw = np.random.Generator(np.random.Philox(8)).standard_normal((1, 10_001))
    z = balls().sum(Ball(quad(draw)), (1,))
    with precision(BITS):
        assert_within(z, [sum((arb(float(v)) for v in draw[0]), arb(0))], 2.0**-90)
    assert total(quad(np.zeros((2, 0))), (1,)).astype(float).tolist() == [[0.0], [0.0]]
    assert sum_factor(1) == 0
    assert sum_factor(10) == 9
    assert sum_factor(10**6) == 4016


def test_adding_exact_zeros_rounds_nothing() -> None:
    few, many = np.array([[3.0, 0.5, 7.0]]), np.zeros((1, 300))
    many[0, [7, 70, 200]] = few
    for reduce in (balls().sum, lambda x, axes: balls().norm(x, 1, axes), lambda x, axes: balls().norm(x, 2, axes)):
        alone, among = reduce(Ball(quad(few)), (1,)), reduce(Ball(quad(many)), (1,))
        assert same_bounds(alone, among)
    maybe = Ball(quad(many), np.full((2, 1, 300), 1e-30, np.longdouble))  # zeros that may be off count
    assert (balls().sum(maybe, (1,)).bound()[1] > 10 * balls().sum(Ball(quad(many)), (1,)).bound()[1]).all()
    alone = balls().logsumexp(Ball(quad([[0.0, -1.0]])), (1,), None)
    among = balls().logsumexp(Ball(quad([[0.0, *[-np.inf] * 99, -1.0]])), (1,), None)
    assert same_bounds(alone, among)


def same_bounds(one: Ball, other: Ball) -> bool:
    """Up to the last rounding, which is float64's or a long double's."""
    return np.allclose(one.bound(), other.bound(), rtol=1e-15, atol=0)


def test_magnitudes_keep_the_range_of_binary128() -> None:
    tiny = quad([1e-300]) * quad([1e-300]) * quad([1e-300])
    assert abs(np.log10(magnitude(tiny)[0]) + 900) < 1e-9
    huge = quad([1e300]) * quad([1e300])
    assert abs(np.log10(magnitude(huge)[0]) - 600) < 1e-9
    assert magnitude(quad([0.0, -np.inf])).tolist() == [0.0, np.inf]
    assert np.isnan(magnitude(quad([np.nan]))[0])


def test_maxima_and_the_infinite_norm() -> None:
    rows = np.array([[1.0, -3.0, 2.0], [5.0, 5.0, 0.0]])
    x = Ball(quad(rows))
    assert balls().max(x, (1,)).x.astype(float).ravel().tolist() == [2.0, 5.0]
    top = balls().top(x, (1,))
    assert top.true.tolist() == [[False, False, True], [True, False, False]]
    assert top.open is not None
    assert top.open.tolist() == [[False] * 3, [True, True, False]]  # of a tie, either
    norm = balls().norm(x, np.inf, (1,))
    assert norm.x.astype(float).ravel().tolist() == [3.0, 5.0]
    slope = balls().norm_gradient(x, norm, np.inf, (1,))
    assert slope.x.astype(float).tolist()[0] == [0.0, -1.0, 0.0]


def test_a_sum_is_exact_where_it_gives_back_both_terms() -> None:
    """Against `arb`: terms around powers of two and of all distances, and what cancels, in either order and sign."""
    rng = np.random.default_rng(3)
    powers = quad(2.0) ** quad(rng.integers(-120, 121, 4000).astype(float))
    x = quad(rng.uniform(0.5, 1, 4000)) + quad(rng.choice([0.0, 2.0**-60, 2.0**-112], 4000))
    y = (quad(1.0) + quad(rng.integers(-2, 3, 4000) * 2.0**-112)) * powers
    y[::4] = x[::4] + quad(rng.integers(-2, 3, 1000) * 2.0**-113)
    y[1::2] = -y[1::2]
    for one, other in ((x, y), (y, x)):
        z = one + other
        with precision(BITS):
            right = [a + b == c for a, b, c in zip(exact(one), exact(other), exact(z), strict=True)]
        assert 400 < sum(right) < 3600
        assert sum_is_exact(one, other, z, magnitude(one) >= magnitude(other)).tolist() == right


@pytest.mark.parametrize("reach", [100, 900, 16300])
def test_words_of_binary128_are_read_as_its_arithmetic_has_them(reach: int) -> None:
    """Magnitudes beside those that casts give, and both halves of a split beside the number; 0 and infinities too."""
    rng = np.random.default_rng(reach)
    digits = quad(rng.uniform(1, 2, 2000)) + quad(rng.uniform(0, 1, 2000)) * quad(2.0**-60)
    x = digits * quad(2.0) ** quad(rng.integers(-reach, reach + 1, 2000).astype(float))
    x = np.concatenate([x, -x, quad([0.0, -0.0, 1.0, -(2.0**-70)])])
    x = np.concatenate([x, quad([np.inf, -np.inf])]) if reach > 1000 else x
    m, slow = magnitude(x), _wide_anywhere(x)
    finite = np.isfinite(slow)
    assert (m.dtype == np.float64) is (reach == 100)
    assert (m[~finite] == np.inf).all()
    assert finite.sum() >= 4004
    assert (np.abs(m - slow)[finite] <= slow[finite] * 2.0**-52).all()
    high, low, lost = split(x)
    near = np.abs(high) <= 1e300
    left = magnitude(np.abs((x[near] - quad(high[near])) - quad(low[near])))
    assert (left <= lost[near]).all()
    tiny = np.abs(low) < 1e-290  # what subnormal halves lack is told, and is more
    assert (lost[near & ~tiny] <= np.abs(high[near & ~tiny]) * 2.0**-105).all()
    assert np.signbit(high).tolist() == np.signbit(x).tolist()
