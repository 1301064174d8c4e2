"""The versions that a known difference speaks of: the framework's own, or those of a package beneath it."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


@dataclass(frozen=True)
class Range:
    """Versions of the package, or of the framework if it is ""."""

    package: str
    versions: SpecifierSet

    def version(self, packages: Mapping[str, str]) -> str:
        """The version that the range is of, among those of an environment: the framework's own, which stands first, or
        that of the package which the range names; "" if it is not there."""
        if not self.package:
            return next(iter(packages.values()), "")
        return next((packages[name] for name in packages if canonicalize_name(name) == self.package), "")

    def holds(self, packages: Mapping[str, str]) -> bool:
        """Whether these versions lie in the range (build tags such as +cpu aside)."""
        try:
            return self.versions.contains(Version(self.version(packages)).public, prereleases=True)
        except InvalidVersion:
            return False

    def is_later_than(self, packages: Mapping[str, str]) -> bool:
        """Whether these versions came before all that the range speaks of."""
        try:
            return all(Version(item.version) > Version(self.version(packages)) for item in self.versions)
        except InvalidVersion:
            return False


@functools.cache
def range_of(text: str) -> Range:
    """The range that a text such as `>=2.0,<2.14` or `jax>=0.10,<0.11` says.

    Raises:
        InvalidSpecifier: it says none.
    """
    name = re.match(r"\s*([A-Za-z][\w.-]*)?\s*", text)
    assert name is not None
    package, versions = canonicalize_name(name[1] or ""), text[name.end() :]
    if package and not versions:
        raise InvalidSpecifier(f"Invalid specifier: {text!r}")
    return Range(package, SpecifierSet(versions))
