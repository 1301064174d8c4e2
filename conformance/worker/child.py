"""The worker: loads an adapter, and answers one call after another until it is closed or killed.

It runs in whatever interpreter was asked for, so this and all that it imports needs NumPy only, and Python 3.10.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.machinery
import importlib.util
import os
import platform
import signal
import socket
import sys
import threading
import types
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.errors import AdapterError
from conformance.worker.frames import PROTOCOL, Frame, Frames, pack

MOST_WARNINGS = 20  # of one call


class Link:
    """The worker's end of the channel."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._frames = Frames(most=1 << 62)
        self._owner = os.getpid()

    def receive(self) -> Frame:
        """The next frame; the worker ends where the judge has closed the channel."""
        while (frame := self._frames.next()) is None:
            data = self._channel.recv(1 << 20)
            if not data:
                os._exit(0)
            self._frames.feed(data)
        return frame

    def send(self, header: Mapping[str, Any], body: Sequence[bytes] = ()) -> None:
        """Sends a frame. A process that an adapter has forked off, and that comes back to here, ends instead."""
        if os.getpid() != self._owner:
            os._exit(0)
        self._channel.sendall(pack(header, body))


def main(channel: int, lifeline: int) -> None:
    """Serves the judge at the other end of the file descriptor `channel` until it closes it."""
    die_with(lifeline)
    die_first()
    link = Link(socket.socket(fileno=channel))
    start, _ = link.receive()
    try:
        adapter, hello = _loaded(start)
    except AdapterError as error:
        link.send({"protocol": PROTOCOL, "fault": str(error)})
        return
    link.send(hello)
    while True:
        link.send(*_answer(adapter, *link.receive()))


def die_with(lifeline: int) -> None:
    """Sees to it that this process and its children end when the other end of a pipe closes: when the judge is gone,
    however it went. On Linux the kernel does it, even where this process hangs in C; elsewhere, a thread."""
    if not hasattr(fcntl, "F_SETSIG"):
        threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()
        return
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        os.read(lifeline, 1)
        os.killpg(os.getpgrp(), signal.SIGKILL)  # it had closed before


def _wait_for_end(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def die_first() -> None:
    """Where the whole machine's memory runs out, Linux ends this process before others."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _loaded(start: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The adapter that was asked for, and the hello that says so.

    Raises:
        AdapterError: there is none, or it cannot say what it runs on.
    """
    if start.get("protocol") != PROTOCOL:
        raise AdapterError(f"the judge speaks protocol {start.get('protocol')!r}, and this worker {PROTOCOL}")
    name, instead = start["adapter"], start["instead"]
    try:
        import numpy as np
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise AdapterError(f"NumPy cannot be imported there, and every adapter needs it ({said})") from None
    from conformance.adapter.load import load_adapter
    from conformance.adapter.protocol import Environment
    from conformance.worker.messages import environment_data

    for module, folder in start["places"].items():
        _find_also(module, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a framework's own import warnings are not ours to judge
        try:
            adapter = load_adapter(name)
        except AdapterError:
            if not instead:
                raise
            adapter = load_adapter(instead)
        _use_specs(adapter, start["specs"])
        try:
            environment = adapter.environment()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise AdapterError(f"the adapter {name!r} cannot say what it runs on: {said}") from None
    if not isinstance(environment, Environment):
        given = type(environment).__name__
        raise AdapterError(f"the adapter {name!r} does not say what it runs on: environment() gave {given}")
    hello = {"protocol": PROTOCOL, "name": str(adapter.name), "environment": environment_data(environment)}
    return adapter, {**hello, "python": platform.python_version(), "numpy": np.__version__}


def _use_specs(adapter: Any, folders: Sequence[str]) -> None:
    """An adapter that computes the formulas computes those of the run."""
    if hasattr(adapter, "specs"):
        from pathlib import Path

        from conformance.spec import Specs

        adapter.specs = Specs([Path(folder) for folder in folders])


class _Also:
    """Finds one module, and what lies in it, in a folder where nothing else is looked for."""

    def __init__(self, module: str, folder: str) -> None:
        self.module, self.folder = module, folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's spec; None for every other module."""
        return importlib.machinery.PathFinder.find_spec(name, [self.folder]) if name == self.module else None


def _find_also(module: str, folder: str) -> None:
    """Makes a module that lies where the judge found it importable here, after all that is found without this. What
    else is installed beside it belongs to another interpreter; in a folder of the user's own, it may be needed."""
    if os.path.basename(folder) in {"site-packages", "dist-packages"}:
        finders: list[Any] = sys.meta_path
        finders.append(_Also(module, folder))
    elif folder not in sys.path:
        sys.path.append(folder)


def _answer(adapter: Any, header: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The answer to a request: a call, a call whose script is wanted, or a criterion whose binding is."""
    if "binding" in header:
        return _binding(adapter, header), []
    if "script" in header:
        return _script(adapter, header, body), []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        answer, arrays = _called(adapter, header, body)
    answer["warnings"] = [[item.category.__name__, str(item.message)[:1000]] for item in caught[:MOST_WARNINGS]]
    return {"answer": header["call"], **answer}, arrays


def _called(adapter: Any, header: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    from conformance.adapter.protocol import Unsupported
    from conformance.worker.messages import call_of, pack_changes

    try:
        call, untouched = call_of(header, body), call_of(header, body)
    except Unsupported as error:
        return {"unsupported": str(error)}, []
    answer, arrays = _ran(adapter, call)
    changed, more = pack_changes(untouched, call)
    return ({**answer, "changed": changed} if changed else answer), arrays + more


def _ran(adapter: Any, call: Any) -> tuple[dict[str, Any], list[bytes]]:
    from conformance.adapter.protocol import Unsupported
    from conformance.worker.messages import pack_output, said

    try:
        return pack_output(adapter.run(call))
    except Unsupported as error:
        return {"unsupported": said(error)[1]}, []
    except BaseException as error:  # SystemExit and KeyboardInterrupt end no run either
        return {"raised": said(error)}, []


def _script(adapter: Any, header: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    from conformance.worker.messages import call_of, said

    try:
        write = getattr(adapter, "script", None)
        return {"answer": header["call"], "script": "" if write is None else str(write(call_of(header, body)))}
    except BaseException as error:
        return {"answer": header["call"], "raised": said(error)}


def _binding(adapter: Any, header: Mapping[str, Any]) -> dict[str, Any]:
    from conformance.worker.messages import binding_data, said

    try:
        return {"answer": header["binding"], "binding": binding_data(adapter.binding(header["criterion"]))}
    except BaseException as error:
        return {"answer": header["binding"], "raised": said(error)}
