"""keras: its losses on torch, jax or tensorflow: `keras:torch`, `keras:jax`, `keras:tensorflow`, one in a process.

A loss of keras is a mean over the last axis, and whoever wants each number's own gives it an axis of one to be the mean
of. Its class reduces, and weighs samples; an operation more would be mathematics of ours (docs/decisions/031-keras.md).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import operator
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from conformance import Binding, Call, Difference, Environment, Output, Unsupported, cpu_features
from conformance.adapter.executables import Executables

Array = NDArray[Any]
Losses = Callable[[dict[str, Any]], Any]  # the value, of arrays by keras's names
VARIANTS = ("torch", "jax", "tensorflow")
DTYPES = ("float64", "float32", "bfloat16", "float16")
EPSILON = 1e-7  # keras's own, of which a criterion without an `eps` knows nothing
LOSSES = "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/losses/losses.py"
SOFTMAX = Difference(
    "A tensor of shape `(batch_size, max_length, num_classes)` containing logits (the output of your model).",
    "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/ops/nn.py",
)
CALLED = ("y_true", "y_pred", "sample_weight")  # by a loss; what else there is goes to its constructor
REDUCTIONS = {"none": None, "sum": "sum", "mean": "sum_over_batch_size"}


@dataclass
class Loss:
    """A call of keras: its arrays by keras's names, and what else is said in Python."""

    arrays: dict[str, Array]
    options: dict[str, Any]
    reduction: str | None


@dataclass(frozen=True)
class Layout:
    """How the arrays of a spec lie in keras, and gradients in the spec; and how many axes keras asks for."""

    there: Callable[[Array], Array]
    back: Callable[[Array], Array]
    of: tuple[str, ...] = ("input", "target")
    rank: int = 0  # a batch is one of them


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


@dataclass(frozen=True)
class Native:
    """A loss of keras: its names for inputs and parameters, what it is told besides, and what it has not."""

    function: str
    layout: Layout
    options: Mapping[str, str] = field(default_factory=dict)  # of the spec's parameters
    says: Mapping[str, Any] = field(default_factory=dict)
    without: Mapping[str, Any] = field(default_factory=dict)  # parameters that keras has only like this
    names: Mapping[str, str] = field(default_factory=lambda: {"input": "y_pred", "target": "y_true"})
    add: Callable[[Call, Loss], None] = lambda call, loss: None
    differences: tuple[Difference, ...] = ()


SAME = Layout(lambda x: x, lambda x: x)
EACH = Layout(lambda x: x[..., None], lambda x: x[..., 0], rank=1)
CLASSES = Layout(lambda x: np.moveaxis(x, 1, -1) if x.ndim > 1 else x, lambda x: np.moveaxis(x, -1, 1), rank=2)
LABELS = replace(CLASSES, of=("input",))
BATCH_FIRST = Layout(lambda x: x.swapaxes(0, 1), lambda x: x.swapaxes(0, 1), ("log_probs",), rank=3)
PAIR = {"input": "y_pred", "target": "y_true"}
WEIGHED = {**PAIR, "weight": "sample_weight"}
CTC = {
    "log_probs": "output",
    "targets": "target",
    "input_lengths": "output_length",
    "target_lengths": "target_length",
}
LOGITS = {"from_logits": True}
PLAIN = {"smooth": 0, "from_logits": False}
FUNCTIONS = {
    "bce": Native("losses.BinaryCrossentropy", EACH, names=WEIGHED, add=_spread),
    "bce_with_logits": Native("losses.BinaryCrossentropy", EACH, says=LOGITS, names=WEIGHED, add=_spread),
    "categorical_focal": Native(
        "losses.CategoricalFocalCrossentropy",
        SAME,
        {name: name for name in ("alpha", "gamma", "label_smoothing")},
        LOGITS,
        names={**PAIR, "weight": "alpha"},
        add=_focal,
    ),
    "categorical_hinge": Native("losses.CategoricalHinge", SAME),
    "cosine_similarity": Native(
        "losses.CosineSimilarity", SAME, without={"negative": True}, names={"input1": "y_pred", "input2": "y_true"}
    ),
    "cross_entropy": Native(
        "losses.SparseCategoricalCrossentropy", LABELS, says=LOGITS, without={"label_smoothing": 0}, add=_cross_entropy
    ),
    "ctc": Native(
        "ops.ctc_loss",
        BATCH_FIRST,
        {"blank": "mask_index"},
        without={"zero_infinity": False},
        names=CTC,
        add=_ctc,
        differences=(SOFTMAX,),
    ),
    "dice": Native("losses.Dice", SAME, without={**PLAIN, "squared": False}, add=_region),
    "hinge": Native("losses.Hinge", EACH),
    "huber": Native("losses.Huber", EACH, {"delta": "delta"}, names=WEIGHED),
    "l1": Native("losses.MeanAbsoluteError", EACH, names=WEIGHED, add=_by_weight),
    "log_cosh": Native("losses.LogCosh", EACH),
    "mape": Native("losses.MeanAbsolutePercentageError", EACH, without={"scale": 100}),
    "mse": Native("losses.MeanSquaredError", EACH, names=WEIGHED, add=_by_weight),
    "msle": Native("losses.MeanSquaredLogarithmicError", EACH),
    "poisson_nll": Native("losses.Poisson", EACH, without={"log_input": False, "full": False}),
    "sigmoid_focal": Native(
        "losses.BinaryFocalCrossentropy",
        EACH,
        {"balanced": "apply_class_balancing", "alpha": "alpha", "gamma": "gamma"},
        LOGITS,
    ),
    "soft_cross_entropy": Native(
        "losses.CategoricalCrossentropy", CLASSES, {"label_smoothing": "label_smoothing"}, LOGITS
    ),
    "squared_hinge": Native("losses.SquaredHinge", EACH),
    "tversky": Native("losses.Tversky", SAME, {"alpha": "alpha", "beta": "beta"}, without=PLAIN, add=_region),
}


class _Torch:
    """torch: eager mode, `torch.autograd`."""

    modes, compiles, compiling = ("eager",), (), 0.0

    def __init__(self) -> None:
        self._torch = importlib.import_module("torch")
        self._torch.set_num_threads(1)

    def versions(self) -> dict[str, str]:
        return {"torch": self._torch.__version__}

    def in_dtype(self, dtype: str) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def doubles(self) -> Sequence[Callable[[Any], Any]]:
        return [lambda x: x + x]

    def answer(self, value_of: Losses, wrt: tuple[str, ...], given: dict[str, Any], seed: Any) -> tuple[Any, Any]:
        tensors = [given[name].requires_grad_() for name in wrt]
        value = value_of(given)
        seed = self._torch.ones_like(value) if seed is None else seed.to(value.dtype)
        return value, self._torch.autograd.grad(value, tensors, seed, allow_unused=True) if wrt else ()

    def array(self, tensor: Any) -> Array:
        tensor = tensor.detach()
        if tensor.dtype == self._torch.bfloat16:
            return tensor.view(self._torch.int16).numpy().view(ml_dtypes.bfloat16)  # type: ignore[no-any-return]
        return tensor.numpy()  # type: ignore[no-any-return]


class _Jax:
    """jax: op by op or under `jax.jit`, `jax.vjp`; float64 with `jax_enable_x64`, the other dtypes without."""

    modes = compiles = ("eager", "compiled")

    def __init__(self) -> None:
        self._jax = importlib.import_module("jax")
        self._held = Executables()

    @property
    def compiling(self) -> float:
        return self._held.compiling

    def versions(self) -> dict[str, str]:
        return {"jax": self._jax.__version__, "jaxlib": self._jax.lib.__version__}

    def in_dtype(self, dtype: str) -> contextlib.AbstractContextManager[object]:
        self._held.let_go()
        return self._jax.enable_x64(dtype == "float64")  # type: ignore[no-any-return]

    def doubles(self) -> Sequence[Callable[[Any], Any]]:
        return [lambda x: x + x, self._jax.jit(lambda x: x + x)]

    def compiled(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        return self._jax.jit(answer)  # type: ignore[no-any-return]

    def answer(self, value_of: Losses, wrt: tuple[str, ...], given: dict[str, Any], seed: Any) -> tuple[Any, Any]:
        value, pull = self._jax.vjp(lambda some: value_of({**given, **some}), {name: given[name] for name in wrt})
        found = pull(self._jax.numpy.ones_like(value) if seed is None else seed.astype(value.dtype))[0]
        return value, [found[name] for name in wrt]

    def array(self, tensor: Any) -> Array:
        return np.asarray(tensor)


class _TensorFlow:
    """tensorflow: op by op or traced by `tf.function`, `tf.GradientTape`."""

    modes, compiles = ("eager", "compiled"), ("compiled",)

    def __init__(self) -> None:
        self._tf, self.compiling = importlib.import_module("tensorflow"), 0.0
        with contextlib.suppress(RuntimeError):  # it runs already, as it was told then
            self._tf.config.threading.set_intra_op_parallelism_threads(1)
            self._tf.config.threading.set_inter_op_parallelism_threads(1)

    def versions(self) -> dict[str, str]:
        return {"tensorflow": self._tf.__version__}

    def in_dtype(self, dtype: str) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def doubles(self) -> Sequence[Callable[[Any], Any]]:
        return [lambda x: x + x, self._tf.function(lambda x: x + x, autograph=False)]

    def compiled(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        function = self._tf.function(answer, autograph=False)

        def timed(*given: Any) -> Any:
            start, before = time.perf_counter(), function.experimental_get_tracing_count()
            found = function(*given)
            self.compiling += (time.perf_counter() - start) * (function.experimental_get_tracing_count() > before)
            return found

        return timed

    def answer(self, value_of: Losses, wrt: tuple[str, ...], given: dict[str, Any], seed: Any) -> tuple[Any, Any]:
        by = [given[name] for name in wrt]
        with self._tf.GradientTape() as tape:
            tape.watch(by)
            value = value_of(given)
        found = tape.gradient(value, by, None if seed is None else self._tf.cast(seed, value.dtype))
        return value, [None if item is None else self._tf.convert_to_tensor(item) for item in found]

    def array(self, tensor: Any) -> Array:
        return tensor.numpy()  # type: ignore[no-any-return]


BACKENDS: dict[str, Any] = {"torch": _Torch, "jax": _Jax, "tensorflow": _TensorFlow}


class Adapter:
    """`keras.losses` on one backend, op by op or compiled, with the call's `dtype` and a wide `floatx`."""

    def __init__(self, backend: str = "") -> None:
        if backend and "keras" not in sys.modules:
            os.environ["KERAS_BACKEND"] = backend
        self._keras = importlib.import_module("keras")
        here = self._keras.backend.backend()
        if here != (backend or here) or here not in BACKENDS:
            raise RuntimeError(f"keras runs on {here} in this process, and on one of its backends only")
        self.name = f"keras:{here}"
        self._backend = BACKENDS[here]()
        self._answer = functools.cache(self._answered)

    @property
    def compiling(self) -> float:
        """The seconds spent compiling so far."""
        return float(self._backend.compiling)

    def environment(self) -> Environment:
        """The versions, keras's first, and what can change the bits of a result."""
        flushes = tuple(dtype for dtype in DTYPES if self._flushes_subnormals(dtype))
        return Environment(
            versions={"keras": self._keras.__version__, **self._backend.versions()},
            dtypes=DTYPES,
            modes=self._backend.modes,
            compiles=self._backend.compiles,
            flushes_subnormals=flushes,
            cotangents=True,
            details={
                "flush denormal": " ".join(flushes),
                "cpu features": cpu_features(),
                **{name: os.environ.get(name, "") for name in ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")},
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The loss of keras for `criterion`."""
        native = FUNCTIONS.get(criterion)
        return None if native is None else Binding(f"keras.{native.function}", native.differences)

    def run(self, call: Call) -> Output:
        """Value, and gradients of its sum, of one case."""
        if call.device != "cpu" or call.mode not in self._backend.modes:
            raise Unsupported(f"{self.name} runs {' and '.join(self._backend.modes)}, on cpu here")
        native, loss = _loss(call)
        wrt = tuple(native.names[name] for name in call.wrt)
        epsilon = call.parameters.get("eps", EPSILON)
        fixed = (native.function, call.mode, call.dtype, loss.reduction, epsilon, wrt, tuple(loss.options.items()))
        with self._keras.device("cpu:0"), self._backend.in_dtype(call.dtype), self._settings(call.dtype, epsilon):
            given = {name: self._keras.ops.convert_to_tensor(array) for name, array in loss.arrays.items()}
            seed = None if call.cotangent is None else self._keras.ops.convert_to_tensor(call.cotangent)
            value, gradients = self._answer(*fixed)(given, seed)
            for name, gradient in zip(call.wrt, gradients, strict=True):
                if gradient is None:
                    raise RuntimeError(f"keras gave no gradient for {name!r}: {native.function} cuts it off")
            arrays = dict(zip(call.wrt, map(self._backend.array, gradients), strict=True))
            layout = native.layout
            moved = {name: layout.back(array) if name in layout.of else array for name, array in arrays.items()}
            return Output(self._backend.array(value), moved)

    @contextlib.contextmanager
    def _settings(self, dtype: str, epsilon: float) -> Iterator[None]:
        """keras's own settings for a call: whoever uses float64 says so, and half precision is advised against."""
        config = self._keras.config
        before = config.floatx(), config.epsilon()
        try:
            config.set_floatx("float64" if dtype == "float64" else "float32")
            config.set_epsilon(epsilon)
            yield
        finally:
            config.set_floatx(before[0])
            config.set_epsilon(before[1])

    def _answered(
        self,
        function: str,
        mode: str,
        dtype: str,
        reduction: str | None,
        epsilon: float,  # in the settings; here, so that it is part of what is compiled
        wrt: tuple[str, ...],
        options: tuple[tuple[str, Any], ...],
    ) -> Callable[..., tuple[Any, Sequence[Any]]]:
        """What gives the value, and the gradients by the arrays in `wrt`, of the arrays of a call and a cotangent."""
        called = operator.attrgetter(function)(self._keras)

        def value_of(arrays: dict[str, Any]) -> Any:
            if not isinstance(called, type):
                losses = called(**arrays, **dict(options))
                return losses if reduction is None else self._keras.ops.sum(losses)
            more = {name: array for name, array in arrays.items() if name not in CALLED}
            loss = called(reduction=reduction, dtype=dtype, **more, **dict(options))
            return loss(**{name: array for name, array in arrays.items() if name in CALLED})

        answer = functools.partial(self._backend.answer, value_of, wrt)
        return self._backend.compiled(answer) if mode == "compiled" else answer

    def _flushes_subnormals(self, dtype: str) -> bool:
        """Whether twice the smallest number of a dtype is 0, in any mode."""
        finfo: Any = ml_dtypes.finfo  # untyped
        smallest = np.array(finfo(dtype).smallest_subnormal)
        with self._keras.device("cpu:0"), self._backend.in_dtype(dtype):
            tensor = self._keras.ops.convert_to_tensor(smallest)
            return any(not self._backend.array(double(tensor)) for double in self._backend.doubles())


def _loss(call: Call) -> tuple[Native, Loss]:
    native = FUNCTIONS.get(call.criterion)
    if native is None:
        raise Unsupported(f"keras has no function for {call.criterion}")
    if extra := call.inputs.keys() - native.names.keys():
        raise Unsupported(f"keras.{native.function} takes no {' and no '.join(sorted(extra))}")
    for name, value in native.without.items():
        if call.parameters[name] != value:
            raise Unsupported(f"keras.{native.function} has no {name} of {call.parameters[name]}")
    layout, reduction = native.layout, call.parameters.get("reduction", "none")
    if any(array.ndim < layout.rank for name, array in call.inputs.items() if name in layout.of):
        raise Unsupported(f"keras.{native.function} takes a batch")
    moved = {name: layout.there(array) if name in layout.of else array for name, array in call.inputs.items()}
    options = {theirs: call.parameters[ours] for ours, theirs in native.options.items()}
    loss = Loss(
        {native.names[name]: array for name, array in moved.items()},
        {**native.says, **options},
        REDUCTIONS.get(reduction, reduction),
    )
    native.add(call, loss)
    return native, loss
