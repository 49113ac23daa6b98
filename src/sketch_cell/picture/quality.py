"""How near a picture is to its original: RMSE, PSNR, SSIM and PSNR-B."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
BLOCK_PX = 8
LUMA = (0.299, 0.587, 0.114)  # shares of red, green and blue, as in JPEG (ITU-R BT.601)


@dataclass(frozen=True)
class Quality:
    """Distance of a picture from its original: RMSE [levels], PSNR [dB], SSIM 0..1, PSNR-B [dB].

    RMSE and PSNR are taken over all channels, SSIM and PSNR-B on luma.
    """

    rmse: float
    psnr_db: float
    ssim: float
    psnr_b_db: float


def quality(picture: Image, original: Image) -> Quality:
    """Compare two pictures of the same shape, uint8 (H, W, 3) RGB or (H, W); raises `ValueError` for other shapes."""
    if picture.shape != original.shape:
        raise ValueError(f"cannot compare {picture.shape} with {original.shape}")
    error = mean_square_error(picture, original)
    grey, grey_original = luma(picture), luma(original)
    return Quality(math.sqrt(error), decibels(error), ssim(grey, grey_original), psnr_b(grey, grey_original))


def mean_square_error(picture: Image, original: Image) -> float:
    """Mean squared difference over all pixels and channels [levels^2]."""
    return float(np.square(picture.astype(np.float32) - original).mean(dtype=np.float64))


def decibels(mean_square: float) -> float:
    """PSNR [dB] of 8-bit pictures whose mean squared error is `mean_square` [levels^2]."""
    return 10 * math.log10(255**2 / mean_square) if mean_square > 0 else math.inf


def luma(picture: Image) -> Image:
    """Luma (H, W) of a picture: ITU-R BT.601, full range; a grey picture is its own."""
    return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def matlab_luma(picture: Image) -> Image:
    """Luma (H, W) of an RGB picture as MATLAB's rgb2ycbcr gives it, 16..235; published figures use it."""
    return np.asarray(np.rint(16 + picture @ (np.array([65.481, 128.553, 24.966]) / 255)), np.uint8)


def ssim(grey: Image, original: Image) -> float:
    """Mean structural similarity of two grey pictures (Wang et al. 2004: Gaussian window 11, sigma 1.5)."""
    a, b = grey.astype(np.float64), original.astype(np.float64)
    mean_a, mean_b = _smooth(a), _smooth(b)
    variances = _smooth(a * a) - mean_a**2 + _smooth(b * b) - mean_b**2
    covariance = _smooth(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    structure = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((structure / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))).mean())


def _smooth(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5), np.float64)


def psnr_b(grey: Image, original: Image) -> float:
    """PSNR-B [dB]: PSNR with the blocking effect added to the error (Yim and Bovik 2011, 8-pixel blocks)."""
    return decibels(mean_square_error(grey, original) + blocking_effect(grey))


def blocking_effect(grey: Image) -> float:
    """How much larger squared steps across block edges are than elsewhere [levels^2], weighted by block size."""
    at_edges, elsewhere = [], []
    for plane in (grey, grey.T):
        steps = np.square(np.diff(plane.astype(np.float32), axis=1))
        edge = np.arange(1, plane.shape[1]) % BLOCK_PX == 0
        at_edges.append(steps[:, edge])
        elsewhere.append(steps[:, ~edge])
    if not sum(part.size for part in at_edges):
        return 0.0
    excess = _mean(at_edges) - _mean(elsewhere)
    return math.log2(BLOCK_PX) / math.log2(min(grey.shape)) * excess if excess > 0 else 0.0


def _mean(parts: list[NDArray[np.float32]]) -> float:
    return float(sum(part.sum(dtype=np.float64) for part in parts) / max(sum(part.size for part in parts), 1))
