"""The page in a real browser: opened from a file, used, printed, read without JavaScript, and fed with hostile text."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.record.gate import conclude
from conformance.record.results import first_fault
from conformance.report import witnesses
from conformance.report.html import render
from tests.report_samples import ABOUT, cell, check, document, many, witness

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
CRITERIA = 5
SCRIPT = "import framework1\nprint(framework1.loss([1.0]))"
WIDTHS = {"phone": (390, 844), "laptop": (1366, 768), "projector": (1920, 1080)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def docs() -> list[dict[str, Any]]:
    """Two frameworks and five criteria; the first framework has a baseline."""
    found = many(2, CRITERIA, 14)
    old = many(1, CRITERIA, 14)[0]
    for item in old["checks"][::9]:
        item.update(outcome="agrees", new=None, known=[], witnesses=[])
    conclude(found[0], "new", old, "old.json")
    return found


@pytest.fixture(scope="module")
def file(docs: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(witnesses, "script_for", lambda check, item: SCRIPT)
        return written(tmp_path_factory.mktemp("page"), render(docs, ["a.json", "b.json"]))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with one of each kind: axe looks at every element, and takes its time."""
    docs = many(2, 2, 9)
    conclude(docs[0], "new", {**docs[0], "checks": docs[0]["checks"][9:]}, "old.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(witnesses, "script_for", lambda check, item: SCRIPT)
        return written(tmp_path_factory.mktemp("small"), render(docs, ["a.json", "b.json"]))


def written(folder: Path, text: str) -> str:
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


class Opened:
    """A page, and all that it asked for and complained about."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.context = browser.new_context(
            **{"viewport": dict(zip(("width", "height"), WIDTHS["laptop"], strict=True))} | options
        )
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"alert: {dialog.message}"))
        self.page.goto(url)


@pytest.fixture
def opened(browser: Any, file: str) -> Iterator[Any]:
    made: list[Opened] = []

    def make(anchor: str = "", url: str = file, **options: Any) -> Any:
        made.append(Opened(browser, url + anchor, **options))
        return made[-1].page

    yield make
    for item in made:
        assert item.complaints == []  # a breach of the page's own policy would stand here
        assert {url.split("#")[0].split(":")[0] for url in item.asked} <= {"file", "blob"}
        item.context.close()


def until(page: Any, condition: str) -> None:
    """Waits for a condition. Playwright's own way asks the page to evaluate text, which its policy forbids."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {condition}")


def hidden_rows(page: Any) -> int:
    return int(page.locator("#grid tbody tr[hidden]").count())


def state(page: Any) -> str:
    return str(page.evaluate("decodeURIComponent(location.hash)"))


# As it opens


def test_it_opens_from_a_file_and_asks_for_nothing(opened: Any) -> None:
    page = opened()
    assert page.locator("h1").inner_text() == "Conformance of loss functions"
    assert page.locator("#grid tbody tr:visible").count() == CRITERIA
    assert page.locator("#shown").inner_text().startswith("5 of 5 criteria shown")
    assert "required checks agree" in page.locator(".lead").first.inner_text()
    headings = page.locator("h2").all_inner_texts()
    assert headings.index("Since the baseline") < headings.index("Matrix") < headings.index("Findings")


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_but_tables_scrolls_sideways(opened: Any, width: str) -> None:
    page = opened(viewport=dict(zip(("width", "height"), WIDTHS[width], strict=True)))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_opens_with_5000_checks(browser: Any, tmp_path: Path) -> None:
    """How fast is for `python -m benchmarks.page`: a machine that is busy is no fault of the page."""
    docs = many(1, 21, 60)
    assert len(docs[0]["checks"]) >= 5000
    one = Opened(browser, written(tmp_path, render(docs)))
    assert one.page.locator("#grid tbody tr").count() == 21
    one.context.close()


def test_headers_stay_in_sight(opened: Any) -> None:
    page = opened(viewport={"width": 700, "height": 300})
    page.locator(".matrix").evaluate("each => { each.scrollTop = 120; each.scrollLeft = 200; }")
    box, head = page.locator(".matrix").bounding_box(), page.locator("#grid thead th").first.bounding_box()
    name = page.locator("#grid tbody tr:nth-child(4) th").bounding_box()
    assert abs(head["y"] - box["y"]) < 3
    assert abs(name["x"] - box["x"]) < 3


# Filters, and the hash


def test_filters_narrow_the_matrix_and_stand_in_the_hash(opened: Any) -> None:
    page = opened()
    page.select_option("[name=dtype]", "float32")
    page.select_option("[name=framework]", "framework1 1.2.3")
    heads = page.locator("#grid thead tr:last-child th:visible")
    assert heads.all_inner_texts() == ["float32"]
    page.select_option("[name=outcome]", "fails")
    shown = page.locator("#grid tbody tr:visible")
    assert 0 < shown.count() < CRITERIA
    assert all("fails" in text for text in shown.all_inner_texts())
    assert state(page) == "#dtype=float32&framework=framework1+1.2.3&outcome=fails"
    visible = page.locator(".finding:visible")
    assert visible.count() > 0
    assert all("framework1 1.2.3" in text and "float32" in text for text in visible.all_text_contents())
    page.click("button[type=reset]")
    until(page, "document.querySelectorAll('#grid tbody tr[hidden]').length === 0")
    assert state(page) == "#matrix"


def test_search_finds_criteria_and_findings(opened: Any) -> None:
    page = opened()
    page.fill("[name=q]", "CRITERION_03")
    assert page.locator("#grid tbody tr:visible").all_inner_texts()[0].startswith("criterion_03")
    assert page.locator(".finding:visible").count() > 0
    page.fill("[name=q]", "there is no such text")
    assert hidden_rows(page) == CRITERIA
    assert page.locator("#shown").inner_text().startswith("0 of 5")


def test_rows_on_which_frameworks_disagree(opened: Any) -> None:
    page = opened("#disagree=1&dtype=float64")
    assert page.locator("[name=disagree]").is_checked()
    for row in page.locator("#grid tbody tr").all():
        words = set(row.locator("td:visible").evaluate_all("cells => cells.map(cell => cell.dataset.o)"))
        assert row.is_visible() == (len(words) > 1)


@pytest.mark.parametrize("name", ["device", "mode"])
def test_devices_and_modes_are_filters_too(opened: Any, name: str) -> None:
    page = opened()
    value = page.locator(f"[name={name}] option").nth(1).inner_text()
    page.select_option(f"[name={name}]", value)
    assert state(page) == f"#{name}={value}"
    assert hidden_rows(page) == 0


def test_a_view_can_be_linked(opened: Any, file: str) -> None:
    page = opened("#q=criterion_02&outcome=fails&dtype=split")
    assert page.input_value("[name=q]") == "criterion_02"
    assert page.input_value("[name=outcome]") == "fails"
    assert set(page.locator("#grid thead tr:last-child th:visible").all_inner_texts()) == {
        "float64",
        "float32",
        "bfloat16",
        "float16",
    }
    page.reload()
    assert page.input_value("[name=q]") == "criterion_02"
    page.goto(f"{file}#q=%3Cimg%20src%3Dx%3E&outcome=nothing&open=no/such/cell")  # what means nothing does nothing
    assert page.input_value("[name=outcome]") == ""
    assert not page.locator("dialog").is_visible()


# A cell


def test_a_cell_opens_and_closes(opened: Any) -> None:
    page = opened("#outcome=fails")
    link = page.locator("#grid td:visible a").first
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    dialog.wait_for()
    assert "open=criterion_" in state(page)
    text = dialog.inner_text()
    assert all(part in text for part in ("float64", "gradient.target", "By regime", "other edge cases"))
    assert dialog.locator("math").count() == 1
    assert dialog.locator("svg.strip").count() == 4
    assert dialog.locator("[id]:not(#cell-title, #close, #cell-body)").count() == 0  # nothing stands twice
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    until(page, "location.hash === '#outcome=fails'")
    assert link.evaluate("each => each === document.activeElement")
    page.go_back()
    dialog.wait_for()


def test_focus_stays_in_an_open_cell(opened: Any) -> None:
    page = opened("#open=criterion_01/framework0/cpu/eager")
    assert page.locator("dialog").is_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")


def test_a_finding_leads_to_its_witnesses(opened: Any) -> None:
    page = opened()
    link = page.locator(".finding a").first
    id = link.inner_text().removeprefix("Witnesses of ")
    link.click()
    place = page.locator(f"dialog [data-id={link.get_attribute('href')[1:]}]")
    place.wait_for()  # the click changes the hash, and what listens to that opens it a moment later
    assert "/".join(id.split("/")[4:]) in place.inner_text()
    top, panel = place.bounding_box()["y"], page.locator("#cell-body").bounding_box()
    assert panel["y"] - 5 <= top <= panel["y"] + panel["height"]
    for word in ("wanted", "got", "difference", "off by", "Smallest", "Worst"):
        assert word in place.inner_text()


def test_command_and_script_are_copied(opened: Any) -> None:
    page = opened("#open=criterion_00/framework0/cpu/eager", permissions=["clipboard-read", "clipboard-write"])
    first = page.locator("dialog .witness").first
    first.get_by_role("button", name="Copy command").click()
    assert page.evaluate("navigator.clipboard.readText()") == witness()["command"]
    first.locator("summary").click()
    first.get_by_role("button", name="Copy script").click()
    assert page.evaluate("navigator.clipboard.readText()") == SCRIPT
    assert page.locator("#said").inner_text() == "Copied"


def test_where_the_clipboard_is_closed_the_text_is_selected(opened: Any) -> None:
    page = opened("#open=criterion_00/framework0/cpu/eager")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('closed')); }")
    page.locator("dialog .witness").first.get_by_role("button", name="Copy command").click()
    until(page, f"getSelection().toString() === {json.dumps(witness()['command'])}")


def test_the_results_can_be_saved(opened: Any, docs: list[dict[str, Any]]) -> None:
    page = opened()
    for k, name in enumerate(("a.json", "b.json")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=f"Save {name}").click()
        assert waiting.value.suggested_filename == name
        saved = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
        assert saved == docs[k]
        assert first_fault(saved) is None


# For everybody


@pytest.mark.parametrize(("scheme", "width"), [("light", "laptop"), ("dark", "phone")])
def test_axe_finds_nothing(opened: Any, small: str, scheme: str, width: str) -> None:
    page = opened(url=small, color_scheme=scheme, viewport=dict(zip(("width", "height"), WIDTHS[width], strict=True)))
    assert violations(page) == []


def test_axe_finds_nothing_in_an_open_cell(opened: Any, small: str) -> None:
    page = opened(url=small, anchor="#open=criterion_01/framework0/cpu/eager", color_scheme="dark")
    page.evaluate("for (const each of document.querySelectorAll('dialog details')) each.open = true")
    assert violations(page) == []


def violations(page: Any) -> list[str]:
    # Of what is folded up, one of each kind is looked into: all of it would take a minute.
    page.evaluate("""() => {
        for (const root of ['.criterion', '.finding', '#not-tested ~ .scroll', 'header'])
            for (const each of document.querySelector(root)?.querySelectorAll('details') ?? []) each.open = true;
        for (const each of document.querySelectorAll('.criterion ~ .criterion')) each.remove();
    }""")
    found = axe.Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    return [f"{item['id']}: {item['nodes'][0]['html'][:150]}" for item in found.response["violations"]]


def test_dark_and_light(opened: Any) -> None:
    paper = {
        scheme: opened(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}


def test_the_keyboard_alone_suffices(opened: Any) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.getElementById('matrix').getBoundingClientRect().top") < 100


def test_it_reads_without_javascript(opened: Any) -> None:
    page = opened(java_script_enabled=False)
    assert not page.locator("#filters").is_visible()
    assert page.locator("button:visible").count() == 0
    assert page.locator("#grid tbody tr:visible").count() == CRITERIA
    assert "needs JavaScript; nothing else does" in page.locator("noscript").inner_text()
    link = page.locator("#grid td:visible a").first
    link.click()
    body = page.locator(link.get_attribute("href"))
    body.wait_for()  # the browser opens what holds an anchor
    assert "By regime" in body.text_content()
    assert page.locator("details.cell[open]").count() == 1


def test_it_prints(opened: Any, tmp_path: Path) -> None:
    page = opened("#outcome=fails")
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(page.pdf(format="A4"))
    assert pdf.read_bytes().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    assert page.locator("button:visible").count() == 0
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, check=True, text=True).stdout
        assert all(part in text for part in ("required checks agree", "criterion_0", "Wrong, and known", "Method"))
        assert "Copy command" not in text


# Hostile text

HOSTILE = [
    "</script><script>window.owned = 1</script>",
    "<img src=x onerror=window.owned=1>",
    '"\' onmouseover="window.owned=1',
    "</style><style>body{display:none}</style>",
    "<svg onload=window.owned=1>",
    "</template></noscript></title><h1>owned</h1>",
    "javascript:window.owned=1",
    "{{ 7 * 7 }}<!--",
    "\x00\x1b[31m\u202eabc]]>",
    "a&open=b#c%00%3Cscript%3E",
]


@functools.cache
def hostile_page(text: str) -> str:
    where = cell(text.replace("/", "|"), framework=text.replace("/", "|"))
    case = {"parameters": {text: text}, "inputs": {text: [text]}, "dtype": text}
    foul = witness(text, wanted=text, got=text, command=text, case=case)
    regimes = {text: {"cases": 1, "worst_ulp": 1.0, "worst_ratio": 2.0}}
    checks = [
        check("fails", where=where, message=text, witnesses=[foul], regimes=regimes, curve=[[1.0, 2.0]]),
        check("differs", f"edge.{text}", where, message=text, level="unspecified", witnesses=[foul]),
        check("unsupported", "gradient.input", where, message=text),
        check("agrees", "gradient.target", where, conventions=[{"kink": text, "chosen": {text: 1}}]),
    ]
    versions = {where.framework: {where.framework: text, text: text}}
    doc = document(*checks, not_run={cell("l1"): text}, frameworks=versions, platform=text, options={text: text})
    about = {
        **ABOUT,
        "title": text,
        "summary": text,
        "formula": text,
        "reduce": {text: text},
        "parameters": {text: text},
    }
    difference = {"sentence": text, "source": text, "when": text}
    about |= {"argument": text, "edges": {text: {"why": text, "value": text}}}
    doc["criteria"] = {
        where.criterion: {**about, "functions": {where.framework: {"name": text, "differences": [difference]}}}
    }
    return render([doc], [text])


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_runs_nothing_and_stays_text(opened: Any, tmp_path: Path, text: str) -> None:
    page = opened(url=written(tmp_path, hostile_page(text)))
    assert page.locator("h1").count() == 1
    assert page.locator("img, iframe, object, embed, style ~ style, base").count() == 0
    assert page.locator("script:not([type])").count() == 1
    page.locator("#grid td:visible a").first.click()
    page.locator("dialog").wait_for()
    page.keyboard.press("Escape")
    page.fill("[name=q]", text.replace("\x00", ""))
    for name in ("framework", "outcome"):
        page.select_option(f"[name={name}]", index=1)
    page.reload()
    assert page.evaluate("window.owned") is None
    assert page.evaluate("document.querySelectorAll('[onload],[onerror],[onmouseover],[style]').length") == 0
    seen = page.evaluate("document.body.textContent")
    assert text.replace("\x00", "\\x00").replace("\x1b", "\\x1b").replace("\u202e", "\\u202e") in seen


def test_the_policy_stops_what_escaping_would_let_through(browser: Any, tmp_path: Path, file: str) -> None:
    """A page into which a script and a style were smuggled: neither counts."""
    whole = Path(file.removeprefix("file://")).read_text(encoding="utf-8")
    smuggled = (
        '<script>window.owned = 1</script><img src="x" onerror="window.owned = 2"><style>h1{display:none}</style>'
    )
    one = Opened(browser, written(tmp_path, whole.replace("<main>", f"<main>{smuggled}")))
    assert one.page.evaluate("window.owned") is None
    assert one.page.locator("h1").is_visible()
    assert len([text for text in one.complaints if "Content Security Policy" in text]) >= 3
    one.context.close()
