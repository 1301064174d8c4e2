"""A criterion in words, for the terminal."""

from __future__ import annotations

from textwrap import wrap

from conformance.cases.invalid import invalid_checks
from conformance.spec.model import Input, Param, Spec


def describe(spec: Spec) -> str:
    """What a criterion takes, its formula and forms, its edge cases, what is asked of invalid input, and sources."""
    parts = [f"{spec.name}: {spec.title}", spec.summary, "", "Inputs"]
    parts += [f"  {_input(item)}" for item in spec.inputs.values()]
    parts += ["", "Parameters", *(f"  {_param(item)}" for item in spec.params.values())]
    parts += ["", "Formula", *(f"  {line}" for line in spec.formula.rstrip().splitlines())]
    for form in spec.forms:
        parts += ["", f"Form ({form.source})", *(f"  {line}" for line in form.text.rstrip().splitlines())]
    parts += ["", "Regimes: " + ", ".join(spec.regimes)]
    parts += ["", "Edge cases", *(f"  {e.id}{_level(e.level)}{': ' + e.why if e.why else ''}" for e in spec.edge_cases)]
    parts += ["", "Invalid input", *(f"  {line}" for line in wrap(", ".join(invalid_checks(spec)), 100))]
    parts += ["", "References", *(f"  {text}" for text in spec.references)]
    return "\n".join(parts)


def _input(item: Input) -> str:
    optional = f", optional ({item.default} where absent)" if item.default is not None else ""
    gradient = ", differentiable" if item.differentiable else ""
    return f"{item.name}: {item.dtype} [{', '.join(item.shape)}]{optional}{gradient}"


def _param(item: Param) -> str:
    choices = f" of {', '.join(item.choices)}" if item.choices else ""
    return f"{item.name}: {item.type}{choices}, default {item.default}"


def _level(level: str) -> str:
    return "" if level == "required" else f" ({level})"
