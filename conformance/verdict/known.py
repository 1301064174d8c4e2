"""Known differences: which cases of which checks an entry covers, so that a known fault hides no new one."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conformance.cases.bind import dtype_numbers, full_rank, make_tape, output_shapes, rank_of, spread
from conformance.cases.case import DTYPES, Case, Stack, in_dtype
from conformance.cases.invalid import invalid_checks
from conformance.cases.steps import smallest_normal
from conformance.errors import ConformanceError
from conformance.formula import Builder, Node, names_in, parse_expression, parse_program, statements
from conformance.formula.plain import Plain
from conformance.record.model import CONSISTENCY
from conformance.reference.evaluate import evaluate_stack, make_case
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec
from conformance.verdict.compare import AGREES, INACCURATE, Judged, judge
from conformance.verdict.entries import Entry, Envelope, Witness, read_known, text_number

__all__ = [
    "Coverage",
    "Covered",
    "Entry",
    "Envelope",
    "Witness",
    "amended",
    "condition",
    "fault_of",
    "fault_of_witness",
    "of_answered",
    "of_error",
    "read_known",
    "witness_case",
]

Mask = NDArray[np.bool_]
FLOAT32 = "_float32"  # after the name of a parameter, in `instead`: the number that it is in float32


def witness_case(witness: Witness, spec: Spec) -> Case:
    """The case that a witness describes; an edge case is described by the spec.

    Raises:
        ConformanceError, ValueError, TypeError: it is no case of this criterion.
    """
    inputs = {name: _array(value) for name, value in witness.inputs.items()}
    parameters = {name: text_number(value) for name, value in witness.parameters.items()}
    case = make_case(spec, inputs, parameters, witness.dtype)
    return dataclasses.replace(case, inputs=in_dtype(case.inputs, witness.dtype))


def _array(value: Any) -> NDArray[Any]:
    raw = np.array(value, dtype=object)
    return np.array([text_number(item) for item in raw.ravel()]).reshape(raw.shape)


class Covered(NamedTuple):
    """The ids of the entries that cover faults of a case, and the severity that is left without them."""

    entries: list[str]
    left: int


class Coverage:
    """Which entries cover which cases of one stack; `flushes` says of which dtypes subnormals are taken for 0."""

    def __init__(
        self,
        entries: Sequence[Entry],
        spec: Spec,
        stack: Stack,
        wrt: Sequence[str],
        flushes: Callable[[str], bool] = lambda dtype: False,
    ) -> None:
        self._entries = entries
        self._spec = spec
        self._stack = stack
        self._wrt = tuple(wrt)
        self._flushes = flushes
        self._shapes = output_shapes(spec, stack, wrt)
        self._speaking: dict[tuple[str, ...], list[Entry]] = {}  # those of some checks
        self._masks: dict[str, Mask] = {}
        self._other: dict[str, dict[str, Numbers]] = {}
        self._same: dict[tuple[str, str], tuple[Judged, Mask]] = {}  # for the answers judged last

    def of(self, check_id: str | tuple[str, ...], output: str, judged: Judged, k: int) -> Covered:
        """The entries of these checks that cover faulty elements of case k, and the worst severity that none covers."""
        ids = (check_id,) if isinstance(check_id, str) else check_id
        severity = judged.severity[k, ...]
        faulty = severity >= INACCURATE
        left, used = faulty.copy(), []
        for entry in self._of_checks(ids):
            meant = faulty & self._when(entry, output)[k, ...]
            if not meant.any():
                continue
            inside = _inside(entry.envelope, judged, k)
            if entry.envelope.is_formula and (meant & ~inside).any():
                inside = inside | self._instead(entry, output, judged)[k, ...]
            covered = meant & inside
            if (covered & left).any():
                used.append(entry.id)
                left &= ~covered
        return Covered(used, int(severity[left].max(initial=AGREES)))

    def of_raised(self, check_id: str, text: str, k: int, severity: int) -> Covered:
        """The entries that cover a case which raised `text`."""
        used = [
            entry.id
            for entry in self._of_checks((check_id,))
            if entry.envelope.raises and re.search(entry.envelope.raises, text) and self._when(entry, None)[k].any()
        ]
        return Covered(used, AGREES if used else severity)

    def _of_checks(self, ids: tuple[str, ...]) -> list[Entry]:
        if ids not in self._speaking:
            self._speaking[ids] = [entry for entry in self._entries if any(map(entry.matches, ids))]
        return self._speaking[ids]

    def _when(self, entry: Entry, output: str | None) -> Mask:
        """Where the entry's condition holds, in the output's shape (None: one number a case)."""
        if entry.id not in self._masks:
            node = parse_expression(entry.when) if entry.when else None
            self._masks[entry.id] = condition(node, self._spec, self._stack)
        mask = self._masks[entry.id]
        return mask.reshape(len(self._stack), -1) if output is None else spread(mask, *self._shapes[output])

    def _instead(self, entry: Entry, output: str, judged: Judged) -> Mask:
        """Where the answer is what the entry's own formula comes to, of the entry's own numbers."""
        known = self._same.get((entry.id, output))
        if known is None or known[0] is not judged:  # for the whole stack at once, and not again for its next case
            known = self._same[entry.id, output] = judged, self._compared(entry, output, judged)
        return known[1]

    def _compared(self, entry: Entry, output: str, judged: Judged) -> Mask:
        instead, dtype = entry.envelope.instead, entry.envelope.computed_in or self._stack.dtype
        if entry.id not in self._other:
            spec, stack = amended(self._spec, instead) if instead else self._spec, rounded(self._stack, dtype)
            stack = with_float32(flushed(stack) if entry.envelope.flushed else stack)
            flushes = self._flushes(dtype)
            self._other[entry.id] = evaluate_stack(
                spec, stack, self._wrt, flushes_subnormals=flushes, project=True, quickly=True
            )
        numbers = self._other[entry.id][output]
        if numbers.high.shape != judged.answer.shape:
            return np.zeros(judged.answer.shape, bool)  # the other formula has lost an axis: it is not this answer
        # what is computed in one dtype and answered in another has been rounded to the narrower
        last = min(dtype, self._stack.dtype, key=lambda name: FORMATS[name].digits)
        again = judge(numbers, judged.answer, FORMATS[last])
        none = np.isnan(numbers.high)  # the formula has no value: no number is what it comes to
        within = (again.severity <= INACCURATE) | (again.ratio <= entry.envelope.times)
        same: Mask = np.where(none, np.isnan(judged.answer), within)
        return same


def of_answered(entries: Sequence[Entry], check_id: str, got: float, severity: int) -> Covered:
    """The entries that cover an input out of its domain that is answered with `got`."""
    used = [e.id for e in entries if e.matches(check_id) and not e.when and _is_among(e.envelope.answers, got)]
    return Covered(used, AGREES if used else severity)


def of_error(entries: Sequence[Entry], check_id: str, text: str, severity: int) -> Covered:
    """The entries that cover an input out of its domain that ended in `text` where a refusal was due."""
    used = [
        entry.id
        for entry in entries
        if entry.matches(check_id) and entry.envelope.raises and re.search(entry.envelope.raises, text)
    ]
    return Covered(used, AGREES if used else severity)


def _is_among(answers: Sequence[float] | str, got: float) -> bool:
    if isinstance(answers, str):
        return True
    return any(got == answer or (math.isnan(got) and math.isnan(answer)) for answer in answers)


def rounded(stack: Stack, dtype: str) -> Stack:
    """The same cases with their numbers rounded to another dtype."""
    if dtype == stack.dtype:
        return stack
    with np.errstate(over="ignore", under="ignore"):
        inputs = in_dtype(stack.inputs, dtype)
        given = None if stack.cotangent is None else in_dtype({"": stack.cotangent}, dtype)[""]
    return dataclasses.replace(stack, dtype=dtype, inputs=inputs, cotangent=given)


def with_float32(stack: Stack) -> Stack:
    """The same cases with `NAME_float32` beside each number NAME of their parameters: the same, rounded to float32."""
    numbers = {name: value for name, value in stack.parameters.items() if isinstance(value, int | float)}
    with np.errstate(over="ignore", under="ignore"):
        narrow = {name + FLOAT32: float(np.float32(value)) for name, value in numbers.items()}
    return dataclasses.replace(stack, parameters={**stack.parameters, **narrow})


def flushed(stack: Stack) -> Stack:
    """The same cases with 0 in the place of subnormal inputs."""
    least = smallest_normal(DTYPES[stack.dtype])

    def normal(array: NDArray[Any]) -> NDArray[Any]:
        return np.where(abs(array) < least, np.copysign(array.dtype.type(0), array), array)

    inputs = {name: array if array.dtype.kind in "iub" else normal(array) for name, array in stack.inputs.items()}
    return dataclasses.replace(stack, inputs=inputs)


@functools.cache
def amended(spec: Spec, instead: str) -> Spec:
    """The spec with other statements in the place of some of its formula's: what a framework is known to compute."""
    replace = {statement.name: statement.text for statement in statements(instead)}
    builder = Builder()
    scope = parse_program(spec.formula, builder, replace)
    reduce = {name: parse_expression(text, builder, scope) for name, text in spec.reductions.items()}
    return dataclasses.replace(spec, loss=scope["loss"], reduce=reduce, forms=(), kinks=(), modulo=())


def condition(node: Node | None, spec: Spec, stack: Stack) -> Mask:
    """Where a condition holds for the cases of a stack, of full rank, computed in float64; None: everywhere."""
    k, rank = len(stack), rank_of(spec, stack.layout)
    if node is None:
        return np.ones((k,) + (1,) * (rank - 1), bool)
    arrays = {name: full_rank(spec, stack.layout, name, a).astype(np.float64) for name, a in stack.inputs.items()}
    with np.errstate(all="ignore"):
        tape = make_tape(spec, stack, Plain(np.dtype(np.float64), rank), arrays)
        mask = tape.cond(node).true
    return np.broadcast_to(mask, (k, *mask.shape[1:]))


def fault_of(entry: Entry, spec: Spec) -> str:
    """What is wrong with an entry's condition or formula for a spec that it speaks of; "" if nothing is."""
    known = {*spec.inputs, *spec.params, *spec.dims, *dtype_numbers("float32")}
    if unknown := names_in(parse_expression(entry.when)) - known if entry.when else set():
        return f"`when` names {', '.join(sorted(unknown))}, which {spec.name} does not have"
    if not entry.envelope.instead:
        return ""
    try:
        other = amended(spec, entry.envelope.instead)
    except ConformanceError as error:
        return str(error)
    known |= {name + FLOAT32 for name in spec.params}
    unknown = {name for node in other.reduce.values() for name in names_in(node)} - known
    return f"`instead` names {', '.join(sorted(unknown))}, which {spec.name} does not have" if unknown else ""


def fault_of_witness(witness: Witness, spec: Spec) -> str:
    """What is wrong with a witness as a case of this criterion; "" if nothing is."""
    if witness.is_named:
        there = {f"edge.{edge.id}" for edge in spec.edge_cases} | {f"invalid.{id_}" for id_ in invalid_checks(spec)}
    else:
        try:
            witness_case(witness, spec)
        except (ConformanceError, ValueError, TypeError) as error:
            return str(error)
        there = {"value", *(f"gradient.{name}" for name in spec.differentiable if name in witness.inputs)}
        there |= {f"consistency.{name}" for name in CONSISTENCY}
    return "" if witness.check in there else f"{witness.check!r} is no check of {spec.name} with these inputs"


def _inside(envelope: Envelope, judged: Judged, k: int) -> Mask:
    answer = judged.answer[k, ...]
    special = np.zeros(answer.shape, bool)
    for value in () if isinstance(envelope.answers, str) else envelope.answers:
        special |= np.isnan(answer) if math.isnan(value) else answer == value
    limits = [
        (envelope.ulp, judged.ulps[k, ...]),
        (envelope.ratio, judged.ratio[k, ...]),
        (envelope.absolute, judged.distance[k, ...]),
    ]
    within = np.full(answer.shape, any(limit is not None for limit, _ in limits))
    for limit, size in limits:
        if limit is not None:
            within &= size <= limit
    return special | (within & np.isfinite(answer))
