"""The suite: one test for each cell of the plan (criterion, framework, device, mode, dtype)."""

from __future__ import annotations

import pytest

from conformance.errors import ReferenceFault
from conformance.record.model import Cell
from conformance.suite.plugin import SUITE


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every cell of the plan, in the plan's order: under xdist each worker must collect the same."""
    suite = metafunc.config.stash.get(SUITE, None)
    cells = suite.plan.cells if suite is not None else []
    metafunc.parametrize("cell", cells, ids=[cell.id for cell in cells])


def test_cell(cell: Cell, request: pytest.FixtureRequest) -> None:
    """A cell agrees, or what is wrong with it is known."""
    suite = request.config.stash[SUITE]
    try:
        result = suite.judge(cell)
    except ReferenceFault as fault:
        # No verdict at all: the cell has not been judged, and the run cannot pass.
        request.node.user_properties.append(("conformance", {"cell": cell.id, "fault": str(fault)}))
        pytest.fail(str(fault), pytrace=False)
    request.node.user_properties.append(("conformance", result.to_json()))
    reasons = suite.failing(result)
    if reasons:
        pytest.fail("\n\n".join(reasons), pytrace=False)
