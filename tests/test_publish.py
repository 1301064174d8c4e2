"""The published report: one command makes the results, the page, the badge and the picture."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conformance.record.results import read_results
from tests.report_samples import check, document, witness

PUBLISH = Path(__file__).parent.parent / "reports" / "publish.py"


@pytest.fixture(scope="module")
def publish() -> Any:
    """The module; it lies beside the package, not in it."""
    if not PUBLISH.exists():
        pytest.skip("made by a checkout")
    spec = importlib.util.spec_from_file_location("publish", PUBLISH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_from_nothing_to_the_page(publish: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command as it is, on two criteria."""
    monkeypatch.setattr(publish, "HERE", tmp_path)
    monkeypatch.setattr(publish, "PICTURE", tmp_path / "report.png")
    options = ["--criterion", "l1", "--criterion", "mse", "--effort", "quick", "--dtype", "float64", "-q"]
    assert publish.main(["numpy", *options]) == 0
    (results,) = tmp_path.glob("numpy-*.json")
    doc = read_results(results)
    assert doc["run"]["verdict"].startswith("PASS: 0 new")
    assert results.stem == f"numpy-{doc['run']['frameworks']['numpy']['numpy']}"
    assert "smooth_l1" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<svg" in (tmp_path / "badge.svg").read_text(encoding="utf-8")
    if any(shutil.which(name) for name in publish.BROWSERS):
        assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".*"))


def test_a_framework_that_cannot_be_judged(publish: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "HERE", tmp_path)
    assert publish.main(["nobody"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_page_is_of_all_that_lies_there(publish: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "BROWSERS", ())
    for name in ("torch", "jax"):
        doc = document(check(), frameworks={name: {name: "1.2"}})
        (tmp_path / f"{publish.file_name(doc)}.json").write_text(json.dumps(doc), encoding="utf-8")
    (tmp_path / "results.schema.json").write_text("{}", encoding="utf-8")
    publish.merge(tmp_path, tmp_path / "report.png")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "torch 1.2" in page
    assert "jax 1.2" in page


def test_what_is_kept(publish: Any) -> None:
    same = [witness(), witness("worst")]
    two = [witness(), witness("worst", where=[3, 1])]
    doc = document(check("fails", witnesses=same), check("fails", "gradient.input", witnesses=two))
    kept = {item["check"]: [w["kind"] for w in item["witnesses"]] for item in publish.smaller(doc)["checks"]}
    assert kept == {"value": ["smallest"], "gradient.input": ["smallest", "worst"]}
    assert publish.file_name(document(check(), frameworks={"torch": {"torch": "2.13.0+cpu"}})) == "torch-2.13.0"
    assert publish.file_name(document(check(), frameworks={"torch@/a b/python": {}})) == "torch-a-b-python"
    several = {"keras:jax": {"jax": "0.10.2", "keras": "3.15.1"}}  # in a file, keys are sorted
    assert publish.file_name(document(check(), frameworks=several)) == "keras-jax-3.15.1"
