"""From a photo to the share of ink each spot of the drawing should carry."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.settings import LineSettings
from sketch_cell.errors import InputError

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709 weights of R, G, B
FloatImage = NDArray[np.float32]

ADAPTED_DARKEST = 0.92  # an adapted eye takes this for black; darker costs line and brings ripple
ADAPTED_LIGHTEST = 0.02  # above the ink of bare rows: lighter would need rows that are seen
ADAPTATION_EDGE = 0.03  # of the long edge: detail finer than this gets the local contrast


def linear_from_srgb(value: FloatImage) -> FloatImage:
    """Linear light 0..1 of sRGB-encoded values 0..1 (IEC 61966-2-1)."""
    high = ((np.maximum(value, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(value <= 0.04045, value / 12.92, high).astype(np.float32)


def srgb_from_linear(light: FloatImage) -> FloatImage:
    """sRGB-encoded values 0..1 of linear light 0..1 (IEC 61966-2-1); negative light counts as none."""
    light = np.maximum(light, 0)
    high = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, high).astype(np.float32)


def unit_photo(photo: NDArray[np.generic]) -> FloatImage:
    """Photo as float32 0..1, (H, W) grey or (H, W, 3) RGB, with any alpha channel laid on white.

    Takes uint8 or uint16, (H, W), (H, W, 1), (H, W, 2) grey + alpha, (H, W, 3) or (H, W, 4).
    Raises `InputError` for any other type or shape, or an empty picture.
    """
    photo = np.asarray(photo)
    if photo.dtype not in (np.uint8, np.uint16):
        raise InputError(f"The photo has values of type {photo.dtype}; give it as uint8 or uint16.")
    if photo.ndim not in (2, 3) or 0 in photo.shape or (photo.ndim == 3 and photo.shape[2] > 4):
        raise InputError(
            f"The photo has shape {photo.shape}; give it as (rows, columns) or (rows, columns, 1 to 4 channels)."
        )
    white = 255 if photo.dtype == np.uint8 else 65535
    values: FloatImage = np.divide(photo, white, dtype=np.float32)
    if values.ndim == 2:
        return values
    if values.shape[2] in (2, 4):
        alpha = values[..., -1:]
        values = np.asarray(values[..., :-1] * alpha + (1 - alpha), np.float32)
    return np.asarray(values[..., 0] if values.shape[2] == 1 else values, np.float32)


def luminance(values: FloatImage) -> FloatImage:
    """Linear-light luminance 0..1 (H, W) of sRGB values 0..1, (H, W) or (H, W, 3)."""
    values = linear_from_srgb(values)
    return values if values.ndim == 2 else (values @ LUMINANCE).astype(np.float32)


def grey(values: FloatImage) -> FloatImage:
    """Grey values (luma) 0..1 (H, W) of sRGB values 0..1, (H, W) or (H, W, 3)."""
    return values if values.ndim == 2 else (values @ LUMINANCE).astype(np.float32)


def resample(image: FloatImage, rows: int, columns: int) -> FloatImage:
    """Image brought to (rows, columns): averaged over areas where it shrinks, linear where it grows."""
    area = cv2.resize(
        image, (min(columns, image.shape[1]), min(rows, image.shape[0])), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(area, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)


def blur(image: FloatImage, sigma_px: float) -> FloatImage:
    """Gaussian blur; beyond the border the image goes on as its mirror image."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT), np.float32)


@dataclass(frozen=True)
class MeasuredTone:
    """What share of ink a camera sees (`seen`) where the planner predicts (`predicted`); both rise.

    The default trusts the prediction. Raises `InputError` for curves that do not rise.
    """

    predicted: tuple[float, ...] = (0.0, 1.0)
    observed: tuple[float, ...] = (0.0, 1.0)

    def __post_init__(self) -> None:
        rising = all(np.all(np.diff(curve) > 0) for curve in (self.predicted, self.observed))
        if len(self.predicted) != len(self.observed) or len(self.predicted) < 2 or not rising:
            raise InputError(
                "A measured tone curve needs two or more predicted and observed shares of ink, both rising."
            )

    def seen(self, ink: FloatImage) -> FloatImage:
        """Share of ink the camera would see."""
        if self.predicted == self.observed:
            return ink
        return np.interp(ink, self.predicted, self.observed).astype(np.float32)


def target_ink(
    photo: FloatImage, rows: int, columns: int, settings: LineSettings, pitch_m: float
) -> FloatImage:
    """Wanted share of ink (rows, columns) for a photo 0..1, (H, W) or (H, W, 3), by what the plan is tuned for."""
    image = luminance(photo) if settings.tuned_for == "linear" else grey(photo)
    dark = 1 - resample(image, rows, columns)
    if settings.tuned_for != "adapted":
        return dark
    lightest = settings.line_width_m / pitch_m + ADAPTED_LIGHTEST
    gain = ADAPTED_DARKEST - lightest
    if settings.local_contrast > 0:
        base = blur(dark, ADAPTATION_EDGE * max(rows, columns))
        dark = np.clip(dark + settings.local_contrast * (1 / gain - 1) * (dark - base), 0, 1)
    return (lightest + gain * dark).astype(np.float32)
