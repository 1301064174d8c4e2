"""The views of a record, by name and by the suffix of a file's name. Each is a function of results documents alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.errors import UsageError
from conformance.record.results import write_text

Doc = Mapping[str, Any]

# name: the suffix that stands for it, and the module whose `render` makes the text
FORMATS: Mapping[str, tuple[str, str]] = {
    "html": (".html", "html"),
    "markdown": (".md", "markdown"),
    "junit": (".xml", "junit"),
    "csv": (".csv", "table"),
    "badge": (".svg", "badge"),
    "terminal": (".txt", "terminal"),
    "github": ("", "github"),
}


def format_of(path: Path | str) -> str:
    """The format that a file's suffix stands for; HTML where it stands for none.

    Raises:
        UsageError: the suffix is that of results, which no report must overwrite.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        raise UsageError(f"{path} looks like a results file, and a report is none; choose another name for it")
    return next((name for name, (known, _) in FORMATS.items() if known and known == suffix), "html")


def render(docs: Sequence[Doc], name: str, files: Sequence[str] = ()) -> str:
    """The text of a view; `files` are the names of the results files, which HTML mentions.

    Raises:
        UsageError: there is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; there are: {', '.join(FORMATS)}")
    make: Callable[..., str] = importlib.import_module(f"conformance.report.{FORMATS[name][1]}").render
    return make(docs, files) if name == "html" else make(docs)


def write(path: Path | str, docs: Sequence[Doc], name: str = "", files: Sequence[str] = ()) -> None:
    """Write a view to a file, by default the one that the file's suffix stands for.

    Raises:
        UsageError: there is no such format.
        FileError: the place cannot be written.
    """
    write_text(path, render(docs, name or format_of(path), files), "the report")
