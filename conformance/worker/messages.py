"""Messages: calls, outputs and arrays as headers and bytes. What the judge makes of an answer is in `reading`."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapter.protocol import Binding, Call, Environment, Output, Unsupported
from conformance.worker.frames import pack

Array = NDArray[Any]
NAMES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128"
PLAIN: dict[str, np.dtype[Any]] = {name: np.dtype(name) for name in NAMES.split()}
MOST_TEXT = 10_000
SPARE = 64 << 20  # bytes that an answer may have beyond what its call's arrays suggest


def plain_dtype(name: str) -> np.dtype[Any] | None:
    """The dtype of a name whose numbers can cross; None where there is none.

    Raises:
        ModuleNotFoundError: it is bfloat16, and this interpreter has no ml_dtypes.
    """
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return PLAIN.get(name)


# The judge asks


def pack_call(number: int, call: Call, *, script: bool = False) -> bytes:
    """The frame of a call, or of the question for its script. Strides cross too: whether they matter is one of the
    things that are judged."""
    arrays, body = [], []
    last = {} if call.cotangent is None else {"cotangent": call.cotangent}
    for name, array in [*call.inputs.items(), *last.items()]:
        offset, data = _span(array)
        arrays.append([name, array.dtype.name, array.shape, array.strides, offset, len(data), array.flags.writeable])
        body.append(data)
    header = {
        "call": number,
        "criterion": call.criterion,
        "arrays": arrays,
        "inputs": len(call.inputs),
        "parameters": dict(call.parameters),
        "dtype": call.dtype,
        "device": call.device,
        "mode": call.mode,
        "wrt": call.wrt,
        **({"code": call.code} if call.code else {}),
        **({"script": True} if script else {}),
    }
    return pack(header, body)


def most_of_answer(call: Call) -> int:
    """The most bytes that are taken for the answer to a call."""
    return SPARE + 16 * sum(array.nbytes for array in call.inputs.values())


def _span(array: Array) -> tuple[int, bytes]:
    """Where in its memory an array begins, and all of that memory, gaps between its elements too."""
    if array.flags.c_contiguous:
        return 0, array.tobytes()
    low, high = np.lib.array_utils.byte_bounds(array)
    start: int = array.__array_interface__["data"][0]
    return start - low, ctypes.string_at(low, high - low)


# A worker reads, and answers


def call_of(header: Mapping[str, Any], body: bytes) -> Call:
    """The call that `pack_call` packed, with memory of its own.

    Raises:
        Unsupported: it is one in bfloat16, and this interpreter has no ml_dtypes.
    """
    arrays, at = [], 0
    for name, dtype, shape, strides, offset, size, writeable in header["arrays"]:
        memory = np.frombuffer(body, np.uint8, size, at).copy()  # aligned, and nobody else's
        at += size
        try:
            plain = plain_dtype(dtype)
        except ModuleNotFoundError:
            raise Unsupported("bfloat16 needs ml_dtypes, which is not installed in this interpreter") from None
        if plain is None:
            raise TypeError(f"numbers of {dtype} cannot cross")
        array: Array = np.ndarray(shape, plain, memory, offset, strides) if size else np.empty(shape, plain)
        array.flags.writeable = writeable
        arrays.append((name, array))
    parameters, dtype, device, mode = (header[key] for key in ("parameters", "dtype", "device", "mode"))
    inputs, cotangent = dict(arrays[: header["inputs"]]), arrays[header["inputs"] :]
    last, code = cotangent[0][1] if cotangent else None, header.get("code", "")
    return Call(header["criterion"], inputs, parameters, dtype, device, mode, tuple(header["wrt"]), last, code)


def pack_output(output: Any) -> tuple[dict[str, Any], list[bytes]]:
    """Header and body of what an adapter returned; what is no output or no array crosses as the name of its type."""
    if not isinstance(output, Output):
        return {"returned": type(output).__name__}, []
    gradients = output.gradients if isinstance(output.gradients, Mapping) else {}
    value, *body = _packed(output.value)
    header: dict[str, Any] = {"value": value, "gradients": []}
    for name, array in gradients.items():
        item, *more = _packed(array)
        header["gradients"].append([str(name), item])
        body += more
    return header, body


def _packed(given: Any) -> list[Any]:
    """An item for the header, and its bytes if it has any."""
    if given is None:
        return [None]
    if not isinstance(given, (np.ndarray, np.generic)):
        return [{"type": type(given).__name__}]
    array = np.asarray(given)
    name = array.dtype.name
    if not array.dtype.isnative or (name != "bfloat16" and name not in PLAIN):
        return [{"dtype": array.dtype.str}]  # the wrong one: its numbers do not matter
    return [{"dtype": name, "shape": array.shape}, array.tobytes()]


def pack_changes(before: Call, after: Call) -> tuple[list[Any], list[bytes]]:
    """The inputs that an adapter has written to: items for the header, and their bytes."""
    items, body = [], []
    for name, array in after.inputs.items():
        if array.tobytes() != before.inputs[name].tobytes():
            item, data = _packed(array)
            items.append([name, item])
            body.append(data)
    return items, body


def environment_data(environment: Environment) -> dict[str, Any]:
    """An environment as plain data."""
    return {
        "versions": {str(key): str(value) for key, value in environment.versions.items()},
        **{key: [str(item) for item in getattr(environment, key)] for key in ("devices", "dtypes", "modes")},
        "compiles": [str(item) for item in environment.compiles],
        "flushes_subnormals": _flushes(environment.flushes_subnormals),
        "cotangents": bool(environment.cotangents),
        "details": {str(key): str(value) for key, value in environment.details.items()},
        "dialect": str(environment.dialect),
        "same": [str(item) for item in environment.same],
        "costly": [str(item) for item in environment.costly],
    }


def _flushes(given: bool | tuple[str, ...]) -> bool | list[str]:
    return [str(dtype) for dtype in given] if isinstance(given, tuple) else bool(given)


def binding_data(binding: Binding | None) -> dict[str, Any] | None:
    """A binding as plain data."""
    if binding is None:
        return None
    differences = [[item.sentence, item.source, item.when, list(item.checks)] for item in binding.differences]
    gradients = None if binding.gradients is None else list(binding.gradients)
    return {"function": binding.function, "differences": differences, "gradients": gradients}


def said(error: BaseException) -> list[str]:
    """The name of an exception's class, and its text."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be had"
    return [type(error).__name__, text[:MOST_TEXT]]
