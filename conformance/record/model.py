"""What is kept of a run: plain data, one `Check` per check id. Field names are those of the results file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# From best to worst: a check's outcome is the worst of its cases', but "undecided" only where nothing was decided.
OUTCOMES = ("not run", "unsupported", "agrees", "undecided", "differs", "inaccurate", "error", "fails")
WRONG = ("error", "fails")
# What is asked in another way than plainly (conformance.suite.consistency); the checks are consistency.NAME.
CONSISTENCY = (
    "layout",
    "permutation",
    "reductions",
    "inputs_unchanged",
    "shape_and_dtype",
    "repeat",
    "cotangent",
    "target_dtypes",
    "requires_grad",
    "same",
)
JUDGED = ("agrees", "differs", "inaccurate", *WRONG)


@dataclass(frozen=True)
class Cell:
    """What one test of the suite judges: one criterion in one framework, device, mode and dtype."""

    criterion: str
    framework: str
    device: str
    mode: str
    dtype: str

    @property
    def id(self) -> str:
        """`cross_entropy/torch/cpu/eager/float32`."""
        return f"{self.criterion}/{self.framework}/{self.device}/{self.mode}/{self.dtype}"


@dataclass
class Check:
    """One judged check: `check` is value, gradient.INPUT, edge.ID, invalid.ID or consistency.NAME."""

    id: str
    criterion: str
    framework: str
    device: str
    mode: str
    dtype: str
    check: str
    outcome: str
    new: str | None = (
        None  # what the cases that no known difference covers came to; None: they agree, or there are none
    )
    level: str = "required"  # or "unspecified": recorded, fails nobody
    recipes: int = 0
    cases: int = 0
    counts: dict[str, int] = field(default_factory=dict)  # cases by outcome
    undecided: dict[str, int] = field(default_factory=dict)  # those cases by what left them open: "budget", "reference"
    apart_ulp: float | None = None  # half precision: from the framework's own float32 result rounded once, at most
    worst_ulp: float | None = None  # of the result's dtype
    worst_ratio: float | None = None  # error over the tight budget
    regimes: dict[str, dict[str, Any]] = field(default_factory=dict)  # {"cases", "worst_ulp", "worst_ratio"} of each
    curve: list[list[float]] = field(default_factory=list)  # (argument, ulps): the worst error of each bin
    message: str = ""  # stands alone; empty where it agrees
    witnesses: list[dict[str, Any]] = field(
        default_factory=list
    )  # {"kind": "smallest" | "worst", "case", "wanted", "got", …}
    known: list[str] = field(default_factory=list)  # ids of the known differences that cover cases of this check
    conventions: list[dict[str, Any]] = field(
        default_factory=list
    )  # {"kink", "chosen": {point of the interval: elements}}

    def to_json(self) -> dict[str, Any]:
        """The check as the results file holds it: without regimes and curve where it has none."""
        data = asdict(self)
        return {key: value for key, value in data.items() if value or key not in ("regimes", "curve")}


def check_of(cell: Cell, check: str, outcome: str, **more: Any) -> Check:
    """The check named `check` of `cell`."""
    return Check(
        f"{cell.id}/{check}", cell.criterion, cell.framework, cell.device, cell.mode, cell.dtype, check, outcome, **more
    )


def new_of(check: Mapping[str, Any]) -> str | None:
    """What the cases of a check (as JSON) that no known difference covers came to; None: nothing to fail a run for."""
    worst = check["new"] if check["known"] else check["outcome"]
    return worst if worst in ("inaccurate", *WRONG) else None


def roll_up(outcomes: Iterable[str]) -> str:
    """The one outcome of several: the worst, but undecided, unsupported or not run only where nothing was judged."""
    seen = set(outcomes)
    order = ("fails", "error", "inaccurate", "differs", "agrees", "undecided", "unsupported")
    return next((outcome for outcome in order if outcome in seen), "not run")
