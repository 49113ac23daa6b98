"""CDR, the bytes of ROS messages on the wire, read and written in place.

Only plain little-endian CDR (encapsulation 00 01), which every ROS 2 middleware uses by default.
Offsets count from the end of the 4-byte encapsulation header, and every primitive is aligned to its
own size (OMG DDS-RTPS 2.2, section 10).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ENCAPSULATION = b"\x00\x01\x00\x00"


class CdrWriter:
    """Grows one serialised message; each method appends one field."""

    def __init__(self) -> None:
        self._parts = bytearray(ENCAPSULATION)

    def align(self, size: int) -> None:
        """Pad so that the next field starts at a multiple of `size` bytes."""
        self._parts += bytes(-(len(self._parts) - 4) % size)

    def number(self, code: str, value: float) -> None:
        """Append one primitive; `code` is its `struct` letter."""
        self.align(struct.calcsize(code))
        self._parts += struct.pack("<" + code, value)

    def text(self, value: str) -> None:
        """Append a string."""
        encoded = value.encode() + b"\0"
        self.number("I", len(encoded))
        self._parts += encoded

    def header(self, stamp_ns: int, frame: str) -> None:
        """Append a std_msgs/Header."""
        self.number("i", stamp_ns // 1_000_000_000)
        self.number("I", stamp_ns % 1_000_000_000)
        self.text(frame)

    def numbers(self, dtype: str, values: ArrayLike) -> None:
        """Append many primitives of one little-endian numpy type, without their count."""
        packed = np.ascontiguousarray(values, dtype)
        if packed.size:
            self.align(packed.itemsize)
            self._parts += packed.reshape(-1).view(np.uint8).data

    def raw(self, data: bytes | memoryview) -> None:
        """Append bytes as they are."""
        self._parts += data

    def __len__(self) -> int:
        """Bytes so far, without the encapsulation header: where the next field would be."""
        return len(self._parts) - 4

    def finish(self) -> bytes:
        """The whole message."""
        return bytes(self._parts)


class CdrReader:
    """Walks one serialised message; raises `ValueError` where it is not plain little-endian CDR."""

    def __init__(self, data: bytes) -> None:
        if data[:2] != ENCAPSULATION[:2]:
            raise ValueError("not little-endian CDR")
        self.data = memoryview(data)
        self.offset = 4

    def align(self, size: int) -> None:
        """Skip the padding before a field of `size` bytes."""
        self.offset += -(self.offset - 4) % size

    def number(self, code: str) -> int:
        """Read one integer; `code` is its `struct` letter."""
        self.align(struct.calcsize(code))
        try:
            (value,) = struct.unpack_from("<" + code, self.data, self.offset)
        except struct.error as error:
            raise ValueError("the message ends too early") from error
        self.offset += struct.calcsize(code)
        return int(value)

    def numbers(self, dtype: str, count: int) -> NDArray[Any]:
        """Read `count` primitives of one little-endian numpy type, without a copy."""
        if count:
            self.align(np.dtype(dtype).itemsize)
        return np.frombuffer(self.raw(count * np.dtype(dtype).itemsize), dtype)

    def text(self) -> str:
        """Read a string."""
        return bytes(self.raw(self.number("I"))[:-1]).decode()

    def header(self) -> tuple[int, str]:
        """Read a std_msgs/Header: stamp [ns] and frame."""
        seconds = self.number("i")
        return seconds * 1_000_000_000 + self.number("I"), self.text()

    def raw(self, size: int) -> memoryview:
        """Read `size` bytes without a copy."""
        part = self.data[self.offset : self.offset + size]
        if len(part) != size:
            raise ValueError("the message ends too early")
        self.offset += size
        return part
