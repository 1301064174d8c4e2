"""Where the time of a run goes, framework beside framework, and how that compares with a peer's suite on this machine.

    python -m benchmarks.throughput [--framework torch:eager --framework jax:compiled …] [--effort default]
        [--criterion GLOB] [--dtype D] [--sizes] [--peer DIR [--peer-python PATH]] [--json FILE] [--against FILE]

Whole runs, without pytest: judged cases per CPU second, and how much of it went into drawing, the reference, the
framework (of which, for torch, inside its own calls), the verdict and the record. A framework that there is no adapter
for is told. `--sizes` adds small cases (the ordinary ones) and large ones (of 100,000 elements) apart. `--peer` is a
checkout of data-apis/array-api-tests with its submodule, run on NumPy: Hypothesis examples per CPU second. `--json`
keeps the figures, `--against` prints this run's over an earlier one's. All of it is CPU time of this process, and
nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from tabulate import tabulate

from conformance.adapter import Adapter
from conformance.cases import plan as case_plan
from conformance.cases.expand import expand
from conformance.errors import ConformanceError
from conformance.reference.evaluate import Evaluation
from conformance.suite import calls, run
from conformance.suite import cell as judging
from conformance.suite import recorder as keeping
from conformance.suite.options import Options
from conformance.suite.plan import Plan, make_plan
from conformance.verdict import compare, known, tally
from tests.mutants.sharing import users_of

PARTS = ("drawing", "reference", "framework", "inside", "verdict", "record", "rest")
FRAMEWORKS = ("torch:eager", "jax:compiled", "tensorflow:compiled")
EXAMPLES = re.compile(r"(\d+) passing, (\d+) failing")  # what Hypothesis says of a test
Row = dict[str, Any]


class Meter:
    """CPU seconds by part: each moment counts for the innermost part that is at work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._parts, self._since = ["rest"], time.process_time()

    def _switch(self) -> None:
        now = time.process_time()
        self.seconds[self._parts[-1]] += now - self._since
        self._since = now

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time counts for `part`."""

        def inner(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._parts.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._parts.pop()

        return inner

    @contextmanager
    def measuring(self, adapter: Adapter) -> Iterator[dict[str, float]]:
        """Counts what goes on inside, from 0."""
        with ExitStack() as patches:
            for part, owner, name in PLACES:
                function = getattr(owner, name)
                for user in [owner] if isinstance(owner, type) else users_of(function, "conformance."):
                    patches.enter_context(mock.patch.object(user, name, self.timed(part, function)))
            if adapter.name == "torch":
                patches.enter_context(self._inside_torch(adapter))
            self._switch()
            self.seconds.clear()
            yield self.seconds
            self._switch()

    @contextmanager
    def _inside_torch(self, adapter: Any) -> Iterator[None]:
        """Torch's own forward and backward calls, and a formula's code; those of other frameworks are not told from
        their adapters'."""
        module = sys.modules[type(adapter).__module__]
        own = {name: function and self.timed("inside", function) for name, function in adapter._functions.items()}
        backward, function_of = self.timed("inside", module.torch.autograd.grad), module.function_of
        with (
            mock.patch.dict(adapter._functions, own),
            mock.patch.object(module.torch.autograd, "grad", backward),
            mock.patch.object(module, "function_of", lambda call: self.timed("inside", function_of(call))),
        ):
            yield


# The functions whose time is a part's; methods are patched in their class, functions wherever they were imported.
PLACES: tuple[tuple[str, Any, str], ...] = (
    ("drawing", case_plan, "expand"),
    ("drawing", case_plan, "covering_rows"),
    ("drawing", case_plan, "drawn_bits"),
    ("reference", Evaluation, "numbers"),
    ("reference", Evaluation, "excused"),
    ("reference", sys.modules["conformance.reference.evaluate"], "evaluate_stack"),
    ("reference", sys.modules["conformance.reference.certify"], "certify"),
    ("framework", calls, "run_calls"),
    ("framework", calls, "run_call"),
    ("verdict", compare, "judge"),
    ("verdict", known.Coverage, "of"),
    ("verdict", known.Coverage, "of_raised"),
    ("verdict", tally.Tally, "add"),
    ("verdict", tally.Tally, "measure"),
    ("record", judging.CellJudge, "checks"),
    ("record", keeping.Recorder, "take"),
    ("record", keeping.Recorder, "finish"),
)


def planned(framework: str, given: argparse.Namespace, dtype: str) -> Plan:
    """The plan of one framework, mode and dtype."""
    name, _, mode = framework.partition(":")
    modes, criteria = (mode,) if mode else (), tuple(given.criterion)
    return make_plan(Options((name,), criteria=criteria, effort=given.effort, dtypes=(dtype,), modes=modes))


def whole_run(framework: str, plan: Plan, dtype: str) -> Row:
    """All cells of a plan, as a run judges and records them."""
    (item,) = plan.frameworks.values()
    meter = Meter()
    with tempfile.TemporaryDirectory() as folder, meter.measuring(item.adapter) as seconds:
        plan.options = replace(plan.options, results=Path(folder) / "results.json")
        recorder = keeping.Recorder(plan, Path(folder) / "journal")
        recorder.begin()
        cases = 0
        for one in plan.cells:
            result = run.judge_cell(plan, one)
            recorder.take(json.loads(json.dumps(result.to_json())))
            cases += result.cases
        recorder.finish(interrupted=False, deselected=())
    return row(framework, dtype, "all", cases, seconds)


def by_size(framework: str, plan: Plan, dtype: str, effort: str) -> Iterator[Row]:
    """Generated cases alone: the ordinary ones, and those of 100,000 elements."""
    (item,) = plan.frameworks.values()
    for size, is_bulk in (("small", False), ("large", True)):
        meter, cases = Meter(), 0
        draw = meter.timed("drawing", expand)
        with meter.measuring(item.adapter) as seconds:
            for one in (cell for cell in plan.cells if plan.binding(cell) is not None):
                judge, spec = run._judge(plan, one, list(item.known)), plan.specs[one.criterion]
                recipes = case_plan.recipes(spec, dtype, effort, plan.options.seed)
                stacks = [draw(spec, dtype, recipe) for recipe in recipes if (recipe.kind == "bulk") is is_bulk]
                for stack in stacks:
                    judge.ask(stack)
                    cases += len(stack)
                judge.settle()
        yield row(framework, dtype, size, cases, seconds)


def row(framework: str, dtype: str, size: str, cases: int, seconds: dict[str, float]) -> Row:
    """The figures of one measurement."""
    total = sum(seconds.values())
    parts = {part: seconds[part] for part in PARTS}
    return {"framework": framework, "dtype": dtype, "size": size, "cases": cases, "cpu": total, "parts": parts}


def peer(folder: Path, python: str, tests: str, examples: int) -> Row:
    """array-api-tests on NumPy: examples per CPU second, its imports included."""
    command = [python, "-m", "pytest", tests, "-q", "-p", "no:cacheprovider", f"--max-examples={examples}"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--hypothesis-show-statistics", "--disable-deadline"],
        cwd=folder,
        env={**os.environ, "ARRAY_API_TESTS_MODULE": "numpy"},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    count = sum(int(passing) + int(failing) for passing, failing in EXAMPLES.findall(done.stdout))
    if not count:
        sys.exit(f"{folder} ran no example:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return {"framework": "array-api-tests", "dtype": tests, "size": "all", "cases": count, "cpu": cpu, "parts": {}}


def printed(rows: list[Row], earlier: dict[tuple[str, ...], Row]) -> str:
    """A line for each measurement; the last column is its rate over the earlier one's."""
    lines = []
    for item in rows:
        shares = [item["parts"].get(part, 0) / item["cpu"] for part in PARTS] if item["parts"] else [None] * len(PARTS)
        inside = item["parts"].get("inside", 0)
        before = earlier.get(key(item))
        lines.append(
            [
                *(*key(item), item["cases"], item["cpu"], rate(item), *shares),
                item["cpu"] / inside if inside else None,
                rate(item) / rate(before) if before else None,
            ]
        )
    head = ["", "dtype", "cases", "", "CPU s", "per CPU s", *PARTS, "of inside", "of before"]
    formats = ("", "", "", ",", ".1f", ",.0f", *[".1%"] * len(PARTS), ".1f", ".2f")
    return tabulate(lines, head, floatfmt=formats, intfmt=",", missingval="")


def key(item: Row) -> tuple[str, ...]:
    """What measurements of two runs are matched by."""
    return item["framework"], item["dtype"], item["size"]


def rate(item: Row) -> float:
    """Cases, or examples, per CPU second."""
    return float(item["cases"]) / float(item["cpu"])


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--framework", action="append", metavar="NAME:MODE")
    made.add_argument("--effort", default="default")
    made.add_argument("--criterion", action="append", default=[])
    made.add_argument("--dtype", action="append")
    made.add_argument("--sizes", action="store_true", help="small and large cases apart, too")
    made.add_argument("--peer", type=Path, metavar="DIR")
    made.add_argument("--peer-python", default=sys.executable, help="an interpreter with what the peer needs")
    made.add_argument("--peer-tests", default="array_api_tests/test_operators_and_elementwise_functions.py")
    made.add_argument("--peer-examples", type=int, default=100)
    made.add_argument("--json", type=Path)
    made.add_argument("--against", type=Path)
    return made


def main() -> None:
    given = parser().parse_args()
    rows: list[Row] = []
    warnings.simplefilter("ignore")
    for framework in given.framework or FRAMEWORKS:
        for dtype in given.dtype or ("float32", "float64"):
            try:
                plan = planned(framework, given, dtype)
            except ConformanceError as error:
                print(f"{framework}: not measured: {error}", file=sys.stderr)
                break
            rows.append(whole_run(framework, plan, dtype))
            if given.sizes:
                rows += by_size(framework, plan, dtype, given.effort)
    if given.peer:
        rows.append(peer(given.peer, given.peer_python, given.peer_tests, given.peer_examples))
    earlier = {key(item): item for item in json.loads(given.against.read_text())} if given.against else {}
    print(printed(rows, earlier))
    if given.peer:
        theirs = rate(rows[-1])
        print("\n".join(f"{' '.join(key(r))}: {rate(r) / theirs:.1f} × the peer's examples" for r in rows[:-1]))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
