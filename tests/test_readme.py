"""What the README shows has to be so."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import Adapter, Call, load_adapter
from conformance.record.model import OUTCOMES
from conformance.record.results import read_results
from conformance.report.terminal import summary
from conformance.suite.options import OPTIONS
from conformance.verdict.known import Entry, read_known

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """The first cell of each row of the table under a heading."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", section, flags=re.MULTILINE)


def floats(*numbers: float) -> np.ndarray[Any, Any]:
    return np.array(numbers, dtype=np.float32)


def test_every_option_is_in_the_table() -> None:
    assert {row.split()[0] for row in rows("Options") if row.startswith("-")} == {name for name, *_ in OPTIONS}


def test_every_outcome_is_in_the_table() -> None:
    assert set(rows("How to read a result")) == set(OUTCOMES)


def test_the_known_difference_of_the_docs_is_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "known-differences.md").read_text(encoding="utf-8")
    file = tmp_path / "mine.yaml"
    file.write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    assert read_known(file)[0].matches("cosine_embedding/torch/cpu/eager/float32/gradient.input1")
    assert set(re.findall(r"^\| `(\w+)`", text, flags=re.MULTILINE)) == {
        str(field.validation_alias or name) for name, field in Entry.model_fields.items()
    }


def test_the_criteria_that_it_names_are_all_there_are() -> None:
    named = README.partition("As it stands: ")[2].partition("`")[2].partition("`")[0].split()
    assert sorted(named) == sorted(path.stem for path in (ROOT / "specs").glob("*.yaml"))


def test_what_it_found_is_what_the_published_results_say() -> None:
    doc = read_results(ROOT / "reports" / "torch-2.13.0.json")
    shown = README.partition("## What it found\n")[2].partition("[![")[0]
    blocks = re.findall(r"```text\n(.*?)```", shown, flags=re.DOTALL)
    assert len(blocks) == 2
    said = summary(doc, width=100).splitlines()
    assert [line for block in blocks for line in block.splitlines() if line not in said] == []
    outcomes = Counter(check["outcome"] for check in doc["checks"])
    counts = {"agrees": "agree", "differs": "differ", "fails": "fail", "inaccurate": "are inaccurate", "error": "raise"}
    text = " ".join(README.split())
    assert f"Of the {len(doc['checks']):,} checks" in text
    assert all(f" {outcomes[outcome]:,} {word}" in text for outcome, word in counts.items())


def test_its_adapter_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = README.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    adapter = load_adapter("mine:Mine")
    assert isinstance(adapter, Adapter)
    inputs = {"input": floats(3, 1), "target": floats(1, 1)}
    output = adapter.run(Call("l1", inputs, {"reduction": "sum"}, "float32", wrt=("input", "target")))
    assert output.value == 2
    assert output.value.dtype == np.float32
    np.testing.assert_array_equal(output.gradients["input"], floats(1, 0))
    np.testing.assert_array_equal(output.gradients["target"], floats(-1, 0))
