"""The suite: one test for each cell of the plan (criterion, framework, device, mode, dtype)."""

from __future__ import annotations

import pytest

from conformance.record.model import Cell
from conformance.record.plain import dumps
from conformance.suite.listing import CELLS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every cell that is to be judged: under xdist each worker must collect the same, in the same order."""
    cells = metafunc.config.stash.get(CELLS, [])
    metafunc.parametrize("cell", cells, ids=[cell.id for cell in cells])


def test_cell(cell: Cell, request: pytest.FixtureRequest) -> None:
    """A cell agrees, or what is wrong with it is known."""
    from conformance.suite.plugin import PROPERTY, SUITE  # what judges takes long to import; cells are listed without

    suite = request.config.stash[SUITE]
    result = suite.judge(cell)
    # As text: what xdist sends from a worker holds no integer beyond 32 bits, and a label may be the largest of 64.
    request.node.user_properties.append((PROPERTY, dumps(result)))
    reasons = suite.failing(result)
    if reasons:
        pytest.fail("\n\n".join(reasons), pytrace=False)
