"""`--collect-only`: from what is written down, or the second time from memory; without a framework, up to date."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conformance._resources import built_in, folder
from conformance.spec import specs_folder
from conformance.suite import offers
from conformance.suite.listing import cells_written_down, header_of
from conformance.suite.offers import FILE, read_offers, written_down
from conformance.suite.options import Options, register
from conformance.suite.plan import make_plan
from tests.offers import written
from tests.test_plugin import environment

ROOT = Path(__file__).parent.parent
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


def is_installed(framework: str) -> bool:
    """Whether the framework is here in the versions of which its offer is written down."""
    return written_down(framework) is not None


@pytest.mark.parametrize("framework", sorted(read_offers()))
def test_what_is_written_down_is_what_the_adapter_says(framework: str) -> None:
    if not is_installed(framework):
        pytest.skip(f"{framework} is not installed, or in another version")
    code = "import json, sys; from tests.offers import offer_of; print(json.dumps(offer_of(sys.argv[1])))"
    command = [sys.executable, "-c", code, framework]  # a process each: keras runs on one backend only
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    assert json.loads(done.stdout.splitlines()[-1]) == read_offers()[framework]


def test_the_file_is_as_it_is_written() -> None:
    assert (folder("adapters") / FILE).read_text(encoding="utf-8") == written(read_offers())


def test_every_built_in_framework_is_written_down() -> None:
    assert {name.partition(":")[0] for name in read_offers()} == set(built_in())


@pytest.mark.parametrize("options", [(), ("--mode", "formula"), ("--dtype", "float16", "--mode", "eager")])
def test_what_is_listed_is_what_is_judged(options: tuple[str, ...]) -> None:
    """Of numpy and, where it is installed, torch: the cells of the plan, in its order, with its header."""
    parser = argparse.ArgumentParser()
    register(parser.add_argument)
    names = [name for name in ("numpy", "torch") if is_installed(name)]
    given = Options.read(parser.parse_args([*(f"--framework={name}" for name in names), *options]))
    listed = cells_written_down(given)
    assert listed is not None
    plan = make_plan(given)
    plan.close()
    judged = {name: framework.versions for name, framework in plan.frameworks.items()}
    assert listed == (plan.cells, header_of(given, len(plan.cells), judged))


def test_other_versions_are_not_spoken_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "version", {"numpy": "2.5.0", "torch": "2.13.0+cu130"}.__getitem__)
    assert written_down("numpy") is None
    torch = written_down("torch")
    assert torch is not None  # the build for CUDA has the same cells on the CPU
    assert torch.versions == {"torch": "2.13.0+cu130"}
    assert written_down("keras") is None  # whose backend its configuration says


def test_nothing_is_imported_for_a_listing(tmp_path: Path) -> None:
    ids, imported = listed(tmp_path)
    assert len(ids) == 2
    assert imported == "IMPORTED [] 0"


def test_no_framework_is_imported_for_a_listing(tmp_path: Path) -> None:
    if not is_installed("torch"):
        pytest.skip("torch is not installed")
    ids, imported = listed(tmp_path, "--framework", "torch")
    assert len(ids) == 2
    assert imported == "IMPORTED [] 0"


def test_a_listing_is_remembered(tmp_path: Path, specs: Path) -> None:
    args = ("--specs", str(specs))
    first, imported = listed(tmp_path, *args)
    assert len(first) == 2
    assert "numpy" in imported
    assert listed(tmp_path, *args) == (first, "IMPORTED [] 0")


def test_what_is_selected_from_it_is_selected(tmp_path: Path) -> None:
    ids, imported = listed(tmp_path, "-k", "huber")
    assert len(ids) == 1
    assert imported == "IMPORTED [] 0"


def test_other_options_have_another_listing(tmp_path: Path, specs: Path) -> None:
    args = ("--specs", str(specs))
    listed(tmp_path, *args)
    ids, imported = listed(tmp_path, *args, "--criterion", "mse")
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
