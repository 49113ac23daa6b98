"""The drawing as it grows: frames for an animation, and the figure of the exponent search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.drawing.parabolic import Search
from sketch_cell.drawing.render import render_ink

Frame = NDArray[np.uint8]

TIP_COLOUR = np.array([210, 40, 30])
TIP_RADIUS_M = 0.0012


def growing_frames(
    xy: ArrayLike,
    ends: ArrayLike,
    *,
    width_m: float,
    height_m: float,
    line_width_m: float,
    pixels_per_m: float,
) -> Iterator[Frame]:
    """One uint8 RGB frame (rows, columns, 3) per entry of `ends`: the line xy (N, 2) [m] up to that vertex.

    `ends` are rising vertex numbers. The tip is marked in red. Rows and columns are even, as encoders want.
    """
    points = np.asarray(xy, float)
    rows, columns = (2 * round(edge * pixels_per_m / 2) for edge in (height_m, width_m))
    ink = np.zeros((rows, columns), np.float32)
    start = 0
    for end in np.asarray(ends, int):
        part = render_ink(
            points[start : end + 1],
            width_m=columns / pixels_per_m,
            height_m=rows / pixels_per_m,
            line_width_m=line_width_m,
            pixels_per_m=pixels_per_m,
        )
        np.maximum(ink, part, out=ink)
        start = end
        yield _with_tip(ink, points[end] * pixels_per_m, TIP_RADIUS_M * pixels_per_m)


def _with_tip(ink: NDArray[np.float32], tip_px: NDArray[np.float64], radius_px: float) -> Frame:
    frame = np.repeat(np.rint(255 * (1 - ink))[..., None], 3, axis=2)
    down, right = np.ogrid[: ink.shape[0], : ink.shape[1]]
    distance = np.hypot(right + 0.5 - tip_px[0], ink.shape[0] - down - 0.5 - tip_px[1])
    share = np.clip(radius_px + 0.5 - distance, 0, 1)[..., None]
    return np.asarray(frame * (1 - share) + TIP_COLOUR * share, np.uint8)


def save_search_figure(search: Search, path: Path) -> None:
    """Write the figure of an exponent search: points measured, parabolas fitted, minima predicted and found."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(*np.transpose(search.measured), "o", color="0.6", ms=4, label="measured")
    for number, step in enumerate(search.steps[:4]):
        x = [point[0] for point in step.points]
        span = np.linspace(min(x), max(x), 200)
        colour = f"C{number}"
        axes.plot(span, np.polyval(step.parabola, span), color=colour, lw=1, label=f"parabola {number + 1}")
        axes.plot(*np.transpose(step.points), "*", color=colour, ms=9)
        axes.plot(step.predicted_at, step.predicted, "v", color=colour, mfc="none", ms=9)
        axes.plot(step.predicted_at, step.measured, "^", color=colour, ms=7)
    axes.axvline(search.best_at, color="k", lw=0.8, ls=":")
    axes.set(
        xlabel="exponent",
        ylabel="RMS error, blurred",
        title=f"Best exponent {search.best_at:.3f}, error {search.best:.4f}  "
        "(stars fitted, hollow predicted, solid found)",
    )
    errors = np.array([error for _, error in search.measured])
    low, high = float(errors.min()), float(np.median(errors))
    axes.set_ylim(low - 0.1 * (high - low) - 1e-6, high + 2 * (high - low) + 1e-6)
    axes.set_xlim(0.3 * search.best_at, 2.5 * search.best_at)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})
