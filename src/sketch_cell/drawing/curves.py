"""Two lines that are no rows: a space-filling curve of variable density, and one modulated spiral."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.coverage import sine_table
from sketch_cell.drawing.render import render_ink
from sketch_cell.drawing.rows import RowGrid
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.drawing.synthesis import synthesise
from sketch_cell.drawing.tone import MeasuredTone, target_ink
from sketch_cell.drawing.wave import crest

FloatImage = NDArray[np.float32]
Array = NDArray[np.float64]

BINS_PER_CELL = 4
LIGHTEST = 0.03  # share of ink of the coarsest square of the space-filling curve
SPIRAL_PERIODS = 2  # per cell of arc
SPIRAL_POINTS = 8  # per half-wave


@dataclass(frozen=True)
class Canvas:
    """The picture's rectangle (u right, v down) [m] and the pixels on which ink and photo are compared."""

    grid: RowGrid
    settings: LineSettings

    @property
    def pixels_per_m(self) -> float:
        """Resolution of the comparison."""
        return BINS_PER_CELL / self.grid.cell_m

    def ink(self, uv: Array) -> FloatImage:
        """Ink of a line (N, 2) [m] on the comparison's pixels."""
        g = self.grid
        return render_ink(
            np.stack([uv[:, 0], g.height_m - uv[:, 1]], axis=1),
            width_m=g.width_m,
            height_m=g.height_m,
            line_width_m=self.settings.line_width_m,
            pixels_per_m=self.pixels_per_m,
        )

    def line(self, photo: FloatImage, draw: _Curve, measured: MeasuredTone) -> Array:
        """The curve whose tones were corrected by analysis by synthesis."""
        g = self.grid
        rows = max(1, round(g.height_m * self.pixels_per_m))
        columns = max(1, round(g.width_m * self.pixels_per_m))
        target = target_ink(photo, rows, columns, self.settings, g.pitch_m)
        sigma = self.settings.blur_cells * BINS_PER_CELL
        return synthesise(
            target, draw.draw, self.ink, settings=self.settings, measured=measured, sigma_px=sigma
        )


class _Curve:
    """A line made of tones: what `hilbert` and `spiral` have in common."""

    def draw(self, tone: FloatImage) -> Array:
        raise NotImplementedError


def hilbert_line(photo: FloatImage, grid: RowGrid, settings: LineSettings, measured: MeasuredTone) -> Array:
    """Hilbert's curve (D. Hilbert 1891) with squares as fine as the photo is dark: (N, 2) in the row frame [m]."""
    return Canvas(grid, settings).line(photo, Hilbert(grid, settings.line_width_m), measured)


def spiral_line(photo: FloatImage, grid: RowGrid, settings: LineSettings, measured: MeasuredTone) -> Array:
    """One spiral of Archimedes with a wave across it: (N, 2) in the row frame [m]; it follows the border where
    it would leave the picture."""
    return Canvas(grid, settings).line(photo, Spiral(grid, settings), measured)


@dataclass(frozen=True)
class Hilbert(_Curve):
    """Squares in the order of the curve, each divided in four while its tone asks for more ink."""

    grid: RowGrid
    line_width_m: float

    def draw(self, tone: FloatImage) -> Array:
        """The line through the middles of all squares; a square of side s carries about w / s of ink."""
        corner, along, across = self._blocks()
        total = cv2.integral(tone, sdepth=cv2.CV_64F)
        done = np.zeros(len(corner), bool)
        while not done.all():
            side = (np.abs(along).sum(axis=1) + np.abs(across).sum(axis=1)) / 2
            ink = self.line_width_m / side
            # A square's four parts carry twice its ink; a share of the squares is divided to hit the tone
            # between, and the running sum hands each square's remainder to the next along the curve.
            wish = np.clip((self._mean(total, corner, along, across) - ink) / ink, 0, 1)
            wish[done | (2 * ink > 1.3)] = 0
            wish[ink < LIGHTEST] = 1
            running = np.floor(np.cumsum(wish) + 0.5)
            divide = np.diff(running, prepend=0.0) > 0
            done |= ~divide
            corner, along, across, done = _divided(corner, along, across, done, divide)
        return corner + (along + across) / 2

    def _blocks(self) -> tuple[Array, Array, Array]:
        """Whole curves side by side along the picture's longer edge, nearly square each."""
        g = self.grid
        long, short = max(g.width_m, g.height_m), min(g.width_m, g.height_m)
        count = max(1, round(long / short))
        first = np.arange(count) * long / count
        corner = np.stack([first, np.zeros(count)], axis=1)
        across = np.tile([long / count, 0.0], (count, 1))
        along = np.tile([0.0, short], (count, 1))
        if g.height_m > g.width_m:
            return corner[:, ::-1], along[:, ::-1], across[:, ::-1]
        return corner, along, across

    def _mean(self, total: Array, corner: Array, along: Array, across: Array) -> Array:
        """Mean tone of each square, from the picture's integral."""
        rows, columns = total.shape[0] - 1, total.shape[1] - 1
        scale = np.array([columns / self.grid.width_m, rows / self.grid.height_m])
        far = corner + along + across
        low = np.minimum(corner, far) * scale
        high = np.maximum(corner, far) * scale
        u0, v0 = np.clip(np.floor(low + 1e-6), 0, [columns - 1, rows - 1]).astype(int).T
        u1, v1 = np.clip(np.ceil(high - 1e-6), 1, [columns, rows]).astype(int).T
        u1, v1 = np.maximum(u1, u0 + 1), np.maximum(v1, v0 + 1)
        summed = total[v1, u1] - total[v0, u1] - total[v1, u0] + total[v0, u0]
        return np.asarray(summed / ((u1 - u0) * (v1 - v0)))


def _divided(
    corner: Array, along: Array, across: Array, done: NDArray[np.bool_], divide: NDArray[np.bool_]
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """The same curve with the chosen squares replaced by their four parts, in the curve's order."""
    a, b = along / 2, across / 2
    corners = np.stack([corner, corner + a, corner + a + b, corner + a + 2 * b], axis=1)
    alongs, acrosses = np.stack([b, a, a, -b], axis=1), np.stack([a, b, b, -a], axis=1)
    parts = np.where(divide, 4, 1)
    owner = np.repeat(np.arange(len(corner)), parts)
    part = np.arange(len(owner)) - np.repeat(np.cumsum(parts) - parts, parts)
    split = divide[owner]
    new = [
        np.where(split[:, None], pieces[owner, part], whole[owner])
        for pieces, whole in ((corners, corner), (alongs, along), (acrosses, across))
    ]
    return new[0], new[1], new[2], done[owner] & ~split


class Spiral(_Curve):
    """A spiral from the middle outwards, its turns one pitch apart, with a wave towards and from the middle."""

    def __init__(self, grid: RowGrid, settings: LineSettings) -> None:
        self.grid, self.waveform = grid, settings.waveform
        pitch = grid.pitch_m
        self.half_wave = grid.cell_m / SPIRAL_PERIODS / 2
        reach = np.hypot(grid.width_m, grid.height_m) / 2
        count = int(np.pi * reach**2 / pitch / self.half_wave) + 1
        arc = np.arange(count * SPIRAL_POINTS + 1) * self.half_wave / SPIRAL_POINTS
        # Arc length of a spiral of Archimedes is r phi^2 / (4 pi) from the second turn on.
        self.angle = np.sqrt(4 * np.pi * arc / pitch)
        self.radius = self.angle * pitch / (2 * np.pi)
        self.table = sine_table(2 * self.half_wave, pitch, settings.line_width_m, pitch / 2)
        middle = np.arange(count) * SPIRAL_POINTS + SPIRAL_POINTS // 2
        self.middles = self._points(self.radius[middle], self.angle[middle])
        phase = np.arange(SPIRAL_POINTS) / SPIRAL_POINTS
        signs = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
        self.shape = np.append((signs[:, None] * crest(phase, self.waveform)).ravel(), 0.0)

    def draw(self, tone: FloatImage) -> Array:
        """The spiral (N, 2) [m] whose half-waves carry the tones they lie on."""
        scale = np.array([tone.shape[1] / self.grid.width_m, tone.shape[0] / self.grid.height_m])
        at = (self.middles * scale - 0.5).astype(np.float32)
        size = 32_000  # cv2.remap's limit on the length of a row
        found = [
            cv2.remap(tone, part[:, :1], part[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for part in np.array_split(at, max(1, -(-len(at) // size)))
        ]
        amplitude = self.table.amplitude_for(np.concatenate(found).ravel())
        wave = np.append(np.repeat(amplitude, SPIRAL_POINTS), 0.0) * self.shape
        uv = self._points(self.radius + wave, self.angle)
        # Corners outside the picture collapse onto the border: one point per visit is enough.
        moved = np.append(True, np.abs(np.diff(uv, axis=0)).sum(axis=1) > 1e-9)
        return np.asarray(uv[moved])

    def _points(self, radius: Array, angle: Array) -> Array:
        centre = np.array([self.grid.width_m, self.grid.height_m]) / 2
        uv = centre + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.asarray(np.clip(uv, 0, 2 * centre))
