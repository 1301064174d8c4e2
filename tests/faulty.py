"""Adapters that are wrong in one way each, for the suite's own tests. Each wraps the built-in NumPy adapter.

In a subprocess they are reached as `--framework faulty:CLASS`, with this folder on the path.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance import Binding, Call, Difference, Environment, Harmful, Output, Unsupported, load_adapter
from conformance.cases.bind import outside
from conformance.cases.case import DTYPES, Case, Stack
from conformance.spec import match, spec_for
from conformance.verdict.known import amended

Array = NDArray[Any]


class Right:
    """The formula, under another name and a version of its own."""

    name = "right"
    version = "1.5"

    def __init__(self) -> None:
        self._numpy = load_adapter("numpy")

    def environment(self) -> Environment:
        return Environment(versions={self.name: self.version})

    def binding(self, criterion: str) -> Binding | None:
        return Binding(f"{self.name}.{criterion}")

    def run(self, call: Call) -> Output:
        return self.answer(self.asked(call))

    def asked(self, call: Call) -> Call:
        """What the formula is asked in the place of `call`."""
        return call

    def answer(self, call: Call) -> Output:
        """The formula's answer, or what becomes of it."""
        return self._numpy.run(call)


class ForwardOnly(Right):
    """Right, and differentiates nothing; whoever asks for a gradient gets no value either."""

    name = "forward"

    def environment(self) -> Environment:
        return Environment(
            versions={self.name: self.version}, dtypes=("float64", "float32", "float16"), cotangents=True
        )

    def binding(self, criterion: str) -> Binding | None:
        return Binding(f"{self.name}.{criterion}", gradients=())

    def asked(self, call: Call) -> Call:
        if call.wrt:
            raise RuntimeError("no gradients here")
        return call


class OfInputOnly(Right):
    """Right, and differentiates one input of two."""

    name = "of_input"

    def environment(self) -> Environment:
        return Environment(versions={self.name: self.version}, cotangents=True)

    def binding(self, criterion: str) -> Binding | None:
        return Binding(f"{self.name}.{criterion}", gradients=("input",))

    def asked(self, call: Call) -> Call:
        if {*call.wrt} - {"input"}:
            raise RuntimeError("by the input only")
        return call


class RightBesideABrokenReference(Right):
    """Right; but whoever loads it has a reference whose softplus is wrong by 2**-60 of itself."""

    name = "right_beside"

    def __init__(self) -> None:
        super().__init__()
        from conformance.reference.functions import FUNCTIONS
        from conformance.reference.quad import quad

        right: dict[str, Callable[[Array], Array]] = FUNCTIONS  # type: ignore[assignment]
        softplus = right["softplus"]
        right["softplus"] = lambda x: softplus(x) + softplus(x) * quad(2.0**-60)


def with_parameters(call: Call, **changes: Any) -> Call:
    there = {name: value for name, value in changes.items() if name in call.parameters}
    return dataclasses.replace(call, parameters={**call.parameters, **there})


def each(output: Output, change: Callable[[Array], Array]) -> Output:
    """The output with every array changed, and its dtype kept."""
    with np.errstate(all="ignore"):
        changed = {name: np.asarray(change(a)).astype(a.dtype) for name, a in output.gradients.items()}
        return Output(np.asarray(change(output.value)).astype(output.value.dtype), changed)


def reformulated(call: Call, statements: str) -> Output:
    """What the formula comes to with other statements in the place of some of its own."""
    spec = amended(spec_for(call.criterion), statements)
    layout = match(spec, {name: array.shape for name, array in call.inputs.items()})
    assert layout is not None
    stack = Stack.of(Case(call.criterion, call.dtype, layout, call.parameters, call.inputs))
    output = load_adapter("numpy")._evaluate(spec, stack, call.wrt)  # type: ignore[attr-defined]
    assert isinstance(output, Output)
    return output


# Mutants: faults of the kind that frameworks have, each to be caught.


class SignFlipped(Right):
    """The gradients point uphill."""

    name = "sign_flipped"

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        return Output(output.value, {name: np.negative(array) for name, array in output.gradients.items()})


class OffByMillionth(Right):
    """Everything is off by a relative 1e-6, as if computed in float32."""

    name = "off_by_millionth"

    def answer(self, call: Call) -> Output:
        return each(super().answer(call), lambda array: np.asarray(array * (1 + 1e-6)))


class InFloat32(Right):
    """Right in float32, whatever dtype is asked for."""

    name = "in_float32"
    error = 0.0

    def answer(self, call: Call) -> Output:
        with np.errstate(over="ignore"):
            inputs = {n: a.astype(np.float32) if a.dtype.kind == "f" else a for n, a in call.inputs.items()}
        given = None if call.cotangent is None else call.cotangent.astype(np.float32)
        narrow = super().answer(dataclasses.replace(call, inputs=inputs, dtype="float32", cotangent=given))
        wide = {name: array.astype(call.dtype) * (1 + self.error) for name, array in narrow.gradients.items()}
        return Output(np.asarray(narrow.value.astype(call.dtype) * (1 + self.error)), wide)


class InFloat32AndMore(InFloat32):
    """Computed in float32, and off by a relative 1e-5 besides."""

    error = 1e-5


class MeanOverBatch(Right):
    """The mean divides by the size of the first axis, not by the count of all elements."""

    name = "mean_over_batch"

    def answer(self, call: Call) -> Output:
        if call.parameters.get("reduction") != "mean" or call.inputs["input"].ndim < 2:
            return super().answer(call)
        n = call.inputs["input"].shape[0]
        return each(super().answer(with_parameters(call, reduction="sum")), lambda array: np.asarray(array / n))


class ReductionIgnored(Right):
    """A sum is a mean."""

    name = "reduction_ignored"

    def asked(self, call: Call) -> Call:
        return with_parameters(call, reduction="mean") if call.parameters["reduction"] == "sum" else call


class BetaIgnored(Right):
    """beta is taken for its default."""

    name = "beta_ignored"

    def asked(self, call: Call) -> Call:
        return with_parameters(call, beta=1)


class SwapIgnored(Right):
    """swap is not looked at."""

    name = "swap_ignored"

    def asked(self, call: Call) -> Call:
        return with_parameters(call, swap=False)


class WeightDropped(Right):
    """Weights are not looked at."""

    name = "weight_dropped"

    def asked(self, call: Call) -> Call:
        return dataclasses.replace(call, inputs={n: a for n, a in call.inputs.items() if n != "weight"})


class Float32Constants(Right):
    """Parameters are kept in float32 on their way to a float64 function."""

    name = "float32_constants"

    def asked(self, call: Call) -> Call:
        rounded = {n: float(np.float32(v)) for n, v in call.parameters.items() if isinstance(v, float)}
        return with_parameters(call, **rounded)


class SmoothingDenominator(Right):
    """Label smoothing is spread over the other classes only: by 1 / (C - 1), not 1 / C."""

    name = "smoothing_denominator"

    def answer(self, call: Call) -> Output:
        soft = (
            "soft = where(kept and label_smoothing > 0, -sum(where(index(C) != target, "
            "weight * log_softmax(input, over=C), 0), over=C) / maximum(size(C) - 1, 1), 0)"
        )
        return reformulated(call, soft)


class IgnoredCounted(Right):
    """The mean divides by the number of all labels, the ignored ones among them."""

    name = "ignored_counted"

    def answer(self, call: Call) -> Output:
        if call.parameters.get("reduction") != "mean" or "weight" in call.inputs or not call.inputs["target"].size:
            return super().answer(call)
        n = call.inputs["target"].size
        return each(super().answer(with_parameters(call, reduction="sum")), lambda array: np.asarray(array / n))


class EpsilonAdded(Right):
    """An epsilon that no document mentions guards the norms of a cosine."""

    name = "epsilon_added"

    def answer(self, call: Call) -> Output:
        return reformulated(
            call, "u = input1 / (norm(input1, over=D, p=2) + 1e-8)\nv = input2 / (norm(input2, over=D, p=2) + 1e-8)"
        )


class LogClamped(Right):
    """A logarithm is taken of a clipped argument."""

    name = "log_clamped"

    def answer(self, call: Call) -> Output:
        return reformulated(call, "linear = where(target > 0, target * (log(clip(target, 1e-6, inf)) - input), 0)")


class WrongBranch(Right):
    """smooth_l1 is linear from half of beta on."""

    name = "wrong_branch"

    def answer(self, call: Call) -> Output:
        if call.criterion != "smooth_l1":
            return super().answer(call)
        return reformulated(call, "loss = where(abs(error) < beta / 2, error**2 / (2 * beta), abs(error) - beta / 2)")


class TargetGradientMissing(Right):
    """No gradient comes back for the target."""

    name = "target_gradient_missing"

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        return Output(output.value, {name: array for name, array in output.gradients.items() if name != "target"})


# Adapters that misbehave: each an outcome, and the run goes on.


class Misbehaving(Right):
    """Misbehaves where it is asked about one criterion, and is right elsewhere."""

    culprit = "l1"

    def run(self, call: Call) -> Output:
        return self.misbehave(call) if call.criterion == self.culprit else super().run(call)

    def misbehave(self, call: Call) -> Any:
        raise NotImplementedError


class Raises(Misbehaving):
    name = "raises"

    def misbehave(self, call: Call) -> Any:
        raise RuntimeError("the kernel gave up\nand said why on a second line")


class RaisesHarmful(Misbehaving):
    name = "raises_harmful"

    def misbehave(self, call: Call) -> Any:
        raise Harmful("the kernel writes beyond its output")


class RaisesSystemExit(Misbehaving):
    name = "raises_system_exit"

    def misbehave(self, call: Call) -> Any:
        raise SystemExit(3)


class RaisesUnsupported(Misbehaving):
    name = "raises_unsupported"

    def misbehave(self, call: Call) -> Any:
        raise Unsupported("no kernel for this device")


class RaisesSilently(Misbehaving):
    name = "raises_silently"

    def misbehave(self, call: Call) -> Any:
        raise Unsupported


class ReturnsNone(Misbehaving):
    name = "returns_none"

    def misbehave(self, call: Call) -> Any:
        return None


class ReturnsBareArray(Misbehaving):
    name = "returns_bare_array"

    def misbehave(self, call: Call) -> Any:
        return self.answer(call).value


class ReturnsLists(Misbehaving):
    name = "returns_lists"

    def misbehave(self, call: Call) -> Any:
        output = self.answer(call)
        gradients: Any = {name: array.tolist() for name, array in output.gradients.items()}
        value: Any = output.value.tolist()
        return Output(value, gradients)


class ReturnsNoValue(Misbehaving):
    name = "returns_no_value"

    def misbehave(self, call: Call) -> Any:
        nothing: Any = None
        return Output(nothing, nothing)


class ReturnsObjects(Misbehaving):
    name = "returns_objects"

    def misbehave(self, call: Call) -> Any:
        return Output(np.array("text"), {name: np.array(None) for name in call.wrt})


class WrongShape(Misbehaving):
    name = "wrong_shape"

    def misbehave(self, call: Call) -> Any:
        output = self.answer(call)
        return Output(output.value[None], {name: array[None] for name, array in output.gradients.items()})


class WrongDtype(Misbehaving):
    name = "wrong_dtype"

    def misbehave(self, call: Call) -> Any:
        output = self.answer(call)
        wrong = np.dtype(np.float32 if call.dtype == "float64" else np.float64)
        return Output(
            output.value.astype(wrong), {name: array.astype(wrong) for name, array in output.gradients.items()}
        )


class AnswersNaN(Misbehaving):
    name = "answers_nan"

    def misbehave(self, call: Call) -> Any:
        return each(self.answer(call), lambda array: np.full_like(array, np.nan))


class AnswersInfinity(Misbehaving):
    name = "answers_infinity"

    def misbehave(self, call: Call) -> Any:
        return each(self.answer(call), lambda array: np.full_like(array, np.inf))


class Mutates(Misbehaving):
    """Answers rightly, and then overwrites its inputs and parameters."""

    name = "mutates"

    def misbehave(self, call: Call) -> Any:
        output = self.answer(call)
        for array in call.inputs.values():
            array[...] = 0
        assert isinstance(call.parameters, dict)
        call.parameters.clear()
        return output


class Warns(Misbehaving):
    name = "warns"

    def misbehave(self, call: Call) -> Any:
        warnings.warn("this function will go away", DeprecationWarning, stacklevel=1)
        return self.answer(call)


class OneThread(Right):
    """Right, where its process is held to one thread."""

    name = "one_thread"

    def answer(self, call: Call) -> Output:
        assert os.environ["OMP_NUM_THREADS"] == os.environ["NPROC"] == "1"
        return super().answer(call)


class Versioned(Right):
    """Right, in a version that its process is told."""

    name = "versioned"

    def environment(self) -> Environment:
        return Environment(versions={self.name: os.environ.get("FAULTY_VERSION", "unknown")})


class Troubled(Right):
    """On a cluster: what can happen to the process that judges a cell, each to one criterion."""

    name = "troubled"

    def run(self, call: Call) -> Output:
        trouble = {"l1": self.die, "mse": self.hang, "huber": self.eat, "smooth_l1": self.die_once}.get(call.criterion)
        if trouble is not None:
            trouble()
        return super().run(call)

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def die_once(self) -> None:
        if not os.path.exists(os.environ["FAULTY_SIGNAL"]):
            open(os.environ["FAULTY_SIGNAL"], "w", encoding="utf-8").close()
            self.die()

    def hang(self) -> None:
        time.sleep(3600)

    def eat(self) -> None:
        eaten = []
        while True:
            eaten.append(np.ones(2**22))
            time.sleep(0.01)


class NoBinding(Misbehaving):
    """Has no function for the criterion."""

    name = "no_binding"

    def binding(self, criterion: str) -> Binding | None:
        return None if criterion == self.culprit else super().binding(criterion)


class BindingRaises(Misbehaving):
    name = "binding_raises"

    def binding(self, criterion: str) -> Binding | None:
        if criterion == self.culprit:
            raise LookupError("the table of functions is gone")
        return super().binding(criterion)

    def misbehave(self, call: Call) -> Any:
        return self.answer(call)


class EnvironmentRaises(Right):
    name = "environment_raises"

    def environment(self) -> Environment:
        raise OSError("libcudart.so.13: cannot open shared object file")


class EnvironmentIsNone(Right):
    name = "environment_is_none"

    def environment(self) -> Environment:
        nothing: Any = None
        return nothing  # type: ignore[no-any-return]


class CannotBeMade(Right):
    name = "cannot_be_made"

    def __init__(self) -> None:
        raise OSError("no licence")


class NotAnAdapter:
    """Lacks everything."""


class HasSlash(Right):
    name = "a/b"


# Adapters that end the run early.


class SlowOnes(Right):
    """Right, but it says when it is asked about the second criterion, and then takes long."""

    name = "slow"
    slow = "mse"

    def run(self, call: Call) -> Output:
        if call.criterion == self.slow:
            with open(os.environ["FAULTY_SIGNAL"], "w", encoding="utf-8") as file:
                file.write(str(os.getpid()))
            time.sleep(float(os.environ.get("FAULTY_SLEEP", "30")))
        return super().run(call)


class Interrupts(Right):
    """Presses Ctrl-C when it is asked about the second criterion."""

    name = "interrupts"

    def run(self, call: Call) -> Output:
        if call.criterion == "mse":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        return super().run(call)


class Killed(Right):
    """Is killed when it is asked about the second criterion."""

    name = "killed"

    def run(self, call: Call) -> Output:
        if call.criterion == "mse":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(call)


class Other(Right):
    """A second framework in the same run."""

    name = "other"


class Turned(SignFlipped):
    """The next version of `Right`, which is not."""

    name = "right"


class Namesake(Right):
    """Bears the name of another."""

    name = "right"


# Known faults, with and without a new one beside them: what known differences are tested on.


class NearTie(Right):
    """l1's value is 0 where |input - target| < 2: a fault that can be written down as known."""

    name = "near_tie"

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        if call.criterion != "l1" or call.parameters["reduction"] != "none":
            return output
        error = np.abs(call.inputs["input"].astype(np.float64) - call.inputs["target"].astype(np.float64))
        return Output(np.where(error < 2, 0, output.value).astype(output.value.dtype), output.gradients)


class NearTieBeneath(NearTie):
    """... which is the fault of a package beneath, whose version is told beside its own."""

    def environment(self) -> Environment:
        return Environment(versions={self.name: self.version, "beneath": "3.1"})


class NearTieAndMore(NearTie):
    """... and is off by a thousandth beyond 4, in the same check."""

    name = "near_tie"

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        if call.criterion != "l1" or call.parameters["reduction"] != "none":
            return output
        error = np.abs(call.inputs["input"].astype(np.float64) - call.inputs["target"].astype(np.float64))
        with np.errstate(all="ignore"):
            worse = np.where((error > 4) & np.isfinite(error), output.value * 1.001, output.value)
        return Output(worse.astype(output.value.dtype), output.gradients)


class NearTieAndLarger(NearTie):
    """... and is off by more than its known envelope where it was known to be 0."""

    name = "near_tie"

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        if call.criterion != "l1" or call.parameters["reduction"] != "none":
            return output
        error = np.abs(call.inputs["input"].astype(np.float64) - call.inputs["target"].astype(np.float64))
        return Output(np.where(error < 1, 100, output.value).astype(output.value.dtype), output.gradients)


class Rare(Right):
    """poisson_nll is off by more and more, the more of six conditions a call meets; one in thousands meets all."""

    name = "rare"

    def answer(self, call: Call) -> Output:
        p, counts = call.parameters, call.inputs["target"]
        many = counts.size > 0 and 1e3 < float(counts.mean()) < 1e10
        met = (
            p["full"],
            not p["log_input"],
            p["eps"] == 0.125,
            p["reduction"] == "sum",
            counts.shape == (3, 4, 2),
            many,
        )
        return each(super().answer(call), lambda array: np.asarray(array * (1 + 16.0 ** sum(met) * 1e-18)))


class RareZero(Right):
    """l1 is 0 for one pair of numbers, which nobody draws."""

    name = "rare_zero"

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        hit = "input" in call.inputs and bool(np.any((call.inputs["input"] == 1.5) & (call.inputs["target"] == 0.25)))
        return each(output, np.zeros_like) if hit else output


class Chancy(Right):
    """Answers an empty sum with what memory holds: rightly at first, then not."""

    name = "chancy"

    def __init__(self) -> None:
        super().__init__()
        self.asked_before = 0

    def answer(self, call: Call) -> Output:
        output = super().answer(call)
        if call.inputs["input"].size or call.parameters["reduction"] != "sum":
            return output
        self.asked_before += 1
        return output if self.asked_before < 5 else Output(output.value + 7, output.gradients)


# Adapters that meet invalid input in one way each


class Strict(Right):
    """Refuses all that is out of a domain, of another dtype, or no choice."""

    name = "strict"

    def answer(self, call: Call) -> Output:
        spec = spec_for(call.criterion)
        for name, array in call.inputs.items():
            due = np.dtype(np.int64) if spec.inputs[name].dtype == "int" else DTYPES[call.dtype]
            if array.dtype != due:
                raise TypeError(f"{name} is of {array.dtype}")
        if any(np.isnan(array.astype(np.float64)).any() for array in call.inputs.values()):
            raise ValueError("NaN")
        for name, value in call.parameters.items():
            if value != value or (spec.params[name].type == "integer" and not isinstance(value, int)):
                raise ValueError(f"{name} is {value}")
        layout = match(spec, {name: array.shape for name, array in call.inputs.items()})
        if layout is None:
            raise ValueError("the shapes do not fit")
        wrong = outside(spec, Stack.of(Case(call.criterion, call.dtype, layout, call.parameters, call.inputs)))
        if wrong:
            raise ValueError(f"{wrong[0].name} is out of its domain")
        return super().answer(call)


class AnswersLabels(Right):
    """Takes the nearest label for one out of range."""

    name = "answers_labels"

    def asked(self, call: Call) -> Call:
        if "target" not in call.inputs or call.inputs["target"].dtype.kind != "i":
            return call
        top = call.inputs["input"].shape[1 if call.inputs["input"].ndim > 1 else 0] - 1
        kept = call.inputs["target"] == call.parameters["ignore_index"]
        labels = np.where(kept, call.inputs["target"], np.clip(call.inputs["target"], 0, top))
        return dataclasses.replace(call, inputs={**call.inputs, "target": labels})


class AnswersOddLabels(AnswersLabels):
    """As `AnswersLabels`; but labels out of range are refused, save beside others whose sum is odd."""

    name = "answers_odd_labels"

    def asked(self, call: Call) -> Call:
        taken = super().asked(call)
        wrong = taken.inputs["target"] != call.inputs["target"]
        if wrong.any() and call.inputs["target"][~wrong].sum() % 2 == 0:
            raise ValueError("the labels are even")
        return taken


class AnswersNaNWhereDue(Right):
    """As `AnswersLabels`; but a row whose label is out of range is NaN, and so is what it is summed to."""

    name = "answers_nan_where_due"
    elsewhere = False

    def answer(self, call: Call) -> Output:
        clipped = AnswersLabels().asked(call)
        wrong = clipped.inputs["target"] != call.inputs["target"]
        output = super().answer(clipped)
        if output.value.ndim == 0:
            return Output(np.where(wrong.any(), np.nan, output.value).astype(output.value.dtype)[()], output.gradients)
        rows = wrong.any() & ~wrong if self.elsewhere else wrong
        return Output(np.where(rows, np.nan, output.value).astype(output.value.dtype), output.gradients)


class AnswersNaNElsewhere(AnswersNaNWhereDue):
    """The rows whose labels are in range are NaN, if one is not."""

    name = "answers_nan_elsewhere"
    elsewhere = True


class Broadcasts(Right):
    """The distance of arrays of any shapes that NumPy broadcasts."""

    name = "broadcasts"
    documents = False

    def binding(self, criterion: str) -> Binding | None:
        about = ("invalid.broadcast_*", "invalid.rank_*")
        said = Difference("Shapes are broadcast.", "https://example.org", checks=about)
        return Binding(f"{self.name}.{criterion}", (said,) if self.documents else ())

    def answer(self, call: Call) -> Output:
        warnings.warn("shapes were broadcast", stacklevel=2)
        return super().answer(call)

    def asked(self, call: Call) -> Call:
        arrays = np.broadcast_arrays(*call.inputs.values())
        return dataclasses.replace(call, inputs=dict(zip(call.inputs, arrays, strict=True)))


class BroadcastsByTheBook(Broadcasts):
    """And says so."""

    name = "by_the_book"
    documents = True


class Squeezes(Right):
    """Axes of size 1 are dropped before anything is looked at."""

    name = "squeezes"

    def asked(self, call: Call) -> Call:
        shape = np.broadcast_shapes((), *(array.squeeze().shape for array in call.inputs.values()))
        squeezed = {name: a.squeeze() if a.squeeze().shape == shape else a for name, a in call.inputs.items()}
        return dataclasses.replace(call, inputs=squeezed)


class Truncates(Right):
    """Computes in integers where one of its inputs holds integers."""

    name = "truncates"

    def asked(self, call: Call) -> Call:
        if not any(array.dtype.kind == "i" for array in call.inputs.values()):
            return call
        whole = {name: np.trunc(a.astype(np.float64)).astype(DTYPES[call.dtype]) for name, a in call.inputs.items()}
        return dataclasses.replace(call, inputs=whole)


class OffersNoIntegers(Right):
    """Has no kernel for integers, and says so."""

    name = "offers_no_integers"
    gives_up = False

    def answer(self, call: Call) -> Output:
        if self.gives_up or any(array.dtype.kind == "i" for array in call.inputs.values()):
            raise Unsupported("no kernel for this")
        return super().answer(call)


class OffersNothing(OffersNoIntegers):
    """Has no kernel for anything."""

    name = "offers_nothing"
    gives_up = True


class BreaksBackwards(Right):
    """The gradient of what is out of its domain ends in something that is no answer."""

    name = "breaks_backwards"

    def run(self, call: Call) -> Any:
        return "ruins" if call.wrt and call.parameters.get("delta", 1) <= 0 else super().run(call)


class RuinsTheNext(Right):
    """An answer to a negative weight leaves the memory in ruins: the next call comes to nothing, and the one after it
    is as good as ever."""

    name = "ruins_the_next"
    ruined = False

    def run(self, call: Call) -> Any:
        was = self.ruined
        self.ruined = not was and "weight" in call.inputs and bool((call.inputs["weight"] < 0).any())
        return "ruins" if was else super().run(call)
