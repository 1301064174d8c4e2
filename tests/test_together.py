"""Stacks that are evaluated and judged together have the numbers and verdicts that each has alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pytest

from conformance.cases.bind import output_shapes
from conformance.cases.case import DTYPES, Stack
from conformance.cases.plan import stacks
from conformance.reference.evaluate import Evaluation
from conformance.reference.formats import FORMATS
from conformance.reference.numbers import Numbers, cases_of
from conformance.reference.together import MOST, alike, joined
from conformance.spec import spec_for
from conformance.spec.model import Spec
from conformance.suite.asked import Asked, Verdicts, judged_together
from conformance.suite.calls import UNSUPPORTED, Answers, Problem
from conformance.verdict.compare import judge
from tests.test_certify import CRITERIA

BOUNDS = ("error", "tight", "sound", "below", "above")
FIELDS = [item.name for item in fields(Numbers) if item.name != "modulo"]


def drawn(criterion: str, dtype: str) -> tuple[Spec, list[Stack]]:
    """Stacks of two draws, so that some are alike."""
    spec = spec_for(criterion)
    return spec, [stack for seed in (0, 1) for stack in list(stacks(spec, dtype, "quick", seed))[4:18]]


def wrt_of(spec: Spec, stack: Stack) -> tuple[str, ...]:
    return tuple(name for name in spec.differentiable if name in stack.inputs)


def same(one: dict[str, Numbers], other: dict[str, Numbers]) -> None:
    """Number for number; bounds up to their own rounding, since NumPy adds up in an order that depends on the shape."""
    for name, n in other.items():
        for field in FIELDS:
            rounding = 1e-13 if field in BOUNDS else 0.0
            got, want = getattr(one[name], field), getattr(n, field)
            np.testing.assert_allclose(got, want, rtol=rounding, atol=0, err_msg=f"{name}.{field}")
        mine, answer = one[name].modulo, np.resize([0.25, -1.0, 3.0, np.nan], n.high.shape)
        assert (mine is None) is (n.modulo is None)
        if mine is not None and n.modulo is not None:
            with np.errstate(all="ignore"):
                found = zip(mine(answer), n.modulo(answer), strict=True)
            for got, want in found:
                np.testing.assert_array_equal(got, want)


def parts(group: list[Stack], numbers: dict[str, Numbers]) -> Iterator[tuple[Stack, dict[str, Numbers]]]:
    """Each stack of a group, and its part of the numbers of all."""
    begin = 0
    for stack in group:
        cases = slice(begin, begin + len(stack))
        yield stack, {name: cases_of(n, cases) for name, n in numbers.items()}
        begin = cases.stop


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_numbers_are_those_of_each_stack_alone(criterion: str, dtype: str) -> None:
    spec, found = drawn(criterion, dtype)
    groups = list(alike(spec, found))
    assert groups
    for group in ([found[i] for i in positions] for positions in groups):
        wrt = wrt_of(spec, group[0])
        together = Evaluation(spec, joined(group), wrt, quickly=True, project=True)
        for excuses in (False, True):
            for stack, mine in parts(group, together.numbers(excuses=excuses)):
                same(mine, Evaluation(spec, stack, wrt, quickly=True, project=True).numbers(excuses=excuses))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("criterion", ["cosine_embedding", "cross_entropy", "ctc", "poisson_nll", "triplet_margin"])
def test_excuses_of_some_cases_are_those_that_they_have_among_all(criterion: str, dtype: str) -> None:
    """Of a third of them, which are evaluated again, and of two thirds, for which all are."""
    spec, found = drawn(criterion, dtype)
    for stack in found[:8]:
        wrt = wrt_of(spec, stack)
        evaluation = Evaluation(spec, stack, wrt, project=True, quickly=True)
        plain, whole = evaluation.numbers(excuses=False), evaluation.numbers()
        every = np.ones(len(stack), bool)
        for share in (0, 1):
            chosen = (np.arange(len(stack)) % 3 == 1) ^ bool(share)
            again = Evaluation(spec, stack, wrt, project=True, quickly=True)
            mine = again.excused(again.numbers(excuses=False), chosen, every)
            for name, n in mine.items():
                picked, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen & (2 * chosen.sum() <= len(chosen)))
                for field in FIELDS:
                    got = getattr(n, field)
                    rounding = 1e-13 if field in BOUNDS else 0.0
                    for cases, source in ((picked, whole), (rest, plain)):
                        want = getattr(source[name], field)
                        np.testing.assert_allclose(got[cases], want[cases], rtol=rounding, atol=0)


def test_other_orders_are_followed_where_an_answer_is_infinite() -> None:
    spec, found = drawn("cosine_embedding", "float32")
    lost = 0
    for stack in found:
        every, wrt = np.ones(len(stack), bool), wrt_of(spec, stack)
        evaluation = Evaluation(spec, stack, wrt, quickly=True)
        plain, whole = evaluation.numbers(excuses=False), evaluation.numbers()
        told, untold = (evaluation.excused(plain, every, infinite) for infinite in (every, ~every))
        same(told, whole)
        for name, n in whole.items():
            np.testing.assert_array_equal(n.sound, untold[name].sound)
            for mask in ("overflow_tight", "overflow_sound", "overflow_other"):
                lost += int((getattr(n, mask) & ~getattr(untold[name], mask)).sum())
    assert lost


def asked_of(spec: Spec, stack: Stack, shift: float) -> Asked:
    """Answers that are off by `shift` of the budget, here and there."""
    wrt = wrt_of(spec, stack)
    numbers = Evaluation(spec, stack, wrt, quickly=True).numbers()
    dtype, arrays = DTYPES[stack.dtype], {}
    with np.errstate(all="ignore"):
        for name, n in numbers.items():
            off = np.resize([0.0, shift, 0.0], n.high.shape) * np.nan_to_num(n.sound)
            arrays[name] = (n.high + off).astype(dtype)
    return Asked(stack, wrt, Answers(arrays, [{} for _ in range(len(stack))]))


@pytest.mark.parametrize("criterion", ["bce", "cross_entropy", "ctc", "huber", "triplet_margin"])
def test_verdicts_are_those_of_each_stack_alone(criterion: str) -> None:
    spec, found = drawn(criterion, "float32")
    asked = [asked_of(spec, stack, 3.0) for stack in found]
    times = []

    def verdicts(item: Asked) -> Verdicts:
        times.append(len(item.stack))
        numbers = Evaluation(spec, item.stack, item.wrt, quickly=True, project=True).numbers(excuses=False)
        return numbers, {name: judge(n, item.answers.arrays[name], FORMATS["float32"]) for name, n in numbers.items()}

    together = [ask() for ask in judged_together(spec, asked, verdicts)]
    assert sum(times) == sum(map(len, found))
    assert len(times) < len(found)
    for item, (numbers, judged) in zip(asked, together, strict=True):
        alone_numbers, alone = verdicts(item)
        same(numbers, alone_numbers)
        for name, mine in judged.items():
            assert mine.severity.shape == item.answers.arrays[name].shape
            np.testing.assert_array_equal(mine.severity, alone[name].severity)
            np.testing.assert_array_equal(mine.answer, alone[name].answer)


def test_what_is_not_offered_is_not_judged() -> None:
    spec, found = drawn("huber", "float32")
    some = [found[i] for i in next(alike(spec, found))][:2]
    right = asked_of(spec, some[0], 0.0)
    none = replace(right, answers=Answers({}, [{"": Problem(UNSUPPORTED, "no")} for _ in range(len(some[1]))]))
    seen: list[int] = []

    def verdicts(item: Asked) -> Verdicts:
        seen.append(len(item.stack))
        return {}, {}

    judged_together(spec, [right, replace(none, stack=some[1])], verdicts)[0]()
    assert seen == [len(some[0])]


def test_real_parameters_may_differ_and_no_others() -> None:
    spec, found = drawn("huber", "float32")
    plain = found[0]
    assert {"delta", "reduction"} <= plain.parameters.keys()
    others = [replace(plain, parameters={**plain.parameters, "delta": delta}) for delta in (0.1, 0.5, 3.0)]
    sums = replace(plain, parameters={**plain.parameters, "reduction": "sum", "delta": 0.5})
    means = replace(plain, parameters={**plain.parameters, "reduction": "mean"})
    assert list(alike(spec, [*others, sums, means])) == [[0, 1, 2]]
    joint = Evaluation(spec, joined(others), ("input",)).numbers()
    for stack, mine in parts(others, joint):
        same(mine, Evaluation(spec, stack, ("input",)).numbers())


def test_the_p_of_a_norm_is_no_number_like_any_other() -> None:
    spec, found = drawn("triplet_margin", "float64")
    both = [replace(found[0], parameters={**found[0].parameters, "p": p}) for p in (1.5, 3.0)]
    assert not list(alike(spec, both))


def test_what_is_large_stays_alone_and_so_does_what_has_a_cotangent() -> None:
    spec, found = drawn("l1", "float64")
    assert list(alike(spec, [found[0], replace(found[0])])) == [[0, 1]]
    shape = output_shapes(spec, found[0], ())["value"][1]
    assert not list(alike(spec, [found[0], replace(found[0], cotangent=np.ones(shape))]))
    large = {name: np.resize(array, (MOST, *array.shape[1:])) for name, array in found[0].inputs.items()}
    assert not list(alike(spec, [replace(found[0], inputs=large) for _ in range(2)]))
