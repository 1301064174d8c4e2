"""Where calls that may crash go: to a worker of this interpreter, or in process where there can be none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from conformance.adapter.protocol import Adapter, Environment
from conformance.errors import AdapterError
from conformance.worker.limits import Limits


class Isolated:
    """An adapter of a run once more, in a worker that starts when it is first asked for and serves the whole run.

    `option` is what made the adapter, `environment` what it said then.
    """

    def __init__(self, adapter: Adapter, environment: Environment, option: str, specs: Sequence[Path] = ()) -> None:
        self._own, self._environment, self._option, self._specs = adapter, environment, option, specs
        self._limits = Limits.given()
        self.warning = ""  # why it is in process after all

    @cached_property
    def adapter(self) -> Adapter:
        """The adapter in a worker; the one in process where no worker can have it."""
        if "@" in self._option:
            return self._own  # it is in one already
        try:
            from conformance.worker.adapter import WorkerAdapter

            worker = WorkerAdapter(self._option, specs=self._specs, limits=self._limits)
            there = worker.name, dict(worker.environment().versions)
            if there == (self._own.name, dict(self._environment.versions)):
                return worker
            worker.close()
            why = f"it is {there} there"
        except (AdapterError, ModuleNotFoundError) as error:  # no fcntl, say
            why = str(error)
        self.warning = f"inputs out of their domain ran in process, where a crash ends the run: no worker has it: {why}"
        return self._own

    def close(self) -> None:
        """Ends the worker, if there is one; and the adapter's own, if that is where it runs."""
        made = self.__dict__.pop("adapter", self._own)
        if made is not self._own or "@" in self._option:
            made.close()
