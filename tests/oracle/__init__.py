"""A second opinion on the reference: the criteria written again, from their definitions, on arb balls.

Nothing here is shared with the suite: neither the specs' formulas, nor the expression tree, nor the tape.
`criteria*.py` are textbook formulas in scalar loops, evaluated at thousands of bits, where cancellation does not
matter; derivatives are the linear coefficients of FLINT's power series, in which no derivative rule is ours.
`cases.py` holds the data, `ulps.py` the yardstick, `table.py` the summary (`python -m tests.oracle`).
"""

from .answer import Answer, answer
from .cases import CRITERIA, Case, cases
from .ulps import error_in_ulps

__all__ = ["CRITERIA", "Answer", "Case", "answer", "cases", "error_in_ulps"]
