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


@dataclass(frozen=True)
class Environment:
    """What an adapter can run, and on what: `versions` maps package names to versions, the framework's own first."""

    versions: Mapping[str, str]
    devices: tuple[str, ...] = ("cpu",)
    dtypes: tuple[str, ...] = ("float64", "float32")
    modes: tuple[str, ...] = ("eager",)
    flushes_subnormals: bool = False
    details: Mapping[str, str] = field(default_factory=dict)


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

    `gradients` names the inputs the framework differentiates (None: every differentiable input of the spec).
    """

    function: str
    differences: tuple[Difference, ...] = ()
    gradients: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Call:
    """One case for one framework. Absent optional inputs are not in `inputs`; `wrt` names the gradients wanted.

    Floating inputs are arrays of `dtype`; integer inputs int64, boolean inputs bool; parameters are Python values.
    """

    criterion: str
    inputs: Mapping[str, Array]
    parameters: Mapping[str, Any]
    dtype: str
    device: str = "cpu"
    mode: str = "eager"
    wrt: tuple[str, ...] = ()


@dataclass(frozen=True)
class Output:
    """What came out: the value, and the gradient of its sum for each input in `Call.wrt`, in the call's dtype."""

    value: Array
    gradients: Mapping[str, Array] = field(default_factory=dict)


@runtime_checkable
class Adapter(Protocol):
    """A framework, as the suite sees it. An adapter only translates: it adds no mathematics of its own."""

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
