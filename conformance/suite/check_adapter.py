"""What is wrong with an adapter, told to its author: the protocol first, then every criterion that it binds."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapter import Binding, Environment
from conformance.cases.bind import check_of_output
from conformance.cases.case import DTYPES, Stack
from conformance.cases.plan import for_each_stack
from conformance.errors import FormulaError, UsageError
from conformance.formula import names_in, parse_expression
from conformance.record.model import WRONG, Cell, Check
from conformance.reference.formats import FORMATS
from conformance.spec.model import Spec
from conformance.suite.cell import CellJudge
from conformance.suite.offers import said_of
from conformance.suite.options import DEVICES, MODES, Options, dest
from conformance.suite.plan import Framework, Plan, make_plan
from conformance.suite.run import judge_cell
from conformance.suite.slips import Seen, explanation
from conformance.verdict.compare import FAILS, judge

# What a witness says, and what its author can do about it.
ADVICE = (
    ("nothing was returned", "return it, or name in Binding.gradients the inputs that are differentiated"),
    ("conformance.Output is due", "run() returns an Output(value, gradients)"),
    ("a NumPy array is due", "convert what the framework gives to a NumPy array"),
    ("the dtype is", "answers have the dtype of the call: somewhere a constant or a default of another dtype came in"),
    ("the shape is", "a reduced value has shape (); a gradient has its input's shape; nothing is flattened or kept"),
    ("the call changed its input", "copy what the framework writes to"),
    ("raises:", "raise Unsupported(reason) for what the framework does not offer; what else it raises is its error"),
)


NO_HINT = "no slip that the suite knows explains it"
NOTHING_RAN = 5  # pytest's exit code for it


@dataclass(frozen=True)
class Advice:
    """What is to be mended in one or more checks: `count` of the `cases` of the first show it, one as in `sentence`."""

    checks: tuple[str, ...]
    sentence: str
    count: int
    cases: int
    hint: str

    def with_checks(self, more: tuple[str, ...]) -> Advice:
        """The same of more checks."""
        return replace(self, checks=self.checks + more)

    def lines(self) -> Iterator[str]:
        """It, as it is printed."""
        yield f"  {', '.join(self.checks)}: {self.count} of {self.cases} cases, such as: {self.sentence}"
        if self.hint:
            yield f"    {self.hint}"


def check_adapter(
    name: str, criteria: Sequence[str] = (), dtypes: Sequence[str] = (), specs: Sequence[Path] = ()
) -> int:
    """Prints what is wrong with the adapter that --framework calls `name`; 0 if nothing has to be
    mended, 1 if something has, 5 if nothing ran.

    Raises:
        ConformanceError: there is no such adapter, or it cannot even say what it runs on.
    """
    given = {"--framework": [name], "--criterion": criteria, "--dtype": dtypes, "--specs": specs, "--effort": "quick"}
    asked = Options.read(Namespace(**{dest(option): value for option, value in given.items()}))
    plan = make_plan(asked)
    try:
        return _checked(plan, name)
    finally:
        plan.close()


def _checked(plan: Plan, name: str) -> int:
    (key, framework), *_ = plan.frameworks.items()
    environment = framework.environment
    versions = said_of(environment.versions)
    print(f"{key}: {versions or 'no version'}; {', '.join((*environment.devices, *environment.modes))}")
    faults = list(protocol_faults(framework, plan.specs))
    for fault in faults:
        print(f"  protocol: {fault}")
    bound = {cell.criterion: plan.binding(cell) for cell in plan.cells}
    if not any(bound.values()):
        raise UsageError(f"the adapter {name!r} binds nothing of what is asked: binding(criterion) is None")
    cells = [_told(plan, cell, binding) for cell in plan.cells if (binding := bound[cell.criterion]) is not None]
    to_mend = len(faults) + sum(filter(None, cells))
    ran = sum(count is not None for count in cells)
    if to_mend:
        print(f"MEND: {to_mend}")
    else:
        print(f"FIT: {ran} of {len(cells)} cells ran" if ran else "NOTHING RAN: every case is unsupported")
    print(f"what the framework itself does is another question: conformance run --framework {name}")
    return int(bool(to_mend)) if ran or to_mend else NOTHING_RAN


def _told(plan: Plan, cell: Cell, binding: Binding) -> int | None:
    """Prints what is to be mended in a cell; how much that is, or None if nothing ran."""
    checks = judge_cell(plan, cell).checks
    head = f"{cell.criterion} ({binding.function}), {cell.dtype}, {cell.mode}"
    value = next(check for check in checks if check.check == "value")
    if value.outcome == "unsupported":
        print(f"{head}: unsupported in every case: {value.message}")
        return None
    seen, advice = _Answers(plan, cell), dict[str, Advice]()
    for check in sorted(filter(_is_for_the_author, checks), key=_order):
        item = _advice(check, seen)
        key = item.hint or item.sentence
        advice[key] = advice[key].with_checks(item.checks) if key in advice else item
    print(f"{head}: {f'{len(advice)} to mend' if advice else 'fit'}{_rest(checks)}")
    for item in advice.values():
        print("\n".join(item.lines()))
    return len(advice)


def _is_for_the_author(check: Check) -> bool:
    return check.new in WRONG and not check.check.startswith(("edge.", "invalid."))


def _order(check: Check) -> tuple[bool, bool, str]:
    return check.check != "value", check.check.startswith("consistency."), check.check


def _rest(checks: Sequence[Check]) -> str:
    """What may be the framework's own way."""
    named = [check for check in checks if check.check.startswith(("edge.", "invalid.")) and check.new in WRONG]
    lost = [check for check in checks if check.new == "inaccurate"]
    parts = [f"{len(named)} edge cases or invalid inputs answered wrongly"] * bool(named)
    parts += [f"{len(lost)} checks inaccurate"] * bool(lost)
    return f" ({'; '.join(parts)}: the framework's, or yours?)" if parts else ""


def _advice(check: Check, seen: _Answers) -> Advice:
    smallest: Mapping[str, Any] = next(iter(check.witnesses), {"sentence": check.message})
    sentence = str(smallest["sentence"])
    if smallest.get("asked") in ("value", smallest.get("output")):  # in no way but the usual one
        sentence = sentence.removesuffix(f", {smallest['asked']}")
    count = sum(check.counts.get(outcome, 0) for outcome in WRONG)
    hint = next((text for mark, text in ADVICE if mark in sentence), "")
    if not hint and not check.check.startswith("consistency."):
        hint = seen.explained(check.check) or NO_HINT
    return Advice((check.check,), sentence, count, check.cases, hint)


class _Answers:
    """What an adapter answers to the cases of a cell, kept only if somebody asks."""

    def __init__(self, plan: Plan, cell: Cell) -> None:
        self._plan, self._cell = plan, cell
        self._seen: dict[str, list[Seen]] | None = None

    def explained(self, check: str) -> str:
        """The slip that explains the wrong answers of `value` or `gradient.INPUT`; "" if none does."""
        if self._seen is None:
            self._seen = self._asked()
        spec = self._plan.specs[self._cell.criterion]
        return explanation(spec, self._seen.get(check, []), check.removeprefix("gradient."))

    def _asked(self) -> dict[str, list[Seen]]:
        framework, spec = self._plan.frameworks[self._cell.framework], self._plan.specs[self._cell.criterion]
        judge_ = CellJudge(spec, framework.adapter, framework.environment, self._cell, (), "")
        seen: dict[str, list[Seen]] = {}

        def keep(stack: Stack) -> None:
            for check, item in _seen(judge_, stack):
                seen.setdefault(check, []).append(item)

        for_each_stack(spec, self._cell.dtype, self._plan.options.effort, self._plan.options.seed, keep)
        return seen


def _seen(judge_: CellJudge, stack: Stack) -> Iterator[tuple[str, Seen]]:
    outputs = ("value", *(wrt := judge_.wrt(tuple(stack.inputs))))
    numbers, answers = judge_.evaluate(stack, wrt)
    for output in outputs:
        kept = [k for k in range(len(stack)) if answers.problem(output, k) is None]
        if not kept:
            continue
        wrong = judge(numbers[output], answers.arrays[output], FORMATS[stack.dtype]).worst() >= FAILS
        whole = Seen.of(stack, numbers[output], answers.arrays[output], wrong)
        yield check_of_output(output), whole.only(np.asarray(kept))


# The protocol


def protocol_faults(framework: Framework, specs: Mapping[str, Spec]) -> Iterator[str]:
    """What is wrong with an adapter's environment and bindings, before anything is run."""
    yield from _environment_faults(framework.environment)
    for criterion, spec in specs.items():
        try:
            binding = framework.adapter.binding(criterion)
        except Exception as error:
            yield f"binding({criterion!r}) raised {type(error).__name__}: {error}"
            continue
        if binding is not None:
            yield from (f"binding({criterion!r}): {fault}" for fault in _binding_faults(binding, spec))


def _environment_faults(environment: Environment) -> Iterator[str]:
    if not environment.versions:
        yield "environment().versions is empty: name the framework and its version, first of all"
    for what, given, known in (
        ("devices", environment.devices, DEVICES),
        ("dtypes", environment.dtypes, tuple(DTYPES)),
        ("modes", environment.modes, MODES),
    ):
        if isinstance(given, str):
            yield f"environment().{what} is the text {given!r}: a tuple is due"
            continue
        if not given:
            yield f"environment().{what} is empty: nothing would run"
        for name in set(given) - set(known):
            yield f"environment().{what} has {name!r}; there are {', '.join(known)}"


def _binding_faults(binding: Any, spec: Spec) -> Iterator[str]:
    if not isinstance(binding, Binding):
        yield f"a Binding or None is due, and {type(binding).__name__} was returned"
        return
    for name in set(binding.gradients or ()) - set(spec.differentiable):
        yield f"gradients names {name!r}; of {spec.name}, {', '.join(spec.differentiable)} can be differentiated"
    for difference in binding.differences:
        if not difference.sentence.strip() or not difference.source.strip():
            yield "a Difference has the framework's own sentence, and the place where it stands"
        yield from _condition_faults(difference.when, spec)


def _condition_faults(when: str, spec: Spec) -> Iterator[str]:
    try:
        unknown = names_in(parse_expression(when)) - {*spec.inputs, *spec.params, *spec.dims} if when else set()
    except FormulaError as error:
        yield f"the condition {when!r}: {error}"
        return
    if unknown := unknown - {"largest", "smallest_normal"}:
        yield f"the condition {when!r} names {', '.join(sorted(unknown))}, which {spec.name} does not have"
