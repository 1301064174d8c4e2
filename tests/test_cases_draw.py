"""Numbers: neighbours in every dtype, ranges, magnitudes, mixtures; all by exact arithmetic on Philox's own bits."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from conformance.cases import DTYPES
from conformance.cases.draw import draw_array, draw_number, to_dtype
from conformance.cases.source import Source, digest
from conformance.cases.steps import coarse, largest, smallest_normal, smallest_subnormal, step
from conformance.spec.model import Draw, Mixed, Near, Uniform, Values


def draw(
    how: Draw, dtype: str = "float64", n: int = 4000, base: float = 1.0, *, is_coarse: bool = False
) -> NDArray[Any]:
    near = np.full((n,), base, DTYPES[dtype])
    return draw_array(how, Source(3), (n,), dtype, lambda _: near, is_coarse=is_coarse)


def test_the_source_is_pinned() -> None:
    """By the raw stream of Philox, which NumPy promises to keep."""
    source = Source(12345)
    assert source.below(1000, (4,)).tolist() == [646, 774, 786, 159]
    assert source.unit((2,)).tolist() == [0.1609428202152785, 0.8183785662239111]
    assert source.integer(10) == 9
    assert digest("a", 1) == digest("a", "1") != digest("a1")


def test_integers_are_even() -> None:
    counts = np.bincount(Source(1).below(7, (70_000,)), minlength=7)
    assert len(counts) == 7
    assert np.all(np.abs(counts - 10_000) < 500)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_steps_are_neighbours_in_value(dtype: str) -> None:
    every = np.arange(2**16, dtype=np.uint16).view(DTYPES[dtype])
    finite = np.unique(every[np.isfinite(every.astype(np.float32))].astype(np.float64))  # sorted, one zero
    array = finite.astype(DTYPES[dtype])
    for count in (1, -1, 5, -7):
        moved = step(array, np.full(array.shape, count)).astype(np.float64)
        wanted = finite[np.clip(np.arange(len(finite)) + count, 0, len(finite) - 1)]
        np.testing.assert_array_equal(moved, wanted)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-40, 3.25])
def test_a_step_is_nextafter(dtype: str, value: float) -> None:
    array = np.array([value], DTYPES[dtype])
    np.testing.assert_array_equal(step(array, np.array([1])), np.nextafter(array, np.array(np.inf, array.dtype)))
    np.testing.assert_array_equal(step(array, np.array([-1])), np.nextafter(array, np.array(-np.inf, array.dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_stay_finite(dtype: str) -> None:
    top = np.array([largest(DTYPES[dtype]), -largest(DTYPES[dtype])], DTYPES[dtype])
    assert np.array_equal(step(top, np.array([9, -9])), top)
    assert np.array_equal(step(top, np.array([2**20, 2**20]))[:1], top[:1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_of_the_dtypes(dtype: str) -> None:
    info = ml_dtypes.finfo(DTYPES[dtype])  # type: ignore[no-untyped-call]
    assert smallest_subnormal(DTYPES[dtype]) == float(info.smallest_subnormal)
    assert smallest_normal(DTYPES[dtype]) == float(info.tiny)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("low", "high"), [(-8, 8), (0, 1), (-1, 0), (2, 2), (1e-3, 0.5), (-60000, 60000)])
def test_uniform_numbers_keep_to_their_bounds(dtype: str, low: float, high: float) -> None:
    values = draw(Uniform(low, high), dtype).astype(float)
    ends = to_dtype(np.array([low, high], float), dtype).astype(float)
    assert ends[0] <= values.min() <= values.max() <= ends[1]
    assert low == high or abs(values.mean() - (low + high) / 2) < 0.05 * (high - low)


def test_the_widest_range_does_not_overflow() -> None:
    values = draw(Uniform(-1.7e308, 1.7e308))
    assert np.isfinite(values).all()
    assert (values < -1e308).any()
    assert (values > 1e308).any()


@pytest.mark.parametrize(
    ("low", "high"), [(1e-300, 1e300), (5e-324, 1.7e308), (-1e10, -1e-10), (1e-310, 1e-300), (1, 2)]
)
def test_magnitudes_are_even(low: float, high: float) -> None:
    values = draw(Uniform(low, high, log=True))
    assert low <= values.min() <= values.max() <= high
    middle = np.sqrt(abs(low)) * np.sqrt(abs(high))
    assert 0.4 < np.mean(np.abs(values) < middle) < 0.6


def test_magnitudes_down_to_zero_and_on_both_sides() -> None:
    values = draw(Uniform(-10, 1000, log=True), "float32").astype(float)
    assert -10 <= values.min() <= values.max() <= 1000
    assert 0.4 < np.mean(values < 0) < 0.6
    positive = draw(Uniform(0, 1, log=True), "float16").astype(float)
    assert 0 < positive.min() < 1e-4
    assert positive.max() > 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_near_numbers_are_a_few_steps_off(dtype: str) -> None:
    values = draw(Near("x", 3), dtype)
    expected = {float(step(np.array([1.0], DTYPES[dtype]), np.array([k]))[0]) for k in range(-3, 4)}
    assert {float(value) for value in values} == expected
    assert {float(value) for value in draw(Near("x", 0), dtype)} == {1.0}


def test_mixtures_have_every_part() -> None:
    values = draw(Mixed((Values((7, 9)), Uniform(-1, 0), Near("x", 0))), "float32")
    for part in (values == 7, values == 9, values <= 0, values == 1):
        assert part.any()


def test_coarse_numbers_tie() -> None:
    assert coarse(np.array([0.0, 1.1, 1.3, -2.6, 5.2, 100.0, 0.3, 1e-300])).tolist() == [
        0.0, 1.0, 1.5, -2.5, 5.0, 96.0, 0.3125, coarse(np.array([1e-300]))[0],
    ]  # fmt: skip
    values = draw(Uniform(-8, 8), is_coarse=True)
    assert len(np.unique(values)) < 200
    assert np.isfinite(draw(Uniform(1e308, 1.7976931348623157e308), is_coarse=True)).all()


def test_a_parameter_is_a_python_float() -> None:
    for how in (Uniform(0.5, 2), Values((1, 2)), Mixed((Uniform(0, 1), Values((3,))))):
        assert type(draw_number(how, Source(0))) is float
    with pytest.raises(TypeError, match="near an input"):
        draw_number(Near("x"), Source(0))


def test_rounding_to_a_dtype_keeps_infinities_and_makes_none() -> None:
    assert to_dtype(np.array([1e300, -np.inf]), "float16").tolist() == [65504.0, -np.inf]
