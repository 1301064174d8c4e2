"""What a call out of its domain comes to: a refusal agrees, and so does NaN. An answer differs, or fails where it must
be refused."""

from __future__ import annotations

import math
import warnings
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapter import Output
from conformance.cases.bench import Invalid
from conformance.cases.bind import output_shapes, outside
from conformance.cases.case import DTYPES, Case, Stack
from conformance.reference.evaluate import evaluate_stack
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import ulp
from conformance.spec.model import Spec
from conformance.suite.calls import UNSUPPORTED, Problem, call_of, run_call
from conformance.suite.cell import CellJudge
from conformance.verdict.compare import AGREES, DIFFERS, ERROR, FAILS, INACCURATE, judge
from conformance.verdict.known import Covered, of_answered, of_error
from conformance.verdict.message import first_line
from conformance.verdict.tally import Finding, Tally

Array = NDArray[Any]


def judge_refusal(judge_of: CellJudge, tally: Tally, check: str, asked: Invalid) -> None:
    """Adds what a call out of its domain comes to."""
    output, warned = _answer(judge_of, asked.case)
    if isinstance(output, Problem):
        _judge_problem(judge_of, tally, check, asked, output)
    elif not _is_array(asked, output.value):
        of = getattr(output.value, "dtype", type(output.value).__name__)
        text = f"{asked.what}: the answer is no array of {asked.case.dtype}, but of {of}"
        _add_error(judge_of, tally, check, asked, text)
    else:
        _judge_value(judge_of, tally, check, asked, np.asarray(output.value), warned)


def _judge_value(judge_of: CellJudge, tally: Tally, check: str, asked: Invalid, value: Array, warned: str) -> None:
    """An answer, and whether the backward pass comes to an end; what fails already is not asked for its gradient."""
    severity, text = AGREES, ""
    if not (_is_nan(asked, value) or _is_right(judge_of, asked, value)):
        severity, text = _answered(judge_of, check, asked, value, warned)
    if severity < FAILS and (broken := _broken_gradient(judge_of, asked.case)):
        _add_error(judge_of, tally, check, asked, f"{asked.what}: {broken}")
    elif severity == AGREES:
        tally.add(AGREES)
    else:
        got = _first(asked, value)
        covered = of_answered(judge_of.known, f"{judge_of.cell.id}/{check}", got, severity)
        _add(tally, asked, severity, text, covered, got)


def must_raise(spec: Spec, case: Case) -> bool:
    """Whether one of the domains that the case violates is marked `must_raise` (shapes that do not fit always are)."""
    if not case.layout and any(array.ndim for array in case.inputs.values()):
        return True
    return any(item.must_raise for item in outside(spec, Stack.of(case)))


def _is_array(asked: Invalid, value: Any) -> bool:
    """Whether an answer is an array of the dtype; of any numbers, if the inputs' dtypes are mixed."""
    if not isinstance(value, np.ndarray | np.generic):
        return False
    return value.dtype == DTYPES[asked.case.dtype] or (
        asked.exact is not None and (value.dtype in DTYPES.values() or value.dtype.kind in "iub")
    )


def _answer(judge_of: CellJudge, case: Case, wrt: tuple[str, ...] = ()) -> tuple[Output | Problem, str]:
    """What the framework says, and its first warning. A call that neither answers nor refuses is made once more: an
    earlier one may have left the memory in ruins."""
    call = call_of(case, wrt, judge_of.cell.device, judge_of.cell.mode)
    with warnings.catch_warnings(record=True) as caught, judge_of.seconds.spent("framework"):
        warnings.simplefilter("always")
        output = run_call(judge_of.careful, call)
        if isinstance(output, Problem) and not output.refused:
            output = run_call(judge_of.careful, call_of(case, wrt, judge_of.cell.device, judge_of.cell.mode))
    return output, str(caught[0].message) if caught else ""


def _judge_problem(judge_of: CellJudge, tally: Tally, check: str, asked: Invalid, problem: Problem) -> None:
    """A refusal agrees, but one of the valid call as well has not looked at what is invalid."""
    base = asked.base
    refuses_all = problem.severity == UNSUPPORTED and (base is None or _is_unsupported(_answer(judge_of, base)[0]))
    if refuses_all or not problem.made:
        judge_of.note_unsupported(tally, check, problem)
    elif problem.refused:
        tally.add(AGREES)
    else:
        _add_error(judge_of, tally, check, asked, f"{asked.what}: {problem.text}")


def _is_unsupported(output: Output | Problem) -> bool:
    return isinstance(output, Problem) and output.severity == UNSUPPORTED


def _broken_gradient(judge_of: CellJudge, case: Case) -> str:
    """How the backward pass ended, if neither in an answer nor in an exception."""
    floats = [name for name, array in case.inputs.items() if array.dtype.kind not in "iub"]
    wrt = judge_of.wrt(floats)
    output = _answer(judge_of, case, wrt)[0] if wrt else None
    return output.text if isinstance(output, Problem) and not output.refused else ""


def _is_nan(asked: Invalid, value: Array) -> bool:
    """Whether NaN is all that the violation reaches."""
    is_same = asked.reached is not None and asked.reached.shape == value.shape
    part = value[asked.reached] if is_same else value
    return part.size > 0 and bool(np.isnan(part.astype(np.float64)).all())


def _is_right(judge_of: CellJudge, asked: Invalid, value: Array) -> bool:
    """Whether numbers in a wrong dtype were taken for what they are: the answer is that of the right dtype, or within
    their budget."""
    if asked.exact is None or value.dtype.kind in "iub":
        return False
    if value.shape != output_shapes(judge_of.spec, asked.exact, ())["value"][1][1:]:
        return False
    fmt, got, own = FORMATS[asked.exact.dtype], value.astype(np.float64), _own(judge_of, asked)
    with np.errstate(invalid="ignore"):
        if own is not None and ((own == got) | (np.abs(own - got) <= ulp(own, fmt))).all():
            return True
    numbers = evaluate_stack(judge_of.spec, asked.exact, ())["value"]
    return bool((judge(numbers, value[None], fmt).severity <= INACCURATE).all())


def _own(judge_of: CellJudge, asked: Invalid) -> Array | None:
    """The framework's answer to the valid call."""
    output = _answer(judge_of, asked.base)[0] if asked.base is not None else None
    is_array = isinstance(output, Output) and isinstance(output.value, np.ndarray | np.generic)
    return np.asarray(output.value).astype(np.float64) if is_array and isinstance(output, Output) else None


def _answered(judge_of: CellJudge, check: str, asked: Invalid, value: Array, warned: str) -> tuple[int, str]:
    """The severity of an answer that is neither NaN nor right, and the sentence for it."""
    severity, more = FAILS if must_raise(judge_of.spec, asked.case) else DIFFERS, ""
    text = f"{asked.what}: answered with {_first(asked, value)!r}"
    text += f" in {value.dtype}" if asked.exact else ""
    text += f" and more, of shape {value.shape}" if value.ndim else ""
    if severity == FAILS:
        severity, more = _tempered(judge_of, check, asked, value)
    return severity, text + more + (f"; it warned: {first_line(warned)}" if warned else "")


def _tempered(judge_of: CellJudge, check: str, asked: Invalid, value: Array) -> tuple[int, str]:
    """The severity of an answer where a refusal is due, and why: the framework may document what it does, and axes of
    size 1 too many may change nothing."""
    for difference in judge_of.documented:
        if any(fnmatchcase(check, pattern) for pattern in difference.checks):
            return DIFFERS, f"; documented: {difference.sentence} ({difference.source})"
    own = _own(judge_of, asked) if not asked.case.layout else None
    if own is None or asked.base is None:
        return FAILS, ""
    if own.shape != value.shape:
        return FAILS, f" where {own.shape} is due"
    is_reshaped = asked.case.size == asked.base.size  # none is missing, none stands for several
    is_same = is_reshaped and np.array_equal(own, value.astype(np.float64), equal_nan=True)
    return (DIFFERS, ", as with the right shapes") if is_same else (FAILS, "")


def _first(asked: Invalid, value: Array) -> float:
    """The first number of an answer that is not the NaN due."""
    numbers = value.astype(np.float64)
    if asked.reached is not None and asked.reached.shape == value.shape:
        numbers = numbers[asked.reached]
    rest = numbers[~np.isnan(numbers)]
    return float(rest.flat[0]) if rest.size else math.nan


def _add_error(judge_of: CellJudge, tally: Tally, check: str, asked: Invalid, text: str) -> None:
    covered = of_error(judge_of.known, f"{judge_of.cell.id}/{check}", text, ERROR)
    _add(tally, asked, ERROR, text, covered)


def _add(tally: Tally, asked: Invalid, severity: int, text: str, covered: Covered, got: float = math.nan) -> None:
    # A script tells a refusal, or nothing but NaN, from an answer; not a right answer, nor NaN in some places alone.
    whole = asked.exact is None and (asked.reached is None or bool(asked.reached.all()))
    due = "refusal" if whole and severity != ERROR else ""
    tally.add(severity, Finding(asked.case, severity, (), math.nan, got, math.nan, math.nan, text, due=due), *covered)
