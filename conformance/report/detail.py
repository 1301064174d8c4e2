"""What stands behind a cell of the matrix: checks by dtype, errors by regime and over the argument, witnesses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from markupsafe import Markup

from conformance.record.model import WRONG, roll_up
from conformance.report import svg
from conformance.report.findings import Found
from conformance.report.grid import Grid, Place
from conformance.report.porting import about, said, why
from conformance.report.view import Box
from conformance.report.witnesses import Shown, ratio_of, shown
from conformance.report.words import dtype_rank, share_of_cases, size

Check = Mapping[str, Any]
# The first word of a check's name; what many of one kind are called where all agree.
FAMILIES = {
    "value": "",
    "gradient": "",
    "edge": "edge cases",
    "invalid": "invalid inputs",
    "consistency": "consistency checks",
}
OPEN = ("differs", "inaccurate", "fails", "error", "undecided")  # outcomes that have a line of their own


@dataclass(frozen=True)
class Mark:
    """What a check, or several, came to in one dtype."""

    outcome: str
    text: str = ""
    anchor: str = ""  # of its witnesses
    known: bool = False
    span: int = 1  # dtypes that it stands for


@dataclass(frozen=True)
class Line:
    """A check, or several that have nothing to tell, in every dtype of a cell."""

    name: str
    marks: tuple[Mark | None, ...]
    note: str = ""  # why an edge case is one


@dataclass(frozen=True)
class Exhibit:
    """The witnesses of one check."""

    anchor: str
    check: Check
    items: Sequence[Shown]


@dataclass(frozen=True)
class Strip:
    """Errors by regime in one dtype."""

    dtype: str
    picture: Markup
    worst: str  # in words


class Exhibits:
    """Which checks have room (so many characters, about) for their witnesses, and their anchors: the most severe first,
    one of each cause before a second of any."""

    def __init__(self, found: Sequence[Found], room: int) -> None:
        self._anchors: dict[tuple[int, str], str] = {}
        self._items: dict[tuple[int, str], Sequence[Shown]] = {}
        self.left_out = 0
        for index, check in self._ordered(found):
            key = (index, check["id"])
            if key in self._anchors or not check["witnesses"]:
                continue
            items = shown(check) if room > 0 else []
            room -= sum(item.length for item in items)
            self._anchors[key] = f"w{len(self._anchors)}" if items else ""
            self._items[key] = items
            self.left_out += not items

    @staticmethod
    def _ordered(found: Sequence[Found]) -> Iterable[tuple[int, Check]]:
        yield from ((item.index, item.checks[0]) for item in found)
        yield from ((item.index, check) for item in found for check in item.checks[1:])

    def anchor(self, index: int, check: Check) -> str:
        """Of a check's witnesses; "" where they are not shown."""
        return self._anchors.get((index, check["id"]), "")

    def of(self, index: int, check: Check) -> Exhibit | None:
        """The witnesses of a check, if they are shown."""
        anchor = self.anchor(index, check)
        return Exhibit(anchor, check, self._items[index, check["id"]]) if anchor else None


@dataclass(frozen=True)
class Detail:
    """One cell of the matrix, opened. A brief one leaves out what stands elsewhere, and shows the worst of all dtypes
    in one picture."""

    anchor: str
    criterion: str
    place: Place
    box: Box
    checks: Sequence[Check]
    exhibits: Exhibits
    function: Mapping[str, Any]
    says: Mapping[str, Any]  # what the record says of the criterion
    is_brief: bool = False

    @property
    def name(self) -> str:
        """What a link calls it: `cross_entropy/torch/cpu/eager`."""
        place = self.place
        return f"{self.criterion}/{place.framework}/{place.device}/{place.mode}" + f"@{place.index}" * (place.index > 0)

    @cached_property
    def dtypes(self) -> list[str]:
        """In which anything of it was judged."""
        return sorted({check["dtype"] for check in self.checks}, key=dtype_rank)

    @cached_property
    def lines(self) -> list[Line]:
        """Values and gradients, then whatever does not simply agree; the rest is counted."""
        by_name: dict[str, dict[str, Check]] = {}
        for check in self.checks:
            by_name.setdefault(check["check"], {})[check["dtype"]] = check
        lines = []
        for family in sorted({name.split(".")[0] for name in by_name}, key=_family_rank):
            mine = {name: row for name, row in sorted(by_name.items()) if name.split(".")[0] == family}
            quiet = [name for name, row in mine.items() if not self._speaks(family, row.values())]
            lines += [self._line(name, row) for name, row in mine.items() if name not in quiet]
            if quiet:
                lines.append(self._quiet(family, [mine[name] for name in quiet], len(quiet) < len(mine)))
        return lines

    def _line(self, name: str, row: Mapping[str, Check]) -> Line:
        return Line(name, self._marks(row), "" if self.is_brief else why(self.says, name))

    def _speaks(self, family: str, checks: Iterable[Check]) -> bool:
        """Whether checks have a line of their own."""
        open_ones = [outcome for outcome in OPEN if outcome != "differs" or not self.is_brief]
        return not FAMILIES.get(family, family) or any(check["outcome"] in open_ones for check in checks)

    def _marks(self, row: Mapping[str, Check]) -> tuple[Mark | None, ...]:
        if (
            self.is_brief
            and len(row) == len(self.dtypes)
            and len({(c["outcome"], is_known(c)) for c in row.values()}) == 1
        ):
            worst = max(
                row.values(), key=lambda check: (bool(self.exhibits.anchor(self.place.index, check)), ratio_of(check))
            )
            return (replace(self._mark(worst), span=len(row)),)
        return tuple(self._mark(row[dtype]) if dtype in row else None for dtype in self.dtypes)

    def _mark(self, check: Check) -> Mark:
        parts = [_answer(check) if check["outcome"] == "differs" else size(check)]
        if check["cases"] > 1 and check["outcome"] in OPEN:
            parts.append(share_of_cases(check))
        text = "; ".join(part for part in parts if part)
        anchor = self.exhibits.anchor(self.place.index, check)
        return Mark(check["outcome"], text, anchor, is_known(check))

    def _quiet(self, family: str, rows: Sequence[Mapping[str, Check]], others: bool) -> Line:
        name = f"{len(rows)} {'other ' if others else ''}{FAMILIES.get(family) or family}"
        marks = []
        for dtype in self.dtypes:
            there = [row[dtype] for row in rows if dtype in row]
            outcome = roll_up(check["outcome"] for check in there)
            count = f"{len(there)} of them" if 0 < len(there) < len(rows) else ""
            marks.append(Mark(outcome, count) if there else None)
        return Line(name, tuple(marks))

    @cached_property
    def strips(self) -> list[Strip]:
        """Errors by regime, the worst of values and gradients, dtype by dtype."""
        found = []
        for name, dtypes in self._parts:
            regimes = _worst([c["regimes"] for c in self.checks if c["dtype"] in dtypes and c.get("regimes")])
            if regimes:
                regime = max(regimes, key=lambda key: ratio_of(regimes[key]))
                worst = size(regimes[regime])
                found.append(Strip(name, svg.strip(regimes), f"{worst}, in {regime}" if worst else "all exact"))
        return found

    @cached_property
    def plots(self) -> list[tuple[str, Markup]]:
        """Errors of values over the argument, dtype by dtype."""
        curves = {check["dtype"]: check["curve"] for check in self.checks if check.get("curve")}
        there = [(name, [p for dtype in dtypes for p in curves.get(dtype, ())]) for name, dtypes in self._parts]
        return [(name, svg.plot(points)) for name, points in there if points]

    @property
    def _parts(self) -> list[tuple[str, list[str]]]:
        """Which dtypes share a picture, and what they are called."""
        if self.is_brief and len(self.dtypes) > 1:
            return [("worst of all dtypes", self.dtypes)]
        return [(dtype, [dtype]) for dtype in self.dtypes]

    @cached_property
    def shown(self) -> list[Exhibit]:
        """The witnesses that have room."""
        checks = sorted(self.checks, key=lambda c: (_family_rank(c["check"].split(".")[0]), c["check"], c["dtype"]))
        return [item for check in checks if (item := self.exhibits.of(self.place.index, check)) is not None]


def is_known(check: Check) -> bool:
    """Whether known differences cover what a check's outcome says."""
    worse = WRONG if check["outcome"] in WRONG else ("inaccurate", *WRONG)
    return bool(check["known"]) and check["new"] not in worse


def _answer(check: Check) -> str:
    text = said(check)
    return text if " " in text else f"answers {text}"


def _family_rank(family: str) -> tuple[int, str]:
    return (list(FAMILIES).index(family) if family in FAMILIES else len(FAMILIES), family)


def _worst(each: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """By regime, the largest errors of several checks."""
    found: dict[str, dict[str, Any]] = {}
    for regimes in each:
        for name, item in regimes.items():
            if name not in found or ratio_of(item) > ratio_of(found[name]):
                found[name] = dict(item)
    return found


def details(
    grid: Grid, exhibits: Exhibits, is_brief: bool = False
) -> list[tuple[str, Mapping[str, Any], list[Detail]]]:
    """Criterion by criterion: what the record says of it, and its cells."""
    by_cell: dict[tuple[int, str, str, str, str], list[Check]] = {}
    for i, doc in enumerate(grid.docs):
        for check in doc["checks"]:
            key = (i, check["criterion"], check["framework"], check["device"], check["mode"])
            by_cell.setdefault(key, []).append(check)
    found = []
    for r, criterion in enumerate(grid.criteria):
        says = about(grid.docs, criterion)
        row = []
        for k, place in enumerate(grid.places):
            box = grid.box(criterion, place, "")
            checks = by_cell.get((place.index, criterion, place.framework, place.device, place.mode), [])
            function = about(grid.docs[place.index : place.index + 1], criterion).get("functions", {})
            if box is not None and checks:
                mine = function.get(place.framework, {})
                row.append(Detail(f"c{r}-{k}", criterion, place, box, checks, exhibits, mine, says, is_brief))
        found.append((criterion, says, row))
    return found
