"""Calls of an adapter, as its tests make them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np

from conformance import Call
from conformance.cases.case import in_dtype


def call_of(criterion: str, inputs: dict[str, Any], dtype: str = "float64", **more: Any) -> Call:
    """A call without a reduction, unless `parameters` names one; floating inputs are rounded to the dtype."""
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    return Call(criterion, in_dtype(arrays, dtype), {"reduction": "none", **more.pop("parameters", {})}, dtype, **more)


def is_imported_unasked(framework: str) -> bool:
    """Whether listing the built-in adapters, in a new process, imports the framework."""
    code = "import sys, conformance.cli, conformance.adapter.load as l; l.built_in(); sys.exit(%r in sys.modules)"
    return subprocess.run([sys.executable, "-c", code % framework], check=False).returncode != 0
