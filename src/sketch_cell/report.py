"""The pictures and figures that a finished drawing leaves behind."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.control.deviation import Deviation
from sketch_cell.files import write_whole

Picture = NDArray[np.uint8]
PANEL_HEIGHT_PX = 480
CAPTION_HEIGHT_PX = 44
GAP_PX = 12
WHITE = (255, 255, 255)
INK = (40, 40, 40)


def write_picture(path: Path, picture: Picture) -> None:
    """Write an RGB (H, W, 3) or grey (H, W) picture in the format of the path's suffix."""
    stored = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(path.suffix, stored)[1]
    write_whole(path, encoded.tobytes())


def side_by_side(panels: Sequence[tuple[str, Picture]]) -> Picture:
    """One RGB picture of all panels at one height, each under its caption."""
    columns: list[Picture] = []
    for caption, picture in panels:
        if columns:
            columns.append(np.full((PANEL_HEIGHT_PX + CAPTION_HEIGHT_PX, GAP_PX, 3), 255, np.uint8))
        columns.append(_panel(caption, picture))
    border = cv2.copyMakeBorder(
        np.hstack(columns), GAP_PX, GAP_PX, GAP_PX, GAP_PX, cv2.BORDER_CONSTANT, value=WHITE
    )
    return np.asarray(border, np.uint8)


def _panel(caption: str, picture: Picture) -> Picture:
    rgb = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB) if picture.ndim == 2 else picture
    width = max(round(rgb.shape[1] * PANEL_HEIGHT_PX / rgb.shape[0]), 1)
    shrinks = rgb.shape[0] > PANEL_HEIGHT_PX
    panel = cv2.resize(
        rgb, (width, PANEL_HEIGHT_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    head = np.full((CAPTION_HEIGHT_PX, width, 3), 255, np.uint8)
    cv2.putText(
        head, caption, (2, CAPTION_HEIGHT_PX - 14), cv2.FONT_HERSHEY_SIMPLEX, 0.8, INK, 2, cv2.LINE_AA
    )
    return np.vstack([head, panel])


def crop_to_drawing(
    glass: Picture, plan_m: NDArray[np.float64], pixels_per_m: float, margin_m: float = 0.002
) -> Picture:
    """The part of a picture of the glass (row 0 on top) that the plan (N, 2) [m, screen] covers."""
    low = (plan_m.min(axis=0) - margin_m) * pixels_per_m
    high = (plan_m.max(axis=0) + margin_m) * pixels_per_m
    rows = len(glass)
    top, bottom = max(int(rows - high[1]), 0), min(int(rows - low[1]) + 1, rows)
    left, right = max(int(low[0]), 0), int(high[0]) + 1
    return glass[top:bottom, left:right]


def deviation_figure(plan_m: NDArray[np.float64], deviation: Deviation, caption: str) -> bytes:
    """PNG of planned against drawn line, coloured by deviation, over a plot of the deviation along the line."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    trace_m, distance_mm = deviation.trace_xy_m, deviation.trace_to_line_m * 1e3
    figure, (above, below) = plt.subplots(2, 1, figsize=(10, 10.5), height_ratios=[3, 1], layout="compressed")
    above.plot(*(plan_m.T * 1e3), color="0.75", linewidth=0.5, zorder=1)
    step = max(len(trace_m) // 200_000, 1)
    points = above.scatter(
        *(trace_m[::step].T * 1e3),
        c=distance_mm[::step],
        s=0.4,
        cmap="turbo",
        vmin=0,
        vmax=max(float(np.quantile(distance_mm, 0.999)), 0.1),
        zorder=2,
    )
    figure.colorbar(points, ax=above, label="distance to the planned line [mm]")
    above.set(aspect="equal", xlabel="x [mm]", ylabel="y [mm]", title=caption)
    below.plot(np.linspace(0, 100, len(distance_mm)), distance_mm, linewidth=0.4, color="0.2")
    below.set(xlabel="drawn [%]", ylabel="distance [mm]", xlim=(0, 100), ylim=(0, None))
    below.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()


def tip_error_p95_mm(
    tips: Sequence[tuple[float, float, float]], trace_s: NDArray[np.float64], trace_m: NDArray[np.float64]
) -> float | None:
    """95th percentile of the distance between seen tips (stamp [s], x, y [m]) and the true stylus then."""
    if not tips:
        return None
    seen = np.array(tips)
    inside = (seen[:, 0] >= trace_s[0]) & (seen[:, 0] <= trace_s[-1])
    seen = seen[inside]
    true_m = np.column_stack([np.interp(seen[:, 0], trace_s, trace_m[:, axis]) for axis in range(2)])
    return round(float(np.quantile(np.hypot(*(seen[:, 1:] - true_m).T), 0.95)) * 1e3, 4)
