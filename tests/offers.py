"""Writes down in adapters/offers.json what built-in adapters offer: `python -m tests.offers NAME …`, where their
frameworks are installed in the versions of constraints.txt.

tests/test_listing.py holds the file against the adapters.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from conformance._resources import folder
from conformance.suite.offers import FILE, read_offers, to_write_down
from conformance.suite.options import Options
from conformance.suite.plan import make_plan


def offer_of(framework: str) -> dict[str, Any]:
    """What --framework `framework` offers here, as it is written down."""
    plan = make_plan(Options(frameworks=(framework,)))
    try:
        return to_write_down(plan.frameworks[framework].offer(plan.specs))
    finally:
        plan.close()


def main() -> None:
    """Asks the adapters that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", nargs="+")
    path = folder("adapters") / FILE
    offers = read_offers() | {name: offer_of(name) for name in parser.parse_args().framework}
    path.write_text(written(offers), encoding="utf-8")


def written(offers: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of the file: a line for each fact, so that a change of one shows as that."""
    parts = []
    for name, offer in sorted(offers.items()):
        facts = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in offer.items())
        parts.append(f" {json.dumps(name)}: {{\n{facts}\n }}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
