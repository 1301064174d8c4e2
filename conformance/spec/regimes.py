"""The regimes of a spec: where its cases are drawn."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.dtypes import DTYPES
from conformance.formula import names_in
from conformance.spec.draws import bounds, near_names, read_draws
from conformance.spec.model import Draw, Input, Param, Regime, Values
from conformance.spec.parts import is_outside
from conformance.spec.schema import SpecForm, close
from conformance.spec.source import Loc, Source

Draws = Mapping[str, Mapping[str, Draw]]


def read_regimes(
    source: Source, form: SpecForm, inputs: Mapping[str, Input], params: Mapping[str, Param]
) -> dict[str, Regime]:
    """The regimes; the first draws every floating input, and the others what they name."""
    found: dict[str, Regime] = {}
    for name, draws in form.regimes.items():
        own = {key: value for key, value in draws.items() if key != "why"}
        if not isinstance(draws.get("why", ""), str):
            source.fault(source.place(("regimes", name, "why")), "why is a text")
        read = {key: _read(source, ("regimes", name, key), key, value, params, inputs) for key, value in own.items()}
        found[name] = Regime(name, {key: value for key, value in read.items() if value}, str(draws.get("why", "")))
    first = next(iter(form.regimes))
    for name, item in inputs.items():
        if item.dtype == "float" and name not in form.regimes[first]:
            source.fault(
                source.key(("regimes", first)), f"the first regime draws every floating input; {name!r} is missing"
            )
    for regime in found.values():
        _check(source, regime, found[first].draws, inputs, params)
    return found


def _read(
    source: Source, loc: Loc, key: str, value: Any, params: Mapping[str, Param], inputs: Mapping[str, Input]
) -> dict[str, Draw]:
    if key in params and params[key].type == "bool" and isinstance(value, bool):
        return dict.fromkeys(DTYPES, Values((float(value),)))
    if key not in inputs and (key not in params or params[key].type != "real"):
        drawn = [*inputs, *(name for name, item in params.items() if item.type in {"real", "bool"})]
        what = "is drawn as true or false, or not at all" if key in params else "is unknown"
        source.fault(source.key(loc), f"{key!r} {what}{close(key, drawn)}; a regime draws: {', '.join(drawn)}")
        return {}
    return read_draws(source, loc, value)


def _check(
    source: Source, regime: Regime, first: Draws, inputs: Mapping[str, Input], params: Mapping[str, Param]
) -> None:
    for name, per_dtype in regime.draws.items():
        loc: Loc = ("regimes", regime.name, name)
        for draw in dict.fromkeys(per_dtype.values()):
            for other in sorted(near_names(draw)):
                _check_near(source, loc, other, {**first, **regime.draws}, inputs)
            domain = (inputs[name] if name in inputs else params[name]).domain
            for point in bounds(draw):
                if domain and any(
                    is_outside(domain, {**fixed, name: point}) for fixed in _settings(regime, domain, params)
                ):
                    source.fault(source.place(loc), f"{point!r} is outside the domain of {name!r}")


def _check_near(source: Source, loc: Loc, other: str, draws: Draws, inputs: Mapping[str, Input]) -> None:
    name = str(loc[-1])
    if other not in inputs or other == name or inputs[other].dtype != "float":
        wrong = f"near names another floating input, not {other!r}{close(other, tuple(inputs))}"
    elif name not in inputs or inputs[other].shape != inputs[name].shape:
        wrong = f"{name!r} cannot be drawn near {other!r}: their shapes differ"
    elif any(near_names(draw) for draw in draws.get(other, {}).values()):
        wrong = f"{other!r} is itself drawn near another input"
    else:
        return
    source.fault(source.place(loc), wrong)


def _settings(regime: Regime, domain: Any, params: Mapping[str, Param]) -> Iterator[dict[str, Any]]:
    """The parameters' values that a draw of this regime may meet: defaults, and either value of a bool not fixed."""
    used = [param for name, param in params.items() if name in names_in(domain)]
    options = []
    for param in used:
        fixed = regime.draws.get(param.name, {}).get("float64")
        if param.type == "bool":
            options.append([bool(fixed.values[0])] if isinstance(fixed, Values) else list(param.levels))
        else:
            options.append([param.default])
    for values in itertools.product(*options):
        yield {param.name: value for param, value in zip(used, values, strict=True)}
