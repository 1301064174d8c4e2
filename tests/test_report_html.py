"""The HTML page as text: self-contained, small, well formed, readable without colour, and nothing that an adapter says
becomes markup. How it works in a browser: test_report_browser.py."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from conformance._resources import folder
from conformance.record.results import first_fault
from conformance.report.detail import Exhibits, details
from conformance.report.embed import LIMIT
from conformance.report.findings import findings
from conformance.report.grid import Grid
from conformance.report.html import render
from conformance.report.porting import differing, documented, kinks, unspecified
from conformance.report.witnesses import EXTREMENESS, MOST, extremeness
from conformance.report.words import GLYPHS, MEANINGS
from tests.report_samples import ABOUT, CRITERIA, cell, check, document, many, realistic, witness

VOID = {"meta", "br", "link", "img", "input", "hr"}
CSS, JS = ((folder("reports") / "templates" / f"report.{kind}").read_text() for kind in ("css", "js"))
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


def test_nothing_is_fetched(page: Page) -> None:
    tags = [tag for tag, _ in page.tags]
    assert not {"link", "img", "iframe", "object", "base"} & set(tags)
    assert not any(
        name.startswith("on") or name in ("style", "src", "action") for _, attrs in page.tags for name in attrs
    )
    assert all((attrs.get("href") or "#").startswith("#") for _, attrs in page.tags)
    assert "url(" not in CSS
    assert "@import" not in CSS
    assert not re.search(r"\b(fetch|import|eval|innerHTML|insertAdjacentHTML|XMLHttpRequest)\b", JS)


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_policy_allows_our_style_and_our_script_and_nothing_else(html: str) -> None:
    assert re.findall(r"<style>(.*?)</style>", html, re.DOTALL) == [CSS]
    assert re.findall(r"<script>(.*?)</script>", html, re.DOTALL) == [JS]
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest(CSS)}'; script-src 'sha256-{digest(JS)}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'"
    )
    assert f'content="{policy}"' in html


def test_links_lead_somewhere_and_ids_are_unique(page: Page) -> None:
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"] for tag, attrs in page.tags if tag in ("a", "use")} <= {f"#{id}" for id in ids}
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
    boxes = re.findall(r'<td(?: hidden)? data-o="([^"]+)"[^>]*>(.*?)</td>', html, re.DOTALL)
    assert len(boxes) > len(CRITERIA) * 4
    assert all(word in re.sub("<.*?>", "", box) and GLYPHS[word] in box for word, box in boxes)


@pytest.mark.parametrize(
    "words",
    [
        "torch 2.13.0, CPU: 41 of 49 required checks agree; 2 known, 2 new, 1 inaccurate, 2 choices that differ",
        "FAIL: 2 new; 2 known",
        "PASS: 0 new; 2 known",
        "1,250 ulp, 340 times the budget",
        "13 of 1,600 cases; largest error 1,250 ulp",
        "known as torch-cosine-zero",
        "0x1.91e5b2f5f2b3ap-138",
        "input = [[96.0, 0.0, -0.125]]",
        "conformance replay 3f9ac01b7d2e",
        "Wrong, in the baseline too (2 in",
        "At other parameters and extreme inputs",
        "Stale: torch-9: matches no check",
        "compared with old.json",
        "input == target",
        "flattest, steepest",
        "out of time after 600 s",
        "ctc_loss is not offered in float64",
        "2026-11-23T22:41:00+00:00",
        "1,600 recipes, 25,600 cases",
        "The results do not carry its formula.",
    ],
)
def test_what_the_page_tells(page: Page, words: str) -> None:
    assert words in page.text


# How large it is


def data_of(html: str) -> list[dict[str, object]]:
    found = re.findall(r'<script type="application/octet-stream"[^>]*>(.*?)</script>', html)
    return [json.loads(gzip.decompress(base64.b64decode(item))) for item in found]


def test_the_results_are_in_the_page() -> None:
    docs = [realistic(), realistic(baseline=realistic())]
    assert data_of(render(docs)) == docs


def test_40_criteria_in_8_frameworks_and_4_dtypes_take_2_megabytes() -> None:
    docs = many(8, 40, 40)
    assert sum(len(doc["checks"]) for doc in docs) > 50_000
    page = render(docs)
    assert len(page.encode()) <= LIMIT == 2_000_000
    assert "too large to be carried in this page" in page
    assert re.search(r"For [\d,]+ checks there is no room for witnesses here", page)


def test_where_there_is_no_room_for_witnesses_the_results_still_serve_as_a_baseline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doc = many(1, 8, 40)[0]
    whole = render([doc])
    monkeypatch.setattr("conformance.report.html.LIMIT", len(whole.encode()) - 1000)
    page = render([doc])
    assert "it serves as a baseline" in page
    [lean] = data_of(page)
    assert first_fault(lean) is None
    assert [c["id"] for c in lean["checks"]] == [c["id"] for c in doc["checks"]]  # type: ignore[attr-defined]


# What it is made of


def test_dtypes_stand_side_by_side_or_rolled_up() -> None:
    few, lots = Grid(many(2, 1, 10)), Grid(many(3, 1, 10))
    assert [head.dtype for head in few.heads if head.is_shown] == 2 * ["float64", "float32", "bfloat16", "float16"]
    assert [head.dtype for head in lots.heads if head.is_shown] == 3 * [""]


def test_a_cell_of_all_dtypes_is_their_worst() -> None:
    half = cell(dtype="float16")
    doc = document(check("fails", known=["x"], worst_ulp=3.0), check("inaccurate", where=half, worst_ulp=9.0))
    grid = Grid([doc])
    box = grid.box("l1", grid.places[0], "")
    assert box is not None
    assert (box.outcome, box.ulp, box.known) == ("fails", 9.0, True)  # the digits lost in float16 are no failure


def test_a_new_failure_in_one_dtype_is_new_in_the_cell_of_all() -> None:
    half = cell(dtype="float16")
    doc = document(check("fails", known=["x"], worst_ulp=3.0), check("fails", where=half, worst_ulp=9.0))
    grid = Grid([doc])
    box = grid.box("l1", grid.places[0], "")
    assert box is not None
    assert not box.known


def test_a_known_failure_is_not_new_because_digits_are_lost_beside_it() -> None:
    doc = document(check("fails", known=["x"], new="inaccurate"))
    grid = Grid([doc])
    box = grid.box("l1", grid.places[0], "float32")
    assert box is not None
    assert box.known


def plain_witness(value: float, **parameters: object) -> dict[str, object]:
    return witness(case={"dtype": "float32", "inputs": {"input": [value.hex()]}, "parameters": parameters})


@pytest.mark.parametrize(
    ("value", "delta", "place"), [(0.5, 1, 0), (1e-20, 1, 1), (float("inf"), 1, 1), (0.5, "0x1p+1", 2), (1e20, 3, 3)]
)
def test_how_far_from_everyday_use_a_witness_is(value: float, delta: object, place: int) -> None:
    item = check("fails", witnesses=[plain_witness(value, delta=delta, reduction="none")])
    assert extremeness(item, {"delta": 1, "reduction": "mean"}) == place < len(EXTREMENESS)


def test_wrong_comes_before_inaccurate_and_everyday_numbers_before_extreme_ones() -> None:
    outcomes = {"bce": ("inaccurate", 0.5), "huber": ("fails", 1e20), "l1": ("fails", 0.5), "mse": ("inaccurate", 1e20)}
    checks = [
        check(outcome, where=cell(name), worst_ratio=2.0, witnesses=[plain_witness(value)])
        for name, (outcome, value) in outcomes.items()
    ]
    found = findings([document(*checks)])
    assert [item.checks[0]["criterion"] for item in found] == ["l1", "huber", "bce", "mse"]


def porting_docs() -> list[dict[str, object]]:
    docs = []
    for name, got in (("alpha", "nan"), ("beta", "0x0.0p+0")):
        where = cell(framework=name)
        same = got == "nan"
        empty = check(
            "agrees" if same else "differs",
            "edge.empty",
            where,
            level="unspecified",
            witnesses=[] if same else [witness(got=got)],
        )
        kink = [{"kink": "zero", "chosen": {"flattest" if same else "steepest": 3}}]
        doc = document(
            empty,
            check("agrees", "gradient.input", where, conventions=kink),
            check(
                "agrees" if same else "differs",
                "edge.negative",
                where,
                witnesses=[] if same else [witness(got="refuses not")],
            ),
            frameworks={name: {name: "1.0"}},
        )
        says = {"name": f"{name}.l1", "differences": [{"sentence": "It halves.", "source": "its manual", "when": ""}]}
        edges = {"empty": {"why": "a mean over nothing", "value": "nan"}}
        doc["criteria"] = {"l1": {**ABOUT, "edges": edges, "functions": {name: says} if same else {}}}
        docs.append(doc)
    return docs


def test_what_a_person_porting_a_model_looks_for_stands_side_by_side() -> None:
    grid = Grid(porting_docs())
    [kink], [edge], [other], [told] = kinks(grid), unspecified(grid), differing(grid), documented(grid)
    assert kink.cells == (("flattest, by input",), ("steepest, by input",))
    assert edge.cells == (("nan",), ("0",))
    assert edge.note == "a mean over nothing"
    assert kink.is_split
    assert edge.is_split
    assert other.cells == (("as the reference, or refused",), ("refuses not",))
    assert (told.function, told.sentence, told.place.label) == ("alpha.l1", "It halves.", "alpha 1.0")


def test_of_invalid_input_it_matters_who_answers() -> None:
    checks = [
        check("differs", "invalid.weight_negative", cell(dtype=dtype), witnesses=[witness(got=f"answered with {i}")])
        for i, dtype in enumerate(("float64", "float32"))
    ]
    [row] = differing(Grid([document(*checks)]))
    assert row.cells == (("answers",),)


def test_a_cell_lists_what_speaks_and_counts_the_rest() -> None:
    checks = [check("agrees", f"edge.case_{i}") for i in range(7)]
    checks += [
        check("fails", "edge.zero", witnesses=[witness()]),
        check("agrees", "value"),
        check("agrees", "gradient.input"),
    ]
    doc = document(*checks)
    [(_, _, [found])] = details(Grid([doc]), Exhibits(findings([doc]), 10**6))
    assert [line.name for line in found.lines] == ["value", "gradient.input", "edge.zero", "7 other edge cases"]
    assert [item.check["check"] for item in found.shown] == ["edge.zero"]


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
    doc["criteria"] = {where.criterion: {**ABOUT, "formula": text, "title": text, "summary": text, "argument": text}}
    page = Page(render([doc], [text]))
    tags = [tag for tag, _ in page.tags]
    assert not {"img", "iframe", "object"} & set(tags)
    assert (tags.count("h1"), tags.count("style"), tags.count("script")) == (1, 1, 2)
    assert all(not name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert not any(character in render([doc]) for character in "\x00\x1b\u202e")


def test_long_texts_are_cut_and_say_so() -> None:
    page = render([document(check("error", message="x" * 100 * MOST))])
    assert "x" * (MOST + 1) not in page
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
    assert len(names) >= 10
    backgrounds = {name: [colours[f"{name}-paper"]] for name in names}
    backgrounds["quiet"].append(colours["panel-paper"])
    for name, papers in backgrounds.items():
        for paper in papers:
            light, dark = sorted((luminance(colours[f"{name}-ink"]), luminance(paper)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, name
