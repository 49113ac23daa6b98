"""What a board looks like: the photo cut to it, the mosaic drawn from its chips, both seen from afar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from sketch_cell.errors import InputError
from sketch_cell.mosaic.colour import linear_from_srgb
from sketch_cell.mosaic.layout import Layout
from sketch_cell.mosaic.library import Colour

Image = NDArray[np.float32]


def board_photo(photo: NDArray[Any], layout: Layout, pixels_per_pitch: int) -> Image:
    """The photo in linear light (rows, cols, 3), cropped about its middle and scaled to the board.

    `photo` is uint8 or uint16, (H, W, 3) or (H, W). Raises `InputError` for anything else.
    """
    if photo.dtype not in (np.uint8, np.uint16) or photo.ndim not in (2, 3) or photo.size == 0:
        raise InputError(
            f"a photo must be uint8 or uint16 of shape (H, W) or (H, W, 3), not {photo.dtype} {photo.shape}."
        )
    colour = np.repeat(photo[..., None], 3, axis=2) if photo.ndim == 2 else photo[..., :3]
    height, width = colour.shape[:2]
    wide = layout.width / layout.height
    keep_w, keep_h = min(width, max(1, round(height * wide))), min(height, max(1, round(width / wide)))
    left, top = (width - keep_w) // 2, (height - keep_h) // 2
    kept = colour[top : top + keep_h, left : left + keep_w]
    linear = linear_from_srgb(kept if kept.dtype == np.uint8 else kept / np.float32(65535.0))
    size = picture_size(layout, pixels_per_pitch)
    shrinking = size[0] < keep_w
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(linear, size, interpolation=interpolation), np.float32)


def picture_size(layout: Layout, pixels_per_pitch: int) -> tuple[int, int]:
    """Width and height [pixels] of a picture of the board."""
    return (
        max(1, round(layout.width * pixels_per_pitch)),
        max(1, round(layout.height * pixels_per_pitch)),
    )


def from_afar(picture: Image, sigma_px: float) -> Image:
    """A picture in linear light blurred by a Gaussian; beyond the board's edge there is nothing to see."""
    seen = cv2.GaussianBlur(picture, (0, 0), sigma_px, borderType=cv2.BORDER_CONSTANT)
    ones = np.ones(picture.shape[:2], np.float32)
    weight = cv2.GaussianBlur(ones, (0, 0), sigma_px, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(seen / (weight if picture.ndim == 2 else weight[..., None]), np.float32)


def at_cells(picture: Image, layout: Layout, pixels_per_pitch: int) -> Image:
    """Values (rows, cols, 3) of a picture of the board at the centre of every cell."""
    x, y = np.moveaxis(layout.centres() * pixels_per_pitch - 0.5, -1, 0)
    # Not OpenCV's remap: it takes no picture longer than 32,766 pixels, and long friezes are.
    planes = [
        map_coordinates(plane, (y, x), order=1, mode="nearest") for plane in np.moveaxis(picture, -1, 0)
    ]
    return np.stack(planes, axis=-1)


def draw_mosaic(
    layout: Layout,
    colour_of_cell: NDArray[np.integer[Any]],
    chip_of_cell: NDArray[np.integer[Any]],
    turns_of_cell: NDArray[np.integer[Any]],
    colours: Sequence[Colour],
    card: NDArray[np.float64],
    pixels_per_pitch: int,
) -> Image:
    """The finished board in linear light (rows, cols, 3), every sweet a chip laid on `card` (3,).

    Per cell (rows, cols): the colour, which of its chips, and how many quarter turns anticlockwise.
    """
    width, height = picture_size(layout, pixels_per_pitch)
    board = np.empty((height, width, 3), np.float32)
    board[:] = card
    corner = np.round(layout.centres() * pixels_per_pitch - 0.5 * pixels_per_pitch).astype(int)
    if layout.kind == "side":
        step = layout.row_step * pixels_per_pitch
        corner[..., 1] = np.round(layout.centres()[..., 1] * pixels_per_pitch - 0.5 * step)
    for index, colour in enumerate(colours):
        chips = colour.chips(layout.kind)
        for number, chip in enumerate(chips):
            for turns in range(4):
                cells = (colour_of_cell == index) & (chip_of_cell == number) & (turns_of_cell == turns)
                if cells.any():
                    _stamp(board, corner[cells], _scaled(chip, turns, layout, pixels_per_pitch))
    return board


def _scaled(chip: NDArray[np.uint8], turns: int, layout: Layout, pixels_per_pitch: int) -> Image:
    """A chip premultiplied by its alpha (h, w, 4), linear light, turned and scaled to the board."""
    alpha = chip[..., 3:].astype(np.float32) / 255.0
    light = np.dstack([linear_from_srgb(chip[..., :3]) * alpha, alpha])
    if layout.kind == "side":
        size = (pixels_per_pitch, max(1, round(layout.row_step * pixels_per_pitch)))
    else:
        size = (pixels_per_pitch, pixels_per_pitch)
    turned = np.ascontiguousarray(np.rot90(light, turns))
    return np.asarray(cv2.resize(turned, size, interpolation=cv2.INTER_AREA), np.float32)


def _stamp(board: Image, corners: NDArray[np.integer[Any]], chip: Image) -> None:
    """Lay one chip at many corners (n, 2) of the board at once, in place; what overhangs is cut off."""
    rows = corners[:, 1, None, None] + np.arange(chip.shape[0])[:, None]
    cols = corners[:, 0, None, None] + np.arange(chip.shape[1])
    rows, cols = np.minimum(rows, board.shape[0] - 1), np.minimum(cols, board.shape[1] - 1)
    under = board[rows, cols]
    board[rows, cols] = under * (1.0 - chip[..., 3:]) + chip[..., :3]
