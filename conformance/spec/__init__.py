"""Spec: YAML files as frozen objects, every fault of them told with file, line and column."""

from conformance.spec.layout import Layout, axes_of, expand, match, skeletons
from conformance.spec.load import Specs, load_spec, load_specs, spec_for, specs_folder
from conformance.spec.model import (
    Dim,
    Draw,
    EdgeCase,
    Form,
    Input,
    Kink,
    Mixed,
    Near,
    Param,
    Regime,
    Spec,
    Uniform,
    Values,
)
from conformance.spec.schema import json_schema
from conformance.spec.verify import check_edge_cases

__all__ = [
    "Dim",
    "Draw",
    "EdgeCase",
    "Form",
    "Input",
    "Kink",
    "Layout",
    "Mixed",
    "Near",
    "Param",
    "Regime",
    "Spec",
    "Specs",
    "Uniform",
    "Values",
    "axes_of",
    "check_edge_cases",
    "expand",
    "json_schema",
    "load_spec",
    "load_specs",
    "match",
    "skeletons",
    "spec_for",
    "specs_folder",
]
