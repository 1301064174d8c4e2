"""The mathematics of a spec: its formula, its forms, its reductions and its kinks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.errors import FormulaError
from conformance.formula import Builder, Node, parse_expression, parse_program, statements
from conformance.spec.expressions import Names, check_expression
from conformance.spec.model import Form, Kink, Modulo
from conformance.spec.schema import FormForm, KinkForm, ModuloForm, SpecForm, close
from conformance.spec.source import Loc, Misfit, Source


def read_reduce(
    source: Source, loc: Loc, texts: Mapping[str, str], names: Names, scope: Mapping[str, Node], builder: Builder
) -> dict[str, Node]:
    """The reductions' expressions, over the names that the formula assigns (`scope`)."""
    found: dict[str, Node] = {}
    local = names.plus(scope)
    for name, text in texts.items():
        if check_expression(source, (*loc, name), text, local):
            found[name] = parse_expression(text, builder, scope)
            left = local.dims_of(parse_expression(text))
            if name != "none" and left:
                source.fault(
                    source.place((*loc, name)), f"{name!r} leaves the axis {left[0]!r}: it reduces to a number"
                )
    return found


def check_reductions(source: Source, form: SpecForm) -> None:
    """Note where the choices of `reduction` and the keys of `reduce` are not the same."""
    param = form.params.get("reduction")
    if param is None:
        if list(form.reduce) != ["none"]:
            source.fault(source.key(("reduce",)), "without a parameter 'reduction', there is one reduction: 'none'")
        return
    loc: Loc = ("params", "reduction", "choices")
    for name in form.reduce:
        if name not in (param.choices or ()):
            source.fault(source.key(("reduce", name)), f"{name!r} is no choice of the parameter 'reduction'")
    for k, name in enumerate(param.choices or ()):
        if name not in form.reduce:
            source.fault(source.place((*loc, k)), f"reduction {name!r} has no expression under 'reduce'")


def read_forms(
    source: Source, form: SpecForm, names: Names, scope: Mapping[str, Node], builder: Builder
) -> tuple[Form, ...]:
    """The forms; one with a fault is noted and left out."""
    found = []
    for k, item in enumerate(form.forms):
        try:
            found.append(_form(source, ("forms", k), item, form, names, scope, builder))
        except FormulaError as error:
            source.note(("forms", k), error)
    return tuple(found)


def _form(
    source: Source, loc: Loc, item: FormForm, form: SpecForm, names: Names, scope: Mapping[str, Node], builder: Builder
) -> Form:
    replace = _statements(source, (*loc, "where"), item.where)
    local = names.plus(scope)
    before = len(source.faults)
    for name, (place, text, error) in replace.items():
        if name not in scope:
            hint = close(name, tuple(scope))
            raise Misfit(place, f"the formula does not assign {name!r}{hint}; it assigns: {', '.join(scope)}")
        _check_part(source, place, text, error, local)
    for name in item.reduce:
        if name not in form.reduce:
            raise Misfit(
                (*loc, "reduce", name), f"{name!r} is no reduction; there are: {', '.join(form.reduce)}", key=True
            )
    own = parse_program(form.formula, builder, {name: text for name, (_, text, _) in replace.items()})
    stray = [fault for fault in names.faults(own.values()) if "unknown name" in str(fault)]
    if stray and len(source.faults) == before:
        raise Misfit((*loc, "where"), f"{stray[0]} (a form may use what the formula assigns before)")
    reduce = {
        name: read_reduce(source, (*loc, "reduce"), {name: text}, names, own, builder).get(name, own["loss"])
        if name in item.reduce
        else parse_expression(text, builder, own)
        for name, text in {**form.reduce, **item.reduce}.items()
    }
    where = item.where if isinstance(item.where, str) else "\n".join(item.where)
    return Form(own["loss"], reduce, item.source, where.strip(), item.only)


def _check_part(source: Source, loc: Loc, text: str, shift: FormulaError, names: Names) -> None:
    """Note the faults of one statement's expression, which begins at `shift` within the text at `loc`."""
    for fault in names.faults([parse_expression(text)]):
        column = fault.column + (shift.column if fault.line == 1 else 0)
        source.note(loc, FormulaError(str(fault), fault.line + shift.line - 1, column))


def _statements(source: Source, loc: Loc, where: str | list[str]) -> dict[str, tuple[Loc, str, FormulaError]]:
    """For each name that is replaced: its statement's loc, its expression, and where in the text that begins."""
    found: dict[str, tuple[Loc, str, FormulaError]] = {}
    for place, text in (
        [(loc, where)] if isinstance(where, str) else [((*loc, k), text) for k, text in enumerate(where)]
    ):
        try:
            for name, expression, line, column in statements(text):
                found[name] = place, expression, FormulaError("", line, column)
        except FormulaError as error:
            source.note(place, error)
    if not found and not source.faults:
        raise Misfit(loc, "a form says at least one statement: name = expression")
    return found


def read_modulo(
    source: Source,
    forms: list[ModuloForm],
    names: Names,
    scope: Mapping[str, Node],
    builder: Builder,
    dims: Sequence[str],
) -> tuple[Modulo, ...]:
    """What gradients are defined up to; an entry with a fault is noted and left out."""
    found = []
    for k, item in enumerate(forms):
        loc: Loc = ("modulo", k)
        if item.over not in dims:
            source.fault(source.place((*loc, "over")), f"{item.over!r} is no dim; there are: {', '.join(dims)}")
        elif check_expression(source, (*loc, "direction"), item.direction, names.plus(scope)):
            found.append(Modulo(item.of, parse_expression(item.direction, builder, scope), item.over, item.why))
    return tuple(found)


def read_kinks(
    source: Source,
    forms: list[KinkForm],
    names: Names,
    scope: Mapping[str, Node],
    builder: Builder,
    differentiable: Sequence[str],
) -> tuple[Kink, ...]:
    """The kinks; one with a fault is noted and left out."""
    found: dict[str, Kink] = {}
    local = names.plus(scope)
    for k, item in enumerate(forms):
        loc: Loc = ("kinks", k)
        kink_id = item.id or item.at
        if kink_id in found:
            source.fault(source.key(loc), f"kink {kink_id!r} stands twice")
        good = check_expression(source, (*loc, "at"), item.at, local, condition=True)
        for position, name in enumerate(item.of):
            if name not in differentiable:
                there = f"{name!r} is no differentiable input; there are: {', '.join(differentiable)}"
                source.fault(source.place((*loc, "of", position)), there)
        if good:
            at = parse_expression(item.at, builder, scope)
            found[kink_id] = Kink(kink_id, at, item.order, item.subgradient, tuple(item.of), item.why)
    return tuple(found.values())
