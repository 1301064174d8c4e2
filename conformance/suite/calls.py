"""Running a stack through an adapter, and making sure that what comes back is an answer at all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapter import Adapter, Call, Harmful, Output, Unsupported, WorkerDied
from conformance.cases.bind import Shapes
from conformance.cases.case import DTYPES, Case, Stack, by_case
from conformance.verdict.compare import ERROR, FAILS

Array = NDArray[Any]
UNSUPPORTED = -1


@dataclass(frozen=True)
class Problem:
    """Why there is no answer to judge: `severity` is ERROR, FAILS or UNSUPPORTED."""

    severity: int
    text: str
    refused: bool = False  # the framework raised: out of domain, that is what it should do
    died: bool = False  # the worker that it ran in did not live
    made: bool = True  # the adapter made the call at all


@dataclass
class Answers:
    """What a framework said about a stack: an array per output, and per case the problems by output ("": all)."""

    arrays: dict[str, Array]
    problems: list[dict[str, Problem]]
    warnings: set[str] = field(default_factory=set)
    changed: dict[int, str] = field(default_factory=dict)  # of the cases whose call wrote to its inputs: what

    @property
    def are_unsupported(self) -> bool:
        """Whether the framework offers none of the cases."""
        return all("" in found and found[""].severity == UNSUPPORTED for found in self.problems)

    @property
    def infinite(self) -> NDArray[np.bool_]:
        """The cases with an infinity in some output."""
        found: NDArray[np.bool_] = np.logical_or.reduce([by_case(np.isinf(array)) for array in self.arrays.values()])
        return found

    @property
    def deaths(self) -> int:
        """How many cases cost a worker's life."""
        return sum("" in found and found[""].died for found in self.problems)

    def only(self, cases: NDArray[np.int64]) -> Answers:
        """The answers to these of the cases, to be judged."""
        arrays = {name: array[cases] for name, array in self.arrays.items()}
        return Answers(arrays, [self.problems[k] for k in cases])

    @staticmethod
    def joined(parts: Sequence[Answers]) -> Answers:
        """Answers to several stacks that are alike, to be judged."""
        arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays}
        return Answers(arrays, [found for part in parts for found in part.problems])

    def problem(self, output: str, k: int) -> Problem | None:
        """What is wrong with this output of case k."""
        found = self.problems[k]
        return found.get("") or found.get(output)


def call_of(case: Case, wrt: Sequence[str], device: str, mode: str) -> Call:
    """The call of a case; its arrays are fresh copies, so an adapter that writes to them harms nobody."""
    inputs = {name: array.copy() for name, array in case.inputs.items()}
    return Call(case.criterion, inputs, dict(case.parameters), case.dtype, device, mode, tuple(wrt))


def run_calls(adapter: Adapter, calls: Sequence[Call], shapes: Mapping[str, Shapes]) -> Answers:
    """What an adapter answers to calls of one dtype and of these shapes. Whatever it does, the run goes on."""
    dtype = DTYPES[calls[0].dtype]
    arrays = {name: np.zeros(shape, dtype) for name, (_, shape) in shapes.items()}
    answers = Answers(arrays, [{} for _ in calls])
    with recorded(answers.warnings):
        for k, output in enumerate(_run_each(adapter, calls)):
            if isinstance(output, Problem):
                answers.problems[k][""] = output
            else:
                _take(output, answers, shapes, k, dtype)
    return answers


def run_stack(
    adapter: Adapter, stack: Stack, wrt: Sequence[str], shapes: Mapping[str, Shapes], device: str, mode: str
) -> Answers:
    """Every case of `stack` through `adapter`, one call each; and whether the calls left their inputs as they were."""
    calls = [call_of(stack[k], wrt, device, mode) for k in range(len(stack))]
    answers = run_calls(adapter, calls, shapes)
    told = ((k, changes(stack[k].inputs, call.inputs)) for k, call in enumerate(calls))
    answers.changed = {k: text for k, text in told if text}
    return answers


def changes(before: Mapping[str, Array], after: Mapping[str, Array]) -> str:
    """What a call wrote to its inputs; "" if nothing."""
    changed = [name for name, array in after.items() if array.tobytes() != before[name].tobytes()]
    return "; ".join(f"the call changed its input {name!r}: {_change(before[name], after[name])}" for name in changed)


def _change(before: Array, after: Array) -> str:
    place = _first_difference(before, after)
    at = f" at {list(place)}" if place else ""
    return f"{before[place].item()!r} became {after[place].item()!r}{at}"


def _first_difference(one: Array, other: Array) -> tuple[int, ...]:
    width = one.dtype.itemsize
    bits = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(-1, width) for array in (one, other)]
    flat = int(np.argmax((bits[0] != bits[1]).any(axis=1)))
    return tuple(int(i) for i in np.unravel_index(flat, one.shape))


@contextmanager
def recorded(into: set[str]) -> Iterator[None]:
    """Adds the warnings of a block to `into`; none becomes an error, whatever was asked of pytest."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    into |= {f"{item.category.__name__}: {item.message}" for item in caught}


def _run_each(adapter: Adapter, calls: Sequence[Call]) -> Iterator[Output | Problem]:
    run_many = getattr(adapter, "run_many", None)
    if run_many is not None:
        yield from map(_answer, run_many(calls))
        return
    for call in calls:  # one after another: an adapter may use the memory of one output for the next
        yield run_call(adapter, call)


def run_call(adapter: Adapter, call: Call) -> Output | Problem:
    """What an adapter says to one call; whatever it raises is a problem of that call."""
    try:
        return _answer(adapter.run(call))
    except (Exception, SystemExit) as error:
        return _answer(error)


def _answer(output: Any) -> Output | Problem:
    if isinstance(output, Unsupported):
        return Problem(UNSUPPORTED, str(output) or "unsupported, without a reason", refused=True)
    if isinstance(output, WorkerDied):
        return Problem(ERROR, str(output), died=True)
    if isinstance(output, Harmful):
        return Problem(ERROR, f"not called: {output}", made=False)
    if isinstance(output, BaseException):
        return Problem(ERROR, f"{type(output).__name__}: {output}", refused=True)
    if not isinstance(output, Output):
        return Problem(ERROR, f"the adapter returned {type(output).__name__} where conformance.Output is due")
    return output


def _take(output: Output, answers: Answers, shapes: Mapping[str, Shapes], k: int, dtype: np.dtype[Any]) -> None:
    gradients = output.gradients if isinstance(output.gradients, Mapping) else {}
    for name, (_, shape) in shapes.items():
        given = output.value if name == "value" else gradients.get(name)
        problem = _fault(given, shape[1:], dtype)
        if problem is None:
            answers.arrays[name][k] = given
        else:
            answers.problems[k][name] = problem


def _fault(given: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Problem | None:
    if given is None:
        return Problem(ERROR, "nothing was returned")
    if not isinstance(given, np.ndarray | np.generic):
        return Problem(ERROR, f"a NumPy array is due, and {type(given).__name__} was returned")
    if given.dtype != dtype:
        return Problem(FAILS, f"the dtype is {given.dtype} where {dtype} is due")
    if given.shape != shape:
        return Problem(FAILS, f"the shape is {given.shape} where {shape} is due")
    return None
