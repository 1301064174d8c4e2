"""The suite judges: right adapters pass, each faulty one is caught, and whatever an adapter does, the run goes on."""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import pytest

from conformance.adapter.load import load_adapter
from conformance.errors import AdapterError, UsageError
from conformance.record.gate import decide
from conformance.record.journal import Journal
from conformance.record.model import Check
from conformance.record.results import first_fault, results_of, run_info
from conformance.suite.options import Options
from conformance.suite.plan import Plan, make_plan
from conformance.suite.run import CellResult, command_for, judge_cell
from conformance.verdict.compare import NAMES

CRITERIA = ("bce_with_logits", "cosine_embedding", "cross_entropy", "kl_div", "l1", "mse", "smooth_l1", "triplet_margin")


@functools.cache
def judged(adapter: str, criterion: str, dtype: str = "float64") -> CellResult:
    framework = adapter if adapter == "numpy" else f"tests.faulty:{adapter}"
    plan = planned(framework, criterion, dtype)
    (cell,) = plan.cells
    return judge_cell(plan, cell)


def planned(*frameworks: str, **only: Any) -> Plan:
    raise NotImplementedError


def plan_of(frameworks: tuple[str, ...], criteria: tuple[str, ...], dtypes: tuple[str, ...] = ("float64",)) -> Plan:
    return make_plan(Options(frameworks=frameworks, criteria=criteria, dtypes=dtypes, effort="quick"))
