"""The plan as text for other programs: SVG, G-code for Grbl 1.1 and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import ArrayLike


def csv_text(xy: ArrayLike) -> str:
    """CSV of polyline xy (N, 2) [m, frame screen]: header `x_m,y_m`, one point a line, to the micrometre."""
    rows = "".join(f"{x:.6f},{y:.6f}\n" for x, y in np.asarray(xy, float).tolist())
    return "x_m,y_m\n" + rows


def gcode_text(xy: ArrayLike, feed_m_per_s: float = 0.04) -> str:
    """G-code for Grbl 1.1 that draws xy (N, 2) [m, frame screen] at one feed; the first line goes to its start.

    Millimetres, absolute, modal, ASCII, no comments: Grbl acts on `!`, `?` and `~` even inside comments.
    """
    lines = ["G21", "G90", "G94", f"G1 F{feed_m_per_s * 60_000:.0f}"]
    lines += [f"X{x:.3f} Y{y:.3f}" for x, y in (np.asarray(xy, float) * 1000).tolist()]
    return "\n".join([*lines, "M2"]) + "\n"


def svg_text(
    xy: ArrayLike,
    *,
    width_m: float,
    height_m: float,
    line_width_m: float,
    metadata: Mapping[str, object] | None = None,
) -> str:
    """SVG in millimetres of xy (N, 2) [m, frame screen] on a glass of the given size: one path, with metadata."""
    width, height = width_m * 1000, height_m * 1000
    points = np.asarray(xy, float) * [1000, -1000] + [0, height]
    path = "M" + " L".join(f"{x:.3f},{y:.3f}" for x, y in points.tolist())
    about = escape(json.dumps(dict(metadata or {}), sort_keys=True))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm" '
        f'viewBox="0 0 {width:g} {height:g}">\n'
        f"<title>One unbroken line</title>\n<metadata>{about}</metadata>\n"
        f'<path d="{path}" fill="none" stroke="black" stroke-width="{line_width_m * 1000:g}" '
        'stroke-linecap="round" stroke-linejoin="round"/>\n</svg>\n'
    )
