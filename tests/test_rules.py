"""Every primitive and its derivative rule against definitions of their own, and central differences of these."""

from __future__ import annotations

import pytest

from conformance.formula.derivatives import RULES
from conformance.reference.functions import FUNCTIONS
from tests.primitives import PRIMITIVES, check

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("name", [*PRIMITIVES, "ctc_log_likelihood"])
def test_a_primitive_and_its_derivative_are_right_to_108_bits(name: str) -> None:
    check(name)


def test_every_rule_and_every_function_is_tried() -> None:
    tried = {name.split()[0] for name in PRIMITIVES} | {"ctc_log_likelihood"}
    assert RULES.keys() | FUNCTIONS.keys() <= tried
