"""Colour spaces of the mosaic: sRGB, linear light, tristimulus values relative to white, CIELAB, CIEDE2000.

Light adds up in linear space, so everything that blurs, mixes or covers works there; what the eye makes
of the result is measured in CIELAB (CIE 15, D65, 2 degrees).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# sRGB primaries to XYZ (IEC 61966-2-1), each row divided by D65's so that white is (1, 1, 1).
XYZ_FROM_LINEAR = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
XYZ_FROM_LINEAR /= XYZ_FROM_LINEAR.sum(axis=1, keepdims=True)
LINEAR_FROM_XYZ = np.linalg.inv(XYZ_FROM_LINEAR)
LAB_FROM_CUBE_ROOTS = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
KNEE = 216.0 / 24389.0  # below it CIELAB's cube root gives way to a straight line
SLOPE = 841.0 / 108.0


def linear_from_srgb(image: NDArray[Any]) -> NDArray[np.float32]:
    """Linear light 0..1, same shape, of sRGB values: uint8 0..255, or floating 0..1."""
    if image.dtype == np.uint8:
        table: NDArray[np.float32] = linear_from_srgb(np.arange(256, dtype=np.float32) / 255.0)
        looked_up: NDArray[np.float32] = table[image]
        return looked_up
    value = image.astype(np.float32)
    return np.where(
        value <= 0.04045, value / 12.92, ((np.maximum(value, 0.0) + 0.055) / 1.055) ** 2.4
    ).astype(np.float32)


def srgb_from_linear(linear: Floats) -> NDArray[np.uint8]:
    """sRGB values uint8, same shape, of linear light 0..1; values outside are clipped."""
    value = np.clip(linear, 0.0, 1.0)
    encoded = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255.0).astype(np.uint8)


def xyz_from_linear(linear: Floats) -> Floats:
    """Tristimulus values (..., 3) relative to D65 of linear light (..., 3)."""
    return linear @ XYZ_FROM_LINEAR.T.astype(linear.dtype)


def lab_from_linear(linear: Floats) -> Floats:
    """CIELAB (..., 3) of linear light (..., 3)."""
    xyz = np.maximum(xyz_from_linear(linear), 0.0)
    roots = np.where(xyz > KNEE, np.cbrt(xyz), SLOPE * xyz + 4.0 / 29.0)
    lab = roots @ LAB_FROM_CUBE_ROOTS.T.astype(linear.dtype)
    lab[..., 0] -= 16.0
    return lab


def linear_from_lab(lab: Floats) -> Floats:
    """Linear light (..., 3) of CIELAB (..., 3); outside the sRGB gamut it leaves 0..1."""
    lightness = (lab[..., 0] + 16.0) / 116.0
    roots = np.stack([lightness + lab[..., 1] / 500.0, lightness, lightness - lab[..., 2] / 200.0], axis=-1)
    xyz = np.where(roots > 6.0 / 29.0, roots**3, (roots - 4.0 / 29.0) / SLOPE)
    return xyz @ LINEAR_FROM_XYZ.T.astype(lab.dtype)


def delta_e(lab_a: Floats, lab_b: Floats) -> Floats:
    """CIEDE2000 difference (...) of CIELAB colours (..., 3), by scikit-image."""
    from skimage.color import deltaE_ciede2000

    result: Floats = deltaE_ciede2000(lab_a, lab_b)
    return result


def delta_e_rows(lab: Floats) -> NDArray[np.float32]:
    """Matrices (..., 3, 3) that turn a small difference at `lab` (..., 3) into a vector as long as its CIEDE2000.

    Row 0 weighs lightness; rows 1 and 2 chroma and hue, with the blue rotation term folded in by a
    Cholesky factor. After Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula", 2005,
    with the weights frozen at `lab` (both colours equal).
    """
    lightness, a, b = lab[..., 0], lab[..., 1], lab[..., 2]
    c7 = np.hypot(a, b) ** 7
    stretch = 1.0 + 0.5 * (1.0 - np.sqrt(c7 / (c7 + 25.0**7)))
    a = a * stretch
    chroma, hue = np.hypot(a, b), np.arctan2(b, a)
    t = (
        1.0
        - 0.17 * np.cos(hue - np.deg2rad(30.0))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.deg2rad(6.0))
        - 0.20 * np.cos(4 * hue - np.deg2rad(63.0))
    )
    offset = (lightness - 50.0) ** 2
    s_l = 1.0 + 0.015 * offset / np.sqrt(20.0 + offset)
    s_c, s_h = 1.0 + 0.045 * chroma, 1.0 + 0.015 * chroma * t
    blue = np.exp(-(((np.rad2deg(hue) % 360.0 - 275.0) / 25.0) ** 2))
    rotation = -2.0 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.deg2rad(60.0) * blue)
    cosine, sine = np.cos(hue), np.sin(hue)
    rows = np.zeros((*lab.shape, 3), np.float32)
    rows[..., 0, 0] = 1.0 / s_l
    rows[..., 1, 1] = cosine * stretch / s_c - 0.5 * rotation * sine * stretch / s_h
    rows[..., 1, 2] = sine / s_c + 0.5 * rotation * cosine / s_h
    shrink = np.sqrt(1.0 - 0.25 * rotation**2)
    rows[..., 2, 1] = -shrink * sine * stretch / s_h
    rows[..., 2, 2] = shrink * cosine / s_h
    return rows
