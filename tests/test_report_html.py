"""The HTML page: self-contained, well formed, readable without colour, and nothing an adapter says becomes markup."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from conformance._resources import folder
from conformance.report.html import LONGEST, render
from conformance.report.words import GLYPHS, MEANINGS
from tests.report_samples import CRITERIA, cell, check, document, realistic, witness

VOID = {"meta", "br", "link", "img", "input", "hr"}
CSS = (folder("reports") / "templates" / "report.css").read_text()
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"\' onmouseover="alert(1)',
    "{{ 7 * 7 }}{% raw %}",
    "</style><style>*{display:none}</style>",
    "</pre></td></table><h1>owned</h1>",
    "&lt;b&gt;",
    "<!--",
    "\x00\x1b[31m\u202e",
    "javascript:alert(1)",
]


class Page(HTMLParser):
    """The tags, attributes and text of a page; fails where tags are not nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html() -> str:
    return render([realistic(stale=["torch-9: matches no check"]), realistic(baseline=realistic())])


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_same_documents_make_the_same_page(html: str) -> None:
    assert render([realistic(stale=["torch-9: matches no check"]), realistic(baseline=realistic())]) == html


def test_nothing_is_fetched_and_nothing_runs(html: str, page: Page) -> None:
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "link", "img", "iframe", "form", "object", "base"} & set(tags)
    assert not any(name.startswith("on") or name in ("style", "src") for _, attrs in page.tags for name in attrs)
    assert all((attrs.get("href") or "#").startswith("#") for _, attrs in page.tags)
    assert "url(" not in CSS
    assert "@import" not in CSS


def test_the_policy_allows_our_style_and_nothing_else(html: str) -> None:
    style = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style == [CSS]
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'content="{policy}"' in html


def test_links_lead_somewhere_and_ids_are_unique(page: Page) -> None:
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"] for tag, attrs in page.tags if tag == "a"} <= {f"#{id}" for id in ids}
    assert {attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs} <= set(ids)


def test_tables_and_headings_make_sense_when_read_aloud(page: Page) -> None:
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert ("html", {"lang": "en"}) in page.tags


def test_every_outcome_has_a_word_beside_its_sign(html: str) -> None:
    assert GLYPHS.keys() == MEANINGS.keys()
    assert len(set(GLYPHS.values())) == len(GLYPHS)
    boxes = re.findall(r'<td data-outcome="([^"]+)">(.*?)</td>', html, re.DOTALL)
    assert len(boxes) == len(CRITERIA) * 4
    assert all(word in re.sub("<.*?>", "", box) for word, box in boxes)


@pytest.mark.parametrize(
    "words",
    [
        "FAIL: 2 new; 2 known",
        "PASS: 0 new; 2 known",
        "1,250 ulp, 340 times the budget; 13 of 1,600 cases; torch 2.13.0",
        "known as torch-cosine-zero",
        "wanted 0x1.91e5b2f5f2b3ap-138",
        "input = [[0x1.8000000000000p+6, 0x0.0p+0, -0x1.0000000000000p-3]]",
        "conformance replay 3f9ac01b7d2e",
        "Wrong, in the baseline too (2)",
        "Stale: torch-9: matches no check",
        "Compared with old.json",
        "input == target",
        "flattest, steepest",
        "a mean over nothing is nan",
        "out of time after 600 s",
        "ctc_loss is not offered in float64",
        "2026-11-23T22:41:00+00:00",
        "1,600 recipes, 25,600 cases",
    ],
)
def test_what_the_page_tells(page: Page, words: str) -> None:
    assert words in page.text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    where = cell(text.replace("/", "|"), framework=text.replace("/", "|"))
    case = {"parameters": {text: text}, "inputs": {text: [text]}}
    foul = witness(text, wanted=text, got=text, command=text, case=case)
    checks = [
        check("fails", where=where, message=text, witnesses=[foul], conventions=[{"kink": text, "chosen": {text: 1}}]),
        check("differs", f"edge.{text}", where, message=text),
        check("unsupported", "gradient.input", where, message=text),
        check("fails", "gradient.target", where, message=text, known=[text], witnesses=[foul]),
    ]
    versions = {where.framework: {where.framework: text, text: text}}
    changes = {"frameworks": versions, "platform": text, "options": {text: text}, "stale": [text]}
    doc = document(*checks, not_run={cell("l1"): text}, **changes)
    page, calm = Page(render([doc])), Page(render([document(*checks, not_run={cell("l1"): "x"}, **changes)]))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in calm.tags]
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    assert sum(tag == "style" for tag, _ in page.tags) == 1
    assert all(not name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert not any(character in render([doc]) for character in "\x00\x1b\u202e")


def test_long_texts_are_cut_and_say_so() -> None:
    page = render([document(check("error", message="x" * 10 * LONGEST))])
    assert len(page) < 5 * LONGEST + len(CSS)
    assert "characters more in the results file" in page


def test_a_page_about_nothing() -> None:
    assert "Nothing ran." in Page(render([document()])).text
    Page(render([]))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_contrasts_with_its_background(theme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    names = {name.rsplit("-", 1)[0] for name in colours if name.endswith("-ink")}
    assert len(names) >= 9
    backgrounds = {name: [colours[f"{name}-paper"]] for name in names}
    backgrounds["quiet"].append(colours["panel-paper"])
    for name, papers in backgrounds.items():
        for paper in papers:
            light, dark = sorted((luminance(colours[f"{name}-ink"]), luminance(paper)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, name
