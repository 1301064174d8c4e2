"""What becomes of the reference's numbers before a verdict: certified as they are, evaluated again, or undecided.

And one case in 64 is evaluated again for control, whatever is known of it. At a kink where binary128 cannot tell the
branch, the interval of choices holds the numbers of both, and no verdict depends on which it is: so the interval is
certified, and the number need not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from conformance.cases.case import Stack
from conformance.reference.control import check_sample
from conformance.reference.escalate import escalate
from conformance.reference.numbers import Numbers
from conformance.reference.quad import BINARY64, BINARY128
from conformance.spec.model import Spec


@dataclass
class Ways:
    """How many numbers of the reference went which way; each is in one of the first six."""

    float64: int = 0  # certified in float64, for a dtype with far fewer digits
    binary128: int = 0  # certified as the fast path gave them
    interval: int = 0  # by it too, up to the branch of a kink
    arb: int = 0  # certified when evaluated again
    undecided: int = 0
    undefined: int = 0  # NaN: the mathematics has no value or no derivative there
    checked: int = 0  # evaluated again for control

    def __iadd__(self, other: Ways) -> Ways:
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))
        return self


def certify(spec: Spec, stack: Stack, numbers: Mapping[str, Numbers]) -> tuple[dict[str, Numbers], Ways]:
    """The numbers that `evaluate_stack` gives (with `project`), those that are not certain evaluated again; and which
    way they went.

    Raises:
        ReferenceFault: a number of the sample lies outside its own bound.
    """
    checked = check_sample(spec, stack, numbers)
    doubtful = {name: ~item.certified for name, item in numbers.items()}
    found = escalate(spec, stack, numbers, doubtful, project=True)
    ways = Ways(checked=checked)
    for item in found.values():
        ways += _ways_of(item)
    return found, ways


def _ways_of(n: Numbers) -> Ways:
    none = np.isnan(n.high) & n.certified
    certain = n.certified & ~none
    quick, fast = (certain & (n.bits == kind.bits) for kind in (BINARY64, BINARY128))
    slow = certain & (n.bits > BINARY128.bits)
    masks = (quick, fast & ~n.unsure, fast & n.unsure, slow, ~n.certified, none)
    return Ways(*(int(mask.sum()) for mask in masks))
