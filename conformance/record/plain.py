"""Strict JSON: what the record writes and reads back. JSON has no NaN and no infinity, so these travel as text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any


def plain(value: Any) -> Any:
    """`value` as strict JSON data: floats that JSON lacks as "nan", "inf", "-inf"; NumPy scalars as Python's."""
    if isinstance(value, str):
        # Frameworks decode what they like: half of a surrogate pair could not be written as UTF-8.
        return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted(plain(item) for item in value)
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return plain(value.item()) if hasattr(value, "item") else plain(str(value))


def dumps(value: Any, indent: int | None = None) -> str:
    """`value` as JSON text: the same bytes for the same data, in ASCII."""
    separators = (",", ": ") if indent else (",", ":")
    return json.dumps(plain(value), sort_keys=True, allow_nan=False, indent=indent, separators=separators)


def as_number(value: Any) -> float | None:
    """The number that a witness keeps as hexadecimal text, or as a number; None where the text is none."""
    try:
        # float.fromhex reads "1.5" as hexadecimal, too
        return float.fromhex(value) if isinstance(value, str) and "0x" in value else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def as_float(value: Any) -> float | None:
    """The number that `plain` wrote, whether as a number or as text; None where there is none."""
    return None if value is None else float(value)
