"""Sweets told from the sheet by their colour, and from each other by colour and shape: the `lab` method."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.masks import (
    Mask,
    disc,
    holes_filled,
    typical_radius,
    within,
    without_edge,
    without_marker,
)
from sketch_cell.mosaic.parting import Piece, explained, part
from sketch_cell.mosaic.sheet import Sheet, difference_to_sheet, find_sheet, lab_image

LEAST_LEVEL, MOST_LEVEL = 11.0, 26.0  # CIELAB difference between sheet and sweet
LARGEST_GLEAM = 0.6  # of the squared radius
DARK_SHEET = 55.0  # lightness L*
RADII = (1.0, 1.6, 2.6)  # tried, over what the mask shows
ENOUGH = 0.9  # share of the mask explained with which no further radius is tried
STROKE, LINE = 0.12, 0.25  # of the radius: strokes that are closed, lines that are taken out
LEAST_SHINE = -1.5  # of lightness L*, over the sheet's
LEAST_HALVED_PX = 10.0
MARGIN_PX = 4  # of bare sheet around what is looked at

Lab = NDArray[np.float32]
Outline = NDArray[np.float32]


def outlines_by_colour(photo: NDArray[np.uint8], marker: Outline | None) -> tuple[list[Outline], Sheet]:
    """Outlines (n, 2) [pixels] of the sweets in a photo (H, W, 3) beside a marker (4, 2) [pixels]; and the sheet."""
    mask, lab, sheet = standing_out(photo, marker)
    # Half the size is a quarter of the work, and enough for sweets that are not tiny.
    step = 2 if typical_radius(mask) >= LEAST_HALVED_PX else 1
    outlines = [step * piece.outline() for piece in _sweets(mask, lab, sheet, step)]
    return [outline for outline in outlines if within(outline, photo.shape)], sheet


def standing_out(photo: NDArray[np.uint8], marker: Outline | None) -> tuple[Mask, Lab, Sheet]:
    """What stands out from the sheet by its colour (H, W), the photo (H, W, 3) in CIELAB, and the sheet.

    The marker (4, 2) [pixels] and what reaches the photo's edge are left out.
    """
    lab = lab_image(np.asarray(cv2.GaussianBlur(photo, (0, 0), 1.0), np.uint8))
    sheet = find_sheet(lab)
    difference = difference_to_sheet(lab, sheet.lab(lab.shape[1], lab.shape[0]))
    coarse = np.minimum(3.0 * difference, 255.0).astype(np.uint8)
    level, _ = cv2.threshold(coarse, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    level = float(np.clip(0.8 * level / 3.0, LEAST_LEVEL, MOST_LEVEL))
    mask = cv2.compare(difference, level, cv2.CMP_GT)
    mask = without_edge(np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(3)), np.uint8))
    return without_marker(mask, marker), lab, sheet


def _sweets(mask: Mask, lab: Lab, sheet: Sheet, step: int) -> list[Piece]:
    """The sweets in every `step`th pixel of a mask (H, W): pieces for the radius, of a few, that explains most of it.

    Letters and gleams make sweets look smaller than they are, so larger ones are tried than the mask shows.
    """
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return []
    left, top = max(0, left - MARGIN_PX), max(0, top - MARGIN_PX)
    window = np.s_[top : top + height + 2 * MARGIN_PX : step, left : left + width + 2 * MARGIN_PX : step]
    bare = sheet.lab(lab.shape[1], lab.shape[0])[window]
    mask, lab = np.ascontiguousarray(mask[window]), np.ascontiguousarray(lab[window])
    brightness = lab[..., 0] - bare[..., 0]
    # On a dark sheet a gleam never has the sheet's colour.
    brightness[bare[..., 0] < DARK_SHEET] = -np.inf
    area = np.count_nonzero(mask)
    coded = np.clip(lab * [2.55, 1.0, 1.0] + [0.0, 128.0, 128.0], 0, 255).astype(np.uint8)

    def tried(radius: float) -> tuple[float, list[Piece]]:
        pieces = part(_filled(mask, brightness, radius), coded, radius)
        return explained(pieces, np.pi * radius**2) / area, pieces

    first = typical_radius(mask)
    best: tuple[float, list[Piece]] = (0.0, [])
    for factor in RADII:
        found = tried(factor * first)
        if found[1]:
            measured = float(np.median([np.sqrt(piece.area / np.pi) for piece in found[1]]))
            best = max(best, found, tried(measured), key=lambda result: result[0])
        if best[0] > ENOUGH:
            break
    return [piece.moved(left / step, top / step) for piece in best[1]]


def _filled(mask: Mask, brightness: NDArray[np.float32], radius: float) -> Mask:
    """The mask without what is thinner than a sweet, letters closed and holes that outshine the sheet filled.

    `brightness` (H, W) is lightness over the sheet's: gaps between sweets lie in shadow, gleams do not. Only what
    is thicker than pen strokes and ruled lines can have a gleam.
    """
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc(2 * int(STROKE * radius) + 1))
    thick = np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc(2 * int(LINE * radius) + 1)), np.uint8)
    return holes_filled(
        thick, LARGEST_GLEAM * radius**2, lambda hole: float(np.median(brightness[hole])) > LEAST_SHINE
    )
