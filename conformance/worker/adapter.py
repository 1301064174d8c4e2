"""An adapter that runs in a worker: `torch@PATH/TO/python`, or this interpreter once more."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapter.load import GROUP, is_built_in
from conformance.adapter.protocol import Binding, Call, Environment, Output, WorkerDied
from conformance.errors import AdapterError
from conformance.worker import messages, reading
from conformance.worker.frames import PROTOCOL, Nonsense, pack
from conformance.worker.limits import Limits
from conformance.worker.process import Process, interpreter

HELLO = 1 << 20  # bytes of a body; it has none


class WorkerAdapter:
    """The adapter `name`, run in a worker of the interpreter `python`. A worker that dies is started again.

    `specs` are folders of specs beside the built-in ones, for adapters that compute formulas.

    Raises:
        AdapterError: there is no such interpreter, or no such adapter in it.
    """

    def __init__(self, name: str, python: str = "", specs: Sequence[Path] = (), limits: Limits | None = None) -> None:
        self._asked = f"{name}@{python}" if python else name
        self._adapter = name
        self._python = interpreter(python) if python else sys.executable
        self._specs = [str(path.resolve()) for path in specs]
        self._limits = limits or Limits.given()
        self._bindings: dict[str, Binding | None] = {}
        self._process: Process | None = None
        self._calls = 0
        self._warned: list[tuple[str, str]] = []
        self._given_up = ""  # why no worker starts
        self._fresh = True  # the worker has answered no call yet
        hello = self._start()
        self.name = str(hello["name"])
        self._environment = self._environment_of(hello)

    def environment(self) -> Environment:
        """What the adapter said when it was loaded, and which interpreter it runs in."""
        return self._environment

    def binding(self, criterion: str) -> Binding | None:
        """The adapter's binding.

        Raises:
            WorkerDied, Raised: the adapter has none to give.
        """
        if criterion not in self._bindings:
            self._bindings[criterion] = self._ask_binding(criterion)
        return self._bindings[criterion]

    def run(self, call: Call) -> Output:
        """The adapter's output.

        Raises:
            Unsupported: as the adapter does.
            Raised: what the adapter raised; its class is named like the original's.
            WorkerDied: the call cost the worker's life.
        """
        (output,) = self.run_many([call])
        if isinstance(output, Exception):
            raise output
        return output

    def run_many(self, calls: Sequence[Call]) -> list[Output | Exception]:
        """The output of each call or, in its place, the exception that `run` would raise.

        All are sent at once, and answered one by one: a worker that dies has died of the first call that it has not
        answered, and another one takes those after it.
        """
        outputs: list[Output | Exception] = []
        while len(outputs) < len(calls):
            try:
                self._run_until_death(calls[len(outputs) :], outputs)
            except (WorkerDied, AdapterError) as error:
                outputs.append(error if isinstance(error, WorkerDied) else WorkerDied(str(error)))
            except BaseException:  # KeyboardInterrupt: what would come next is no answer to what is asked next
                self.close()
                raise
        warned, self._warned = self._warned, []
        for name, text in warned:
            warnings.warn(text, reading.warning_named(name), stacklevel=2)
        return outputs

    def script(self, call: Call) -> str:
        """The call in the framework's own words, as the adapter writes it; "" if it writes none.

        Raises:
            WorkerDied, Raised: the adapter has none to give.
        """
        header = self._ask(messages.pack_call(self._calls, call, script=True))
        return str(header.get("script", ""))

    def close(self) -> None:
        """Ends the worker. Another is started when one is needed."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _run_until_death(self, calls: Sequence[Call], outputs: list[Output | Exception]) -> None:
        first = self._calls
        frames = _packed(first, calls)
        self._calls += len(frames)
        process = self._ready()
        process.send(b"".join(frames))
        for k, call in enumerate(calls[: len(frames)]):
            outputs.append(self._received(process, first + k, call))

    def _received(self, process: Process, number: int, call: Call) -> Output | Exception:
        process.frames.most = messages.most_of_answer(call)
        is_slow = self._fresh or call.mode in self._environment.costly
        frame = self._receive(process, self._limits.first_call if is_slow else self._limits.call)
        self._fresh = False
        try:
            answer = reading.answer_of(frame, number)
            _take_over(answer.changed, call)
        except Nonsense as error:
            self._process = None
            process.refuse(error)
        self._warned += answer.warnings
        output: Output | Exception = answer.output
        return output

    def _receive(self, process: Process, seconds: float) -> Any:
        try:
            return process.receive(seconds)
        except BaseException:
            self.close()
            raise

    def _ready(self) -> Process:
        if self._given_up:
            raise AdapterError(self._given_up)
        if self._process is None:
            self._start()
        assert self._process is not None
        return self._process

    def _start(self) -> Mapping[str, Any]:
        """Starts a worker; its hello. One that dies is tried again, one that says what is wrong is not."""
        said = ""
        for _ in range(int(self._limits.starts)):
            process = Process(self._python, self._limits)
            process.frames.most = HELLO
            process.send(pack(self._request()))
            try:
                hello, _ = process.receive(self._limits.start)
                return self._settled(process, hello)
            except WorkerDied as died:
                said = str(died).replace(" during this call", "").replace("no answer", "no word from it")
            except Nonsense as error:
                said = f"what it said is no hello ({error})"
            except BaseException:
                process.kill()
                raise
            process.kill()
        times = f"tried {self._limits.starts:g} times"
        self._given_up = f"{self._asked!r}: a worker of {self._python} does not start, {times}: {said}"
        raise AdapterError(self._given_up)

    def _settled(self, process: Process, hello: Mapping[str, Any]) -> Mapping[str, Any]:
        if "fault" in hello:
            raise AdapterError(f"{self._asked!r}, in a worker of {self._python}: {hello['fault']}")
        if hello.get("protocol") != PROTOCOL:
            raise Nonsense(f"it speaks protocol {hello.get('protocol')!r}, not {PROTOCOL}")
        self._environment_of(hello)
        process.settle()
        self._process, self._fresh = process, True
        return hello

    def _request(self) -> dict[str, Any]:
        own = is_built_in(self._adapter)
        instead = "" if own else _entry_point(self._adapter)
        named = () if own else (self._adapter, instead)
        modules = {name.partition(":")[0].partition(".")[0] for name in named if ":" in name}
        places = {name: place for name in modules if (place := _place(name))}
        return {
            "protocol": PROTOCOL,
            "adapter": self._adapter,
            "instead": instead,
            "places": places,
            "specs": self._specs,
        }

    def _environment_of(self, hello: Mapping[str, Any]) -> Environment:
        found = reading.environment_of(hello.get("environment"))
        where = {"interpreter": self._python, "python": str(hello.get("python")), "numpy": str(hello.get("numpy"))}
        return replace(found, details={**found.details, **where})

    def _ask_binding(self, criterion: str) -> Binding | None:
        header = self._ask(pack({"binding": self._calls, "criterion": criterion}), reading.binding_of)
        return reading.binding_of(header.get("binding"))

    def _ask(self, frame: bytes, read: Callable[..., object] | None = None) -> Mapping[str, Any]:
        """The answer to a question that is no call; `read` takes its "binding", or raises Nonsense."""
        process = self._ready()
        self._calls += 1
        process.frames.most = 0
        process.send(frame)
        header: Mapping[str, Any] = self._receive(process, self._limits.first_call)[0]
        try:
            if header.get("answer") != self._calls - 1:
                raise Nonsense("it is no answer to this question")
            if "raised" in header:
                raise reading.raised_of(header["raised"])
            if read is not None:
                read(header.get("binding"))
            return header
        except Nonsense as error:
            self._process = None
            process.refuse(error)


def _packed(first: int, calls: Sequence[Call]) -> list[bytes]:
    """The frames of calls, up to one that cannot be sent.

    Raises:
        WorkerDied: that is the first.
    """
    frames: list[bytes] = []
    for call in calls:
        try:
            frames.append(messages.pack_call(first + len(frames), call))
        except (TypeError, ValueError, AttributeError) as error:
            if not frames:
                raise WorkerDied(f"this call cannot be sent to a worker: {error}") from error
            break
    return frames


def _take_over(changed: Mapping[str, Any], call: Call) -> None:
    """Writes to a call's inputs what the adapter has written to its copies, as it would have in process."""
    for name, array in changed.items():
        mine = call.inputs.get(name)
        if mine is None or not isinstance(array, np.ndarray) or (array.shape, array.dtype) != (mine.shape, mine.dtype):
            raise Nonsense("it changed an input that the call does not have")
        if mine.flags.writeable:
            mine[...] = array


def _entry_point(name: str) -> str:
    """`module:Class` of an entry point of this interpreter; "" if there is none."""
    return next((point.value for point in entry_points(group=GROUP) if point.name == name), "")


def _place(module: str) -> str:
    """The folder that a top-level module lies in here; "" if it is not found as a file."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    if spec.submodule_search_locations:
        return str(Path(next(iter(spec.submodule_search_locations))).resolve().parent)
    return str(Path(spec.origin).resolve().parent) if spec.has_location and spec.origin else ""
