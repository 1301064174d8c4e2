"""The adapter protocol: what the suite asks of a framework, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

Array = NDArray[Any]


class Unsupported(Exception):
    """Raised by `Adapter.run`: the framework offers no such function, dtype, parameter or device.

    The message is the reason, and is shown in the report.
    """


class Harmful(Exception):
    """Raised by `Adapter.run` in the place of a call that it does not make, because the framework would write where it
    must not, or end the process. The message says what it would do.

    It is an error where an answer is due. Of input out of its domain nothing is known then: unsupported.
    """


class WorkerDied(Exception):
    """Raised by an adapter that runs in a worker process: the call crashed it, or it hung, or used too much memory.

    The message says which. It is an error, and no refusal, also where the input is out of its domain.
    """


@dataclass(frozen=True)
class Environment:
    """What an adapter can run, and on what: `versions` maps package names to versions, the framework's own first.

    `flushes_subnormals` says whether it takes subnormal numbers for 0, or names the dtypes in which it does: float16 is
    often computed in float32, where its subnormal numbers are normal ones.
    """

    versions: Mapping[str, str]
    devices: tuple[str, ...] = ("cpu",)
    dtypes: tuple[str, ...] = ("float64", "float32")
    modes: tuple[str, ...] = ("eager",)
    flushes_subnormals: bool | tuple[str, ...] = False
    cotangents: bool = False  # `run` looks at `Call.cotangent`; one that does not is never given any
    details: Mapping[str, str] = field(default_factory=dict)
    compiles: tuple[str, ...] = ("compiled",)  # modes that compile for every new shape: these are given few
    dialect: str = ""  # in which `Call.code` is due in mode formula; one of `conformance.recipe.DIALECTS`
    same: tuple[str, ...] = ()  # modes that are eager's own calls in other words, so that the same bits are due
    # modes that take seconds to compile, numbers and all: judged only if asked for, by generated cases (docs/checks.md)
    costly: tuple[str, ...] = ()

    def flushes(self, dtype: str) -> bool:
        """Whether subnormal numbers of the dtype are taken for 0."""
        given = self.flushes_subnormals
        return given if isinstance(given, bool) else dtype in given

    def same_as(self, mode: str) -> tuple[str, ...]:
        """The modes whose calls are those of `mode` in other words."""
        return self.same if mode == "eager" else ()


@dataclass(frozen=True)
class Difference:
    """A difference of meaning that the framework documents: `sentence` is its own words, `source` the place.

    `when` is a condition on the case in the formula language; "" covers every case. `checks` are patterns of the checks
    of invalid input that it speaks of, such as `invalid.broadcast_*`: an answer differs there, where it would fail.
    """

    sentence: str
    source: str
    when: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binding:
    """The native function that an adapter calls for a criterion.

    `gradients` names the inputs the framework differentiates (None: every differentiable input of the spec); the
    gradients by the others are unsupported.
    """

    function: str
    differences: tuple[Difference, ...] = ()
    gradients: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Call:
    """One case for one framework. Absent optional inputs are not in `inputs`; `wrt` names the gradients wanted.

    Floating inputs are arrays of `dtype`, integer inputs int64 (now and then another integer dtype), boolean ones bool;
    parameters are Python values. With a `cotangent`, of the value's shape and dtype, the gradients wanted are those of
    the sum of value times cotangent. In mode formula, `code` defines the function to call, as `conformance show
    CRITERION --as DIALECT` prints it: `conformance.adapter.formula.function_of` gives it.
    """

    criterion: str
    inputs: Mapping[str, Array]
    parameters: Mapping[str, Any]
    dtype: str
    device: str = "cpu"
    mode: str = "eager"
    wrt: tuple[str, ...] = ()
    cotangent: Array | None = None
    code: str = ""


@dataclass(frozen=True)
class Output:
    """What came out: the value, and the gradient of its sum (or as `Call.cotangent` says) for each input in
    `Call.wrt`, in the call's dtype."""

    value: Array
    gradients: Mapping[str, Array] = field(default_factory=dict)


@runtime_checkable
class Adapter(Protocol):
    """A framework, as the suite sees it. An adapter only translates: it adds no mathematics of its own.

    It may have more members: `run_many(calls)`, a list with the output of each call or, in its place, the exception
    that it raised; `script(call) -> str`, the call in the framework's own words; and `compiling`, the seconds that it
    has spent compiling so far (docs/adapters.md).
    """

    name: str

    def environment(self) -> Environment:
        """Versions, devices, dtypes and modes."""
        ...

    def binding(self, criterion: str) -> Binding | None:
        """The native function for `criterion`; None where the framework has none."""
        ...

    def run(self, call: Call) -> Output:
        """Value and gradients of one case.

        Raises:
            Unsupported: the framework does not offer this.
        """
        ...
