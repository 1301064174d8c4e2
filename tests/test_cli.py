"""The command line: `conformance run | list | show | replay | report | diff`, and what it says to bad input."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.cli import main
from conformance.errors import ConformanceError
from conformance.record.results import read_results, write_results
from conformance.suite.options import Options, register
from conformance.suite.plugin import SuitePlugin
from tests import report_samples as samples
from tests.test_plugin import HERE, L1, environment, last_line


def suite(*args: str) -> SuitePlugin:
    """What the plugin makes of these options, before anything runs."""
    parser = argparse.ArgumentParser()
    register(parser.add_argument)
    config: Any = SimpleNamespace(option=parser.parse_args(args), stash=pytest.Stash())
    return SuitePlugin(config)


# Every kind of bad input


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--framework", "torhc"), "'torhc'"),
        (("--criterion", "cross_entropi"), "did you mean 'cross_entropy'"),
        (("--criterion", "l9*"), "'l9*'"),
        (("--dtype", "float8"), "'float8'"),
        (("--dtype", "flaot32"), "did you mean 'float32'"),
        (("--device", "gpu"), "'gpu'"),
        (("--mode", "jit"), "'jit'"),
        (("--effort", "slow"), "'slow'"),
        (("--fail-on", "all"), "'all'"),
        (("--conformance-seed", "one"), "'one' is not a whole number"),
        (("--conformance-seed", "-1"), "a whole number from 0"),
        (("--conformance-seed", "1.5"), "'1.5'"),
        (("--known", "absent.yaml"), "no file 'absent.yaml'"),
        (("--known", "."), "no file '.'"),
        (("--specs", "absent"), "no folder 'absent'"),
        (("--baseline", "absent.json"), "no file 'absent.json'"),
        (("--results", "absent/out.json"), "cannot be written"),
        (("--results", "."), "it is a folder"),
        (("--report", "absent/out.html"), "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_told_in_a_sentence(
    args: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConformanceError) as caught:
        suite(*args)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


SPEC = "spec: 1\nname: bad\ntitle: A bad one\ndims: {}\ninputs: {}\nformula: |\n  loss = abs(\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("spec: 1\nname: [\n", "bad.yaml:"),
        ("spec: 1\nname: bad\nname: bad\n", "bad.yaml:3:1"),
        (SPEC, "bad.yaml:"),
        ("", "bad.yaml:1:1"),
    ],
    ids=["torn", "twice", "formula", "empty"],
)
def test_a_wrong_spec_is_told_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConformanceError) as caught:
        suite("--specs", str(tmp_path))
    assert place in str(caught.value)
    assert all("bad.yaml:" in line for line in str(caught.value).splitlines())


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 99}', "\x00"], ids=["torn", "list", "schema", "binary"])
def test_a_wrong_baseline_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "old.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConformanceError, match=r"old\.json"):
        suite("--criterion", "l1", "--baseline", str(tmp_path / "old.json"))


def test_options_that_repeat(tmp_path: Path) -> None:
    options = suite("--criterion", "l1", "--criterion", "*_l1", "--dtype", "float32", "--framework", "numpy").options
    assert options.wanted(["l1", "mse", "smooth_l1"]) == ("l1", "smooth_l1")
    assert options.dtypes == ("float32",)
    assert not options.default_framework
    assert Options().frameworks == ("numpy",)


# The commands


def said(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(args)
    out, err = capsys.readouterr()
    return code, out, err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "list")
    assert code == 0
    for name in ("cross_entropy", "triplet_margin", "torch", "numpy"):
        assert name in out


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "show", "smooth_l1")
    assert code == 0
    for word in ("Smooth L1", "beta", "abs(error)", "exactly_beta"):
        assert word in out


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("show", "smooth_l2"), "smooth_l1"),
        (("show",), "criterion"),
        (("shew",), "shew"),
        ((), "COMMAND"),
        (("replay", "absent.json", "l1/numpy/cpu/formula/float64/value"), "absent.json"),
        (("report", "absent.json", "-o", "out.html"), "absent.json"),
        (("report", "absent.json"), "-o"),
        (("known",), "--update"),
        (("known", "--update", "absent.json"), "absent.json"),
        (("report", "absent.json", "-o", "out.md"), "absent.json"),
        (("diff", "absent.json", "absent.json"), "absent.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_command_is_one_sentence_and_exit_code_4(
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, *args)
    assert (code, out) == (4, "")
    assert err.startswith("conformance: ")
    assert word in err
    assert len(err.strip().splitlines()) == 1


def test_report_and_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    write_results(old, samples.document(samples.check("agrees")))
    write_results(new, samples.document(samples.check("fails", message="it is 1 where 2 is wanted")))
    assert main(["diff", str(old), str(old)]) == 0
    assert "NOT WORSE" in capsys.readouterr().out
    code, out, _ = said(capsys, "diff", str(old), str(new))
    assert code == 1
    assert out.splitlines()[-1].startswith("WORSE: 1")
    assert main(["report", str(old), str(new), "-o", str(tmp_path / "out.html")]) == 0
    assert "it is 1 where 2 is wanted" in (tmp_path / "out.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of `conformance run` on a mutant, called in a project with pytest settings of its own."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("project")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\ntestpaths = nowhere\n", encoding="utf-8")
    (folder / "conftest.py").write_text("raise RuntimeError('not ours')\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "conformance.cli",
        "run",
        *L1,
        "--framework",
        "faulty:SignFlipped",
        "--results",
        "out.json",
    ]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert last_line(done.stdout).startswith("FAIL: ")
    return folder / "out.json"


CHECK = "l1/sign_flipped/cpu/eager/float64/gradient.input"


def test_run_ignores_the_settings_of_the_project_it_is_called_in(wrong: Path) -> None:
    assert CHECK in read_results(wrong)["run"]["failing"]


def test_replay_says_what_is_wrong(
    wrong: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for an adapter that was given as module:Class."""
    monkeypatch.syspath_prepend(HERE)
    code, out, err = said(capsys, "replay", str(wrong), CHECK)
    assert code == 1, err
    assert "wanted" in out
    assert "got" in out


def test_replay_says_in_its_last_line_whether_it_is_still_so(
    wrong: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE)
    _, out, _ = said(capsys, "replay", str(wrong), CHECK)
    assert out.splitlines()[-1] == "STILL SO: 2 of 2 witnesses come to fails"
    mended = json.loads(wrong.read_text(encoding="utf-8"))
    mended["run"]["options"]["adapters"] = {"sign_flipped": "faulty:Right"}
    (wrong.parent / "mended.json").write_text(json.dumps(mended), encoding="utf-8")
    code, out, err = said(capsys, "replay", str(wrong.parent / "mended.json"), CHECK)
    assert code == 0, err
    assert out.splitlines()[-1] == "NO LONGER SO: none of 2 witnesses come to fails"


def test_replay_prints_a_script_or_why_there_is_none(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "replay", str(wrong), CHECK, "--script")
    assert (code, out) == (4, "")
    assert "has no script: the adapter of sign_flipped writes none for this call" in err
    document = read_results(wrong)
    check = next(check for check in document["checks"] if check["id"] == CHECK)
    for i, item in enumerate(check["witnesses"]):
        item.update(script=f"import os\ngot = {i}.0", due="number", where=[])
    write_results(wrong.parent / "scripts.json", document)
    for args, got in (((), "0.0"), (("smallest",), "0.0"), (("worst",), "1.0")):
        code, out, _ = said(capsys, "replay", str(wrong.parent / "scripts.json"), CHECK, "--script", *args)
        assert code == 0
        assert f"\ngot = {got}\n" in out
    code, _, err = said(capsys, "replay", str(wrong), f"{CHECK}s", "--script")
    assert code == 4
    assert f"did you mean {CHECK}?" in err


def test_replay_of_what_agreed_has_nothing_to_show(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "replay", str(wrong), CHECK.replace("gradient.input", "edge.empty_sum"))
    assert code == 4
    assert "no witnesses" in err
    code, _, err = said(capsys, "replay", str(wrong), "l1/nobody/cpu/eager/float64/value")
    assert code == 4
    assert "no check" in err
