"""Known differences: which cases of which checks an entry covers, so that a known fault hides no new one."""

from __future__ import annotations

import ast
import dataclasses
import fnmatch
import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from conformance.cases.bind import full_rank, make_tape, output_shapes, spread
from conformance.cases.case import DTYPES, Case, Stack
from conformance.errors import FileError, FormulaError
from conformance.formula import Builder, Node, names_in, parse_expression, parse_program
from conformance.formula.plain import Plain
from conformance.reference.evaluate import evaluate_stack
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.spec.model import Spec
from conformance.verdict.compare import AGREES, INACCURATE, Judged, judge

Mask = NDArray[np.bool_]


def _number(value: Any) -> Any:
    return float.fromhex(value) if isinstance(value, str) else value


Hex = Annotated[float, BeforeValidator(_number)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Envelope(_Strict):
    """How far off the cases may be: every limit given must hold, or the answer be one of `answers`, or what `instead`
    comes to: the statements, in place of the formula's, that the framework is known to compute."""

    ulp: float | None = None
    absolute: float | None = None
    ratio: float | None = None  # of the tight budget
    answers: tuple[Hex, ...] = ()
    raises: str | None = None  # a regular expression for what is raised
    instead: str = ""

    @field_validator("instead")
    @classmethod
    def _is_program(cls, text: str) -> str:
        try:
            for _, expression in statements_of(text):
                parse_expression(expression)
        except (SyntaxError, FormulaError) as error:
            raise ValueError(f"not statements of the formula language: {error}") from None
        return text


class Witness(_Strict):
    """The frozen case that shows the difference; replayed in every run that the entry could apply to."""

    dtype: str
    check: str
    inputs: dict[str, Any] = Field(default_factory=dict)  # an edge case brings its own
    parameters: dict[str, Any] = Field(default_factory=dict)


class Entry(_Strict):
    """One known difference."""

    id: str
    checks: str | tuple[str, ...]  # patterns of check ids, `*` for anything
    versions: str
    kind: Literal["wrong", "inaccurate", "documented", "convention"]
    envelope: Envelope
    reason: str = Field(min_length=20)
    owner: str = Field(min_length=1)
    link: str = ""
    when: str = ""
    witness: Witness

    @field_validator("versions")
    @classmethod
    def _is_specifier(cls, text: str) -> str:
        try:
            SpecifierSet(text)
        except InvalidSpecifier as error:
            raise ValueError(f"not a version range such as '>=2.0,<2.14': {error}") from None
        return text

    @field_validator("when")
    @classmethod
    def _is_condition(cls, text: str) -> str:
        try:
            if text and not parse_expression(text).is_boolean:
                raise ValueError(f"not a condition: {text}")
        except FormulaError as error:
            raise ValueError(f"{error} (column {error.column + 1} of {text!r})") from None
        return text

    @property
    def patterns(self) -> tuple[str, ...]:
        """The check-id patterns."""
        return (self.checks,) if isinstance(self.checks, str) else self.checks

    def matches(self, check_id: str) -> bool:
        """Whether the entry speaks of this check."""
        return any(fnmatch.fnmatchcase(check_id, pattern) for pattern in self.patterns)

    def applies_to(self, version: str) -> bool:
        """Whether `version` of the framework lies in the entry's range (build tags such as +cpu aside)."""
        try:
            return SpecifierSet(self.versions).contains(Version(version).public, prereleases=True)
        except InvalidVersion:
            return False


def read_known(path: Path) -> list[Entry]:
    """The entries of a known-differences file.

    Raises:
        FileError: it cannot be read, or an entry is wrong: every fault at once.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"the known-differences file {path} cannot be read: {error}") from None
    except YAMLError as error:
        raise FileError(f"the known-differences file {path} is not YAML: {str(error).splitlines()[-1].strip()} {_place(error)}") from None
    if data is None:
        return []
    if not isinstance(data, list):
        raise FileError(f"the known-differences file {path} must be a list of entries; see docs/known-differences.md")
    entries, faults = [], []
    for i, item in enumerate(data):
        try:
            entries.append(Entry.model_validate(item))
        except ValidationError as error:
            name = item.get("id", f"entry {i + 1}") if isinstance(item, dict) else f"entry {i + 1}"
            faults += [f"{path}: {name}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            faults.append(f"{path}: {entry.id}: the id stands twice")
        seen.add(entry.id)
    if faults:
        raise FileError("\n".join(faults))
    return entries


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"(line {mark.line + 1}, column {mark.column + 1})" if mark else ""


def witness_case(entry: Entry, spec: Spec) -> Case:
    """The case that an entry's witness describes."""
    from conformance.reference.evaluate import make_case

    inputs = {name: _array(value) for name, value in entry.witness.inputs.items()}
    parameters = {name: _text_number(value) for name, value in entry.witness.parameters.items()}
    case = make_case(spec, inputs, parameters, entry.witness.dtype)
    dtype = DTYPES[entry.witness.dtype]
    rounded = {n: a.astype(dtype) if spec.inputs[n].dtype == "float" else a for n, a in case.inputs.items()}
    return Case(case.criterion, case.dtype, case.layout, case.parameters, rounded)


def _array(value: Any) -> NDArray[Any]:
    raw = np.array(value, dtype=object)
    return np.array([_text_number(item) for item in raw.ravel()]).reshape(raw.shape)


def _text_number(value: Any) -> Any:
    if isinstance(value, str) and ("0x" in value or value.lstrip("+-") in {"inf", "nan"}):
        return float.fromhex(value)
    return value


class Covered(NamedTuple):
    """The ids of the entries that cover faults of a case, and the severity that is left without them."""

    entries: list[str]
    left: int


class Coverage:
    """Which entries cover which cases of one stack."""

    def __init__(self, entries: Sequence[Entry], spec: Spec, stack: Stack, wrt: Sequence[str]) -> None:
        self._entries = entries
        self._spec = spec
        self._stack = stack
        self._wrt = tuple(wrt)
        self._shapes = output_shapes(spec, stack, wrt)
        self._masks: dict[str, Mask] = {}
        self._other: dict[str, dict[str, Numbers]] = {}

    def of(self, check_id: str, output: str, judged: Judged, k: int) -> Covered:
        """The entries that cover faulty elements of case k, and the worst severity among those that none covers."""
        severity = judged.severity[k, ...]
        faulty = severity >= INACCURATE
        left, used = faulty.copy(), []
        for entry in self._entries:
            if entry.matches(check_id):
                inside = _inside(entry.envelope, judged, k)
                if entry.envelope.instead and not (inside | ~faulty).all():
                    inside = inside | self._instead(entry, output, judged)[k, ...]
                covered = faulty & self._when(entry, output)[k, ...] & inside
                if (covered & left).any():
                    used.append(entry.id)
                    left &= ~covered
        return Covered(used, int(severity[left].max(initial=AGREES)))

    def of_raised(self, check_id: str, text: str, k: int, severity: int) -> Covered:
        """The entries that cover a case which raised `text`."""
        used = [
            entry.id
            for entry in self._entries
            if entry.matches(check_id)
            and entry.envelope.raises
            and re.search(entry.envelope.raises, text)
            and self._when(entry, None)[k].any()
        ]
        return Covered(used, AGREES if used else severity)

    def _when(self, entry: Entry, output: str | None) -> Mask:
        """Where the entry's condition holds, in the output's shape (None: one number a case)."""
        if entry.id not in self._masks:
            node = parse_expression(entry.when) if entry.when else None
            self._masks[entry.id] = condition(node, self._spec, self._stack)
        mask = self._masks[entry.id]
        return mask.reshape(len(self._stack), -1) if output is None else spread(mask, *self._shapes[output])

    def _instead(self, entry: Entry, output: str, judged: Judged) -> Mask:
        """Where the answer is what the entry's own formula comes to."""
        if entry.id not in self._other:
            self._other[entry.id] = evaluate_stack(amended(self._spec, entry.envelope.instead), self._stack, self._wrt)
        numbers = self._other[entry.id][output]
        again = judge(numbers, judged.answer, FORMATS[self._stack.dtype])
        return again.severity <= INACCURATE


@functools.cache
def amended(spec: Spec, statements: str) -> Spec:
    """The spec with other statements in the place of some of its formula's: what a framework is known to compute."""
    replace = {target: text for target, text in statements_of(statements)}
    builder = Builder()
    scope = parse_program(spec.formula, builder, replace)
    reduce = {name: parse_expression(text, builder, scope) for name, text in spec.reductions.items()}
    return dataclasses.replace(spec, loss=scope["loss"], reduce=reduce, forms=(), kinks=())


def statements_of(text: str) -> list[tuple[str, str]]:
    """The assigned names of a text of statements, each with the text of its expression.

    Raises:
        ValueError: it holds something else.
    """
    found = []
    for statement in ast.parse(text).body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name):
            raise ValueError("a statement reads: name = expression")
        found.append((target.id, ast.get_source_segment(text, statement.value) or ""))
    return found


def dtype_numbers(dtype: str) -> dict[str, float]:
    """What a condition may say of the dtype: its largest finite and its smallest normal number."""
    return {"largest": FORMATS[dtype].max, "smallest_normal": FORMATS[dtype].min_normal}


def condition(node: Node | None, spec: Spec, stack: Stack) -> Mask:
    """Where a condition holds for the cases of a stack, of full rank, computed in float64; None: everywhere."""
    k, rank = len(stack), len(stack.layout) + 1
    if node is None:
        return np.ones((k,) + (1,) * (rank - 1), bool)
    arrays = {name: full_rank(spec, stack.layout, name, a).astype(np.float64) for name, a in stack.inputs.items()}
    with np.errstate(all="ignore"):
        mask = make_tape(spec, stack, Plain(np.dtype(np.float64), rank), arrays, dtype_numbers(stack.dtype)).cond(node).true
    return np.broadcast_to(mask, (k, *mask.shape[1:]))


def check_names(entry: Entry, spec: Spec) -> str | None:
    """What is wrong with an entry's condition for this spec; None if nothing is."""
    if not entry.when:
        return None
    unknown = names_in(parse_expression(entry.when)) 
    unknown -= {*spec.inputs, *spec.params, *spec.dims, *dtype_numbers("float32")}
    return f"{entry.id}: `when` names {', '.join(sorted(unknown))}, which {spec.name} does not have" if unknown else None


def _inside(envelope: Envelope, judged: Judged, k: int) -> Mask:
    answer = judged.answer[k, ...]
    special = np.zeros(answer.shape, bool)
    for value in envelope.answers:
        special |= np.isnan(answer) if math.isnan(value) else answer == value
    limits = [(envelope.ulp, judged.ulps[k, ...]), (envelope.ratio, judged.ratio[k, ...]), (envelope.absolute, judged.distance[k, ...])]
    within = np.full(answer.shape, any(limit is not None for limit, _ in limits))
    for limit, size in limits:
        if limit is not None:
            within &= size <= limit
    return special | (within & np.isfinite(answer))
