"""JUnit XML, as Jenkins and GitLab read it: a suite for each cell, a test case for each check."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conformance.record.plain import as_float
from conformance.report.words import clean, one_line

Doc = Mapping[str, Any]
SKIPPED = ("not run", "unsupported", "undecided")  # never a pass


def render(docs: Sequence[Doc]) -> str:
    """The test suites of these results documents.

    A check that fails the run is a failure, or an error; what did not run, is unsupported or undecided is skipped; a
    known difference passes and says so. A stale known difference, and a run that did not come to its end, fail as cases
    of their own.
    """
    root = ET.Element("testsuites", name="loss-conformance")
    for doc in docs:
        root.extend(_cells(doc))
        root.extend(_unrun(doc))
        root.extend(_whole(doc))
    _count(root, root.iter("testsuite"))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _cells(doc: Doc) -> Iterable[ET.Element]:
    seconds = {entry["cell"]: as_float(entry["seconds"]) or 0.0 for entry in doc["ledger"] if "cell" in entry}
    cells: dict[str, list[Mapping[str, Any]]] = {}
    for check in doc["checks"]:
        cells.setdefault(check["id"].removesuffix(f"/{check['check']}"), []).append(check)
    for cell, checks in cells.items():
        yield _suite(doc, cell, [_case(cell, check, doc) for check in checks], seconds.get(cell, 0.0))


def _case(cell: str, check: Mapping[str, Any], doc: Doc) -> ET.Element:
    case = _named(cell, check["check"])
    message = check["message"] or check["outcome"]
    if check["id"] in doc["run"]["failing"]:
        kind = "error" if check["outcome"] == "error" else "failure"
        _tell(case, kind, message, type=check["outcome"])
    elif check["outcome"] in SKIPPED:
        _tell(case, "skipped", f"{check['outcome']}: {message}" if check["message"] else message)
    elif check["message"]:
        known = f"known: {', '.join(check['known'])}\n" if check["known"] else ""
        ET.SubElement(case, "system-out").text = clean(f"{known}{message}")
    return case


def _unrun(doc: Doc) -> Iterable[ET.Element]:
    """Cells that were planned and did not run."""
    for entry in doc["ledger"]:
        if entry["status"] == "not run" and "cell" in entry:
            case = _named(entry["cell"], "cell")
            _tell(case, "skipped", f"not run: {entry['reason']}")
            yield _suite(doc, entry["cell"], [case])


def _whole(doc: Doc) -> Iterable[ET.Element]:
    """What fails a run without being a check of it."""
    run = doc["run"]
    cases = []
    for text in run["stale"] if run["fail_on"] != "none" else ():
        cases.append(_named("known_differences", text.split(":")[0]))
        _tell(cases[-1], "failure", f"stale: {text}", type="stale")
    if not run["complete"] or str(run["verdict"]).startswith("NOTHING RAN"):
        cases.append(_named("run", "complete"))
        _tell(cases[-1], "error", run["verdict"], type="incomplete")
    if cases:
        yield _suite(doc, "run", cases)


def _suite(doc: Doc, name: str, cases: Sequence[ET.Element], seconds: float = 0.0) -> ET.Element:
    started = str(doc["run"]["started"])[:19]  # ISO 8601 without a zone, as the schema has it
    suite = ET.Element("testsuite", name=clean(name), time=f"{seconds:.3f}", timestamp=clean(started))
    suite.extend(cases)
    _count(suite, [suite])
    return suite


def _named(cell: str, name: str) -> ET.Element:
    """A test case; Jenkins makes packages of what stands between dots."""
    place = one_line(cell, 500).replace(".", "_").replace("/", ".")
    return ET.Element("testcase", classname=place, name=one_line(name, 500))


def _tell(case: ET.Element, kind: str, text: str, type: str = "") -> None:
    told = ET.SubElement(case, kind, {"message": one_line(text, 300), **({"type": type} if type else {})})
    if kind != "skipped":
        told.text = clean(text)


def _count(element: ET.Element, suites: Iterable[ET.Element]) -> None:
    cases = [case for suite in list(suites) for case in suite.findall("testcase")]
    element.set("tests", str(len(cases)))
    for plural, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        if element.tag == "testsuite" or kind != "skipped":  # the schema knows no skipped of the whole
            element.set(plural, str(sum(case.find(kind) is not None for case in cases)))
