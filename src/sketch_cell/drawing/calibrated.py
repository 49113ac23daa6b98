"""The calibrated method: tone from geometry, corrected by analysis by synthesis."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.layout import merge_pairs, merged_share, room_between, spread_centres
from sketch_cell.drawing.rows import RowGrid, envelope, play, row_ink, serpentine
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.drawing.synthesis import synthesise
from sketch_cell.drawing.tone import MeasuredTone, target_ink
from sketch_cell.drawing.wave import SAMPLES_PER_CELL, make_wave

FloatImage = NDArray[np.float32]
Array = NDArray[np.float64]
Periods = NDArray[np.int64]

BINS_PER_CELL = 8  # of the grid on which drawing and photo are compared
PERIODS = (1, 2, 3)

# When a cell takes one period more, by what the plan is tuned for: the share of a wave's darkest tone that calls
# for it, and the tone by which the cell must fall below that before it gives the period back. Grey values pay for
# reversals with tone that is hardly seen; an adapted eye forgives no ripple.
SWITCH = {"linear": 1.0, "value": 1.06, "adapted": 0.93}
HYSTERESIS = {"linear": 0.06, "value": 0.05, "adapted": 0.06}


def row_line(photo: FloatImage, grid: RowGrid, settings: LineSettings, measured: MeasuredTone) -> Array:
    """The line (N, 2) in the row frame [m] that draws the photo, float 0..1 as the rows meet it."""
    shape = (grid.rows * BINS_PER_CELL, grid.columns * BINS_PER_CELL)
    target = target_ink(photo, *shape, settings, grid.pitch_m)
    loom = Loom(target, grid, settings)
    v = synthesise(
        target,
        loom.weave,
        loom.ink,
        settings=settings,
        measured=measured,
        sigma_px=settings.blur_cells * BINS_PER_CELL,
    )
    u = np.arange(v.shape[1], dtype=np.float64) * (grid.cell_m / SAMPLES_PER_CELL)
    return serpentine(u, v)


@dataclass
class Loom:
    """Weaves rows from tones and predicts their ink, for one photo's layout of rows.

    It remembers the periods of its last weaving: that is what hysteresis compares with.
    """

    target: FloatImage
    grid: RowGrid
    settings: LineSettings

    def __post_init__(self) -> None:
        s = self.settings
        self.waves = [make_wave(n, s.waveform, self.grid, s.line_width_m) for n in PERIODS]
        self.periods = np.ones((self.grid.rows, self.grid.columns), np.int64)
        self.samples = self.grid.columns * SAMPLES_PER_CELL
        if s.spread_rows:
            self.centres = spread_centres(self.target, self.grid, s.line_width_m)
        else:
            self.centres = np.repeat(self.grid.centres_m(), self.samples, axis=1).astype(np.float32)
        share = merged_share(self.target, self.centres, self.grid, s.line_width_m)
        self.share = share if s.merge_rows else np.zeros_like(share)
        self.room = room_between(self.centres, self.grid)

    def halves(self, tone: FloatImage, per_row: int) -> tuple[FloatImage, FloatImage]:
        """Mean tone just above and just below the middle of each row, (rows, per_row) each."""
        g = self.grid
        narrow = cv2.resize(tone, (per_row, tone.shape[0]), interpolation=cv2.INTER_AREA)
        near = cv2.blur(narrow, (1, BINS_PER_CELL // 2), borderType=cv2.BORDER_REPLICATE)
        at = (np.arange(per_row) * 2 + 1) * (self.samples // per_row) // 2
        column = np.broadcast_to(np.arange(per_row, dtype=np.float32), (g.rows, per_row))
        found = []
        for room, side in zip(self.room, (-0.25, 0.25), strict=True):
            v = self.centres[:, at] + side * room[:, at]
            line = (v * (BINS_PER_CELL / g.pitch_m)).astype(np.float32)
            found.append(cv2.remap(near, column, line, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        return found[0], found[1]

    def choose_periods(self, tone: FloatImage) -> Periods:
        """Periods per cell (rows, columns): the fewest that reach the darker half-cell, with hysteresis."""
        above, below = (
            half.reshape(self.grid.rows, -1, 2) for half in self.halves(tone, 2 * self.grid.columns)
        )
        need = np.maximum(above.max(axis=2), below.max(axis=2))
        chosen = np.ones_like(self.periods)
        for wave in self.waves[:-1]:
            switch = wave.darkest * SWITCH[self.settings.tuned_for]
            kept = (need > switch - HYSTERESIS[self.settings.tuned_for]) & (self.periods > wave.periods)
            chosen[(need > switch) | kept] = wave.periods + 1
        return chosen

    def weave(self, tone: FloatImage) -> FloatImage:
        """Rows v (rows, samples + 1) [m]; every half-wave takes its amplitude from its own half-cell."""
        g = self.grid
        self.periods = self.choose_periods(tone)
        wave = np.zeros((g.rows, self.samples), np.float32)
        mine = np.repeat(self.periods, SAMPLES_PER_CELL, axis=1)
        for kind in self.waves:
            here = mine == kind.periods
            if not here.any():
                continue
            own, below = self.halves(tone, 2 * kind.periods * g.columns)
            own[:, 1::2] = below[:, 1::2]
            np.copyto(wave, kind.row(own, self.samples), where=here)
        wave *= np.where(wave < 0, self.room[0], self.room[1]) / np.float32(g.pitch_m)
        pairs = len(self.share)
        wave[: 2 * pairs] *= np.repeat(1 - self.share, 2, axis=0)
        v = merge_pairs(self.centres, g, tone, self.share, self.settings.line_width_m) + wave
        return np.pad(v, ((0, 0), (0, 1)), mode="edge")

    def ink(self, v: FloatImage) -> FloatImage:
        """Ink (rows * b, columns * b) that the machine leaves when it is sent the rows v."""
        g, s = self.grid, self.settings
        step = g.cell_m / SAMPLES_PER_CELL
        drawn = play(v, s.residual_backlash_m)
        low, high = envelope(drawn, step, s.line_width_m / 2)
        _add_links(high, drawn, max(1, round(s.line_width_m / 2 / step)))
        return row_ink(
            low,
            high,
            g.rows * BINS_PER_CELL,
            g.pitch_m / BINS_PER_CELL,
            SAMPLES_PER_CELL // BINS_PER_CELL,
        )


def _add_links(high: FloatImage, v: FloatImage, samples: int) -> None:
    """Let each row's ink reach down to the next row where the serpentine turns; in place."""
    right, left = high[0:-1:2, -samples:], high[1:-1:2, :samples]
    np.maximum(right, v[1::2, -1:], out=right)
    np.maximum(left, v[2::2, :1], out=left)
