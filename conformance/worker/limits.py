"""What a worker may use, and how often it may die: every such number stands here."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from conformance.errors import UsageError

PREFIX = "CONFORMANCE_WORKER_"
MOST_DEATHS = 10  # of workers in one cell; the cases after that are not run
DEATHS_TO_SHRINK = 5  # spent on making one witness smaller, where each costs a start or a wait


@dataclass(frozen=True)
class Limits:
    """Seconds, and GiB of memory. Each can be given as an environment variable: `CONFORMANCE_WORKER_CALL=60`."""

    start: float = 120.0  # until it says hello: the framework is imported then
    first_call: float = 60.0  # of each worker: frameworks load and compile
    call: float = 20.0
    memory: float = 4.0  # GiB, of it and all its children, beyond what it held when it said hello
    starts: float = 3  # that may fail in a row

    @staticmethod
    def given() -> Limits:
        """The limits, with what the environment says of them.

        Raises:
            UsageError: a limit is no number above 0.
        """
        found = {item.name: os.environ.get(PREFIX + item.name.upper()) for item in fields(Limits)}
        return Limits(**{name: _number(name, text) for name, text in found.items() if text})


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not number > 0:
        raise UsageError(f"{PREFIX}{name.upper()}: a number above 0 is due, and it is {text!r}")
    return number
