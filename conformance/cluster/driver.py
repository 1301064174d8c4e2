"""The process that speaks with Ray. When the cluster goes away, Ray ends the process that it runs in; so it has one of
its own, and the run itself sees a pipe that is closed, no more.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

from conformance.cluster.task import GIB, Job, describe, judge
from conformance.errors import AdapterError, ConformanceError, UsageError
from conformance.record.model import Cell
from conformance.record.plain import dumps
from conformance.spec.model import Spec
from conformance.suite.options import Options
from conformance.suite.recorder import suite_digest

TRIES = 3  # of a cell whose process dies
LOOKS = 10  # processes that may end before they begin with it
PATIENCE = 900.0  # seconds in which a cluster has to find room, or to build an environment
CONNECT = 5.0  # seconds
REFRESH = 10.0  # seconds after which a cluster may have grown or shrunk
GPU = 0.25  # of one, for a cell: most of its time goes into the reference, on the processor (docs/scale.md)


@dataclass
class Task:
    """A cell on its way."""

    cell: Cell
    began: float | None = None  # seconds
    tries: int = 0
    looks: int = 0


@dataclass
class Driver:
    """One connection to a Ray cluster."""

    options: Options
    environments: Mapping[str, Mapping[str, Any]]
    ray: Any = field(init=False)
    _cores: float = 0
    _counted: float = -math.inf  # when, in seconds

    def __post_init__(self) -> None:
        self.ray = connected(self.options)

    def description(self) -> str:
        """How large the cluster is."""
        there = self.ray.cluster_resources()
        sizes = ", ".join(f"{there.get(name, 0):g} {name}s" for name in ("CPU", "GPU"))
        nodes = sum(node["Alive"] for node in self.ray.nodes())
        return f"{self.options.cluster}, {nodes} node{'s' * (nodes != 1)}, {sizes} (Ray {self.ray.__version__})"

    def described(self, option: str, specs: Mapping[str, Spec]) -> Any:
        """What the framework `option` is on the cluster.

        Raises:
            ConformanceError: it is not there, or there is no room to ask.
        """
        on_gpu = "cuda" in self.options.devices and bool(self.ray.cluster_resources().get("GPU"))
        task = self.ray.remote(describe).options(**self.asks(option, on_gpu), max_retries=TRIES)
        try:
            ref = task.remote(option, self.options, specs, suite_digest())
            return self.ray.get(ref, timeout=PATIENCE)
        except self.ray.exceptions.GetTimeoutError:
            raise UsageError(f"--cluster: there was no room to ask for {option!r} in {PATIENCE:g} s") from None
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ConformanceError):
                raise type(error.cause)(str(error.cause)) from None
            raise AdapterError(f"the framework {option!r} cannot be loaded on the cluster: {_short(error)}") from None
        except self.ray.exceptions.RayError as error:
            raise AdapterError(
                f"the framework {option!r} cannot be asked for on the cluster: {_short(error)}"
            ) from None

    def judge(self, jobs: Mapping[str, Job], cells: Sequence[Cell], pipe: Connection) -> None:
        """Sends what each cell came to, once, in whatever order they end."""
        function = self.ray.remote(judge)
        shared = {name: self.ray.put(replace(job, key=f"{uuid.uuid4()}")) for name, job in jobs.items()}
        waiting: dict[Any, Task] = {}

        def submit(task: Task) -> None:
            name = task.cell.framework
            asks = self.asks(jobs[name].option, task.cell.device == "cuda")
            remote = function.options(**asks, num_returns="streaming", max_retries=0)
            task.began = None
            waiting[remote.remote(shared[name], task.cell)] = task

        queue = deque(cells)
        last = time.monotonic()
        while queue or waiting:
            while queue and len(waiting) < self._most():
                submit(Task(queue.popleft()))
            ready, _ = self.ray.wait(list(waiting), num_returns=1, timeout=0.5, fetch_local=False)
            for ref in ready:
                last = time.monotonic()
                task = waiting[ref]
                told = self._next(ref, task)
                if told is None:
                    continue
                del waiting[ref]
                if told is AGAIN:
                    submit(task)
                else:
                    pipe.send((task.cell.id, told))
            self._end_late_ones(waiting, last, pipe)
            if pipe.poll():  # nothing is ever said meanwhile, so the run is gone
                pipe.recv()

    def _most(self) -> int:
        """How many cells may be on their way: enough that no core waits and that a cluster which can grow does, and few
        enough to look through."""
        now = time.monotonic()
        if now - self._counted > REFRESH:
            self._cores, self._counted = self.ray.cluster_resources().get("CPU", 0), now
        return max(64, 4 * int(self._cores))

    def _next(self, ref: Any, task: Task) -> Any:
        """The next thing that a task says: None while it goes on, AGAIN if it has to be sent again, or its outcome."""
        try:
            said = self.ray.get(next(ref))
        except self.ray.exceptions.RayTaskError as error:
            return _fault(task, f"judging it raised {_short(error)}")
        except self.ray.exceptions.LocalRayletDiedError as error:
            raise ConnectionError("the cluster went away") from error
        except (self.ray.exceptions.RayError, StopIteration) as error:
            task.tries += task.began is not None
            task.looks += task.began is None
            if task.tries < TRIES and task.looks < LOOKS:
                return AGAIN
            return _fault(task, f"its worker process died {task.tries or task.looks} times: {_short(error)}")
        if said == "began":
            task.began = time.monotonic()
            return None
        return said

    def _end_late_ones(self, waiting: dict[Any, Task], last: float, pipe: Connection) -> None:
        now, limit = time.monotonic(), self.options.cell_timeout
        nothing_runs = all(task.began is None for task in waiting.values())
        for ref, task in list(waiting.items()):
            if task.began is not None and now - task.began > limit:
                why = f"it did not end in {limit:g} s (--cell-timeout)"
            elif nothing_runs and now - last > PATIENCE:
                why = f"no node of the cluster had room for it in {PATIENCE:g} s"
            else:
                continue
            del waiting[ref]
            self.ray.cancel(ref, force=True)
            pipe.send((task.cell.id, _fault(task, why)))

    def asks(self, option: str, on_gpu: bool) -> dict[str, Any]:
        """What a task asks Ray for: a core, its memory, a share of a GPU for CUDA, the environment of its framework."""
        asks = {"num_cpus": 1, "num_gpus": GPU if on_gpu else 0, "memory": int(self.options.cell_memory * GIB)}
        environment = self.environments.get(option)
        return asks if environment is None else {**asks, "runtime_env": dict(environment)}


AGAIN = object()


def _fault(task: Task, why: str) -> str:
    return dumps({"cell": task.cell.id, "fault": why})


def _short(error: BaseException) -> str:
    """What an error of Ray says, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if type(error).__name__.startswith("RayTaskError") else " ".join(lines))[:300] if lines else "?"


def connected(options: Options) -> Any:
    """The module `ray`, connected.

    Raises:
        UsageError: nothing answers at the address, or what answers is no cluster that takes us.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nobody is told of a run
    import ray

    address = str(options.cluster)
    how: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        how |= {"num_cpus": cores, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    else:
        _check_answers(address)
    try:
        ray.init(**how)
    except Exception as error:
        raise UsageError(f"--cluster: the Ray cluster {address!r} cannot be used: {_short(error)}") from None
    return ray


def _check_answers(address: str) -> None:
    """Ray itself tries for two minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdigit():
        return  # auto, or ray://: Ray says what is wrong with these at once
    try:
        socket.create_connection((host, int(port)), CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"--cluster: nothing answers at {address} ({getattr(error, 'strerror', None) or error}); give the address "
            "of a Ray head node, auto, or local"
        ) from None


def serve(pipe: Connection, options: Options, environments: Mapping[str, Mapping[str, Any]]) -> None:
    """Connects, then answers requests: `(method, argument, argument)`, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which then closes the pipe
    _be_quiet()
    try:
        driver = Driver(options, environments)
        pipe.send(driver.description())
        while True:
            method, first, second = pipe.recv()
            if method == "describe":
                pipe.send(driver.described(first, second))
            else:
                driver.judge(first, second, pipe)
    except ConformanceError as error:
        pipe.send(error)
    except (EOFError, OSError):
        pass  # the run is over
    finally:
        if "ray" in sys.modules:
            sys.modules["ray"].shutdown()


def _be_quiet() -> None:
    """Ray writes its troubles to the terminal, from C++ too; they are in its own logs as well."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
