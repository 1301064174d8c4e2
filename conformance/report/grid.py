"""The matrix of a page: criteria by framework, each cell by dtype and rolled up over all dtypes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from conformance.record.model import WRONG, roll_up
from conformance.report.view import Box, Column, columns, label, matrix, ran
from conformance.report.words import dtype_rank

Doc = Mapping[str, Any]
SIDE_BY_SIDE = 8  # columns of single dtypes that are read at a glance; of more, the rolled-up ones are shown


@dataclass(frozen=True)
class Place:
    """A framework on a device in a mode, in one of the documents."""

    index: int  # of the document
    framework: str
    device: str
    mode: str
    label: str  # "torch 2.13.0"

    @property
    def where(self) -> str:
        """`cpu eager`."""
        return f"{self.device} {self.mode}"

    def column(self, dtype: str) -> Column:
        """The column of `view` for one of its dtypes."""
        return Column(self.framework, self.device, self.mode, dtype)


@dataclass(frozen=True)
class Head:
    """A column: a place in one dtype, or rolled up over all of them (dtype "")."""

    place: int
    dtype: str
    is_shown: bool


class Grid:
    """What some documents came to, criterion by place."""

    def __init__(self, docs: Sequence[Doc]) -> None:
        self.docs = docs
        self._boxes = [matrix(doc) for doc in docs]
        self.criteria = sorted({name for boxes in self._boxes for name in boxes})
        found = [
            dict.fromkeys((i, c.framework, c.device, c.mode) for c in columns(boxes) if ran(boxes, c))
            for i, boxes in enumerate(self._boxes)
        ]
        self.places = [Place(*key, label(docs[key[0]], key[1])) for keys in found for key in keys]

    def box(self, criterion: str, place: Place, dtype: str) -> Box | None:
        """One cell; None where nothing was planned. Without a dtype: all of them rolled up."""
        row = self._boxes[place.index].get(criterion, {})
        if dtype:
            return row.get(place.column(dtype))
        return rolled([box for each in self.dtypes if (box := row.get(place.column(each))) is not None])

    @cached_property
    def dtypes(self) -> list[str]:
        """Every dtype in which anything ran, the widest first."""
        found = {c.dtype for boxes in self._boxes for c in columns(boxes) if ran(boxes, c)}
        return sorted(found, key=dtype_rank)

    @cached_property
    def is_split(self) -> bool:
        """Whether dtypes stand side by side at first."""
        return len(self._columns()) <= SIDE_BY_SIDE

    def _columns(self) -> list[tuple[int, str]]:
        there = [(k, d) for k, place in enumerate(self.places) for d in self.dtypes]
        return [(k, d) for k, d in there if ran(self._boxes[self.places[k].index], self.places[k].column(d))]

    @cached_property
    def heads(self) -> list[Head]:
        """The columns, place by place: the rolled-up one first."""
        single = self._columns()
        found = []
        for k in range(len(self.places)):
            found.append(Head(k, "", not self.is_split))
            found += [Head(k, dtype, self.is_split) for place, dtype in single if place == k]
        return found


def rolled(boxes: Sequence[Box]) -> Box | None:
    """Several cells as one: the worst of them."""
    if not boxes:
        return None
    outcome = roll_up(box.outcome for box in boxes)
    # In a cell that fails in one dtype, digits lost in another do not make the failure new.
    blamed = [box for box in boxes if box.outcome in (WRONG if outcome in WRONG else ("inaccurate", *WRONG))]
    sizes = [box.ulp for box in boxes if box.ulp is not None]
    return Box(outcome, max(sizes, default=None), bool(blamed) and all(box.known for box in blamed))
