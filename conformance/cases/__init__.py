"""Cases: concrete inputs, drawn from a spec as recipes with Hypothesis, the same on every machine."""

from conformance.cases.case import DTYPES, Case, Stack

__all__ = ["DTYPES", "Case", "Stack"]
