"""Warnings are errors in the suite's own tests.

Not in pyproject.toml: that would make errors of a framework's warnings wherever the suite runs from a checkout.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# A shell that starts the tests in the background has them ignore Ctrl-C, and all that they start; some tests press it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)  # a mark of the test itself goes before
