"""Mode `formula`: the function that a call's code defines, on the framework's own operators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from conformance.adapter.protocol import Call, Unsupported


def function_of(call: Call) -> Callable[..., Any]:
    """The function that `call.code` defines: it takes the call's inputs and parameters by name, and returns the value.

    Raises:
        Unsupported: the call brings no code; its formula cannot be said in the framework's dialect.
    """
    if not call.code:
        raise Unsupported(f"the formula of {call.criterion} has no code for this framework")
    return _defined(call.criterion, call.code)


@functools.lru_cache(maxsize=256)
def _defined(name: str, code: str) -> Callable[..., Any]:
    """The function of that name, exactly as the text has it."""
    namespace: dict[str, Any] = {"__name__": f"{name} (formula)"}
    exec(compile(code, f"<the formula of {name}>", "exec"), namespace)
    function: Callable[..., Any] = namespace[name]
    return function
