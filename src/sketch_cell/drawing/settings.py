"""Every number the line planner can be told, with its unit, range and meaning."""

from __future__ import annotations

from dataclasses import dataclass

from sketch_cell.errors import SettingError
from sketch_cell.settings import Settings, setting

METHODS = ("calibrated", "reference", "hilbert", "spiral")
TUNINGS = ("linear", "value", "adapted")
WAVEFORMS = ("sine", "triangle", "square")


@dataclass(frozen=True)
class LineSettings(Settings):
    """Settings of `plan_line`; impossible combinations raise `SettingError` naming the setting."""

    method: str = setting("calibrated", "how tone becomes a line", choices=METHODS)
    tuned_for: str = setting(
        "value",
        "what the drawing is to match: linear (light, as a camera adds it up), value (grey values, as the "
        "original), adapted (grey values up to contrast and brightness, as an eye that has adapted)",
        choices=TUNINGS,
    )
    cells: int = setting(64, "cells along the long edge of the drawing", minimum=1, maximum=1024)
    line_width_m: float = setting(0.0006, "width of the drawn line", unit="m", minimum=1e-6, maximum=0.1)
    long_edge_m: float = setting(
        0.155,
        "longest allowed edge of the drawing; it shrinks to fit the glass",
        unit="m",
        minimum=1e-3,
        maximum=10.0,
    )
    glass_width_m: float = setting(0.153, "width of the drawable glass", unit="m", minimum=1e-3, maximum=10.0)
    glass_height_m: float = setting(
        0.107, "height of the drawable glass", unit="m", minimum=1e-3, maximum=10.0
    )
    margin_m: float = setting(
        0.003, "free border kept on every side of the glass", unit="m", minimum=0.0, maximum=1.0
    )
    wave_axis: str = setting(
        "y", "axis that carries the wave; take the one with less backlash", choices=("x", "y")
    )
    waveform: str = setting("sine", "shape of one wave (calibrated, reference, spiral)", choices=WAVEFORMS)
    spread_rows: bool = setting(
        True,
        "bend the rows apart in highlights and together in shadows, so that bare rows fit the tone (calibrated)",
    )
    merge_rows: bool = setting(
        True, "let pairs of rows share one track in highlights, which halves the lightest tone (calibrated)"
    )
    iterations: int = setting(12, "rounds of analysis by synthesis", minimum=0, maximum=200)
    correction: float = setting(
        0.7, "share of the blurred error corrected per round", minimum=0.05, maximum=1.5
    )
    blur_cells: float = setting(
        0.5, "standard deviation of the viewer's blur, in cells", minimum=0.1, maximum=4.0
    )
    local_contrast: float = setting(
        0.0,
        "share of the contrast of fine detail that is given back where the tone range is compressed: 1 draws it "
        "with the photo's own, at the price of the tones between (adapted)",
        minimum=0.0,
        maximum=2.0,
    )
    residual_backlash_m: float = setting(
        0.0, "backlash left on the wave axis after compensation", unit="m", minimum=0.0, maximum=0.01
    )
    exponent: float = setting(
        1.5, "exponent on the stretched darkness (reference)", minimum=0.05, maximum=20.0
    )
    find_exponent: bool = setting(
        True,
        "search the exponent by successive parabolic interpolation instead of taking `exponent` (reference)",
    )
    periods: int = setting(3, "whole periods per cell (reference)", minimum=1, maximum=16)
    amplitude: float = setting(
        1.0, "amplitude of the darkest cell, as a share of half a cell (reference)", minimum=0.0, maximum=1.0
    )
    points_per_cell: int = setting(40, "sampled points per cell (reference)", minimum=4, maximum=400)
    row_order: str = setting(
        "serpentine",
        "order of the cells: serpentine, or raster with a flyback along the row's foot (reference)",
        choices=("serpentine", "raster"),
    )
    seed: int = setting(
        0, "seed of the random starts of the exponent search (reference)", minimum=0, maximum=2**31
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.margin_m >= min(self.glass_width_m, self.glass_height_m):
            raise SettingError(
                f"margin_m is {self.margin_m:g} m, which leaves nothing of a glass of {self.glass_width_m:g} x "
                f"{self.glass_height_m:g} m: choose a smaller margin."
            )
        if self.line_width_m >= self.long_edge_m / self.cells:
            raise SettingError(
                f"line_width_m is {self.line_width_m:g} m, wider than a cell of {self.long_edge_m / self.cells:g} m "
                "(long_edge_m / cells): choose fewer cells, a longer edge or a thinner line."
            )
