"""paddle: `paddle.nn.functional` in dynamic mode, on the CPU, where it has kernels for float64 and float32 only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray

from conformance import Binding, Call, Difference, Environment, Output, Unsupported, cpu_features

Array = NDArray[Any]
DOCUMENTATION = "https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/functional"


@dataclass
class Given:
    """The arguments of a call of paddle: arrays by the spec's names, and the others by paddle's."""

    arrays: dict[str, Array]
    others: dict[str, Any]


def _batched(call: Call, given: Given) -> None:
    if call.inputs["target"].ndim == 0 and call.inputs[next(iter(call.inputs))].ndim == 1:
        raise Unsupported(f"paddle.nn.functional.{FUNCTIONS[call.criterion].function} takes a batch")


def _float_labels(call: Call, given: Given) -> None:
    if call.inputs["target"].dtype.kind in "iu":
        given.arrays["target"] = call.inputs["target"].astype(call.dtype)


def _poisson_nll(call: Call, given: Given) -> None:
    _without(call, "eps", call.parameters["eps"] == 0)
    given.others["epsilon"] = given.others.pop("eps")


def _epsilon(call: Call, given: Given) -> None:
    given.others["epsilon"] = given.others.pop("eps")


def _smooth_l1(call: Call, given: Given) -> None:
    _without(call, "beta", call.parameters["beta"] == 0)
    given.others |= {"delta": given.others.pop("beta"), "is_huber": False}


@dataclass(frozen=True)
class Native:
    """A function of paddle: its names for the inputs, those it differentiates, and what a call of it needs."""

    function: str
    names: Mapping[str, str]
    gradients: tuple[str, ...] = ("input",)
    add: Callable[[Call, Given], None] = lambda call, given: None
    differences: tuple[Difference, ...] = ()


def _says(function: str, sentence: str, when: str = "", checks: tuple[str, ...] = ()) -> tuple[Difference, ...]:
    return (Difference(sentence, f"{DOCUMENTATION}/{function}_en.html", when, checks),)


ONE_LABEL = _says(
    "cosine_embedding_loss",
    "label (Tensor): tensor with shape: [N] or [1], 'N' means the length of input array.",
    checks=("invalid.broadcast_target_N",),
)
ONE_SIZE = _says(
    "gaussian_nll_loss",
    "same shape as the input, or same shape as the input but with one dimension equal to 1 (to allow for "
    "broadcasting).",
    checks=("invalid.broadcast_target_*",),
)
PAIR = {"input": "input", "target": "label"}
BOTH = ("input", "target")
WEIGHED = {**PAIR, "weight": "weight"}
LOGITS = {"input": "logit", "target": "label"}
TRIPLET = {"anchor": "input", "positive": "positive", "negative": "negative"}
VECTORS = {"input1": "input1", "input2": "input2", "target": "label"}
RANKED = {"input1": "input", "input2": "other", "target": "label"}
FUNCTIONS = {
    "bce": Native("binary_cross_entropy", WEIGHED),
    "bce_with_logits": Native(
        "binary_cross_entropy_with_logits", {**LOGITS, "weight": "weight", "pos_weight": "pos_weight"}
    ),
    "cosine_embedding": Native("cosine_embedding_loss", VECTORS, ("input1", "input2"), _batched, ONE_LABEL),
    "gaussian_nll": Native("gaussian_nll_loss", {**PAIR, "var": "variance"}, (*BOTH, "var"), _epsilon, ONE_SIZE),
    "hinge_embedding": Native("hinge_embedding_loss", PAIR, add=_float_labels),
    "huber": Native("smooth_l1_loss", PAIR, BOTH),
    "kl_div": Native("kl_div", PAIR),
    "l1": Native("l1_loss", PAIR, BOTH),
    "margin_ranking": Native("margin_ranking_loss", RANKED, ("input1", "input2"), _float_labels),
    "mse": Native("mse_loss", PAIR, BOTH),
    "poisson_nll": Native("poisson_nll_loss", PAIR, BOTH, _poisson_nll),
    "smooth_l1": Native("smooth_l1_loss", PAIR, BOTH, _smooth_l1),
    "soft_margin": Native("soft_margin_loss", PAIR),
    "triplet_margin": Native("triplet_margin_loss", TRIPLET, tuple(TRIPLET), _epsilon),
}


class Adapter:
    """`paddle.nn.functional` in dynamic mode, on the CPU and one thread."""

    name = "paddle"

    def environment(self) -> Environment:
        """The version, and what of paddle's state can change a result."""
        flushes = _flushes_subnormals()
        return Environment(
            versions={"paddlepaddle": paddle.__version__},
            flushes_subnormals=flushes,
            cotangents=True,
            details={
                "flush denormal": str(flushes).lower(),
                "cpu features": cpu_features(),
                "compiled with MKLDNN": str(paddle.base.core.is_compiled_with_mkldnn()).lower(),
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The function of paddle for `criterion`."""
        native = FUNCTIONS.get(criterion)
        if native is None or not hasattr(F, native.function):
            return None
        return Binding(f"paddle.nn.functional.{native.function}", native.differences, native.gradients)

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        native = FUNCTIONS.get(call.criterion)
        if native is None or call.device != "cpu" or call.mode != "eager":
            raise Unsupported(f"paddle {paddle.__version__} has no function for {call.criterion}, eagerly on the CPU")
        if extra := call.inputs.keys() - native.names.keys():
            raise Unsupported(f"paddle.nn.functional.{native.function} takes no {' and no '.join(sorted(extra))}")
        given = Given(dict(call.inputs), dict(call.parameters))
        native.add(call, given)
        tensors = {name: paddle.to_tensor(array, place="cpu") for name, array in given.arrays.items()}
        wrt = [tensors[name] for name in call.wrt]
        for tensor in wrt:
            tensor.stop_gradient = False
        value = getattr(F, native.function)(
            **{native.names[name]: item for name, item in tensors.items()}, **given.others
        )
        found = {}
        if wrt:
            seed = None if call.cotangent is None else [paddle.to_tensor(call.cotangent, place="cpu")]
            found = dict(zip(call.wrt, paddle.grad([value], wrt, seed, allow_unused=True), strict=True))
        given_back = {name: item.numpy() for name, item in found.items() if item is not None}
        return Output(value.numpy(), given_back)


def _without(call: Call, name: str, asked: bool) -> None:
    if asked:
        function = FUNCTIONS[call.criterion].function
        raise Unsupported(f"paddle.nn.functional.{function} has no {name}={call.parameters[name]!r}")


def _flushes_subnormals() -> bool:
    return bool((paddle.to_tensor(np.float32(1e-45)) * 1).item() == 0)
