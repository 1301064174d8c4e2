"""Same seed, same cases: from a checkout, from an installed copy, beside a module full of constants, under CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import conformance
from conformance.spec import specs_folder

PACKAGE = Path(conformance.__file__).parent

SCRIPT = """
import sys, pathlib
import {imports}
import conformance
from conformance.cases.plan import consistency_stacks, drawn_bits, stacks
from conformance.spec import load_specs, specs_folder
print(pathlib.Path(conformance.__file__).parent, specs_folder(), file=sys.stderr)
specs = load_specs([specs_folder()])
for name in {names}:
    for dtype in ("float64", "bfloat16"):
        print(*(stack[k].hash for stack in stacks(specs[name], dtype, "default", 3) for k in (0, -1)))
        print(*(stack[0].hash for stack in consistency_stacks(specs[name], dtype, "default", 3)))
        print(*sorted({{stack.labels["recipe"].split()[0] for stack in stacks(specs[name], dtype, "default", 3)}}))
    print(*drawn_bits(100, 4))
"""

FOREIGN = (
    "VALUES = [" + ", ".join(str(7919 * k**3 + 11) for k in range(300)) + "]\nTEXT = 'a constant'\nX = 0.123456789\n"
)


def output(folder: Path, site: Path, imports: str = "os", **variables: str) -> tuple[str, str]:
    """What the script prints in a fresh interpreter that runs in `folder` and finds the package in `site`."""
    names = sorted(path.stem for path in specs_folder().glob("*.yaml"))[:3]
    script = folder / "script.py"
    script.write_text(SCRIPT.format(imports=imports, names=names))
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTHONPATH"}}
    environment |= {"PYTHONPATH": str(site), **variables}
    run = subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run.stdout, run.stderr


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    return output(tmp_path_factory.mktemp("here"), PACKAGE.parent)[0]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy as a wheel lays it out: the specs inside the package."""
    site = tmp_path_factory.mktemp("wheel") / "site-packages"
    ignored = shutil.ignore_patterns("__pycache__", "specs")
    shutil.copytree(PACKAGE, site / "conformance", ignore=ignored)
    shutil.copytree(specs_folder(), site / "conformance" / "specs")
    return site


def test_hard_values_are_among_them(here: str) -> None:
    assert {"covering", "random", "hard"} <= {word for line in here.splitlines() for word in line.split()}


def test_from_an_installed_copy(here: str, installed: Path, tmp_path: Path) -> None:
    printed, places = output(tmp_path, installed)
    assert places.split() == [str(installed / "conformance"), str(installed / "conformance" / "specs")]
    assert printed == here


def test_beside_a_foreign_module(here: str, tmp_path: Path) -> None:
    (tmp_path / "foreign.py").write_text(FOREIGN)
    assert output(tmp_path, PACKAGE.parent, imports="foreign")[0] == here


def test_under_ci_and_another_profile(here: str, tmp_path: Path) -> None:
    profile = "from hypothesis import settings\nsettings.register_profile('x', derandomize=True, max_examples=7)\n"
    (tmp_path / "our_profile.py").write_text(profile + "settings.load_profile('x')\n")
    assert output(tmp_path, PACKAGE.parent, imports="our_profile", CI="1", PYTHONHASHSEED="17")[0] == here


def test_the_foreign_module_would_have_mattered(tmp_path: Path) -> None:
    """Why recipes are made of bits: integers do depend on what else is imported."""
    (tmp_path / "foreign.py").write_text(FOREIGN)
    draw = """
import {imports}
from hypothesis import Phase, given, seed, settings, strategies as st
@seed(1)
@settings(database=None, phases=[Phase.generate], max_examples=300)
@given(st.integers(0, 2**40))
def draw(n):
    print(n)
draw()
"""
    printed = []
    for imports in ("os", "foreign"):
        (tmp_path / "draw.py").write_text(draw.format(imports=imports))
        run = subprocess.run([sys.executable, "draw.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stderr
        printed.append(run.stdout)
    assert printed[0] != printed[1]
