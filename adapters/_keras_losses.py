"""Which loss of keras is a criterion's, by which names and in which layout it takes what the spec has."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance import Call, Difference, Unsupported
from conformance.adapter.formula import function_of

Array = NDArray[Any]
PAIR = {"input": "y_pred", "target": "y_true"}
REDUCTIONS = {"none": None, "sum": "sum", "mean": "sum_over_batch_size"}
SOFTMAX = Difference(
    "A tensor of shape `(batch_size, max_length, num_classes)` containing logits (the output of your model).",
    "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/ops/nn.py",
)


@dataclass
class Loss:
    """A call of keras: its arrays by keras's names, and what else is said in Python."""

    arrays: dict[str, Array]
    options: dict[str, Any]
    reduction: str | None


@dataclass(frozen=True)
class Layout:
    """How some arrays of a spec lie in keras, and their gradients in the spec; and how many axes they have at least."""

    of: tuple[str, ...] = ()
    there: Callable[[Array], Array] = lambda array: array
    back: Callable[[Array], Array] = lambda array: array
    axes: int = 0  # a batch is one of them


@dataclass(frozen=True)
class Native:
    """A loss of keras: its names for inputs and parameters, what it is told besides, and what it has not."""

    function: str | Callable[..., Any]  # a name: one of keras's own
    layout: Layout = field(default_factory=Layout)
    names: Mapping[str, str] = field(default_factory=lambda: PAIR)
    options: Mapping[str, str] = field(default_factory=dict)  # of the spec's parameters
    says: Mapping[str, Any] = field(default_factory=dict)
    without: Mapping[str, Any] = field(default_factory=dict)  # parameters that keras has only like this
    add: Callable[[Call, Loss], None] = lambda call, loss: None
    differences: tuple[Difference, ...] = ()


def _by_weight(call: Call, loss: Loss) -> None:
    if "sample_weight" in loss.arrays and loss.reduction == REDUCTIONS["mean"]:
        loss.reduction = "mean_with_sample_weight"


def _spread(call: Call, loss: Loss) -> None:
    if "sample_weight" in loss.arrays:  # NumPy adds the axes that are not there
        weight = loss.arrays["sample_weight"]
        loss.arrays["sample_weight"] = weight.reshape((1,) * (call.inputs["input"].ndim - weight.ndim) + weight.shape)


def _cross_entropy(call: Call, loss: Loss) -> None:
    ignored = operator.index(call.parameters["ignore_index"])
    if ignored != -100 or (call.inputs["target"] == ignored).any():
        loss.options["ignore_class"] = ignored


def _focal(call: Call, loss: Loss) -> None:
    if "alpha" in loss.arrays and loss.options.pop("alpha") != 1:
        raise Unsupported("alpha of keras.losses.CategoricalFocalCrossentropy is one number, or one for each class")


def _region(call: Call, loss: Loss) -> None:
    loss.options["axis"] = None if call.inputs["input"].ndim == 1 else tuple(range(1, call.inputs["input"].ndim))


def _ctc(call: Call, loss: Loss) -> None:
    if loss.reduction == REDUCTIONS["mean"]:
        raise Unsupported("keras.ops.ctc_loss divides by no length, and the mean is one of losses over their lengths")


def _classes_last(array: Array) -> Array:
    return np.moveaxis(array, 1, -1) if array.ndim > 1 else array


WEIGHED = {**PAIR, "weight": "sample_weight"}
VECTORS = {"input1": "y_pred", "input2": "y_true"}
ALPHA = {**PAIR, "weight": "alpha"}
CTC = {
    "log_probs": "output",
    "targets": "target",
    "input_lengths": "output_length",
    "target_lengths": "target_length",
}
EACH = Layout(("input", "target"), lambda x: x[..., None], lambda x: x[..., 0], axes=1)
CLASSES = Layout(("input", "target"), _classes_last, lambda x: np.moveaxis(x, -1, 1), axes=2)
LABELS = Layout(("input",), CLASSES.there, CLASSES.back, axes=2)
BATCH_FIRST = Layout(("log_probs",), lambda x: x.swapaxes(0, 1), lambda x: x.swapaxes(0, 1), axes=3)
LOGITS = {"from_logits": True}
FOCAL = {name: name for name in ("alpha", "gamma", "label_smoothing")}
BINARY_FOCAL = {"balanced": "apply_class_balancing", "alpha": "alpha", "gamma": "gamma"}
PLAIN = {"smooth": 0, "from_logits": False}
FUNCTIONS = {
    "bce": Native("losses.BinaryCrossentropy", EACH, WEIGHED, add=_spread),
    "bce_with_logits": Native("losses.BinaryCrossentropy", EACH, WEIGHED, says=LOGITS, add=_spread),
    "categorical_focal": Native(
        "losses.CategoricalFocalCrossentropy", names=ALPHA, options=FOCAL, says=LOGITS, add=_focal
    ),
    "categorical_hinge": Native("losses.CategoricalHinge"),
    "cosine_similarity": Native("losses.CosineSimilarity", names=VECTORS, without={"negative": True}),
    "cross_entropy": Native(
        "losses.SparseCategoricalCrossentropy", LABELS, says=LOGITS, without={"label_smoothing": 0}, add=_cross_entropy
    ),
    "ctc": Native(
        "ops.ctc_loss", BATCH_FIRST, CTC, {"blank": "mask_index"}, {}, {"zero_infinity": False}, _ctc, (SOFTMAX,)
    ),
    "dice": Native("losses.Dice", without={**PLAIN, "squared": False}, add=_region),
    "hinge": Native("losses.Hinge", EACH),
    "huber": Native("losses.Huber", EACH, WEIGHED, {"delta": "delta"}),
    "l1": Native("losses.MeanAbsoluteError", EACH, WEIGHED, add=_by_weight),
    "log_cosh": Native("losses.LogCosh", EACH),
    "mape": Native("losses.MeanAbsolutePercentageError", EACH, without={"scale": 100}),
    "mse": Native("losses.MeanSquaredError", EACH, WEIGHED, add=_by_weight),
    "msle": Native("losses.MeanSquaredLogarithmicError", EACH),
    "poisson_nll": Native("losses.Poisson", EACH, without={"log_input": False, "full": False}),
    "sigmoid_focal": Native("losses.BinaryFocalCrossentropy", EACH, options=BINARY_FOCAL, says=LOGITS),
    "soft_cross_entropy": Native(
        "losses.CategoricalCrossentropy", CLASSES, options={"label_smoothing": "label_smoothing"}, says=LOGITS
    ),
    "squared_hinge": Native("losses.SquaredHinge", EACH),
    "tversky": Native("losses.Tversky", options={"alpha": "alpha", "beta": "beta"}, without=PLAIN, add=_region),
}


def native_of(call: Call) -> tuple[Native, Loss]:
    """The loss of keras for a call, or the function that its code defines, and what it is called with."""
    if call.mode == "formula":
        formula = Native(function_of(call), names={name: name for name in call.inputs})
        return formula, Loss(dict(call.inputs), dict(call.parameters), None)
    native = FUNCTIONS.get(call.criterion)
    if native is None:
        raise Unsupported(f"keras has no function for {call.criterion}")
    if extra := call.inputs.keys() - native.names.keys():
        raise Unsupported(f"keras.{native.function} takes no {' and no '.join(sorted(extra))}")
    for name, value in native.without.items():
        if call.parameters[name] != value:
            raise Unsupported(f"keras.{native.function} has no {name} of {call.parameters[name]}")
    layout, reduction = native.layout, call.parameters.get("reduction", "none")
    if any(call.inputs[name].ndim < layout.axes for name in layout.of):
        raise Unsupported(f"keras.{native.function} takes a batch")
    moved = {name: layout.there(array) if name in layout.of else array for name, array in call.inputs.items()}
    loss = Loss(
        {native.names[name]: array for name, array in moved.items()},
        {**native.says, **{theirs: call.parameters[ours] for ours, theirs in native.options.items()}},
        REDUCTIONS.get(reduction, reduction),
    )
    native.add(call, loss)
    return native, loss
