"""Workers: whatever an adapter does to its process costs one case, no process stays behind, and nothing is believed."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import psutil
import pytest

from conformance import Call, Environment, Harmful, Output, Unsupported, WorkerDied, load_adapter
from conformance.errors import AdapterError, UsageError
from conformance.worker.adapter import WorkerAdapter
from conformance.worker.frames import HEAD, MAGIC, Frames, Nonsense, pack
from conformance.worker.isolated import Isolated
from conformance.worker.limits import Limits
from conformance.worker.messages import environment_data
from conformance.worker.process import BOOT
from conformance.worker.reading import Raised, answer_of, binding_of, environment_of, raised_of

RUINOUS = "tests.faulty_workers:Ruinous"
FAST = Limits(start=30, first_call=10, call=10, memory=0.25)
IMPATIENT = Limits(start=30, first_call=0.5, call=0.5, memory=0.25)


def call(criterion: str, *numbers: float, dtype: Any = "float64", wrt: tuple[str, ...] = (), **parameters: Any) -> Call:
    return Call(criterion, {"input": np.array(numbers, dtype)}, parameters, str(np.dtype(dtype)), wrt=wrt)


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerAdapter]:
    adapter = WorkerAdapter(RUINOUS, limits=FAST)
    yield adapter
    adapter.close()


@pytest.fixture(scope="module")
def impatient() -> Iterator[WorkerAdapter]:
    adapter = WorkerAdapter(RUINOUS, limits=IMPATIENT)
    yield adapter
    adapter.close()


def pid_of(adapter: WorkerAdapter) -> int:
    assert adapter._process is not None
    return adapter._process._process.pid


def is_gone(pid: int, within: float = 5.0) -> bool:
    """Whether a process has ended, or ends soon; one that nobody has reaped yet has ended."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


# It is the adapter


def test_it_answers_what_the_adapter_answers(worker: WorkerAdapter) -> None:
    given = call("right", 1.5, 2.0, wrt=("input",))
    output = worker.run(given)
    assert (output.value.shape, output.value.item(), output.value.dtype) == ((), 3.5, np.dtype(np.float64))
    np.testing.assert_array_equal(output.gradients["input"], given.inputs["input"])
    assert output.gradients["input"].flags.writeable


def test_it_says_what_the_adapter_says_of_itself(worker: WorkerAdapter) -> None:
    environment = worker.environment()
    assert worker.name == "ruinous"
    assert environment.versions == {"ruinous": "2.5+local"}
    assert environment.dtypes == ("float64", "float32", "bfloat16")
    assert environment.details["interpreter"] == sys.executable
    assert environment.details["numpy"] == np.__version__
    binding = worker.binding("l1")
    assert binding is not None
    assert binding == load_adapter(RUINOUS).binding("l1")
    assert worker.binding("none") is None
    with pytest.raises(Raised, match="table of functions"):
        worker.binding("unbound")


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", ml_dtypes.bfloat16, "int64", "bool"])
def test_numbers_cross_bit_by_bit(worker: WorkerAdapter, dtype: Any) -> None:
    special = (
        np.array([0.0, -0.0, 1.1, np.inf, -np.inf, np.nan, 5e-324]) if np.dtype(dtype).kind not in "ib" else [1, 0]
    )
    with np.errstate(all="ignore"):
        given = call("right", *special, dtype=dtype, wrt=("input",))
    got = worker.run(given).gradients["input"]
    assert got.dtype == given.inputs["input"].dtype
    assert got.tobytes() == given.inputs["input"].tobytes()


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda x: x, id="as it is"),
        pytest.param(lambda x: x.T, id="column by column"),
        pytest.param(lambda x: x[:, ::2], id="every other"),
        pytest.param(lambda x: x[::-1, ::-3], id="backwards"),
        pytest.param(lambda x: np.broadcast_to(x[:1], (4, 6)), id="broadcast, read-only"),
        pytest.param(lambda x: x[1:1], id="empty"),
        pytest.param(lambda x: x[1, 2], id="a scalar"),
    ],
)
def test_layout_crosses_too(worker: WorkerAdapter, view: Any) -> None:
    x = np.asarray(view(np.arange(24.0).reshape(4, 6)))
    got = worker.run(Call("mirror", {"input": x}, {}, "float64")).value
    assert got[-1] == 0
    assert got[-2] == x.flags.writeable
    if x.size:
        np.testing.assert_array_equal(got[:-2], x.strides)
    again = worker.run(Call("right", {"input": x}, {}, "float64", wrt=("input",)))
    np.testing.assert_array_equal(again.gradients["input"], x)


def test_a_cotangent_crosses(worker: WorkerAdapter) -> None:
    given = call("mirror_cotangent", 1.0)
    assert worker.run(given).value.size == 0
    cotangent = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(worker.run(dataclasses.replace(given, cotangent=cotangent)).value, cotangent)
    assert worker.environment().cotangents is load_adapter(RUINOUS).environment().cotangents is True


def test_parameters_cross_as_what_they_are(worker: WorkerAdapter) -> None:
    parameters: dict[str, Any] = {"a": 0.1, "b": 5e-324, "c": float("inf"), "d": -100, "e": True, "f": "mean"}
    with pytest.raises(Raised) as caught:
        worker.run(call("parameters", **parameters))
    assert str(caught.value) == repr(parameters)
    with pytest.raises(Raised, match="nan"):
        worker.run(call("parameters", a=np.float64("nan"), b=np.int64(3)))


def test_what_it_raises_bears_its_name(worker: WorkerAdapter) -> None:
    (raised,) = worker.run_many([call("raise_error")])
    assert type(raised).__name__ == "ValueError"
    assert str(raised) == "half of a pair: \\ud800\nand a second line"
    with pytest.raises(Unsupported, match="no kernel for this device"):
        worker.run(call("refuse"))
    (raised,) = worker.run_many([call("raise_strangely")])
    assert (type(raised).__name__, str(raised)) == ("Strange", "its text cannot be had")


def test_what_it_writes_to_its_inputs_shows(worker: WorkerAdapter) -> None:
    x = np.arange(12.0).reshape(3, 4)
    for view in (x.copy(), x.copy()[:, ::2], x.copy()[::-1].T):
        worker.run(Call("overwrite", {"input": view}, {}, "float64"))
        assert (view == 7).all()
    (given, other) = call("overwrite", 1.0, 2.0, then_raise=True), call("right", 1.0)
    worker.run_many([given, other])
    assert given.inputs["input"].tolist() == [7.0, 7.0]
    assert other.inputs["input"].tolist() == [1.0]


def test_what_cannot_cross_is_no_refusal(worker: WorkerAdapter) -> None:
    with pytest.raises(WorkerDied, match="cannot be sent to a worker"):
        worker.run(call("right", 1.0, strange=3j))
    found = worker.run_many([call("right"), call("right", strange=3j), call("right")])
    assert [type(item) for item in found] == [Output, WorkerDied, Output]
    assert worker.run(call("right", 1.0)).value == 1.0


def test_its_warnings_cross(worker: WorkerAdapter) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        worker.run(call("warn"))
    assert [(item.category, str(item.message)) for item in caught] == [
        (DeprecationWarning, "this function will go away")
    ]


def test_a_warning_that_is_made_an_error_spoils_no_answer(worker: WorkerAdapter) -> None:
    with pytest.raises(DeprecationWarning, match="will go away"):
        worker.run_many([call("right", 1.0), call("warn"), call("right", 2.0)])
    assert worker.run(call("right", 3.0)).value == 3.0


def test_an_interrupt_of_the_judge_spoils_no_answer(worker: WorkerAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("conformance.worker.reading.answer_of", interrupt)
        with pytest.raises(KeyboardInterrupt):
            worker.run_many([call("right", 1.0), call("right", 2.0)])
    assert worker.run(call("right", 3.0)).value == 3.0


def test_what_is_no_output_stays_none(worker: WorkerAdapter) -> None:
    assert type(worker.run(call("nothing"))).__name__ == "list"
    output = worker.run(call("lists"))
    assert type(output.value).__name__ == "list"
    assert type(output.gradients["input"]).__name__ == "str"
    assert output.gradients["other"] is None
    output = worker.run(call("objects"))
    kinds = {name: array.dtype.kind for name, array in output.gradients.items()}
    assert (output.value.dtype.kind, kinds) == ("U", {"input": "O", "other": "V", "big": "f"})
    assert output.gradients["big"].dtype != np.float64


# What costs a case, and one only

DEADLY = {
    "segfault": r"^SIGSEGV \(segmentation fault\) killed the worker during this call",
    "abort": r"^SIGABRT \(aborted\) killed the worker during this call; it last printed 'free\(\): invalid pointer'",
    "killed": r"^SIGKILL \(killed; the system does so when memory runs out\) killed the worker",
    "leave": "^the worker ended during this call, with exit code 0 and without an answer",
    "close_all": "^the worker (closed its channel|ended) during this call",
    "half_a_frame": "^the worker ended during this call, with exit code 1",
    "huge_claim": "no answer .it announces 1,152,921,504,606,846,992 bytes",
    "garbage": "no answer .it does not begin like a frame",
    "no_json": "no answer .its header is not JSON",
    "another_answer": "no answer .it is no answer to this call",
    "allocate": "^more than 0.25 GiB of memory: the worker was killed",
    "allocate_in_child": "^more than 0.25 GiB of memory: the worker was killed",
}
SLOW = {
    "hang": "^no answer within 0.5 s: the worker was killed$",
    "hang_in_c": "^no answer within 0.5 s: the worker was killed$",
    "stop": "^no answer within 0.5 s: the worker was killed$",
    "flood_and_hang": "^no answer within 0.5 s: the worker was killed; it last printed 'xxxx",
}
HARMLESS = ("flood", "leave_a_child", "answer_twice", "exit", "interrupt", "raise_error", "raise_strangely", "nothing")


@pytest.mark.parametrize("criterion", [*DEADLY, *SLOW])
def test_it_costs_one_case(criterion: str, worker: WorkerAdapter, impatient: WorkerAdapter) -> None:
    adapter = impatient if criterion in SLOW else worker
    adapter.run(call("right"))
    pid = pid_of(adapter)
    before, died, after, last = adapter.run_many(
        [call("right", 1.0), call(criterion), call("right", 2.0), call("right", 3.0)]
    )
    assert isinstance(died, WorkerDied)
    with pytest.raises(WorkerDied, match={**DEADLY, **SLOW}[criterion]):
        raise died
    assert "\n" not in str(died)
    assert [item.value.item() for item in (before, after, last) if isinstance(item, Output)] == [1.0, 2.0, 3.0]
    assert pid_of(adapter) != pid
    assert is_gone(pid)


@pytest.mark.parametrize("criterion", HARMLESS)
def test_it_costs_nothing(criterion: str, worker: WorkerAdapter) -> None:
    worker.run(call("right"))
    pid = pid_of(worker)
    calls = [call("right", 1.0), call(criterion), call("right", 2.0), call("right", 3.0)]
    found = [item for item in worker.run_many(calls) if isinstance(item, Output)]
    assert [item.value.item() for item in (found[0], *found[-2:])] == [1.0, 2.0, 3.0]
    assert pid_of(worker) == pid


def test_exits_are_raised(worker: WorkerAdapter) -> None:
    names = [type(item).__name__ for item in worker.run_many([call("exit"), call("interrupt")])]
    assert names == ["SystemExit", "KeyboardInterrupt"]


def test_each_death_costs_a_case_of_its_own(worker: WorkerAdapter) -> None:
    kinds = ("right", "segfault", "leave", "right", "segfault")
    found = worker.run_many([call(kind, 1.0) for kind in kinds])
    assert [type(item) is WorkerDied for item in found] == [kind != "right" for kind in kinds]


def test_a_large_call_crosses_whole(worker: WorkerAdapter) -> None:
    x = np.random.default_rng(0).normal(size=500_000)
    calls = [Call("right", {"input": x}, {}, "float64", wrt=("input",)) for _ in range(4)]
    for output in worker.run_many(calls):
        assert isinstance(output, Output)
        np.testing.assert_array_equal(output.gradients["input"], x)


# Nothing stays behind


@pytest.mark.parametrize("criterion", ["leave_a_child", "leave_a_session"])
def test_closing_ends_what_it_has_forked(criterion: str) -> None:
    adapter = WorkerAdapter(RUINOUS, limits=FAST)
    pids = [pid_of(adapter), int(adapter.run(call(criterion)).value)]
    assert not any(is_gone(pid, within=0.05) for pid in pids)
    adapter.close()
    assert all(is_gone(pid) for pid in pids)
    assert adapter.run(call("right", 1.0)).value == 1.0  # and another one starts
    pid = pid_of(adapter)
    del adapter
    assert is_gone(pid)


def test_a_death_ends_what_it_has_forked(worker: WorkerAdapter) -> None:
    child, _ = worker.run_many([call("leave_a_child"), call("segfault")])
    assert isinstance(child, Output)
    assert is_gone(int(child.value))


JUDGE = """
import sys
from conformance import Call
from conformance.worker.adapter import WorkerAdapter
adapter = WorkerAdapter("tests.faulty_workers:Ruinous")
child = int(adapter.run(Call("leave_a_child", {}, {}, "float64")).value)
print(adapter._process._process.pid, child, flush=True)
adapter.run(Call(sys.argv[1], {}, {}, "float64"))
"""


@pytest.mark.parametrize("criterion", ["hang", "hang_in_c"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_judge_is_that_of_its_worker(number: signal.Signals, criterion: str) -> None:
    root = Path(__file__).parent.parent
    judge = subprocess.Popen(
        [sys.executable, "-c", JUDGE, criterion], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert judge.stdout is not None
    pids = [int(text) for text in judge.stdout.readline().split()]
    time.sleep(0.2)
    assert len(pids) == 2
    assert not any(is_gone(pid, within=0.05) for pid in pids)
    judge.send_signal(number)
    judge.wait(20)
    judge.stdout.close()
    assert all(is_gone(pid) for pid in pids)


def test_a_thread_does_it_where_the_kernel_does_not() -> None:
    code = (
        "import fcntl, sys, time; del fcntl.F_SETSIG\n"
        "from conformance.worker.child import die_with\n"
        "die_with(int(sys.argv[1])); print('up', flush=True); time.sleep(1000)"
    )
    lifeline, ours = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(lifeline)], pass_fds=[lifeline], start_new_session=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    os.close(lifeline)
    os.close(ours)
    assert process.wait(10) == -signal.SIGKILL
    process.stdout.close()


# What cannot be started


def script(folder: Path, text: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("/no/such/python", "there is no interpreter '/no/such/python'"),
        ("no-such-python", "there is no interpreter 'no-such-python'"),
        ("/", "'/' is no program"),
        ("tests/faulty_workers.py", "is no program"),
        ("/bin/true", "does not start, tried 3 times: the worker ended, with exit code 0 and without an answer"),
        ("/bin/cat", "does not start, tried 3 times: the worker ended, with exit code 1"),
    ],
)
def test_an_interpreter_that_is_none_is_told(python: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent.parent)
    with pytest.raises(AdapterError) as caught:
        load_adapter(f"{RUINOUS}@{python}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_interpreter_at_all_is_told() -> None:
    with pytest.raises(AdapterError, match="give the path of a Python behind the @"):
        load_adapter("torch@")


def test_an_interpreter_without_numpy_is_told(tmp_path: Path) -> None:
    python = script(tmp_path, f'exec {sys.executable} -S -E "$@"')
    with pytest.raises(AdapterError, match=r"NumPy cannot be imported there.*\(ModuleNotFoundError: No module"):
        load_adapter(f"{RUINOUS}@{python}")


def test_an_interpreter_that_is_too_old_is_told(tmp_path: Path) -> None:
    compile(BOOT, "boot", "exec")
    told = BOOT.replace("(3, 10)", "(4, 0)")
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.10 or newer is due, and it is 3.")


def test_one_that_hangs_at_the_start_is_told(tmp_path: Path) -> None:
    quick = Limits(start=0.3, starts=2)
    with pytest.raises(AdapterError, match=r"tried 2 times: no word from it within 0.3 s"):
        WorkerAdapter("tests.faulty_workers:Mute", limits=quick)


def test_one_that_starts_no_more_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTY_SIGNAL", str(tmp_path / "signal"))
    adapter = WorkerAdapter("tests.faulty_workers:OnlyOnce", limits=FAST)
    found = adapter.run_many([call("right"), call("segfault"), call("right"), call("right")])
    assert [type(item) for item in found] == [Output, WorkerDied, WorkerDied, WorkerDied]
    assert "does not start, tried 3 times: SIGABRT (aborted) killed the worker" in str(found[2])
    start = time.monotonic()
    with pytest.raises(WorkerDied, match="does not start"):
        adapter.run(call("right"))
    assert time.monotonic() - start < 0.1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tests.faulty_workers:Alone", "'absent_framework' is not installed here"),
        ("tests.faulty_workers:Silent", "cannot say what it runs on: OSError: libcudart.so.13"),
        ("tests.faulty_workers:Nobody", "has no 'Nobody'"),
        ("nowhere:Adapter", "there is no module 'nowhere'"),
        ("torhc", "there is no framework 'torhc'"),
        ("tests.faulty_workers:Shy", "does not start, tried 3 times: SIGABRT (aborted) killed the worker"),
    ],
)
def test_an_adapter_that_cannot_be_had_there_is_told(name: str, said: str) -> None:
    with pytest.raises(AdapterError) as caught:
        load_adapter(f"{name}@{sys.executable}")
    assert said in str(caught.value)
    assert sys.executable in str(caught.value)


def test_another_protocol_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.worker.adapter.PROTOCOL", 2)
    with pytest.raises(AdapterError, match="the judge speaks protocol 2, and this worker 1"):
        WorkerAdapter(RUINOUS)


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_WORKER_CALL", "60")
    monkeypatch.setenv("CONFORMANCE_WORKER_MEMORY", "0.5")
    assert Limits.given() == Limits(call=60.0, memory=0.5)
    for text in ("soon", "0", "-1", "nan"):
        monkeypatch.setenv("CONFORMANCE_WORKER_CALL", text)
        with pytest.raises(UsageError, match="CONFORMANCE_WORKER_CALL: a number above 0"):
            Limits.given()


# Nothing is believed


def answer(header: dict[str, Any], body: bytes = b"") -> Any:
    return answer_of(({"answer": 1, **header}, body), 1).output


def described(dtype: Any, shape: Any) -> dict[str, Any]:
    return {"value": {"dtype": dtype, "shape": shape}, "gradients": []}


def test_a_right_answer_is_read() -> None:
    output = answer(described("float32", [2, 1]), np.array([[1.5], [2.5]], np.float32).tobytes())
    assert output.value.tolist() == [[1.5], [2.5]]


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ({}, b"x"),
        ({"value": 3}, b""),
        ({"value": None}, b""),
        ({"value": None, "gradients": {}}, b""),
        ({"value": None, "gradients": [["input"]]}, b""),
        ({"value": None, "gradients": [["input", None], ["input", None]]}, b""),
        ({"value": None, "gradients": [], "changed": 3}, b""),
        ({"value": None, "gradients": [[3, None]]}, b""),
        ({"value": {"type": 3}, "gradients": []}, b""),
        ({"value": {}, "gradients": []}, b""),
        (described("float64", [1]), b"1234567"),
        (described("float64", [1]), b"123456789"),
        (described("float64", [-1]), b"12345678"),
        (described("float64", [1.0]), b"12345678"),
        (described("float64", [True]), b"12345678"),
        (described("float64", ["1"]), b"12345678"),
        (described("float64", 1), b"12345678"),
        (described("float64", [1 << 60]), b"12345678"),
        (described("float64", [1 << 40, 1 << 40]), b"12345678"),
        (described("float64", [0, 1 << 40, 1 << 40, 1 << 40]), b""),
        (described("float64", [1] * 33), b"12345678"),
        (described("object", [1]), b"12345678"),
        (described("float65", [1]), b"12345678"),
        (described(None, [1]), b"12345678"),
        ({"raised": "text"}, b""),
        ({"raised": ["ValueError"]}, b""),
        ({"unsupported": 3}, b""),
        ({"returned": None}, b""),
    ],
)
def test_a_lie_is_no_answer(header: dict[str, Any], body: bytes) -> None:
    with pytest.raises(Nonsense):
        answer(header, body)


def test_what_is_none_else_is_refused() -> None:
    for read, data in ((environment_of, 3), (environment_of, {}), (binding_of, 3), (binding_of, {"function": 1})):
        with pytest.raises(Nonsense):
            read(data)
    for items in (3, [3], [["a"]], [["a", 3]]):
        with pytest.raises(Nonsense):
            answer({"unsupported": "", "warnings": items})
    assert type(raised_of(["a\0b", "text"])).__name__ == "ab"
    assert isinstance(raised_of(["Harmful", "text"]), Harmful)


def test_no_bytes_whatever_end_the_judge() -> None:
    """A frame with any byte changed is read, or refused; nothing else comes of it."""
    random = np.random.default_rng(0)
    body = np.arange(3.0).tobytes()
    whole = pack({"answer": 1, **described("float64", [3]), "warnings": [["UserWarning", "text"]]}, [body])
    for _ in range(3000):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        frames = Frames(most=1000)
        frames.feed(bytes(data[: random.integers(1, len(data) + 1)]))
        try:
            frame = frames.next()
            if frame is not None:
                answer_of(frame, 1)
        except Nonsense:
            pass


def test_frames_come_in_any_pieces() -> None:
    sent = [pack({"n": n}, [bytes(n)]) for n in range(5)]
    frames, found = Frames(most=10), []
    for byte in b"".join(sent):
        frames.feed(bytes([byte]))
        while (frame := frames.next()) is not None:
            found.append(frame)
    assert found == [({"n": n}, bytes(n)) for n in range(5)]


def test_what_is_announced_is_not_allocated() -> None:
    frames = Frames(most=1000)
    frames.feed(HEAD.pack(MAGIC, 10, 1001))
    with pytest.raises(Nonsense, match="1,011 bytes"):
        frames.next()


# In its place


def test_an_adapter_of_this_interpreter_is_isolated() -> None:
    own = load_adapter(RUINOUS)
    isolated = Isolated(own, own.environment(), RUINOUS)
    assert isinstance(isolated.adapter, WorkerAdapter)
    assert isolated.adapter.run(call("right", 1.0)).value == 1.0
    assert isolated.adapter is isolated.adapter
    assert isolated.warning == ""
    pid = pid_of(isolated.adapter)
    isolated.close()
    assert is_gone(pid)


def test_one_that_no_worker_can_have_runs_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    own = load_adapter(RUINOUS)
    isolated = Isolated(own, own.environment(), "made_up:Adapter")
    assert isolated.adapter is own
    assert "ran in process, where a crash ends the run" in isolated.warning
    assert "no module 'made_up'" in isolated.warning
    monkeypatch.setattr(own, "name", "changed")
    isolated = Isolated(own, own.environment(), RUINOUS)
    assert isolated.adapter is own
    assert "('ruinous', {'ruinous': '2.5+local'}) there" in isolated.warning
    isolated.close()


def test_what_runs_in_a_worker_needs_no_second() -> None:
    own = WorkerAdapter(RUINOUS, sys.executable, limits=FAST)
    isolated = Isolated(own, own.environment(), f"{RUINOUS}@{sys.executable}")
    assert isolated.adapter is own
    pid = pid_of(own)
    isolated.close()
    assert is_gone(pid)


def test_a_worker_imports_numpy_only() -> None:
    heavy = ["hypothesis", "pydantic", "pytest", "ruamel", "flint", "numpy_quaddtype", "psutil", "packaging"]
    code = BOOT.rpartition("main(")[0] + (
        "from conformance.adapter.load import load_adapter\n"
        "from conformance.worker import messages\n"
        "load_adapter('tests.faulty_workers:Ruinous')\n"
        f"print(*set(sys.modules) & set({heavy}))"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(root / "conformance")],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""


def test_a_script_crosses_and_so_does_none() -> None:
    asked = Call("l1", {"input": np.ones(2), "target": np.zeros(2)}, {"reduction": "sum"}, "float64", wrt=("input",))
    torch = WorkerAdapter("torch")
    numpy = WorkerAdapter("numpy")
    try:
        assert torch.script(asked) == load_adapter("torch").script(asked)  # type: ignore[attr-defined]
        assert torch.run(asked).value == 2
        assert numpy.script(asked) == ""
        assert numpy.run(asked).value == 2
    finally:
        torch.close()
        numpy.close()


@pytest.mark.parametrize("flushes", [False, True, (), ("float64", "float32")])
def test_an_environment_crosses_with_the_dtypes_that_are_flushed(flushes: bool | tuple[str, ...]) -> None:
    sent = Environment({"ours": "1"}, flushes_subnormals=flushes, same=("module",), costly=("compiled",))
    assert environment_of(environment_data(sent)) == sent
