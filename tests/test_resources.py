"""The folders beside the package, and what the built distributions hold."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

from conformance import _resources
from conformance._resources import built_in

FOLDERS = ("specs", "adapters", "reports")
ROOT = Path(__file__).parent.parent


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "conformance"
    package.mkdir()
    monkeypatch.setattr(_resources, "PACKAGE", package)
    return package


@pytest.mark.parametrize("name", FOLDERS)
def test_every_folder_is_found_and_holds_something(name: str) -> None:
    assert any(_resources.folder(name).iterdir())


def test_a_checkout_has_the_folder_beside_the_package(package: Path) -> None:
    (package.parent / "specs").mkdir()
    assert _resources.folder("specs") == package.parent / "specs"


def test_an_installed_package_prefers_its_own_folder(package: Path) -> None:
    for place in (package, package.parent):
        (place / "specs").mkdir()
    assert _resources.folder("specs") == package / "specs"


def test_a_missing_folder_names_itself_and_the_remedy(package: Path) -> None:
    with pytest.raises(FileNotFoundError, match="without its folder 'specs'; install it again"):
        _resources.folder("specs")


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="builds from a checkout")
def test_wheel_and_sdist_hold_the_three_folders(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    (sdist,) = tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    for path in _files():
        assert f"conformance/{path}" in in_wheel
        assert path in in_sdist
    # what is published is read where it is published, and made by a checkout
    assert "reports/publish.py" in in_sdist
    assert {name for name in in_wheel if name.startswith("conformance/reports/")} == {
        f"conformance/{path}" for path in _files() if path.startswith("reports/")
    }
    assert {"conformance/py.typed", "conformance/_resources.py"} <= in_wheel & in_sdist
    assert not [name for name in in_wheel if "__pycache__" in name]
    assert {name.partition("/")[0].partition("-")[0] for name in in_wheel} == {"conformance", "loss_conformance"}


def _files() -> list[str]:
    places = (ROOT / "specs", ROOT / "adapters", ROOT / "reports" / "templates")
    files = [ROOT / "reports" / "results.schema.json", *(path for place in places for path in place.rglob("*"))]
    return [str(path.relative_to(ROOT)) for path in files if path.is_file() and "__pycache__" not in path.parts]


@pytest.mark.parametrize("name", built_in())
def test_pytest_judges_frameworks_as_they_are(name: str) -> None:
    """What is installed beside the suite must not lead pytest to rewrite the asserts of a framework."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        pytest.skip(f"{name} is not installed")
    assert not isinstance(spec.loader, AssertionRewritingHook)
