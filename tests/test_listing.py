"""`--collect-only`: the second time from memory, without a framework, and never out of date."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.spec import specs_folder
from tests.test_plugin import environment

ARGS = ("--criterion", "huber", "--criterion", "l1", "--dtype", "float32", "--collect-only", "-q")
CODE = """
import sys, pytest
code = pytest.main(["--pyargs", "conformance", *sys.argv[1:]])
print("IMPORTED", sorted({"numpy", "torch", "pydantic", "ruamel.yaml"} & set(sys.modules)), int(code))
"""


def listed(folder: Path, *args: str) -> tuple[list[str], str]:
    """The ids that are listed, and what was imported for it with the exit code."""
    command = [sys.executable, "-c", CODE, "-o", f"cache_dir={folder / 'cache'}", *ARGS, *args]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=120
    )
    lines = done.stdout.splitlines()
    ids = [line for line in lines if "::" in line]
    return ids, next(line for line in lines if line.startswith("IMPORTED"))


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    folder = tmp_path / "specs"
    folder.mkdir()
    shutil.copy(specs_folder() / "huber.yaml", folder / "huber.yaml")
    return folder


def test_a_listing_is_remembered(tmp_path: Path) -> None:
    first, imported = listed(tmp_path)
    assert len(first) == 2
    assert "numpy" in imported
    assert listed(tmp_path) == (first, "IMPORTED [] 0")


def test_what_is_selected_from_it_is_selected(tmp_path: Path) -> None:
    listed(tmp_path)
    ids, imported = listed(tmp_path, "-k", "huber")
    assert len(ids) == 1
    assert imported == "IMPORTED [] 0"


def test_other_options_have_another_listing(tmp_path: Path) -> None:
    listed(tmp_path)
    ids, imported = listed(tmp_path, "--criterion", "mse")
    assert len(ids) == 3
    assert "numpy" in imported


def test_wrong_options_are_told(tmp_path: Path) -> None:
    listed(tmp_path)
    assert listed(tmp_path, "--dtype", "float31") == ([], "IMPORTED [] 4")


def test_a_spec_that_changes_is_read_again(tmp_path: Path, specs: Path) -> None:
    args = ("--specs", str(specs))
    listed(tmp_path, *args)
    assert listed(tmp_path, *args)[1] == "IMPORTED [] 0"
    spec = specs / "huber.yaml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("spec: 1", "spec: 1\nbroken: true"), encoding="utf-8")
    ids, imported = listed(tmp_path, *args)
    assert not ids
    assert imported.endswith(" 4")


def test_a_module_of_somebody_elses_is_asked_each_time(tmp_path: Path) -> None:
    args = ("--framework", "conformance.adapters.numpy:Adapter")
    for _ in range(2):
        assert "numpy" in listed(tmp_path, *args)[1]
