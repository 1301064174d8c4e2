"""Drafts of known differences: what is new becomes an entry that a person completes, and nothing else does."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from conformance.cli import main
from conformance.errors import FileError
from conformance.record.results import read_results, write_results
from conformance.report.drafts import drafts
from conformance.verdict.entries import read_known
from tests.report_samples import cell, check, document, witness
from tests.test_plugin import L1, last_line, ran


def wrong(got: str, **more: Any) -> dict[str, Any]:
    return check("fails", witnesses=[witness(got=got)], **more)


def draft(*checks: dict[str, Any], **more: Any) -> dict[str, Any]:
    (only,) = drafts(document(*checks), **more)
    return only


def written(folder: Path, doc: dict[str, Any], *args: str) -> Path:
    """The file that `conformance known --update` makes of a document."""
    write_results(folder / "out.json", doc)
    assert main(["known", "--update", str(folder / "out.json"), "-o", str(folder / "mine.yaml"), *args]) == 0
    return folder / "mine.yaml"


def completed(text: str) -> str:
    """What a person does to a draft."""
    text = re.sub(r"reason: ''.*", "reason: The sign of the gradient is that of the other input.", text)
    return re.sub(r"owner: ''.*", "owner: you", text)


def test_from_a_run_to_a_known_difference(tmp_path: Path) -> None:
    """The run fails, its draft is refused; completed, it covers what it was drafted from, and the run passes."""
    run = (*L1, "--framework", "faulty:SignFlipped", "--results", "out.json")
    code, _ = ran(tmp_path, *run)
    assert code == 1
    mine = written(tmp_path, read_results(tmp_path / "out.json"))
    code, out = ran(tmp_path, *run, "--known", "mine.yaml")
    assert code == 4, out
    assert "mine.yaml:" in out
    assert "say what goes wrong and why" in out
    mine.write_text(completed(mine.read_text(encoding="utf-8")), encoding="utf-8")
    code, out = ran(tmp_path, *run, "--known", "mine.yaml")
    assert code == 0, out
    assert last_line(out).startswith("PASS: 0 new;")
    assert " 0 known" not in last_line(out)


def test_a_draft_that_nobody_completed_is_refused_with_its_line(tmp_path: Path) -> None:
    mine = written(tmp_path, document(wrong("nan")))
    lines = mine.read_text(encoding="utf-8").splitlines()
    with pytest.raises(FileError) as caught:
        read_known(mine)
    for key, said in (("reason", "until somebody has worked that out"), ("owner", "who looks after")):
        line = next(i for i, text in enumerate(lines, 1) if text.strip().startswith(f"{key}:"))
        assert any(f"mine.yaml:{line}: " in fault and said in fault for fault in str(caught.value).splitlines())
    mine.write_text(completed(mine.read_text(encoding="utf-8")), encoding="utf-8")
    (entry,) = read_known(mine)
    assert entry.matches("l1/torch/cpu/eager/float32/value")


def test_a_cause_is_one_draft_and_says_which_dtypes() -> None:
    everywhere = [wrong("nan", where=cell("l1", dtype)) for dtype in ("float64", "float32")]
    assert draft(*everywhere)["checks"] == ["l1/torch/cpu/eager/*/value"]
    assert draft(everywhere[0], check(where=cell("l1", "float32")))["checks"] == ["l1/torch/cpu/eager/float64/value"]
    assert draft(everywhere[0])["versions"] == ">=2.13,<2.14"
    assert [item["dtype"] for item in draft(*everywhere)["witness"]] == ["float32", "float64"]


@pytest.mark.parametrize(
    ("got", "worst", "envelope"),
    [
        ("nan", 0.0, {"answers": ["nan"]}),
        ("-inf", 3.0, {"answers": ["-inf"]}),
        ("0x1p+0", 1234.5, {"ulp": 1300}),
        ("0x1p+0", 2.61, {"ulp": 2.7}),
        ("an input out of its domain is answered with 1.5", 0.0, {"answers": [1.5]}),
        ("an input out of its domain is answered with inf", 0.0, {"answers": ["inf"]}),
        ("RuntimeError: no (kernel)", 0.0, {"raises": r"RuntimeError:\ no\ \(kernel\)"}),
    ],
)
def test_the_envelope_is_what_was_seen(got: str, worst: float, envelope: dict[str, Any]) -> None:
    assert draft(wrong(got, worst_ulp=worst))["envelope"] == envelope


def test_only_what_is_new_is_drafted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    known = wrong("nan", known=["there"], new=None)
    lost = check("inaccurate", "gradient.input", witnesses=[witness()])
    doc = document(known, lost, stale=["old-one: no longer seen"])
    assert drafts(doc) == []
    assert draft(known, lost, inaccurate=True)["kind"] == "inaccurate"
    write_results(tmp_path / "out.json", doc)
    assert main(["known", "--update", str(tmp_path / "out.json"), "-o", str(tmp_path / "mine.yaml")]) == 0
    assert "nothing in" in capsys.readouterr().err
    assert not (tmp_path / "mine.yaml").exists()


def test_what_stands_in_the_file_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text("# mine\n- id: mine\n  reason: 'short'\n", encoding="utf-8")
    mine = written(tmp_path, document(wrong("nan"), stale=["old-one: no longer seen"]))
    text = mine.read_text(encoding="utf-8")
    assert text.startswith("# mine\n- id: mine\n  reason: 'short'\n\n- id: torch-l1-value-nan")
    err = capsys.readouterr().err
    assert "1 draft; write a reason" in err
    assert "stale, and left in its file: old-one" in err
    assert written(tmp_path, document(wrong("nan"))).read_text(encoding="utf-8") == text  # it is there already


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    write_results(tmp_path / "out.json", document(wrong("nan")))
    for text in ("spec: 1\n", "- [\n"):
        (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
        assert main(["known", "--update", str(tmp_path / "out.json"), "-o", str(tmp_path / "mine.yaml")]) == 4
        assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == text


# Expiry

ENTRY = """\
- id: turned
  checks: ["l1/sign_flipped/*/*/*/*"]
  versions: ">=1"
  kind: wrong
  envelope: {ulp: 1.0e+17}
  reason: The sign of the gradient is that of the other input.
  owner: somebody
  expires: %s
  witness:
    dtype: float64
    check: gradient.input
    inputs: {input: 0.0, target: 1.0}
"""


@pytest.mark.parametrize(("day", "code"), [("2020-02-29", 1), ("2999-12-31", 0)])
def test_an_entry_expires(tmp_path: Path, day: str, code: int) -> None:
    (tmp_path / "mine.yaml").write_text(ENTRY % day, encoding="utf-8")
    args = (*L1, "--framework", "faulty:SignFlipped", "--known", "mine.yaml")
    done, out = ran(tmp_path, *args, "--results", "out.json", "--report", "out.md")
    assert done == code, out
    assert (tmp_path / "out.md").read_text(encoding="utf-8").startswith(f"## {'FAIL' if code else 'PASS'}: 0 new;")
    stale = read_results(tmp_path / "out.json")["run"]["stale"]
    told = f"turned: expired on {day}, owner somebody: renew its date and reason, or take it out"
    assert stale == ([told] if code else [])
    # it still covers what it is about: what fails is that nobody has looked at it again
    assert last_line(out).startswith("FAIL: 0 new;" if code else "PASS: 0 new;")


def test_expires_is_a_date(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(ENTRY % "2030-06-01", encoding="utf-8")
    assert read_known(tmp_path / "mine.yaml")[0].expires == date(2030, 6, 1)
    (tmp_path / "mine.yaml").write_text(ENTRY % "soon", encoding="utf-8")
    with pytest.raises(FileError, match=r"mine\.yaml:8: turned: expires: "):
        read_known(tmp_path / "mine.yaml")
