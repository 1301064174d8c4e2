"""The journal: a run as it goes, one JSON line at a time. What is on disk survives whatever ends the process.

{"journal": 1, "run": {…}, "plan": [cell, …], "criteria": {…}}   first line
{"cell": id, "seconds": s, "checks": […], "reference": {…}, "stale": […], "fixed": […]}  a cell was judged
{"cell": id, "reason": "…"}                                a planned cell did not run, and why
{"end": {"seconds": s, "stale": […], "complete": true}}    last line, unless the run was cut off
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

from conformance.errors import FileError
from conformance.record.model import Cell
from conformance.record.plain import dumps, plain

VERSION = 1


@dataclass
class Record:
    """What a journal says, as far as it was written. A cell that was judged twice is what it came to last."""

    run: dict[str, Any] = field(default_factory=dict)
    plan: list[str] = field(default_factory=list)
    criteria: dict[str, dict[str, Any]] = field(default_factory=dict)  # what each says: title, formula, …
    judged: dict[str, dict[str, Any]] = field(default_factory=dict)  # cell id -> {"seconds", "checks", "reference"}
    not_run: dict[str, str] = field(default_factory=dict)  # cell id -> reason
    end: dict[str, Any] | None = None  # None: the run did not come to its end

    def add(self, line: Mapping[str, Any]) -> None:
        """Take in one line.

        Raises:
            KeyError: it is no line of a journal.
        """
        if "journal" in line:
            self.run, self.plan = dict(line["run"]), list(line["plan"])
            self.criteria = dict(line.get("criteria", {}))
        elif "end" in line:
            self.end = dict(line["end"])
        elif "reason" in line:
            self.not_run[line["cell"]] = line["reason"]
        else:
            kept = {"seconds": line["seconds"], "checks": line["checks"], "reference": line.get("reference")}
            kept |= {"compiling": line.get("compiling"), **{key: line.get(key, []) for key in ("stale", "fixed")}}
            self.judged[line["cell"]] = kept


class Journal:
    """Writes a run down while it runs; `record` is what was written so far.

    Without a path it keeps the record in memory only. Use it as a context manager, or call `close`.
    """

    def __init__(self, path: Path | str | None) -> None:
        self.path = Path(path) if path is not None else None
        self.record = Record()
        self._file: TextIO | None = None
        if self.path is not None:
            self._file = _open(self.path)  # told now if it cannot be written; what stands there stays until `begin`

    def begin(
        self,
        run: Mapping[str, Any],
        plan: Iterable[Cell | str],
        criteria: Mapping[str, Mapping[str, Any]] | None = None,
        judged: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Write what is run and everything that is planned, cells that were filtered out too; what criteria say, for
        reports; and the cells that were `judged` before, as a `Record` holds them. All this takes the old journal's
        place in one step."""
        if self.path is not None:
            self.close()
            self._file = _open(self.path.with_name(self.path.name + ".new"), "w")
        more = {} if criteria is None else {"criteria": criteria}
        self._write({"journal": VERSION, "run": run, "plan": [_id(cell) for cell in plan], **more})
        for cell, kept in (judged or {}).items():
            self._write({"cell": cell, **{key: value for key, value in kept.items() if value is not None}})
        if self._file is not None and self.path is not None:
            os.replace(self._file.name, self.path)

    def judged(
        self,
        cell: Cell | str,
        seconds: float,
        checks: Sequence[Mapping[str, Any]],
        reference: Mapping[str, int] | None = None,
        compiling: float = 0.0,
        **known: Sequence[str],
    ) -> None:
        """Write what one cell came to, which way the numbers of the reference went, how many of the seconds were for
        compiling, and which known differences are `stale` and `fixed`."""
        more: dict[str, Any] = {} if reference is None else {"reference": reference}
        more |= {"compiling": compiling} if compiling else {}
        self._write({"cell": _id(cell), "seconds": seconds, "checks": checks, **more, **known})

    def not_run(self, cell: Cell | str, reason: str) -> None:
        """Write why a planned cell does not run."""
        self._write({"cell": _id(cell), "reason": reason})

    def end(self, seconds: float, *, complete: bool = True, **run: Any) -> None:
        """Write that the run came to its end; `run` holds what is only known then: `stale`, `fixed_upstream`."""
        self._write({"end": {**run, "seconds": seconds, "complete": complete}})

    def close(self) -> None:
        """Close the file; what was written stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        kept = plain(line)
        self.record.add(kept)
        if self._file is not None:
            self._file.write(dumps(kept) + "\n")
            self._file.flush()


def read_journal(path: Path | str) -> Record:
    """The record that a journal holds. A last line that was torn when the process ended is left out.

    Raises:
        FileError: it cannot be read, or is no journal.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise FileError(f"the journal {path} cannot be read ({error.strerror}); give one that exists") from None
    record = parse_journal(text)
    if record is None:
        raise FileError(f"{path} is no journal of this version of the suite; give a file that --results wrote")
    return record


def parse_journal(text: str) -> Record | None:
    """The record in the text of a journal; None if it is none."""
    record = Record()
    lines = text.split("\n")
    for i, line in enumerate(lines):
        try:
            data = json.loads(line) if line.strip() else None
            if i == 0 and not _is_header(data):
                return None
            if data is not None:
                record.add(data)
        except (ValueError, KeyError, TypeError, RecursionError):
            # Only the end of the file can be torn; a fault before it is not ours to guess about.
            if i == 0 or any(rest.strip() for rest in lines[i + 1 :]):
                return None
    return record


def _is_header(data: Any) -> bool:
    return isinstance(data, dict) and data.get("journal") == VERSION


def _id(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else cell.id


def _open(path: Path, mode: Literal["a", "w"] = "a") -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open(mode, encoding="utf-8", newline="\n")
    except OSError as error:
        raise FileError(f"{path} cannot be written ({error.strerror}); choose another path for --results") from None
