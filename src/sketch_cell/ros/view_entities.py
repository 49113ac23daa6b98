"""What the live view shows: messages of the cell as entities of the rerun viewer, each with its path; no state.

rerun's 2D views have y down, so a drawing is turned over here, once, in `view_mm`; lengths are shown in millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from visualization_msgs.msg import Marker

from sketch_cell.ros.drawing_markers import GLASS_M, PIECE
from sketch_cell.ros.marker_messages import MarkerParts

Array = NDArray[np.float64]
# Path, rerun archetype, and whether it is for all times; path `FORGET` without one: a new drawing begins.
Entity = tuple[str, Any, bool]
FORGET = ""

DRAWING, CAMERA, PHOTO, JOB, FIGURES = "drawing", "camera", "photo", "job", "figures"
JPEG_QUALITY = 75
COLOUR_STEPS = 8
ORDER = {"outline": 0.0, "planned": 1.0, "drawn": 2.0, "deviation": 3.0, "tip": 4.0}
TIP_RADIUS_MM = 1.2


def view_mm(points_m: ArrayLike) -> Array:
    """Points (N, 2 or 3) [m, screen, y up] as (N, 2) [mm, y down] in the view."""
    points = np.asarray(points_m, np.float64)
    return np.column_stack([points[:, 0], GLASS_M[1] - points[:, 1]]) * 1e3


def drawing_entities(markers: Sequence[MarkerParts]) -> list[Entity]:
    """A `drawn/markers` message: outline, planned and drawn line, deviation as colour, tip.

    A piece that is full is for all times: a viewer who joins after hours, when the server has forgotten the oldest
    of what it was told, still gets the whole drawing.
    """

    found: list[Entity] = []
    for marker in markers:
        if marker.action == Marker.DELETEALL:
            found.append((FORGET, None, False))
            continue
        path = f"{DRAWING}/{marker.namespace}/{marker.number}"
        final = marker.namespace in ("outline", "planned") or len(marker.points_m) > PIECE
        found.append((path, _shape(marker), final))
    return found


def nothing() -> Any:
    """What takes the place of a line that is to vanish."""
    import rerun

    return rerun.LineStrips2D([])


def _shape(marker: MarkerParts) -> Any:
    import rerun

    order = ORDER.get(marker.namespace, 2.0)
    if marker.kind == Marker.SPHERE:
        place = view_mm([marker.pose[:2]])
        return rerun.Points2D(place, radii=TIP_RADIUS_MM, colors=[_rgba(marker.rgba)], draw_order=order)
    strips, colours = [view_mm(marker.points_m)], [_rgba(marker.rgba)]
    if len(marker.colours):
        strips, colours = coloured_runs(strips[0], marker.colours)
    # A planned line is thinner than the eye can see; the drawn one is as wide as it is.
    radius_mm = max(0.5e3 * marker.scale_m[0], 0.08)
    return rerun.LineStrips2D(strips, radii=radius_mm, colors=colours, draw_order=order)


def coloured_runs(points: Array, colours: NDArray[np.float32]) -> tuple[list[Array], list[list[int]]]:
    """Split a line (N, 2) with a colour per point (N, 4), 0 to 1, into runs of one colour out of a few.

    Runs share their ends, so that the line has no gaps; rgba of each run is 0 to 255.
    """
    steps = np.round(np.asarray(colours, np.float64) * COLOUR_STEPS).astype(np.int64)
    changes = np.flatnonzero(np.any(np.diff(steps[1:], axis=0) != 0, axis=1)) + 1
    edges = [0, *changes.tolist(), len(points) - 1]
    spans = [(a, b) for a, b in pairwise(edges) if b > a]
    rgba = [_rgba((steps[last] / COLOUR_STEPS).tolist()) for _, last in spans]
    return [points[first : last + 1] for first, last in spans], rgba


def _rgba(colour: Sequence[float]) -> list[int]:
    return [round(255 * channel) for channel in colour]


def picture_entity(path: str, rgb: NDArray[np.uint8]) -> Entity:
    """An image, RGB (H, W, 3) or grey (H, W), as a JPEG: a twentieth of the bytes."""
    import rerun

    shown = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR) if rgb.ndim == 3 else rgb
    encoded = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return path, rerun.EncodedImage(contents=encoded.tobytes(), media_type="image/jpeg"), path == PHOTO


def job_entities(message: str, values: dict[str, str]) -> list[Entity]:
    """A `job/status`: what the job does in words, and its deviation [mm] and progress [%] as curves."""
    import rerun

    progress = float(values.get("progress") or 0.0)
    words = f"**{values.get('state', '')}**, {100 * progress:.0f} %"
    words += f": {message}" if message not in ("", values.get("state")) else ""
    left = values.get("time_left_s", "")
    words += f"\n\n{float(left):.0f} s left" if left not in ("", "nan") else ""
    found: list[Entity] = [(JOB, rerun.TextDocument(words, media_type="text/markdown"), False)]
    if values.get("deviation_mm"):
        deviation = rerun.Scalars(float(values["deviation_mm"]))
        found.append((f"{FIGURES}/deviation_mm", deviation, False))
    return found


def layout() -> Any:
    """The opening view: the drawing large, beside it camera, deviation over time, photo and job."""
    import rerun.blueprint as blueprint

    margin_mm = 5.0
    width_mm, height_mm = GLASS_M[0] * 1e3, GLASS_M[1] * 1e3
    bounds = blueprint.VisualBounds2D(
        x_range=(-margin_mm, width_mm + margin_mm), y_range=(-margin_mm, height_mm + margin_mm)
    )
    drawing = blueprint.Spatial2DView(
        origin=DRAWING, name="Drawing [mm]", visual_bounds=bounds, background=[250, 250, 250]
    )
    side = blueprint.Vertical(
        blueprint.Spatial2DView(origin=CAMERA, name="Camera"),
        blueprint.TimeSeriesView(origin=FIGURES, name="Deviation [mm]"),
        blueprint.Horizontal(
            blueprint.Spatial2DView(origin=PHOTO, name="Photo"),
            blueprint.TextDocumentView(origin=JOB, name="Job"),
        ),
        row_shares=[5, 4, 4],
    )
    return blueprint.Blueprint(
        blueprint.Horizontal(drawing, side, column_shares=[3, 2]),
        blueprint.SelectionPanel(state="hidden"),
        blueprint.BlueprintPanel(state="collapsed"),
        blueprint.TimePanel(state="collapsed", timeline="cell"),
        auto_views=False,
    )
