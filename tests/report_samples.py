"""Results documents for the tests of the record and of the reports: made up, with every outcome in them."""

from __future__ import annotations

import hashlib
from typing import Any

from conformance.record.gate import conclude
from conformance.record.journal import Journal
from conformance.record.model import Cell, check_of
from conformance.record.results import results_of

CRITERIA = ("bce", "cosine_embedding", "cross_entropy", "ctc", "huber", "kl_div", "l1", "poisson_nll")
DTYPES = ("float64", "float32")
RUN: dict[str, Any] = {
    "suite": "0.1.0",
    "frameworks": {"torch": {"torch": "2.13.0"}},
    "python": "3.11.7",
    "platform": "Linux-6.1-x86_64-with-glibc2.36",
    "numpy": "2.4.0",
    "seed": 0,
    "effort": "default",
    "fail_on": "new",
    "options": {"criterion": ["*"]},
    "started": "2026-11-23T22:41:00+00:00",
}


def run(**changes: Any) -> dict[str, Any]:
    return {**RUN, **changes}


def cell(criterion: str = "l1", dtype: str = "float32", mode: str = "eager", framework: str = "torch") -> Cell:
    return Cell(criterion, framework, "cpu", mode, dtype)


def check(outcome: str = "agrees", name: str = "value", where: Cell | None = None, **more: Any) -> dict[str, Any]:
    """A check as the plugin hands it over; without known differences, `new` is the outcome."""
    faulty = outcome in ("inaccurate", "error", "fails")
    new = outcome if faulty and not more.get("known") else None
    fields: dict[str, Any] = {"new": new, "recipes": 100, "cases": 1600, "counts": {outcome: 1600}}
    return check_of(where or cell(), name, outcome, **{**fields, **more}).to_json()


def document(*checks: dict[str, Any], not_run: dict[Cell, str] | None = None, **changes: Any) -> dict[str, Any]:
    """The results document of a run that came to these checks."""
    ends = {key: changes.pop(key) for key in ("complete", "stale", "fixed_upstream") if key in changes}
    baseline = changes.pop("baseline", None)
    cells: dict[str, list[dict[str, Any]]] = {}
    for item in checks:
        cells.setdefault(item["id"].removesuffix(f"/{item['check']}"), []).append(item)
    journal = Journal(None)
    journal.begin(run(**changes), [*cells, *(not_run or {})])
    for skipped, reason in (not_run or {}).items():
        journal.not_run(skipped, reason)
    for id, mine in cells.items():
        journal.judged(id, 1.5, mine)
    journal.end(12.25, **ends)
    return results_of(journal.record, baseline, "old.json" if baseline else "")


def witness(kind: str = "smallest", **changes: Any) -> dict[str, Any]:
    case = {
        "criterion": "cross_entropy",
        "dtype": "float32",
        "layout": [["N", 1], ["C", 3]],
        "parameters": {"reduction": "mean", "label_smoothing": "0x1.999999999999ap-4"},
        "inputs": {"input": [["0x1.8000000000000p+6", "0x0.0p+0", "-0x1.0000000000000p-3"]], "target": [0]},
        "shapes": {"input": [1, 3], "target": [1]},
    }
    return {
        "kind": kind,
        "case": case,
        "where": [0, 2],
        "wanted": "0x1.91e5b2f5f2b3ap-138",
        "got": "0x0.0p+0",
        "ulp": 1250.5,
        "ratio": 340.25,
        "command": "conformance replay 3f9ac01b7d2e",
        **changes,
    }


def realistic(**changes: Any) -> dict[str, Any]:
    """Eight criteria in two dtypes, as a run of a real framework might come out."""
    checks = []
    for i, criterion in enumerate(CRITERIA):
        for dtype in DTYPES:
            where = cell(criterion, dtype)
            if criterion != "ctc":
                checks.append(check(where=where, worst_ulp=0.5 + i / 8, worst_ratio=0.4))
                checks.append(check("agrees", "gradient.input", where, worst_ulp=1.0, worst_ratio=0.6))
            checks.append(check("agrees", "consistency.same_bits", where, recipes=4, cases=4))
    checks += _wrong() + _open() + _unjudged()
    by_id = {item["id"]: item for item in checks}
    skipped = {cell(name, "bfloat16"): "filtered out: --dtype float64, float32" for name in CRITERIA}
    skipped[cell("l1", "float32", "compiled")] = "out of time after 600 s"
    return document(*by_id.values(), not_run=skipped, **{"fixed_upstream": ["torch-17: not seen on 2.13.0"], **changes})


def _wrong() -> list[dict[str, Any]]:
    entropy, similarity = cell("cross_entropy"), cell("cosine_embedding")
    return [
        check(
            "fails",
            "gradient.input",
            entropy,
            worst_ulp=1250.5,
            worst_ratio=340.25,
            counts={"agrees": 1587, "fails": 13},
            message="the gradient by input is 0x0.0p+0 where 0x1.91e5b2f5f2b3ap-138 is wanted: 1250 ulp, where a sound "
            "implementation is off by at most 8",
            witnesses=[witness(), witness("worst", where=[3, 1])],
        ),
        check(
            "error",
            "value",
            cell("ctc"),
            counts={"error": 2, "agrees": 1598},
            message="RuntimeError: input_lengths must be of size batch_size",
            witnesses=[witness(wanted="", got="", ulp=None, ratio=None, where=None)],
        ),
        check(
            "fails",
            "gradient.input1",
            similarity,
            known=["torch-cosine-zero"],
            worst_ulp=9.5e6,
            worst_ratio=float("inf"),
            message="the gradient at a zero vector is inf where 0 is wanted",
            witnesses=[witness(got="inf", wanted="0x0.0p+0", ulp=None, ratio="inf")],
        ),
        check("inaccurate", "value", entropy, worst_ulp=8.3e6, worst_ratio=2.1e6, message="a confident answer gives 0"),
        check(
            "inaccurate",
            "value",
            cell("bce"),
            known=["torch-bce-clamp"],
            worst_ulp=21.0,
            worst_ratio=3.5,
            message="the logarithm is clamped at -100",
        ),
    ]


def _open() -> list[dict[str, Any]]:
    found = []
    kinks = [{"kink": "input == target", "chosen": {"flattest": 12, "steepest": 3}}]
    for dtype in DTYPES:
        where = cell("l1", dtype)
        found.append(check("agrees", "gradient.input", where, conventions=kinks, worst_ulp=0.5, worst_ratio=0.5))
        meaning = "a mean over nothing is nan; 0 is another answer"
        found.append(check("differs", "edge.empty_mean", where, level="unspecified", cases=1, message=meaning))
        found.append(check("differs", "invalid.delta", cell("huber", dtype), message="delta = 0 is answered with 0.0"))
    return found


def _unjudged() -> list[dict[str, Any]]:
    vacuous, skipped = "the budget is wider than the number", "filtered out: --effort quick"
    return [
        check(
            "unsupported", "value", cell("ctc", "float64"), message="ctc_loss is not offered in float64 on this device"
        ),
        check("undecided", "gradient.target", cell("kl_div"), message=vacuous),
        check("not run", "invalid.target", cell("huber"), message=skipped, cases=0, recipes=0, counts={}),
    ]


ABOUT: dict[str, Any] = {
    "title": "Huber loss",
    "summary": "Quadratic for errors within delta, linear beyond it.",
    "formula": "error = input - target\n"
    "loss = where(abs(error) <= delta, error**2 / 2, delta * (abs(error) - delta / 2))\n",
    "reduce": {"none": "loss", "sum": "sum(loss)", "mean": "sum(loss) / size(loss)"},
    "parameters": {"delta": 1, "reduction": "mean"},
    "argument": "error",
    "edges": {"case_9": {"why": "a mean over nothing is 0/0", "value": "nan"}},
    "functions": {},
}
REGIMES = ("ordinary", "saturated", "confident", "tied", "shifted", "mixed", "tiny", "huge", "at_joint", "cancelling")
ALL_DTYPES = ("float64", "float32", "bfloat16", "float16")


def many(frameworks: int, criteria: int, checks: int) -> list[dict[str, Any]]:
    """A document for each of so many frameworks, with so many criteria in four dtypes, and so many checks in each cell,
    as they might come out. What is wrong is mostly wrong in every dtype."""
    names = [f"framework{k}" for k in range(frameworks)]
    return [_many(name, [f"criterion_{i:02d}" for i in range(criteria)], checks) for name in names]


def _many(framework: str, criteria: list[str], checks: int) -> dict[str, Any]:
    doc = document(frameworks={framework: {framework: "1.2.3"}})
    names = ["value", "gradient.input", "gradient.target", "consistency.same_bits", "consistency.order"]
    names += [f"invalid.case_{i}" for i in range(checks // 8)]
    names += [f"edge.case_{i}" for i in range(checks - len(names))]
    for criterion in criteria:
        for dtype in ALL_DTYPES:
            where = cell(criterion, dtype, framework=framework)
            doc["checks"] += [_some(where, name) for name in names]
            entry = {"status": "ran", "reason": "", "seconds": 1.5, "recipes": 120, "cases": 1500}
            doc["ledger"].append({**entry, "cell": where.id})
    doc["criteria"] = {name: {**ABOUT, "argument": "error" if i % 2 else None} for i, name in enumerate(criteria)}
    conclude(doc, "new")
    return doc


def _some(where: Cell, name: str) -> dict[str, Any]:
    number = _hash(f"{where.id}/{name}")
    size = number % 1000 / 100
    more: dict[str, Any] = {"worst_ulp": size / 10, "worst_ratio": size / 20}
    if name.startswith(("value", "gradient")):
        more["regimes"] = {
            regime: {"cases": 150, "worst_ulp": size * i, "worst_ratio": size * i / 60}
            for i, regime in enumerate(REGIMES)
        }
    if name == "value" and int(where.criterion[-2:]) % 2:
        more["curve"] = [[(i - 32) / 8, size * (1 + i % 5)] for i in range(64)]
    if name in ("edge.case_1", "edge.case_9", "edge.case_11"):
        more["level"] = "unspecified"
    everywhere = _hash(f"{where.criterion}/{where.framework}/{name}")
    outcome, known = _outcome(name, everywhere if everywhere % 8 else number, more.get("level") == "unspecified")
    if outcome != "agrees":
        case = {**witness()["case"], "inputs": {"input": [float(size + i).hex() for i in range(12)], "target": [1]}}
        found = [witness(kind, case=case, hash=f"{number}{kind}") for kind in ("smallest", "worst")]
        more |= {"worst_ulp": size * 1e3, "worst_ratio": size * 90, "witnesses": found, "message": f"{name}: off"}
    return check(outcome, name, where, known=[f"known-{everywhere % 40}"] if known else [], **more)


def _outcome(name: str, number: int, is_unspecified: bool) -> tuple[str, bool]:
    """An outcome, and whether it is known: of values and gradients 1 in 5 is inaccurate, 1 in 8 fails and is known."""
    lot = (number >> 8) % 1000
    if name.startswith("invalid") or is_unspecified:
        return ("differs" if lot < 300 else "agrees"), False
    scale = 1 if name.startswith(("value", "gradient")) else 8
    for outcome, known, upto in (("fails", False, 10), ("fails", True, 130), ("inaccurate", False, 330)):
        if lot * scale < upto:
            return outcome, known
    return "agrees", False


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
