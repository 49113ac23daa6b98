"""The picture of what cannot be reached: the photo's colours against the mixtures of sweets and card."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.colour import lab_from_linear, srgb_from_linear
from sketch_cell.mosaic.mosaic import Mosaic

POINTS = 4000
HUE_BINS = 72


def gamut_png(mosaic: Mosaic) -> bytes:
    """A PNG of three panels: CIELAB from above (a*, b*), lightness over chroma, and saturation and value over hue."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    flat = mosaic.target.reshape(-1, 3).astype(np.float64)
    photo = flat[:: max(1, len(flat) // POINTS)]
    reach = mosaic.gamut.surface
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 4)
    _cielab(axes[0], photo, reach, mosaic)
    _lightness(axes[1], photo, reach)
    _over_hue(axes[2:], photo, reach)
    figure.suptitle(
        f"Dots: the photo from afar. Grey: what sweets and card can reach. Best possible mean CIEDE2000: "
        f"{mosaic.floor_de00:.2f}, reached: {mosaic.likeness.de00_mean:.2f}",
        fontsize=10,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _cielab(axis: Any, photo: NDArray[np.float64], reach: NDArray[np.float64], mosaic: Mosaic) -> None:
    lab, photo_lab = lab_from_linear(reach), lab_from_linear(photo)
    axis.scatter(lab[:, 1], lab[:, 2], s=3, c="0.85", linewidths=0)
    axis.scatter(photo_lab[:, 1], photo_lab[:, 2], s=3, c=srgb_from_linear(photo) / 255.0, linewidths=0)
    for colour in mosaic.colours:
        axis.plot(
            *colour.lab[1:], "o", ms=9, mfc=srgb_from_linear(colour.linear) / 255.0, mec="black", mew=0.8
        )
    axis.set(xlabel="a*", ylabel="b*", title="CIELAB (rings: the sweets)")
    axis.set_aspect("equal", "datalim")


def _lightness(axis: Any, photo: NDArray[np.float64], reach: NDArray[np.float64]) -> None:
    lab, photo_lab = lab_from_linear(reach), lab_from_linear(photo)
    axis.scatter(np.hypot(lab[:, 1], lab[:, 2]), lab[:, 0], s=3, c="0.85", linewidths=0)
    chroma = np.hypot(photo_lab[:, 1], photo_lab[:, 2])
    axis.scatter(chroma, photo_lab[:, 0], s=3, c=srgb_from_linear(photo) / 255.0, linewidths=0)
    axis.set(xlabel="chroma C*", ylabel="lightness L*", title="lightness and chroma", ylim=(0, 100))


def _over_hue(axes: Any, photo: NDArray[np.float64], reach: NDArray[np.float64]) -> None:
    """Saturation and value, each over hue, with the range that can be reached shaded."""
    hsv, photo_hsv = _hsv(reach), _hsv(photo)
    edges = np.linspace(0.0, 360.0, HUE_BINS + 1)
    which = np.clip(np.digitize(hsv[:, 0], edges) - 1, 0, HUE_BINS - 1)
    for axis, channel, name in zip(axes, (1, 2), ("saturation", "value"), strict=True):
        held = [hsv[which == index, channel] for index in range(HUE_BINS)]
        low = [part.min() if part.size else np.nan for part in held]
        high = [part.max() if part.size else np.nan for part in held]
        axis.fill_between(0.5 * (edges[1:] + edges[:-1]), low, high, color="0.85", linewidth=0)
        colours = srgb_from_linear(photo) / 255.0
        axis.scatter(photo_hsv[:, 0], photo_hsv[:, channel], s=3, c=colours, linewidths=0)
        axis.set(xlabel="hue [degrees]", ylabel=name, title=f"{name} over hue", xlim=(0, 360), ylim=(0, 1.02))


def _hsv(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hue [degrees], saturation and value 0..1 (N, 3)."""
    import cv2

    srgb = srgb_from_linear(linear).astype(np.float32) / np.float32(255.0)
    return np.asarray(cv2.cvtColor(srgb[None], cv2.COLOR_RGB2HSV)[0], np.float64)
