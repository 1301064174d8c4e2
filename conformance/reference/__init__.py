"""Reference: what is right, certified, and how far off a sound implementation may be."""

from conformance.reference.evaluate import Reference, evaluate, evaluate_stack, make_case
from conformance.reference.numbers import Numbers

__all__ = ["Numbers", "Reference", "evaluate", "evaluate_stack", "make_case"]
