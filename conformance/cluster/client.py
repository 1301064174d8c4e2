"""A run's side of a cluster: frameworks as its nodes describe them, and cells that are judged there."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.adapter import Adapter
from conformance.cluster.driver import serve
from conformance.cluster.task import Job
from conformance.errors import ConformanceError, FileError, UsageError
from conformance.record.model import Cell
from conformance.spec import load_specs, specs_folder
from conformance.suite.cost import longest_first
from conformance.suite.options import Options
from conformance.suite.plan import Plan

ANSWER = 120.0  # seconds until a head node has to have taken us


class ClusterLost(Exception):
    """The cluster went away in the midst of a run."""


class Cluster:
    """A Ray cluster, spoken to through a process of its own (`driver`).

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """

    def __init__(self, options: Options) -> None:
        if importlib.util.find_spec("ray") is None:
            raise UsageError("--cluster needs Ray: pip install 'loss-conformance[cluster]'")
        self.options = options
        environments = read_environments(options.cluster_env, options.frameworks)
        self._specs = load_specs([specs_folder(), *options.specs])
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, options, environments), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(ANSWER):
            self._process.kill()
            raise UsageError(f"--cluster: {options.cluster} does not answer as a Ray head node in {ANSWER:g} s")
        self.description = self._received()

    def adapter(self, option: str, specs: Sequence[Path] = ()) -> Adapter:
        """The framework `option`, as a node of the cluster describes it; the run's specs go there in any case."""
        self._pipe.send(("describe", option, self._specs))
        adapter: Adapter = self._received()
        return adapter

    def judged(self, plan: Plan, cells: Sequence[Cell]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The id of each cell with what it came to, as they end: each once.

        Raises:
            ClusterLost: it went away; what was given until then stands.
        """
        jobs = {name: self._job(plan, name) for name in plan.frameworks}
        self._pipe.send(("judge", jobs, longest_first(cells)))
        try:
            for _ in cells:
                cell, text = self._pipe.recv()
                yield cell, json.loads(text)
        except (EOFError, OSError):
            raise ClusterLost(f"the cluster {self.options.cluster} went away") from None

    def close(self) -> None:
        """Leaves the cluster; a local one ends."""
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()

    def _job(self, plan: Plan, name: str) -> Job:
        item, options = plan.frameworks[name], plan.options
        versions = item.environment.versions
        return Job("", name, item.option, versions, options, self._specs, item.known, options.cell_memory)

    def _received(self) -> Any:
        try:
            said = self._pipe.recv()
        except (EOFError, OSError):
            raise UsageError(f"--cluster: {self.options.cluster} took us, and went away") from None
        if isinstance(said, ConformanceError):
            raise said
        return said


def read_environments(path: Path | None, frameworks: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """The Ray `runtime_env` of each --framework, from a JSON file.

    Raises:
        FileError: it is no such file, or speaks of a framework that is not judged.
    """
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"--cluster-env: {path} cannot be read as JSON ({error})") from None
    if not isinstance(found, dict) or not all(isinstance(item, dict) for item in found.values()):
        raise FileError(f"--cluster-env: {path} does not map each --framework to a runtime_env")
    if strangers := sorted(found.keys() - set(frameworks)):
        raise FileError(f"--cluster-env: {path} speaks of {', '.join(strangers)}, and no such --framework is judged")
    return found
