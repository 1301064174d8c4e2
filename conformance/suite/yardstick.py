"""The second yardstick of half precision: the framework's own result in float32, rounded once.

How far a sound implementation in half precision may be off is often more than the number itself, and proves nothing.
But whoever gets the number right in float32 and rounds it does as well as half precision can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import DTYPES, Stack, in_dtype
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers
from conformance.suite.calls import Answers
from conformance.verdict.compare import AGREES, judge

Float = NDArray[np.float64]
MOST_MEASURED = 10_000  # numbers of a stack; a larger one costs more time than its few open verdicts are worth
WIDER: Mapping[str, str] = {"float16": "float32", "bfloat16": "float32"}


def widened(stack: Stack) -> Stack:
    """The same cases, with the same numbers, in the wider dtype."""
    dtype = WIDER[stack.dtype]
    return replace(stack, dtype=dtype, inputs=in_dtype(stack.inputs, dtype))


@dataclass
class Yardstick:
    """A framework's answers in the wider dtype to the cases of a stack.

    `numbers` evaluates the reference for them, by output; it is called where a verdict asks for it.
    """

    stack: Stack  # in half precision
    answers: Answers  # to `widened(stack)`
    numbers: Callable[[], Mapping[str, Numbers]]

    def rounded(self, output: str) -> Float:
        """The answers, rounded once; nan where there is none."""
        with np.errstate(over="ignore"):
            once = self.answers.arrays[output].astype(DTYPES[self.stack.dtype]).astype(np.float64)
        for k in range(len(self.stack)):
            if self.answers.problem(output, k):
                once[k] = np.nan
        return once

    def proven(self, output: str) -> Float:
        """`rounded` where the wider answer is right by the wider dtype's own budget; nan elsewhere."""
        verdict = judge(self._numbers[output], self.answers.arrays[output], FORMATS[WIDER[self.stack.dtype]])
        return np.where(verdict.severity == AGREES, self.rounded(output), np.nan)

    @cached_property
    def _numbers(self) -> Mapping[str, Numbers]:
        return self.numbers()


def has_yardstick(dtype: str, offered: Sequence[str]) -> bool:
    """Whether a dtype has a wider one beside it that the framework offers."""
    return WIDER.get(dtype) in offered
