"""`conformance port`: what changes for a criterion from one framework to another."""

from __future__ import annotations

import pytest

from conformance import Binding, Call, Difference, Output, Unsupported
from conformance.cli import main
from tests import faulty

SENTENCE = "Pairs are ranked by their distance, not by its square."


class Other(faulty.Right):
    """Takes no weight, answers where the mathematics leaves it open in its own way, and says what it documents."""

    name = "other"

    def binding(self, criterion: str) -> Binding | None:
        return Binding("other.loss", (Difference(SENTENCE, "the manual, page 3", when="delta > 2"),))

    def answer(self, call: Call) -> Output:
        if "weight" in call.inputs:
            raise Unsupported("other.loss takes no weight")
        if not call.inputs["input"].size and call.parameters["reduction"] == "mean":
            return faulty.each(super().answer(call), lambda array: array * 0 if array.size == 0 else array * 0 + 7)
        return super().answer(call)


def port(*args: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["port", *args]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    said = port("tests.faulty:BetaIgnored", "tests.test_port:Other", "huber", capsys=capsys)
    assert said.startswith("huber, from beta_ignored 1.5 (cpu eager) to other 1.5 (cpu eager)")
    assert "beta_ignored 1.5: beta_ignored.huber other 1.5: other.loss" in said
    assert "Reductions: " in said
    assert "other 1.5 does not take other.loss takes no weight (" in said
    assert "beta_ignored 1.5 does not take" not in said
    assert f"other 1.5: “{SENTENCE}” (the manual, page 3, where delta > 2)" in said


def test_who_is_off_and_who_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    said = port("tests.faulty:LogClamped", "tests.faulty:Right", "kl_div", capsys=capsys)
    assert "log_clamped 1.5 is off kl_div " in said
    assert "right 1.5 is right otherwise" in said


def test_a_known_difference_comes_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    said = port("torch", "numpy", "kl_div", capsys=capsys)
    assert "torch-kl-div-zero-of-impossible: " in said
    assert " Such as: fails: wanted " in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["numpy", "numpy", "l1"], "nothing changes"),
        (["numpy", "nobody", "l1"], "nobody"),
        (["numpy", "tests.faulty:Right", "l3"], "l3"),
        (["numpy", "tests.faulty:Right", "l1", "--dtype", "float31"], "float31"),
    ],
)
def test_wrong_usage(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["port", *args]) == 4
    assert said in capsys.readouterr().err
