"""Every error a user can cause, in one tree.

    ConformanceError           one clear sentence: the fault and the remedy; ends a run with exit code 4
    ├── UsageError             a wrong option or argument: unknown framework, criterion, dtype, device, …
    ├── SpecError              a spec that cannot be read: every fault with file, line and column
    ├── FormulaError           one fault in an expression, with its place in the text
    ├── FileError              an unreadable or wrong known-differences, results or baseline file
    └── AdapterError           an adapter that cannot be loaded

    ReferenceFault             the suite's own: a number of the reference lies outside its bound. No verdict survives it

`Unsupported`, which an adapter raises, is an outcome and not an error: it lives in `conformance.adapter`.
"""

from __future__ import annotations

from dataclasses import dataclass


class ConformanceError(Exception):
    """Base of every error whose text is meant for the person at the terminal."""


class UsageError(ConformanceError):
    """A wrong option or argument."""


class FileError(ConformanceError):
    """A file given by the user that cannot be read, or that says something wrong."""


class AdapterError(ConformanceError):
    """An adapter that cannot be found, imported or constructed."""


class ReferenceFault(Exception):
    """The reference contradicts itself. Never a framework's fault nor the user's: whatever was being judged is not."""


class FormulaError(ConformanceError):
    """One fault in an expression; `line` (from 1) and `column` (from 0) are within its text."""

    def __init__(self, message: str, line: int = 1, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True)
class Fault:
    """One fault of a spec file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class SpecError(ConformanceError):
    """Every fault of one or more spec files, a line each."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults
