"""The command line: `conformance run | list | show | replay | report | diff | known | port | check-adapter`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from conformance.errors import ConformanceError, ReferenceFault, UsageError

if TYPE_CHECKING:
    from conformance.spec.model import Spec

USAGE = 4  # pytest's exit code for it


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; the exit code is pytest's: 0, 1, 4 (usage), 5 (nothing ran)."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        if args[:1] == ["run"]:
            return _run(args[1:])
        given = _parser().parse_args(args)
        code: int = given.command(given)
    except ConformanceError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return USAGE
    except ReferenceFault as fault:
        print(f"conformance: {fault}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 0
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="conformance", description="A conformance suite for loss functions.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    run = "judge frameworks: the suite's own pytest run, with the suite's own settings"
    commands.add_parser("run", help=run, add_help=False)
    _add(commands, "list", "the criteria, and the adapters that come with the suite", _list)
    show = _add(commands, "show", "one criterion: what it takes, its formula, its edge cases", _show)
    show.add_argument("criterion")
    show.add_argument(
        "--certificate",
        metavar="CASE",
        help="instead, each number of the reference for a case, its error bound, the precision it took and its budgets;"
        " CASE: a case's JSON file, or RESULTS.json:CHECK-ID (the smallest witness), or RESULTS.json:CHECK-ID:worst",
    )
    show.add_argument(
        "--as",
        dest="dialect",
        metavar="DIALECT",
        help="instead, its formula as a function of jax, torch, tensorflow, mlx, paddle or keras, to paste elsewhere",
    )
    replay = _add(commands, "replay", "run a check's witnesses again, and say what they come to now", _replay)
    replay.add_argument("results", type=Path)
    replay.add_argument("id", help="a check id, such as cross_entropy/torch/cpu/eager/float32/value")
    replay.add_argument(
        "--script",
        choices=("smallest", "worst"),
        nargs="?",
        const="smallest",
        help="print a script instead, which needs nothing but the framework: for a bug report (default: smallest)",
    )
    report = _add(commands, "report", "one report of several results files; shards of a run become one", _report)
    report.add_argument("results", nargs="+", type=Path)
    form = "the suffix says which form: .html, .md, .xml (JUnit), .csv, .svg (a badge), .txt, .json (one run); repeats"
    report.add_argument("-o", "--output", action="append", default=[], type=Path, metavar="FILE", help=form)
    names = "html, markdown, junit, csv, badge, terminal, or github (annotations); without -o it is printed"
    report.add_argument("--format", default="", metavar="NAME", help=names)
    diff = _add(commands, "diff", "what changed between two results files; exit code 1 when something got worse", _diff)
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)
    known = _add(commands, "known", "drafts of known differences, for a person to complete", _known)
    known.add_argument("--update", required=True, type=Path, metavar="RESULTS", help="the results that show them")
    known.add_argument("-o", "--output", type=Path, metavar="FILE", help="the file to add them to (default: printed)")
    known.add_argument("--inaccurate", action="store_true", help="what is inaccurate, too")
    port = _add(commands, "port", "what changes for a criterion from one framework to another", _port)
    port.add_argument("old", help="the framework to leave, as --framework takes it")
    port.add_argument("new", help="the framework to go to")
    port.add_argument("criterion")
    port.add_argument("--dtype", default="float32", help="default: float32")
    port.add_argument("--specs", action="append", default=[], type=Path, metavar="DIR", help="more specs (repeats)")
    author = _add(commands, "check-adapter", "what is wrong with an adapter, for its author", _check_adapter)
    author.add_argument("adapter", help="as --framework takes it: module:Class, a name, or NAME@PYTHON")
    author.add_argument("--criterion", action="append", default=[], metavar="GLOB", help="only these (repeats)")
    author.add_argument("--dtype", action="append", default=[], help="only this dtype (repeats)")
    author.add_argument("--specs", action="append", default=[], type=Path, metavar="DIR", help="more specs (repeats)")
    return parser


def _add(commands: argparse._SubParsersAction[_Parser], name: str, text: str, command: object) -> _Parser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def _run(args: list[str]) -> int:
    """pytest on the suite, away from the settings of whatever project it is called in."""
    import pytest

    package = Path(__file__).resolve().parent
    settings = ["-c", str(package / "suite" / "pytest.ini"), f"--rootdir={package}", "-p", "no:cacheprovider"]
    return int(pytest.main([*settings, str(package / "test_conformance.py"), *args]))


def _list(given: argparse.Namespace) -> int:
    from conformance._resources import built_in
    from conformance.spec import load_specs, specs_folder

    for name, spec in load_specs([specs_folder()]).items():
        print(f"{name:24} {spec.title}")
    print(f"\nframeworks: {', '.join(built_in())}, and module:Class for an adapter of your own")
    return 0


def _show(given: argparse.Namespace) -> int:
    from conformance.spec import spec_for

    spec = spec_for(given.criterion)
    if given.dialect is not None:
        print(_recipe(spec, given.dialect), end="")
    elif given.certificate is not None:
        from conformance.report.certificate import certificate

        print(certificate(spec, given.certificate))
    else:
        from conformance.report.criterion import describe

        print(describe(spec))
    return 0


def _recipe(spec: Spec, dialect: str) -> str:
    from conformance.recipe import DIALECTS, Unprintable, recipe
    from conformance.suite.options import unknown

    if dialect not in DIALECTS:
        raise UsageError(f"--as: {unknown('dialect', dialect, DIALECTS)}")
    try:
        return recipe(spec, DIALECTS[dialect])
    except Unprintable as error:
        raise UsageError(f"the formula of {spec.name} has no code in {dialect}: {error}") from None


def _replay(given: argparse.Namespace) -> int:
    from conformance.suite.replay import print_script, replay

    return print_script(given.results, given.id, given.script) if given.script else replay(given.results, given.id)


def _report(given: argparse.Namespace) -> int:
    from conformance.report.commands import report

    return report(given.results, *given.output, name=given.format)


def _diff(given: argparse.Namespace) -> int:
    from conformance.report.commands import diff

    return diff(given.old, given.new)


def _known(given: argparse.Namespace) -> int:
    from conformance.report.drafts import update

    return update(given.update, given.output, inaccurate=given.inaccurate)


def _port(given: argparse.Namespace) -> int:
    from conformance.suite.port import port

    return port(given.old, given.new, given.criterion, given.dtype, given.specs)


def _check_adapter(given: argparse.Namespace) -> int:
    from conformance.suite.check_adapter import check_adapter

    return check_adapter(given.adapter, given.criterion, given.dtype, given.specs)


if __name__ == "__main__":
    sys.exit(main())
