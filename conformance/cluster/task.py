"""What runs on a node of the cluster: saying what a framework is there, and judging one cell."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from conformance.adapter import Binding, Environment, Output
from conformance.errors import AdapterError, ConformanceError, ReferenceFault
from conformance.record.model import Cell
from conformance.record.plain import dumps
from conformance.spec.model import Spec
from conformance.suite.offers import said_of
from conformance.suite.options import Options
from conformance.suite.plan import Framework, Plan, framework_of
from conformance.suite.recorder import suite_digest
from conformance.suite.run import judge_cell
from conformance.suite.threads import hold_threads
from conformance.verdict.known import Entry

GIB = 2**30
EVERY = 0.05  # seconds between two looks at the memory in use
GRACE = 5.0  # seconds in which a cell that used too much has to stop, before its process is ended


_overfull = threading.Event()  # a cell used too much memory in this process, which may still hold it


@dataclass
class Described:
    """An adapter as a node describes it, in the place of one that need not be installed where the run is driven."""

    name: str
    told: Environment
    bindings: Mapping[str, Binding | None]
    source: str

    def environment(self) -> Environment:
        """What the node said."""
        return self.told

    def binding(self, criterion: str) -> Binding | None:
        """What the node said; it was asked about every criterion."""
        return self.bindings[criterion]

    def run(self, call: Any) -> Output:
        """Never asked: calls are made on the nodes."""
        raise NotImplementedError


@dataclass(frozen=True)
class Job:
    """All that a node needs to judge the cells of one framework, but the adapter itself."""

    key: str  # of this run and framework, for what a worker keeps from one cell to the next
    name: str
    option: str
    versions: Mapping[str, str]
    options: Options
    specs: Mapping[str, Spec]
    known: tuple[Entry, ...]
    memory: float  # GiB


class TooMuchMemory(BaseException):
    """Raised in the midst of a cell; no Exception, so that no adapter takes it for its framework's own."""


def describe(option: str, options: Options, specs: Mapping[str, Spec], code: str) -> Described:
    """What the framework `option` is on this node.

    Raises:
        ConformanceError: it is not there, or the node has another version of the suite.
    """
    if suite_digest() != code:
        raise AdapterError("the nodes of the cluster have another version of loss-conformance; install the same one")
    hold_threads()
    item = _framework(option, options, specs)
    bindings = {criterion: item.binding(criterion) for criterion in specs}
    return Described(item.adapter.name, item.environment, bindings, item.source)


def judge(job: Job, cell: Cell) -> Iterator[str]:
    """First "began", so that no cell's time runs while it waits for room or its framework is imported; then what it
    came to, as JSON."""
    if _overfull.is_set():
        os._exit(0)  # what an earlier cell left here is not this one's, which is sent to another process
    try:
        plan = _plan(_Keyed(job))
    except ConformanceError as error:
        yield dumps({"cell": cell.id, "fault": str(error)})
        return
    yield "began"
    yield dumps(_outcome(plan, cell, job.memory))


def _outcome(plan: Plan, cell: Cell, memory: float) -> dict[str, Any]:
    try:
        with bounded(memory):
            return judge_cell(plan, cell).to_json()
    except TooMuchMemory:
        _overfull.set()
        why = f"it used more memory than {memory:g} GiB (--cell-memory)"
    except (ReferenceFault, ConformanceError) as error:
        why = str(error)
    except Exception as error:
        why = f"judging it raised {type(error).__name__}: {error}"
    return {"cell": cell.id, "fault": why}


class _Keyed:
    """A job that is equal to another one of the same key."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __hash__(self) -> int:
        return hash(self.job.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and other.job.key == self.job.key


@functools.lru_cache(maxsize=2)
def _plan(keyed: _Keyed) -> Plan:
    job = keyed.job
    hold_threads()
    item = _framework(job.option, job.options, job.specs)
    if dict(item.environment.versions) != dict(job.versions):
        there = said_of(item.environment.versions)
        raise AdapterError(f"a node has {there}, and {said_of(job.versions)} was planned")
    return Plan(job.options, job.specs, {job.name: replace(item, known=job.known)})


def _framework(option: str, options: Options, specs: Mapping[str, Spec]) -> Framework:
    """The framework on this node; the known differences, whose files need not lie here, come with the job."""
    item = framework_of(option, replace(options, known=()))
    if hasattr(item.adapter, "specs"):
        item.adapter.specs = specs
    return item


@contextmanager
def bounded(gib: float) -> Iterator[None]:
    """Raises `TooMuchMemory` in this thread once the process has more than `gib` GiB resident."""
    ended = threading.Event()
    thread = threading.get_ident()
    watch = threading.Thread(target=_watch, args=(thread, gib * GIB, ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def _watch(thread: int, limit: float, ended: threading.Event) -> None:
    while not ended.wait(EVERY):
        if _in_use() > limit:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TooMuchMemory))
            if not ended.wait(GRACE):
                os._exit(137)  # it is deep in a call that does not come back; 137: as if killed for its memory
            return


def _in_use() -> float:
    """Bytes of this process that are resident; 0 where the system does not say so."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return float(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0.0
