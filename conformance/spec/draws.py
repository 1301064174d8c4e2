"""The grammar of draws: how a regime says where the numbers of an input or parameter come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes

from conformance.dtypes import DTYPES
from conformance.errors import FormulaError
from conformance.spec.constant import number
from conformance.spec.model import Draw, Mixed, Near, Uniform, Values
from conformance.spec.schema import close
from conformance.spec.source import Loc, Misfit, Source

LOG_RATIO = 100  # a range wider than this, on one side of 0, is drawn evenly in magnitude
MAX_ULPS = 2**20
_INFO: Mapping[str, Any] = {name: ml_dtypes.finfo(name) for name in DTYPES}  # type: ignore[no-untyped-call]


def read_draws(source: Source, loc: Loc, value: Any) -> dict[str, Draw]:
    """The draw of each dtype that the YAML value at `loc` says; faults are noted, and leave a dtype out."""
    if not (isinstance(value, dict) and ({"else", *DTYPES} & set(value))):
        return _per_dtype(source, loc, value, DTYPES)
    known = ("else", *DTYPES)
    for key in value:
        if key not in known:
            source.fault(
                source.key((*loc, key)), f"unknown dtype {key!r}{close(key, known)}; known: {', '.join(known)}"
            )
    left = tuple(dtype for dtype in DTYPES if dtype not in value)
    if left and "else" not in value:
        source.fault(source.place(loc), f"no draw for {', '.join(left)}: say which, or add 'else:'")
    if not left and "else" in value:
        source.fault(source.key((*loc, "else")), "'else' covers nothing: every dtype has its own draw")
    found = _per_dtype(source, (*loc, "else"), value["else"], left) if left and "else" in value else {}
    for dtype in set(DTYPES) & set(value):
        found |= _per_dtype(source, (*loc, dtype), value[dtype], (dtype,))
    return {dtype: found[dtype] for dtype in DTYPES if dtype in found}


def _per_dtype(source: Source, loc: Loc, value: Any, dtypes: tuple[str, ...]) -> dict[str, Draw]:
    try:
        draw = _draw(loc, value)
        for item in bounds(draw):
            _check_range(loc, item, dtypes)
    except FormulaError as error:
        source.note(loc, error)
        return {}
    return dict.fromkeys(dtypes, draw)


def _check_range(loc: Loc, item: float, dtypes: tuple[str, ...]) -> None:
    for dtype in dtypes:
        largest, smallest = float(_INFO[dtype].max), float(_INFO[dtype].smallest_subnormal)
        if largest < abs(item) < math.inf:
            raise Misfit(loc, f"{item!r} is beyond {dtype}'s largest number, {largest:.6g}: say another for it")
        if 0 < abs(item) < smallest / 2:
            raise Misfit(loc, f"{item!r} is 0 in {dtype}, whose smallest number is {smallest:.6g}: say another for it")


def _draw(loc: Loc, value: Any) -> Draw:
    if isinstance(value, list):
        return _uniform(loc, value, log=None)
    kind = next((key for key in _KINDS if key in value), None) if isinstance(value, dict) else None
    if kind is None:
        raise Misfit(loc, "a draw is [low, high], {near: …}, {values: […]}, {log: [low, high]} or {mix: […]}")
    for key in value:
        if key not in (kind, "ulps" if kind == "near" else kind):
            raise Misfit((*loc, key), f"{key!r} has no place beside {kind!r}", key=True)
    return _KINDS[kind](loc, value)


def _uniform(loc: Loc, items: Any, log: bool | None) -> Draw:
    if not isinstance(items, list) or len(items) != 2:
        raise Misfit(loc, "a range has two bounds: [low, high]")
    low, high = (_number((*loc, k), item) for k, item in enumerate(items))
    if not low <= high:
        raise Misfit(loc, f"the range is empty: {low!r} > {high!r}")
    if log and not low * high > 0:
        raise Misfit(loc, "a range in magnitude lies on one side of 0")
    return Uniform(low, high, _is_wide(low, high) if log is None else log)


def _is_wide(low: float, high: float) -> bool:
    small, large = sorted((abs(low), abs(high)))
    return small > 0 and (low > 0) == (high > 0) and large > LOG_RATIO * small


def _number(loc: Loc, value: Any) -> float:
    try:
        return float(number(value))
    except FormulaError as error:
        raise Misfit(loc, str(error)) from None


def _near(loc: Loc, value: Mapping[str, Any]) -> Draw:
    ulps = value.get("ulps", 4)
    if isinstance(ulps, bool) or not isinstance(ulps, int) or not 0 <= ulps <= MAX_ULPS:
        raise Misfit((*loc, "ulps"), f"ulps is an integer from 0 to {MAX_ULPS}")
    if not isinstance(value["near"], str):
        raise Misfit((*loc, "near"), "near names another input")
    return Near(value["near"], ulps)


def _values(loc: Loc, value: Mapping[str, Any]) -> Draw:
    return Values(tuple(_number((*loc, "values", k), item) for k, item in enumerate(_items(loc, value, "values"))))


def _mix(loc: Loc, value: Mapping[str, Any]) -> Draw:
    return Mixed(tuple(_draw((*loc, "mix", k), item) for k, item in enumerate(_items(loc, value, "mix"))))


def _items(loc: Loc, value: Mapping[str, Any], key: str) -> list[Any]:
    items = value[key]
    if not isinstance(items, list) or not items:
        raise Misfit((*loc, key), f"{key} is a list, and not empty")
    return items


_KINDS: Mapping[str, Callable[[Loc, Mapping[str, Any]], Draw]] = {
    "near": _near,
    "values": _values,
    "log": lambda loc, value: _uniform((*loc, "log"), value["log"], log=True),
    "mix": _mix,
}


def near_names(draw: Draw) -> set[str]:
    """The inputs that a draw looks at."""
    if isinstance(draw, Mixed):
        return {name for part in draw.parts for name in near_names(part)}
    return {draw.other} if isinstance(draw, Near) else set()


def bounds(draw: Draw) -> tuple[float, ...]:
    """The numbers that limit a draw: bounds of ranges, values; none for what lies near another input."""
    if isinstance(draw, Mixed):
        return tuple(item for part in draw.parts for item in bounds(part))
    if isinstance(draw, Near):
        return ()
    return (draw.low, draw.high) if isinstance(draw, Uniform) else draw.values
