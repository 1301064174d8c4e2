"""Where the time of a run goes: judged cases per CPU second, and the share of it inside the framework's own calls.

    python benchmarks/throughput.py [--framework torch] [--effort quick] [--criterion GLOB]

Prints one row per criterion and dtype. A benchmark, not a test: nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

from tabulate import tabulate

from conformance.suite.options import Options
from conformance.suite.plan import Plan, make_plan
from conformance.suite.run import CellResult, judge_cell


class Clock:
    """Adds up the time inside the functions it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def wrap(self, function: Any) -> Any:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def inside_torch(plan: Plan) -> Clock | None:
    """A clock on torch's own forward and backward calls; None where torch is not judged."""
    if "torch" not in plan.frameworks:
        return None
    import sys

    clock = Clock()
    adapter: Any = plan.frameworks["torch"].adapter
    module: Any = sys.modules[type(adapter).__module__]
    adapter._functions = {name: f and clock.wrap(f) for name, f in adapter._functions.items()}
    module.torch.autograd.grad = clock.wrap(module.torch.autograd.grad)
    return clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", default="torch")
    parser.add_argument("--effort", default="default")
    parser.add_argument("--criterion", default="*")
    given = parser.parse_args()
    plan = make_plan(Options(frameworks=(given.framework,), effort=given.effort, criteria=(given.criterion,)))
    clock = inside_torch(plan)
    rows, results, native = [], [], []
    started = time.process_time()
    for cell in plan.cells:
        before, cpu = clock.seconds if clock else 0.0, time.process_time()
        result = judge_cell(plan, cell)
        results.append(result)
        native.append((clock.seconds - before) if clock else result.seconds["framework"])
        rows.append(_row(result, time.process_time() - cpu, native[-1]))
    cpu = time.process_time() - started
    cases = sum(result.cases for result in results)
    rows.append(["all", "", sum(r.recipes for r in results), cases, cpu, cases / cpu, sum(native) / cpu, "", "", ""])
    head = ["criterion", "dtype", "recipes", "cases", "CPU s", "cases/s", "inside", "adapter", "reference", "verdict"]
    print(tabulate(rows, head, floatfmt=("", "", "", "", ".2f", ".0f", ".1%", ".1%", ".1%", ".1%")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = cpu / max(sum(native), 1e-9)
    print(f"peak memory {peak:.0f} MiB; whole run {times:.1f} × the time inside the framework's own calls")


def _row(result: CellResult, cpu: float, native: float) -> list[Any]:
    share = [result.seconds[name] / result.seconds["total"] for name in ("framework", "reference", "verdict")]
    cell = result.cell
    return [cell.criterion, cell.dtype, result.recipes, result.cases, cpu, result.cases / cpu, native / cpu, *share]


if __name__ == "__main__":
    main()
