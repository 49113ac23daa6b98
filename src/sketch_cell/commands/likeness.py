"""How much a drawn trace looks like the planned line from across the room."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.render import render_ink

CELL_M = 0.0024  # of a 64-cell drawing on the glass; the viewer's blur is half of it
FINE_PIXELS_PER_M = 10_000.0
PIXELS_PER_CELL = 2


def likeness(
    trace_m: NDArray[np.float64], line_m: NDArray[np.float64], width_m: float, height_m: float
) -> float:
    """SSIM (Gaussian window 1.5) of the ink of a trace (M, 2) against that of a line (N, 2), both [m, screen].

    Both are blurred by half a cell and resampled to two pixels per cell, as the planner's own figures are.
    """
    from skimage.metrics import structural_similarity

    drawn, planned = (seen(xy, width_m, height_m) for xy in (trace_m, line_m))
    similarity = structural_similarity(
        drawn, planned, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(similarity)


def seen(xy_m: NDArray[np.float64], width_m: float, height_m: float) -> NDArray[np.float32]:
    """Ink 0..1 of a polyline as a viewer blurs it, two pixels per cell, over the part of the glass given."""
    ink = render_ink(
        xy_m, width_m=width_m, height_m=height_m, line_width_m=0.0006, pixels_per_m=FINE_PIXELS_PER_M
    )
    sigma = 0.5 * CELL_M * FINE_PIXELS_PER_M
    blurred = cv2.GaussianBlur(ink, (0, 0), sigma)
    scale = PIXELS_PER_CELL / CELL_M
    size = (round(width_m * scale), round(height_m * scale))
    return np.asarray(cv2.resize(blurred, size, interpolation=cv2.INTER_AREA))
