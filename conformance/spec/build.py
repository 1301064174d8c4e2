"""From the YAML form to the spec: everything that one key cannot say about another is checked here."""

from __future__ import annotations

import dataclasses

from conformance.formula import Builder, Node, parse_program
from conformance.spec.edges import read_edge_cases
from conformance.spec.expressions import check_program
from conformance.spec.formulas import check_reductions, read_forms, read_kinks, read_modulo, read_reduce
from conformance.spec.model import Spec
from conformance.spec.parts import make_names, read_dims, read_inputs, read_params
from conformance.spec.regimes import read_regimes
from conformance.spec.schema import SpecForm
from conformance.spec.source import Source


def build(source: Source, form: SpecForm) -> Spec | None:
    """The spec that `form` says; None where `source` has faults now."""
    builder = Builder()
    dims = read_dims(source, form.dims)
    names = make_names(form, dims)
    params = read_params(source, form, names, dims, builder)
    inputs = read_inputs(source, form, names, dims, builder)
    check_reductions(source, form)
    regimes = read_regimes(source, form, inputs, params)
    before = len(source.faults)
    scope: dict[str, Node] = {}
    if check_program(source, ("formula",), form.formula, names):
        scope = parse_program(form.formula, builder)
    reduce = read_reduce(source, ("reduce",), form.reduce, names, scope, builder) if scope else {}
    is_sound = len(source.faults) == before
    differentiable = [name for name, item in inputs.items() if item.differentiable]
    kinks = read_kinks(source, form.kinks, names, scope, builder, differentiable) if scope else ()
    modulo = read_modulo(source, form.modulo, names, scope, builder, list(dims)) if scope else ()
    forms = read_forms(source, form, names, scope, builder) if scope else ()
    spec = Spec(
        name=form.name,
        title=form.title,
        summary=form.summary,
        dims=dims,
        inputs=inputs,
        params=params,
        loss=scope.get("loss", Node("const", value=0)),
        reduce=reduce if is_sound else {},
        formula=form.formula,
        reductions=form.reduce,
        forms=forms,
        kinks=kinks,
        modulo=modulo,
        regimes=regimes,
        edge_cases=(),
        references=tuple(form.references),
        path=source.file,
    )
    edge_cases = read_edge_cases(source, spec, form.edge_cases)
    return None if source.faults else dataclasses.replace(spec, edge_cases=edge_cases)
