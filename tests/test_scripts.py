"""Stand-alone scripts: every one that a run prints is run, where there is no `conformance` to import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import Call, Output, load_adapter
from conformance.cases.case import Case
from conformance.record.plain import as_number
from conformance.record.results import read_results
from conformance.report.scripts import literal, script_for, why_none
from conformance.suite.calls import call_of
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.run import judge_cell
from tests import report_samples as samples
from tests.test_plugin import environment

# Reads scripts from a file, and runs each as a program of its own would run.
RUNNER = """
import contextlib, io, json, sys
sys.path.append(sys.argv[2])
sys.modules["conformance"] = None
try:
    import conformance
    sys.exit("conformance can be imported here")
except ImportError:
    pass
done = []
for script in json.load(open(sys.argv[1])):
    code, out = 0, io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(script, "script", "exec"), {"__name__": "__main__"})
        except SystemExit as end:
            code = end.code
        except Exception as error:
            code, _ = 1, print(type(error).__name__, error)
    done.append((code, out.getvalue()))
json.dump(done, sys.stdout)
"""
# Every dtype, integer targets, lengths, weights, gradients, refusals, infinities, NaN and empty shapes are among them.
CRITERIA = ("ctc", "l1", "multi_margin", "nll", "soft_margin")


def run_all(folder: Path, scripts: Sequence[str]) -> list[tuple[int, str]]:
    """The exit code and the output of each, in a process that sees torch's folder and no `.pth` of ours (-S)."""
    torch = pytest.importorskip("torch")
    (folder / "scripts.json").write_text(json.dumps(scripts), encoding="utf-8")
    command = [sys.executable, "-I", "-S", "-c", RUNNER, "scripts.json", str(Path(torch.__file__).parent.parent)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return [(code, out) for code, out in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of a run on torch."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("run")
    chosen = [word for name in CRITERIA for word in ("--criterion", name)]
    command = [sys.executable, "-m", "conformance.cli", "run", "--framework", "torch", "--effort", "quick", *chosen]
    command += ["--fail-on", "none", "--results", "out.json"]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return read_results(folder / "out.json")


def may_have(check: dict[str, Any]) -> bool:
    """Whether one plain call shows what a check is about."""
    return not str(check["check"]).startswith(("consistency.", "invalid."))


def test_every_script_of_a_run_says_what_the_run_says(document: dict[str, Any], tmp_path: Path) -> None:
    pairs = [(check, witness) for check in document["checks"] for witness in check["witnesses"]]
    scripts = [script_for(*pair) for pair in pairs]
    reasons = {why_none(*pair) for script, pair in zip(scripts, pairs, strict=True) if not script and may_have(pair[0])}
    assert all("too large" in reason for reason in reasons), reasons
    texts = [script for script in scripts if script]
    kinds = {(check["dtype"], witness["due"]) for check, witness in pairs if witness.get("script")}
    assert kinds >= {(dtype, "number") for dtype in ("float64", "float32", "float16", "bfloat16")}
    assert ("float32", "refusal") in kinds
    done = iter(run_all(tmp_path, texts))
    for (check, witness), script in zip(pairs, scripts, strict=True):
        if script is None:
            continue
        code, out = next(done)
        where = f"{check['id']}\n{script}\n{out}"
        if "empty_batch" not in check["check"]:  # torch returns memory that was never written
            assert code == 1, where
            if witness["due"] == "number":
                assert f"wanted {as_number(witness['wanted'])!r}, got {as_number(witness['got'])!r}" in out, where


def test_a_script_is_a_program_of_its_own(document: dict[str, Any], tmp_path: Path) -> None:
    check = next(check for check in document["checks"] if check["outcome"] == "fails" and check["dtype"] == "float32")
    script = script_for(check, check["witnesses"][0])
    assert script is not None
    assert "conformance" not in script
    assert len(script.splitlines()) <= 25
    (tmp_path / "bug.py").write_text(script, encoding="utf-8")
    command = [sys.executable, "-I", "bug.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("wanted ")


# What a script says about a framework that does this


def witness(call: str, **changes: Any) -> dict[str, Any]:
    """A witness whose call is plain Python."""
    return samples.witness(**{"output": "value", "due": "number", "script": call, "share": "0x0.0p+0", **changes})


@pytest.mark.parametrize(
    ("call", "changes", "code", "said"),
    [
        ("got = 1.5", {}, 1, "wanted 1.0, got 1.5: 4.19e+06 ulp of float32 apart"),
        ("got = 1.0", {}, 0, "0 ulp"),
        ("got = 1.0 + 2.0**-22", {}, 0, "2 ulp"),
        ("got = nan", {}, 1, "got nan: nan ulp"),
        ("got = inf", {}, 1, "got inf"),
        ("got = [[0.0, 1.0]]", {"where": [0, 1]}, 0, "got 1.0"),
        ("got = [[0.0, 1.0]]", {"where": [0, 0]}, 1, "got 0.0"),
        ("got = [[0.25, 1.25]]", {"where": [0, 1], "share": "0x1p-3"}, 1, "got 1.0625"),
        ("got = inf", {"wanted": "inf", "bounds": ["inf", "inf"]}, 0, "wanted inf, got inf"),
        ("got = -inf", {"wanted": "inf", "bounds": ["inf", "inf"]}, 1, "got -inf"),
        ("got = 0.0", {"wanted": "nan", "bounds": ["nan", "nan"]}, 1, "wanted nan"),
        ("got = nan", {"wanted": "nan", "bounds": ["nan", "nan"]}, 0, "wanted nan"),
        ("got = $input[0][0]", {"wanted": "0x1.8p+6", "bounds": ["0x1.8p+6", "0x1.8p+6"]}, 0, "got 96.0"),
        ("raise ValueError('no')", {"due": "answer"}, 1, "ValueError no"),
        ("got = 7.0", {"due": "answer"}, 0, "got 7.0"),
        ("import math\ngot = [[1.0, nan]]", {"due": "refusal"}, 1, "got [[1.0, nan]]"),
        ("import math\ngot = [[nan, nan], [nan]]", {"due": "refusal"}, 0, "got [[nan, nan], [nan]]"),
        ("import math\ngot = []", {"due": "refusal"}, 1, "got []"),
        ("import math\nraise ValueError('no')", {"due": "refusal"}, 0, "refused, as is due: ValueError: no"),
    ],
)
def test_exit_code_and_words(call: str, changes: dict[str, Any], code: int, said: str, tmp_path: Path) -> None:
    given = {"where": [], "wanted": "0x1p+0", "bounds": ["0x1.fffff0p-1", "0x1.00000ap+0"], **changes}
    script = script_for(samples.check("fails"), witness(call, **given))
    assert script is not None
    done = run_all(tmp_path, [script])
    assert done[0][0] == code, (script, done)
    assert said in done[0][1]


def test_numbers_are_written_exactly() -> None:
    numbers = [0.1, 1.0, -0.0, 5e-324, 1e300, -2.5, float("inf"), float("-inf"), 96.0, 2.0**-20, float(np.float32(0.1))]
    names = {"fromhex": float.fromhex, "inf": float("inf"), "nan": float("nan")}
    for number in numbers:
        again = eval(literal(number.hex() if number - number == 0 else str(number)), names)
        assert (again, str(again)) == (number, str(number))
    assert literal([[], [True, 3]]) == "[[], [True, 3]]"
    assert literal("0x1.8000000000000p+70") == 'fromhex("0x1.8p+70")'


def test_there_is_none_and_why() -> None:
    drawn = {"criterion": "l1", "dtype": "float32", "parameters": {}, "recipe": "bulk 0.1"}
    check = samples.check("fails")
    assert script_for(check, samples.witness()) is None
    assert why_none(check, samples.witness()) == "the adapter of torch writes none for this call"
    assert "too large" in why_none(check, witness("got = 1", case=drawn))
    assert script_for(check, samples.witness(script="got = 1")) is None
    assert script_for({**check, "dtype": "float8"}, witness("got = 1", bounds=["0x1p+0", "0x1p+0"])) is None


def test_a_hostile_id_stays_in_its_comment(tmp_path: Path) -> None:
    check = {**samples.check("fails"), "id": "l1\nprint('owned')\n"}
    script = script_for(check, witness("got = 1.0", where=[], wanted="0x1p+0", bounds=["0x1p+0", "0x1p+0"]))
    assert script is not None
    assert "owned" not in run_all(tmp_path, [script])[0][1]


def test_the_lines_in_the_docs_are_what_torch_s_adapter_writes() -> None:
    pytest.importorskip("torch")
    text = (Path(__file__).parent.parent / "docs" / "adapters.md").read_text(encoding="utf-8")
    inputs = {name: np.ones(2, np.float32) for name in ("input", "target")}
    adapter: Any = load_adapter("torch")
    lines = adapter.script(Call("l1", inputs, {"reduction": "sum"}, "float32", wrt=("input",)))
    assert f"```text\n{lines}\n```" in text


# Adapters that write scripts, and those that cannot


def judged_by(adapter: Any, criterion: str) -> tuple[dict[str, Any], list[str]]:
    """The gradient check of a criterion in float64, as the results keep it, and the cell's warnings."""
    options = Options(("numpy",), (criterion,), dtypes=("float64",), effort="quick")
    plan = make_plan(options)
    plan.frameworks = {"numpy": replace(plan.frameworks["numpy"], adapter=adapter, known=())}
    result = judge_cell(plan, plan.cells[0])
    wanted = {"ctc": "gradient.log_probs"}.get(criterion, "gradient.input")
    return next(check.to_json() for check in result.checks if check.check == wanted), result.warnings


class Multiple:
    """A ctc whose gradient holds a multiple of the probabilities, which is right, and is off in one place."""

    name = "numpy"

    def __init__(self) -> None:
        self.inner = load_adapter("numpy")

    def environment(self) -> Any:
        return self.inner.environment()

    def binding(self, criterion: str) -> Any:
        return self.inner.binding(criterion)

    def run(self, call: Call) -> Output:
        return self.answered(call, bump=0.25)

    def answered(self, call: Call, bump: float) -> Output:
        output = self.inner.run(call)
        if not call.wrt:
            return output
        gradient = output.gradients["log_probs"] + 3 * np.exp(call.inputs["log_probs"])
        gradient.reshape(-1)[np.argmax(call.inputs["log_probs"])] += bump  # where the probability is not 0
        return Output(output.value, {"log_probs": gradient})

    def script(self, call: Call, bump: float = 0.25) -> str:
        gradient = self.answered(call, bump).gradients["log_probs"]
        numbers = np.array([float(x).hex() for x in gradient.ravel()], dtype=object).reshape(gradient.shape).tolist()
        return f"import math\ngot = {literal(numbers)}"


def test_a_multiple_that_is_free_is_taken_out_before_the_comparison(tmp_path: Path) -> None:
    adapter = Multiple()
    check, _ = judged_by(adapter, "ctc")
    assert check["outcome"] == "fails"
    witness = check["witnesses"][0]
    assert float.fromhex(witness["share"]) > 0
    call = call_of(Case.from_json(witness["case"]), ("log_probs",), "cpu", "formula")
    mended = {**witness, "script": adapter.script(call, bump=0.0)}
    scripts = [script_for(check, witness), script_for(check, mended)]
    done = run_all(tmp_path, [script for script in scripts if script])
    assert [code for code, _ in done] == [1, 0], done


def test_an_adapter_that_cannot_write_one_is_told_and_costs_nothing() -> None:
    class Cannot(Multiple):
        def run(self, call: Call) -> Output:
            output = self.inner.run(call)
            return Output(output.value, {name: -gradient for name, gradient in output.gradients.items()})

        def script(self, call: Call, bump: float = 0.0) -> str:
            raise TypeError("no words")

    check, warnings = judged_by(Cannot(), "l1")
    assert check["outcome"] == "fails"
    assert "the adapter cannot write a script: TypeError: no words" in warnings
    assert script_for(check, check["witnesses"][0]) is None
