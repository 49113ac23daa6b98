"""Rows of waves as graphs v(u): their ink by exact envelopes, and their way onto the screen.

Row frame: u runs along the rows from their left end, v across them from the first row down [m]. Each row is a
function v(u), so the ink of a round pen on any line u = const is one interval: between the grey erosion and the
grey dilation of the row with the pen's disc. That makes rendering a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.render import interval_area

Array = NDArray[np.float64]
FloatImage = NDArray[np.float32]

PEN_DIRECTIONS = 9


@dataclass(frozen=True)
class RowGrid:
    """How the drawing divides into rows of cells; `width` along the rows, `height` across them [m]."""

    rows: int
    columns: int
    width_m: float
    height_m: float

    @property
    def pitch_m(self) -> float:
        """Distance between neighbouring rows."""
        return self.height_m / self.rows

    @property
    def cell_m(self) -> float:
        """Length of one cell along the row."""
        return self.width_m / self.columns

    def centres_m(self) -> Array:
        """v of every row's middle (rows, 1)."""
        return np.asarray((np.arange(self.rows) + 0.5) * self.pitch_m, np.float64)[:, None]


def envelope(
    v: NDArray[np.floating], step: float, radius: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Lower and upper end of the ink halfway between samples: (low, high), both (rows, samples - 1).

    v (rows, samples) is piecewise linear over samples `step` apart; radius is half the line width; one unit.
    """
    reach = int(np.ceil(radius / step)) + 1
    count = v.shape[1] - 1
    padded = np.pad(v, ((0, 0), (reach, reach)), mode="edge")
    low = np.full((v.shape[0], count), np.inf, v.dtype)
    high = np.full_like(low, -np.inf)
    for offset in _pen_offsets(step, radius):
        whole = int(np.floor(offset / step + 0.5 + 1e-9))
        part = v.dtype.type(max(offset / step + 0.5 - whole, 0.0))
        chord = v.dtype.type(np.sqrt(max(radius**2 - offset**2, 0.0)))
        there = padded[:, reach + whole : reach + whole + count]
        if part > 1e-6:
            there = there + part * (padded[:, reach + whole + 1 : reach + whole + 1 + count] - there)
        np.maximum(high, there + chord, out=high)
        np.minimum(low, there - chord, out=low)
    return low, high


def _pen_offsets(step: float, radius: float) -> Array:
    """Offsets across the pen at which its edge is followed: evenly turned, and on the samples themselves."""
    turned = radius * np.sin(np.linspace(-np.pi / 2, np.pi / 2, PEN_DIRECTIONS))
    stride = max(1, int(radius / step) // 4)
    first = 0.5 + np.arange(0, max(radius / step - 0.5, 0), stride)
    on_samples = np.concatenate([-first, first]) * step
    return np.unique(np.round(np.concatenate([turned, on_samples]), 12))


def row_ink(
    low: NDArray[np.floating], high: NDArray[np.floating], bins: int, bin_m: float, fold: int
) -> FloatImage:
    """Exact share of ink (bins, samples // fold) of rows whose ink on each sample spans low..high.

    low, high (rows, samples), rows from small v to large; overlaps between rows count once. Bins are `bin_m`
    high, start at v = 0, and each joins `fold` neighbouring samples.
    """
    high = np.maximum.accumulate(high, axis=0)
    low = low.copy()
    np.maximum(low[1:], high[:-1], out=low[1:])
    high = np.maximum(high, low)
    samples = low.shape[1]
    columns = samples // fold
    column = np.broadcast_to(np.arange(samples) // fold, low.shape)
    ink = np.zeros((bins, columns))
    for edge, sign in ((low, 1.0), (high, -1.0)):
        position = np.clip(edge / bin_m, 0, bins).astype(np.float64)
        ink += sign * interval_area(column.ravel(), position.ravel(), bins, columns)
    return (ink / fold).astype(np.float32)


def play(v: NDArray[np.floating], width: float) -> NDArray[np.floating]:
    """Where the stylus goes when the wave axis has `width` of play: the play operator along each row, left to right."""
    if width <= 0:
        return v
    half = v.dtype.type(width / 2)
    out = np.empty_like(v)
    state = v[:, 0].copy()
    for i in range(v.shape[1]):
        state = np.clip(state, v[:, i] - half, v[:, i] + half)
        out[:, i] = state
    return out


def serpentine(u: Array, v: NDArray[np.floating]) -> Array:
    """One polyline (rows * samples, 2) in the row frame: even rows left to right, odd rows back.

    u (samples,), v (rows, samples). The link between two rows is the straight step between their ends.
    """
    uv = np.stack(np.broadcast_arrays(u, v), axis=-1).astype(np.float64)
    uv[1::2] = uv[1::2, ::-1]
    return uv.reshape(-1, 2)
