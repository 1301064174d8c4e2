"""How long the report takes to open in Chromium: a page of 5,000 checks, from a file.

    python -m benchmarks.page [--times 10]

Prints the time until the page's load event, as the browser has it: least, median and most. Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from conformance.report.html import render
from tests.report_samples import many
from tests.test_report_browser import CHROMIUM, QUIET, Opened, written


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page")
    parser.add_argument("--times", type=int, default=10)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    docs, times = many(1, 21, 60), []
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        url = written(Path(folder), render(docs))
        for _ in range(given.times):
            one = Opened(browser, url)
            times.append(one.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
            one.context.close()
        browser.close()
    checks = len(docs[0]["checks"])
    least, middle, most = min(times), statistics.median(times), max(times)
    print(f"{checks:,} checks: {least:.0f} ms at least, {middle:.0f} in the median, {most:.0f} at most")


if __name__ == "__main__":
    main()
