"""What frameworks offer, as far as it decides which cells there are.

Adapters say it. What the built-in ones say of the versions in constraints.txt is also written down in
adapters/offers.json (`python -m tests.offers`), so that cells can be listed without importing a framework.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from conformance._resources import folder
from conformance.dtypes import DTYPES
from conformance.record.model import Cell
from conformance.suite.options import Options

MODE = "formula"
FILE = "offers.json"


@dataclass(frozen=True)
class Offer:
    """What one framework offers; the fields are those of `conformance.Environment`, but for `bound`."""

    versions: Mapping[str, str]  # of packages, the framework's own first
    dtypes: tuple[str, ...]
    modes: tuple[str, ...]
    bound: tuple[str, ...]  # the criteria that it has a function for
    devices: tuple[str, ...] = ("cpu",)
    same: tuple[str, ...] = ()
    costly: tuple[str, ...] = ()
    dialect: str = ""


def said_of(versions: Mapping[str, str]) -> str:
    """The versions of packages as they are shown: `jax 0.10.2, jaxlib 0.10.2`."""
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def is_recipe(mode: str, dialect: str) -> bool:
    """Whether a mode runs code printed in a dialect; the embedded numpy runs the formula itself, and needs none."""
    return mode == MODE and dialect != ""


def cells_of(
    name: str, offer: Offer, criteria: Collection[str], wanted: Collection[str], options: Options
) -> Iterator[tuple[Cell, str]]:
    """The cells of the framework `name` that are in question, in order, each with why it is not judged; "": it is."""
    for device in dict.fromkeys((*options.devices, *offer.devices)):
        for mode in dict.fromkeys((*offer.modes, *options.modes)):
            for dtype in dict.fromkeys((*DTYPES, *offer.dtypes)):
                for criterion in criteria:
                    cell = Cell(criterion, name, device, mode, dtype)
                    reason = _reason_not_to(cell, offer, wanted, options)
                    if reason is not None:
                        yield cell, reason


def _reason_not_to(cell: Cell, offer: Offer, wanted: Collection[str], options: Options) -> str | None:
    """Why a cell is not judged; "": it is; None: it was never in question."""
    if is_recipe(cell.mode, offer.dialect) and MODE not in options.modes and cell.criterion in offer.bound:
        return None  # where there is a native function, the formula is run only if it is asked for
    if cell.mode in (*offer.same, *offer.costly) and cell.mode not in options.modes:
        return None  # judged by itself only if it is asked for; consistency.same compares what is the same with eager
    for what, name, offered, asked in (
        ("device", cell.device, offer.devices, options.devices),
        ("mode", cell.mode, offer.modes, options.modes),
        ("dtype", cell.dtype, offer.dtypes, options.dtypes),
    ):
        if name not in offered:
            return f"{cell.framework} offers no {what} {name} here" if name in asked else None
        if asked and name not in asked:
            return f"filtered out: {what} {name}"
    return "" if cell.criterion in wanted else "filtered out: criterion"


def written_down(framework: str) -> Offer | None:
    """What `adapters/offers.json` says that --framework `framework` offers on the CPU, with the versions that are
    installed; None where it speaks of other versions than those, or not at all."""
    said = read_offers().get(framework)
    if said is None:
        return None
    try:
        installed = {package: version(package) for package in said["versions"]}
    except PackageNotFoundError:
        return None
    if any(_public(installed[package]) != of for package, of in said["versions"].items()):
        return None
    lists = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
    return Offer(versions=installed, dialect=said["dialect"], **lists)


def read_offers() -> dict[str, dict[str, Any]]:
    """The offers that are written down, by the name that --framework takes."""
    offers: dict[str, dict[str, Any]] = json.loads((folder("adapters") / FILE).read_text(encoding="utf-8"))
    return offers


def to_write_down(offer: Offer) -> dict[str, Any]:
    """An offer as `adapters/offers.json` has it: on the CPU, of the versions that are everybody's (2.13.0, and not
    2.13.0+cpu)."""
    lists = {name: list(getattr(offer, name)) for name in ("dtypes", "modes", "same", "costly", "bound")}
    versions = {package: _public(of) for package, of in offer.versions.items()}
    return {"versions": versions, "dialect": offer.dialect, **lists}


def _public(version: str) -> str:
    return version.partition("+")[0]
