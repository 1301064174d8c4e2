"""Finding an adapter by name, entry point or `module:Class`; `@PATH/TO/python` runs it in another interpreter.

A built-in adapter may come in variants, which its module names (`VARIANTS`): `keras:torch` is keras's, on torch.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from conformance._resources import built_in, folder
from conformance.adapter.protocol import Adapter
from conformance.errors import AdapterError

GROUP = "conformance.adapters"


def load_adapter(name: str, specs: Sequence[Path] = ()) -> Adapter:
    """A new instance of the adapter `name`: a built-in name, with a variant if it has any, an entry point of the group
    `conformance.adapters`, or `module:Class`. `NAME@PATH/TO/python` runs it in a worker process of that interpreter, to
    which `specs` tells the folders of specs beside the built-in ones.

    Raises:
        AdapterError: there is none of that name, it cannot be imported, or it lacks a method of the protocol.
    """
    name, at, python = name.partition("@")
    if at:
        return _in_worker(name, python, specs)
    factory = _factory(name)
    try:
        adapter: Adapter = factory()
    except ModuleNotFoundError as error:
        raise _not_installed(name, error) from error
    except Exception as error:
        raise AdapterError(f"the adapter {name!r} cannot be constructed: {_said(error)}") from error
    missing = [item for item in ("name", "environment", "binding", "run") if not hasattr(adapter, item)]
    if missing:
        raise AdapterError(f"{name!r} is not an adapter: it has no {', '.join(missing)}; see conformance.Adapter")
    return adapter


def _in_worker(name: str, python: str, specs: Sequence[Path]) -> Adapter:
    try:
        from conformance.worker.adapter import WorkerAdapter
    except ModuleNotFoundError as error:  # fcntl, say
        raise AdapterError(f"{name}@{python}: workers need Linux or macOS, and {error.name!r} is not here") from error
    if not python:
        raise AdapterError(f"{name}@: give the path of a Python behind the @, such as {name}@.venv-old/bin/python")
    return WorkerAdapter(name, python, specs)


def is_built_in(name: str) -> bool:
    """Whether `name` is that of a built-in adapter, or of a variant of one: `keras:torch`, but not `torch:Mine`."""
    own, colon, variant = name.partition(":")
    return own in built_in() and (not colon or variant in _variants(own, name))


def _variants(own: str, name: str) -> Sequence[str]:
    _adapters_package()
    variants: Sequence[str] = getattr(_import(f"conformance.adapters.{own}", name), "VARIANTS", ())
    return variants


def _factory(name: str) -> Any:
    own, colon, rest = name.partition(":")
    if is_built_in(name):
        _adapters_package()
        adapter = _attribute(_import(f"conformance.adapters.{own}", name), "Adapter", name)
        return functools.partial(adapter, rest) if colon else adapter
    if own in built_in() and (variants := _variants(own, name)):
        raise AdapterError(f"{own} has no variant {rest!r}; it has {', '.join(variants)}")
    if colon:
        return _attribute(_import(own, name), rest, name)
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                return point.load()
            except Exception as error:
                raise AdapterError(f"the adapter {name!r} ({point.value}) cannot be loaded: {_said(error)}") from error
    there = ", ".join(built_in())
    raise AdapterError(
        f"there is no framework {name!r}; there are: {there}, and module:Class for an adapter of your own"
    )


def _import(module_name: str, name: str) -> types.ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise _not_installed(name, error) from error
        raise AdapterError(
            f"the adapter {name!r} cannot be found: there is no module {error.name!r}; "
            "is its folder on the path, as in PYTHONPATH=. conformance …?"
        ) from error
    except Exception as error:
        raise AdapterError(f"the adapter {name!r} cannot be imported: {_said(error)}") from error


def _not_installed(name: str, error: ModuleNotFoundError) -> AdapterError:
    return AdapterError(
        f"the framework {name!r} was asked for, but {error.name!r} is not installed here; install it, or leave it out"
    )


def _attribute(module: types.ModuleType, attribute: str, name: str) -> Any:
    if not hasattr(module, attribute):
        raise AdapterError(f"the adapter {name!r} cannot be found: module {module.__name__!r} has no {attribute!r}")
    return getattr(module, attribute)


def _adapters_package() -> None:
    """Makes `conformance.adapters` importable from a checkout, where the folder lies beside the package."""
    package = "conformance.adapters"
    if package in sys.modules:
        return
    spec = ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [str(folder("adapters"))]
    sys.modules[package] = importlib.util.module_from_spec(spec)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
