"""The discrete cosine transform of a JPEG's blocks, and what quantisation allows a repair to change in it."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.quality import BLOCK_PX, LUMA

Floats = NDArray[np.float32]

# An eighth of a block: photos are the better for fewer exceptions, text for more.
MOST_CLIPPED = 8


@cache
def cosines() -> Floats:
    """The orthonormal 8-point DCT-II, one basis function per row."""
    row = np.arange(BLOCK_PX)[:, None]
    matrix = np.cos(np.pi * row * (2 * np.arange(BLOCK_PX) + 1) / (2 * BLOCK_PX)) / 2
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


@cache
def block_cosines() -> Floats:
    """The transform (64, 64) of a block, row by row, to its coefficients, row by row."""
    return np.kron(cosines(), cosines())


@cache
def chroma_planes() -> tuple[Floats, Floats]:
    """From red, green and blue to luma and JPEG's two chroma planes (ITU-T T.871) and back: two matrices (3, 3)."""
    luma = np.array(LUMA)
    forth = np.stack([luma, ([0, 0, 1] - luma) / 1.772, ([1, 0, 0] - luma) / 1.402])
    return np.asarray(forth, np.float32), np.asarray(np.linalg.inv(forth), np.float32)


def held(change: Floats, jpeg: NDArray[np.uint8], luma_table: NDArray[np.int64], gains: Floats) -> Floats:
    """`change` (H, W, 3) [levels of RGB], or (H, W) of grey, to a decoded `jpeg`, as far as the file allows it; both
    of whole blocks.

    Each coefficient of the change counts as much as the network is right about it: its gain in `gains` (3, 8, 8), of
    luma and both chroma planes. And a coefficient of luma can have lost no more than half a step
    of `luma_table` (8, 8) when it was rounded (Zakhor, "Iterative procedures for reduction of blocking effects in
    transform image coding", IEEE TCSVT 1992); a hyperbolic tangent keeps the change within. Blocks with more than
    `MOST_CLIPPED` pixels of a level of 0 or 255 are left as they are: what the decoder clipped there is not what the
    file says.
    """
    to_planes, to_rgb = chroma_planes()
    half_step = luma_table.ravel().astype(np.float32) / 2
    is_whole = ~_is_clipped(jpeg)[:, :, None]
    planes = cv2.transform(change, to_planes) if change.ndim == 3 else change[:, :, None]
    corrections = np.empty_like(planes)
    for n in range(planes.shape[2]):
        before = _blocks(planes[:, :, n]) @ block_cosines().T
        after = before * gains[n].ravel()
        if n == 0:
            after = half_step * np.tanh(after / half_step)
        correction = np.where(is_whole, after - before, np.float32(0)) @ block_cosines()
        corrections[:, :, n] = _plane(correction)
    return np.asarray(
        cv2.add(change, cv2.transform(corrections, to_rgb) if change.ndim == 3 else corrections[:, :, 0])
    )


def _is_clipped(jpeg: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether a block (rows, columns) has more than `MOST_CLIPPED` pixels of a level of 0 or 255."""
    # 0 - 1 is 255 in bytes.
    extreme = np.maximum.reduce(cv2.split(jpeg - np.uint8(1))) >= 254
    size = (jpeg.shape[1] // BLOCK_PX, jpeg.shape[0] // BLOCK_PX)
    shares = cv2.resize(extreme.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(shares > MOST_CLIPPED / BLOCK_PX**2)


def _blocks(plane: Floats) -> Floats:
    """(H, W) -> (rows, columns, 64).

    A product of 64 x 64 with a row of at most 64 blocks is small enough for OpenBLAS to take it on one thread. After a
    larger one its other threads would spin on for milliseconds, in the way of the network's.
    """
    rows, columns = (length // BLOCK_PX for length in plane.shape)
    split = plane.reshape(rows, BLOCK_PX, columns, BLOCK_PX).swapaxes(1, 2)
    return np.ascontiguousarray(split).reshape(rows, columns, -1)


def _plane(blocks: Floats) -> Floats:
    rows, columns = blocks.shape[:2]
    split = blocks.reshape(rows, columns, BLOCK_PX, BLOCK_PX).swapaxes(1, 2)
    return split.reshape(rows * BLOCK_PX, columns * BLOCK_PX)
