"""The controls as adapters. Each answers a whole stack at once (`stack`), and a single call as a stack of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from conformance import Binding, Call, Environment, Output, Unsupported, load_adapter
from conformance.cases.case import DTYPES, Case, Stack, in_dtype
from conformance.reference.evaluate import evaluate_stack
from conformance.reference.numbers import Numbers
from conformance.spec import match, spec_for
from tests.controls.parts import Answer, Given

Array = NDArray[Any]
Answers = dict[str, Array]  # "value" and the names of inputs; every array has the stack's axis in front


# Where each package of criteria has them: by module. nll_2d is nll on images.
PLACES: Mapping[str, tuple[str, ...]] = {
    "batches": ("npair", "nt_xent", "circle"),
    "classes": ("cross_entropy", "multi_margin", "multilabel_margin", "multilabel_soft_margin", "nll", "nll_2d"),
    "ctc": ("ctc",),
    "elementwise": (
        "bce",
        "bce_with_logits",
        "gaussian_nll",
        "hinge_embedding",
        "huber",
        "kl_div",
        "l1",
        "margin_ranking",
        "mse",
        "poisson_nll",
        "smooth_l1",
        "soft_margin",
    ),
    "embeddings": ("cosine_embedding", "triplet_margin"),
    "pairs": ("triplet_margin_with_distance",),
    "pointwise": (
        "log_cosh",
        "hinge",
        "squared_hinge",
        "quantile",
        "msle",
        "mape",
        "sigmoid_focal",
        "perceptron",
        "generalised_kl",
    ),
    "regions": ("dice", "tversky"),
    "scores": (
        "categorical_focal",
        "categorical_hinge",
        "multiclass_hinge",
        "multiclass_perceptron",
        "multiclass_sparsemax",
        "poly_cross_entropy",
        "ranking_softmax",
        "sparsemax",
    ),
    "vectors": ("soft_cross_entropy", "cosine_similarity"),
}


def written_in(*modules: ModuleType) -> dict[str, Callable[[Given], Answer]]:
    """The criteria of these modules, by name."""
    return {
        name: getattr(module, name.removesuffix("_2d"))
        for module in modules
        for name in PLACES[module.__name__.rpartition(".")[2]]
    }


class Control(ABC):
    """What every control has."""

    name: str

    def environment(self) -> Environment:
        return Environment(versions={self.name: "1.0", "numpy": np.__version__}, dtypes=tuple(DTYPES))

    def binding(self, criterion: str) -> Binding | None:
        return Binding(f"{self.name}.{criterion}")

    @abstractmethod
    def run(self, call: Call) -> Output:
        """Value and gradients of one case."""


class Stacked(Control):
    """A control that answers all cases of a stack at once."""

    def run(self, call: Call) -> Output:
        layout = match(spec_for(call.criterion), {name: array.shape for name, array in call.inputs.items()})
        if layout is None:
            raise ValueError(f"the shapes do not fit {call.criterion}")
        stack = Stack.of(Case(call.criterion, call.dtype, layout, call.parameters, call.inputs))
        answers = {name: array[0, ...] for name, array in self.stack(stack, call.wrt).items()}
        return Output(answers.pop("value"), answers)

    @abstractmethod
    def stack(self, stack: Stack, wrt: Sequence[str], numbers: Mapping[str, Numbers] | None = None) -> Answers:
        """The answers for all cases of a stack; `numbers` is what the reference says, if it is known already."""


class Written(Stacked):
    """Criteria written by hand in plain NumPy, forward and backward."""

    criteria: ClassVar[Mapping[str, Callable[[Given], Answer]]]

    @abstractmethod
    def works_in(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype that a call of `dtype` is computed in."""

    def stack(self, stack: Stack, wrt: Sequence[str], numbers: Mapping[str, Numbers] | None = None) -> Answers:
        dtype = DTYPES[stack.dtype]
        inside = self.works_in(dtype)
        inputs = in_dtype(stack.inputs, inside.name)
        with np.errstate(all="ignore"):
            answer = self.criteria[stack.criterion](Given(inputs, stack.parameters, inside))
            answers = {"value": answer.value, **{name: answer.gradients[name] for name in wrt}}
            return {name: np.asarray(array).astype(dtype) for name, array in answers.items()}


class Rounded(Stacked):
    """The reference itself, rounded once."""

    name = "rounded"

    def stack(self, stack: Stack, wrt: Sequence[str], numbers: Mapping[str, Numbers] | None = None) -> Answers:
        if numbers is None:
            numbers = evaluate_stack(spec_for(stack.criterion), stack, wrt, project=True)
        return {name: rounded_once(n.high, n.low, DTYPES[stack.dtype]) for name, n in numbers.items()}


def rounded_once(high: Array, low: Array, dtype: np.dtype[Any]) -> Array:
    """high + low rounded to nearest, high being the nearest float64.

    A narrower dtype is reached over numbers rounded to odd, so that no tie arises on the way (Boldo and Melquiond,
    2008, doi:10.1109/TC.2007.70819).
    """
    if dtype == np.float64:
        return high
    with np.errstate(all="ignore"):
        odd = _to_odd(high, low)
        if dtype == ml_dtypes.bfloat16:  # its cast from float64 goes over float32
            single = odd.astype(np.float32)
            odd = _to_odd(single, np.where(np.isfinite(single), odd - single, 0))
        return odd.astype(dtype)


def _to_odd(high: Array, low: Array) -> Array:
    """high + low if it is a number of high's format, or else the neighbour whose last bit is odd."""
    bits = high.view(np.dtype(f"i{high.dtype.itemsize}"))
    even = (bits & 1 == 0) & (low != 0) & np.isfinite(high)
    return np.where(even, np.nextafter(high, np.where(low > 0, np.inf, -np.inf).astype(high.dtype)), high)


class Torch64(Control):
    """torch's float64 results rounded to the dtype."""

    name = "torch64"

    def __init__(self) -> None:
        self._torch = load_adapter("torch")

    def binding(self, criterion: str) -> Binding | None:
        return self._torch.binding(criterion)

    def run(self, call: Call) -> Output:
        if call.dtype == "float64":
            raise Unsupported("there is nothing to round")
        inputs = in_dtype(call.inputs, "float64")
        output = self._torch.run(Call(call.criterion, inputs, call.parameters, "float64", wrt=call.wrt))
        dtype, nothing = DTYPES[call.dtype], np.zeros(())
        with np.errstate(all="ignore"):
            gradients = {name: rounded_once(a, nothing, dtype) for name, a in output.gradients.items()}
            return Output(rounded_once(output.value, nothing, dtype), gradients)
