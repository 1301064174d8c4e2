"""Judging the cells of a plan, one by one."""

from __future__ import annotations

import fnmatch
import functools
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

from conformance.cases.bench import Bench
from conformance.cases.bind import check_of_output
from conformance.cases.case import Stack
from conformance.cases.invalid import invalid_checks
from conformance.cases.plan import consistency_stacks, few_for, for_each_stack
from conformance.record.model import Cell, Check, check_of
from conformance.reference.certify import Ways
from conformance.suite.cell import CellJudge
from conformance.suite.consistency import judge_consistency, retry_consistency
from conformance.suite.edges import applies, judge_edge
from conformance.suite.formula import in_mode, why_none
from conformance.suite.invalid import judge_invalid
from conformance.suite.offers import is_recipe
from conformance.suite.plan import Framework, Plan
from conformance.verdict.compare import DIFFERS, NAMES
from conformance.verdict.entries import own_name
from conformance.verdict.known import Entry, Witness, fault_of_witness, witness_case

TRIES = 50  # of an edge case whose answer depends on what memory holds


@dataclass
class CellResult:
    """What judging one cell came to."""

    cell: Cell
    checks: list[Check] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)  # known differences that are no longer seen
    fixed: list[str] = field(default_factory=list)  # … on a version beyond their range
    warnings: list[str] = field(default_factory=list)
    recipes: int = 0
    cases: int = 0
    pairs: tuple[int, int] = (0, 0)  # covered, feasible
    seconds: dict[str, float] = field(default_factory=dict)
    reference: Ways = field(default_factory=Ways)

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the journal."""
        return {**asdict(self), "cell": self.cell.id}


def judge_cell(plan: Plan, cell: Cell, watch: Callable[[int], None] = lambda cases: None) -> CellResult:
    """Every check of a cell: frozen witnesses first, then generated cases, consistency, edge cases, invalid input.
    `watch` is told how many cases each stack of generated ones had."""
    start, compiled = time.perf_counter(), _compiling(plan, cell)
    spec, framework = plan.specs[cell.criterion], plan.frameworks[cell.framework]
    result = CellResult(cell)
    if plan.binding(cell) is None:
        names = (id_.removeprefix(f"{cell.id}/") for id_ in plan.checks(cell))
        text = f"{cell.framework} has no native function for {cell.criterion}"
        if is_recipe(cell.mode, framework.environment.dialect):
            text = why_none(spec, framework.environment.dialect)
        result.checks = [check_of(cell, name, "unsupported", message=text) for name in names]
        return result
    judge = _judge(plan, cell, [entry for entry in framework.known if entry.applies_to(framework.versions)])
    _replay_witnesses(plan, cell, framework, judge, result)

    def asked(stack: Stack) -> bool:
        answered = judge.ask(stack)
        watch(len(stack))
        return answered

    def judged(stack: Stack) -> dict[str, float]:
        scores = judge.judge_stack(stack)
        watch(len(stack))
        return scores

    environment, effort, seed = framework.environment, plan.options.effort, plan.options.seed
    traces = cell.mode not in environment.costly and not is_recipe(cell.mode, environment.dialect)
    few = few_for(spec, cell.dtype, effort, traces=traces) if cell.mode in environment.compiles else None
    drawn = for_each_stack(spec, cell.dtype, effort, seed, asked, few, judged)
    judge.settle()
    is_short = _is_short(plan, cell)
    if not is_short:
        for stack in consistency_stacks(spec, cell.dtype, effort, seed, few):
            judge_consistency(judge, stack)
    result.checks = judge.checks(minimise=not is_short)
    result.checks += ([] if is_short else _named(judge, seed)) + _not_offered(judge)
    result.checks += _left_out(plan, result) if is_short else []
    result.recipes, result.cases, result.pairs = judge.recipes, judge.cases, (drawn.covered, drawn.pairs)
    result.warnings, result.reference = sorted(judge.warnings), judge.referee.ways
    judge.seconds.compiling = _compiling(plan, cell) - compiled
    result.seconds = {**asdict(judge.seconds), "total": time.perf_counter() - start}
    return result


def _is_short(plan: Plan, cell: Cell) -> bool:
    """Whether a cell has generated cases alone: where others cost seconds of a compiler each, unless all are due."""
    return cell.mode in plan.frameworks[cell.framework].environment.costly and plan.options.effort != "thorough"


def _left_out(plan: Plan, result: CellResult) -> list[Check]:
    """The checks that a short cell leaves out: planned, and not run."""
    done, why = {check.id for check in result.checks}, f"mode {result.cell.mode} is costly: at --effort thorough only"
    names = (id_.removeprefix(f"{result.cell.id}/") for id_ in plan.checks(result.cell) if id_ not in done)
    return [check_of(result.cell, name, "not run", message=why) for name in names]


def _compiling(plan: Plan, cell: Cell) -> float:
    """The seconds that an adapter says it has spent compiling so far."""
    return float(getattr(plan.frameworks[cell.framework].adapter, "compiling", 0.0))


def _judge(plan: Plan, cell: Cell, known: list[Entry]) -> CellJudge:
    framework, spec = plan.frameworks[cell.framework], plan.specs[cell.criterion]
    return CellJudge(
        spec,
        in_mode(framework.adapter, spec, cell.mode, framework.environment),
        framework.environment,
        cell,
        known,
        command_for(cell, plan),
        isolated=framework.isolated,
    )


def command_for(cell: Cell, plan: Plan) -> str:
    """The command that repeats one cell of a run."""
    option = plan.frameworks[cell.framework].option
    parts = ["pytest --pyargs conformance", f"--framework {shlex.quote(option)}", f"--criterion {cell.criterion}"]
    parts += [f"--dtype {cell.dtype}", f"--device {cell.device}", f"--mode {cell.mode}"]
    parts += [f"--conformance-seed {plan.options.seed}"]
    return " ".join([*parts, f"--effort {plan.options.effort}", *(f"--specs {path}" for path in plan.options.specs)])


def _named(judge: CellJudge, seed: int) -> list[Check]:
    """The checks that have cases of their own: edge cases, and invalid inputs."""
    bench = Bench(judge.spec, judge.cell.dtype, seed)
    edges = [edge for edge in judge.spec.edge_cases if applies(edge, judge.spec, judge.cell.dtype)]
    asks: dict[str, Callable[[CellJudge], Check]] = {}
    asks |= {f"edge.{edge.id}": functools.partial(judge_edge, edge=edge) for edge in edges}
    every = invalid_checks(judge.spec)
    asks |= {f"invalid.{id_}": functools.partial(judge_invalid, id_=id_, bench=bench) for id_ in every}
    return [_asked(judge, name, ask) for name, ask in asks.items()]


def _not_offered(judge: CellJudge) -> list[Check]:
    """The gradients that the binding leaves out: planned like all others, and unsupported."""
    missing = (name for name in judge.spec.differentiable if name not in judge.offered)
    return [
        check_of(judge.cell, check_of_output(name), "unsupported", message=judge.why_no_gradient(name))
        for name in missing
    ]


def _asked(judge: CellJudge, name: str, ask: Callable[[CellJudge], Check]) -> Check:
    """A check with cases of its own. One that is known to depend on what memory holds is asked until it shows: a right
    answer by chance is none."""
    unsteady = any(entry.unsteady and entry.matches(f"{judge.cell.id}/{name}") for entry in judge.known)
    for _ in range(TRIES if unsteady else 1):
        probe = judge.anew()
        check = ask(probe)
        judge.warnings |= probe.warnings
        judge.referee.ways += probe.referee.ways
        if check.outcome in NAMES[DIFFERS:]:
            break
    return check


def _replay_witnesses(plan: Plan, cell: Cell, framework: Framework, judge: CellJudge, result: CellResult) -> None:
    """Frozen witnesses are cases like any other, judged first: they decide for good what a check with a known fault
    comes to, and whether the known difference is still there, so that no draw of cases has to."""
    for entry, witness in _frozen(cell, framework, judge):
        if _is_short(plan, cell) and not entry.names(cell.mode):
            continue  # decided where it costs nothing
        if not witness.is_named:  # those are judged in any case
            _judge_witness(judge, witness)
        eager = replace(cell, mode="eager")
        if cell.mode in framework.environment.same and entry.matches(f"{eager.id}/{witness.check}"):
            continue  # decided there: a module takes less than its function
        seen, inside = _is_seen(_judge(plan, cell, [entry]), witness)
        if entry.unsteady and not seen:
            continue
        which = f"its witness for {witness.check}"
        where = f"{cell.id} ({entry.version(framework.versions)})"
        if entry.applies_to(framework.versions) and not (seen and inside):
            why = "lies outside of its envelope" if seen else "no longer shows it"
            result.stale.append(f"{entry.id}: {which} {why} on {where}")
        elif not seen and not entry.is_later_than(framework.versions):
            result.fixed.append(f"{entry.id}: fixed upstream? {which} no longer shows it on {where}")


def _frozen(cell: Cell, framework: Framework, judge: CellJudge) -> Iterator[tuple[Entry, Witness]]:
    """The witnesses for a cell, each with its entry."""
    for entry in framework.known:
        for witness in entry.witnesses:
            here = witness.dtype == cell.dtype and entry.matches(f"{cell.id}/{witness.check}")
            if here and not fault_of_witness(witness, judge.spec):
                yield entry, witness


def _judge_witness(judge: CellJudge, witness: Witness) -> None:
    case = witness_case(witness, judge.spec)
    if witness.is_consistency:
        retry_consistency(judge, case, witness.check)
    else:
        judge.judge_stack(Stack.of(case))


def _is_seen(probe: CellJudge, witness: Witness) -> tuple[bool, bool]:
    """Whether a witness comes to more than agreement, and whether the known differences of `probe` cover it."""
    if witness.is_named:
        judge_named(probe, witness.check, witness.seed)
    else:
        _judge_witness(probe, witness)
    tally = probe.tallies.get(witness.check)
    return tally is not None and tally.outcome in NAMES[DIFFERS:], tally is not None and tally.new is None


def judge_named(probe: CellJudge, check: str, seed: int = 0) -> Check | None:
    """A check that has cases of its own; None, if there is none of that name."""
    kind, _, id_ = check.partition(".")
    edge = next((edge for edge in probe.spec.edge_cases if kind == "edge" and edge.id == id_), None)
    if edge is not None:
        return judge_edge(probe, edge)
    is_there = kind == "invalid" and id_ in invalid_checks(probe.spec)
    return judge_invalid(probe, id_, Bench(probe.spec, probe.cell.dtype, seed)) if is_there else None


def unmatched(plan: Plan) -> list[str]:
    """The known differences that speak of no check of the suite, whatever devices, modes and dtypes there are here.
    Of criteria that this run leaves out, it is not asked which checks they have."""
    judged, left_out = set(plan.criteria), plan.left_out
    checks = {
        (cell.criterion, name, id_.rsplit("/", 1)[1])
        for cell in [*plan.cells, *(cell for cell, _ in plan.skipped if cell.criterion in judged)]
        for id_ in plan.checks(cell)
        for name in (cell.framework, own_name(cell.framework))
    }
    return [
        f"{entry.id}: matches no check of this suite"
        for framework in plan.frameworks.values()
        for entry in framework.known
        if not any(entry.speaks_of(name) for name in left_out)
        and not any(_speaks_of(pattern.split("/"), check) for pattern in entry.patterns for check in checks)
    ]


def expired(plan: Plan, today: date) -> list[str]:
    """The known differences of the cells to judge whose time has run out: their owners have to look at them again."""
    return [
        f"{entry.id}: expired on {entry.expires}, owner {entry.owner}: renew its date and reason, or take it out"
        for framework in plan.frameworks.values()
        for entry in framework.known
        if entry.expires is not None
        and entry.expires < today
        and entry.applies_to(framework.versions)
        and any(entry.matches(id_) for cell in plan.cells for id_ in plan.checks(cell))
    ]


def _speaks_of(pattern: list[str], check: tuple[str, str, str]) -> bool:
    wanted = (pattern[0], pattern[1], pattern[5])
    return all(fnmatch.fnmatchcase(have, want) for have, want in zip(check, wanted, strict=True))
