"""Single sweets in a photo, as outlines: by colour difference and watershed, by threshold, or as circles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.mosaic.parting import Piece, explained, part
from sketch_cell.mosaic.sheet import (
    Sheet,
    difference_to_sheet,
    find_sheet,
    lab_image,
    marker_corners,
    marker_edge_px,
)
from sketch_cell.mosaic.sweets_settings import SweetsSettings

WORKING_PX = 1000  # longest edge at which sweets are sought; chips are cut from the photo itself
LEAST_LEVEL, MOST_LEVEL = 11.0, 26.0  # CIELAB difference between sheet and sweet
LEAST_RADIUS_PX = 5.0  # at working size
LARGEST_GLEAM = 0.6  # of the squared radius
DARK_SHEET = 55.0  # lightness L*
LEAST_HALVED_PX = 10.0
RADII = (1.0, 1.6, 2.6)  # tried, over what the mask shows
STROKE, LINE = 0.12, 0.25  # of the radius: strokes that are closed, lines that are taken out
LEAST_SHINE = -1.5  # of lightness L*, over the sheet's

Mask = NDArray[np.uint8]
Hole = tuple[NDArray[np.int64], NDArray[np.int64]]  # rows and columns of its pixels


@dataclass(frozen=True)
class Sweet:
    """One sweet: its outline (n, 2) in the photo's pixels, x right and y down."""

    outline_px: NDArray[np.float32]


@dataclass(frozen=True)
class Segmentation:
    """The sweets of one photo, the sheet they lie on, and pixels per metre where a marker gave the scale."""

    sweets: tuple[Sweet, ...]
    sheet: Sheet
    pixels_per_m: float | None


def find_sweets(photo: NDArray[np.uint8], settings: SweetsSettings) -> Segmentation:
    """Find every whole sweet in a photo, uint8 (H, W, 3).

    Sweets cut by the photo's edge are left out. Raises `InputError` where there is no sweet.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or min(photo.shape[:2]) < 16:
        raise InputError("a photo of sweets must be in colour, 8 bits, and at least 16 x 16 pixels.")
    scale = min(1.0, WORKING_PX / max(photo.shape[:2]))
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else photo
    small = np.asarray(small, np.uint8)
    corners = marker_corners(small)
    pixels_per_m = None if corners is None else marker_edge_px(corners) / settings.marker_m
    lab = lab_image(cv2.GaussianBlur(small, (0, 0), 1.0))
    sheet = find_sheet(lab)
    if settings.method == "threshold":
        mask = threshold_mask(small, settings.threshold, settings.level)
    else:
        mask = lab_mask(lab, sheet)
    if corners is not None:
        cv2.fillConvexPoly(mask, np.round(_grown(corners, 1.35)).astype(np.int32), 0)
    if settings.method == "hough":
        radius = settings.radius_px * scale
        if not radius and pixels_per_m:
            radius = 0.5 * settings.diameter_m * pixels_per_m
        outlines = _circles(small, mask, radius or _typical_radius(mask))
    else:
        outlines = _lab_outlines(mask, lab, sheet) if settings.method == "lab" else _outlines(mask)
    if not outlines:
        raise InputError(
            "no sweets are in the photo: lay them on a plain sheet of another colour, away from the edge."
        )
    sweets = tuple(Sweet(((outline + 0.5) / scale - 0.5).astype(np.float32)) for outline in outlines)
    return Segmentation(sweets, sheet, None if pixels_per_m is None else pixels_per_m / scale)


def _lab_outlines(mask: Mask, lab: NDArray[np.float32], sheet: Sheet) -> list[NDArray[np.float32]]:
    """Outlines (n, 2) [pixels] of the sweets in a mask, of the size that explains most of it."""
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return []
    # Half the size is a quarter of the work, and enough for sweets that are not tiny.
    step = 2 if _typical_radius(mask) >= LEAST_HALVED_PX else 1
    window = np.s_[max(0, top - 4) : top + height + 4 : step, max(0, left - 4) : left + width + 4 : step]
    bare = sheet.lab(lab.shape[1], lab.shape[0])[window]
    brightness = lab[window][..., 0] - bare[..., 0]
    # On a dark sheet a gleam never has the sheet's colour.
    brightness[bare[..., 0] < DARK_SHEET] = -np.inf
    pieces = _likeliest(np.ascontiguousarray(mask[window]), np.ascontiguousarray(lab[window]), brightness)
    corner = np.array([max(0, left - 4), max(0, top - 4)], np.float32)
    outlines = [(step * piece.outline() + corner).astype(np.float32) for piece in pieces]
    return [outline for outline in outlines if _within(outline, mask.shape)]


def _likeliest(mask: Mask, lab: NDArray[np.float32], brightness: NDArray[np.float32]) -> list[Piece]:
    """The pieces of a mask for the radius, of a few, that explains most of it.

    Letters and gleams make sweets look smaller than they are, so larger ones are tried than the mask shows.
    """
    area = max(1, int(np.count_nonzero(mask)))

    def tried(radius: float) -> tuple[float, float, list[Piece]]:
        pieces = part(_filled(mask, brightness, radius), lab, radius)
        return explained(pieces, np.pi * radius**2) / area, radius, pieces

    first = _typical_radius(mask)
    best = max((tried(first * factor) for factor in RADII), key=lambda result: result[0])
    if best[2]:
        measured = float(np.median([np.sqrt(piece.area / np.pi) for piece in best[2]]))
        best = max((best, tried(measured)), key=lambda result: result[0])
    return best[2]


def _filled(mask: Mask, brightness: NDArray[np.float32], radius: float) -> Mask:
    """The mask without what is thinner than a sweet, letters closed and holes that outshine the sheet filled.

    `brightness` (H, W) is lightness over the sheet's: gaps between sweets lie in shadow, gleams do not. Only what
    is thicker than pen strokes and ruled lines can have a gleam.
    """
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disc(2 * int(STROKE * radius) + 1))
    thick = np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, _disc(2 * int(LINE * radius) + 1)), np.uint8)
    return _holes_filled(
        thick, LARGEST_GLEAM * radius**2, lambda hole: float(np.median(brightness[hole])) > LEAST_SHINE
    )


def threshold_mask(photo: NDArray[np.uint8], kind: str, level: int) -> Mask:
    """The notebook's way: grey, blur, threshold, erosion, dilation; sweets are darker than the sheet."""
    grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (0, 0), 2.0)
    if kind == "fixed":
        _, mask = cv2.threshold(grey, level, 255, cv2.THRESH_BINARY_INV)
    elif kind == "otsu":
        _, mask = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    else:
        window = max(3, min(photo.shape[:2]) // 4 * 2 + 1)
        mask = cv2.adaptiveThreshold(
            grey, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY_INV, window, 12
        )
    kernel = _disc(5)
    return np.asarray(cv2.dilate(cv2.erode(mask, kernel), kernel), np.uint8)


def lab_mask(lab: NDArray[np.float32], sheet: Sheet) -> Mask:
    """What stands out from the sheet by its colour (H, W), gleams filled, what reaches the photo's edge left out."""
    bare = sheet.lab(lab.shape[1], lab.shape[0])
    difference = difference_to_sheet(lab, bare)
    scaled = np.clip(difference * 3.0, 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = (difference > np.clip(0.8 * level / 3.0, LEAST_LEVEL, MOST_LEVEL)).astype(np.uint8) * 255
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _disc(3))
    return _without_edge(np.asarray(mask, np.uint8))


def _without_edge(mask: Mask) -> Mask:
    """The mask without the parts that reach the photo's edge: the table, or sweets cut off."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=255)
    cv2.floodFill(framed, None, (0, 0), 0)
    return np.asarray(framed[1:-1, 1:-1].copy(), np.uint8)


def _holes_filled(mask: Mask, largest: float, fill: Callable[[Hole], bool]) -> Mask:
    """The mask, each hole up to the largest area filled for which `fill` of its pixels holds."""
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    filled = mask.copy()
    for index, contour in enumerate(contours):
        if hierarchy[0][index][3] < 0 or cv2.contourArea(contour) > largest:
            continue
        left, top, width, height = cv2.boundingRect(contour)
        part = np.zeros((height, width), np.uint8)
        cv2.drawContours(part, [contour - np.array([left, top])], 0, 255, -1)
        y, x = np.nonzero(part)
        hole = (y + top, x + left)
        if fill(hole):
            filled[hole] = 255
    return filled


def _distance(mask: Mask) -> NDArray[np.float32]:
    """Distance (H, W) [pixels] of each pixel in a mask to the nearest outside it."""
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 5), np.float32)


def _typical_radius(mask: Mask) -> float:
    """Radius [pixels] of the sweets in a mask: median of the largest inscribed discs, weighted by area."""
    # Half the size is a quarter of the work, and near enough for a typical value.
    half = np.ascontiguousarray(mask[::2, ::2])
    radii = 2.0 * _peaks(_distance(half), 0.5 * LEAST_RADIUS_PX)[1]
    if not len(radii):
        return LEAST_RADIUS_PX
    radii = np.sort(radii)
    weight = np.cumsum(radii**2)
    return float(radii[np.searchsorted(weight, 0.5 * weight[-1])])


def _peaks(distance: NDArray[np.float32], least: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Local maxima (n, 2) x, y and heights (n,) of a distance transform, at least `least` high."""
    smooth = cv2.GaussianBlur(distance, (0, 0), 1.5)
    highest = cv2.dilate(smooth, _disc(9))
    y, x = np.nonzero((smooth >= highest - 1e-6) & (distance >= least))
    heights = smooth[y, x]
    order = np.argsort(-heights, kind="stable")
    return np.stack([x, y], axis=1)[order], heights[order]


def _outlines(mask: Mask) -> list[NDArray[np.float32]]:
    """Outlines (n, 2) [pixels] of the separate sweets in a mask."""
    radius = _typical_radius(mask)
    thick = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _disc(2 * int(LINE * radius) + 1))
    contours, _ = cv2.findContours(thick, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = [outline for contour in contours if (outline := _outline(contour, radius)) is not None]
    return [outline for outline in found if _within(outline, mask.shape)]


def _outline(contour: NDArray[np.int32], radius: float) -> NDArray[np.float32] | None:
    """Convex outline (n, 2) of a contour, or None where it is no whole sweet."""
    area, hull = cv2.contourArea(contour), cv2.convexHull(contour)
    if area < 0.25 * np.pi * radius**2 or area > 6.0 * np.pi * radius**2:
        return None
    if area < 0.8 * cv2.contourArea(hull):
        return None
    # Sweets are convex: the hull mends the notch that a gleam at the rim leaves.
    return np.asarray(hull[:, 0], np.float32)


def _within(outline: NDArray[np.float32], shape: tuple[int, ...]) -> bool:
    """Whether an outline (n, 2) keeps a pixel away from the edges of a picture (rows, cols)."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    return bool(low.min() >= 1 and high[0] <= shape[1] - 2 and high[1] <= shape[0] - 2)


def _circles(photo: NDArray[np.uint8], mask: Mask, radius: float) -> list[NDArray[np.float32]]:
    """Outlines of circles of one radius [pixels]: Hough's transform where the mask has something."""
    grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (0, 0), max(0.8, 0.05 * radius))
    found = cv2.HoughCircles(
        grey,
        cv2.HOUGH_GRADIENT,
        dp=1.0,
        minDist=1.7 * radius,
        param1=60,
        param2=max(8.0, 0.45 * radius),
        minRadius=max(2, round(0.88 * radius)),
        maxRadius=round(1.12 * radius) + 1,
    )
    circles = np.zeros((0, 3)) if found is None else found[0]
    angle = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    # Evenly spread over a disc: circles of equal area between radii.
    inside = np.concatenate([ring * share for share in 0.8 * np.sqrt((np.arange(8) + 0.5) / 8)])
    outlines = []
    for x, y, size in circles:
        outline = (np.array([x, y]) + size * ring).astype(np.float32)
        if not _within(outline, mask.shape):
            continue
        sampled = np.round(np.array([x, y]) + size * inside).astype(int)
        if (mask[sampled[:, 1], sampled[:, 0]] > 0).mean() > 0.8:
            outlines.append(outline)
    return outlines


def _grown(corners: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    middle = corners.mean(axis=0)
    result: NDArray[np.float32] = middle + factor * (corners - middle)
    return result


def _disc(size: int) -> Mask:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
