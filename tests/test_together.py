"""Stacks that are evaluated together have the numbers that each has alone."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from conformance.cases.case import Stack
from conformance.cases.plan import stacks
from conformance.reference.evaluate import Evaluation
from conformance.reference.numbers import Numbers
from conformance.reference.together import MOST, Share, Together
from conformance.spec import spec_for
from conformance.spec.model import Spec
from tests.test_certify import CRITERIA

BOUNDS = ("error", "tight", "sound", "below", "above")
FIELDS = [item.name for item in fields(Numbers) if item.name != "modulo"]


def drawn(criterion: str, dtype: str) -> tuple[Spec, list[Stack]]:
    """Stacks of two draws, so that some are alike."""
    spec = spec_for(criterion)
    return spec, [stack for seed in (0, 1) for stack in list(stacks(spec, dtype, "quick", seed))[4:18]]


def same(one: dict[str, Numbers], other: dict[str, Numbers]) -> None:
    """Number for number; bounds up to their own rounding, since NumPy adds up in an order that depends on the shape."""
    for name, n in other.items():
        for field in FIELDS:
            rounding = 1e-13 if field in BOUNDS else 0.0
            got, want = getattr(one[name], field), getattr(n, field)
            np.testing.assert_allclose(got, want, rtol=rounding, atol=0, err_msg=f"{name}.{field}")


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_numbers_are_those_of_each_stack_alone(criterion: str, dtype: str) -> None:
    spec, found = drawn(criterion, dtype)
    together = Together(spec, found)
    shared = 0
    for stack in found:
        wrt = tuple(name for name in spec.differentiable if name in stack.inputs)
        share = together.evaluation(stack, wrt, quickly=True)
        if not isinstance(share, Share):
            continue
        shared += 1
        alone = Evaluation(spec, stack, wrt, quickly=True)
        for excuses in (False, True):
            same(share.numbers(excuses=excuses), alone.numbers(excuses=excuses))
    assert (shared > 1) is not bool(spec.modulo)


def test_real_parameters_may_differ_and_no_others() -> None:
    spec, found = drawn("huber", "float32")
    plain = found[0]
    assert {"delta", "reduction"} <= plain.parameters.keys()
    others = [replace(plain, parameters={**plain.parameters, "delta": delta}) for delta in (0.1, 0.5, 3.0)]
    sums = replace(plain, parameters={**plain.parameters, "reduction": "sum", "delta": 0.5})
    means = replace(plain, parameters={**plain.parameters, "reduction": "mean"})
    together = Together(spec, [*others, sums, means])
    shares = [together.evaluation(stack, ("input",)) for stack in (*others, sums, means)]
    assert [type(share) for share in shares] == [Share, Share, Share, Evaluation, Evaluation]
    for stack, share in zip(others, shares, strict=False):
        same(share.numbers(), Evaluation(spec, stack, ("input",)).numbers())


def test_the_p_of_a_norm_is_no_number_like_any_other() -> None:
    spec, found = drawn("triplet_margin", "float64")
    both = [replace(found[0], parameters={**found[0].parameters, "p": p}) for p in (1.5, 3.0)]
    assert all(isinstance(Together(spec, both).evaluation(stack, ()), Evaluation) for stack in both)


def test_what_is_large_stays_alone_and_so_does_a_stack_that_nobody_told_of() -> None:
    spec, found = drawn("l1", "float64")
    twice = replace(found[0])
    assert isinstance(Together(spec, [found[0], twice]).evaluation(found[0], ()), Share)
    assert isinstance(Together(spec, [found[0]]).evaluation(twice, ()), Evaluation)
    large = {name: np.resize(array, (MOST, *array.shape[1:])) for name, array in found[0].inputs.items()}
    wide = [replace(found[0], inputs=large) for _ in range(2)]
    assert all(isinstance(Together(spec, wide).evaluation(stack, ()), Evaluation) for stack in wide)
