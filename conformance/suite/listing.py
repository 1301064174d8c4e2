"""What `--collect-only` shows, from memory: which cells there are, frameworks say, and to import one takes seconds.

pytest's cache keeps the cells of the last plans, each under a digest of what decides them: the options, the suite's
files and those that the options name, what is installed, and the variables by which frameworks are configured. Nothing
is judged from it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance._resources import PACKAGE, folder
from conformance.record.model import Cell
from conformance.suite.options import Options

CELLS = pytest.StashKey[Sequence[Cell]]()  # of a run: what is collected
_KEY = pytest.StashKey[str | None]()  # … and under which digest it is remembered

_CACHE = "conformance/listings"
_MOST = 16
_VARIABLES = ("CUDA_", "FLAGS_", "JAX_", "KERAS_", "MLX_", "PYTORCH_", "TF_", "TORCH_", "XLA_")


class Listing:
    """In the suite's place where cells are only listed."""

    def __init__(self, header: list[str]) -> None:
        self.header = header

    def pytest_report_header(self) -> list[str]:
        """What the suite said when it made the plan."""
        return self.header


def remembered(config: pytest.Config) -> Listing | None:
    """The listing of the plan that the options ask for, if nothing else is asked for and it is remembered.

    Raises:
        UsageError: the options are wrong.
    """
    if hasattr(config, "workerinput"):
        return None
    key = config.stash[_KEY] = _key_of(Options.read(config.option))  # once frameworks are imported, it is another
    found = _cached(config).get(key or "") if config.option.collectonly else None
    if found is None:
        return None
    config.stash[CELLS] = [Cell(*id_.split("/")) for id_ in found["cells"]]
    return Listing(found["header"])


def remember(config: pytest.Config, header: list[str]) -> None:
    """Keeps the cells of a plan for the next listing."""
    key, cache = config.stash.get(_KEY, None), getattr(config, "cache", None)
    if key is None or cache is None:
        return
    kept = {name: found for name, found in _cached(config).items() if name != key}
    kept[key] = {"cells": [cell.id for cell in config.stash[CELLS]], "header": header}
    cache.set(_CACHE, dict(list(kept.items())[-_MOST:]))


def _cached(config: pytest.Config) -> dict[str, Any]:
    cache = getattr(config, "cache", None)
    found = cache.get(_CACHE, {}) if cache is not None else {}
    return found if isinstance(found, dict) else {}


def _key_of(options: Options) -> str | None:
    """A digest of what decides the cells of a run; None where more does: devices, a journal, somebody's module."""
    own = [name.partition(":")[0] for name in options.frameworks]
    is_known = all(name.isidentifier() and (folder("adapters") / f"{name}.py").is_file() for name in own)
    if options.resume or options.cluster or options.devices != ("cpu",) or not is_known:
        return None
    plan = replace(options, results=None, report=None, baseline=None)
    parts = [repr(plan), sys.version, *sys.path]
    parts += sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(_VARIABLES))
    parts += sorted(name for place in sys.path for name in _distributions(place))
    parts += (f"{path} {(stat := path.stat()).st_mtime_ns} {stat.st_size}" for path in sorted(_files(options)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _distributions(place: str) -> list[str]:
    try:
        return [name for name in os.listdir(place) if name.endswith((".dist-info", ".egg-info"))]
    except OSError:
        return []


def _files(options: Options) -> Iterator[Path]:
    yield from PACKAGE.rglob("*.py")
    yield from folder("adapters").glob("*.*")
    for place in (folder("specs"), *options.specs):
        yield from place.glob("*.yaml")
    yield from options.known
