"""A photo becomes one unbroken line: the choice of method and the finished plan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.drawing import calibrated, curves, reference
from sketch_cell.drawing.frame import Frame, frame_for
from sketch_cell.drawing.parabolic import Search
from sketch_cell.drawing.render import render_ink
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.drawing.simplify import simplify
from sketch_cell.drawing.tone import MeasuredTone, unit_photo

Array = NDArray[np.float64]

PREVIEW_PX = 25e6  # half a metre square at 0.1 mm


@dataclass(frozen=True)
class LinePlan:
    """One line to draw: `xy` (N, 2) [m, frame screen], finely sampled, with the settings that made it."""

    xy: Array
    settings: LineSettings
    frame: Frame
    exponent: float | None = None  # of the reference method
    search: Search | None = None  # how the reference method found it

    @cached_property
    def commands_xy(self) -> Array:
        """The same line (n, 2) [m] in as few vertices as keep it within 0.03 mm: what a machine is sent."""
        return simplify(self.xy)

    @cached_property
    def length_m(self) -> float:
        """Metres of line."""
        return float(np.linalg.norm(np.diff(self.xy, axis=0), axis=1).sum())

    @cached_property
    def reversals(self) -> tuple[int, int]:
        """How often the commanded line turns back along x and along y; each costs a backlash take-up."""
        return reversals(self.commands_xy)

    def preview(self, pixels_per_m: float = 10_000.0) -> NDArray[np.uint8]:
        """What the glass should look like, uint8 grey (rows, columns), ink black, row 0 at the top.

        A glass that would take more than PREVIEW_PX pixels is shown coarser.
        """
        s = self.settings
        pixels_per_m = min(pixels_per_m, math.sqrt(PREVIEW_PX / (s.glass_width_m * s.glass_height_m)))
        ink = render_ink(
            self.xy,
            width_m=s.glass_width_m,
            height_m=s.glass_height_m,
            line_width_m=s.line_width_m,
            pixels_per_m=pixels_per_m,
        )
        return np.asarray(np.rint(255 * (1 - ink)), np.uint8)


def reversals(xy: ArrayLike) -> tuple[int, int]:
    """Changes of direction of polyline xy (N, 2) along x and along y; standing still is no direction."""
    counts = []
    for moves in np.diff(np.asarray(xy, float), axis=0).T:
        signs = np.sign(moves[np.abs(moves) > 1e-9])
        counts.append(int((signs[1:] != signs[:-1]).sum()))
    return counts[0], counts[1]


def plan_line(
    photo: NDArray[np.generic],
    settings: LineSettings | None = None,
    measured: MeasuredTone | None = None,
) -> LinePlan:
    """Plan one line that looks like the photo.

    photo: uint8 or uint16, (H, W) grey or (H, W, 1-4) grey/RGB with an optional alpha channel, which is laid on
    white. Raises `InputError` for any other picture and `SettingError` for settings that do not fit it.
    """
    settings = settings or LineSettings()
    values = unit_photo(photo)
    frame = frame_for(values.shape[0], values.shape[1], settings)
    rows = frame.row_picture(values)
    grid, measured = frame.grid(), measured or MeasuredTone()
    exponent, search = None, None
    if settings.method == "reference":
        uv, exponent, search = reference.row_line(rows, grid, settings)
    elif settings.method == "hilbert":
        uv = curves.hilbert_line(rows, grid, settings, measured)
    elif settings.method == "spiral":
        uv = curves.spiral_line(rows, grid, settings, measured)
    else:
        uv = calibrated.row_line(rows, grid, settings, measured)
    return LinePlan(frame.screen_from_rows(uv), settings, frame, exponent, search)
