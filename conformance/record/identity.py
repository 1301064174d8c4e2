"""Whether two records are of one run: the same suite, frameworks, options, specs and known differences, by content.

Python, the platform and what an adapter tells of its machine may differ: the shards of a run need not share a machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SAME = ("suite", "frameworks", "numpy", "seed", "effort")
DIGESTS = {
    "code": "the suite's own code",
    "specs": "the specs",
    "known": "the known differences",
    "adapters": "the adapters",
}


def digest_of(files: Iterable[Path]) -> str:
    """A digest of the contents of files and their names, whatever folders they lie in."""
    lines = sorted(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What makes the `run` of two records different runs, in words; none where they are one. Shards do not count."""
    found = [
        f"{key} {_text(one.get(key))} there, {_text(other.get(key))} here"
        for key in SAME
        if one.get(key) != other.get(key)
    ]
    before, now = one.get("options", {}), other.get("options", {})
    found += [
        f"{key} {_text(before.get(key))} there, {_text(now.get(key))} here"
        for key in sorted({*before, *now} - {"environment"})
        if before.get(key) != now.get(key)
    ]
    old, new = one.get("digests", {}), other.get("digests", {})
    return found + [f"{text} changed" for key, text in DIGESTS.items() if old.get(key) != new.get(key)]


def joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The `run` of both parts of a run: `one`, with every machine that it ran on."""
    options = dict(one.get("options", {}))
    if "environment" in options:
        options["environment"] = _both(options["environment"], other.get("options", {}).get("environment", {}))
    both = {key: _both(one[key], other[key]) for key in ("python", "platform")}
    return {**one, **both, "options": options}


def _both(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {key: _both(one[key], other[key]) if key in one and key in other else {**one, **other}[key]
                for key in {**one, **other}}  # fmt: skip
    texts = [text for side in (one, other) for text in str(side).split("; ")]
    return one if one == other else "; ".join(dict.fromkeys(texts))


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "all"
    return str(value)
