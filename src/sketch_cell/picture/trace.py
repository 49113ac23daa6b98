"""The quantisation table that a JPEG of former times still betrays in the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.dct import cosines
from sketch_cell.picture.jpeg import ZIGZAG, standard_luma_table, table_strength
from sketch_cell.picture.quality import BLOCK_PX, LUMA

Image = NDArray[np.uint8]

MOST_BLOCKS = 512
LEAST_COEFFICIENTS = 96
# Mean cosine that multiples of the right step exceed (1 without rounding) and chance does not (0 +- 0.07).
LEAST_AGREEMENT = 0.3
# On its own grid a JPEG's coefficients also agree by half (0.5 at most) with twice its steps.
LEAST_AGREEMENT_WITHIN = 0.6
# By how much, in powers of two of its steps, a JPEG before must be coarser to be told from the last one.
LEAST_STRONGER = 0.3
QUALITIES = np.arange(5, 96)
LOW = ZIGZAG[1:12]
# Corners are looked for with fewer blocks, coefficients and qualities: steps 4 to 8 % apart are near enough.
SHIFTED_BLOCKS = 128
LEAST_SHIFTED = 32
LEAST_AGREEMENT_SHIFTED = 0.2
SHIFTED = (np.array([0, 1, 1]), np.array([1, 0, 1]))
SCANNED_QUALITIES = np.r_[5:16, 16:30:2, 30:42:3, 42:96:4]


@dataclass(frozen=True, eq=False)
class Trace:
    """A JPEG's traces: its luma table (8, 8), and the row and column 0..7 of the first block corner."""

    luma_table: NDArray[np.int64]
    corner: tuple[int, int]


def traced_jpeg(image: Image, luma_table: NDArray[np.int64] | None = None) -> Trace | None:
    """The coarsest JPEG that `image` (H, W, 3) or (H, W) betrays to have been, or None.

    `luma_table` is the table of the JPEG that `image` was decoded from, whose grid starts at its first pixel;
    then only a coarser JPEG before it counts. Finds standard tables of qualities 5-95: coefficients of a decoded
    JPEG lie near multiples of their quantisation step (after Fan and de Queiroz 2003), and a milder JPEG
    afterwards blurs that little. None where they do not: the picture was never a JPEG, was resized since, or
    used another encoder's tables.
    """
    qualities, least = QUALITIES, LEAST_AGREEMENT
    if luma_table is not None:
        coarser = 2**LEAST_STRONGER * luma_table.flat[LOW].mean()
        qualities = np.array([q for q, steps in _steps().items() if steps.mean() > coarser], np.int64)
        least = LEAST_AGREEMENT_WITHIN
    traces = [_trace(image, (0, 0), qualities, least)]
    corner = _shifted_corner(image, qualities)
    if corner is not None:
        traces.append(_trace(image, corner, qualities, LEAST_AGREEMENT))
    found = [trace for trace in traces if trace is not None]
    return max(found, key=lambda trace: table_strength(trace.luma_table), default=None)


def _trace(image: Image, corner: tuple[int, int], qualities: NDArray[np.int64], least: float) -> Trace | None:
    coefficients = _low_coefficients(image[corner[0] :, corner[1] :])
    if coefficients is None or not len(qualities):
        return None
    agreements = [_agreement(coefficients, _steps()[q]) for q in qualities]
    best = int(np.argmax(agreements))
    return Trace(standard_luma_table(int(qualities[best])), corner) if agreements[best] >= least else None


def _shifted_corner(image: Image, qualities: NDArray[np.int64]) -> tuple[int, int] | None:
    """The block corner, other than (0, 0), whose lowest coefficients agree best with any of the `qualities`."""
    coefficients = _shifted_coefficients(image)
    best = np.zeros(len(coefficients), np.float32)
    for quality in qualities[np.isin(qualities, SCANNED_QUALITIES)]:
        ratio = coefficients / standard_luma_table(int(quality))[SHIFTED].astype(np.float32)
        counted = np.abs(ratio) > 0.5
        number = counted.sum(axis=(1, 2))
        agreement = np.where(counted, np.cos(2 * np.pi * ratio), 0).sum(axis=(1, 2)) / np.maximum(number, 1)
        best = np.maximum(best, np.where(number < LEAST_SHIFTED, 0, agreement))
    best[0] = 0
    place = int(best.argmax())
    return divmod(place, BLOCK_PX) if best[place] >= LEAST_AGREEMENT_SHIFTED else None


def _shifted_coefficients(image: Image) -> NDArray[np.float32]:
    """The coefficients `SHIFTED` of blocks at each corner: (64 corners, blocks, 3)."""
    luma = _blocks(image, 2 * BLOCK_PX - 1, SHIFTED_BLOCKS)
    # One product per axis gives the mean and the first cosine of each of the eight places in a window.
    places = np.zeros((BLOCK_PX, 2, 2 * BLOCK_PX - 1), np.float32)
    for place in range(BLOCK_PX):
        places[place, :, place : place + BLOCK_PX] = cosines()[:2]
    sums = np.einsum("ykr,nrc,xlc->yxnkl", places, luma, places, optimize=True)
    return np.ascontiguousarray(
        sums[..., SHIFTED[0], SHIFTED[1]].reshape(BLOCK_PX * BLOCK_PX, len(luma), len(SHIFTED[0]))
    )


def _agreement(coefficients: NDArray[np.float32], step: NDArray[np.float32]) -> float:
    """Mean cosine of the coefficients' phase within their step, over those that are not quantised to nothing."""
    ratio = coefficients / step
    ratio = ratio[np.abs(ratio) > 0.5]
    if ratio.size < LEAST_COEFFICIENTS:
        return 0.0
    return float(np.cos(2 * np.pi * ratio).mean())


def _low_coefficients(image: Image) -> NDArray[np.float32] | None:
    """The lowest AC coefficients (blocks, len(LOW)) of blocks spread evenly over the picture; None if too small."""
    luma = _blocks(image, BLOCK_PX, MOST_BLOCKS)
    if not len(luma):
        return None
    dct = cosines()
    return np.asarray((dct @ luma @ dct.T).reshape(len(luma), 64)[:, LOW], np.float32)


def _blocks(image: Image, size: int, most: int) -> NDArray[np.float32]:
    """Luma (n, size, size) of at most `most` squares that begin on the grid, spread evenly over the picture."""
    rows, columns = ((length - size) // BLOCK_PX + 1 for length in image.shape[:2])
    if rows <= 0 or columns <= 0:
        return np.zeros((0, size, size), np.float32)
    places = np.unique(np.linspace(0, rows * columns - 1, most).astype(int))
    tops, lefts = (places // columns) * BLOCK_PX, (places % columns) * BLOCK_PX
    span = np.arange(size)
    squares = image[tops[:, None, None] + span[:, None], lefts[:, None, None] + span].astype(np.float32)
    if image.ndim == 3:
        squares = squares @ np.array(LUMA, np.float32)
    return np.asarray(squares, np.float32)


@cache
def _steps() -> dict[int, NDArray[np.float32]]:
    return {int(q): standard_luma_table(int(q)).flat[LOW].astype(np.float32) for q in QUALITIES}
