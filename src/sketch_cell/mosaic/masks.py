"""Masks of what stands out from the sheet: its holes, its reach, and the size of the sweets in it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_RADIUS_PX = 5.0

Mask = NDArray[np.uint8]
Hole = tuple[NDArray[np.int64], NDArray[np.int64]]  # rows and columns of its pixels


def disc(size: int) -> Mask:
    """A round kernel (size, size) for morphology."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def distance_inside(mask: Mask) -> NDArray[np.float32]:
    """Distance (H, W) [pixels] of each pixel in a mask to the nearest outside it."""
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 5), np.float32)


def peaks(
    distance: NDArray[np.float32], least: float, sigma: float, near: Mask
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Local maxima (n, 2) x, y and heights (n,), highest first, of a distance transform smoothed by `sigma`.

    Each is at least `least` high, and the highest among its neighbours in the kernel `near`.
    """
    smooth = cv2.GaussianBlur(distance, (0, 0), sigma)
    highest = cv2.dilate(smooth, near)
    y, x = np.nonzero((smooth >= highest - 1e-6) & (distance >= least))
    order = np.argsort(-smooth[y, x], kind="stable")
    return np.stack([x, y], axis=1)[order], smooth[y, x][order]


def typical_radius(mask: Mask) -> float:
    """Radius [pixels] of the sweets in a mask: median of the largest inscribed discs, weighted by area."""
    # Half the size is a quarter of the work, and near enough for a typical value.
    half = np.ascontiguousarray(mask[::2, ::2])
    radii = np.sort(2.0 * peaks(distance_inside(half), 0.5 * LEAST_RADIUS_PX, 1.5, disc(9))[1])
    if not len(radii):
        return LEAST_RADIUS_PX
    weight = np.cumsum(radii**2)
    return float(radii[np.searchsorted(weight, 0.5 * weight[-1])])


def without_edge(mask: Mask) -> Mask:
    """The mask without the parts that reach the photo's edge: the table, or sweets cut off."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=255)
    cv2.floodFill(framed, None, (0, 0), 0)
    return np.asarray(framed[1:-1, 1:-1].copy(), np.uint8)


def without_marker(mask: Mask, corners: NDArray[np.float32] | None) -> Mask:
    """The mask without a marker with corners (4, 2) [pixels], if there is one, and its white rim."""
    cleared = mask.copy()
    if corners is not None:
        middle = corners.mean(axis=0)
        cv2.fillConvexPoly(cleared, np.round(middle + 1.35 * (corners - middle)).astype(np.int32), 0)
    return cleared


def holes_filled(mask: Mask, largest: float, fill: Callable[[Hole], bool]) -> Mask:
    """The mask, each hole up to the largest area [pixels] filled for which `fill` of its pixels holds."""
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    filled = mask.copy()
    for index, contour in enumerate(contours):
        if hierarchy[0][index][3] < 0 or cv2.contourArea(contour) > largest:
            continue
        left, top, width, height = cv2.boundingRect(contour)
        own = np.zeros((height, width), np.uint8)
        cv2.drawContours(own, [contour - np.array([left, top])], 0, 255, -1)
        y, x = np.nonzero(own)
        hole = (y + top, x + left)
        if fill(hole):
            filled[hole] = 255
    return filled


def within(outline: NDArray[np.float32], shape: tuple[int, ...]) -> bool:
    """Whether an outline (n, 2) keeps a pixel away from the edges of a picture (rows, cols)."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    return bool(low.min() >= 1 and high[0] <= shape[1] - 2 and high[1] <= shape[0] - 2)
