"""The YAML form of a spec: which keys there are and what each holds. What they mean together, `build` checks."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from conformance.spec.model import Pattern
from conformance.spec.source import Loc, Source


def _scalar(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number is due, or an expression for one")
    return value


def _draw(value: Any) -> Any:
    if not isinstance(value, list | dict | bool | str):
        raise ValueError(
            "a draw is [low, high], {near: …}, {values: […]}, {log: [low, high]}, {mix: […]} or one per dtype"
        )
    return value


_NUMBER_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "string"}]}
Scalar = Annotated[Any, AfterValidator(_scalar), WithJsonSchema(_NUMBER_SCHEMA)]
Expression = Annotated[str, Field(min_length=1)]
DrawForm = Annotated[Any, AfterValidator(_draw)]
Pair = Annotated[list[Scalar], Field(min_length=2, max_length=2)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DimForm(_Part):
    """An axis: `N?`, `C` or `D*`."""

    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=1)
    rank: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    like: str | None = None
    about: str = ""


class InputForm(_Part):
    """An array that the criterion takes."""

    shape: str
    dtype: Literal["float", "int"]
    domain: Expression | None = None
    used: Expression | None = None
    must_raise: bool = False
    default: Scalar | None = None
    differentiable: bool = False
    broadcast: bool | Annotated[list[Pattern], Field(min_length=2)] = False
    special: list[Scalar] = []
    about: str = ""


class ParamForm(_Part):
    """A parameter."""

    type: Literal["real", "integer", "bool", "choice"]
    default: Any
    choices: list[str] | None = None
    domain: Expression | None = None
    must_raise: bool = False
    levels: list[Any] | None = Field(default=None, min_length=1)
    range: Pair | None = None
    about: str = ""


class FormForm(_Part):
    """Another way to compute the same."""

    where: str | list[str]
    source: Annotated[str, Field(min_length=1)]
    only: Literal["value", "gradient"] | None = None
    reduce: dict[str, Expression] = {}


class KinkForm(_Part):
    """Where a gradient is not unique."""

    id: str | None = None
    at: Expression
    order: int = Field(default=1, ge=1)
    subgradient: Literal["any", "none"] = "any"
    of: list[str] = []
    why: str = ""


class ModuloForm(_Part):
    """A gradient that is defined up to multiples of a direction."""

    of: str
    direction: Expression
    over: str
    why: str = ""


class ExpectForm(_Part):
    """What an edge case expects."""

    value: Any = None
    gradient: dict[str, Any] = {}
    error: Literal["domain"] | None = None


class EdgeForm(_Part):
    """A case written by hand."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    given: dict[str, Any]
    expect: ExpectForm
    level: Literal["required", "unspecified"] = "required"
    why: str = ""


class SpecForm(_Part):
    """A spec file."""

    spec: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    extends: str | None = None
    title: str
    summary: str
    dims: dict[str, DimForm]
    inputs: Annotated[dict[str, InputForm], Field(min_length=1)]
    params: dict[str, ParamForm] = {}
    formula: Expression
    forms: list[FormForm] = []
    reduce: Annotated[dict[str, Expression], Field(min_length=1)]
    kinks: list[KinkForm] = []
    modulo: list[ModuloForm] = []
    regimes: Annotated[dict[str, dict[str, DrawForm]], Field(min_length=1)]
    edge_cases: list[EdgeForm] = []
    references: list[str] = []


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a spec file, for editors."""
    schema = SpecForm.model_json_schema()
    # What a spec extends gives it all that it does not say itself.
    alone = {"if": {"not": {"required": ["extends"]}}, "then": {"required": schema.pop("required")}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "required": ["spec", "name"], **alone}


def read_form(source: Source) -> SpecForm | None:
    """The file's data as a form; None where it has not this form, and each fault is noted at its place."""
    if not isinstance(source.data, dict):
        if not source.faults:
            source.fault(source.place(()), "a spec is a mapping: spec: 1, name: …, title: …")
        return None
    try:
        return SpecForm.model_validate(source.data)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            _note(source, item["type"], item["loc"], item["msg"], source.data)
        return None


def _note(source: Source, kind: str, loc: Loc, message: str, data: Any) -> None:
    if kind == "extra_forbidden":
        known = _fields(loc[:-1])
        source.fault(source.key(loc), f"unknown key {loc[-1]!r}{close(str(loc[-1]), known)}; known: {', '.join(known)}")
    elif kind == "missing":
        where = source.key(loc[:-1]) if len(loc) > 1 else source.place(())
        source.fault(where, f"the key {loc[-1]!r} is missing")
    else:
        while loc and loc not in source.values:  # a union names its branches, too
            loc = loc[:-1]
        source.fault(source.place(loc), f"{_path(loc)}: {message.removeprefix('Value error, ')}")


def close(name: str, known: list[str] | tuple[str, ...]) -> str:
    """`; did you mean 'X'?` where one of `known` is close to `name`, else nothing."""
    found = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {found[0]!r}?" if found else ""


_MODELS: dict[Loc, type[_Part]] = {
    (): SpecForm,
    ("dims",): DimForm,
    ("inputs",): InputForm,
    ("params",): ParamForm,
    ("forms",): FormForm,
    ("kinks",): KinkForm,
    ("edge_cases",): EdgeForm,
}


def _fields(loc: Loc) -> list[str]:
    return list((ExpectForm if loc[2:] == ("expect",) else _MODELS[loc[:1]]).model_fields)


def _path(loc: Loc) -> str:
    return ".".join(map(str, loc)) or "the spec"
