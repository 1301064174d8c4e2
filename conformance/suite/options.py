"""The options of a run: their names, their help, and what is wrong with what was given."""

from __future__ import annotations

import difflib
import fnmatch
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.dtypes import DTYPES
from conformance.errors import UsageError

DEVICES = ("cpu", "cuda")
MODES = ("eager", "compiled", "xla", "formula", "module")
EFFORTS = ("quick", "default", "thorough")
FAIL_ON = ("new", "required", "inaccurate", "none")

# name, action, metavar, help: the pytest plugin and the command line register the same ones
OPTIONS: tuple[tuple[str, str, str, str], ...] = (
    (
        "--framework",
        "append",
        "NAME",
        "framework to judge: a built-in name or module:Class; NAME@PYTHON runs it in another interpreter"
        " (repeats; default: numpy)",
    ),
    ("--criterion", "append", "GLOB", "only these criteria (repeats)"),
    ("--dtype", "append", "DTYPE", f"only these dtypes: {', '.join(DTYPES)} (repeats)"),
    ("--device", "append", "DEVICE", "cpu or cuda (repeats; default: cpu)"),
    (
        "--mode",
        "append",
        "MODE",
        f"{', '.join(MODES)} (repeats; default: eager, compiled, xla, and formula where there is no function)",
    ),
    ("--effort", "store", "EFFORT", "quick, default or thorough"),
    ("--conformance-seed", "store", "N", "seed of the cases (default: 0)"),
    ("--known", "append", "FILE", "known differences, beside the built-in ones (repeats)"),
    ("--specs", "append", "DIR", "specs, beside the built-in ones (repeats)"),
    ("--results", "store", "FILE", "write the results as JSON"),
    ("--report", "store", "FILE", "write the report: as HTML, or as .md, .xml, .csv, .svg or .txt"),
    ("--baseline", "store", "FILE", "results of an earlier run to compare with"),
    ("--fail-on", "store", "WHAT", "new (default), required, inaccurate or none"),
    ("--shard", "store", "I/N", "judge only the I-th of N shares of the plan; `conformance report` merges them"),
    ("--resume", "store_true", "", "go on where a run with the same --results was cut off"),
    ("--cluster", "store", "ADDRESS", "judge on a Ray cluster: HOST:PORT, auto, or local (worker processes here)"),
    ("--cluster-env", "store", "FILE", "JSON: the Ray runtime_env in which each --framework is judged"),
    ("--cell-timeout", "store", "SECONDS", "with --cluster: end a cell that takes longer (default: 3600)"),
    ("--cell-memory", "store", "GIB", "with --cluster: what a cell asks for, and is ended above (default: 2)"),
)


def dest(option: str) -> str:
    """The attribute under which pytest keeps an option."""
    return "conformance_" + option.strip("-").removeprefix("conformance-").replace("-", "_")


def register(add: Callable[..., Any]) -> None:
    """Adds every option with `add`, which takes what argparse's `add_argument` takes."""
    for option, action, metavar, text in OPTIONS:
        more = {"metavar": metavar} if metavar else {}
        add(option, action=action, dest=dest(option), default=None, help=text, **more)


@dataclass(frozen=True)
class Options:
    """What a run was asked for, valid."""

    frameworks: tuple[str, ...] = ("numpy",)
    criteria: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    modes: tuple[str, ...] = ()
    effort: str = "default"
    seed: int = 0
    known: tuple[Path, ...] = ()
    specs: tuple[Path, ...] = ()
    results: Path | None = None
    report: Path | None = None
    baseline: Path | None = None
    fail_on: str = "new"
    shard: tuple[int, int] = (1, 1)  # the i-th of n, from 1
    resume: bool = False
    cluster: str | None = None
    cluster_env: Path | None = None
    cell_timeout: float = 3600.0  # seconds
    cell_memory: float = 2.0  # GiB
    default_framework: bool = field(default=False, compare=False)

    @staticmethod
    def read(given: Any) -> Options:
        """The options of a namespace that holds them under `dest` names.

        Raises:
            UsageError: an unknown dtype, device, mode, effort or seed; a folder or file that is not there.
        """

        def many(name: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(getattr(given, dest(name), None) or ()))

        def one(name: str) -> str | None:
            return getattr(given, dest(name), None)

        frameworks = many("--framework")
        if getattr(given, dest("--resume"), None) and not one("--results"):
            raise UsageError("--resume goes on with the journal beside the results: say which with --results FILE")
        if one("--cluster-env") and not one("--cluster"):
            raise UsageError("--cluster-env is for --cluster, which is not given")
        return Options(
            frameworks=frameworks or ("numpy",),
            criteria=many("--criterion"),
            dtypes=_among("--dtype", many("--dtype"), DTYPES),
            devices=_among("--device", many("--device"), DEVICES) or ("cpu",),
            modes=_among("--mode", many("--mode"), MODES),
            effort=_among("--effort", (one("--effort") or "default",), EFFORTS)[0],
            seed=_seed(one("--conformance-seed")),
            known=tuple(_existing("--known", path, "file") for path in many("--known")),
            specs=tuple(_existing("--specs", path, "folder") for path in many("--specs")),
            results=_writable("--results", one("--results")),
            report=_writable("--report", one("--report")),
            baseline=_existing("--baseline", one("--baseline") or "", "file") if one("--baseline") else None,
            fail_on=_among("--fail-on", (one("--fail-on") or "new",), FAIL_ON)[0],
            shard=_shard(one("--shard")),
            resume=bool(getattr(given, dest("--resume"), None)),
            cluster=one("--cluster"),
            cluster_env=_existing("--cluster-env", one("--cluster-env") or "", "file")
            if one("--cluster-env")
            else None,
            cell_timeout=_positive("--cell-timeout", one("--cell-timeout"), Options.cell_timeout),
            cell_memory=_positive("--cell-memory", one("--cell-memory"), Options.cell_memory),
            default_framework=not frameworks,
        )

    def wanted(self, criteria: Iterable[str]) -> tuple[str, ...]:
        """Those of `criteria` that were asked for.

        Raises:
            UsageError: a pattern that matches none.
        """
        names = tuple(criteria)
        for pattern in self.criteria:
            if not fnmatch.filter(names, pattern):
                raise UsageError(unknown("criterion", pattern, names, "conformance list"))
        return tuple(n for n in names if not self.criteria or any(fnmatch.fnmatchcase(n, p) for p in self.criteria))


def unknown(what: str, name: str, there: Iterable[str], more: str = "") -> str:
    """The sentence that says a name does not exist, with the nearest one and all that do."""
    names = list(there)
    near = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"there is no {what} {name!r}{hint} There are: {', '.join(names)}" + (f" ({more})" if more else "")


def _among(option: str, given: tuple[str, ...], there: Iterable[str]) -> tuple[str, ...]:
    for name in given:
        if name not in there:
            raise UsageError(f"{option}: {unknown(option.strip('-'), name, there)}")
    return given


def _seed(text: str | None) -> int:
    try:
        seed = int(text or "0")
    except ValueError:
        raise UsageError(f"--conformance-seed: {text!r} is not a whole number") from None
    if not 0 <= seed < 2**63:
        raise UsageError("--conformance-seed: a whole number from 0 to 2**63 - 1 is due")
    return seed


def _shard(text: str | None) -> tuple[int, int]:
    first, _, count = (text or "1/1").partition("/")
    if not (first.isascii() and first.isdigit() and count.isascii() and count.isdigit()):
        raise UsageError(f"--shard: {text!r} is not I/N, such as 1/4")
    shard = int(first), int(count)
    if not 1 <= shard[0] <= shard[1]:
        raise UsageError(f"--shard: {text!r} is no share: I is from 1 to N")
    return shard


def _positive(option: str, text: str | None, default: float) -> float:
    try:
        number = default if text is None else float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"{option}: {text!r} is not a number above 0")
    return number


def _existing(option: str, text: str, kind: str) -> Path:
    path = Path(text)
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        raise UsageError(f"{option}: there is no {kind} {text!r}")
    return path


def _writable(option: str, text: str | None) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        why = "it is a folder" if path.is_dir() else "its folder is not there"
        raise UsageError(f"{option}: {text!r} cannot be written: {why}")
    return path
