"""How much faster a run is on several cores: the same run with `-n 0` and with `-n N`, in turns.

    python benchmarks/scaling.py [--pairs 3] [--workers 2] -- --framework torch --criterion l1 --effort thorough

Prints the seconds of each, their ratio, and the ratio that a machine with nothing else to do would show: by the CPU
seconds of the process that had most to do. On a shared machine only the second says anything. A benchmark, not a test.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def pytest_unconfigure() -> None:
    """As a plugin of the runs that are measured: what this process spent."""
    place = Path(os.environ["SCALING_OUT"])
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    (place / f"{'worker' if is_worker else 'main'}-{os.getpid()}").write_text(str(time.process_time()))


def measured(workers: int, args: list[str]) -> tuple[float, float]:
    """Wall seconds, and the CPU seconds of the longest way through the run: its main process up to the first test, and
    the worker that had most to do."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "SCALING_OUT": folder, "PYTHONPATH": path}
        command = [sys.executable, "-m", "pytest", "--pyargs", "conformance", "-q", "-p", "no:cacheprovider"]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "-p", "scaling", "-n", str(workers), *args], env=env, cwd=folder, capture_output=True, text=True
        )
        wall = time.perf_counter() - start
        if done.returncode not in (0, 1):
            sys.exit(done.stdout + done.stderr)
        spent = {path.name: float(path.read_text()) for path in Path(folder).iterdir()}
    mains, pool = ([s for name, s in spent.items() if name.startswith(kind)] for kind in ("main", "worker"))
    print(
        f"  -n {workers}: {wall:7.1f} s; CPU s: main {mains[0]:.1f}, workers {[round(s, 1) for s in pool]}", flush=True
    )
    return wall, mains[0] + max(pool, default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("args", nargs="*")
    given = parser.parse_args()
    walls, ways = [], []
    for _ in range(given.pairs):
        alone, many = measured(0, given.args), measured(given.workers, given.args)
        walls.append(alone[0] / many[0])
        ways.append(alone[1] / many[1])
    for what, ratios in (("wall", walls), ("CPU of the longest way", ways)):
        print(f"{what}: {statistics.median(ratios):.2f} × (median of {', '.join(f'{r:.2f}' for r in ratios)})")


if __name__ == "__main__":
    main()
