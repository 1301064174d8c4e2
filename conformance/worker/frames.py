"""Frames: how the judge and a worker talk, in bytes. No NumPy here: a worker without it has to be able to say so.

4 bytes  b"LCW1"
4 bytes  length of the header, little-endian
8 bytes  length of the body, little-endian
header   a JSON object, UTF-8 (with Python's NaN and Infinity)
body     the arrays' own bytes, one after another
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

PROTOCOL = 1
MAGIC = b"LCW1"
HEAD = struct.Struct("<4sIQ")
MOST_HEADER = 1 << 20

Frame = tuple[dict[str, Any], bytes]


class Nonsense(Exception):
    """What came is no frame, or not the message that was due."""


def pack(header: Mapping[str, Any], body: Iterable[bytes] = ()) -> bytes:
    """A frame. NumPy scalars in the header become Python's."""
    text, body = json.dumps(header, default=lambda item: item.item()).encode(), list(body)
    return b"".join([HEAD.pack(MAGIC, len(text), sum(map(len, body))), text, *body])


class Frames:
    """Takes bytes as they come, and gives whole frames; `most` is the longest body that is taken."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        """Takes in what came."""
        self._bytes += data

    def next(self) -> Frame | None:
        """The next frame; None until all of it is there.

        Raises:
            Nonsense: what is there cannot become one.
        """
        if len(self._bytes) < HEAD.size:
            return None
        magic, header, body = HEAD.unpack_from(self._bytes)
        if magic != MAGIC:
            raise Nonsense("it does not begin like a frame")
        if header > MOST_HEADER or body > self.most:
            raise Nonsense(f"it announces {header + body:,} bytes, more than any right answer has")
        middle, end = HEAD.size + header, HEAD.size + header + body
        if len(self._bytes) < end:
            return None
        found = _object(bytes(self._bytes[HEAD.size : middle])), bytes(self._bytes[middle:end])
        del self._bytes[:end]
        return found


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Nonsense("its header is not JSON") from None
    if not isinstance(found, dict):
        raise Nonsense("its header is not a JSON object")
    return found
