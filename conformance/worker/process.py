"""A worker's process, as the judge holds it: started, spoken to, watched, and ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time
import weakref
from pathlib import Path
from typing import NoReturn

import psutil

from conformance._resources import PACKAGE
from conformance.adapter.protocol import WorkerDied
from conformance.errors import AdapterError
from conformance.worker.frames import Frame, Frames, Nonsense
from conformance.worker.limits import Limits

GIB = 1 << 30
SLICE = 0.05  # seconds between two looks at a worker that says nothing
LOOKS = 10  # slices between two looks at its children, which cost more
TAIL = 2000  # bytes of what it printed last

OWN = {"PYTHONHOME", "__PYVENV_LAUNCHER__"}  # of the judge's interpreter
SHARING = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}  # a GPU, with the judge

# Any Python can read this. It makes `conformance` importable, and nothing else of the judge's interpreter.
BOOT = """\
import sys
if sys.version_info < (3, 10):
    sys.exit("Python 3.10 or newer is due, and it is %d.%d" % sys.version_info[:2])
import importlib.util, os
sys.path[:] = [place for place in sys.path if place]
place = sys.argv[1]
spec = importlib.util.spec_from_file_location(
    "conformance", os.path.join(place, "__init__.py"), submodule_search_locations=[place])
sys.modules["conformance"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["conformance"])
from conformance.worker.child import main
main(int(sys.argv[2]), int(sys.argv[3]))
"""


class Process:
    """One worker. It is killed when this object is, or when the judge ends, however it ends.

    Raises:
        AdapterError: the interpreter cannot be started.
    """

    def __init__(self, python: str, limits: Limits) -> None:
        self._limits = limits
        self._tail = b""
        self._gone = ""  # how it ended
        self._looks = 0
        self._looked = 0.0  # when
        self._others = 0  # memory of its children
        self._most: float | None = None  # memory
        self._unsent = memoryview(b"")
        self.frames = Frames(most=0)
        self._channel, theirs = socket.socketpair()
        lifeline, ours = os.pipe()
        stderr, printed = os.pipe()
        try:
            self._process = _started(python, theirs.fileno(), lifeline, printed)
        except BaseException:
            _close(self._channel, ours, stderr)
            raise
        finally:
            _close(theirs, lifeline, printed)
        self._seen = psutil.Process(self._process.pid)
        self._stderr = stderr
        self._channel.setblocking(False)
        os.set_blocking(stderr, False)
        self._poll = select.poll()
        self._poll.register(stderr, select.POLLIN)
        self.kill = weakref.finalize(self, _end, os.getpid(), self._process, self._channel, ours, stderr)

    def settle(self) -> None:
        """From now on the worker may use so much more memory than it does now."""
        self._most = self._memory() + self._limits.memory * GIB

    def send(self, data: bytes) -> None:
        """Puts a frame in the queue; `receive` sends it."""
        self._unsent = memoryview(bytes(self._unsent) + data)

    def receive(self, seconds: float) -> Frame:
        """The next frame that the worker sends.

        Raises:
            WorkerDied: it ended, or had to be killed: after `seconds`, for its memory, or for what it sent.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                frame = self.frames.next()
            except Nonsense as error:
                self.refuse(error)
            if frame is not None:
                return frame
            if self._gone:
                self._die(self._gone)
            self._exchange()
            if time.monotonic() > deadline:
                self._die(f"no answer within {seconds:g} s: the worker was killed")

    def refuse(self, why: Nonsense) -> NoReturn:
        """Ends a worker whose answer was none.

        Raises:
            WorkerDied: always.
        """
        self._die(f"what the worker sent is no answer ({why}): the worker was killed")

    def _exchange(self) -> None:
        """Sends and takes in what can be; at most a slice of time passes."""
        events = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        self._poll.register(self._channel, events)
        ready = dict(self._poll.poll(SLICE * 1000))
        at = ready.get(self._channel.fileno(), 0)
        with contextlib.suppress(OSError):  # it is gone: `_look` says how
            if at & select.POLLOUT and self._unsent:
                self._unsent = self._unsent[self._channel.send(self._unsent[: 1 << 18]) :]
        taken = self._take() if at & ~select.POLLOUT else True
        if self._stderr in ready:
            self._listen()
        if not taken or time.monotonic() - self._looked > SLICE:
            self._look(closed=not taken)

    def _take(self) -> bool:
        """Whether the channel is open; takes in what came."""
        try:
            data = self._channel.recv(1 << 20)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.frames.feed(data)
        return bool(data)

    def _listen(self) -> None:
        """Keeps the end of what the worker prints, so that it never waits for a reader."""
        with contextlib.suppress(OSError, KeyError):  # nothing there; already unregistered
            data = os.read(self._stderr, 1 << 16)
            self._tail = (self._tail + data)[-TAIL:]
            if not data:
                self._poll.unregister(self._stderr)

    def _look(self, closed: bool) -> None:
        """Looks after the worker: whether it lives, and what memory it uses."""
        self._looked = time.monotonic()
        self._gone = self._ended(wait=1.0 if closed else 0.0)
        if self._gone:
            self._drain()  # what it had answered before holds
        elif closed:
            self._die("the worker closed its channel during this call: it was killed")
        elif self._most is not None and self._memory() > self._most:
            self._die(f"more than {self._limits.memory:g} GiB of memory: the worker was killed")

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._channel.recv(1 << 20):
                self.frames.feed(data)

    def _ended(self, wait: float) -> str:
        """How the worker ended; "" while it runs. It is not reaped, so that its number stays its own."""
        until = time.monotonic() + wait
        while True:
            try:
                found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return "the worker ended during this call"
            if found is not None:
                killed = found.si_code != os.CLD_EXITED
                return _killed(found.si_status) if killed else _left(found.si_status)
            if time.monotonic() > until:
                return ""
            time.sleep(0.005)

    def _memory(self) -> int:
        """Bytes in memory, of the worker and of its children, pages that they share with it left out."""
        with contextlib.suppress(psutil.Error, OSError):
            if self._looks % LOOKS == 0:
                self._others = sum(_alone(child) for child in self._seen.children(recursive=True))
            self._looks += 1
            return int(self._seen.memory_info().rss) + self._others
        return 0

    def _die(self, why: str) -> NoReturn:
        self._listen()
        self.kill()
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()
        raise WorkerDied(f"{why}; it last printed {lines[-1][:150]!r}" if lines else why)


def interpreter(given: str) -> str:
    """The path of the interpreter that `given` names; a name without a slash is looked for as a shell does. A link is
    not followed: it is what a virtual environment is known by.

    Raises:
        AdapterError: there is none, or it cannot be run.
    """
    path = os.path.expanduser(given) if os.sep in given else shutil.which(given)
    if not given or path is None or not os.path.exists(path):
        raise AdapterError(f"there is no interpreter {given!r}; give the path of a Python, such as .venv/bin/python")
    if Path(path).is_dir() or not os.access(path, os.X_OK):
        raise AdapterError(f"{given!r} is no program; give the path of a Python, such as .venv/bin/python")
    return os.path.abspath(path)


def _started(python: str, channel: int, lifeline: int, printed: int) -> subprocess.Popen[bytes]:
    environment = {**SHARING, **{k: v for k, v in os.environ.items() if k not in OWN}}
    try:
        return subprocess.Popen(
            [python, "-c", BOOT, str(PACKAGE), str(channel), str(lifeline)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=(channel, lifeline),
            start_new_session=True,  # Ctrl-C is the judge's, and what the worker forks can be killed with it
            env=environment,
        )
    except OSError as error:
        raise AdapterError(f"{python!r} cannot be run: {error.strerror}") from None


def _end(owner: int, process: subprocess.Popen[bytes], channel: socket.socket, *ends: int) -> None:
    """Kills a worker with all that it started."""
    if os.getpid() != owner:
        return
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True)  # those that left its group
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    _close(channel, *ends)


def _close(channel: socket.socket, *ends: int) -> None:
    channel.close()
    for end in ends:
        os.close(end)


def _alone(child: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error, OSError):
        return int(child.memory_full_info().uss)
    return 0


def _killed(number: int) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    means = (signal.strsignal(number) or "unknown").lower()
    more = "; the system does so when memory runs out" if number == signal.SIGKILL else ""
    return f"{name} ({means}{more}) killed the worker during this call"


def _left(code: int) -> str:
    return f"the worker ended during this call, with exit code {code} and without an answer"
