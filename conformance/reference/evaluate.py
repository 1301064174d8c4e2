"""The reference: value and gradients of a stack of cases, each number with its error, its budgets and its choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import Shapes, full_cotangent, full_rank, make_tape, output_shapes, outside, rank_of
from conformance.cases.case import DTYPES, Case, Stack
from conformance.errors import UsageError
from conformance.formula import Node
from conformance.formula.algebra import Term
from conformance.formula.tape import Tape
from conformance.reference.ball import Ball
from conformance.reference.ballarrays import OutOfReach
from conformance.reference.escalate import escalate
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Float, Mask, Numbers, half_ulp, numbers_of, with_cases
from conformance.reference.projection import Projection
from conformance.reference.quad import BINARY64, BINARY128, magnitude
from conformance.reference.reductions import Balls
from conformance.reference.undefined import without_derivative
from conformance.spec.layout import match
from conformance.spec.model import Param, Spec

NEAR_OVERFLOW = 0.3  # three numbers below this power of the largest one have a product in range
NARROW = 1e3  # float16's 65504**0.3 is 28: what ordinary data reach


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


def evaluate_stack(
    spec: Spec,
    stack: Stack,
    wrt: Sequence[str],
    *,
    flushes_subnormals: bool = False,
    project: bool = False,
    quickly: bool = False,
) -> dict[str, Numbers]:
    """The numbers of every output, "value" and each name in `wrt`, for all cases of `stack` at once.

    With `project`, gradients that are defined up to multiples of a direction (`spec.modulo`) come without that part,
    and say how to take it out of an answer. `quickly`: see `Evaluation`.
    """
    options = {"flushes_subnormals": flushes_subnormals, "project": project, "quickly": quickly}
    return Evaluation(spec, stack, wrt, **options).numbers()


class Evaluation:
    """A stack under evaluation: the formula first, and its forms on the same tapes when they are asked for.

    It is evaluated in binary128. For a dtype with far fewer digits than float64 has, and `quickly`, it is evaluated in
    float64, which is many times as fast, with the same bounds beside each number; and those cases in binary128 after
    all of which a number is not certified, or a choice of a branch unsure. No number that came near the ends of
    float64's range is certified.

    Branches that meet smoothly leave no choice; but beside the joint they are not quite the same, and a sound
    implementation, or the reference's numbers, may be on the other one. What that makes of a result is an error of it.
    So there is a tape for each side of the joints.
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
        self._flushes, self._project = flushes_subnormals, project
        # A projection of answers is to add nothing to the error.
        is_enough = stack.dtype != "float64" and not (project and spec.modulo)
        self._kind = BINARY64 if quickly and is_enough else BINARY128
        self._left: dict[bytes, Evaluation] = {}  # of the cases that float64 is not enough for
        # Near overflow it matters in which order factors are multiplied, and every order is sound. Narrow formats are
        # nearly always near it; of the others, it shows when a first pass meets large numbers.
        self._near = FORMATS[stack.dtype].max ** NEAR_OVERFLOW
        self._start(reorders=self._near < NARROW)

    def _inputs(self) -> Mapping[str, Ball]:
        spec, stack = self._spec, self._stack
        return {name: Ball(self._kind.of(full_rank(spec, stack.layout, name, a))) for name, a in stack.inputs.items()}

    def _seed(self) -> Term | None:
        given = full_cotangent(self._spec, self._stack)
        return None if given is None else Term(Ball(self._kind.of(given)))

    def _start(self, *, reorders: bool) -> None:
        stack = self._stack
        rank = rank_of(self._spec, stack.layout)
        fmt = FORMATS[stack.dtype]
        self._balls = Balls(fmt, rank, kind=self._kind, flushes_subnormals=self._flushes, reorders=reorders)
        self._given, self._cotangent = self._inputs(), self._seed()
        self._tapes: dict[str, Tape] = {}
        self._outputs: list[dict[str, Ball]] = []  # of the formula, and of the forms so far

    def numbers(self, *, forms: bool = True) -> dict[str, Numbers]:
        """The numbers; without `forms`, the sound budget is the formula's alone."""
        if self._kind is BINARY128:
            return self._found(forms)
        try:
            found = self._found(forms)
        except OutOfReach:
            left = np.arange(len(self._stack))
            return self._in_binary128(left).numbers(forms=forms)
        left = np.flatnonzero(~np.logical_and.reduce([_settled(n) for n in found.values()]))
        if not left.size:
            return found
        others = self._in_binary128(left).numbers(forms=forms)
        return {name: with_cases(n, left, others[name]) for name, n in found.items()}

    def _in_binary128(self, cases: NDArray[np.int64]) -> Evaluation:
        """Some of the cases, evaluated with all digits."""
        key = cases.tobytes()
        if key not in self._left:
            part = self._stack if len(cases) == len(self._stack) else self._stack.only(cases)
            options = {"flushes_subnormals": self._flushes, "project": self._project}
            self._left[key] = Evaluation(self._spec, part, self._wrt, **options)
        return self._left[key]

    def _found(self, forms: bool) -> dict[str, Numbers]:
        spec, reduction = self._spec, self._stack.parameters.get("reduction", "none")
        roots = [spec.reduce[reduction], *(form.reduce[reduction] for form in spec.forms if forms)]
        with np.errstate(all="ignore"):
            self._reach(roots)
            if not self._balls.reorders and self._balls.largest > self._near:
                self._start(reorders=True)
                self._reach(roots)
            return self._gathered(self._outputs[: len(roots)])

    def _reach(self, roots: Sequence[Node]) -> None:
        """Evaluates the roots that have not been."""
        self._outputs += [self._evaluated(root) for root in roots[len(self._outputs) :]]

    def _evaluated(self, root: Node) -> dict[str, Ball]:
        found = self._on_side("", root)
        for row, beyond in enumerate(("unsure", "open")):  # the errors of the numbers, of the dtype
            if beyond in self._tapes[""].joined:
                there = self._on_side(beyond, root)
                found = {name: _reaching(ball, there[name], row) for name, ball in found.items()}
        return found

    def _on_side(self, beyond: str, root: Node) -> dict[str, Ball]:
        if beyond not in self._tapes:
            self._tapes[beyond] = make_tape(self._spec, self._stack, self._balls, self._given, beyond)
        tape = self._tapes[beyond]
        gradients = tape.gradients(root, self._wrt, self._cotangent)
        return {"value": tape.term(root).data, **{name: term.data for name, term in gradients.items()}}

    def _gathered(self, outputs: list[dict[str, Ball]]) -> dict[str, Numbers]:
        """The numbers of each output, from the balls of the formula and of the forms."""
        spec, stack, wrt, tape = self._spec, self._stack, self._wrt, self._tapes[""]
        shapes = output_shapes(spec, stack, wrt)
        projections = {m.of: Projection(tape, m, self._balls.u) for m in spec.modulo if self._project and m.of in wrt}
        found = {}
        for name in ("value", *wrt):
            skipped = "gradient" if name == "value" else "value"
            forms = [item[name] for item, form in zip(outputs[1:], spec.forms, strict=False) if form.only != skipped]
            balls = [outputs[0][name], *forms]
            if name in projections:
                balls = [projections[name].of_ball(ball) for ball in balls]
            found[name] = numbers_of(balls, shapes[name], FORMATS[stack.dtype], self._kind)
        for name, projection in projections.items():
            found[name] = replace(found[name], modulo=projection.for_answers(shapes[name]))
        return _defined(spec, stack, tape, found, shapes)


def _settled(n: Numbers) -> Mask:
    """Which cases need no more digits to be judged by."""
    done = n.certified & ~n.unsure & np.isfinite(n.tight) & np.isfinite(n.sound)
    return np.asarray(done.reshape(len(done), -1).all(axis=1))


def _reaching(ball: Ball, other: Ball, row: int) -> Ball:
    """The ball with an error that reaches to all of the other one."""
    apart = magnitude(other.x - ball.x)
    b = np.array(np.broadcast_to(ball.bound(), (2, *apart.shape)))
    b[row] = np.maximum(b[row], np.where(np.isfinite(apart), apart, 0) + other.bound()[row])
    return ball.having(b, ball.h, ball.flags, ball.loose)


def _defined(
    spec: Spec, stack: Stack, tape: Tape, found: dict[str, Numbers], shapes: Mapping[str, Shapes]
) -> dict[str, Numbers]:
    """`found` with NaN for the derivatives that do not exist."""
    value = found["value"]
    missing = without_derivative(spec, stack, tape, np.isnan(value.high) & value.certified, shapes)
    for name, mask in missing.items():
        n = found[name]
        found[name] = replace(n, high=np.where(mask, np.nan, n.high), certified=n.certified | mask)
    return found
