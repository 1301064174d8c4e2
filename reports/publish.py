"""Make the published report: judge frameworks, keep their results here, merge all results here into one page.

    python reports/publish.py torch numpy        or, in an environment of its own: tox -e published

Each framework is judged at the default effort and seed. Its results are kept as NAME-VERSION.json, smaller than a run
writes them: a witness that is the smallest and the worst at once stands once. They serve as baselines. index.html,
badge.svg and docs/report.png (where there is a Chromium) are made of every NAME-VERSION.json that lies here, so that
frameworks which exclude one another can be judged in environments of their own, one after the other.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.errors import ConformanceError
from conformance.record.results import read_results, write_results
from conformance.report.formats import write
from conformance.report.view import version_of

HERE = Path(__file__).resolve().parent
PICTURE = HERE.parent / "docs" / "report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIZE = (1280, 960)


def main(argv: Sequence[str]) -> int:
    """0, after judging the frameworks (and their options, such as `-n 2`) and renewing the report; 1 if one cannot be
    judged. A run that fails is published as it is: the report says so."""
    first = next((i for i, word in enumerate(argv) if word.startswith("-")), len(argv))
    frameworks, options = argv[:first], argv[first:]
    for framework in frameworks:
        path = judged(framework, options, HERE)
        if path is None:
            return 1
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    merge(HERE, PICTURE)
    return 0


def judged(framework: str, options: Sequence[str], folder: Path) -> Path | None:
    """The file with the results of judging a framework; None where there are none."""
    raw = folder / f".{os.getpid()}.json"
    command = [sys.executable, "-m", "conformance.cli", "run", "--framework", framework, "--results", str(raw)]
    try:
        subprocess.run([*command, *options], check=False)
        if not raw.exists():
            return None
        doc = smaller(read_results(raw))
    finally:
        for left in folder.glob(f"{raw.name}*"):
            left.unlink()
    path = folder / f"{file_name(doc)}.json"
    write_results(path, doc)
    return path


def file_name(doc: dict[str, Any]) -> str:
    """`torch-2.13.0`: the framework and its version, without a build tag."""
    (name, versions), *_ = doc["run"]["frameworks"].items()
    version = version_of(name, versions).partition("+")[0]
    return re.sub(r"[^\w.-]+", "-", f"{name}-{version}".strip("-"))


def smaller(doc: dict[str, Any]) -> dict[str, Any]:
    """The document with each witness once, where the smallest is the worst."""

    def once(witnesses: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = [{**witness, "kind": ""} for witness in witnesses[:1]]
        return witnesses[:1] if all({**witness, "kind": ""} in kept for witness in witnesses) else witnesses

    # Which build of the kernel it was decides no number.
    where = "-".join((platform.system(), platform.machine(), *platform.libc_ver()))
    run = {**doc["run"], "platform": where.strip("-")}
    return {**doc, "run": run, "checks": [{**check, "witnesses": once(check["witnesses"])} for check in doc["checks"]]}


def merge(folder: Path, picture: Path) -> None:
    """Renews the page, the badge and the picture from every results file in the folder."""
    paths = [path for path in sorted(folder.glob("*.json")) if not path.name.endswith(".schema.json")]
    docs = [read_results(path) for path in paths]
    page = folder / "index.html"
    write(page, docs, files=[path.name for path in paths])
    write(folder / "badge.svg", docs)
    print(f"{page}: {len(docs)} results, {page.stat().st_size / 1e6:.1f} MB")
    if not take(page, picture):
        print(f"{picture} was not renewed: none of {', '.join(BROWSERS)} is here")


def take(page: Path, picture: Path) -> bool:
    """Whether there was a browser to take a picture of the page with."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        return False
    command = [browser, "--headless", "--hide-scrollbars", f"--window-size={SIZE[0]},{SIZE[1]}"]
    command += ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []  # Chromium refuses root one
    subprocess.run([*command, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True, timeout=120)
    return True


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConformanceError as error:
        sys.exit(str(error))
