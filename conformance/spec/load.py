"""Specs from files: one, a folder of them, or one by its name. Every fault of every file is told at once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from conformance._resources import folder
from conformance.errors import Fault, SpecError, UsageError
from conformance.spec.build import build
from conformance.spec.model import Spec
from conformance.spec.schema import close, read_form
from conformance.spec.source import Source, merged, read_source

MAX_EXTENDS = 4


def specs_folder() -> Path:
    """The folder of the specs that come with the suite."""
    return folder("specs")


def load_spec(path: Path) -> Spec:
    """The spec in the file at `path`. What was read once is not read again while the file stays as it is.

    Raises:
        SpecError: every fault of the file, with line and column.
    """
    path = Path(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise SpecError([Fault(str(path), 1, 1, f"cannot be read: {error.strerror or error}")]) from None
    return _load(path, stat.st_mtime_ns, stat.st_size)


def load_specs(folders: Sequence[Path]) -> dict[str, Spec]:
    """The specs of these folders by name, sorted; of two with one name, the later folder's.

    Raises:
        SpecError: every fault of every file.
        UsageError: no such folder.
    """
    return _read(_files(folders))


class Specs(Mapping[str, Spec]):
    """The specs that come with the suite, and those of `folders`, by name, sorted; of two with one name, the later
    folder's. Those of the suite are read when they are asked for: a run of one criterion reads one. Those of `folders`
    are somebody's work of today, and are read at once. What was read stays as it is, whatever becomes of the file.

    Raises:
        SpecError: every fault of every file of `folders`; from `specs[name]`, those of one of the suite.
        UsageError: no such folder.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._found = load_specs(folders)
        self._files = dict(sorted(_files((specs_folder(), *folders)).items()))

    def read(self, names: Iterable[str]) -> None:
        """Reads these now.

        Raises:
            SpecError: every fault of every file.
        """
        self._found |= _read({name: self._files[name] for name in names if name not in self._found})

    def __getitem__(self, name: str) -> Spec:
        if name not in self._found:
            self.read([name])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def spec_for(name: str, folders: Sequence[Path] = ()) -> Spec:
    """The spec of the criterion `name`: from `folders`, the last first, or of those that come with the suite.

    Raises:
        UsageError: there is none; close names are told.
        SpecError: it cannot be read.
    """
    files = _files((specs_folder(), *folders))
    if name not in files:
        known = sorted(files)
        raise UsageError(f"there is no criterion {name!r}{close(name, known)}; there are: {', '.join(known)}")
    return load_spec(files[name])


def _files(folders: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place in map(Path, folders):
        if not place.is_dir():
            raise UsageError(f"there is no folder of specs {str(place)!r}")
        found |= {path.stem: path for path in place.glob("*.yaml")}
    return found


def _read(files: Mapping[str, Path]) -> dict[str, Spec]:
    found: dict[str, Spec] = {}
    faults: list[Fault] = []
    for name, path in sorted(files.items()):
        try:
            found[name] = load_spec(path)
        except SpecError as error:
            faults.extend(error.faults)
    if faults:
        raise SpecError(faults)
    return found


@functools.lru_cache(maxsize=256)
def _load(path: Path, changed: int, size: int) -> Spec:
    source = read_extended(path)
    form = read_form(source)
    if isinstance(source.data, Mapping) and source.data.get("name") not in {None, path.stem}:
        source.fault(source.place(("name",)), f"the file's name is the criterion's: {path.stem!r}")
    spec = None if form is None else build(source, form)
    if spec is None or source.faults:
        raise SpecError(sorted(source.faults, key=lambda fault: (fault.file, fault.line, fault.column)))
    return spec


def read_extended(path: Path, depth: int = 0) -> Source:
    """The data of a spec file, with what it takes from the one that it extends."""
    source = read_source(path)
    name = source.data.get("extends") if isinstance(source.data, dict) else None
    if not isinstance(name, str):
        return source
    places = [place / f"{name}.yaml" for place in (path.parent, specs_folder()) if (place / f"{name}.yaml").is_file()]
    if not places or depth >= MAX_EXTENDS or not name.isidentifier():
        known = sorted(file.stem for file in path.parent.glob("*.yaml") if file != path)
        wrong = (
            f"extends more than {MAX_EXTENDS} deep, or itself" if depth >= MAX_EXTENDS else f"there is no spec {name!r}"
        )
        source.fault(source.place(("extends",)), wrong + ("" if depth >= MAX_EXTENDS else close(name, known)))
        return source
    base = read_extended(places[0], depth + 1)
    source.faults.extend(fault for fault in base.faults if fault not in source.faults)
    return merged(source, base) if isinstance(base.data, dict) else source
