"""Helper functions of single frameworks, in neutral terms and in their own.

They stand in for a function of the framework that is not right, or whose derivative is not, and say what is wrong. What
they stand in for they call by the framework's name: the neutral one would be themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

MLX_HELPERS: Mapping[str, str] = {
    "_exp": '''
@mx.custom_function
def _exp(x):
    """exp(x). mx.exp has five to eight digits, in float64 too, and on the CPU is 0 below -88; mx.expm1 has all."""
    size = abs(x)
    grown = expm1(size) + 1
    half = 1 / (expm1(size / 2) + 1)
    return mx.where(x < 0, mx.where(isfinite(grown), 1 / grown, half * half), grown)


@_exp.vjp
def _exp_vjp(x, cotangent, output):
    return cotangent * output
''',
    "_where": '''
@mx.custom_function
def _choice(taken, x, y):
    return mx.where(taken, x, y)


@_choice.vjp
def _choice_vjp(primals, cotangent, output):
    taken, nothing = primals[0], mx.zeros_like(cotangent)
    return mx.zeros_like(taken), mx.where(taken, cotangent, nothing), mx.where(taken, nothing, cotangent)


def _where(taken, x, y):
    """mx.where. Its own derivative is a product with 0 where nothing is taken, which is NaN of an infinite slope."""
    return _choice(*mx.broadcast_arrays(stop_gradient(taken), *_pair(x, y)))
''',
    "_divide": '''
@mx.custom_function
def _quotient(x, y):
    return x / y


@_quotient.vjp
def _quotient_vjp(primals, cotangent, output):
    slope = cotangent / primals[1]
    return slope, -slope * output


def _divide(x, y):
    """x / y. Its own derivative has x / y^2, whose square overflows and underflows."""
    return _quotient(*mx.broadcast_arrays(*_pair(x, y)))
''',
    "_pair": '''
def _pair(x, y):
    """Two arrays: a number has the dtype of the array beside it."""
    dtype = x.dtype if isinstance(x, mx.array) else y.dtype if isinstance(y, mx.array) else mx.int64
    return [item if isinstance(item, mx.array) else mx.array(item, dtype) for item in (x, y)]
''',
}

PADDLE_HELPERS: Mapping[str, str] = {
    "_pair": '''
def _pair(x, y):
    """Two tensors: a number is one of the other's dtype, where paddle would make float32 of it, or refuse it."""
    dtype = x.dtype if paddle.is_tensor(x) else y.dtype if paddle.is_tensor(y) else "int64"
    return [item if paddle.is_tensor(item) else paddle.full([], item, dtype) for item in (x, y)]
''',
    "_abs": '''
def _abs(x):
    """|x|. The derivative of paddle's own is x / |x|, which is NaN where x is infinite."""
    return where(x < 0, -x, x)
''',
    "_equal": '''
def _equal(x, y):
    """Whether x is y: paddle's == holds of numbers that are less than 1e-15 apart."""
    return (x <= y) & (x >= y)
''',
    "_power": '''
def _power(x, p):
    """x to the power of a number, which paddle rounds to float32 where it is given as it is."""
    return paddle.pow(*_pair(x, p))
''',
    "_exp": '''
def _exp(x):
    """exp(x). Paddle's own goes no lower than 3e-39 in float32 and 6e-309 in float64, even where x is -inf."""
    low = x < -80
    half = paddle.exp(where(low, x, 0) / 2)
    return where(low, half * half, paddle.exp(where(low, 0, x)))
''',
    "_expm1": '''
def _expm1(x):
    """exp(x) - 1. The derivative of paddle's own is that plus 1, in which the digits of exp(x) are lost below -1."""
    near = (x > -1) & (x < 1)
    return where(near, paddle.expm1(where(near, x, 0)), exp(x) - 1)
''',
    "_log": '''
def _log(x):
    """log(x). The derivative of paddle's own is a product with 1 / x, which overflows where x is very small."""
    low = x < 4 * paddle.finfo(x.dtype).tiny
    larger = paddle.multiply(*_pair(where(low, x, 1), 2.0**64))
    return where(low, paddle.log(larger) - 64 * math.log(2), paddle.log(where(low, 1, x)))
''',
}

KERAS_HELPERS: Mapping[str, str] = {
    "_pair": '''
def _pair(x, y):
    """Two tensors: a number is one of the other's dtype. Of it keras makes one of `floatx`, which rounds or widens."""
    dtype = x.dtype if ops.is_tensor(x) else y.dtype if ops.is_tensor(y) else "int64"
    return [item if ops.is_tensor(item) else ops.full((), item, dtype) for item in (x, y)]
''',
    "_max": '''
def _max(x, axis):
    """The largest one. Keras refuses an array without elements, also where another axis is the empty one."""
    return ops.max(x, axis=axis, keepdims=True) if math.prod(x.shape) else sum(x, axis)
''',
    "_mean": '''
def _mean(x, axis=None):
    """The mean, over an axis or of everything. keras's own is one of float32 outside of tensorflow, of float64 too."""
    return sum_all(x) / size(x) if axis is None else sum(x, axis) / x.shape[axis]
''',
}
