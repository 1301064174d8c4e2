"""YAML 1.2 by ruamel.yaml, and fast: by libyaml (ruamel.yaml.clib), where it reads the same.

libyaml knows YAML 1.1 and takes some of what YAML 1.2 refuses. So it has the first word only, on texts in which the two
do not part, and nobody's faults are told by it: docs/decisions/037-reading-fast.md.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

# directives, tabs, and what ends a line or counts as a column in one version of YAML alone
_PARTING = re.compile("^%|[\t\r\x85\u2028\u2029\ufeff]", re.MULTILINE)


def may_be_fast(text: str) -> bool:
    """Whether libyaml may read this text. What it refuses is still to be read by ruamel.yaml."""
    return _PARTING.search(text) is None


def events(text: str, *, fast: bool = False) -> Iterator[Any]:
    """The parser's events, from libyaml if `fast` and it is there.

    Raises:
        YAMLError: the text is not YAML, as soon as that is seen.
    """
    return iter(YAML(typ="safe", pure=not fast).parse(text))


def loads(text: str) -> Any:
    """The data of a document.

    Raises:
        YAMLError: it is not YAML.
    """
    if may_be_fast(text):
        with contextlib.suppress(YAMLError):
            return YAML(typ="safe", pure=False).load(text)
    return YAML(typ="safe", pure=True).load(text)
