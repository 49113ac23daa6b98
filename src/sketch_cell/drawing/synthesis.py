"""Analysis by synthesis: ask for tones, look at the drawing they would make, and correct what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.settings import LineSettings
from sketch_cell.drawing.tone import MeasuredTone, blur, srgb_from_linear

FloatImage = NDArray[np.float32]
Drawing = TypeVar("Drawing")

MOMENTUM = 0.5
TONE_LIMITS = (0.0, 1.05)  # of the corrected tone: farther out it would only wind up


def synthesise(
    target: FloatImage,
    draw: Callable[[FloatImage], Drawing],
    ink: Callable[[Drawing], FloatImage],
    *,
    settings: LineSettings,
    measured: MeasuredTone,
    sigma_px: float,
) -> Drawing:
    """The drawing whose ink, blurred by sigma_px, is closest to the blurred target.

    `draw` makes a drawing of tones shaped like the target, `ink` predicts its ink on the same pixels. Each of
    the settings' iterations adds a share of the blurred error to the tones, with momentum; the best is kept.
    """
    wanted = blur(target, sigma_px)
    tone, push = target.copy(), np.zeros_like(target)
    best, least = draw(tone), np.inf
    candidate = best
    for round_ in range(settings.iterations + 1):
        if round_:
            candidate = draw(tone)
        shown = measured.seen(blur(ink(candidate), sigma_px))
        error = difference(shown, wanted, settings.tuned_for)
        if error < least:
            best, least = candidate, error
        push = MOMENTUM * push + settings.correction * (wanted - shown)
        tone = np.clip(tone + push, *TONE_LIMITS)
    return best


def difference(shown: FloatImage, wanted: FloatImage, tuned_for: str) -> float:
    """RMS difference of two blurred pictures of ink, as the viewer the plan is tuned for judges it.

    The target of an adapted viewer already carries its compressed range, so it is compared as grey values.
    """
    if tuned_for == "linear":
        shown, wanted = srgb_from_linear(1 - shown), srgb_from_linear(1 - wanted)
    return float(np.sqrt(np.mean((shown - wanted) ** 2)))
