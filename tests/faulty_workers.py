"""An adapter that ruins the process it runs in, for the tests of workers. It needs NumPy only, so it starts fast.

What a call does is its criterion: `segfault`, `hang`, … ; `right` and everything else answers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import stat
import sys
import time
import warnings
from typing import Any

import numpy as np

from conformance import Binding, Call, Difference, Environment, Output, Unsupported

DIFFERENCES = (Difference("It is so.", "https://example.org", "input < 0", ("invalid.*",)), Difference("So, too.", "a"))


class Ruinous:
    """Answers with the sum of its inputs, or does what it is asked to."""

    name = "ruinous"

    def __init__(self) -> None:
        self.held: list[Any] = []

    def environment(self) -> Environment:
        return Environment(
            versions={"ruinous": "2.5+local"}, dtypes=("float64", "float32", "bfloat16"), cotangents=True
        )

    def binding(self, criterion: str) -> Binding | None:
        if criterion == "unbound":
            raise LookupError("the table of functions is gone")
        return None if criterion == "none" else Binding(f"ruinous.{criterion}", DIFFERENCES, ("input",))

    def run(self, call: Call) -> Any:
        does = getattr(self, call.criterion, None)
        given = does(call) if does is not None else None
        return given if given is not None else self.answer(call)

    def answer(self, call: Call) -> Output:
        with np.errstate(all="ignore"):
            total = np.asarray(sum(array.sum() for array in call.inputs.values()))
        return Output(total, {name: call.inputs[name] for name in call.wrt})

    # It dies

    def segfault(self, call: Call) -> None:
        ctypes.string_at(0)

    def abort(self, call: Call) -> None:
        os.write(2, b"free(): invalid pointer\n")
        os.abort()

    def leave(self, call: Call) -> None:
        os._exit(0)

    def killed(self, call: Call) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self, call: Call) -> None:
        time.sleep(1000)

    def hang_in_c(self, call: Call) -> None:
        ctypes.PyDLL(None).sleep(1000)  # with the interpreter's lock held

    def stop(self, call: Call) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def allocate(self, call: Call) -> None:
        while True:
            self.held.append(np.ones(1 << 20))

    def allocate_in_child(self, call: Call) -> None:
        if os.fork() == 0:
            self.allocate(call)
        time.sleep(1000)

    def flood_and_hang(self, call: Call) -> None:
        while True:
            print("x" * 10_000)

    # It breaks the channel

    def close_all(self, call: Call) -> None:
        os.closerange(0, 1000)

    def half_a_frame(self, call: Call) -> None:
        self.say(b"LCW1\x10\x00\x00\x00\x00\x00")
        os._exit(1)

    def huge_claim(self, call: Call) -> None:
        self.say(b"LCW1\x10\x00\x00\x00" + (1 << 60).to_bytes(8, "little"))

    def garbage(self, call: Call) -> None:
        self.say(b"Traceback (most recent call last):\n" * 100)

    def no_json(self, call: Call) -> None:
        self.say(b"LCW1\x04\x00\x00\x00" + bytes(8) + b"nope")

    def another_answer(self, call: Call) -> None:
        self.say(b"LCW1\x0d\x00\x00\x00" + bytes(8) + b'{"answer":77}')

    def say(self, data: bytes) -> None:
        for number in range(3, 100):
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    socket.socket(fileno=os.dup(number)).sendall(data)

    # It lives, and answers

    def flood(self, call: Call) -> None:
        for _ in range(200):
            print("x" * 10_000)
            os.write(1, b"y" * 10_000)
        sys.stdout.flush()

    def leave_a_child(self, call: Call) -> Output:
        child = os.fork()
        if child == 0:
            time.sleep(1000)
        return Output(np.asarray(float(child)))

    def leave_a_session(self, call: Call) -> Output:
        child = os.fork()
        if child == 0:
            os.setsid()
            time.sleep(1000)
        time.sleep(0.1)
        return Output(np.asarray(float(child)))

    def answer_twice(self, call: Call) -> None:
        os.fork()

    def exit(self, call: Call) -> None:
        raise SystemExit(3)

    def interrupt(self, call: Call) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    def raise_error(self, call: Call) -> None:
        raise ValueError("half of a pair: \ud800\nand a second line")

    def raise_strangely(self, call: Call) -> None:
        class Strange(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        raise Strange

    def refuse(self, call: Call) -> None:
        raise Unsupported("no kernel for this device")

    def overwrite(self, call: Call) -> None:
        call.inputs["input"][...] = 7
        if call.parameters.get("then_raise"):
            raise ValueError("after it has written")

    def warn(self, call: Call) -> None:
        warnings.warn("this function will go away", DeprecationWarning, stacklevel=1)

    def nothing(self, call: Call) -> Any:
        return [1, 2]

    def lists(self, call: Call) -> Any:
        anything: Any = ([1.0], {"input": "text", "other": None})
        return Output(*anything)

    def objects(self, call: Call) -> Output:
        record = np.zeros(2, [("a", "i4"), ("b", "f8")])
        return Output(np.array("text"), {"input": np.array([None]), "other": record, "big": np.zeros(1, ">f8")})

    def mirror(self, call: Call) -> Output:
        """How its input lies in memory."""
        array = call.inputs["input"]
        return Output(np.array([*array.strides, array.flags.writeable, array.ctypes.data % array.itemsize]))

    def mirror_cotangent(self, call: Call) -> Output:
        return Output(np.zeros(0) if call.cotangent is None else call.cotangent)

    def parameters(self, call: Call) -> Output:
        raise ValueError(repr(dict(call.parameters)))


class Elsewhere(Ruinous):
    """Says which Python it runs in."""

    def run(self, call: Call) -> Output:
        return Output(np.asarray(sys.version_info[1]))


class Shy:
    """Cannot be imported twice: what a test makes up in memory."""

    def __init__(self) -> None:
        os.abort()


class OnlyOnce(Ruinous):
    """Starts once."""

    def __init__(self) -> None:
        super().__init__()
        with contextlib.suppress(FileExistsError), open(os.environ["FAULTY_SIGNAL"], "x", encoding="utf-8"):
            return
        os.abort()


class Mute:
    def __init__(self) -> None:
        time.sleep(1000)


class Alone:
    """Needs what nobody has installed."""

    def __init__(self) -> None:
        import absent_framework  # type: ignore[import-not-found]  # noqa: F401


class Silent(Ruinous):
    def environment(self) -> Environment:
        raise OSError("libcudart.so.13: cannot open shared object file")


class Crashes:
    """l1; but where three inputs are above their targets, the process crashes."""

    name = "crashes"
    fault = "segfault"
    version = "1.5"

    def environment(self) -> Environment:
        return Environment(versions={self.name: self.version})

    def binding(self, criterion: str) -> Binding | None:
        return Binding(f"{self.name}.{criterion}") if criterion == "l1" else None

    def is_deadly(self, call: Call) -> bool:
        inputs = call.inputs
        return inputs["input"].shape == (3,) and bool(np.all(inputs["input"] > inputs["target"]))

    def run(self, call: Call) -> Output:
        if self.is_deadly(call):
            getattr(Ruinous(), self.fault)(call)
        error, reduction = call.inputs["input"] - call.inputs["target"], call.parameters["reduction"]
        weight = np.broadcast_to(call.inputs.get("weight", np.ones((), error.dtype)), error.shape)
        with np.errstate(all="ignore"):
            share = weight / weight.sum() if reduction == "mean" else weight
            value = np.abs(error) * share
            slope = np.sign(error) * share
        gradients = {"input": slope, "target": -slope}
        total = value if reduction == "none" else value.sum()
        return Output(np.asarray(total), {name: gradients[name] for name in call.wrt})


class CrashesAlways(Crashes):
    name = "crashes_always"

    def is_deadly(self, call: Call) -> bool:
        return True


class CrashesOutOfDomain(Crashes):
    """Only a negative weight crashes it, and it answers an edge case in its domain."""

    name = "crashes_out_of_domain"

    def is_deadly(self, call: Call) -> bool:
        weight = call.inputs.get("weight")
        return weight is not None and bool(np.any(weight < 0))


class HangsOutOfDomain(CrashesOutOfDomain):
    name = "hangs_out_of_domain"
    fault = "hang"


class Counted(Ruinous):
    """Writes down each time that it is made."""

    def __init__(self) -> None:
        super().__init__()
        with open(os.environ["FAULTY_SIGNAL"], "a", encoding="utf-8") as file:
            file.write("made\n")
