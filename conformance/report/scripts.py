"""Stand-alone scripts that show a witness with nothing but the framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def script_for(check: Mapping[str, Any], witness: Mapping[str, Any]) -> str | None:
    """A script of about ten lines that needs only the framework; None where there is none for it."""
    return None
