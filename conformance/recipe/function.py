"""A spec's formula as one self-contained function of a framework."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from textwrap import indent, wrap

from conformance import __version__
from conformance.formula import Builder, Node, parse_expression, parse_program
from conformance.recipe.axes import Unprintable, expression
from conformance.recipe.body import Body
from conformance.recipe.dialect import Dialect
from conformance.recipe.helpers import HELPERS
from conformance.recipe.neutral import call
from conformance.spec.model import Input, Param, Spec

__all__ = ["Unprintable", "recipe"]

WIDTH = 100


def recipe(spec: Spec, dialect: Dialect) -> str:
    """The module that defines the function `spec.name`: inputs by position or name, parameters by name.

    Raises:
        Unprintable: some part of the formula cannot be said.
    """
    function = "\n".join(_function(spec, dialect))
    helpers = _helpers(function, dialect)
    code = "\n\n\n".join([*helpers, function])
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    imports = "\n".join([line for name, line in dialect.imports.items() if name in used])
    return f"# {spec.name} in {dialect.name}, from its formula: loss-conformance {__version__}\n{imports}\n\n\n{code}\n"


def _helpers(code: str, dialect: Dialect) -> list[str]:
    """The helper functions that a text calls, and those that they call."""
    found: dict[str, str] = {}
    helpers = {**HELPERS, **dialect.helpers}
    wanted = _called(code)
    while wanted:
        name = wanted.pop()
        if name in helpers and name not in found:
            tree = ast.parse(helpers[name].strip())
            found[name] = "\n".join(map(_wrapped, _quoted(ast.unparse(dialect.translate(tree))).splitlines()))
            wanted += _called(found[name])
    return [found[name] for name in helpers if name in found]


def _called(code: str) -> list[str]:
    return [node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]


def _function(spec: Spec, dialect: Dialect) -> Iterator[str]:
    neutral = _Neutral(spec)
    lines = neutral.lines()
    yield f"def {spec.name}({_signature(spec)}):"
    yield indent(_docstring(spec, dialect), "    ", lambda line: bool(line.strip()))
    for line in lines:
        deep = len(line) - len(line.lstrip())
        text = line.lstrip()
        text = _said(f"{text} pass", dialect).partition("\n")[0] if text.endswith(":") else _said(text, dialect)
        yield indent(_wrapped(text), " " * (4 + deep))


def _said(line: str, dialect: Dialect) -> str:
    return _quoted(ast.unparse(dialect.translate(ast.parse(line))))


def _quoted(code: str) -> str:
    """Strings in double quotes; none of ours holds a quote."""
    return re.sub(r"'([^'\"]*)'", r'"\1"', code)


class _Neutral:
    """The lines of a function in neutral Python, indented as they stand in it."""

    def __init__(self, spec: Spec) -> None:
        builder = Builder()
        self.spec = spec
        self.names = parse_program(spec.formula, builder)
        self.reduce = {name: parse_expression(text, builder, self.names) for name, text in spec.reductions.items()}
        self.valid = [_validity(item) for item in spec.inputs.values() if item.must_raise and item.domain is not None]
        self.domains = {name: item.domain for name, item in spec.params.items() if item.domain is not None}
        roots = [*self.reduce.values(), *self.valid, *self.domains.values()]
        self.body = Body(spec, self.names, roots)

    def lines(self) -> list[str]:
        """All of them. What comes first depends on what is needed after it."""
        body, loss = self.body, self.names["loss"]
        domains = [line for name, domain in self.domains.items() for line in self._domain(name, domain)]
        domains += [line for item in self.spec.params.values() if item.choices for line in _choice(item)]
        for node in self.names.values():
            if body.kinds.reaches(node):
                body.value(node)
        self._poison(loss)
        returns = list(self._returns())
        arguments = list(self._arguments())
        return [*body.axes.definitions(), *arguments, *domains, *body.lines, *returns]

    def _domain(self, name: str, domain: Node) -> Iterator[str]:
        if self.body.kinds.is_static(domain):
            condition = ast.unparse(self.body.value(domain))
            yield f"if not ({condition}):"
            yield f"    raise ValueError({f'{name} is out of its domain: {condition}'!r})"

    def _poison(self, loss: Node) -> None:
        """Where an input that must be refused is out of its domain, there is no loss."""
        body = self.body
        for node in self.valid:
            valid = body.value(node)
            lost = sorted(body.kinds.dims(node) - body.kinds.dims(loss), key=body.axes.frame.index)
            if lost:
                valid = call("all", valid, expression(body.axes.numbers(lost)))
            name = body.fresh("valid")
            body.say(name, valid)
            body.say("loss", call("where", ast.Name(name), ast.Name("loss"), expression("math.nan")))

    def _returns(self) -> Iterator[str]:
        found = {name: self._output(node) for name, node in self.reduce.items()}
        if "reduction" not in self.spec.params:
            yield f"return {found['none']}"
            return
        for name, text in found.items():
            yield f"if reduction == {name!r}:"
            yield f"    return {text}"
        yield "raise ValueError(f'there is no reduction {reduction!r}')"

    def _output(self, node: Node) -> str:
        tree, body = self.body.value(node), self.body
        if body.kinds.dims(node):
            lost = [
                dim
                for dim in body.axes.frame[body.kinds.first_axis(node, body.axes.frame) :]
                if dim not in body.kinds.dims(node)
            ]
            if lost:
                tree = call("squeeze", tree, expression(body.axes.numbers(lost)))
        return ast.unparse(tree)

    def _arguments(self) -> Iterator[str]:
        """Whether shapes fit; defaults; integers in one dtype."""
        axes, like = self.body.axes, next(n for n, item in self.spec.inputs.items() if item.dtype == "float")
        anchor = axes.anchor
        for name, item in self.spec.inputs.items():
            shared = tuple(dim for dim in item.shape if dim in anchor.shape)
            wanted = axes.part(shared, anchor)
            if item.default is not None:
                yield f"if {name} is None:"
                yield f"    {name} = full({wanted}, {item.default!r}, {like})"
            if item.dtype == "int":
                yield f"{name} = whole({name})"
            if item is anchor:
                yield from _rank(item, {self.spec.dims[dim].kind for dim in item.shape})
                continue
            if "without_last" in item.broadcast:
                yield f"if {name}.ndim == {anchor.name}.ndim - 1:"
                yield f"    {name} = {name}[..., None]"
            yield f"if {self._misfit(item, shared, wanted)}:"
            yield f"    raise ValueError('the shape of {name} does not fit that of {anchor.name}')"

    def _misfit(self, item: Input, shared: tuple[str, ...], wanted: str) -> str:
        if not item.broadcast:
            return f"{self.body.axes.part(shared, item)} != {wanted}"
        misfit = f"joint_shape({item.name}.shape, {wanted}) != {wanted}"
        return misfit if "dropped" in item.broadcast else f"{item.name}.shape[:-1] != {wanted}[:-1] or {misfit}"


def _rank(item: Input, kinds: set[str]) -> Iterator[str]:
    """One axis more would be broadcast without a word, where no axis of the input may be absent or several."""
    if kinds == {"fixed"}:
        yield f"if {item.name}.ndim != {len(item.shape)}:"
        yield f"    raise ValueError('{item.name} has not {len(item.shape)} axes')"


def _choice(item: Param) -> Iterator[str]:
    """An unknown reduction is found at the end, where each has its line."""
    if item.name != "reduction":
        yield f"if {item.name} not in {tuple(item.choices)!r}:"
        yield f"    raise ValueError(f'there is no {item.name} {{{item.name}!r}}')"


def _validity(item: Input) -> Node:
    assert item.domain is not None
    return item.domain if item.used is None else Node("or", (item.domain, Node("not", (item.used,))))


def _signature(spec: Spec) -> str:
    inputs = [name + ("" if item.default is None else "=None") for name, item in spec.inputs.items()]
    params = [f"{name}={item.default!r}" for name, item in spec.params.items()]
    return ", ".join([*inputs, *(["*"] if params else []), *params])


def _docstring(spec: Spec, dialect: Dialect) -> str:
    lines = [
        *wrap(f'"""{spec.title}: {spec.summary[:1].lower()}{spec.summary[1:]}', WIDTH - 4),
        "",
        "The formula, elementwise, and its reductions:",
        "",
    ]
    lines += [f"    {line}" for line in spec.formula.rstrip().splitlines()]
    lines += ["", *(f"    {name}: {text}" for name, text in spec.reductions.items()), "", "Args:"]
    lines += [line for item in spec.inputs.values() for line in _hanging(_input(item, spec, dialect))]
    lines += [line for item in spec.params.values() for line in _hanging(_param(item))]
    lines += ["", "Sources:", *(line for text in spec.references for line in _hanging(text))]
    return "\n".join(lines).replace("\\", "\\\\") + '\n"""'


def _hanging(text: str) -> list[str]:
    return wrap(text, WIDTH - 4, initial_indent="    ", subsequent_indent="        ")


def _input(item: Input, spec: Spec, dialect: Dialect) -> str:
    shape = ", ".join(name + {"optional": "?", "star": "*"}.get(spec.dims[name].kind, "") for name in item.shape)
    kind = "of integers" if item.dtype == "int" else ""
    default = f"; {item.default} where it is None" if item.default is not None else ""
    broadcast = "; it is broadcast" if item.broadcast else ""
    about = f"; {item.about}" if item.about else ""
    return f"{item.name}: {dialect.array} {kind} [{shape}]".replace("  ", " ") + default + broadcast + about


def _param(item: Param) -> str:
    choices = f"one of {', '.join(item.choices)}" if item.choices else item.type
    return f"{item.name}: {choices}" + (f"; {item.about}" if item.about else "")


def _wrapped(line: str) -> str:
    """A line that is too long, with a line for each argument of its outermost call."""
    if len(line) <= WIDTH:
        return line
    deep = line[: len(line) - len(line.lstrip())]
    try:
        tree = ast.parse(line.strip()).body[0]
    except SyntaxError:  # it opens a block, or is a part of a docstring
        return line
    value = tree.value if isinstance(tree, ast.Assign | ast.Return) else None
    if not isinstance(value, ast.Call):
        return line
    head = f"{ast.unparse(tree.targets[0])} = " if isinstance(tree, ast.Assign) else "return "
    arguments = [*map(ast.unparse, value.args), *(f"{k.arg}={ast.unparse(k.value)}" for k in value.keywords)]
    inner = "\n".join(f"{deep}    {text}," for text in arguments)
    return f"{deep}{head}{ast.unparse(value.func)}(\n{inner}\n{deep})"
