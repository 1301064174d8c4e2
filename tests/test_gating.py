"""The recipes of docs/gating.md, run as they stand there, in a shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.test_plugin import environment

DOCS = Path(__file__).parent.parent / "docs" / "gating.md"
FEW = "--criterion l1 --criterion soft_margin --dtype float32"  # a run of seconds; the recipes judge all


def recipe(name: str) -> str:
    """The fenced block that follows `<!-- recipe: NAME -->`."""
    text = DOCS.read_text(encoding="utf-8")
    found = re.search(rf"<!-- recipe: {name} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert found is not None, name
    return found.group(1)


def shell(folder: Path, script: str, **more: str) -> tuple[int, str]:
    """The exit code and the output of a script, as a CI job would run it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**environment(folder), "PATH": path, "PYTEST_ADDOPTS": FEW, "CI": "true", **more}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=240
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job's folder, in which the baseline was made as the page says."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("job")
    code, out = shell(folder, recipe("baseline"))
    assert code == 0, out
    return folder


def test_the_shell_recipe(job: Path) -> None:
    for name in ("gate", "reports", "diff"):
        code, out = shell(job, recipe(name))
        assert code == 0, out
    for name in ("report.html", "summary.md", "junit.xml", "badge.svg"):
        assert (job / name).stat().st_size > 100
    assert (job / "summary.md").read_text(encoding="utf-8").startswith("## PASS: 0 new;")


def steps() -> list[dict[str, Any]]:
    workflow = YAML(typ="safe", pure=True).load(recipe("actions"))
    (found,) = workflow["jobs"].values()
    return list(found["steps"])


def test_the_workflow(job: Path) -> None:
    commands = [step["run"] for step in steps() if "run" in step and not step["run"].startswith("pip install")]
    assert len(commands) == 2
    summary = job / "step-summary.md"
    for command in commands:
        code, out = shell(job, command, GITHUB_STEP_SUMMARY=str(summary))
        assert code == 0, out
        assert "::error" not in out
    assert summary.read_text(encoding="utf-8").startswith("## PASS: 0 new;")
    always = [step.get("name") or step["uses"] for step in steps() if step.get("if") == "always()"]
    assert always == ["tell", "actions/upload-artifact@v4"]


def test_the_workflow_where_something_is_new(job: Path, tmp_path: Path) -> None:
    """The same commands on a framework that got its signs wrong: the gate fails, and the reports still come."""
    judge, tell = [step["run"].replace("torch", "faulty:SignFlipped") for step in steps() if step.get("name") in ("judge", "tell")]  # fmt: skip  # noqa: E501
    (tmp_path / "baseline.json").write_bytes((job / "baseline.json").read_bytes())
    code, out = shell(tmp_path, judge)
    assert code == 1, out
    code, out = shell(tmp_path, tell, GITHUB_STEP_SUMMARY=str(tmp_path / "summary-of-the-step.md"))
    assert code == 0, out
    assert re.search(r"^::error title=l1 gradient%3A the wrong sign", out, re.MULTILINE)
    text = (tmp_path / "summary-of-the-step.md").read_text(encoding="utf-8")
    assert text.startswith("## FAIL: ")
    assert "### Wrong, and new" in text


def test_a_run_that_was_killed_still_has_reports(job: Path, tmp_path: Path) -> None:
    run = json.loads((job / "baseline.json").read_text(encoding="utf-8"))["run"]
    header = json.dumps({"journal": 1, "plan": ["l1/torch/cpu/eager/float32"], "run": run})
    (tmp_path / "out.json.journal").write_text(f"{header}\n", encoding="utf-8")
    code, out = shell(tmp_path, recipe("reports"))
    assert code == 0, out
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").startswith("## NOTHING RAN")


@pytest.mark.parametrize("word", ["baseline", "--fail-on", "known --update", "--script", "stability.md"])
def test_the_page_speaks_of(word: str) -> None:
    assert word in DOCS.read_text(encoding="utf-8")


def test_what_a_release_promises_names_what_there_is() -> None:
    text = (DOCS.parent / "stability.md").read_text(encoding="utf-8")
    from conformance.record.results import SCHEMA

    assert f'`"schema": {SCHEMA}`' in text
