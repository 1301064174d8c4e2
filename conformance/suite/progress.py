"""One line at the terminal that says how far a run is. Nowhere else: not in a pipe, not in CI, not under -q or -v."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from conformance.record.model import Cell
from conformance.report.words import one_line, plural

ERASE = "\r\x1b[K"
OFTEN = 0.2  # seconds between two lines


@dataclass
class Progress:
    """How far a run of `total` cells is; drawn on `out`, if there is one."""

    total: int
    out: TextIO | None = None
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    failing: int = 0
    cases: int = 0  # of the cells that are done
    running: int = 0  # cases of the cell that is being judged
    where: str = ""
    started: float = field(init=False)
    drawn: float = -OFTEN

    def __post_init__(self) -> None:
        self.started = self.clock()

    def begins(self, cell: Cell) -> None:
        """A cell is being judged."""
        self.where, self.running = f"{cell.criterion} {cell.dtype}", 0
        self.draw()

    def judged(self, cases: int) -> None:
        """Some cases of it were."""
        self.running += cases
        if self.clock() - self.drawn >= OFTEN:
            self.draw()

    def ends(self, cell_id: str, cases: int, failing: int) -> None:
        """A cell was judged, perhaps by another process."""
        criterion, *_, dtype = cell_id.split("/")
        self.where, self.running = f"{criterion} {dtype}", 0
        self.done, self.cases, self.failing = self.done + 1, self.cases + cases, self.failing + failing
        self.draw()

    def line(self) -> str:
        """`cross_entropy float32: 12 of 84 cells, 2,310 cases/s, 0 checks failing, 1:20 left`."""
        spent = self.clock() - self.started
        rate = (self.cases + self.running) / spent if spent > 0 else 0.0
        facts = [f"{self.done} of {plural(self.total, 'cell')}", f"{rate:,.0f} cases/s"]
        facts.append(f"{plural(self.failing, 'check')} failing")
        if self.done:
            left = round(spent / self.done * (self.total - self.done))
            facts.append(f"{left // 60}:{left % 60:02} left")
        return f"{self.where}: {', '.join(facts)}"

    def draw(self) -> None:
        """Draw the line anew."""
        if self.out is not None:
            self.drawn = self.clock()
            self.out.write(ERASE + one_line(self.line(), shutil.get_terminal_size().columns - 1))
            self.out.flush()

    def close(self) -> None:
        """Take the line away."""
        if self.out is not None:
            self.out.write(ERASE)
            self.out.close()
            self.out = None


def is_wanted(verbose: int, environ: Mapping[str, str]) -> bool:
    """Whether somebody looks at a terminal that can take a line back."""
    plain = environ.get("TERM", "dumb") == "dumb" or bool(environ.get("CI"))
    return verbose == 0 and not plain and sys.stderr.isatty()


def terminal() -> TextIO:
    """The terminal, also while pytest captures what tests write."""
    return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="backslashreplace")
