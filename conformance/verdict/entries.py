"""Entries of known-differences files: what they say, and what is wrong with one."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.specifiers import InvalidSpecifier
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from conformance.cases.case import DTYPES
from conformance.errors import FileError, FormulaError
from conformance.formula import parse_expression, statements
from conformance.verdict.versions import range_of

MIN_REASON = 20  # characters
FORMULA = "formula"  # the mode; a pattern speaks of it only by its name


def text_number(value: Any) -> Any:
    """A number given as hexadecimal text, or as inf or nan; anything else as it is."""
    if isinstance(value, str) and ("0x" in value or value.lstrip("+-") in {"inf", "nan"}):
        return float.fromhex(value)
    return value


Hex = Annotated[float, BeforeValidator(text_number)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def own_name(framework: str) -> str:
    """The adapter's own name: `torch` of `torch@2.6.0`, as one of two is called in a run that judges both."""
    return framework.partition("@")[0]


def _dtype(name: str) -> str:
    if name not in DTYPES:
        raise ValueError(f"there is no dtype {name!r}; there are: {', '.join(DTYPES)}")
    return name


class Envelope(_Strict):
    """How far off the cases may be: every limit given must hold, or the answer be one of `answers`, or what `instead`
    comes to: the statements, in place of the formula's, that the framework is known to compute. `computed_in` is
    another dtype, in which it computes them (without any: the formula); `flushed`, that it takes subnormal inputs
    for 0; `times`, that it may be off by that many times the tight budget of what they come to."""

    ulp: float | None = None
    absolute: float | None = None
    ratio: float | None = None  # of the tight budget
    answers: tuple[Hex, ...] | Literal["any"] = ()  # any: of invalid input only
    raises: str | None = None  # a regular expression for what is raised
    instead: str = ""
    computed_in: str = ""
    flushed: bool = False
    times: float = Field(default=1, ge=1)

    @property
    def is_formula(self) -> bool:
        """Whether it says what the framework computes, beside or without limits."""
        return bool(self.instead or self.computed_in or self.flushed or self.times > 1)

    @field_validator("computed_in")
    @classmethod
    def _is_dtype(cls, name: str) -> str:
        return _dtype(name) if name else name

    @field_validator("instead")
    @classmethod
    def _is_program(cls, text: str) -> str:
        try:
            for statement in statements(text):
                parse_expression(statement.text)
        except FormulaError as error:
            raise ValueError(f"not statements of the formula language: {error}") from None
        return text

    @field_validator("raises")
    @classmethod
    def _is_pattern(cls, text: str | None) -> str | None:
        try:
            re.compile(text or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return text

    @model_validator(mode="after")
    def _says_something(self) -> Envelope:
        if not self.model_fields_set:
            raise ValueError(f"an envelope says how far off: {', '.join(Envelope.model_fields)}")
        return self


class Witness(_Strict):
    """A frozen case that shows the difference; replayed in every run that the entry could apply to."""

    dtype: str
    check: str
    inputs: dict[str, Any] = Field(default_factory=dict)  # an edge case brings its own
    parameters: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0  # of invalid input, whose other numbers are drawn: the draw that shows it

    @field_validator("dtype")
    @classmethod
    def _is_dtype(cls, name: str) -> str:
        return _dtype(name)

    @model_validator(mode="after")
    def _draws(self) -> Witness:
        if self.seed and not self.check.startswith("invalid."):
            raise ValueError("only invalid input is drawn and has a `seed`")
        return self

    @property
    def is_named(self) -> bool:
        """Whether its check has cases of its own: an edge case of the spec, or invalid input."""
        return self.check.startswith(("edge.", "invalid."))

    @property
    def is_consistency(self) -> bool:
        """Whether it is a case that is asked in another way."""
        return self.check.startswith("consistency.")


def _several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class Entry(_Strict):
    """One known difference."""

    id: str
    checks: str | Annotated[tuple[str, ...], Field(min_length=1)]  # patterns of check ids, `*` for anything
    versions: str
    kind: Literal["wrong", "inaccurate", "documented", "convention"]
    envelope: Envelope
    reason: str
    owner: str
    link: str = ""
    expires: date | None = None  # after this day the entry fails a run, until its owner looks at it again
    when: str = ""
    unsteady: bool = False  # the answer depends on what memory holds: the witness may come out right by chance
    witnesses: Annotated[tuple[Witness, ...], BeforeValidator(_several), Field(alias="witness", min_length=1)]

    @field_validator("versions")
    @classmethod
    def _is_specifier(cls, text: str) -> str:
        try:
            range_of(text)
        except InvalidSpecifier as error:
            raise ValueError(f"not a version range such as '>=2.0,<2.14' or 'jax>=0.10,<0.11': {error}") from None
        return text

    @field_validator("reason")
    @classmethod
    def _is_reason(cls, text: str) -> str:
        if len(text.strip()) < MIN_REASON:
            raise ValueError(
                f"say what goes wrong and why, in {MIN_REASON} characters or more: until somebody has worked that out, "
                "nothing is known, and the entry covers nothing"
            )
        return text

    @field_validator("owner")
    @classmethod
    def _is_owner(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("say who looks after the entry")
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

    @model_validator(mode="after")
    def _hides_no_number(self) -> Entry:
        # edge cases may be out of the domain as well; of one that has a value, `any` covers nothing
        are_invalid = all(item.split("/")[-1].startswith(("invalid.", "edge.")) for item in self.patterns)
        if self.envelope.answers == "any" and not are_invalid:
            raise ValueError("answers: any is for checks of invalid input, invalid.* and edge.*: it would hide faults")
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        """The check-id patterns."""
        return (self.checks,) if isinstance(self.checks, str) else self.checks

    def matches(self, check_id: str) -> bool:
        """Whether the entry speaks of this check; `torch` speaks of `torch@2.6.0`, too."""
        return _matches(self.patterns, check_id)

    def speaks_of(self, criterion: str) -> bool:
        """Whether a pattern names this criterion."""
        return any(fnmatch.fnmatchcase(criterion, pattern.split("/")[0]) for pattern in self.patterns)

    def names(self, mode: str) -> bool:
        """Whether a pattern has this mode as a part of its own."""
        return any(mode in pattern.split("/") for pattern in self.patterns)

    def version(self, packages: Mapping[str, str]) -> str:
        """The version, among those of an environment, that the range is of; "" if it is not there."""
        return range_of(self.versions).version(packages)

    def applies_to(self, packages: Mapping[str, str]) -> bool:
        """Whether these versions lie in the entry's range (build tags such as +cpu aside)."""
        return range_of(self.versions).holds(packages)

    def is_later_than(self, packages: Mapping[str, str]) -> bool:
        """Whether these versions came before all that the entry's range speaks of."""
        return range_of(self.versions).is_later_than(packages)


@functools.lru_cache(maxsize=2**16)
def _matches(patterns: tuple[str, ...], check_id: str) -> bool:
    criterion, framework, *rest = check_id.split("/")
    ids = {check_id, "/".join([criterion, own_name(framework), *rest])}
    if FORMULA in rest:  # what is known of a framework's function is not known of its formula
        patterns = tuple(pattern for pattern in patterns if FORMULA in pattern.split("/"))
    return any(fnmatch.fnmatchcase(id_, pattern) for pattern in patterns for id_ in ids)


def read_known(path: Path) -> list[Entry]:
    """The entries of a known-differences file.

    Raises:
        FileError: it cannot be read, or an entry is wrong: every fault at once.
    """
    from ruamel.yaml.error import YAMLError

    from conformance._yaml import loads

    try:
        data = loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"the known-differences file {path} cannot be read: {error}") from None
    except YAMLError as error:
        why = f"{getattr(error, 'problem', None) or str(error).splitlines()[0]} {_place(error)}"
        raise FileError(f"the known-differences file {path} is not YAML: {why}") from None
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
            faults += [f"{path}{_line(path, (i, *e['loc']))}: {name}: {_said(e)}" for e in error.errors()]
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            faults.append(f"{path}: {entry.id}: the id stands twice")
        seen.add(entry.id)
    if faults:
        raise FileError("\n".join(faults))
    return entries


def _said(error: Any) -> str:
    return f"{'.'.join(map(str, error['loc']))}: {str(error['msg']).removeprefix('Value error, ')}"


def _line(path: Path, loc: tuple[str | int, ...]) -> str:
    """Where in the file this is said: `:12`."""
    from conformance.spec.source import read_source

    source = read_source(path)
    return f":{source.place(loc).line}" if not source.faults else ""


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"(line {mark.line + 1}, column {mark.column + 1})" if mark else ""
