"""The stand-alone script of a witness: what to paste into a bug report. It needs the framework and nothing of ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import takewhile
from string import Template
from textwrap import indent
from typing import Any

from conformance.errors import FileError
from conformance.record.plain import as_number
from conformance.reference.formats import FORMATS
from conformance.report.words import clean, exact, one_line

Check = Mapping[str, Any]
Witness = Mapping[str, Any]

HEAD = """\
# {id}
# {sentence}
# Ends with exit code 1 while that is so, with 0 once it is right.
import math
import sys

{imports}

fromhex, inf, nan = float.fromhex, math.inf, math.nan
"""
NUMBER = """\
got, wanted = {got}, {wanted}
lowest, highest = {lowest}, {highest}  # between which a sound implementation answers
size = max(abs(wanted), abs(got))
ulp = 2.0 ** (max(math.frexp(size)[1], {least}) - {digits}) if size < inf else nan
print(f"wanted {{wanted!r}}, got {{got!r}}: {{abs(got - wanted) / ulp:.3g}} ulp of {dtype} apart")
sys.exit({test})
"""
ANSWER = 'print(f"wanted an answer, got {got}")\n'
REFUSAL = """\
try:
{call}
except Exception as error:
    print(f"refused, as is due: {{type(error).__name__}}: {{error}}")
    sys.exit(0)
print(f"wanted a refusal or nan, got {{got}}")
sys.exit(0 if set(str(got).replace("[", "").replace("]", "").split(", ")) == {{"nan"}} else 1)
"""


def script_for(check: Check, witness: Witness) -> str | None:
    """A Python script that runs a witness on the framework alone: it prints what is wanted, what comes, and how many
    ulps lie between, and exits with 1 while that is wrong and with 0 once it is right. None: `why_none` says why."""
    if why_none(check, witness):
        return None
    numbers = {name: literal(value) for name, value in witness["case"].get("inputs", {}).items()}
    lines = Template(witness["script"]).safe_substitute(numbers).splitlines()
    imports = list(takewhile(lambda line: line.startswith(("import ", "from ")), lines))
    call = "\n".join(lines[len(imports) :])
    words = {"id": check["id"], "sentence": witness.get("sentence") or check["outcome"]}
    head = HEAD.format(**{key: one_line(text, 500) for key, text in words.items()}, imports="\n".join(imports))
    if witness.get("due") == "refusal":
        return clean(head + REFUSAL.format(call=indent(call, "    ")))
    return clean(f"{head}{call}\n\n{ANSWER if witness.get('due') == 'answer' else _comparison(check, witness)}")


def why_none(check: Check, witness: Witness) -> str:
    """Why a witness has no script, in a sentence; "" where it has one."""
    if "recipe" in witness["case"]:
        return "the case is too large to be written out: `conformance replay` draws it again"
    if witness.get("asked"):
        return "it takes more than one plain call: `conformance replay` makes them"
    has_bounds = "bounds" in witness and check["dtype"] in FORMATS
    if not witness.get("script") or not (has_bounds or witness.get("due") in ("answer", "refusal")):
        return f"the adapter of {check['framework']} writes none for this call"
    return ""


def _comparison(check: Check, witness: Witness) -> str:
    lowest, highest = witness["bounds"]
    wanted = "got != got" if lowest == "nan" else "lowest <= got <= highest"
    dtype = FORMATS[check["dtype"]]
    return NUMBER.format(
        got=_taken(witness),
        wanted=literal(witness.get("wanted")),
        lowest=literal(lowest),
        highest=literal(highest),
        least=dtype.min_exponent + 1,
        digits=dtype.digits,
        dtype=dtype.name,
        test=f"0 if {wanted} else 1",
    )


def _taken(witness: Witness) -> str:
    """The number that is compared; a gradient that is defined up to a multiple has that taken out."""
    *rows, last = [f"[{int(i)}]" for i in witness.get("where") or ()] or [""]
    row, share = f"got{''.join(rows)}", as_number(witness.get("share", 0.0))
    return f"{row}{last} - {literal(witness['share'])} * sum({row})" if share else row + last


def literal(value: Any) -> str:
    """A witness's numbers as Python: floats in decimal where a few digits say them exactly, others in hexadecimal.

    Raises:
        FileError: there is something else among them.
    """
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, bool | int):
        return repr(value)
    number = as_number(value)
    if number is None:
        raise FileError(f"a witness holds {value!r:.40} where a number is due: the results file is damaged")
    text = exact(number) if math.isfinite(number) else repr(number)  # inf and nan are names in the script
    return f'fromhex("{text}")' if "x" in text else text
