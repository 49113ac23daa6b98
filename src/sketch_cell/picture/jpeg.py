"""What a JPEG file says about itself in its header, read from the bytes alone (ITU-T T.81, Annex B)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError

# ITU-T T.81 Annex K, table K.1, in natural (row by row) order.
STANDARD_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.int64,
)


def _diagonal_then_way(place: int) -> tuple[int, int]:
    row, column = divmod(place, 8)
    return row + column, row if (row + column) % 2 else column


# Natural position of the n-th coefficient in a JPEG's zigzag order.
ZIGZAG = np.array(sorted(range(64), key=_diagonal_then_way), dtype=np.int64)

# How far a photo's coefficient of the first frequency strays from zero. With 60, tables flatter or steeper than the
# standard's get nearly the strength at which the networks repair them best.
USUAL_LEVELS = 60.0

START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN, QUANTISATION = 0xD8, 0xD9, 0xDA, 0xDB
# SOF markers; the gaps are DHT, JPG and DAC.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE_FRAMES = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
SEQUENTIAL_HUFFMAN_FRAMES = frozenset({0xC0, 0xC1})
# Those without prediction from pixel to pixel or from one frame to the next.
COSINE_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
MOST_SCANS = 200  # encoders write a dozen; a decoder takes as long for an empty one as for a full
# Inside coded data 0xFF is followed by 0 (a stuffed byte), a restart marker, or another 0xFF (a fill byte).
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, eq=False)
class JpegFacts:
    """The header of one JPEG: size, coding and quantisation.

    `luma_table` and `chroma_table` are (8, 8) in natural order; a grey file has no chroma table.
    `sampling` holds (horizontal, vertical) factors per component; `is_lossless` also stands for the hierarchical
    frames, which are as rare; `is_complete` says whether the file
    reaches its end-of-image marker with enough coded data for its size.
    """

    width: int
    height: int
    bits: int
    sampling: tuple[tuple[int, int], ...]
    luma_table: NDArray[np.int64]
    chroma_table: NDArray[np.int64] | None
    is_progressive: bool
    is_arithmetic: bool
    is_lossless: bool
    is_complete: bool

    @property
    def components(self) -> int:
        return len(self.sampling)

    @property
    def subsampling(self) -> str:
        """`grey`, `4:4:4`, `4:2:2`, `4:2:0`, or the luma factors such as `1x2` for a rarer one."""
        if self.components == 1:
            return "grey"
        names = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}
        factors = self.sampling[0]
        return names.get(factors, f"{factors[0]}x{factors[1]}")

    @property
    def quality(self) -> int:
        """The quality 1..100 whose standard luma table is nearest to the file's."""
        return nearest_quality(self.luma_table)

    @property
    def strength(self) -> float:
        """`table_strength` of the luma table."""
        return table_strength(self.luma_table)


class _Component(NamedTuple):
    sampling: tuple[int, int]
    table: int


class _Frame(NamedTuple):
    marker: int
    bits: int
    height: int
    width: int
    components: list[_Component]


def is_jpeg(data: bytes) -> bool:
    """Whether the bytes begin as a JPEG file does."""
    return data[:3] == b"\xff\xd8\xff"


def jpeg_facts(data: bytes) -> JpegFacts:
    """Read the header of a JPEG file; raises `InputError` where it is not one or its header is broken."""
    if not is_jpeg(data):
        raise InputError(
            "The file is not a JPEG: it does not begin with the JPEG marker. Choose a JPEG file."
        )
    tables: dict[int, NDArray[np.int64]] = {}
    frame: _Frame | None = None
    place, is_ended, coded_bytes, scans = 2, False, 0, 0
    while (found := _marker_at(data, place)) is not None:
        marker, place = found
        if marker == END_OF_IMAGE:
            is_ended = True
            break
        content = _segment(data, place)
        place += 2 + len(content)
        if marker == QUANTISATION:
            tables.update(_quantisation_tables(content))
        elif marker in FRAMES and frame is None:
            frame = _frame(marker, content)
        elif marker == START_OF_SCAN:
            scans += 1
            if scans > MOST_SCANS:
                raise _broken(
                    f"it has more than {MOST_SCANS} scans, each of which costs as much as a picture"
                )
            match = _NEXT_MARKER.search(data, place)
            end = match.start() if match else len(data)
            coded_bytes += end - place
            place = end
    return _facts(frame, tables, is_ended, coded_bytes)


def _broken(what: str) -> InputError:
    return InputError(f"The JPEG cannot be used: {what}. Get the file again from its source.")


def _marker_at(data: bytes, place: int) -> tuple[int, int] | None:
    """The marker at `place` and the position behind it; None where the file ends or holds none there."""
    while place + 1 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker == 0x01 or 0xD0 <= marker <= START_OF_IMAGE:
            place += 2
        else:
            return marker, place + 2
    return None


def _segment(data: bytes, place: int) -> bytes:
    length = int.from_bytes(data[place : place + 2], "big")
    content = data[place + 2 : place + length]
    if length < 2 or len(content) != length - 2:
        raise _broken("it is truncated inside its header")
    return content


def _quantisation_tables(content: bytes) -> dict[int, NDArray[np.int64]]:
    tables = {}
    while content:
        precision, number = content[0] >> 4, content[0] & 15
        size = 128 if precision else 64
        part = content[1 : 1 + size]
        if len(part) != size:
            raise _broken("a quantisation table in its header is cut short")
        values = np.frombuffer(part, ">u2" if precision else np.uint8).astype(np.int64)
        if values.min() == 0:
            raise _broken("a quantisation table in its header holds a zero")
        table = np.zeros(64, np.int64)
        table[ZIGZAG] = values
        tables[number] = table.reshape(8, 8)
        content = content[1 + size :]
    return tables


def _frame(marker: int, content: bytes) -> _Frame:
    if len(content) < 6 or len(content) < 6 + 3 * content[5]:
        raise _broken("its frame header is damaged")
    height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    parts = [content[6 + 3 * n : 9 + 3 * n] for n in range(content[5])]
    components = [_Component((part[1] >> 4, part[1] & 15), part[2]) for part in parts]
    if not height or not width or not components:
        raise _broken("its header gives no size")
    if any(not 1 <= factor <= 4 for component in components for factor in component.sampling):
        raise _broken("its header gives impossible sampling factors")
    return _Frame(marker, content[0], height, width, components)


def _facts(
    frame: _Frame | None, tables: dict[int, NDArray[np.int64]], is_ended: bool, coded_bytes: int
) -> JpegFacts:
    if frame is None:
        raise _broken("it is truncated before its frame header")
    used = [tables.get(component.table) for component in frame.components]
    if used[0] is None:
        raise _broken("its luma quantisation table is missing")
    return JpegFacts(
        width=frame.width,
        height=frame.height,
        bits=frame.bits,
        sampling=tuple(component.sampling for component in frame.components),
        luma_table=used[0],
        chroma_table=used[1] if len(used) > 1 else None,
        is_progressive=frame.marker in PROGRESSIVE_FRAMES,
        is_arithmetic=frame.marker >= 0xC9,
        is_lossless=frame.marker not in COSINE_FRAMES,
        is_complete=is_ended and coded_bytes >= _least_bytes(frame),
    )


def _least_bytes(frame: _Frame) -> int:
    """Bytes without which a sequential Huffman scan cannot hold its blocks: two codes of one bit each."""
    if frame.marker not in SEQUENTIAL_HUFFMAN_FRAMES:
        return 1
    return -(-frame.height // 8) * -(-frame.width // 8) // 4


def standard_luma_table(quality: int) -> NDArray[np.int64]:
    """Luma quantisation table (8, 8) that the Independent JPEG Group's encoder uses at `quality` 1-100."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((STANDARD_LUMA * percent + 50) // 100, 1, 255)


def nearest_quality(table: NDArray[np.int64]) -> int:
    """The quality 1..100 whose standard luma table costs a photo as much as `table` (8, 8)."""
    return 1 + int(np.argmin(np.abs(_standard_losses() - usual_loss(table))))


def usual_loss(table: NDArray[np.int64]) -> float:
    """What rounding to a luma table (8, 8) costs a usual photo: log2 of its mean squared error [levels^2].

    A photo's power falls with the square of frequency (Field, "Relations between the statistics of natural images and
    the response properties of cortical cells", JOSA A 4(12), 1987). A coefficient loses a twelfth of the step's square,
    or all that it has, where that is less.
    """
    rows, columns = np.indices(table.shape)
    power = USUAL_LEVELS**2 / np.maximum(rows**2 + columns**2, 0.5)
    rounding = table.astype(np.float64) ** 2 / 12
    return float(np.log2(np.mean(power * rounding / (power + rounding))))


@cache
def _standard_losses() -> NDArray[np.float64]:
    return np.array([usual_loss(standard_luma_table(q)) for q in range(1, 101)])


@cache
def _standard_strengths() -> NDArray[np.float64]:
    return np.array([strength_of_quality(q) for q in range(1, 101)])


def table_strength(table: NDArray[np.int64]) -> float:
    """How coarse a luma table (8, 8) is: `strength_of_quality` of the standard table that costs a photo as much."""
    return float(np.interp(-usual_loss(table), -_standard_losses(), _standard_strengths()))


def strength_of_quality(quality: int) -> float:
    """How coarse the standard table at `quality` 1-100 is: log2 of its ratio to that of quality 50.

    Only the ten lowest frequencies count: the others reach the format's ceiling of 255 at low quality.
    """
    low = ZIGZAG[:10]
    return float(np.log2(standard_luma_table(quality).flat[low].mean() / STANDARD_LUMA.flat[low].mean()))
