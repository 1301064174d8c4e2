"""Mode `formula`: the same adapter, given the code of the criterion's formula with each call."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from conformance.adapter import Adapter, Binding, Call, Environment, Output
from conformance.recipe import DIALECTS, Unprintable, recipe
from conformance.spec.model import Spec
from conformance.suite.offers import is_recipe


@functools.lru_cache(maxsize=1024)
def code_for(spec: Spec, dialect: str) -> str:
    """The code of a criterion's formula.

    Raises:
        Unprintable: there is none, and why.
    """
    if dialect not in DIALECTS:
        raise Unprintable(f"there is no dialect {dialect!r}; there are: {', '.join(DIALECTS)}")
    return recipe(spec, DIALECTS[dialect])


def why_none(spec: Spec, dialect: str) -> str:
    """Why a formula has no code; "" if it has."""
    try:
        code_for(spec, dialect)
    except Unprintable as error:
        return f"the formula of {spec.name} has no code in {dialect}: {error}"
    return ""


def formula_binding(spec: Spec, dialect: str) -> Binding | None:
    """What is called in mode formula."""
    return None if why_none(spec, dialect) else Binding(f"the formula of {spec.name}, printed in {dialect}")


def in_mode(adapter: Adapter, spec: Spec, mode: str, environment: Environment) -> Adapter:
    """The adapter as it is asked in a mode."""
    if not is_recipe(mode, environment.dialect):
        return adapter
    return (_Many if hasattr(adapter, "run_many") else _Formula)(adapter, spec, environment.dialect)


class _Formula:
    """An adapter that is given a formula's code with each call. It has no `script`: the code is one."""

    def __init__(self, adapter: Adapter, spec: Spec, dialect: str) -> None:
        self.name = adapter.name
        self._adapter, self._spec, self._dialect = adapter, spec, dialect

    def environment(self) -> Environment:
        return self._adapter.environment()

    def binding(self, criterion: str) -> Binding | None:
        return formula_binding(self._spec, self._dialect)

    def run(self, call: Call) -> Output:
        return self._adapter.run(self._with_code(call))

    def _with_code(self, call: Call) -> Call:
        return replace(call, code=code_for(self._spec, self._dialect))


class _Many(_Formula):
    """One that takes many calls at once."""

    def run_many(self, calls: Sequence[Call]) -> object:
        return self._adapter.run_many([self._with_code(call) for call in calls])  # type: ignore[attr-defined]
