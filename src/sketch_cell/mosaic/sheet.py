"""The sheet under the sweets: its colour under uneven light, what stands out from it, and its scale marker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SAMPLE_STEP = 11  # pixels
ROUNDS = 6
# CIELAB distance within which a pixel counts as sheet, first and last round.
NEAR_FIRST, NEAR_LAST = 22.0, 9.0
SHADOW = 0.35  # share of the sheet's lightness L* that a shadow may take, as long as the colour stays
# White paper under a warm lamp stays below the first, and below the second where it is as dark as wood.
COLOURED_CHROMA, COLOURED_CHROMA_DARK, DARK = 28.0, 18.0, 65.0
PAPER_REFLECTANCE = 0.85

Lab = NDArray[np.float32]


@dataclass(frozen=True)
class Sheet:
    """Coefficients (6, 3) of the sheet's CIELAB as a quadratic in u, v = -1..1 across the photo."""

    coefficients: NDArray[np.float64]

    def lab(self, width: int, height: int) -> Lab:
        """CIELAB (height, width, 3) of the bare sheet."""
        u = np.linspace(-1, 1, width)[:, None]
        v = np.linspace(-1, 1, height)
        a, c_u, c_v, c_uu, c_uv, c_vv = self.coefficients
        along = np.stack([a + u * (c_u + u * c_uu), c_v + u * c_uv, np.broadcast_to(c_vv, (width, 3))])
        down = np.stack([np.ones(height), v, v * v], axis=1).astype(np.float32)
        return (down @ along.reshape(3, -1).astype(np.float32)).reshape(height, width, 3)

    @property
    def coloured(self) -> bool:
        """Whether the sheet is a coloured one, judged in the middle of the photo."""
        lightness, a, b = self.coefficients[0]
        return bool(np.hypot(a, b) > (COLOURED_CHROMA if lightness > DARK else COLOURED_CHROMA_DARK))


def lab_image(photo: NDArray[np.uint8]) -> Lab:
    """CIELAB (H, W, 3), float32, of an sRGB photo."""
    return np.asarray(
        cv2.cvtColor(photo.astype(np.float32) / np.float32(255.0), cv2.COLOR_RGB2Lab), np.float32
    )


def find_sheet(lab: Lab) -> Sheet:
    """Fit the sheet: the commonest colour first, then a quadratic through all that is near, closer in each round."""
    height, width = lab.shape[:2]
    v, u = np.meshgrid(
        np.linspace(-1, 1, height)[::SAMPLE_STEP], np.linspace(-1, 1, width)[::SAMPLE_STEP], indexing="ij"
    )
    basis = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1).reshape(-1, 6)
    samples = lab[::SAMPLE_STEP, ::SAMPLE_STEP].reshape(-1, 3).astype(np.float64)
    coefficients = np.zeros((6, 3))
    coefficients[0] = _commonest(samples)
    for number in range(ROUNDS):
        near = NEAR_FIRST * (NEAR_LAST / NEAR_FIRST) ** (number / (ROUNDS - 1))
        close = np.linalg.norm(samples - basis @ coefficients, axis=1) < near
        terms = 6 if number else 3
        if np.count_nonzero(close) < 50:
            break
        used = basis[close, :terms]
        fitted = np.linalg.lstsq(used.T @ used, used.T @ samples[close], rcond=None)[0]
        coefficients = np.vstack([fitted, np.zeros((6 - terms, 3))])
    return Sheet(coefficients)


def _commonest(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The commonest colour (3,) of samples (n, 3), by a coarse histogram, smoothed by its neighbours."""
    edges = [np.linspace(0, 100, 11), np.linspace(-100, 100, 21), np.linspace(-100, 100, 21)]
    counts, _ = np.histogramdd(samples, bins=edges)
    smooth = cv2.blur(counts.reshape(10, -1), (1, 3), borderType=cv2.BORDER_REPLICATE).reshape(counts.shape)
    best = np.unravel_index(np.argmax(smooth), counts.shape)
    middle = np.array([0.5 * (edge[i] + edge[i + 1]) for edge, i in zip(edges, best, strict=True)])
    near = np.linalg.norm(samples - middle, axis=1) < 15.0
    return np.asarray(np.median(samples[near], axis=0) if near.any() else middle)


def difference_to_sheet(lab: Lab, bare: Lab) -> NDArray[np.float32]:
    """How much each pixel (H, W) differs from the bare sheet in CIELAB, shadows discounted."""
    change = cv2.subtract(lab, bare)
    lightness, a, b = (cv2.extractChannel(change, plane) for plane in range(3))  # far quicker than split
    shadow = cv2.addWeighted(lightness, -1.0, cv2.extractChannel(bare, 0), -SHADOW, 0.0)
    discounted = cv2.max(cv2.max(lightness, shadow), 0.0)
    return np.asarray(cv2.magnitude(discounted, cv2.magnitude(a, b)), np.float32)


def marker_corners(photo: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Corners (4, 2) [pixels] of the largest ArUco marker (4x4, 50) in a photo, or None."""
    aruco: Any = cv2.aruco
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    dictionary = aruco.getPredefinedDictionary(aruco.DICT_4X4_50)
    if hasattr(aruco, "ArucoDetector"):
        found, _, _ = aruco.ArucoDetector(dictionary, aruco.DetectorParameters()).detectMarkers(grey)
    else:  # OpenCV before 4.7
        found, _, _ = aruco.detectMarkers(grey, dictionary)
    if not found:
        return None
    return np.asarray(max((each[0] for each in found), key=cv2.contourArea), np.float32)


def marker_edge_px(corners: NDArray[np.float32]) -> float:
    """Mean edge [pixels] of a marker with corners (4, 2)."""
    return float(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).mean())
