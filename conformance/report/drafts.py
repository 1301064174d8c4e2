"""Drafts of known differences: what a results file shows as new, as entries that a person has to complete.

A draft says which checks, which versions, how far off, and freezes the witnesses. It cannot say why: its reason is
empty, and a file with an empty reason is refused.
"""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.errors import FileError
from conformance.record.causes import Cause, causes_of
from conformance.record.model import JUDGED, WRONG
from conformance.record.plain import as_float, as_number
from conformance.record.results import read_results, write_text
from conformance.report.words import exact, one_line, plural

Doc = Mapping[str, Any]
Check = Mapping[str, Any]
REASON = "what goes wrong and why, as you would write it to the framework's maintainers; without it this is refused"


def update(results: Path, out: Path | None, inaccurate: bool = False) -> int:
    """0, after adding to `out` (or printing) a draft for each cause that is new in `results`; nothing is taken out.

    Raises:
        FileError: the results cannot be read, or `out` is no list of entries or cannot be written.
    """
    doc = read_results(results)
    before = out.read_text(encoding="utf-8") if out is not None and out.exists() else ""
    there = _ids(out, before)
    entries = [entry for entry in drafts(doc, inaccurate) if entry["id"] not in there]
    if not entries:
        print(f"nothing in {results} is new", file=sys.stderr)
        return 0
    text = (before.rstrip("\n") + "\n\n" if before.strip() else "") + _yaml(entries)
    if out is None:
        print(text, end="")
    else:
        write_text(out, text, "-o")
        print(f"{out}: {plural(len(entries), 'draft')}; write a reason and an owner for each", file=sys.stderr)
    for stale in doc["run"]["stale"]:
        print(f"stale, and left in its file: {one_line(stale, 500)}", file=sys.stderr)
    return 0


def drafts(doc: Doc, inaccurate: bool = False) -> list[dict[str, Any]]:
    """An entry without reason and owner for each cause that is new (or inaccurate), and each framework showing it."""
    by_id = {check["id"]: check for check in doc["checks"]}
    standings = {"new", "added", "as before", *(("inaccurate",) if inaccurate else ())}
    entries: list[dict[str, Any]] = []
    for cause in causes_of(doc):
        if cause.standing not in standings:
            continue
        checks = [by_id[id] for id in cause.checks]
        for framework in sorted({check["framework"] for check in checks}):
            mine = [check for check in checks if check["framework"] == framework]
            entries.append(_entry(doc, cause, framework, mine, [entry["id"] for entry in entries]))
    return entries


def _entry(doc: Doc, cause: Cause, framework: str, checks: Sequence[Check], taken: Sequence[str]) -> dict[str, Any]:
    name = re.sub(r"[^a-z0-9]+", "-", f"{framework} {cause.title.split(' (')[0]}".lower()).strip("-")[:60].strip("-")
    same = sum(id == name or id.startswith(f"{name}-") for id in taken)
    return {
        "id": f"{name}-{same + 1}" if same else name,
        "checks": _patterns(doc, checks),
        "versions": _versions(doc["run"]["frameworks"].get(framework, {})),
        "kind": "wrong" if cause.severity in WRONG else "inaccurate",
        "envelope": _envelope(checks),
        "reason": "",
        "owner": "",
        "witness": [_witness(check, witness) for check in checks for witness in check["witnesses"][:1]],
    }


def _patterns(doc: Doc, checks: Sequence[Check]) -> list[str]:
    """The ids of the checks; `*` where all dtypes that were judged show it."""

    def without_dtype(check: Check) -> tuple[str, ...]:
        return tuple(check[key] for key in ("criterion", "framework", "device", "mode", "check"))

    seen = {without_dtype(check) for check in checks}
    judged = [check for check in doc["checks"] if check["outcome"] in JUDGED]
    patterns: list[str] = []
    for place in sorted(seen):
        mine, there = ({c["dtype"] for c in some if without_dtype(c) == place} for some in (checks, judged))
        dtypes = ["*"] if mine == there and len(mine) > 1 else sorted(mine)
        patterns += ["/".join((*place[:4], dtype, place[4])) for dtype in dtypes]
    return patterns


def _versions(packages: Mapping[str, str]) -> str:
    """The minor version that was judged: `>=2.13,<2.14`."""
    from packaging.version import InvalidVersion, Version

    try:
        version = Version(next(iter(packages.values()), ""))
    except InvalidVersion:
        return ""
    return f">={version.major}.{version.minor},<{version.major}.{version.minor + 1}"


def _envelope(checks: Sequence[Check]) -> dict[str, Any]:
    """How far off it was seen to be, and no more."""
    envelope: dict[str, Any] = {}
    answers, raised = set(), set()
    for text in (str(witness.get("got", "")) for check in checks for witness in check["witnesses"]):
        number, answer = as_number(text), as_number(text.rpartition("answered with ")[2].split(" ")[0].rstrip(";,"))
        if number is not None and math.isfinite(number):
            envelope["ulp"] = _rounded_up(max(as_float(check["worst_ulp"]) or 0.0 for check in checks))
        elif answer is not None:
            answers.add(answer if math.isfinite(answer) else str(answer))
        elif text:
            raised.add(re.escape(text.splitlines()[0][:80]))
    return (
        envelope
        | ({"answers": sorted(answers, key=str)} if answers else {})
        | ({"raises": "|".join(sorted(raised))} if raised else {})
    )


def _rounded_up(size: float) -> float | int:
    """Two digits, not less than `size`."""
    unit = 10.0 ** (math.floor(math.log10(size)) - 1) if size > 0 and math.isfinite(size) else 1.0
    rounded = math.ceil(size / unit) * unit if math.isfinite(size) else size
    return int(rounded) if rounded.is_integer() else float(f"{rounded:.2g}")


def _witness(check: Check, witness: Mapping[str, Any]) -> dict[str, Any]:
    frozen: dict[str, Any] = {"dtype": check["dtype"], "check": check["check"]}
    case = witness["case"]
    if check["check"].startswith(("edge.", "invalid.")) or "recipe" in case:  # these bring their own numbers
        return frozen
    numbers = {key: {name: _number(value) for name, value in case[key].items()} for key in ("inputs", "parameters")}
    return frozen | numbers


def _number(value: Any) -> Any:
    """A number of the record as an entry writes it: in decimal where a few digits give it exactly, else hexadecimal."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    number = as_number(value) if isinstance(value, str) else None
    if number is None or not math.isfinite(number):
        return value
    text = exact(number)
    return text if "x" in text else float(text)


def _ids(path: Path | None, text: str) -> set[str]:
    """The ids in a file that may hold drafts, and so need not be right."""
    from ruamel.yaml.error import YAMLError

    from conformance._yaml import loads

    try:
        data = loads(text) or []
    except YAMLError:
        data = None
    if not isinstance(data, list):
        raise FileError(f"{path} is no list of known differences, so nothing is added; choose another file for -o")
    return {str(item.get("id")) for item in data if isinstance(item, dict)}


def _yaml(entries: Sequence[Mapping[str, Any]]) -> str:
    """The entries as YAML, a line for each witness, and a word at what is missing."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    def in_line(value: Any) -> Any:
        made: Any = value
        if isinstance(value, Mapping):
            made = CommentedMap({key: in_line(item) for key, item in value.items()})
            made.fa.set_flow_style()
        elif isinstance(value, list):
            made = CommentedSeq([in_line(item) for item in value])
            made.fa.set_flow_style()
        return made

    listed = []
    for entry in entries:
        item = CommentedMap(entry)
        item["envelope"] = in_line(entry["envelope"])
        item["witness"] = [in_line(witness) for witness in entry["witness"]]
        item.yaml_add_eol_comment(REASON, "reason")
        item.yaml_add_eol_comment("who looks after it", "owner")
        listed.append(item)
    writer = YAML()
    writer.width = 10**6
    writer.indent(mapping=2, sequence=4, offset=2)
    parts = []
    for item in listed:
        stream = io.StringIO()
        writer.dump([item], stream)
        parts.append("\n".join(line.removeprefix("  ") for line in stream.getvalue().splitlines()) + "\n")
    return "\n".join(parts)
