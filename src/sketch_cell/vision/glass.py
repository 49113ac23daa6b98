"""Find the bright glass in its dark frame and calibrate the camera from its four corners."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.settings import Settings, setting
from sketch_cell.vision.calibration import Calibration, Floats, Lens
from sketch_cell.vision.steady import BORDER_PX

_POINTS_PER_SIDE = 160
_REACH_PX = 8.0  # how far from the rough outline the true edge is searched


@dataclass(frozen=True)
class GlassSettings(Settings):
    """The glass the camera looks at, and how good its calibration must be."""

    width_m: float = setting(0.153, "width of the drawable glass", unit="m", minimum=0.01, maximum=2.0)
    height_m: float = setting(0.107, "height of the drawable glass", unit="m", minimum=0.01, maximum=2.0)
    quarter_turns: int = setting(
        0, "counter-clockwise quarter turns of the toy in the image", minimum=0, maximum=3
    )
    max_edge_rms_px: float = setting(0.6, "largest waviness of a side", unit="px", minimum=0.05)
    max_reprojection_px: float = setting(3.0, "largest corner error as a rigid glass", unit="px", minimum=0.1)


def calibrate(image: NDArray[np.uint8], glass: GlassSettings, lens: Lens | None = None) -> Calibration:
    """Calibration from the corners of the glass in a grey image (H, W), or a mean of several images.

    The sides are found to sub-pixels, straightened with the lens and intersected, so rounded corners do
    no harm; the homography follows from the four intersections. Without `lens` a lens free of distortion
    is assumed and its focal length not judged. Raises `InputError` with the reason if the glass is not
    there in full, its sides are not straight, or its shape is not that of the stated glass.
    """
    if image.ndim != 2:
        raise InputError(f"Calibration needs a grey image (H, W), but this one has shape {image.shape}.")
    height, width = image.shape
    true_lens = lens or Lens.unknown(width, height)
    flat = true_lens.flat_from_pixels(_rough_corners(image))
    for _ in range(2):  # the second round starts from sides that are nearly right
        sides = [_side(image, true_lens, flat[i], flat[(i + 1) % 4]) for i in range(4)]
        flat = np.array([_crossing(sides[i - 1][0], sides[i][0]) for i in range(4)])
    focal = float(true_lens.matrix[0, 0])
    edge_rms = focal * float(np.sqrt(np.mean([side[1] ** 2 for side in sides])))
    if edge_rms > glass.max_edge_rms_px:
        raise InputError(
            f"The sides of the glass are {edge_rms:.1f} px away from straight: free them from hands and "
            "reflections, or give the lens's camera_info."
        )
    flat = np.roll(flat, -glass.quarter_turns, axis=0)
    screen = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * [glass.width_m, glass.height_m]
    reprojection = focal * _rigid_error(screen, flat) if lens else 0.0
    if reprojection > glass.max_reprojection_px:
        raise InputError(
            f"The corners are {reprojection:.1f} px away from those of a glass of {glass.width_m * 1e3:g} x "
            f"{glass.height_m * 1e3:g} mm: check its size, quarter_turns and the camera_info."
        )
    homography = cv2.getPerspectiveTransform(screen.astype(np.float32), flat.astype(np.float32))
    homography = _refined(np.asarray(homography, float), screen, flat)
    corners = true_lens.pixels_from_flat(flat)
    return Calibration(true_lens, homography, width, height, corners, edge_rms, reprojection)


def moved_px(now: Calibration, before: Calibration) -> float:
    """How far the camera moved between two calibrations: the largest shift of a corner [px]."""
    return float(np.linalg.norm(now.corners_px - before.corners_px, axis=1).max())


def _rough_corners(image: NDArray[np.uint8]) -> Floats:
    """Corners (4, 2) [px] of the largest bright four-sided area, from its lower left counter-clockwise."""
    smooth = cv2.GaussianBlur(image, (0, 0), 2.0)
    _, bright = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hulls = [cv2.convexHull(contour) for contour in contours]
    hull = max(hulls, key=cv2.contourArea, default=None)
    if hull is None or cv2.contourArea(hull) < 0.1 * image.size:
        raise InputError("No bright glass fills a tenth of the image: move the camera closer or add light.")
    low, high = hull[:, 0].min(axis=0), hull[:, 0].max(axis=0)
    if (low < BORDER_PX).any() or (high >= np.array(image.shape[::-1]) - BORDER_PX).any():
        raise InputError(
            f"The bright area is within {BORDER_PX} px of the image's border: move the camera back, so that it "
            "shows the whole glass in its dark frame."
        )
    corners = cv2.approxPolyDP(hull, 0.03 * cv2.arcLength(hull, True), True)
    if len(corners) != 4 or cv2.contourArea(corners) < 0.9 * cv2.contourArea(hull):
        raise InputError(
            f"The bright area has {len(corners)} corners instead of 4: is a hand or a cable over the glass?"
        )
    return _in_order(corners[:, 0].astype(float))


def _in_order(corners: Floats) -> Floats:
    """Lower left first, then counter-clockwise as seen by a person (image y points down)."""
    angle = np.arctan2(-(corners - corners.mean(0))[:, 1], (corners - corners.mean(0))[:, 0])
    return corners[np.argsort(angle)]


def _side(image: NDArray[np.uint8], lens: Lens, start: Floats, end: Floats) -> tuple[Floats, float]:
    """One side of the glass: its line (a, b, c) with a^2 + b^2 = 1 in the flat plane, and its RMS error."""
    share = np.linspace(0.07, 0.93, _POINTS_PER_SIDE)[:, None]
    along = start + share * (end - start)
    inward = np.array([-(end - start)[1], (end - start)[0]]) / np.linalg.norm(end - start)
    # Counter-clockwise to the eye is clockwise in image rows, so "left" points out of the glass there.
    inward = -inward / lens.matrix[0, 0]
    steps = np.arange(-_REACH_PX, _REACH_PX + 0.25, 0.5)
    probes = (along[:, None] + steps[None, :, None] * inward).reshape(-1, 2)
    pixels = lens.pixels_from_flat(probes).astype(np.float32).reshape(len(along), len(steps), 2)
    profile = cv2.remap(image, pixels, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(float)
    at, found = _steps_to_edge(profile, steps)
    if found.mean() < 0.6:
        raise InputError(
            "A side of the glass is hidden, too dim or too curved: free it, add light, or give the camera_info."
        )
    points = (along + at[:, None] * inward)[found]
    for _ in range(4):
        line, error = _fitted_line(points)
        near = np.abs(error) <= max(3 * 1.5 * float(np.median(np.abs(error))), 0.3 / lens.matrix[0, 0])
        points, error = points[near], error[near]
    if len(points) < 0.6 * _POINTS_PER_SIDE:
        raise InputError("A side of the glass is not straight: free it from hands, cables and reflections.")
    return line, float(np.sqrt(np.mean(error**2)))


def _steps_to_edge(profile: Floats, steps: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Where each profile (row, dark frame first) crosses from dark to bright, and whether it does so."""
    smooth = cv2.blur(profile, (3, 1), borderType=cv2.BORDER_REPLICATE)
    dark, bright = np.percentile(smooth, 10, axis=1), np.percentile(smooth, 90, axis=1)
    middle = ((dark + bright) / 2)[:, None]
    rising = (smooth[:, :-1] < middle) & (smooth[:, 1:] >= middle)
    nearest = np.where(rising, np.abs(steps[:-1] + 0.25), np.inf).argmin(axis=1)
    rows = np.arange(len(profile))
    low, high = smooth[rows, nearest], smooth[rows, nearest + 1]
    share = (middle[:, 0] - low) / np.maximum(high - low, 1e-9)
    contrast = bright - dark > 0.5 * np.median(bright - dark)
    strong = np.median(bright - dark) > 15
    return steps[nearest] + share * (steps[1] - steps[0]), rising.any(axis=1) & contrast & strong


def _fitted_line(points: Floats) -> tuple[Floats, Floats]:
    """Total least squares: the line (a, b, c) and each point's signed distance from it."""
    middle = points.mean(axis=0)
    normal = np.linalg.svd(points - middle, full_matrices=False)[2][1]
    line = np.append(normal, -normal @ middle)
    return line, points @ normal + line[2]


def _crossing(one: Floats, other: Floats) -> Floats:
    point = np.cross(one, other)
    crossing: Floats = point[:2] / point[2]
    return crossing


def _rigid_error(screen: Floats, flat: Floats) -> float:
    """RMS distance of the corners from those of the best rigid pose (in the flat plane)."""
    points = np.column_stack([screen, np.zeros(4)])
    _, turn, shift = cv2.solvePnP(points, flat, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    turn, shift = cv2.solvePnPRefineLM(points, flat, np.eye(3), None, turn, shift)
    again, _ = cv2.projectPoints(points, turn, shift, np.eye(3), None)
    return float(np.sqrt(np.mean(np.sum((again[:, 0] - flat) ** 2, axis=1))))


def _refined(homography: Floats, screen: Floats, flat: Floats) -> Floats:
    """The exact homography through four points in float64 (OpenCV's takes float32 points)."""
    rows = []
    for (x, y), (u, v) in zip(screen, flat, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    exact = np.append(np.linalg.solve(np.array(rows), flat.ravel()), 1.0).reshape(3, 3)
    return exact if np.isfinite(exact).all() else homography


def grey_from_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey image (H, W) of a grey (H, W) or RGB (H, W, 3) one."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
