"""The tone of a real machine: a chart to draw, and the curve that a photo of the drawn chart shows."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.drawing.render import render_ink
from sketch_cell.drawing.tone import MeasuredTone, blur, luminance, resample, unit_photo
from sketch_cell.errors import InputError

FIELDS = (3, 5)  # rows and columns of the chart
LIGHTEST, DARKEST = 0.25, 0.98  # shares of ink
PIXELS_PER_M = 4000.0
NEAR_M = 0.003  # standard deviation of the blur that makes a tone of lines; fields are several times as wide
BARE = 0.002  # predicted ink where the photo shows the glass without a line
LEAST_SHARE = 0.002  # of the picture that a tone must cover to count
LEVELS = 16
LEAST_RISE = 1e-4  # of the curve from one level to the next, where noise would make it fall
LEAST_CONTRAST = 0.15  # of the bare glass's light that the darkest tone must take
ALL_AROUND = 0.8  # of width and height that the bare glass must span to show how the light is spread


def tone_chart() -> NDArray[np.uint8]:
    """The chart as a photo to plan, uint8 grey: fields of even tones, dark and light ones mixed."""
    count = FIELDS[0] * FIELDS[1]
    # Steps of 7 through 15 fields put each tone far from its neighbours: uneven light then averages out.
    tone = np.linspace(LIGHTEST, DARKEST, count)[np.arange(count) * 7 % count].reshape(FIELDS)
    return np.asarray(np.rint(255 * (1 - np.kron(tone, np.ones((40, 40))))), np.uint8)


def read_tone(
    xy: ArrayLike, photo: NDArray[np.generic], *, width_m: float, height_m: float, line_width_m: float
) -> MeasuredTone:
    """The tone curve that a photo shows of the drawn line xy (N, 2) [m, frame screen].

    photo: uint8 or uint16, sRGB-encoded, exactly the drawable glass (width x height), row 0 on top, seen straight on.
    Any line serves that leaves some glass bare and goes from light to dark; `tone_chart` is made for it. The bare
    glass counts as no ink, the darkest tone as drawn as predicted. Where glass is bare all around, as around the
    chart, uneven light is divided out. Raises `InputError` where the photo does not show such a drawing.
    """
    ink = render_ink(
        xy, width_m=width_m, height_m=height_m, line_width_m=line_width_m, pixels_per_m=PIXELS_PER_M
    )
    light = resample(luminance(unit_photo(photo)), *ink.shape)
    near = NEAR_M * PIXELS_PER_M
    predicted, shown = blur(ink, near), blur(light, near)
    bare = predicted < BARE
    if bare.mean() < LEAST_SHARE:
        raise InputError(
            "The line leaves no glass bare to compare with: draw it with a margin of 10 mm or more."
        )
    lit = np.maximum(_bare_light(shown, bare), 1e-3)
    levels = _levels(predicted, np.asarray(shown / lit, np.float32))
    if len(levels) < 4 or 1 - levels[-1][1] < LEAST_CONTRAST:
        raise InputError(
            "The photo does not get darker where the line has its ink: it must show exactly the drawable glass, "
            "upright, with the drawing of this line on it."
        )
    at = np.array([level for level, _ in levels])
    seen = np.array([(1 - value) / (1 - levels[-1][1]) for _, value in levels]) * at[-1]
    seen = np.maximum.accumulate(np.maximum(seen, 1e-3)) + LEAST_RISE * np.arange(len(seen))
    last = max(1.0, float(seen[-1]) + LEAST_RISE)
    return MeasuredTone((0.0, *at.tolist(), 1.0), (0.0, *seen.tolist(), last))


def _bare_light(shown: NDArray[np.float32], bare: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Light (rows, columns) of the glass without a line: a quadratic through what is bare, else its median."""
    i, j = np.nonzero(bare)
    if np.ptp(i) < ALL_AROUND * bare.shape[0] or np.ptp(j) < ALL_AROUND * bare.shape[1]:
        return np.full(bare.shape, np.median(shown[bare]), np.float32)
    v, u = np.meshgrid(*(np.linspace(-1, 1, size) for size in bare.shape), indexing="ij")
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)
    light = np.linalg.lstsq(terms[bare], shown[bare], rcond=None)[0]
    return np.asarray(terms @ light, np.float32)


def _levels(predicted: NDArray[np.float32], shown: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Median predicted ink and median light shown, level by level, where enough of the picture has that tone."""
    edges = np.linspace(LIGHTEST / 2, 1, LEVELS + 1)
    found = []
    for low, high in itertools.pairwise(edges):
        here = (predicted >= low) & (predicted < high)
        if here.mean() > LEAST_SHARE:
            found.append((float(np.median(predicted[here])), float(np.median(shown[here]))))
    return found
