"""A conformance suite for loss functions: one specification per criterion, every framework judged by it.

The public names load on first use, so that importing `conformance` costs nothing and an adapter needs NumPy only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from conformance.adapter import (
        Adapter,
        Binding,
        Call,
        Difference,
        Environment,
        Harmful,
        Output,
        Unsupported,
        WorkerDied,
    )
    from conformance.adapter.load import load_adapter
    from conformance.adapter.machine import cpu_features
    from conformance.errors import ConformanceError
    from conformance.reference import Reference, evaluate

_HOMES = {
    "Adapter": "adapter",
    "Binding": "adapter",
    "Call": "adapter",
    "Difference": "adapter",
    "Environment": "adapter",
    "Harmful": "adapter",
    "Output": "adapter",
    "Unsupported": "adapter",
    "WorkerDied": "adapter",
    "cpu_features": "adapter.machine",
    "load_adapter": "adapter.load",
    "ConformanceError": "errors",
    "Reference": "reference",
    "evaluate": "reference",
}

__all__ = [
    "Adapter",
    "Binding",
    "Call",
    "ConformanceError",
    "Difference",
    "Environment",
    "Harmful",
    "Output",
    "Reference",
    "Unsupported",
    "WorkerDied",
    "cpu_features",
    "evaluate",
    "load_adapter",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'conformance' has no attribute {name!r}")
    return getattr(importlib.import_module(f"conformance.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
