"""The pytest plugin's door. It is loaded in everybody's pytest runs, so it imports next to nothing and registers its
options only where the suite, or an option that nobody else has, is asked for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent
_OURS = ("--framework", "--criterion", "--conformance-seed", "--fail-on")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Registers the suite's options, where it is asked for."""
    config = pluginmanager.get_plugin("pytestconfig")
    given = [str(arg) for arg in config.invocation_params.args] if config is not None else []
    given += shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    if not _is_asked_for(given):
        return
    from conformance.suite.options import register

    register(parser.getgroup("conformance", "loss-function conformance").addoption)


def pytest_configure(config: pytest.Config) -> None:
    """Starts the suite, where its options are there and somebody asks for more than their meaning."""
    if not hasattr(config.option, "conformance_framework") or config.option.help:
        return
    from conformance.errors import ConformanceError
    from conformance.suite.listing import listing

    try:
        _refuse_another_copy(config.args)
        config.pluginmanager.register(listing(config) or _suite(config), "conformance-suite")
    except ConformanceError as error:
        raise pytest.UsageError(str(error)) from None


def _suite(config: pytest.Config) -> object:
    from conformance.suite.plugin import SuitePlugin

    return SuitePlugin(config)


def _is_asked_for(given: Iterable[str]) -> bool:
    pyargs = "--pyargs" in given
    return any(
        arg.split("=")[0] in _OURS or _is_suite(arg) or (pyargs and arg.split(".")[0].split("::")[0] == "conformance")
        for arg in given
    )


def _is_suite(arg: str) -> bool:
    if arg.startswith("-"):
        return False
    path = Path(arg.split("::")[0])
    folder = path if path.is_dir() else path.parent
    return path.exists() and (folder / "test_conformance.py").is_file() and (folder / "plugin.py").is_file()


def _refuse_another_copy(args: Iterable[str]) -> None:
    from conformance.errors import UsageError

    for arg in args:
        path = Path(arg.split("::")[0])
        folder = (path if path.is_dir() else path.parent).resolve()
        if _is_suite(arg) and folder != PACKAGE:
            raise UsageError(
                f"the suite in {folder} was asked for, but another copy is installed in {PACKAGE}: "
                "install the checkout (pip install -e .), or run `pytest --pyargs conformance`"
            )
