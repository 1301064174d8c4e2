"""The summary that a run prints, and what `conformance diff` prints. Our own words are ASCII; others' are cleaned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any, TypeVar

from conformance.record.plain import as_float
from conformance.report.amounts import Open, left_open, reference, totals
from conformance.report.view import (
    Box,
    Cause,
    Column,
    Group,
    Reason,
    causes_by_standing,
    choices,
    columns,
    conventions,
    in_every_framework,
    label,
    matrix,
    not_run,
    ran,
    unsupported,
    worst_first,
)
from conformance.report.words import clean, number, one_line, plural, share_of_cases, size, ways

T = TypeVar("T")
LIMIT = 15  # entries of a list; what is left out is counted, and stands in the results and the report
TITLES = {
    "new": "Wrong, and new",
    "added": "Wrong, and not in the baseline's suite",
    "as before": "Wrong, in the baseline too",
    "known wrong": "Wrong, and known",
    "inaccurate": "Inaccurate",
    "known inaccurate": "Inaccurate, and known",
}
CHANGES = {
    "newly_failing": "newly failing",
    "worse": "worse",
    "fixed": "fixed",
    "better": "better",
    "changed": "another choice",
    "added": "added",
    "gone": "no longer judged",
}


def render(docs: Sequence[Mapping[str, Any]]) -> str:
    """The summaries of these results documents, as `conformance report --format terminal` prints them."""
    shared = _plain("In every framework: look at the spec first", in_every_framework(docs), 100, LIMIT)
    return "\n\n".join(["\n".join(shared)] * bool(shared) + [summary(doc, width=100) for doc in docs]) + "\n"


def summary(doc: Mapping[str, Any], width: int = 80, limit: int = LIMIT, ascii_only: bool = False) -> str:
    """The summary of a results document, in lines of at most `width` characters; the verdict is the last line."""
    width = max(width, 40)
    sections = [
        _head(doc),
        *_matrices(doc, width),
        *(_causes(name, causes, doc, width, limit) for name, causes in causes_by_standing(doc)),
        _undecided(doc, width),
        _conventions(doc, width, limit),
        _groups("Left open by the mathematics: fails nobody", choices(doc), width, limit),
        _plain("Stale known differences: remove or renew them", doc["run"]["stale"], width, None),
        _plain("Known differences that may be fixed upstream", doc["run"]["fixed_upstream"], width, limit),
        changes_text(doc["run"]["baseline"], width, limit),
        _reasons("Unsupported", unsupported(doc), width, limit),
        _reasons("Not run", not_run(doc), width, limit),
        [one_line(doc["run"]["verdict"], 10**6)],
    ]
    text = "\n\n".join("\n".join(lines) for lines in sections if lines)
    return text.encode("ascii", "backslashreplace").decode("ascii") if ascii_only else text


def _head(doc: Mapping[str, Any]) -> list[str]:
    run, sums = doc["run"], totals(doc)
    names = ", ".join(label(doc, name) for name in sorted(run["frameworks"])) or "no framework"
    head = clean(f"loss-conformance {run['suite']}: {names}; seed {run['seed']}, effort {run['effort']}")
    seen = [plural(sums.checks, "check"), plural(sums.recipes, "recipe"), plural(sums.cases, "case")]
    if sums.undecided_cases:
        seen.append(f"{plural(sums.undecided_cases, 'verdict')} undecided")
    compiling = sum(as_float(entry.get("compiling")) or 0.0 for entry in doc["ledger"])
    lines = [head, ", ".join(seen), f"reference: {ways(found)}" if (found := reference(doc)) else ""]
    lines.append(f"compiling: {number(compiling)} s in all cells" if compiling else "")
    return [line for line in lines if line]


def _matrices(doc: Mapping[str, Any], width: int) -> list[list[str]]:
    boxes = matrix(doc)
    shown = [column for column in columns(boxes) if ran(boxes, column)]
    tables = []
    for key in dict.fromkeys((c.framework, c.place) for c in shown):
        mine = [c for c in shown if (c.framework, c.place) == key]
        tables.append([f"{clean(label(doc, key[0]))}, {clean(key[1])}", *_table(boxes, mine, width, _box)])
    if tables:
        tables[-1].append("(largest error in ulps; * known differences cover all that is wrong)")
    return tables


def _undecided(doc: Mapping[str, Any], width: int) -> list[str]:
    """Where budgets were too wide for a verdict, as shares of the verdicts on generated cases."""
    found = left_open(doc)
    lines = []
    for name, place in dict.fromkeys((c.framework, c.place) for c in columns(found)):
        mine = [c for c in columns(found) if (c.framework, c.place) == (name, place)]
        lines += [f"{clean(label(doc, name))}, {clean(place)}", *_table(found, mine, width, _share)]
    return ["Undecided: the budget is wider than the number (share of verdicts)", *lines] if lines else []


def _table(
    rows: Mapping[str, Mapping[Column, T]], mine: list[Column], width: int, text: Callable[[T], str]
) -> list[str]:
    """One table, or more below each other where the terminal is too narrow."""
    from tabulate import tabulate

    names = [name for name, row in rows.items() if any(column in row for column in mine)]
    cells = [[one_line(name, 40), *(text(rows[name][c]) if c in rows[name] else "" for c in mine)] for name in names]
    table = tabulate(cells, ["", *(clean(c.dtype) for c in mine)], tablefmt="simple", disable_numparse=True)
    lines = table.splitlines()
    if len(mine) > 1 and max(map(len, lines)) > width:
        half = len(mine) // 2
        return [*_table(rows, mine[:half], width, text), "", *_table(rows, mine[half:], width, text)]
    return lines


def _box(box: Box) -> str:
    error = "" if box.ulp is None else f" {number(box.ulp)}"
    return f"{box.outcome}{'*' if box.known else ''}{error}"


def _share(item: Open) -> str:
    return f"{item.share:.1%}" if item.undecided else "-"


def _causes(name: str, causes: Sequence[Cause], doc: Mapping[str, Any], width: int, limit: int) -> list[str]:
    """What is wrong, a few lines a cause: its worst check stands for the others."""
    by_id = {check["id"]: check for check in doc["checks"]}
    lines = []
    for cause in causes[:limit]:
        worst, *others = sorted((by_id[id] for id in cause.checks), key=worst_first)
        lines.append(f"  {one_line(cause.title, width - 2)}")
        facts = [worst["outcome"], size(worst), share_of_cases(worst), f"{len(others)} more like it" if others else ""]
        facts += [f"beside {', '.join(worst['known'])}"] if worst["known"] and not cause.entry else []
        lines += [f"    {one_line(worst['id'], 10**6)}", f"    {one_line(', '.join(filter(None, facts)), width - 4)}"]
        if name != "new":
            continue  # a line reminds; a new fault's message is what the run is for
        lines += [f"    {line}" for line in wrap(one_line(worst["message"], 600), width - 4)]
        command = next((w["command"] for w in worst["witnesses"] if w.get("command")), "")
        lines += [f"    {one_line(command, 10**6)}"] if command else []
    checks = len({id for cause in causes for id in cause.checks})
    count = f"{checks:,}" if checks == len(causes) else f"{checks:,}, in {plural(len(causes), 'group')}"
    return _titled(TITLES[name], lines, len(causes), limit, count=count)


def _conventions(doc: Mapping[str, Any], width: int, limit: int) -> list[str]:
    rows = conventions(doc)
    lines = conventions_table([doc], "simple").splitlines()
    shown = [line[: width - 2].rstrip() for line in lines[: limit + 2]]
    return _titled("Points taken where the gradient is a choice", [f"  {line}" for line in shown], len(rows), limit)


def conventions_table(docs: Sequence[Mapping[str, Any]], style: str) -> str:
    """Which subgradient each framework takes, a row for each kink, in a style of tabulate's."""
    from tabulate import tabulate

    found = sorted(
        (row.criterion, row.kink, ", ".join(row.inputs), label(doc, row.framework), ", ".join(row.points), row.where)
        for doc in docs
        for row in conventions(doc)
    )
    cells = [
        [one_line(text, 40) for text in (*texts, ", ".join(dict.fromkeys(place.split()[0] for place in where)))]
        for *texts, where in found
    ]
    heads = ["criterion", "kink", "gradient by", "framework", "takes", "in"]
    return tabulate(cells, heads, tablefmt=style, disable_numparse=True)


def _groups(title: str, groups: Sequence[Group], width: int, limit: int) -> list[str]:
    lines = []
    for group in groups[:limit]:
        where = ", ".join(dict.fromkeys(text.split()[0] for text in group.where))
        words = ": ".join(part for part in (group.outcome, group.text) if part)
        who = f"{group.criterion} {group.subject}, {group.framework} ({where})"
        lines.append(f"  {one_line(f'{who}: {words}', width - 2)}")
    return _titled(title, lines, len(groups), limit)


def _reasons(title: str, reasons: Sequence[Reason], width: int, limit: int) -> list[str]:
    lines = [f"  {len(reason.ids):>5,} {_reason(reason, width - 8)}" for reason in reasons[:limit]]
    left = sum(len(reason.ids) for reason in reasons[limit:])
    count = sum(len(reason.ids) for reason in reasons)
    return [f"{title} ({count:,})", *lines, *([f"  {left:>5,} for other reasons"] if left else [])] if reasons else []


def _reason(reason: Reason, width: int) -> str:
    """The reason, and an example where it fits: a cut id helps nobody."""
    text, example = one_line(reason.text, width), clean(f", such as {reason.ids[0]}")
    return text + example if len(text + example) <= width else text


def _plain(title: str, sentences: Iterable[str], width: int, limit: int | None) -> list[str]:
    texts = list(sentences)
    room = 10**6 if limit is None else width - 2
    return _titled(title, [f"  {one_line(text, room)}" for text in texts[:limit]], len(texts), limit or len(texts))


def changes_text(baseline: Mapping[str, Any] | None, width: int, limit: int = LIMIT) -> list[str]:
    """What changed since a baseline, as lines; none without a baseline."""
    if baseline is None:
        return []
    changes = baseline["changes"]
    lines = [f"Since the baseline {clean(baseline['file'])} (suite {clean(baseline['suite'])})"]
    if changes["note"]:
        lines.append(f"  {one_line(changes['note'], 10**6)}")
    for key, word in CHANGES.items():
        ids = changes[key]
        lines += _titled(f"  {word}", [f"    {one_line(id, 10**6)}" for id in ids[:limit]], len(ids), limit, "    ")
    return lines if any(changes[key] for key in CHANGES) else [*lines, "  nothing changed"]


def _titled(title: str, lines: list[str], entries: int, limit: int, indent: str = "  ", count: str = "") -> list[str]:
    left = [f"{indent}... and {entries - limit:,} more"] if entries > limit else []
    return [f"{title} ({count or f'{entries:,}'})", *lines, *left] if entries else []
