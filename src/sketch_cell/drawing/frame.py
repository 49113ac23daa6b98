"""Where the drawing lies on the glass, and the one place where the row frame becomes the screen frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.rows import RowGrid
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.errors import SettingError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """The drawing's rectangle on the glass [m, frame screen] and the axis that carries the wave."""

    left_m: float
    bottom_m: float
    width_m: float
    height_m: float
    cell_m: float
    wave_axis: str

    def grid(self) -> RowGrid:
        """The drawing divided into rows of cells; rows run along x when the wave is on y, else along y."""
        columns = max(1, round(self.width_m / self.cell_m))
        rows = max(1, round(self.height_m / self.cell_m))
        if self.wave_axis == "y":
            return RowGrid(rows, columns, self.width_m, self.height_m)
        return RowGrid(columns, rows, self.height_m, self.width_m)

    def row_picture(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The photo as the rows meet it: transposed when they run down the picture."""
        return image if self.wave_axis == "y" else np.ascontiguousarray(image.swapaxes(0, 1))

    def screen_from_rows(self, uv: Array) -> Array:
        """Screen points (N, 2) [m] of points (u, v) in the row frame; the only flip of picture rows."""
        across, down = (uv[:, 0], uv[:, 1]) if self.wave_axis == "y" else (uv[:, 1], uv[:, 0])
        x = np.clip(across, 0, self.width_m) + self.left_m
        y = self.height_m - np.clip(down, 0, self.height_m) + self.bottom_m
        return np.stack([x, y], axis=1)


def on_own_sheet(photo_rows: int, photo_columns: int, settings: LineSettings) -> LineSettings:
    """The settings with a glass exactly as large as the drawing at its full long edge, without margin."""
    scale = settings.long_edge_m / max(photo_rows, photo_columns)
    cell = settings.long_edge_m / settings.cells
    return replace(
        settings,
        glass_width_m=max(photo_columns * scale, cell),
        glass_height_m=max(photo_rows * scale, cell),
        margin_m=0.0,
    )


def frame_for(photo_rows: int, photo_columns: int, settings: LineSettings) -> Frame:
    """The largest rectangle of the photo's shape within long edge, glass and margin, centred on the glass.

    A photo thinner than a cell gets one row of cells. Raises `SettingError` where the cells come out narrower
    than the line.
    """
    room_x = settings.glass_width_m - 2 * settings.margin_m
    room_y = settings.glass_height_m - 2 * settings.margin_m
    scale = min(
        settings.long_edge_m / max(photo_rows, photo_columns), room_x / photo_columns, room_y / photo_rows
    )
    cell = max(photo_rows, photo_columns) * scale / settings.cells
    if settings.line_width_m >= cell:
        raise SettingError(
            f"line_width_m is {settings.line_width_m:g} m, wider than a cell: on this glass the drawing is "
            f"{photo_columns * scale:.4g} x {photo_rows * scale:.4g} m and {settings.cells} cells are {cell:.4g} m "
            "each. Choose fewer cells or a thinner line."
        )
    width, height = min(max(photo_columns * scale, cell), room_x), min(max(photo_rows * scale, cell), room_y)
    left, bottom = (settings.glass_width_m - width) / 2, (settings.glass_height_m - height) / 2
    return Frame(left, bottom, width, height, cell, settings.wave_axis)
