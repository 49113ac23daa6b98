"""How near a mosaic comes to its photo when both are seen from afar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.appearance import Image, from_afar
from sketch_cell.mosaic.colour import LINEAR_FROM_XYZ, Floats, delta_e, lab_from_linear, xyz_from_linear

# Poirson and Wandell's opponent space and the filters of S-CIELAB (Zhang and Wandell, 1997):
# rows: luminance, red-green, blue-yellow; each filter a sum of Gaussians (weight, spread [degrees]).
OPPONENT = np.array([[0.279, 0.72, -0.107], [-0.449, 0.29, -0.077], [0.086, -0.59, 0.501]])
FILTERS = (
    ((0.921, 0.0283), (0.105, 0.133), (-0.108, 4.336)),
    ((0.531, 0.0392), (0.330, 0.494)),
    ((0.488, 0.0536), (0.371, 0.386)),
)
D65 = np.array([0.95047, 1.0, 1.08883])
DEGREES_PER_PITCH = 0.02  # a sweet of 12.7 mm from 36 m: the eye then blurs lightness by about a pitch


@dataclass(frozen=True)
class Likeness:
    """The measures of a mosaic; colour differences are CIEDE2000."""

    de00_mean: float  # seen with a blur of one pitch
    de00_p95: float
    de00_mean_afar: float  # seen with a blur of two pitches
    ssim: float  # of L* seen with a blur of one pitch, sampled once a pitch
    graininess: float  # root mean square of the visible error's fine part, S-CIELAB


def compare(photo: Image, mosaic: Image, pixels_per_pitch: int) -> Likeness:
    """Likeness of two pictures of a board (rows, cols, 3), linear light, of one size.

    The blurred pictures are band-limited, so colour is compared at two samples a pitch, structure at one.
    """
    from skimage.metrics import structural_similarity

    near = _labs(photo, mosaic, 1.0, pixels_per_pitch, max(1, pixels_per_pitch // 2))
    far = _labs(photo, mosaic, 2.0, pixels_per_pitch, max(1, pixels_per_pitch))
    once = _labs(photo, mosaic, 1.0, pixels_per_pitch, pixels_per_pitch)
    difference = delta_e(*near)
    window = min(7, *once[0].shape[:2])
    window -= 1 - window % 2
    lightness = [lab[..., 0].astype(np.float64) for lab in once]
    ssim = structural_similarity(*lightness, data_range=100.0, win_size=window) if window >= 3 else 1.0
    return Likeness(
        float(difference.mean()),
        float(np.percentile(difference, 95)),
        float(delta_e(*far).mean()),
        float(ssim),
        graininess(photo, mosaic, pixels_per_pitch),
    )


def _labs(
    photo: Image, mosaic: Image, sigma: float, pixels_per_pitch: int, step: int
) -> tuple[Floats, Floats]:
    first = step // 2
    seen = (
        from_afar(picture, sigma * pixels_per_pitch)[first::step, first::step] for picture in (photo, mosaic)
    )
    a, b = (lab_from_linear(picture) for picture in seen)
    return a, b


def graininess(photo: Image, mosaic: Image, pixels_per_pitch: int) -> float:
    """Root mean square of the fine part (under two pitches) of the visible difference, as S-CIELAB sees it."""
    difference = _as_seen(mosaic, pixels_per_pitch) - _as_seen(photo, pixels_per_pitch)
    fine = difference - from_afar(difference.astype(np.float32), 2.0 * pixels_per_pitch)
    return float(np.sqrt((fine**2).sum(axis=-1).mean()))


def _as_seen(picture: Image, pixels_per_pitch: int) -> NDArray[np.float32]:
    """CIELAB (rows, cols, 3) of a picture after S-CIELAB's filters at DEGREES_PER_PITCH."""
    import cv2

    xyz = xyz_from_linear(picture) * D65.astype(np.float32)
    opponent = xyz @ OPPONENT.T.astype(np.float32)
    pixels_per_degree = pixels_per_pitch / DEGREES_PER_PITCH
    filtered = np.zeros_like(opponent)
    for channel, parts in enumerate(FILTERS):
        plane = np.ascontiguousarray(opponent[..., channel])
        weights = sum(weight for weight, _ in parts)
        for weight, spread_degrees in parts:
            # Their spread is that of exp(-x^2 / s^2): a Gaussian of s / sqrt(2).
            sigma = spread_degrees * pixels_per_degree / np.sqrt(2.0)
            if sigma > 0.5 * max(plane.shape):
                blurred = np.full_like(plane, plane.mean())
            else:
                blurred = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
            filtered[..., channel] += weight / weights * blurred
    back: NDArray[np.float32] = np.linalg.inv(OPPONENT).astype(np.float32)
    seen = filtered @ back.T / D65.astype(np.float32)
    result: NDArray[np.float32] = lab_from_linear(seen @ LINEAR_FROM_XYZ.T.astype(np.float32)).astype(
        np.float32
    )
    return result
