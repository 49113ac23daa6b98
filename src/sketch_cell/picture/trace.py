"""The quantisation table that a decoded JPEG still betrays in its pixels, for pictures without their file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.jpeg import ZIGZAG, standard_luma_table

Image = NDArray[np.uint8]

BLOCK = 8
MOST_BLOCKS = 1024
LEAST_COEFFICIENTS = 96
# Mean cosine that multiples of the right step exceed (1 without rounding) and chance does not (0 +- 0.07).
LEAST_AGREEMENT = 0.3
QUALITIES = np.arange(5, 96)
LOW = ZIGZAG[1:12]


@dataclass(frozen=True, eq=False)
class Trace:
    """A JPEG's traces: its luma table (8, 8), and the row and column 0..7 of the first block corner."""

    luma_table: NDArray[np.int64]
    corner: tuple[int, int]


def traced_jpeg(image: Image) -> Trace | None:
    """What `image` (H, W, 3) or (H, W) betrays of the JPEG that it was decoded from, or None.

    Finds standard tables of qualities 5-95: coefficients of a decoded JPEG lie near multiples of their
    quantisation step (after Fan and de Queiroz 2003). None where they do not: the picture was never a JPEG, was
    resized since, or used another encoder's tables.
    """
    for corner in dict.fromkeys(((0, 0), _blocky_corner(image))):
        table = _traced_table(image[corner[0] :, corner[1] :])
        if table is not None:
            return Trace(table, corner)
    return None


def _traced_table(image: Image) -> NDArray[np.int64] | None:
    coefficients = _low_coefficients(image)
    if coefficients is None:
        return None
    agreements = [_agreement(coefficients, step) for step in _steps()]
    best = int(np.argmax(agreements))
    return standard_luma_table(int(QUALITIES[best])) if agreements[best] >= LEAST_AGREEMENT else None


def _blocky_corner(image: Image) -> tuple[int, int]:
    """Row and column, modulo 8, at which steps between neighbours stand out most."""
    plane = image if image.ndim == 2 else image[:, :, 1]
    return _blocky_phase(plane[:, ::3].T), _blocky_phase(plane[::3])


def _blocky_phase(plane: Image) -> int:
    if plane.shape[1] < 4 * BLOCK:
        return 0
    steps = np.abs(np.diff(plane.astype(np.float32), axis=1)).mean(axis=0)
    excess = steps[1:-1] - (steps[:-2] + steps[2:]) / 2
    # excess[n] belongs to the step between columns n + 1 and n + 2.
    whole = excess[: len(excess) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=0)
    return int((np.argmax(whole) + 2) % BLOCK)


def _agreement(coefficients: NDArray[np.float32], step: NDArray[np.float32]) -> float:
    """Mean cosine of the coefficients' phase within their step, over those that are not quantised to nothing."""
    ratio = coefficients / step
    ratio = ratio[np.abs(ratio) > 0.5]
    if ratio.size < LEAST_COEFFICIENTS:
        return 0.0
    return float(np.cos(2 * np.pi * ratio).mean())


def _low_coefficients(image: Image) -> NDArray[np.float32] | None:
    """The lowest AC coefficients (blocks, len(LOW)) of blocks spread evenly over the picture; None if too small."""
    rows, columns = image.shape[0] // BLOCK, image.shape[1] // BLOCK
    if rows * columns == 0:
        return None
    places = np.unique(np.linspace(0, rows * columns - 1, MOST_BLOCKS).astype(int))
    tops, lefts = (places // columns) * BLOCK, (places % columns) * BLOCK
    span = np.arange(BLOCK)
    blocks = image[tops[:, None, None] + span[:, None], lefts[:, None, None] + span].astype(np.float32)
    if image.ndim == 3:
        blocks = blocks @ np.array([0.299, 0.587, 0.114], np.float32)
    dct = _cosines()
    return np.asarray((dct @ blocks @ dct.T).reshape(len(places), 64)[:, LOW], np.float32)


@cache
def _cosines() -> NDArray[np.float32]:
    """The orthonormal 8-point DCT-II, one basis function per row."""
    row = np.arange(BLOCK)[:, None]
    matrix = np.cos(np.pi * row * (2 * np.arange(BLOCK) + 1) / (2 * BLOCK)) / 2
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


@cache
def _steps() -> NDArray[np.float32]:
    return np.array([standard_luma_table(int(q)).flat[LOW] for q in QUALITIES], np.float32)
