"""A picture of what the tracker saw in one image, for people."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.vision.tracker import NoTip, Tip, TipTracker

_ZOOM = 4
_SEEN, _SILENT, _PATH = (0, 200, 0), (230, 60, 0), (0, 120, 255)  # RGB


def debug_picture(image: NDArray[np.uint8], tracker: TipTracker, seen: Tip | NoTip) -> NDArray[np.uint8]:
    """RGB picture (H, W, 3) of a grey image (H, W): the glass, the window, the path, the tip or the reason."""
    picture = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    colour = _SEEN if isinstance(seen, Tip) else _SILENT
    if tracker.calibration is not None:
        corners = tracker.calibration.corners_px.round().astype(np.int32)
        cv2.polylines(picture, [corners], True, _PATH, 1)
    if tracker.last_look is not None:
        window, path_px = tracker.last_look.window, tracker.last_look.path_px
        cv2.rectangle(picture, (window.left, window.top), (window.right, window.bottom), colour, 1)
        _inset(picture, image, window, path_px, colour)
    cv2.putText(
        picture, _words(tracker, seen), (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA
    )
    return picture  # type: ignore[no-any-return]


def _words(tracker: TipTracker, seen: Tip | NoTip) -> str:
    if isinstance(seen, NoTip):
        return seen.reason[:90]
    x_mm, y_mm = seen.xy_m * 1e3
    sigma_mm = float(np.sqrt(np.linalg.eigvalsh(seen.covariance_m2)[-1])) * 1e3
    return f"tip {x_mm:.2f} {y_mm:.2f} mm, sigma {sigma_mm:.2f} mm"


def _inset(picture, image, window, path_px, colour) -> None:  # type: ignore[no-untyped-def]
    """The window, enlarged, in the lower left corner with the path that was fitted."""
    part = image[window.top : window.bottom, window.left : window.right]
    large = cv2.resize(part, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_NEAREST)
    large = cv2.cvtColor(large, cv2.COLOR_GRAY2RGB)
    points = ((path_px - window.origin_px + 0.5) * _ZOOM).round().astype(np.int32)
    cv2.polylines(large, [points], False, _PATH, 1, cv2.LINE_AA)
    cv2.circle(large, points[-1].tolist(), 5, colour, 1, cv2.LINE_AA)
    rows, columns = min(large.shape[0], picture.shape[0]), min(large.shape[1], picture.shape[1])
    picture[-rows:, :columns] = large[:rows, :columns]
