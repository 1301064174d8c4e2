"""The second yardstick of half precision: the framework's own result in float32, rounded once.

How far a sound implementation in half precision may be off is often more than the number itself, and proves nothing.
But whoever gets the number right in float32 and rounds it does as well as half precision can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import DTYPES, Stack, in_dtype
from conformance.suite.calls import Answers
from conformance.verdict.compare import AGREES, Judged

Float = NDArray[np.float64]
MOST_MEASURED = 10_000  # numbers of a stack; a larger one costs more time than its few open verdicts are worth
WIDER: Mapping[str, str] = {"float16": "float32", "bfloat16": "float32"}


def widened(stack: Stack) -> Stack:
    """The same cases, with the same numbers, in the wider dtype."""
    dtype = WIDER[stack.dtype]
    return replace(stack, dtype=dtype, inputs=in_dtype(stack.inputs, dtype))


def rounded(answers: Answers, output: str, dtype: str) -> Float:
    """The answers in the wider dtype, rounded once; nan where there is none."""
    with np.errstate(over="ignore"):
        once: Float = answers.arrays[output].astype(DTYPES[dtype]).astype(np.float64)
    for k in range(len(once)):
        if answers.problem(output, k):
            once[k] = np.nan
    return once


def proven(answers: Answers, judged: Judged, output: str, dtype: str) -> Float:
    """`rounded` where the wider answer, so `judged`, is right by the wider dtype's own budget; nan elsewhere."""
    return np.where(judged.severity == AGREES, rounded(answers, output, dtype), np.nan)


def has_yardstick(dtype: str, offered: Sequence[str]) -> bool:
    """Whether a dtype has a wider one beside it that the framework offers."""
    return WIDER.get(dtype) in offered
