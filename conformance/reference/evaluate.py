"""The reference: value and gradients of a stack of cases, each number with its error, its budgets and its choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import outside
from conformance.cases.case import DTYPES, Case, Stack
from conformance.errors import UsageError
from conformance.reference.escalate import escalate
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Float, Mask, Numbers, half_ulp, with_cases
from conformance.reference.quad import BINARY64, BINARY128, Kind
from conformance.reference.tapes import Tapes
from conformance.spec.layout import match
from conformance.spec.model import Param, Spec

Cases = NDArray[np.int64]  # positions of cases in a stack, in order


@dataclass(frozen=True)
class Reference:
    """The certified reference of one case.

    Attributes:
        value: float64, of the output's shape; within 1 ulp where certified.
        gradients: of the sum of the output, by input, each float64 of its input's shape.
        value_budget: how far a sound implementation in the dtype may be off, absolute, of the value's shape.
        gradient_budgets: likewise, by input.
        certified: whether every number here is within 1 ulp of float64, or 2⁻¹⁰ of the float64 budget.
    """

    value: Float
    gradients: Mapping[str, Float]
    value_budget: Float
    gradient_budgets: Mapping[str, Float]
    certified: bool
    uncertified: tuple[str, ...] = field(default=(), repr=False)  # the outputs that hold uncertified numbers


def evaluate(
    criterion: str | Spec,
    inputs: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    dtype: str = "float64",
    wrt: Sequence[str] | None = None,
) -> Reference:
    """The value of a criterion and its gradients, with the budgets of `dtype`.

    Args:
        criterion: its name, or a spec.
        inputs: an array for each input; optional ones may be absent. Taken as exact.
        parameters: those that are not given take their defaults. Taken as exact.
        dtype: the format that the budgets are for.
        wrt: the inputs to differentiate by; every differentiable one that is present, if not given.

    Raises:
        UsageError: an unknown criterion, input, parameter or dtype, or shapes that do not fit together.
    """
    spec = _spec(criterion)
    case = make_case(spec, inputs, parameters or {}, dtype)
    if refused := [item.name for item in outside(spec, Stack.of(case)) if item.must_raise]:
        raise UsageError(f"{spec.name}: {refused[0]!r} is out of its domain")
    wanted = (wrt,) if isinstance(wrt, str) else wrt
    names = tuple(name for name in spec.differentiable if name in case.inputs) if wanted is None else tuple(wanted)
    if unknown := [name for name in names if name not in spec.differentiable or name not in case.inputs]:
        raise UsageError(f"{spec.name} has no gradient with respect to {', '.join(map(repr, unknown))}")
    stack = Stack.of(case)
    found = evaluate_stack(spec, stack, names)
    # Certified is not always within 1 ulp; whoever asks for one case gets all of its digits.
    found = escalate(spec, stack, found, {name: item.doubtful for name, item in found.items()})
    fmt = FORMATS[dtype]
    budgets = {name: item.sound[0] + half_ulp(item.high[0], fmt) for name, item in found.items()}
    values = {name: item.high[0] for name, item in found.items()}
    missing = tuple(name for name, item in found.items() if not (item.certified & ~item.unsure).all())
    return Reference(values.pop("value"), values, budgets.pop("value"), budgets, not missing, missing)


def _spec(criterion: str | Spec) -> Spec:
    if isinstance(criterion, Spec):
        return criterion
    from conformance.spec import spec_for

    return spec_for(criterion)


def make_case(spec: Spec, inputs: Mapping[str, Any], parameters: Mapping[str, Any], dtype: str) -> Case:
    """A case of plain arrays; floating inputs become float64, unrounded.

    Raises:
        UsageError: a name that the spec does not have, a required input missing, or shapes that do not fit together.
    """
    if dtype not in DTYPES:
        raise UsageError(f"there is no dtype {dtype!r}; there are: {', '.join(DTYPES)}")
    for given, known, what in ((inputs, spec.inputs, "input"), (parameters, spec.params, "parameter")):
        if unknown := [name for name in given if name not in known]:
            raise UsageError(f"{spec.name} has no {what} {unknown[0]!r}; it has: {', '.join(known)}")
    if missing := [name for name, item in spec.inputs.items() if item.default is None and inputs.get(name) is None]:
        raise UsageError(f"{spec.name} needs the input {missing[0]!r}")
    for name, value in parameters.items():
        if fault := _fault_of(spec.params[name], value):
            raise UsageError(f"{spec.name}: {name}={value!r}: {fault}")
    arrays = {name: _numbers_of(spec, name, array) for name, array in inputs.items() if array is not None}
    layout = match(spec, {name: array.shape for name, array in arrays.items()})
    if layout is None:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise UsageError(f"the shapes do not fit {spec.name}: {shapes}")
    full = {name: parameters.get(name, item.default) for name, item in spec.params.items()}
    return Case(spec.name, dtype, layout, full, arrays)


def _fault_of(param: Param, value: Any) -> str:
    if param.type == "choice":
        return "" if value in param.choices else f"there are: {', '.join(param.choices)}"
    if param.type == "bool":
        return "" if isinstance(value, bool | np.bool_) else "True or False is due"
    kinds = (int, np.integer) if param.type == "integer" else (int, float, np.integer, np.floating)
    return "" if isinstance(value, kinds) and not isinstance(value, bool) else f"a number of type {param.type} is due"


def _numbers_of(spec: Spec, name: str, value: Any) -> NDArray[Any]:
    whole = spec.inputs[name].dtype == "int"
    try:
        array = np.asarray(value)
        if array.dtype.kind == "c":
            raise ValueError("complex numbers")
        numbers = array.astype(np.float64)
        if whole and numbers.size and not np.array_equal(numbers, np.round(numbers)):
            raise ValueError("whole numbers are due")
        return numbers.astype(np.int64) if whole else numbers
    except (TypeError, ValueError) as error:
        kind = "integers" if whole else "numbers"
        raise UsageError(f"{spec.name}: {name!r} is not an array of {kind}: {error}") from None


def evaluate_stack(spec: Spec, stack: Stack, wrt: Sequence[str], **options: bool) -> dict[str, Numbers]:
    """The numbers of every output, "value" and each name in `wrt`, for all cases of `stack` at once; the options are
    those of `Evaluation`."""
    return Evaluation(spec, stack, wrt, **options).numbers()


class Evaluation:
    """A stack under evaluation, in the numbers that it takes.

    These are binary128. For a dtype with far fewer digits than float64 has, and `quickly`, it is evaluated in float64,
    which is many times as fast, with the same bounds beside each number; and those cases in binary128 after all of
    which a number is not certified, or a choice of a branch unsure. No number that came near the ends of float64's
    range is certified.

    With `project`, gradients that are defined up to multiples of a direction (`spec.modulo`) come without that part,
    and say how to take it out of an answer.
    """

    def __init__(
        self,
        spec: Spec,
        stack: Stack,
        wrt: Sequence[str],
        *,
        flushes_subnormals: bool = False,
        project: bool = False,
        quickly: bool = False,
    ) -> None:
        self._spec, self._stack, self._wrt = spec, stack, tuple(wrt)
        self._options = {"flushes_subnormals": flushes_subnormals, "project": project}
        # A projection of answers is to add nothing to the error.
        self._is_quick = quickly and stack.dtype != "float64" and not (project and spec.modulo)
        self._tapes: dict[tuple[Kind, bool], list[tuple[Cases, Tapes]]] = {}

    def numbers(self, *, excuses: bool = True) -> dict[str, Numbers]:
        """The numbers. Without `excuses`, they do not know what may excuse a wrong answer: the sound budget is the
        formula's alone, and some of what may overflow in another order of multiplication is not told."""
        return self._numbers(self._every, excuses, np.full(len(self._stack), excuses))

    def excused(self, found: dict[str, Numbers], cases: Mask, infinite: Mask) -> dict[str, Numbers]:
        """`found`, the numbers without excuses, with them for some of the cases, or for all where that is less work.
        What may overflow in another order is told of those alone that are answered by something `infinite`."""
        chosen = self._every if 2 * cases.sum() > len(cases) else np.flatnonzero(cases)
        return _replaced(found, chosen, lambda: self._numbers(chosen, True, infinite))

    @property
    def _every(self) -> Cases:
        return np.arange(len(self._stack))

    def _numbers(self, cases: Cases, excuses: bool, infinite: Mask) -> dict[str, Numbers]:
        if not self._is_quick:
            return self._evaluated(cases, BINARY128, excuses, infinite)
        found = self._evaluated(cases, BINARY64, excuses, infinite)
        left = np.flatnonzero(~np.logical_and.reduce([_settled(n) for n in found.values()]))
        return _replaced(found, left, lambda: self._evaluated(cases[left], BINARY128, excuses, infinite))

    def _evaluated(
        self, cases: Cases, kind: Kind, excuses: bool, infinite: Mask, *, reorders: bool = False
    ) -> dict[str, Numbers]:
        """The numbers of some of the cases, in one kind. A case in which large numbers turn up is evaluated again, with
        an eye on other orders of multiplication: for each case by itself, so that no number depends on neighbours."""
        tapes = self._tapes_of(cases, kind, reorders)
        found = tapes.numbers(forms=excuses)
        far = np.flatnonzero(tapes.far & infinite[cases])
        return _replaced(found, far, lambda: self._evaluated(cases[far], kind, excuses, infinite, reorders=True))

    def _tapes_of(self, cases: Cases, kind: Kind, reorders: bool) -> Tapes:
        """The tapes of some of the cases; a part of those that are there, if they are."""
        known = self._tapes.setdefault((kind, reorders), [])
        for held, tapes in reversed(known):
            if np.isin(cases, held, assume_unique=True).all():
                if len(cases) == len(held):
                    return tapes
                found = tapes.only(np.searchsorted(held, cases))
                break
        else:
            stack = self._stack if len(cases) == len(self._stack) else self._stack.only(cases)
            found = Tapes(self._spec, stack, self._wrt, kind, reorders=reorders, **self._options)
        known.append((cases, found))
        return found


def _replaced(found: dict[str, Numbers], cases: Cases, others: Callable[[], dict[str, Numbers]]) -> dict[str, Numbers]:
    """`found`, with other numbers for some of the cases, if any."""
    if not cases.size:
        return found
    numbers = others()
    return {name: with_cases(n, cases, numbers[name]) for name, n in found.items()}


def _settled(n: Numbers) -> Mask:
    """Which cases need no more digits to be judged by. Whether a number is 0 has to be certain: a budget that is wider
    than the number proves nothing, but of an exact 0."""
    is_known = (n.error == 0) | (np.abs(n.high) > n.error)
    done = n.certified & is_known & ~n.unsure & np.isfinite(n.tight) & np.isfinite(n.sound)
    return np.asarray(done.reshape(len(done), -1).all(axis=1))
