"""What `--collect-only` shows: which cells there are. Frameworks say that, and importing one takes seconds.

So what the built-in adapters say is written down (conformance.suite.offers). Where that does not do, pytest's cache
keeps the cells of the last plans, each under a digest of what decides them: the options, the suite's files and those
that the options name, what is installed, and the variables by which frameworks are configured. Nothing is judged from
either.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from conformance._resources import PACKAGE, built_in, folder
from conformance.record.model import Cell
from conformance.suite.offers import cells_of, said_of, written_down
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
        """What the suite says when it makes the plan."""
        return self.header

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hypothesis's plugin would import all of Hypothesis to say at the end that it did nothing."""
        if "hypothesis" not in sys.modules:
            session.config.pluginmanager.unregister(name="hypothesispytest")


def listing(config: pytest.Config) -> Listing | None:
    """What is listed, if nothing else is asked for, and it is written down or remembered.

    Raises:
        UsageError: the options are wrong.
    """
    if hasattr(config, "workerinput"):
        return None
    options = Options.read(config.option)
    if config.option.collectonly and (offered := cells_written_down(options)) is not None:
        config.stash[CELLS], header = offered
        return Listing(header)
    key = config.stash[_KEY] = _key_of(options)  # once frameworks are imported, it is another
    found = _cached(config).get(key or "") if config.option.collectonly else None
    if found is None:
        return None
    config.stash[CELLS] = [Cell(*id_.split("/")) for id_ in found["cells"]]
    return Listing(found["header"])


def header_of(
    options: Options,
    cells: int,
    versions: Mapping[str, Mapping[str, str]],
    interpreters: Mapping[str, str] = MappingProxyType({}),
    before: Sequence[str] = (),
) -> list[str]:
    """Seed, effort, what went `before`, and which frameworks are judged: the versions of their packages, and in which
    interpreter, if it is another."""
    lines = [f"conformance: seed {options.seed}, effort {options.effort}, {cells} cells", *before]
    for name, packages in versions.items():
        where = f" in {interpreters[name]}" if interpreters.get(name) else ""
        lines.append(f"judging: {name} ({said_of(packages)}){where}")
    if options.default_framework:
        there = [name for name in built_in() if name != "numpy" and importlib.util.find_spec(name) is not None]
        say = "; ".join(f"--framework {name}" for name in there) or "none of the known frameworks is installed"
        judged = "no --framework given, so the built-in numpy is judged: the formulas in NumPy"
        lines.append(f"{judged}. Installed: {say}")
    return lines


def cells_written_down(options: Options) -> tuple[list[Cell], list[str]] | None:
    """The cells that are judged and the header, from what is written down; None where that does not say all."""
    if not _is_plain(options) or options.specs or options.known or options.shard != (1, 1):
        return None
    criteria = sorted(path.stem for path in folder("specs").glob("*.yaml"))
    wanted = options.wanted(criteria)
    cells: list[Cell] = []
    versions = {}
    for name in options.frameworks:
        offer = written_down(name)
        if offer is None or set(offer.costly) & set(options.modes):  # compilers are on one machine and not on another
            return None
        versions[name] = offer.versions
        cells += [cell for cell, reason in cells_of(name, offer, criteria, wanted, options) if not reason]
    return cells, header_of(options, len(cells), versions)


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
    if not _is_plain(options) or not is_known:
        return None
    plan = replace(options, results=None, report=None, baseline=None)
    parts = [repr(plan), sys.version, *sys.path]
    parts += sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(_VARIABLES))
    parts += sorted(name for place in sys.path for name in _distributions(place))
    parts += (f"{path} {(stat := path.stat()).st_mtime_ns} {stat.st_size}" for path in sorted(_files(options)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _is_plain(options: Options) -> bool:
    """Whether cells are those of what is installed here: no journal, no cluster, no other device than the CPU."""
    return not options.resume and not options.cluster and options.devices == ("cpu",)


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
