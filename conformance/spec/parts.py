"""The declarations of a spec: dims, inputs and parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from conformance.errors import FormulaError
from conformance.formula import Builder, Node, names_in, parse_expression
from conformance.spec.constant import Number, holds, number
from conformance.spec.expressions import Name, Names, check_expression
from conformance.spec.model import BROADCASTING, Dim, Input, Param, Pattern
from conformance.spec.schema import DimForm, InputForm, ParamForm, SpecForm, close
from conformance.spec.source import Loc, Misfit, Source

MAX_RANK = 6
_MARKS: Mapping[str, Literal["fixed", "optional", "star"]] = {"": "fixed", "?": "optional", "*": "star"}
_DIM = re.compile(r"([A-Za-z][A-Za-z_]*)([?*]?)")


def read_dims(source: Source, forms: Mapping[str, DimForm]) -> dict[str, Dim]:
    """The dims by their names without marks."""
    found: dict[str, Dim] = {}
    for key, form in forms.items():
        parts = _DIM.fullmatch(key)
        if parts is None or parts[1] in found:
            why = "stands twice" if parts else "is not a dim: letters, then ? (may be absent) or * (any number of axes)"
            source.fault(source.key(("dims", key)), f"{key!r} {why}")
            continue
        try:
            found[parts[1]] = _dim(parts[1], parts[2], ("dims", key), form)
        except Misfit as error:
            source.note(error.loc, error)
            found[parts[1]] = Dim(parts[1], _MARKS[parts[2]])  # so that its name is known
    for name, dim in found.items():
        if dim.kind == "copy" and (dim.like not in found or found[dim.like].kind in {"copy", "star"}):
            source.fault(source.place(("dims", name, "like")), f"{dim.like!r} is no dim of one axis")
    return found


def _dim(name: str, mark: str, loc: Loc, form: DimForm) -> Dim:
    if (form.rank is None) == (mark == "*"):
        raise Misfit(loc, f"{name + mark!r} {'needs' if mark else 'takes no'} rank: [fewest, most]")
    fewest, most = form.rank or (1, 1)
    if not 0 <= fewest <= most <= MAX_RANK:
        raise Misfit((*loc, "rank"), f"a rank is [fewest, most], from 0 to {MAX_RANK}")
    smallest = 1 if form.min is None else form.min
    if form.max is not None and form.max < smallest:
        raise Misfit((*loc, "max"), f"max {form.max} is below min {smallest}")
    if form.like is not None:
        if mark or form.min is not None or form.max is not None:
            raise Misfit(loc, "a copy of a dim has neither marks nor sizes of its own")
        return Dim(name, "copy", like=form.like, about=form.about)
    return Dim(name, _MARKS[mark], smallest, form.max, (fewest, most), form.about)


def make_names(form: SpecForm, dims: Mapping[str, Dim]) -> Names:
    """What the expressions of this spec may name."""
    marked = {_marked(dim): dim.name for dim in dims.values()}
    shapes = {
        name: tuple(marked[item] for item in _shape_items(given.shape) if item in marked)
        for name, given in form.inputs.items()
    }
    known = {name: Name(shape) for name, shape in shapes.items()}
    known |= {name: Name((), item.type == "bool") for name, item in form.params.items() if item.type != "choice"}
    known |= {name: Name() for name in dims}
    choices = {name: tuple(item.choices or ()) for name, item in form.params.items() if item.type == "choice"}
    return Names(known, {name: dim.kind for name, dim in dims.items()}, choices)


def _marked(dim: Dim) -> str:
    return dim.name + {"optional": "?", "star": "*"}.get(dim.kind, "")


def _shape_items(text: str) -> list[str]:
    return [item.strip() for item in text.strip().strip("[]").split(",") if item.strip()]


def check_shape(source: Source, loc: Loc, text: str, dims: Mapping[str, Dim]) -> None:
    """Note what is wrong with a shape such as `[N?, C, D*]`."""
    if not (text.startswith("[") and text.endswith("]")):
        source.fault(source.place(loc), 'a shape is dims in brackets, quoted: "[N?, C, D*]"')
        return
    known = [_marked(dim) for dim in dims.values()]
    items = _shape_items(text)
    for item in items:
        if item not in known:
            wrong = f"unknown dim {item!r} in a shape{close(item, known)}; known: {', '.join(known)}"
            source.note(loc, FormulaError(wrong, 1, text.index(item)))
        elif items.count(item) > 1:
            source.note(loc, FormulaError(f"{item!r} stands twice in a shape", 1, text.index(item)))


def read_inputs(
    source: Source, form: SpecForm, names: Names, dims: Mapping[str, Dim], builder: Builder
) -> dict[str, Input]:
    """The inputs; what is wrong with one is noted, and it is read as far as it goes."""
    found: dict[str, Input] = {}
    for name, item in form.inputs.items():
        loc: Loc = ("inputs", name)
        check_shape(source, (*loc, "shape"), item.shape, dims)
        if name in form.params or name in dims:
            source.fault(source.key(loc), f"{name!r} is a parameter or a dim, too")
        for flag in ("differentiable", "special"):
            if item.dtype == "int" and getattr(item, flag):
                source.fault(source.key((*loc, flag)), f"an input of integers is not {flag}")
        domain, used = _domain(source, loc, item, names, builder), _used(source, loc, item, names, builder)
        default, special = _input_numbers(source, loc, item)
        if default is not None:
            _check_member(source, (*loc, "default"), domain, {**_defaults(form), name: default})
        found[name] = Input(
            name,
            names.known[name].dims,
            item.dtype,
            domain,
            item.must_raise,
            default,
            item.differentiable,
            _patterns(source, loc, item),
            special,
            item.about,
            used,
        )
    return found


def _patterns(source: Source, loc: Loc, item: InputForm) -> tuple[Pattern, ...]:
    if isinstance(item.broadcast, bool):
        return BROADCASTING if item.broadcast else ()
    found = tuple(dict.fromkeys(item.broadcast))
    if found[0] != "full" or len(found) < len(item.broadcast):
        source.fault(source.place((*loc, "broadcast")), "patterns begin with full, and each stands once")
    if {"dropped", "without_last"} <= set(found):
        source.fault(source.place((*loc, "broadcast")), "an array lacks leading axes or the last, not either")
    return found


def _input_numbers(source: Source, loc: Loc, item: InputForm) -> tuple[Number | None, tuple[float, ...]]:
    default: Number | None = None
    if item.default is not None:
        default = read_value(source, (*loc, "default"), "integer" if item.dtype == "int" else "real", item.default)
    special = [read_value(source, (*loc, "special", k), "real", text) for k, text in enumerate(item.special)]
    return default, tuple(float(value) for value in special if value is not None)


def _domain(source: Source, loc: Loc, item: InputForm | ParamForm, names: Names, builder: Builder) -> Node | None:
    if item.domain is None:
        if item.must_raise:
            source.fault(source.key((*loc, "must_raise")), "must_raise needs a domain to be out of")
        return None
    good = check_expression(source, (*loc, "domain"), item.domain, names, condition=True)
    return parse_expression(item.domain, builder) if good else None


def _used(source: Source, loc: Loc, item: InputForm, names: Names, builder: Builder) -> Node | None:
    if item.used is None:
        return None
    if item.dtype == "float" or item.domain is None:
        source.fault(source.key((*loc, "used")), "used is of integers with a domain, which holds there only")
    good = check_expression(source, (*loc, "used"), item.used, names, condition=True)
    return parse_expression(item.used, builder) if good else None


def read_params(
    source: Source, form: SpecForm, names: Names, dims: Mapping[str, Dim], builder: Builder
) -> dict[str, Param]:
    """The parameters; what is wrong with one is noted, and it is read as far as it goes."""
    found: dict[str, Param] = {}
    for name, item in form.params.items():
        loc: Loc = ("params", name)
        if name in dims:
            source.fault(source.key(loc), f"{name!r} is a dim, too")
        choices = tuple(item.choices or ())
        if (item.type == "choice") != bool(choices):
            source.fault(source.key(loc), f"{name!r} {'needs' if not choices else 'takes no'} choices")
        if item.type in {"bool", "choice"} and (item.domain or item.range):
            source.fault(source.key(loc), f"a {item.type} has no domain and no range")
        domain = _domain(source, loc, item, names, builder)
        default = read_value(source, (*loc, "default"), item.type, item.default, choices)
        levels = _levels(source, loc, item, default)
        bounds = [read_value(source, (*loc, "range", k), "real", bound) for k, bound in enumerate(item.range or ())]
        low_high = (float(bounds[0]), float(bounds[1])) if len(bounds) == 2 and None not in bounds else None
        if low_high and low_high[0] > low_high[1]:
            source.fault(source.place((*loc, "range")), "the range is empty")
        checked = [("default", default), ("levels", levels if item.levels else None), ("range", low_high)]
        for key, values in checked:
            for value in values if isinstance(values, tuple) else (values,):
                _check_member(source, (*loc, key), domain, {**_defaults(form), name: value})
        found[name] = Param(name, item.type, default, choices, domain, item.must_raise, levels, low_high, item.about)
    return found


def _levels(source: Source, loc: Loc, item: ParamForm, default: Any) -> tuple[Any, ...]:
    choices = tuple(item.choices or ())
    if item.levels is not None:
        values = (
            read_value(source, (*loc, "levels", k), item.type, value, choices) for k, value in enumerate(item.levels)
        )
        return tuple(value for value in values if value is not None)
    if item.type == "bool":
        return (default, not default)
    return choices if item.type == "choice" else (default,)


def read_value(source: Source, loc: Loc, kind: str, value: Any, choices: tuple[str, ...] = ()) -> Any:
    """The value of a parameter or number of this kind; None, and the fault noted, where it is none."""
    try:
        if kind == "bool" and not isinstance(value, bool):
            raise Misfit(loc, "true or false is due")
        if kind == "choice" and choices and value not in choices:
            hint = close(str(value), choices)
            raise Misfit(loc, f"{value!r} is none of the choices{hint}; there are: {', '.join(choices)}")
        if kind == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
            raise Misfit(loc, "an integer is due")
        return number(value) if kind in {"real", "integer"} else value
    except FormulaError as error:
        source.note(loc, error)
        return None


def _defaults(form: SpecForm) -> dict[str, Any]:
    values = {name: item.default for name, item in form.params.items()}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def _check_member(source: Source, loc: Loc, domain: Node | None, values: Mapping[str, Any]) -> None:
    if is_outside(domain, values):
        source.fault(source.place(loc), "outside the domain stated")


def is_outside(domain: Node | None, values: Mapping[str, Any]) -> bool:
    """Whether these values are certainly not in the domain; one that needs other values is not judged."""
    if domain is None or not names_in(domain) <= values.keys() or any(value is None for value in values.values()):
        return False
    try:
        return not holds(domain, values)
    except FormulaError:
        return False
