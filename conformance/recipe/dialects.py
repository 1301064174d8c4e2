"""The dialects: one table for each framework."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.recipe.dialect import Dialect
from conformance.recipe.own_helpers import MLX_HELPERS, PADDLE_HELPERS


def _under(prefix: str, *names: str) -> dict[str, str]:
    """Words that the framework writes as the formula does, below `prefix`."""
    one = dict.fromkeys(names, "({0})") | dict.fromkeys({"maximum", "minimum"} & set(names), "({0}, {1})")
    return {name: f"{prefix}.{name}{arguments}" for name, arguments in one.items()}


JAX = Dialect(
    name="jax",
    imports={"math": "import math", "jax": "import jax", "jnp": "import jax.numpy as jnp"},
    array="jax.Array",
    words={
        **_under("jnp", "abs", "exp", "expm1", "log", "log1p", "sqrt", "maximum", "minimum", "isfinite"),
        "softplus": "_softplus({0})",  # jax.nn.softplus has a slope that is off by 32 ulp
        "where": "jnp.where({0}, {1}, {2})",
        "stop_gradient": "jax.lax.stop_gradient({0})",
        "sum": "jnp.sum({0}, axis={1}, keepdims=True)",
        "mean": "jnp.mean({0}, axis={1}, keepdims=True)",
        "max": "jnp.max({0}, axis={1}, keepdims=True)",
        "all": "jnp.all({0}, axis={1}, keepdims=True)",
        "sum_all": "jnp.sum({0})",
        "mean_all": "jnp.mean({0})",
        "max_all": "jnp.max({0})",
        "log_softmax": "jax.nn.log_softmax({0}, axis={1})",
        "gather": "jnp.take_along_axis({0}, {1}, axis={2})",
        "take": "{0}[{1}]",
        "count_true": "jnp.cumsum({0}, axis={1})",
        "clip": "jnp.clip({0}, {1}, {2})",
        "whole": "jnp.asarray({0}).astype(int)",
        "like": "{0}",
        "arange": "jnp.arange({0})",
        "full": "jnp.full({0}, {1}, {2}.dtype)",
        "size": "{0}.size",
        "reshape": "jnp.reshape({0}, {1})",
        "expand": "jnp.expand_dims({0}, {1})",
        "squeeze": "jnp.squeeze({0}, axis={1})",
        "swap": "jnp.swapaxes({0}, {1}, {2})",
        "concatenate": "jnp.concatenate({0}, axis={1})",
        "stack": "jnp.stack({0}, axis={1})",
        "joint_shape": "jnp.broadcast_shapes({0}, {1})",
    },
)

TORCH = Dialect(
    name="torch",
    imports={"math": "import math", "torch": "import torch", "F": "import torch.nn.functional as F"},
    array="torch.Tensor",
    words={
        **_under("torch", "abs", "exp", "expm1", "log", "log1p", "sqrt", "isfinite"),
        "softplus": "-F.logsigmoid(-{0})",  # F.softplus gives up at 20
        "maximum": "torch.clamp({0}, min={1})",
        "minimum": "torch.clamp({0}, max={1})",
        "where": "torch.where({0}, {1}, {2})",
        "stop_gradient": "{0}.detach()",
        "sum": "torch.sum({0}, dim={1}, keepdim=True)",
        "mean": "torch.mean({0}, dim={1}, keepdim=True)",
        "max": "torch.amax({0}, dim={1}, keepdim=True)",
        "all": "torch.all({0}, dim={1}, keepdim=True)",
        "sum_all": "torch.sum({0})",
        "mean_all": "torch.mean({0})",
        "max_all": "torch.amax({0})",
        "log_softmax": "F.log_softmax({0}, dim={1})",
        "gather": "torch.take_along_dim({0}, {1}, dim={2})",
        "take": "{0}[{1}]",
        "count_true": "torch.cumsum({0}, dim={1})",
        "clip": "torch.clamp({0}, {1}, {2})",
        "whole": "{0}.long()",
        "like": "{0}",
        "arange": "torch.arange({0}, device={1}.device)",
        "full": "{2}.new_full({0}, {1})",
        "size": "{0}.numel()",
        "reshape": "torch.reshape({0}, {1})",
        "expand": "torch.unsqueeze({0}, {1})",
        "squeeze": "torch.squeeze({0}, dim={1})",
        "swap": "torch.swapaxes({0}, {1}, {2})",
        "concatenate": "torch.cat({0}, dim={1})",
        "stack": "torch.stack({0}, dim={1})",
        "joint_shape": "torch.broadcast_shapes({0}, {1})",
    },
)

TENSORFLOW = Dialect(
    name="tensorflow",
    imports={"math": "import math", "tf": "import tensorflow as tf"},
    array="tf.Tensor",
    words={
        **_under("tf", "abs", "exp", "sqrt", "maximum", "minimum", "stop_gradient"),
        **_under("tf.math", "expm1", "log", "log1p", "softplus"),
        "isfinite": "tf.math.is_finite({0})",
        "where": "tf.where({0}, {1}, {2})",
        "sum": "tf.reduce_sum({0}, axis={1}, keepdims=True)",
        "mean": "tf.reduce_mean({0}, axis={1}, keepdims=True)",
        "max": "tf.reduce_max({0}, axis={1}, keepdims=True)",
        "all": "tf.reduce_all({0}, axis={1}, keepdims=True)",
        "sum_all": "tf.reduce_sum({0})",
        "mean_all": "tf.reduce_mean({0})",
        "max_all": "tf.reduce_max({0})",
        "log_softmax": "tf.nn.log_softmax({0}, axis={1})",
        "gather": "tf.experimental.numpy.take_along_axis({0}, {1}, axis={2})",
        "take": "tf.gather({0}, {1})",
        "count_true": "tf.cumsum(tf.cast({0}, tf.int64), axis={1})",
        "clip": "tf.clip_by_value({0}, {1}, {2})",
        "whole": "tf.cast({0}, tf.int64)",
        "like": "tf.cast({0}, {1}.dtype)",
        "arange": "tf.range({0}, dtype=tf.int64)",
        "full": "tf.fill({0}, tf.constant({1}, {2}.dtype))",
        "size": "{0}.shape.num_elements()",
        "reshape": "tf.reshape({0}, {1})",
        "expand": "tf.expand_dims({0}, {1})",
        "squeeze": "tf.squeeze({0}, axis={1})",
        "swap": "tf.experimental.numpy.swapaxes({0}, {1}, {2})",
        "concatenate": "tf.concat({0}, axis={1})",
        "stack": "tf.stack({0}, axis={1})",
        "joint_shape": "tf.broadcast_static_shape({0}, {1})",
    },
)

MLX = Dialect(
    name="mlx",
    imports={"math": "import math", "mx": "import mlx.core as mx"},
    array="mx.array",
    words={
        **_under("mx", "abs", "expm1", "log", "log1p", "sqrt", "isfinite", "stop_gradient"),
        "exp": "_exp({0})",
        "maximum": "_maximum({0}, {1})",
        "minimum": "-_maximum(-{0}, -{1})",
        "softplus": "_softplus({0})",  # nn.softplus has the digits of mx.exp
        "where": "_where({0}, {1}, {2})",
        "divide": "_divide({0}, {1})",
        "sum": "mx.sum({0}, axis={1}, keepdims=True)",
        "mean": "mx.mean({0}, axis={1}, keepdims=True)",
        "max": "mx.max({0}, axis={1}, keepdims=True)",
        "all": "mx.all({0}, axis={1}, keepdims=True)",
        "sum_all": "mx.sum({0})",
        "mean_all": "mx.mean({0})",
        "max_all": "mx.max({0})",
        "log_softmax": "_log_softmax({0}, {1})",  # nn.log_softmax as well
        "gather": "mx.take_along_axis({0}, {1}, axis={2})",
        "take": "{0}[{1}]",
        "count_true": "mx.cumsum({0}.astype(mx.int64), axis={1})",
        "clip": "mx.clip({0}, {1}, {2})",
        "whole": "{0}.astype(mx.int64)",
        "like": "{0}",
        "flag": "mx.array({0})",
        "arange": "mx.arange({0})",
        "full": "mx.full({0}, {1}, {2}.dtype)",
        "size": "{0}.size",
        "reshape": "mx.reshape({0}, {1})",
        "expand": "mx.expand_dims({0}, {1})",
        "squeeze": "mx.squeeze({0}, axis={1})",
        "swap": "mx.swapaxes({0}, {1}, {2})",
        "concatenate": "mx.concatenate({0}, axis={1})",
        "stack": "mx.stack({0}, axis={1})",
        "joint_shape": "mx.broadcast_shapes({0}, {1})",
    },
    helpers=MLX_HELPERS,
)

PADDLE = Dialect(
    name="paddle",
    imports={"math": "import math", "paddle": "import paddle"},
    array="paddle.Tensor",
    words={
        **_under("paddle", "log1p", "isfinite"),
        "abs": "_abs({0})",
        "exp": "_exp({0})",
        "expm1": "_expm1({0})",
        "log": "_log({0})",
        "equal": "_equal({0}, {1})",
        "unequal": "~_equal({0}, {1})",
        "power": "_power({0}, {1})",
        "sqrt": "{0} ** 0.5",  # paddle.sqrt of float32 is off by up to 3 ulp, and NaN of inf
        "softplus": "_softplus({0})",  # F.softplus and F.log_sigmoid take log(1 + exp(x)) as it stands
        "maximum": "_maximum({0}, {1})",
        "minimum": "-_maximum(-{0}, -{1})",
        "where": "paddle.where({0}, *_pair({1}, {2}))",
        "stop_gradient": "{0}.detach()",
        "sum": "paddle.sum({0}, axis={1}, keepdim=True)",
        "mean": "paddle.mean({0}, axis={1}, keepdim=True)",
        "max": "paddle.amax({0}, axis={1}, keepdim=True)",
        "all": "paddle.all({0}, axis={1}, keepdim=True)",
        "sum_all": "paddle.sum({0})",
        "mean_all": "paddle.mean({0})",
        "max_all": "paddle.amax({0})",
        "log_softmax": "_log_softmax({0}, {1})",  # F.log_softmax stops at -64
        "gather": "paddle.take_along_axis({0}, {1}, {2})",
        "take": "{0}[{1}]",
        "count_true": "paddle.cumsum(paddle.cast({0}, 'int64'), axis={1})",
        "clip": "paddle.clip({0}, {1}, {2})",
        "whole": "paddle.cast({0}, 'int64')",
        "like": "paddle.cast({0}, {1}.dtype)",
        "flag": "paddle.to_tensor({0})",
        "arange": "paddle.arange({0})",
        "full": "paddle.full({0}, {1}, {2}.dtype)",
        "size": "{0}.size",
        "reshape": "paddle.reshape({0}, {1})",
        "expand": "paddle.unsqueeze({0}, {1})",
        "squeeze": "paddle.squeeze({0}, axis={1})",
        "swap": "paddle.swapaxes({0}, {1}, {2})",
        "concatenate": "paddle.concat({0}, axis={1})",
        "stack": "paddle.stack({0}, axis={1})",
        "joint_shape": "tuple(paddle.broadcast_shape({0}, {1}))",
    },
    helpers=PADDLE_HELPERS,
)

DIALECTS: Mapping[str, Dialect] = {item.name: item for item in (JAX, TORCH, TENSORFLOW, MLX, PADDLE)}
