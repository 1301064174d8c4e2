"""Formulas as MathML Core, a rule for each primitive. Axes are subscripts, `where` is a brace of cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from html import escape

from conformance.formula.node import Node
from conformance.formula.parse import parse_expression
from conformance.formula.syntax import statements

# How tightly an expression holds together; what holds less tightly than its place asks for gets parentheses.
OR, AND, NOT, COMPARISON, SUM, PRODUCT, POWER, ATOM = range(8)
Printed = tuple[str, int]  # MathML, and how tightly it holds together


def program(text: str) -> str:
    """A formula's statements as one `math` element, a row each.

    Raises:
        FormulaError: the text is no formula.
    """
    rows = [
        f"<mtr><mtd>{_name(name)}</mtd><mtd>{_o('=')}{_bare(parse_expression(part))}</mtd></mtr>"
        for name, part, *_ in statements(text)
    ]
    return f'<math display="block"><mtable class="program" displaystyle="true">{"".join(rows)}</mtable></math>'


def expression(text: str) -> str:
    """An expression as a `math` element.

    Raises:
        FormulaError: the text is no expression.
    """
    return f"<math>{_bare(parse_expression(text))}</math>"


def printed(node: Node) -> Printed:
    """A node's MathML, and how tightly it holds together."""
    return RULES[node.op](node)


def _bare(node: Node) -> str:
    return f"<mrow>{printed(node)[0]}</mrow>"


def _held(node: Node, tightness: int) -> str:
    text, holds = printed(node)
    return f"<mrow>{text}</mrow>" if holds >= tightness else f"<mrow>{_o('(')}{text}{_o(')')}</mrow>"


def _o(sign: str, attributes: str = "") -> str:
    return f"<mo{attributes}>{escape(sign)}</mo>"


def _word(text: str) -> str:
    return f"<mtext>\u00a0{escape(text)}\u00a0</mtext>"


def _name(text: str) -> str:
    """`d_pos` is d with the subscript pos; longer words keep their underscore."""
    head, _, tail = text.partition("_")
    if len(head) == 1 and tail:
        return f"<msub><mi>{escape(head)}</mi><mi>{escape(tail)}</mi></msub>"
    return f"<mi>{escape(text)}</mi>"


def _number(node: Node) -> Printed:
    value = node.value
    if isinstance(value, float):
        if math.isinf(value):
            return (f"{_o('−', PREFIX)}<mn>∞</mn>", SUM) if value < 0 else ("<mn>∞</mn>", ATOM)
        if value == math.pi:
            return "<mi>π</mi>", ATOM
    assert isinstance(value, int | float)
    size = f"<mn>{abs(value)!r}</mn>"
    return (f"{_o('−', PREFIX)}{size}", SUM) if value < 0 else (size, ATOM)


PREFIX = ' form="prefix"'


def _between(sign: str, tightness: int, right: int | None = None) -> Callable[[Node], Printed]:
    def rule(node: Node) -> Printed:
        x, y = node.args
        return f"{_held(x, tightness)}{sign}{_held(y, tightness if right is None else right)}", tightness

    return rule


def _call(name: str, *args: str) -> str:
    return f"<mi>{escape(name)}</mi>{_o('(')}{_o(',').join(args)}{_o(')')}"


def _function(name: str) -> Callable[[Node], Printed]:
    return lambda node: (_call(name, *map(_bare, node.args)), ATOM)


def _axes(node: Node) -> str:
    names = [f"<mi>{escape(name)}</mi>" for name in node.over or ()]
    where = [] if node.where is None else [_bare(node.where)]
    return f"<mrow>{_o(',').join(names + where)}</mrow>"


def _over(operator: str, node: Node, base: str) -> str:
    """A big operator with its axes beneath; without any, it goes over all of them."""
    return f"{base if node.over is None else f'<munder>{base}{_axes(node)}</munder>'}{operator}"


def _sub(base: str, below: str) -> str:
    return f"<msub><mrow>{base}</mrow><mrow>{below}</mrow></msub>"


def _exp(node: Node) -> str:
    return f"<msup><mi>e</mi>{_bare(node)}</msup>"


def _log(argument: str) -> str:
    return f'<mi>log</mi><mspace width="0.17em"></mspace>{argument}'


def _in_parentheses(text: str) -> str:
    return f"<mrow>{_o('(')}{text}{_o(')')}</mrow>"


def _log_one_plus(x: Node, tightness: int = SUM) -> str:
    """log(1 + x), or log(1 − y) where x is −y."""
    sign, rest, holds = ("−", x.args[0], PRODUCT) if x.op == "neg" else ("+", x, tightness)
    return _log(_in_parentheses(f"<mn>1</mn>{_o(sign)}{_held(rest, holds)}"))


def _where(node: Node) -> Printed:
    """A chain of `where` in the last place is one brace."""
    rows, rest = [], node
    while rest.op == "where":
        condition, then, rest = rest.args
        rows.append(f"<mtr><mtd>{_bare(then)}</mtd><mtd>{_word('if')}{_bare(condition)}</mtd></mtr>")
    rows.append(f"<mtr><mtd>{_bare(rest)}</mtd><mtd>{_word('otherwise')}</mtd></mtr>")
    # The page draws the brace: a sign that stretches needs a font for mathematics.
    return f'<mtable class="cases" displaystyle="true">{"".join(rows)}</mtable>', PRODUCT


def _big(name: str) -> Callable[[Node], Printed]:
    return lambda node: (_over(_in_parentheses(_bare(node.args[0])), node, f"<mi>{name}</mi>"), ATOM)


def _sum(node: Node) -> Printed:
    sign = _o("∑", ' movablelimits="false"')
    return _over(_held(node.args[0], PRODUCT), node, sign), PRODUCT


def _logsumexp(node: Node) -> Printed:
    return _log(_over(_exp(node.args[0]), node, _o("∑", ' movablelimits="false"'))), PRODUCT


def _log_softmax(node: Node) -> Printed:
    softmax = _sub("<mi>softmax</mi>", _axes(node))
    return _log(f"{softmax}{_in_parentheses(_bare(node.args[0]))}"), PRODUCT


def _norm(node: Node) -> Printed:
    x, p = node.args
    bars = f"{_o('‖', PREFIX)}{_bare(x)}{_o('‖', POSTFIX)}"
    return _sub(bars, f"{_bare(p)}{_o(',')}{_axes(node)}"), ATOM


POSTFIX = ' form="postfix"'


def _pick(node: Node) -> Printed:
    x, at = node.args
    return _sub(_held(x, ATOM), f"{_axes(node)}{_o('=')}{_bare(at)}"), ATOM


def _rename(node: Node) -> Printed:
    old, new = node.over or ("", "")
    return _sub(_held(node.args[0], ATOM), f"<mi>{escape(old)}</mi>{_o('→')}<mi>{escape(new)}</mi>"), ATOM


def _ctc(node: Node) -> Printed:
    """The likelihood of the labels: of all alignments of `targets` with the frames."""
    frames, labels, inputs, targets, blank = map(_bare, node.args)
    given = f"{frames}{_o(',')}{inputs}{_o(',')}{targets}{_o(',')}<mi>blank</mi>{_o('=')}{blank}"
    chance = _sub("<mi>P</mi>", "<mi>CTC</mi>")
    of = _in_parentheses(f"{labels}{_o('|')}{given}")
    return _log(f"{chance}{of}"), PRODUCT


def _of(wrap: Callable[[Node], str], tightness: int = ATOM) -> Callable[[Node], Printed]:
    return lambda node: (wrap(node.args[0]), tightness)


def _is(node: Node) -> Printed:
    """A choice and the value that it is compared with."""
    name, choice = node.choice
    return f"{_name(name)}{_o('=')}<mtext>{escape(choice)}</mtext>", COMPARISON


def _fraction(node: Node) -> Printed:
    over, under = map(_bare, node.args)
    return f"<mfrac>{over}{under}</mfrac>", POWER


RULES: Mapping[str, Callable[[Node], Printed]] = {
    "const": _number,
    "name": lambda node: (_name(str(node.value)), ATOM),
    "+": _between(_o("+"), SUM),
    "-": _between(_o("−"), SUM, PRODUCT),
    "*": _between(_o("·"), PRODUCT),
    "/": _fraction,
    "**": lambda node: (f"<msup>{_held(node.args[0], ATOM)}{_bare(node.args[1])}</msup>", POWER),
    "neg": _of(lambda x: f"{_o('−', PREFIX)}{_held(x, PRODUCT)}", SUM),
    "==": _between(_o("="), COMPARISON, SUM),
    "!=": _between(_o("≠"), COMPARISON, SUM),
    "<": _between(_o("<"), COMPARISON, SUM),
    "<=": _between(_o("≤"), COMPARISON, SUM),
    ">": _between(_o(">"), COMPARISON, SUM),
    ">=": _between(_o("≥"), COMPARISON, SUM),
    "and": _between(_word("and"), AND),
    "or": _between(_word("or"), OR),
    "not": _of(lambda x: f"{_word('not')}{_held(x, COMPARISON)}", NOT),
    "is": _is,
    "where": _where,
    "abs": _of(lambda x: f"{_o('|', PREFIX)}{_bare(x)}{_o('|', POSTFIX)}"),
    "exp": _of(_exp, POWER),
    "expm1": _of(lambda x: f"{_exp(x)}{_o('−')}<mn>1</mn>", SUM),
    "log": _of(lambda x: _log(_held(x, ATOM)), PRODUCT),
    "log1p": _of(_log_one_plus, PRODUCT),
    "sqrt": _of(lambda x: f"<msqrt>{_bare(x)}</msqrt>"),
    "sigmoid": _function("σ"),
    "softplus": _of(lambda x: _log(_in_parentheses(f"<mn>1</mn>{_o('+')}{_exp(x)}")), PRODUCT),
    "xlogy": lambda node: (f"{_held(node.args[0], POWER)}{_o('·')}{_log(_held(node.args[1], ATOM))}", PRODUCT),
    "xlog1py": lambda node: (
        f"{_held(node.args[0], POWER)}{_o('·')}{_log_one_plus(node.args[1])}",
        PRODUCT,
    ),
    "maximum": _function("max"),
    "minimum": _function("min"),
    "stop_gradient": _function("constant"),
    "sum": _sum,
    "mean": _big("mean"),
    "max": _big("max"),
    "logsumexp": _logsumexp,
    "norm": _norm,
    "size": _function("size"),
    "index": lambda node: (_sub("<mi>index</mi>", _axes(node)), ATOM),
    "pick": _pick,
    "leading": lambda node: (f"{_sub('<mi>leading</mi>', _axes(node))}{_in_parentheses(_bare(node.args[0]))}", ATOM),
    "rename": _rename,
    "log_softmax": _log_softmax,
    "ctc_log_likelihood": _ctc,
}
