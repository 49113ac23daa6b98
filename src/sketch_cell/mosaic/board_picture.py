"""`board.png`: every chip of a library by colour, with counts."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.library import Colour

TILE_PX = 48
TILES_ACROSS = 20
MOST_CHIPS = 200  # shown of one colour
HEADING_PX = 30
PAPER = 255


def board_picture(colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """Picture (rows, cols, 3), sRGB, of every chip on white, a heading with name and count over each colour."""
    return np.vstack([_section(colour) for colour in colours])


def _section(colour: Colour) -> NDArray[np.uint8]:
    chips = colour.top + colour.side
    shown = chips[:MOST_CHIPS]
    rows = -(-len(shown) // TILES_ACROSS)
    picture = np.full((HEADING_PX + rows * TILE_PX, TILES_ACROSS * TILE_PX, 3), PAPER, np.uint8)
    more = f", {MOST_CHIPS} shown" if len(chips) > MOST_CHIPS else ""
    text = f"{colour.name}: {len(colour.top)} from above, {len(colour.side)} from the side{more}"
    cv2.putText(picture, text, (6, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    for index, chip in enumerate(shown):
        top = HEADING_PX + index // TILES_ACROSS * TILE_PX
        left = index % TILES_ACROSS * TILE_PX
        _paste(picture[top : top + TILE_PX, left : left + TILE_PX], chip)
    return picture


def _paste(tile: NDArray[np.uint8], chip: NDArray[np.uint8]) -> None:
    """Lay one chip in the middle of a tile, in place."""
    scale = (TILE_PX - 4) / max(chip.shape[:2])
    small = cv2.resize(
        chip, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    top, left = (TILE_PX - small.shape[0]) // 2, (TILE_PX - small.shape[1]) // 2
    window = tile[top : top + small.shape[0], left : left + small.shape[1]]
    alpha = small[..., 3:].astype(np.float32) / 255.0
    window[:] = np.round(window * (1.0 - alpha) + small[..., :3] * alpha).astype(np.uint8)
