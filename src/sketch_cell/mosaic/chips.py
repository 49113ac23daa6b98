"""Chips cut from a photo: one sweet each, balanced to the white of the sheet, with an alpha mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.colour import lab_from_linear, linear_from_lab, linear_from_srgb, srgb_from_linear
from sketch_cell.mosaic.segmentation import Segmentation, Sweet
from sketch_cell.mosaic.sheet import PAPER_REFLECTANCE, Sheet

CHIP_PX = 64  # longest a chip's width gets
SIDE_ASPECT = 1.25  # longer than this for its width: it lies on its side
CORE = 0.7  # share of the radius whose median colour stands for the sweet
OUTSHONE, OUTSHINING = 1.1, 0.05  # light over white paper's; share of the sweets that it takes


@dataclass(frozen=True)
class Chip:
    """One sweet cut out: uint8 RGBA, the view ("top" or "side"), its colour in CIELAB and its width in pixels."""

    rgba: NDArray[np.uint8]
    view: str
    lab: NDArray[np.float64]
    width_px: float


def cut_chips(photo: NDArray[np.uint8], found: Segmentation, sheet_kind: str = "auto") -> list[Chip]:
    """Cut every sweet of a photo out, turned upright where it lies on its side.

    The light on the sheet is divided out, so white paper becomes neutral and even; a coloured sheet (`sheet_kind`
    coloured, or auto and strongly coloured, or with sweets on it that are lighter than white) only evens the light.
    """
    coloured = sheet_kind == "coloured" or (
        sheet_kind == "auto" and (found.sheet.coloured or _outshone(photo, found))
    )
    return [_cut(photo, sweet, _sheet_light(found.sheet, sweet, photo, coloured)) for sweet in found.sweets]


def _outshone(photo: NDArray[np.uint8], found: Segmentation) -> bool:
    """Whether sweets would be lighter than white if the sheet were white paper: then it is grey or black card."""
    lighter = 0
    for sweet in found.sweets:
        low, high = sweet.outline_px.min(axis=0), sweet.outline_px.max(axis=0)
        inset = 0.5 * (1.0 - 0.5 * CORE) * (high - low)  # leaves half the core's width
        (left, top), (right, bottom) = (
            np.floor(low + inset).astype(int),
            np.ceil(high - inset).astype(int) + 1,
        )
        core = linear_from_srgb(photo[top:bottom, left:right]).reshape(-1, 3)
        white = _sheet_light(found.sheet, sweet, photo, coloured=False)
        lighter += bool((np.median(core, axis=0) / white).max() > OUTSHONE)
    return lighter > OUTSHINING * len(found.sweets)


def _sheet_light(sheet: Sheet, sweet: Sweet, photo: NDArray[np.uint8], coloured: bool) -> NDArray[np.float64]:
    """Linear light (3,) of the bare sheet where a sweet lies; of a coloured sheet only relative to its middle."""
    size = np.array(photo.shape[1::-1], np.float64)
    u, v = 2.0 * sweet.outline_px.mean(axis=0) / size - 1.0
    basis = np.array([1.0, u, v, u * u, u * v, v * v])
    here = np.maximum(linear_from_lab(basis @ sheet.coefficients), 1e-3)
    if not coloured:
        return np.asarray(here / PAPER_REFLECTANCE, np.float64)
    middle = np.maximum(linear_from_lab(sheet.coefficients[0]), 1e-3)
    return np.full(3, float(here.sum() / middle.sum()))


def _cut(photo: NDArray[np.uint8], sweet: Sweet, light: NDArray[np.float64]) -> Chip:
    middle, (width, height), angle_deg = _frame(sweet.outline_px)
    size = (max(4, round(width)), max(4, round(height)))
    matrix = cv2.getRotationMatrix2D(middle, angle_deg, 1.0)
    matrix[:, 2] += 0.5 * (np.array(size) - 1.0) - middle
    pixels = cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    outline = cv2.transform(cv2.convexHull(sweet.outline_px), matrix)
    alpha = np.zeros(size[::-1], np.float32)
    cv2.fillConvexPoly(alpha, np.round(outline).astype(np.int32), 1.0)
    scale = min(1.0, CHIP_PX / size[0])
    small = (max(4, round(size[0] * scale)), max(4, round(size[1] * scale)))
    linear = np.asarray(linear_from_srgb(np.asarray(pixels, np.uint8)) / light, np.float32)
    linear = np.asarray(cv2.resize(np.minimum(linear, 1.0), small, interpolation=cv2.INTER_AREA), np.float32)
    alpha = np.asarray(cv2.resize(alpha, small, interpolation=cv2.INTER_AREA), np.float32)
    rgba = np.dstack([srgb_from_linear(linear), np.round(alpha * 255.0).astype(np.uint8)])
    view = "side" if size[0] > SIDE_ASPECT * size[1] else "top"
    return Chip(rgba, view, _core_lab(linear), float(width))


def _frame(outline: NDArray[np.float32]) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Middle, width and height [pixels], and turn [degrees] of a sweet's chip: longest edge across, or square."""
    middle, (width, height), angle_deg = cv2.minAreaRect(outline)
    if height > width:
        width, height, angle_deg = height, width, angle_deg - 90.0
    if width > SIDE_ASPECT * height:
        return middle, (width + 1.0, height + 1.0), angle_deg
    # A round sweet is not turned: its rectangle's angle means nothing.
    low, high = outline.min(axis=0), outline.max(axis=0)
    x, y = (0.5 * (low + high)).tolist()
    edge = float((high - low).max()) + 1.0
    return (x, y), (edge, edge), 0.0


def _core_lab(linear: NDArray[np.float32]) -> NDArray[np.float64]:
    """Median colour (3,) in CIELAB of a chip's middle, so that neither rim nor gleam counts."""
    height, width = linear.shape[:2]
    v, u = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    core = linear[np.hypot(u, v) < CORE].astype(np.float64)
    return np.asarray(np.median(lab_from_linear(core), axis=0), np.float64)
