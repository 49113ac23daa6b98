"""Where the sweets lie: square, hexagonal or side-on lattices of one pitch, fitted to a photo's shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import SettingError

HEX_ROW = math.sqrt(3.0) / 2.0
MAX_SWEETS = 4_000_000


@dataclass(frozen=True)
class Layout:
    """A lattice of `rows` x `cols` sweets; lengths in pitches (one pitch is a round sweet's diameter).

    Row 0 is the top of the picture. Odd rows are shifted right by `shift`. Cells are numbered row by row.
    """

    kind: str
    rows: int
    cols: int
    row_step: float
    shift: float

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise SettingError(
                f"a board of {self.rows} x {self.cols} sweets holds nothing: choose a longer short_edge."
            )
        if self.sweets > MAX_SWEETS:
            raise SettingError(
                f"a board of {self.sweets} sweets is more than {MAX_SWEETS}: choose a shorter short_edge."
            )

    @property
    def sweets(self) -> int:
        """How many sweets lie on the board."""
        return self.rows * self.cols

    @property
    def width(self) -> float:
        """Width of the board [pitches]."""
        return self.cols + (self.shift if self.rows > 1 else 0.0)

    @property
    def height(self) -> float:
        """Height of the board [pitches]."""
        sweet = self.row_step if self.kind == "side" else 1.0
        return (self.rows - 1) * self.row_step + sweet

    def centres(self) -> NDArray[np.float64]:
        """Centre of every cell (rows, cols, 2) [pitches], x right and y down from the board's upper left."""
        x = np.arange(self.cols) + 0.5 + self.shift * (np.arange(self.rows) % 2)[:, None]
        first = 0.5 * self.row_step if self.kind == "side" else 0.5
        y = np.arange(self.rows) * self.row_step + first
        return np.stack([x, np.broadcast_to(y[:, None], x.shape)], axis=-1)

    def centres_m(self, pitch_m: float) -> NDArray[np.float64]:
        """Centre of every cell (N, 2) [m, frame board: origin lower left, x right, y up]."""
        centres = self.centres().reshape(-1, 2)
        return np.stack([centres[:, 0], self.height - centres[:, 1]], axis=1) * pitch_m


def fit_layout(kind: str, short_edge: int, aspect: float, side_height: float = 0.63) -> Layout:
    """The lattice whose board is `short_edge` pitches along its short edge, for a photo of width / height `aspect`.

    `side_height` is how high a sweet is that lies on its side [pitches]. Raises `SettingError` where
    nothing would fit.
    """
    width, height = max(1.0, aspect) * short_edge, max(1.0, 1.0 / aspect) * short_edge
    if kind == "square":
        return Layout(kind, round(height), round(width), 1.0, 0.0)
    if kind == "hex":
        return Layout(kind, round((height - 1.0) / HEX_ROW) + 1, round(width - 0.5), HEX_ROW, 0.5)
    if kind == "side":
        return Layout(kind, round(height / side_height), round(width), side_height, 0.0)
    raise SettingError(f"layout is {kind!r}, but must be one of square, hex, side.")
