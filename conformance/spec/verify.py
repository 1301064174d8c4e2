"""Whether the edge cases of a spec say what its formula says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from conformance.errors import Fault
from conformance.spec.model import EdgeCase, Spec
from conformance.spec.source import Loc, Source, read_source

Evaluate = Callable[..., Any]


def check_edge_cases(spec: Spec, evaluate: Evaluate) -> list[Fault]:
    """A fault for each required expectation that the formula does not meet within 1 ulp of float64.

    Args:
        spec: the spec.
        evaluate: `conformance.evaluate`; this room looks at no reference of its own accord.
    """
    wrong = [(k, *item) for k, case in enumerate(spec.edge_cases) for item in _differences(spec, case, evaluate)]
    if not wrong:
        return []
    source = read_source(Path(spec.path))
    return [_fault(source, spec.edge_cases[k].id, loc, message) for k, loc, message in wrong]


def _differences(spec: Spec, case: EdgeCase, evaluate: Evaluate) -> Iterator[tuple[Loc, str]]:
    if case.error is not None or case.level != "required":
        return
    found = evaluate(spec, case.inputs, case.parameters, wrt=tuple(case.gradient))
    outputs: list[tuple[Loc, Any, Any]] = [(("value",), case.value, found.value)]
    outputs += [(("gradient", name), item, found.gradients[name]) for name, item in case.gradient.items()]
    for loc, expected, actual in outputs:
        want, have = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
        if want.shape != have.shape or not _within_an_ulp(want, have):
            yield loc, f"the formula gives {have.tolist()!r}, not {want.tolist()!r}"


def _within_an_ulp(want: Any, have: Any) -> bool:
    with np.errstate(all="ignore"):
        near = np.abs(want - have) <= np.abs(np.spacing(want))
    return bool(np.all((want == have) | (np.isnan(want) & np.isnan(have)) | near))


def _fault(source: Source, name: str, loc: Loc, message: str) -> Fault:
    items = source.data.get("edge_cases", []) if isinstance(source.data, dict) else []
    index = next((k for k, item in enumerate(items) if item.get("id") == name), None)
    place = source.place(() if index is None else ("edge_cases", index, "expect", *loc))
    return Fault(place.file, place.line, place.column, f"edge case {name!r}: {'.'.join(map(str, loc))}: {message}")
