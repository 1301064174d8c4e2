"""Reading YAML fast must read the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from conformance import _yaml
from conformance._resources import folder
from conformance.spec import source

TEXTS = [path.read_text(encoding="utf-8") for path in sorted(folder("specs").glob("*.yaml"))]
TOKENS = [
    *(": ", ":", "::", ": [", ":]", ", ", ",", "[", "]", "{", "}", "- ", "-", "? ", "?", "#", " #", "&a ", "*a", "!t "),
    *("!!str ", "|", "|+", "|2-", ">", ">2", '"', "'", "\\", "%YAML 1.2\n", "@", "~", "\n", "\n\n", "  ", " ", "\t"),
    *("\r", "\x07", "\x00", "\x85", "\u2028", "\ufeff", "é", "😀", "---\n", "...\n", "<<: ", "a:b", '"a":1', "[a:b]"),
    *("{a:1}", '{"a":1}', "{a}", "0o7", "1_0", '"a\n b"', "''", '""', "null", "-1", '"\\u00e9"', '"\\/"'),
]


def _changed(rng: random.Random) -> str:
    """A few lines of a spec, spoilt in one to three places."""
    lines = rng.choice(TEXTS).splitlines(keepends=True)
    start = rng.randrange(len(lines))
    text = "".join(lines[start : start + rng.randint(1, 12)])
    for _ in range(rng.randint(1, 3)):
        at, to = rng.randrange(len(text) + 1), rng.randint(0, 3)
        text = text[:at] + (rng.choice(TOKENS) if rng.random() < 0.7 else "") + text[at + to :]
    return text


@pytest.mark.parametrize("seed", range(8))
def test_what_libyaml_reads_means_what_ruamel_reads(seed: int) -> None:
    pytest.importorskip("_ruamel_yaml")
    rng = random.Random(seed)
    compared = 0
    for _ in range(200):
        text = _changed(rng)
        quick = source._read(text, "some.yaml", fast=True) if _yaml.may_be_fast(text) else None
        if quick is not None and not quick.faults:
            slow = source._read(text, "some.yaml")
            assert slow.faults or quick == slow, text  # libyaml takes a little more than YAML allows
            compared += not slow.faults
    assert compared > 20


@pytest.mark.parametrize("path", sorted(folder("adapters").glob("*.yaml")), ids=lambda path: str(path.stem))
def test_known_differences_are_read_alike(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert _yaml.may_be_fast(text)
    assert repr(_yaml.loads(text)) == repr(YAML(typ="safe", pure=True).load(text))


@pytest.mark.parametrize("text", ["a: [1", "a: 1\na: 2", "\tb: 1", "a: *b", "%YAML 3.0\n---\na: 1"])
def test_what_is_wrong_is_told_by_ruamel(text: str) -> None:
    with pytest.raises(YAMLError) as slow:
        YAML(typ="safe", pure=True).load(text)
    with pytest.raises(YAMLError) as told:
        _yaml.loads(text)
    assert str(told.value) == str(slow.value)


def test_the_specs_are_read_fast() -> None:
    for text in TEXTS:
        assert not source._read(text, "some.yaml", fast=True).faults
