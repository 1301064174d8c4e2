"""A spec file as plain data that remembers where each key and value stands.

The YAML is read as events, so that nothing is built before it is bounded: anchors, aliases, tags, deep nesting and
large files are refused, and a hostile file gets an error, not a hang.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from conformance._yaml import events, may_be_fast
from conformance.errors import Fault, FormulaError

Loc = tuple[str | int, ...]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
MAX_ITEMS = 20_000
MAX_DIGITS = 400
MAX_FAULTS = 200

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Place:
    """Where a key or value begins, counted from 1; `steady`: its text stands there in the file as it is."""

    file: str
    line: int
    column: int
    steady: bool = False
    block: bool = False  # each further line of the text begins at `column`, too


class Misfit(FormulaError):
    """A fault of the value (or the `key`) at `loc`: it ends the reading of what it lies in, and no more."""

    def __init__(self, loc: Loc, message: str, *, key: bool = False) -> None:
        super().__init__(message)
        self.loc = loc
        self.key = key


@dataclass
class Source:
    """A file's data with the places of its keys and values, and the faults found so far."""

    file: str
    data: Any = None
    keys: dict[Loc, Place] = field(default_factory=dict)
    values: dict[Loc, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def place(self, loc: Loc) -> Place:
        """Where the value at `loc` begins; what it would lie in, where there is none."""
        while loc and loc not in self.values:
            loc = loc[:-1]
        return self.values.get(loc, Place(self.file, 1, 1))

    def key(self, loc: Loc) -> Place:
        """Where the key at `loc` begins; for an item of a list, the item."""
        return self.keys[loc] if loc in self.keys else self.place(loc)

    def fault(self, place: Place, message: str, column: int = 0) -> None:
        """Note a fault at `place`, `column` characters on."""
        fault = Fault(place.file, place.line, place.column + column, message)
        if fault not in self.faults and len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)

    def note(self, loc: Loc, error: FormulaError) -> None:
        """Note a fault in the text at `loc`, at its place within the file."""
        place = self.place(loc)
        if isinstance(error, Misfit):
            place = self.key(error.loc) if error.key else self.place(error.loc)
        if place.block:
            self.fault(Place(place.file, place.line + error.line - 1, place.column), str(error), error.column)
        else:
            self.fault(place, str(error), error.column if place.steady and error.line == 1 else 0)


def read_source(path: Path) -> Source:
    """The data of the YAML file at `path`; where it is not YAML, the fault is noted and `data` is None."""
    source = Source(str(path))
    try:
        text = _text(path, source.file)
    except _Refused as error:
        source.fault(error.place, str(error))
        return source
    quick = _read(text, source.file, fast=True) if may_be_fast(text) else None
    return _read(text, source.file) if quick is None or quick.faults else quick


def _read(text: str, file: str, *, fast: bool = False) -> Source:
    source = Source(file)
    try:
        source.data = _Reader(source, text, fast).document()
    except _Refused as error:
        source.fault(error.place, str(error))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source.file, mark.line + 1, mark.column + 1) if mark else Place(source.file, 1, 1)
        source.fault(place, f"not YAML: {error.problem or error.context or 'cannot be read'}")
    except (YAMLError, ValueError, AttributeError, IndexError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        source.fault(Place(source.file, 1, 1), f"not YAML: {reason}")
    return source


def merged(source: Source, base: Source) -> Source:
    """`source` with the top-level keys that only `base` has: what `extends` means."""
    data = {**base.data, **source.data}
    theirs = {key for key in base.data if key not in source.data}
    result = Source(source.file, data, dict(source.keys), dict(source.values), list(source.faults))
    result.keys.update({loc: place for loc, place in base.keys.items() if loc and loc[0] in theirs})
    result.values.update({loc: place for loc, place in base.values.items() if loc and loc[0] in theirs})
    return result


class _Refused(Exception):
    """What ends the reading of a file."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


def _text(path: Path, file: str) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _Refused(Place(file, 1, 1), f"cannot be read: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise _Refused(Place(file, 1, 1), f"a spec has at most {MAX_BYTES // 1024} KiB")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused(Place(file, raw[: error.start].count(b"\n") + 1, 1), "not UTF-8") from None


class _Reader:
    """Builds the data of one document from the parser's events."""

    def __init__(self, source: Source, text: str, fast: bool) -> None:
        self.source = source
        self.lines = text.splitlines()
        self.events = events(text, fast=fast)
        self.fast = fast
        self.items = 0

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self.events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise _Refused(self._place(event), "one file holds one spec: no second document")
            elif kind not in {"StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"}:
                value = self._value(event, ())
        return value

    def _value(self, event: Any, loc: Loc) -> Any:
        kind = type(event).__name__
        place = self._place(event)
        self._bound(event, kind, loc, place)
        self.source.values[loc] = place
        if kind == "MappingStartEvent":
            return self._mapping(loc)
        if kind == "SequenceStartEvent":
            return self._sequence(loc)
        return event.value if event.style else self._plain(event.value, place)

    def _bound(self, event: Any, kind: str, loc: Loc, place: Place) -> None:
        self.items += 1
        if self.fast and kind == "ScalarEvent" and not event.value and not event.style:
            raise _Refused(place, "a missing value: parsers differ on where it stands")
        if kind == "AliasEvent" or getattr(event, "anchor", None):
            raise _Refused(place, "anchors and aliases (& and *) have no place in a spec; quote a text that begins so")
        if getattr(event, "tag", None):
            raise _Refused(place, "tags (!) have no place in a spec; quote a text that begins so")
        if len(loc) > MAX_DEPTH:
            raise _Refused(place, f"nested deeper than {MAX_DEPTH}")
        if self.items > MAX_ITEMS:
            raise _Refused(place, f"more than {MAX_ITEMS} values")

    def _mapping(self, loc: Loc) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in self.events:
            if type(event).__name__ == "MappingEndEvent":
                break
            place = self._place(event)
            if type(event).__name__ != "ScalarEvent":
                raise _Refused(place, "a key is a text")
            self._bound(event, "ScalarEvent", loc, place)
            name = event.value
            if name in found:
                first = self.source.keys[(*loc, name)]
                self.source.fault(place, f"key {name!r} stands twice; first in line {first.line}")
                self._value(next(self.events), (*loc, f"{name} again"))
                continue
            self.source.keys[(*loc, name)] = place
            found[name] = self._value(next(self.events), (*loc, name))
        return found

    def _sequence(self, loc: Loc) -> list[Any]:
        found: list[Any] = []
        for event in self.events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            found.append(self._value(event, (*loc, len(found))))
        return found

    def _plain(self, text: str, place: Place) -> Any:
        """The plain scalar's value. A number is rounded here, once, from its text."""
        if text in _WORDS:
            return _WORDS[text]
        if not (text[0].isdigit() or text[0] in "+-."):
            return text
        if len(text) > MAX_DIGITS and _FLOAT.fullmatch(text):
            raise _Refused(place, f"a number has at most {MAX_DIGITS} digits")
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _place(self, event: Any) -> Place:
        line, column = event.start_mark.line, event.start_mark.column
        style = getattr(event, "style", None)
        if style == "|":
            first = next((k for k in range(line + 1, len(self.lines)) if self.lines[k].strip()), line)
            indent = len(self.lines[first]) - len(self.lines[first].lstrip())
            return Place(self.source.file, line + 2, indent + 1, block=True)
        single = event.start_mark.line == event.end_mark.line
        quoted = style in {"'", '"'}
        return Place(self.source.file, line + 1, column + 1 + quoted, steady=single)
