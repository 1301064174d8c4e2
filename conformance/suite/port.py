"""`conformance port`: two frameworks are judged on one criterion, and what changes from one to the other is printed."""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.adapter import Adapter, Binding, Call, Environment, Output, Unsupported
from conformance.adapter.load import load_adapter
from conformance.errors import UsageError
from conformance.report.port import port_text
from conformance.suite.options import Options, dest
from conformance.suite.plan import Plan, make_plan
from conformance.suite.recorder import Recorder
from conformance.suite.run import judge_cell


def port(old: str, new: str, criterion: str, dtype: str = "float32", specs: Sequence[Path] = ()) -> int:
    """0, after printing what changes for `criterion` from the framework `old` to `new`, both as --framework takes them.

    Raises:
        ConformanceError: there is no such framework or criterion, or they are one and the same.
    """
    if old == new:
        raise UsageError(f"from {old} to {new} nothing changes; name two frameworks")
    given = {
        "--framework": [old, new],
        "--criterion": [criterion],
        "--dtype": [dtype],
        "--specs": specs,
        "--effort": "quick",
    }
    asked = Options.read(Namespace(**{dest(option): value for option, value in given.items()}))
    heard: dict[str, Counter[str]] = {}

    def load(name: str, folders: Sequence[Path]) -> Adapter:
        return _Heard(load_adapter(name, folders), heard.setdefault(name, Counter()))

    plan = make_plan(asked, load)
    try:
        document = _judged(plan)
    finally:
        plan.close()
    names = {framework.option: name for name, framework in plan.frameworks.items()}
    refused = {names[option]: counted for option, counted in heard.items()}
    reasons = {entry.id: entry.reason for framework in plan.frameworks.values() for entry in framework.known}
    width = shutil.get_terminal_size((100, 24)).columns
    print(port_text(document, criterion, (names[old], names[new]), refused, reasons, width))
    return 0


def _judged(plan: Plan) -> dict[str, Any]:
    """The results document of a plan."""
    recorder = Recorder(plan, None)
    recorder.begin()
    for cell in plan.cells:
        recorder.take(judge_cell(plan, cell).to_json())
    return recorder.finish(False, ())


class _Heard:
    """An adapter, and what it says that it does not take."""

    def __init__(self, adapter: Adapter, refused: Counter[str]) -> None:
        self.name = adapter.name
        self._adapter, self._refused = adapter, refused

    def __getattr__(self, name: str) -> object:
        if name == "run_many":
            raise AttributeError(name)  # one by one, so that each refusal is heard
        return getattr(self._adapter, name)

    def environment(self) -> Environment:
        return self._adapter.environment()

    def binding(self, criterion: str) -> Binding | None:
        return self._adapter.binding(criterion)

    def run(self, call: Call) -> Output:
        try:
            return self._adapter.run(call)
        except Unsupported as reason:
            self._refused[str(reason)] += 1
            raise
