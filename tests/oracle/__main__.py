"""`python -m tests.oracle`: the reference's errors against the oracle, in ulps of float64."""

from .table import table

print(table())
