"""Where the time of a cell went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Seconds:
    """Where the time went: the reference, the framework's own calls (adapter included), the verdict; and how much of
    the framework's was for compiling, as far as the adapter says."""

    reference: float = 0.0
    framework: float = 0.0
    verdict: float = 0.0
    compiling: float = 0.0

    @contextmanager
    def spent(self, what: str) -> Iterator[None]:
        """Adds the time of a block to `what`."""
        start = time.perf_counter()
        yield
        setattr(self, what, getattr(self, what) + time.perf_counter() - start)
