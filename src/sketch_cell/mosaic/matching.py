"""The simple methods, one cell at a time: nearest colour by CIEDE2000, and the original's best-matching chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.appearance import Image, board_photo
from sketch_cell.mosaic.colour import delta_e, lab_from_linear, linear_from_srgb, srgb_from_linear
from sketch_cell.mosaic.layout import Layout
from sketch_cell.mosaic.library import Colour

PATCH_PIXELS = 12  # a chip's width when patches and chips are compared
CHUNK = 20_000  # cells compared at once: bounds the memory, not the result


def nearest_colours(target: NDArray[np.floating[Any]], light: NDArray[np.float64]) -> NDArray[np.int32]:
    """Index (rows, cols) of the colour whose cell light (K, 3) is nearest to target (rows, cols, 3), both linear."""
    lab, palette = lab_from_linear(target.reshape(-1, 3).astype(np.float64)), lab_from_linear(light)
    result = np.empty(len(lab), np.int32)
    for start in range(0, len(lab), CHUNK):
        part = lab[start : start + CHUNK, None]
        result[start : start + CHUNK] = np.argmin(
            delta_e(part, np.broadcast_to(palette, (len(part), *palette.shape))), axis=1
        )
    return result.reshape(target.shape[:2])


def best_chips(
    photo: NDArray[Any], layout: Layout, colours: Sequence[Colour], card: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Colour, chip and quarter turns (rows, cols) of the chip most like each patch of the photo.

    The notebook's method: every chip in four turns (from the side: two), least squared difference of
    the pictures' sRGB values, card included. With |p - c|^2 = |p|^2 - 2 p.c + |c|^2 the comparison of all
    patches with all chips is one matrix product.
    """
    height = PATCH_PIXELS if layout.kind != "side" else max(1, round(PATCH_PIXELS * layout.row_step))
    bank, names = _bank(colours, layout, card, height)
    picture = srgb_from_linear(board_photo(photo, layout, PATCH_PIXELS))
    own = 0.5 * (bank**2).sum(axis=1)
    best = np.empty(layout.sweets, np.int64)
    centres = layout.centres().reshape(-1, 2) * PATCH_PIXELS
    for start in range(0, layout.sweets, CHUNK):
        patches = _patches(picture, centres[start : start + CHUNK], height)
        best[start : start + CHUNK] = np.argmin(own - patches @ bank.T, axis=1)
    chosen = names[best].reshape(layout.rows, layout.cols, 3)
    return chosen[..., 0], chosen[..., 1], chosen[..., 2]


def _bank(
    colours: Sequence[Colour], layout: Layout, card: NDArray[np.float64], height: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """All turned chips on the card (B, height * PATCH_PIXELS * 3), and their (B, 3) colour, chip, turns."""
    bank, names = [], []
    for index, colour in enumerate(colours):
        for number, chip in enumerate(colour.chips(layout.kind)):
            for turns in (0, 2) if layout.kind == "side" else (0, 1, 2, 3):
                turned = np.ascontiguousarray(np.rot90(chip, turns))
                bank.append(_on_card(turned, card, height).ravel())
                names.append((index, number, turns))
    return np.array(bank, np.float32) / 255.0, np.array(names, np.int32)


def _on_card(chip: NDArray[np.uint8], card: NDArray[np.float64], height: int) -> NDArray[np.uint8]:
    alpha = chip[..., 3:].astype(np.float32) / 255.0
    light = linear_from_srgb(chip[..., :3]) * alpha + (1.0 - alpha) * card.astype(np.float32)
    return srgb_from_linear(cv2.resize(light, (PATCH_PIXELS, height), interpolation=cv2.INTER_AREA))


def _patches(picture: NDArray[np.uint8], centres: NDArray[np.float64], height: int) -> Image:
    """Patches (n, height * PATCH_PIXELS * 3) of a picture about centres (n, 2) [pixels], 0..1."""
    top = np.round(centres[:, 1] - 0.5 * height).astype(int)
    left = np.round(centres[:, 0] - 0.5 * PATCH_PIXELS).astype(int)
    rows = np.clip(top[:, None] + np.arange(height), 0, picture.shape[0] - 1)
    cols = np.clip(left[:, None] + np.arange(PATCH_PIXELS), 0, picture.shape[1] - 1)
    patches = picture[rows[:, :, None], cols[:, None, :]].reshape(len(centres), -1)
    result: Image = patches.astype(np.float32) / np.float32(255.0)
    return result
