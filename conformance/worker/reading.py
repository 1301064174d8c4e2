"""What a worker says, read by the judge, who believes nothing of it: every length, shape, dtype and type is checked."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conformance.adapter.protocol import Binding, Difference, Environment, Harmful, Output, Unsupported
from conformance.worker.frames import Frame, Nonsense
from conformance.worker.messages import plain_dtype

Array = NDArray[Any]
MOST_AXES = 32


class Raised(Exception):
    """What an adapter raised in a worker. Its class is named like the original's."""


class Answer(NamedTuple):
    """`output` is what an adapter returned, or the exception that stands for what it raised; `changed`, the inputs that
    it wrote to, as they are now; `warnings`, the class and the text of each."""

    output: Any
    changed: dict[str, Any]
    warnings: list[tuple[str, str]]


def answer_of(frame: Frame, number: int) -> Answer:
    """The answer to call `number`.

    Raises:
        Nonsense: it is no answer, or one to another call.
    """
    header, body = frame
    if header.get("answer") != number:
        raise Nonsense("it is no answer to this call")
    output, at = _output_of(header, body)
    changed, at = _arrays(header.get("changed", []), body, at)
    if at != len(body):
        raise Nonsense("its arrays are not what its header says")
    pairs = (_list(item, 2) for item in _list(header.get("warnings", [])))
    return Answer(output, changed, [(_text(name), _text(text)) for name, text in pairs])


def _output_of(header: Mapping[str, Any], body: bytes) -> tuple[Any, int]:
    if "raised" in header:
        return raised_of(header["raised"]), 0
    if "unsupported" in header:
        return Unsupported(_text(header["unsupported"])), 0
    if "returned" in header:
        return _stand_in(header["returned"]), 0
    value, at = _unpacked(header.get("value"), body, 0)
    gradients, at = _arrays(header.get("gradients"), body, at)
    return Output(value, gradients), at


def raised_of(data: Any) -> Raised | Harmful:
    """The exception that stands for one that was raised in a worker."""
    name, text = _list(data, 2)
    if name == Harmful.__name__:
        return Harmful(_text(text))
    error: Raised = type(_class_name(name), (Raised,), {})(_text(text))
    return error


def environment_of(data: Any) -> Environment:
    """The environment that `environment_data` made.

    Raises:
        Nonsense: it is none.
    """
    if not isinstance(data, dict):
        raise Nonsense("its environment is none")
    keys = ("devices", "dtypes", "modes", "compiles", "same", "costly")
    devices, dtypes, modes, compiles, same, costly = (tuple(map(_text, _list(data.get(key)))) for key in keys)
    versions, details = (_texts(data.get(key)) for key in ("versions", "details"))
    given, cotangents = data.get("flushes_subnormals"), data.get("cotangents") is True
    flushes = tuple(map(_text, given)) if isinstance(given, list) else given is True
    dialect = _text(data.get("dialect", ""))
    return Environment(versions, devices, dtypes, modes, flushes, cotangents, details, compiles, dialect, same, costly)


def binding_of(data: Any) -> Binding | None:
    """The binding that `binding_data` made.

    Raises:
        Nonsense: it is none.
    """
    if data is None:
        return None
    if not isinstance(data, dict):
        raise Nonsense("its binding is none")
    differences = tuple(map(_difference, _list(data.get("differences"))))
    gradients = data.get("gradients")
    names = None if gradients is None else tuple(map(_text, _list(gradients)))
    return Binding(_text(data.get("function")), differences, names)


def _difference(data: Any) -> Difference:
    sentence, source, when, checks = _list(data, 4)
    return Difference(_text(sentence), _text(source), _text(when), tuple(map(_text, _list(checks))))


def _arrays(items: Any, body: bytes, at: int) -> tuple[dict[str, Any], int]:
    arrays: dict[str, Any] = {}
    for item in _list(items):
        name, entry = _list(item, 2)
        if _text(name) in arrays:
            raise Nonsense("it names an array twice")
        arrays[_text(name)], at = _unpacked(entry, body, at)
    return arrays, at


def _unpacked(entry: Any, body: bytes, at: int) -> tuple[Any, int]:
    if entry is None:
        return None, at
    if not isinstance(entry, dict):
        raise Nonsense("an array of it has no description")
    if "type" in entry:
        return _stand_in(entry["type"]), at
    if "shape" not in entry:
        return _opaque(_text(entry.get("dtype"))), at
    dtype, shape = plain_dtype(_text(entry.get("dtype"))), _list(entry["shape"])
    if dtype is None or len(shape) > MOST_AXES or not all(type(n) is int and 0 <= n < 1 << 48 for n in shape):
        raise Nonsense("an array of it has an impossible dtype or shape")
    end = at + math.prod(shape) * dtype.itemsize
    if end > len(body):
        raise Nonsense("its arrays are not what its header says")
    try:
        return np.frombuffer(body[at:end], dtype).reshape(shape).copy(), end
    except ValueError:
        raise Nonsense("an array of it has an impossible shape") from None


def _opaque(name: str) -> Array:
    """An empty array of a dtype whose numbers do not cross: that it is the wrong one is all there is to know."""
    try:
        return np.empty(0, np.dtype(name[:50]))
    except Exception:
        return np.empty(0, np.dtype("V1"))


def _stand_in(name: Any) -> object:
    """An object whose class is named so: what was returned was no array."""
    found: object = type(_class_name(name), (), {})()
    return found


def _list(data: Any, length: int | None = None) -> Sequence[Any]:
    if not isinstance(data, list) or (length is not None and len(data) != length):
        raise Nonsense("its header lacks a list")
    return data


def _text(data: Any) -> str:
    if not isinstance(data, str):
        raise Nonsense("its header lacks a text")
    return data.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair could not be written


def _class_name(data: Any) -> str:
    return _text(data)[:100].replace("\0", "")


def _texts(data: Any) -> dict[str, str]:
    if not isinstance(data, dict):
        raise Nonsense("its header lacks an object")
    return {key: _text(value) for key, value in data.items()}


def warning_named(name: str) -> type[Warning]:
    """Python's own warning class of that name, or one made for it."""
    found = getattr(builtins, name, None)
    if isinstance(found, type) and issubclass(found, Warning):
        return found
    made: type[Warning] = type(_class_name(name), (UserWarning,), {})
    return made
