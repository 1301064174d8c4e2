"""The plan of a run: every cell that could be judged, those that will be, and why the others will not."""

from __future__ import annotations

import fnmatch
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance._resources import folder
from conformance.adapter import Adapter, Binding, Environment
from conformance.adapter.load import load_adapter
from conformance.cases.bind import check_of_output
from conformance.cases.invalid import invalid_checks
from conformance.errors import AdapterError, FileError, UsageError
from conformance.record.identity import digest_of
from conformance.record.model import Cell
from conformance.spec import Specs
from conformance.spec.model import Spec
from conformance.suite.consistency import consistency_checks
from conformance.suite.cost import shares
from conformance.suite.edges import applies
from conformance.suite.formula import formula_binding
from conformance.suite.offers import Offer, cells_of, is_recipe
from conformance.suite.options import Options
from conformance.verdict.entries import own_name
from conformance.verdict.known import Entry, fault_of, fault_of_witness, read_known
from conformance.worker.isolated import Isolated

Load = Callable[[str, Sequence[Path]], Adapter]  # of what --framework calls it, and the folders of more specs


@dataclass(frozen=True)
class Framework:
    """A loaded adapter with its environment and its known differences."""

    adapter: Adapter
    environment: Environment
    known: tuple[Entry, ...]
    option: str  # what --framework called it
    source: str = ""  # a digest of the adapter's own module
    isolated: Isolated | None = None  # the adapter for calls that may crash

    def binding(self, criterion: str) -> Binding | None:
        """The adapter's binding for a criterion; one that raises is bound to nothing, and its calls will say why."""
        try:
            return self.adapter.binding(criterion)
        except Exception as error:
            return Binding(f"unknown: binding({criterion!r}) raised {type(error).__name__}: {error}")

    def offer(self, criteria: Iterable[str]) -> Offer:
        """What of it decides which cells there are."""
        here = self.environment
        bound = tuple(criterion for criterion in criteria if self.binding(criterion) is not None)
        return Offer(
            versions=here.versions,
            dtypes=here.dtypes,
            modes=here.modes,
            bound=bound,
            devices=here.devices,
            same=here.same,
            costly=here.costly,
            dialect=here.dialect,
        )

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of all packages that the adapter names, the framework's own first."""
        return self.environment.versions

    @property
    def version(self) -> str:
        """The framework's own version."""
        return next(iter(self.versions.values()), "")


@dataclass
class Plan:
    """All that was planned: `cells` will be judged, `skipped` will not, each with its reason."""

    options: Options
    specs: Mapping[str, Spec]
    frameworks: Mapping[str, Framework]
    cells: list[Cell] = field(default_factory=list)
    skipped: list[tuple[Cell, str]] = field(default_factory=list)

    @property
    def criteria(self) -> tuple[str, ...]:
        """The criteria that are judged."""
        return tuple(dict.fromkeys(cell.criterion for cell in self.cells))

    @property
    def left_out(self) -> tuple[str, ...]:
        """The criteria that are not: known differences may speak of them, too."""
        judged = set(self.criteria)
        return tuple(name for name in self.specs if name not in judged)

    def binding(self, cell: Cell) -> Binding | None:
        """What is called in a cell; None: there is nothing to call."""
        framework = self.frameworks[cell.framework]
        if is_recipe(cell.mode, framework.environment.dialect):
            return formula_binding(self.specs[cell.criterion], framework.environment.dialect)
        return framework.binding(cell.criterion)

    def checks(self, cell: Cell) -> list[str]:
        """The ids of the checks that a cell is planned to have; what the framework does not offer is among them."""
        spec = self.specs[cell.criterion]
        same = self.frameworks[cell.framework].environment.same_as(cell.mode)
        names = [check_of_output(output) for output in ("value", *spec.differentiable)]
        names += [f"edge.{edge.id}" for edge in spec.edge_cases if applies(edge, spec, cell.dtype)]
        names += [f"invalid.{id_}" for id_ in invalid_checks(spec)]
        names += [f"consistency.{name}" for name in consistency_checks(spec, same)]
        return [f"{cell.id}/{name}" for name in names]

    def close(self) -> None:
        """Ends the workers, if there are any."""
        for framework in self.frameworks.values():
            if framework.isolated is not None:
                framework.isolated.close()


def make_plan(options: Options, load: Load = load_adapter) -> Plan:
    """The plan that `options` ask for, with adapters that `load` finds. Of the suite's own specs it reads those that
    are judged.

    Raises:
        ConformanceError: an unknown criterion or framework, a wrong spec, a wrong known-differences file.
    """
    specs = Specs(options.specs)
    wanted = options.wanted(specs)
    frameworks = _by_name([framework_of(name, options, load) for name in options.frameworks])
    for item in frameworks.values():
        if hasattr(item.adapter, "specs"):
            item.adapter.specs = specs  # the built-in numpy computes the formulas of this run
    plan = Plan(options, specs, frameworks)
    for name, framework in frameworks.items():
        for cell, reason in cells_of(name, framework.offer(specs), specs, wanted, options):
            if reason:
                plan.skipped.append((cell, reason))
            else:
                plan.cells.append(cell)
    specs.read(plan.criteria)
    _check_known(plan)
    _deal(plan)
    return plan


def _deal(plan: Plan) -> None:
    """Leaves the cells of the other shards out."""
    mine, n = plan.options.shard
    where = {cell: k for k, share in enumerate(shares(plan.cells, n), 1) for cell in share}
    plan.skipped += [(cell, f"shard {where[cell]} of {n}") for cell in plan.cells if where[cell] != mine]
    plan.cells = [cell for cell in plan.cells if where[cell] == mine]


def _by_name(found: Sequence[Framework]) -> dict[str, Framework]:
    """The frameworks by the names that their checks bear: the adapter's own, or `torch@2.6.0` for one in another
    interpreter where a second one has the same name."""
    shared = Counter(item.adapter.name for item in found)
    frameworks: dict[str, Framework] = {}
    for item in found:
        name = item.adapter.name
        if shared[name] > 1 and "@" in item.option:
            name = f"{name}@{item.version.partition('+')[0].replace('/', '-')}"
        if name in frameworks:
            both = f"--framework {frameworks[name].option} and --framework {item.option}"
            raise UsageError(f"{both} are both named {name!r}; judge them apart")
        frameworks[name] = item
    return frameworks


def framework_of(name: str, options: Options, load: Load = load_adapter) -> Framework:
    """The framework that --framework calls `name`, with its environment and its known differences.

    Raises:
        ConformanceError: there is none, it cannot say what it runs on, or a known-differences file is wrong.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a framework's own import warnings are not ours to judge
        adapter = load(name, options.specs)
        try:
            environment = adapter.environment()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise AdapterError(f"the adapter {name!r} cannot say what it runs on: {said}") from error
    if not isinstance(environment, Environment):
        given = type(environment).__name__
        raise AdapterError(f"the adapter {name!r} does not say what it runs on: environment() gave {given}")
    if {"/", "@"} & set(adapter.name) or not adapter.name:
        raise AdapterError(f"the adapter {name!r} is named {adapter.name!r}; a name is not empty and has no slash or @")
    built_in = folder("adapters") / f"{adapter.name.partition(':')[0]}.known.yaml"  # one file for all variants
    entries: list[Entry] = []
    for path in (*((built_in,) if built_in.is_file() else ()), *options.known):
        entries += [entry for entry in read_known(path) if _speaks_of(entry, adapter.name, path)]
    isolated = Isolated(adapter, environment, name, options.specs)
    return Framework(adapter, environment, tuple(entries), name, _source(adapter), isolated)


def _source(adapter: Adapter) -> str:
    """A digest of the module that an adapter comes from; "" where it has no file."""
    module = sys.modules.get(type(adapter).__module__)
    file = getattr(module, "__file__", None)
    return getattr(adapter, "source", None) or (digest_of([Path(file)]) if file else "")


def _speaks_of(entry: Entry, framework: str, path: Path) -> bool:
    for pattern in entry.patterns:
        if pattern.count("/") != 5:
            raise FileError(f"{path}: {entry.id}: {pattern!r} is not criterion/framework/device/mode/dtype/check")
    return any(fnmatch.fnmatchcase(framework, own_name(pattern.split("/")[1])) for pattern in entry.patterns)


def _check_known(plan: Plan) -> None:
    judged, left_out = plan.criteria, plan.left_out
    for framework in plan.frameworks.values():
        for entry in framework.known:
            specs = [plan.specs[name] for name in judged if entry.speaks_of(name)]
            faults = [fault_of(entry, spec) for spec in specs]
            # An entry for several criteria may have a witness that is a case of one of them only.
            is_whole = specs and not any(entry.speaks_of(name) for name in left_out)
            for witness in entry.witnesses if is_whole else ():
                told = [fault_of_witness(witness, spec) for spec in specs]
                faults += [f"its witness: {told[0]}"] if all(told) else []
            if fault := next(filter(None, faults), ""):
                raise FileError(f"known differences: {entry.id}: {fault}")
