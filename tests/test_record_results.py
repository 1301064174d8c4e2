"""The results file: valid, strict, the same for the same run, and refused in a sentence where it is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from conformance._resources import folder
from conformance.errors import FileError
from conformance.record.journal import Journal
from conformance.record.model import OUTCOMES, Check, roll_up
from conformance.record.plain import as_float, dumps, plain
from conformance.record.results import first_fault, read_results, run_info, without_times, write_results
from tests.report_samples import cell, check, document, realistic, run

SCHEMA = json.loads((folder("reports") / "results.schema.json").read_text())


def test_the_schema_is_a_schema_and_names_what_the_record_names() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["outcome"]["enum"]) == set(OUTCOMES)
    assert SCHEMA["$defs"]["check"]["properties"].keys() == Check.__dataclass_fields__.keys()
    later = {"undecided", "apart_ulp", "regimes", "curve"}  # files of earlier suites lack them, and are still read
    assert set(SCHEMA["$defs"]["check"]["required"]) == Check.__dataclass_fields__.keys() - later


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_makes_a_valid_document(outcome: str) -> None:
    assert first_fault(document(check(outcome))) is None


def test_a_document_goes_through_a_file_unchanged(tmp_path: Path) -> None:
    doc = realistic(stale=["gone"], baseline=realistic())
    write_results(tmp_path / "out" / "results.json", doc)
    assert read_results(tmp_path / "out" / "results.json") == doc
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]


def test_equal_runs_make_equal_bytes_but_for_times() -> None:
    one, other = realistic(), realistic(started="2027-01-01T00:00:00+00:00")
    for entry in other["ledger"]:
        entry["seconds"] = 99.0
    assert dumps(one) != dumps(other)
    assert dumps(without_times(one)) == dumps(without_times(other))


def test_checks_and_ledger_are_sorted_and_everything_planned_is_in_the_ledger() -> None:
    doc = realistic()
    ids = [item["id"] for item in doc["checks"]]
    assert ids == sorted(set(ids))
    cells = {item["id"].removesuffix(f"/{item['check']}") for item in doc["checks"]}
    assert {entry["cell"] for entry in doc["ledger"] if entry["status"] == "ran"} == cells
    assert sum(entry["status"] == "not run" for entry in doc["ledger"]) == 8 + 1 + 1


def test_numbers_that_json_lacks_are_text() -> None:
    value = {"a": float("nan"), "b": [float("inf"), -np.inf], "c": np.float32(0.5), "d": np.int64(3), "e": np.bool_(1)}
    assert plain(value) == {"a": "nan", "b": ["inf", "-inf"], "c": 0.5, "d": 3, "e": True}
    assert plain({2: ("x", Path("y")), "z": {"b", "a"}}) == {"2": ["x", "y"], "z": ["a", "b"]}
    assert [as_float(x) for x in ("inf", 2, None)] == [np.inf, 2.0, None]


def test_text_that_is_no_unicode_can_be_written(tmp_path: Path) -> None:
    write_results(tmp_path / "r.json", document(check("error", message="half \ud800 and \x00")))
    assert read_results(tmp_path / "r.json")["checks"][0]["message"] == "half \\ud800 and \x00"


def test_run_info_makes_a_valid_run(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.begin(
            run_info({"numpy": {"numpy": "2.4"}}, seed=1, effort="quick", fail_on="none", dtype=["float32"]), []
        )
        journal.judged(cell(), 1.0, [check()])
        journal.end(1.0)
    assert read_results(tmp_path / "j")["run"]["options"] == {"dtype": ["float32"]}


def damaged(path: list[Any], value: Any) -> str:
    doc = realistic()
    place: Any = doc
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(doc)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ('{"schema": NaN}', "NaN is no JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", 'lacks "schema"'),
        ("{}", 'lacks "schema"'),
        ('{"schema": 2}', "has schema 2, and loss-conformance"),
        ('{"schema": 0, "run": {"suite": "0.0.9"}}', "has schema 0, written by version '0.0.9', and loss-conformance"),
        ('{"schema": "1"}', "has schema '1', and loss-conformance"),
        ('{"schema": null, "run": []}', "has schema None, and loss-conformance"),
        ('{"schema": true}', "is damaged"),
        ('{"schema": 1}', "is damaged: the document: "),
        (damaged(["checks", 0, "outcome"], "passed"), r"damaged: checks\[0\].outcome: 'passed' is not one of"),
        (damaged(["checks", 0, "extra"], 1), r"damaged: checks\[0\]: .*'extra' was unexpected"),
        (damaged(["run", "seed"], "0"), "damaged: run.seed: '0' is not of type 'integer'"),
        (damaged(["ledger", 0], {}), r"damaged: ledger\[0\]"),
        (damaged(["ledger", 0, "cell"], "l1"), r"damaged: ledger\[0\].cell"),
        ('{"journal": 1, "run": {}, "plan": []}', "damaged"),
        ('{"journal": 1, "run": {}, "plan": []}\n{"cell": "a", "seconds": 1, "checks": [{}]}\n', "is damaged"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(FileError, match=says) as caught:
        read_results(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert "; " in message, "the remedy"


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(FileError, match="cannot be read"):
            read_results(path)
    with pytest.raises(FileError, match="cannot be written"):
        write_results(tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_written_to_and_a_link_is_followed(tmp_path: Path) -> None:
    write_results("/dev/null", document(check()))
    assert Path("/dev/null").is_char_device()
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    write_results(tmp_path / "link.json", document(check()))
    assert (tmp_path / "link.json").is_symlink()
    assert read_results(tmp_path / "real.json")["schema"] == 1


def test_each_check_and_each_entry_of_the_ledger_has_a_line(tmp_path: Path) -> None:
    doc = realistic()
    write_results(tmp_path / "r.json", doc)
    lines = (tmp_path / "r.json").read_text(encoding="utf-8").splitlines()
    assert {json.dumps(json.loads(line.rstrip(","))["id"]) for line in lines if line.startswith('{"apart_ulp"')} == {
        json.dumps(check["id"]) for check in doc["checks"]
    }
    assert len(lines) == len(doc["checks"]) + len(doc["ledger"]) + 6
    write_results(tmp_path / "r.json", {**doc, "checks": [], "ledger": []})
    assert read_results(tmp_path / "r.json")["checks"] == []


def test_roll_up_is_the_worst_of_what_was_judged() -> None:
    assert roll_up(["agrees", "undecided", "unsupported"]) == "agrees"
    assert roll_up(["agrees", "inaccurate", "differs"]) == "inaccurate"
    assert roll_up(["error", "fails"]) == "fails"
    assert roll_up(["undecided", "not run"]) == "undecided"
    assert roll_up([]) == "not run"


def test_a_run_without_a_seed_is_refused(tmp_path: Path) -> None:
    doc = realistic()
    del doc["run"]["seed"]
    (tmp_path / "r.json").write_text(dumps(doc))
    with pytest.raises(FileError, match="'seed' is a required property"):
        read_results(tmp_path / "r.json")
    assert run()["seed"] == 0
