"""Rows of waves as graphs v(u): their ink by exact envelopes, and their way onto the screen.

Row frame: u runs along the rows from their left end, v across them from the first row down [m]. Each row is a
function v(u), so the ink of a round pen on any line u = const is one interval: between the grey erosion and the
grey dilation of the row with the pen's disc.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
FloatImage = NDArray[np.float32]

PEN_DIRECTIONS = 9
THREADS = 2
SMALL = 256  # columns that are not worth a second thread


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
    count = v.shape[1] - 1
    low, high = np.empty((len(v), count), np.float32), np.empty((len(v), count), np.float32)
    pen = _pen(step, radius)
    for row, low_row, high_row in zip(np.ascontiguousarray(v, np.float32), low, high, strict=True):
        _trace(row, 0, *pen, low_row, high_row)
    return low, high


def rows_ink(
    v: NDArray[np.floating],
    *,
    step_m: float,
    line_width_m: float,
    bins: int,
    bin_m: float,
    fold: int,
    turns: bool,
) -> FloatImage:
    """Exact share of ink (bins, samples // fold) that rows v (rows, samples + 1) [m] leave, from small v to large.

    Samples are `step_m` apart; bins are `bin_m` high, start at v = 0, and each joins `fold` neighbouring samples.
    Overlaps between rows count once. With `turns`, the ink of the links of a serpentine is added.
    """
    v = np.ascontiguousarray(v, np.float32)
    columns = (v.shape[1] - 1) // fold
    ink = np.zeros((bins, columns), np.float32)
    pen = _pen(step_m, line_width_m / 2)
    turn = max(1, round(line_width_m / 2 / step_m)) if turns else 0
    edges = np.linspace(0, columns, THREADS + 1).astype(int) if columns > SMALL else [0, columns]

    def part(first: int, last: int) -> None:
        _ink(v, first * fold, last * fold, *pen, turn, np.float32(bin_m), fold, ink)

    if len(edges) == 2:
        part(0, columns)
    else:
        with ThreadPoolExecutor(THREADS) as pool:  # the kernel lets go of Python's lock
            list(pool.map(part, edges[:-1], edges[1:]))
    return ink


def _pen(step: float, radius: float) -> tuple[NDArray[np.int64], FloatImage, FloatImage]:
    """The pen's edge at offsets along the row: whole samples, the part of a sample beyond, half the chord there."""
    turned = radius * np.sin(np.linspace(-np.pi / 2, np.pi / 2, PEN_DIRECTIONS))
    stride = max(1, int(radius / step) // 4)
    first = 0.5 + np.arange(0, max(radius / step - 0.5, 0), stride)
    on_samples = np.concatenate([-first, first]) * step
    offset = np.unique(np.round(np.concatenate([turned, on_samples]), 12))
    whole = np.floor(offset / step + 0.5 + 1e-9).astype(np.int64)
    part = np.maximum(offset / step + 0.5 - whole, 0)
    chord = np.sqrt(np.maximum(radius**2 - offset**2, 0))
    return whole, part.astype(np.float32), chord.astype(np.float32)


@njit(cache=True, nogil=True)
def _trace(row, begin, whole, part, chord, low, high):  # type: ignore[no-untyped-def]
    """Fill low and high with the ends of a row's ink on the len(low) intervals from sample `begin` on."""
    last, count = len(row) - 1, len(low)
    low[:], high[:] = np.inf, -np.inf
    for k in range(len(whole)):
        first = begin + whole[k]
        # Beyond its ends a row goes on level.
        inner_from = min(max(-first, 0), count)
        inner_to = min(max(last - first, inner_from), count)
        _widen(row[0], chord[k], low[:inner_from], high[:inner_from])
        here, there = row[first + inner_from :], row[first + inner_from + 1 :]
        low_part, high_part = low[inner_from:inner_to], high[inner_from:inner_to]
        for i in range(len(low_part)):
            v = here[i] + part[k] * (there[i] - here[i])
            under, over = v - chord[k], v + chord[k]
            low_part[i] = under if under < low_part[i] else low_part[i]
            high_part[i] = over if over > high_part[i] else high_part[i]
        _widen(row[last], chord[k], low[inner_to:], high[inner_to:])


@njit(cache=True, nogil=True)
def _widen(v, chord, low, high):  # type: ignore[no-untyped-def]
    """Let low and high take in v - chord and v + chord; in place."""
    for i in range(len(low)):
        low[i], high[i] = min(low[i], v - chord), max(high[i], v + chord)


@njit(cache=True, nogil=True)
def _ink(v, begin, end, whole, part, chord, turn, bin_m, fold, ink):  # type: ignore[no-untyped-def]
    """Add the ink of the samples begin..end of all rows to ink (bins, columns); see `rows_ink`."""
    rows, bins = len(v), len(ink)
    low, high = np.empty(end - begin, np.float32), np.empty(end - begin, np.float32)
    reached = np.zeros(end - begin, np.float32)
    share = np.float32(1 / fold)
    per_m = np.float32(1) / bin_m
    for r in range(rows):
        _trace(v[r], begin, whole, part, chord, low, high)
        if turn and r + 1 < rows:
            _join(high, begin, end, v.shape[1] - 1, turn, r % 2 == 0, v[r + 1])
        for i in range(end - begin):
            top = max(low[i], reached[i])
            bottom = max(high[i], top)
            reached[i] = bottom
            a, b = min(top * per_m, np.float32(bins)), min(bottom * per_m, np.float32(bins))
            column = (begin + i) // fold
            first, last = int(a), min(int(b), bins - 1)
            if first >= last:
                if first < bins:
                    ink[first, column] += (b - a) * share
                continue
            ink[first, column] += (first + 1 - a) * share
            for q in range(first + 1, last):
                ink[q, column] += share
            ink[last, column] += (b - last) * share


@njit(cache=True, nogil=True)
def _join(high, begin, end, samples, turn, at_end, following):  # type: ignore[no-untyped-def]
    """Let a row's ink reach down to the next row over the `turn` samples where a serpentine turns; in place."""
    first, last = (samples - turn, samples) if at_end else (0, turn)
    reach = following[samples] if at_end else following[0]
    for j in range(max(first, begin), min(last, end)):
        high[j - begin] = max(high[j - begin], reach)


def play(v: NDArray[np.floating], width: float) -> NDArray[np.floating]:
    """Where the stylus goes when the wave axis has `width` of play: the play operator along each row, left to right."""
    if width <= 0:
        return v
    out = np.array(v)
    _play(out, width / 2)
    return out


@njit(cache=True, nogil=True)
def _play(v, half):  # type: ignore[no-untyped-def]
    """The play operator along each row of v; in place."""
    for r in range(len(v)):
        state = v[r, 0]
        for i in range(v.shape[1]):
            state = min(max(state, v[r, i] - half), v[r, i] + half)
            v[r, i] = state


def serpentine(u: Array, v: NDArray[np.floating]) -> Array:
    """One polyline (rows * samples, 2) in the row frame: even rows left to right, odd rows back.

    u (samples,), v (rows, samples). The link between two rows is the straight step between their ends.
    """
    uv = np.stack(np.broadcast_arrays(u, v), axis=-1).astype(np.float64)
    uv[1::2] = uv[1::2, ::-1]
    return uv.reshape(-1, 2)
