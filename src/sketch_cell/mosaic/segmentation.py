"""Single sweets in a photo, as outlines: by colour difference and watershed, by threshold, or as circles."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.mosaic.by_colour import outlines_by_colour, standing_out
from sketch_cell.mosaic.masks import Mask, disc, typical_radius, within, without_edge, without_marker
from sketch_cell.mosaic.sheet import Sheet, marker_corners, marker_edge_px
from sketch_cell.mosaic.sweets_settings import SweetsSettings

WORKING_PX = 1000  # longest edge at which sweets are sought; chips are cut from the photo itself
LEAST_PX = 16  # shortest edge at which sweets can be sought
LINE = 0.25  # of the radius: lines that are taken out of a threshold's mask


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
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise InputError("a photo of sweets must be in colour, 8 bits.")
    scale = min(1.0, WORKING_PX / max(photo.shape[:2]))
    if scale * min(photo.shape[:2]) < LEAST_PX:
        raise InputError(
            f"a photo of sweets must be at least {LEAST_PX} pixels wide and high, and not much longer than wide: "
            "crop it to the sheet."
        )
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else photo
    small = np.asarray(small, np.uint8)
    corners = marker_corners(small)
    pixels_per_m = None if corners is None else marker_edge_px(corners) / settings.marker_m
    if settings.method == "lab":
        outlines, sheet = outlines_by_colour(small, corners)
    else:
        mask, _, sheet = standing_out(small, corners)
        if settings.method == "threshold":
            dark = threshold_mask(small, settings.threshold, settings.level)
            outlines = _outlines(without_edge(without_marker(dark, corners)))
        else:
            radius = settings.radius_px * scale
            if not radius and pixels_per_m:
                radius = 0.5 * settings.diameter_m * pixels_per_m
            outlines = _circles(small, mask, radius or typical_radius(mask))
    if not outlines:
        raise InputError(
            "no sweets are in the photo: lay them on a plain sheet of another colour, away from the edge."
        )
    sweets = tuple(Sweet(((outline + 0.5) / scale - 0.5).astype(np.float32)) for outline in outlines)
    return Segmentation(sweets, sheet, None if pixels_per_m is None else pixels_per_m / scale)


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
    kernel = disc(5)
    return np.asarray(cv2.dilate(cv2.erode(mask, kernel), kernel), np.uint8)


def _outlines(mask: Mask) -> list[NDArray[np.float32]]:
    """Outlines (n, 2) [pixels] of the separate sweets in a mask."""
    radius = typical_radius(mask)
    thick = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(2 * int(LINE * radius) + 1))
    contours, _ = cv2.findContours(thick, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = [outline for contour in contours if (outline := _outline(contour, radius)) is not None]
    return [outline for outline in found if within(outline, mask.shape)]


def _outline(contour: NDArray[np.int32], radius: float) -> NDArray[np.float32] | None:
    """Convex outline (n, 2) of a contour, or None where it is no whole sweet."""
    area, hull = cv2.contourArea(contour), cv2.convexHull(contour)
    if area < 0.25 * np.pi * radius**2 or area > 6.0 * np.pi * radius**2:
        return None
    if area < 0.8 * cv2.contourArea(hull):
        return None
    # Sweets are convex: the hull mends the notch that a gleam at the rim leaves.
    return np.asarray(hull[:, 0], np.float32)


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
        if not within(outline, mask.shape):
            continue
        sampled = np.round(np.array([x, y]) + size * inside).astype(int)
        if (mask[sampled[:, 1], sampled[:, 0]] > 0).mean() > 0.8:
            outlines.append(outline)
    return outlines
