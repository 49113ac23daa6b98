"""The calibrated method: tone from geometry, corrected by analysis by synthesis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.layout import merge_pairs, merged_share, room_between, spread_centres
from sketch_cell.drawing.rows import RowGrid, play, rows_ink, serpentine
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.drawing.synthesis import synthesise
from sketch_cell.drawing.tone import MeasuredTone, target_ink
from sketch_cell.drawing.wave import FLATTEST, HALF_WAVES, SAMPLES_PER_CELL, make_wave
from sketch_cell.drawing.weave import cell_tones, summed, weave

FloatImage = NDArray[np.float32]
Array = NDArray[np.float64]
Kinds = NDArray[np.int64]

BINS_PER_CELL = 8  # of the grid on which drawing and photo are compared

# When a cell takes the next faster wave, by what the plan is tuned for: the share of its wave's darkest tone that
# calls for it. Grey values save reversals at the price of tone that is hardly seen; an adapted eye forgives no ripple.
SWITCH = {"linear": (0.93, 0.96, 1.0), "value": (0.97, 1.0, 1.04), "adapted": (0.9, 0.93, 0.96)}
# Tunings whose lone period flattens its crests; else it stays round, for detail.
FLAT_PERIOD = frozenset({"value"})
HYSTERESIS = 0.1  # tone by which a cell must fall below that before it goes back to the slower wave


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

    It remembers the waves of its last weaving: that is what hysteresis compares with.
    """

    target: FloatImage
    grid: RowGrid
    settings: LineSettings

    def __post_init__(self) -> None:
        s, g = self.settings, self.grid
        flattest = FLATTEST if s.tuned_for in FLAT_PERIOD else {**FLATTEST, 2: 1.0}
        self.waves = [make_wave(n, s.waveform, g, s.line_width_m, flattest[n]) for n in HALF_WAVES]
        self.tables = np.stack([wave.by_tone() for wave in self.waves])
        self.tables[..., 0] /= g.pitch_m / 2
        self.shapes = np.stack([wave.shape() for wave in self.waves])
        self.kind = np.zeros((g.rows, g.columns), np.int64)
        self.samples = g.columns * SAMPLES_PER_CELL
        if s.spread_rows:
            self.centres = spread_centres(self.target, g, s.line_width_m)
        else:
            self.centres = np.repeat(g.centres_m(), self.samples, axis=1).astype(np.float32)
        merged = merged_share(self.target, self.centres, g, s.line_width_m)
        self.merged = merged if s.merge_rows else np.zeros_like(merged)
        self.left = np.ones_like(self.centres)
        self.left[: 2 * len(merged)] -= np.repeat(self.merged, 2, axis=0)
        self.up, self.down = (room / 2 for room in room_between(self.centres, g))

    def weave(self, tone: FloatImage) -> FloatImage:
        """Rows v (rows, samples + 1) [m]; every half-wave takes its amplitude from its own half-cell."""
        g = self.grid
        total, bins_per_m = summed(tone), BINS_PER_CELL / g.pitch_m
        self.kind = self.choose(total, bins_per_m)
        v = merge_pairs(self.centres, g, tone, self.merged, self.settings.line_width_m)
        v = np.pad(v, ((0, 0), (0, 1)), mode="edge")
        own = (self.centres, self.up, self.down, self.left)
        half_waves = np.array(HALF_WAVES)
        weave(total, self.kind, half_waves, self.tables, self.shapes, *own, BINS_PER_CELL, bins_per_m, v)
        return v

    def choose(self, total: Array, bins_per_m: float) -> Kinds:
        """Number of each cell's wave (rows, columns): the slowest that reaches its tone, with hysteresis."""
        tones = np.empty(self.kind.shape)
        cell_tones(total, self.centres, self.up, self.down, BINS_PER_CELL, bins_per_m, tones)
        chosen = np.zeros_like(self.kind)
        for number, share in enumerate(SWITCH[self.settings.tuned_for]):
            switch = self.waves[number].darkest * share
            kept = (tones > switch - HYSTERESIS) & (self.kind > number)
            chosen[(tones > switch) | kept] = number + 1
        return _even(chosen)

    def ink(self, v: FloatImage) -> FloatImage:
        """Ink (rows * b, columns * b) that the machine leaves when it is sent the rows v."""
        g, s = self.grid, self.settings
        return rows_ink(
            play(v, s.residual_backlash_m),
            step_m=g.cell_m / SAMPLES_PER_CELL,
            line_width_m=s.line_width_m,
            bins=g.rows * BINS_PER_CELL,
            bin_m=g.pitch_m / BINS_PER_CELL,
            fold=SAMPLES_PER_CELL // BINS_PER_CELL,
            turns=True,
        )


def _even(chosen: Kinds) -> Kinds:
    """The same choice with odd numbers of half-waves only in both cells of a pair: so that, wherever a row's cell
    pairs begin, its wave begins upwards, and rows stay in step whatever their neighbours choose."""
    odd = np.array(HALF_WAVES)[chosen] % 2 == 1
    paired = odd.copy()
    last = chosen.shape[1] // 2 * 2
    paired[:, 0:last:2] &= odd[:, 1:last:2]
    paired[:, 1:last:2] &= odd[:, 0:last:2]
    paired[:, last:] = False
    return np.where(odd & ~paired, chosen + 1, chosen)
