"""Warnings are errors in the suite's own tests.

Not in pyproject.toml: that would make errors of a framework's warnings wherever the suite runs from a checkout.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)  # a mark of the test itself goes before
