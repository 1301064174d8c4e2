"""What a spec says, as frozen objects. `conformance.spec.load` makes them from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from conformance.formula import Node
from conformance.formula.node import walk

Number = int | float
Dtype = Literal["float", "int"]
# What may stand for a full shape [2, 3, 4]: itself, [1, 1, 1], [1, 1, 4], [2, 1, 1], [4], [2, 3, 1], [2, 3].
Pattern = Literal["full", "ones", "last", "first", "dropped", "but_last", "without_last"]
BROADCASTING: tuple[Pattern, ...] = ("full", "ones", "last", "first", "dropped")  # NumPy's


@dataclass(frozen=True)
class Dim:
    """An axis, or a family of axes: `N?` may be absent, `D*` stands for `D0, D1, …` (`rank` of them)."""

    name: str  # without its mark
    kind: Literal["fixed", "optional", "star", "copy"] = "fixed"
    min: int = 1  # smallest size that is in the domain
    max: int | None = None
    rank: tuple[int, int] = (1, 1)  # star: fewest and most axes
    about: str = ""
    like: str = ""  # copy: the dim that this is a second axis of, for pairs; no input has it


@dataclass(frozen=True)
class Input:
    """An array that the criterion takes. `default` not None: it may be absent, and then is that number."""

    name: str
    shape: tuple[str, ...]  # names of dims, in the order in which the array has them
    dtype: Dtype = "float"
    domain: Node | None = None  # boolean
    must_raise: bool = False  # out of domain, an answer fails
    default: Number | None = None
    differentiable: bool = False
    broadcast: tuple[Pattern, ...] = ()  # the patterns that it comes in; none: its full shape only
    special: tuple[float, ...] = ()  # values beyond the regimes' ranges that are placed now and then: inf, -inf
    about: str = ""
    used: Node | None = None  # boolean; an element where it is false is not looked at, and may be anything


@dataclass(frozen=True)
class Param:
    """A parameter. `levels` are the values that cases combine; `range` is what others are drawn from."""

    name: str
    type: Literal["real", "integer", "bool", "choice"]
    default: Any
    choices: tuple[str, ...] = ()
    domain: Node | None = None
    must_raise: bool = False
    levels: tuple[Any, ...] = ()
    range: tuple[float, float] | None = None
    about: str = ""


@dataclass(frozen=True)
class Form:
    """Another way to compute the same, that numerical textbooks call stable. It feeds the sound budget only.

    `only` "gradient": textbooks differentiate this form, but compute the value another way; "value": the reverse.
    """

    loss: Node  # the whole loss, elementwise, with the form's statements in place of the formula's
    reduce: Mapping[str, Node]
    source: str
    text: str
    only: Literal["value", "gradient"] | None = None


@dataclass(frozen=True)
class Modulo:
    """A gradient that is defined up to multiples of `direction` along the dim `over`: the inputs lie on a surface (say,
    normalised log-probabilities) to which that direction is orthogonal."""

    of: str
    direction: Node
    over: str
    why: str = ""


@dataclass(frozen=True)
class Kink:
    """Where a gradient is not unique.

    `subgradient`: "any" point of the subdifferential agrees, or there is "none": the
    derivative by the inputs in `of` has no value there, and no answer is judged.
    """

    id: str
    at: Node  # boolean: true exactly at the kink
    order: int = 1  # the order of the first derivative that jumps
    subgradient: Literal["any", "none"] = "any"
    of: tuple[str, ...] = ()  # empty: every differentiable input
    why: str = ""


@dataclass(frozen=True)
class Uniform:
    """Numbers between two bounds; `log`: evenly in magnitude."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Near:
    """Numbers a few ulps from another input's."""

    other: str
    ulps: int = 4


@dataclass(frozen=True)
class Values:
    """One of the numbers listed."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Mixed:
    """Each element by one of these."""

    parts: tuple[Draw, ...]


Draw = Uniform | Near | Values | Mixed


@dataclass(frozen=True)
class Regime:
    """Where cases are drawn: for each dtype, how each input and parameter is drawn."""

    name: str
    draws: Mapping[str, Mapping[str, Draw]]  # input or parameter -> dtype -> Draw
    why: str = ""


@dataclass(frozen=True)
class EdgeCase:
    """A case written by hand. `value` and `gradient` hold numbers already evaluated, nested as the arrays are."""

    id: str
    inputs: Mapping[str, Any]  # nested lists of numbers
    parameters: Mapping[str, Any]
    value: Any = None
    gradient: Mapping[str, Any] = field(default_factory=dict)
    error: Literal["domain"] | None = None
    level: Literal["required", "unspecified"] = "required"
    why: str = ""


@dataclass(frozen=True, eq=False)
class Spec:
    """One criterion. `loss` is elementwise; `reduce` maps each reduction's name to its expression."""

    name: str
    title: str
    summary: str
    dims: Mapping[str, Dim]
    inputs: Mapping[str, Input]
    params: Mapping[str, Param]
    loss: Node
    reduce: Mapping[str, Node]
    formula: str  # as written
    reductions: Mapping[str, str]  # as written
    forms: tuple[Form, ...]
    kinks: tuple[Kink, ...]
    modulo: tuple[Modulo, ...]
    regimes: Mapping[str, Regime]
    edge_cases: tuple[EdgeCase, ...]
    references: tuple[str, ...]
    path: str

    @cached_property
    def joints(self) -> frozenset[tuple[int, int]]:
        """The pairs of nodes whose comparison is a kink of order 2 or more: both branches have one gradient there."""
        sides = (node.args for kink in self.kinks if kink.order > 1 for node in walk(kink.at) if node.op == "==")
        return frozenset((id(x), id(y)) for x, y in sides)

    @cached_property
    def differentiable(self) -> tuple[str, ...]:
        """The inputs that gradients are taken with respect to."""
        return tuple(name for name, item in self.inputs.items() if item.differentiable)
