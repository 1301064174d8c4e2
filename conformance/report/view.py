"""What reports show, as plain rows made from a results document. How it looks is the renderers' business."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import groupby
from typing import Any

from conformance.record.causes import Cause as Cause
from conformance.record.causes import causes_of, changes_of
from conformance.record.gate import STANDINGS as STANDINGS
from conformance.record.gate import standing
from conformance.record.model import JUDGED, WRONG, new_of, roll_up
from conformance.record.plain import as_float
from conformance.report.words import dtype_rank

Doc = Mapping[str, Any]
Check = Mapping[str, Any]
Place = tuple[tuple[int, str], str]  # a dtype's rank, and "float32 cpu eager"
Row = tuple[tuple[str, str, str, str, str], Place]  # framework, criterion, check, outcome, message; and where


@dataclass(frozen=True)
class Column:
    """One column of a matrix."""

    framework: str
    device: str
    mode: str
    dtype: str

    @property
    def place(self) -> str:
        """`cpu eager`."""
        return f"{self.device} {self.mode}"


@dataclass(frozen=True)
class Box:
    """One cell of a matrix: the worst outcome of its required checks, and their worst error in ulps."""

    outcome: str
    ulp: float | None = None
    known: bool = False  # known differences cover all that is wrong


def matrix(doc: Doc) -> dict[str, dict[Column, Box]]:
    """Every planned cell: criterion, then column. Nothing planned: no entry."""
    boxes: dict[str, dict[Column, Box]] = {}
    for entry in doc["ledger"]:
        if entry["status"] == "not run" and "cell" in entry:
            criterion, column = _address(entry["cell"])
            boxes.setdefault(criterion, {})[column] = Box("not run")
    for check in doc["checks"]:
        # A cell without a required check, if there is one, still has a place.
        boxes.setdefault(check["criterion"], {}).setdefault(_column(check), Box("not run"))
    for (criterion, column), checks in cells_of(c for c in doc["checks"] if c["level"] == "required").items():
        boxes[criterion][column] = _box(checks)
    return {criterion: boxes[criterion] for criterion in sorted(boxes)}


def columns(boxes: Mapping[str, Mapping[Column, object]]) -> list[Column]:
    """The columns of a matrix, in the order to show them."""
    every = {column for row in boxes.values() for column in row}
    return sorted(every, key=lambda c: (c.framework, c.device, c.mode, dtype_rank(c.dtype)))


def ran(boxes: Mapping[str, Mapping[Column, Box]], column: Column) -> bool:
    """Whether anything in this column of a matrix ran."""
    return any(row[column].outcome != "not run" for row in boxes.values() if column in row)


def _address(cell: str) -> tuple[str, Column]:
    criterion, *rest = cell.split("/")
    framework, device, mode, dtype = "/".join(rest[:-3]), *rest[-3:]
    return criterion, Column(framework, device, mode, dtype)


def _column(check: Check) -> Column:
    return Column(check["framework"], check["device"], check["mode"], check["dtype"])


def cells_of(checks: Iterable[Check]) -> dict[tuple[str, Column], list[Check]]:
    """The checks by criterion and column."""
    cells: dict[tuple[str, Column], list[Check]] = {}
    for check in checks:
        cells.setdefault((check["criterion"], _column(check)), []).append(check)
    return cells


def _box(checks: list[Check]) -> Box:
    outcome = roll_up(check["outcome"] for check in checks)
    value = next((check["outcome"] for check in checks if check["check"] == "value"), "")
    if outcome in ("agrees", "differs") and value in ("unsupported", "not run"):
        outcome = value  # refusing invalid input is no answer to any other
    sizes = [size_of(check["worst_ulp"]) for check in checks if check["worst_ulp"] is not None]
    faulty = outcome in ("inaccurate", *WRONG)
    # In a cell that fails, digits lost beside what is known do not make the failure new.
    blamed = WRONG if outcome in WRONG else ("inaccurate", *WRONG)
    return Box(outcome, max(sizes, default=None), faulty and all(new_of(check) not in blamed for check in checks))


def problems(doc: Doc) -> list[tuple[str, list[Check]]]:
    """What is wrong or inaccurate: by where it stands, worst first."""
    changes = changes_of(doc)
    found: dict[str, list[Check]] = {}
    for check in sorted(doc["checks"], key=worst_first):
        found.setdefault(standing(check, changes), []).append(check)
    return [(name, found[name]) for name in STANDINGS if name in found]


def causes_by_standing(*docs: Doc) -> list[tuple[str, list[Cause]]]:
    """The causes of what is wrong or inaccurate: by where they stand, worst first."""
    return [(name, list(causes)) for name, causes in groupby(causes_of(*docs), key=lambda cause: cause.standing)]


def in_every_framework(docs: Sequence[Doc]) -> list[str]:
    """The causes that every framework of several documents shows: these point at the spec."""
    return [cause.title for cause in causes_of(*docs) if cause.everywhere] if len(docs) > 1 else []


def worst_first(check: Check) -> tuple[float, float, str]:
    """Sorts checks by how far off they are."""
    ratio, ulp = (size_of(check[key]) for key in ("worst_ratio", "worst_ulp"))
    return -ratio, -ulp, check["id"]


def size_of(value: Any) -> float:
    """A recorded number; 0 where it is none."""
    size = as_float(value)
    return 0.0 if size is None or math.isnan(size) else size


@dataclass(frozen=True)
class Group:
    """Checks that say the same thing, apart from dtype, device and mode."""

    framework: str
    criterion: str
    subject: str  # the check, or the kink
    outcome: str
    text: str
    where: tuple[str, ...]  # "float32 cpu eager", …


def choices(doc: Doc) -> list[Group]:
    """Required checks that differ, and every unspecified one that was judged or raised: these fail nobody.

    Those of invalid input share a row for each criterion.
    """
    rows = [
        ((c["framework"], c["criterion"], c["check"], c["outcome"], c["message"]), _where(c))
        for c in doc["checks"]
        if c["outcome"] == "differs" or (c["level"] == "unspecified" and c["outcome"] in JUDGED)
    ]
    invalid = [row for row in rows if row[0][2].startswith("invalid.")]
    return sorted(_grouped([row for row in rows if row not in invalid]) + _answered(invalid), key=astuple)


def _answered(rows: list[Row]) -> list[Group]:
    """One group for all invalid input of a criterion that is answered in the same places."""
    places: dict[tuple[str, str, str, str], set[Place]] = {}
    for (framework, criterion, check, outcome, _), place in rows:
        places.setdefault((framework, criterion, outcome, check.removeprefix("invalid.")), set()).add(place)
    names: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for (framework, criterion, outcome, name), found in places.items():
        where = tuple(text for _, text in sorted(found))
        names.setdefault((framework, criterion, outcome, where), []).append(name)
    return [
        Group(framework, criterion, "invalid", outcome, f"answered: {', '.join(names[row])}", where)
        for row in names
        for framework, criterion, outcome, where in [row]
    ]


@dataclass(frozen=True)
class Convention:
    """The points that a framework takes at a kink, for gradients by several inputs."""

    criterion: str
    kink: str
    framework: str
    points: tuple[str, ...]
    where: tuple[str, ...]  # "float32 cpu eager", …
    inputs: tuple[str, ...]


def conventions(doc: Doc) -> list[Convention]:
    """Which subgradient each framework takes, by kink. Places that take the same points share a row; so do inputs."""
    places: dict[tuple[str, str, str, tuple[str, ...], str], list[Place]] = {}
    for check in doc["checks"]:
        for item in check["conventions"]:
            kink, points = str(item.get("kink", "a kink")), tuple(sorted(item.get("chosen", {})))
            key = (check["criterion"], kink, check["framework"], points, check["check"].removeprefix("gradient."))
            places.setdefault(key, []).append(_where(check))
    inputs: dict[tuple[str, str, str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (criterion, kink, framework, points, name), found in places.items():
        where = tuple(text for _, text in sorted(found))
        inputs.setdefault((criterion, kink, framework, points, where), []).append(name)
    return [Convention(*row, tuple(sorted(inputs[row]))) for row in sorted(inputs)]


def _where(check: Check) -> Place:
    return dtype_rank(check["dtype"]), f"{check['dtype']} {check['device']} {check['mode']}"


def _grouped(rows: list[Row]) -> list[Group]:
    groups: dict[tuple[str, str, str, str, str], set[tuple[tuple[int, str], str]]] = {}
    for key, where in rows:
        groups.setdefault(key, set()).add(where)
    return [Group(*key, tuple(text for _, text in sorted(groups[key]))) for key in sorted(groups)]


@dataclass(frozen=True)
class Reason:
    """Cells or checks that share a reason."""

    text: str
    ids: tuple[str, ...]


def not_run(doc: Doc) -> list[Reason]:
    """What was planned and did not run, the most frequent reason first."""
    return _reasons((e["reason"], e.get("cell") or e["check"]) for e in doc["ledger"] if e["status"] == "not run")


def unsupported(doc: Doc) -> list[Reason]:
    """What the framework says it does not offer."""
    found = [check for check in doc["checks"] if check["outcome"] == "unsupported"]
    return _reasons((check["message"] or "no reason given", check["id"]) for check in found)


def _reasons(rows: Iterable[tuple[str, str]]) -> list[Reason]:
    found: dict[str, list[str]] = {}
    for text, id in rows:
        found.setdefault(text, []).append(id)
    reasons = [Reason(text, tuple(sorted(ids))) for text, ids in found.items()]
    return sorted(reasons, key=lambda reason: (-len(reason.ids), reason.text))


def label(doc: Doc, framework: str) -> str:
    """The framework with its version: `torch 2.9.1`."""
    return f"{framework} {version_of(framework, doc['run']['frameworks'].get(framework, {}))}".strip()


def version_of(framework: str, versions: Mapping[str, str]) -> str:
    """A framework's own version, of those of the packages that it names in a results file, whose order says nothing."""
    own = framework.split("@")[0].split(":")[0]  # keras of keras:torch
    return versions.get(own) or (next(iter(versions.values())) if len(versions) == 1 else "")
