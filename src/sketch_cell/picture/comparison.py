"""Pictures that show a repair: panels side by side, and the frames of a zoom into the worst spot."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

LABEL_PX = 28
GAP_PX = 4
PANEL_PX = (480, 360)
ZOOM_MOST = 8.0
FRAMES = 240


def side_by_side(panels: dict[str, Image]) -> Image:
    """Named pictures of one height (H, W, 3) or (H, W) in a row under their names, as one RGB picture."""
    labelled = [_labelled(_in_colour(picture), name) for name, picture in panels.items()]
    gap = np.full((labelled[0].shape[0], GAP_PX, 3), 255, np.uint8)
    return np.concatenate([part for panel in labelled for part in (gap, panel)][1:], axis=1)


def zoom_frames(
    panels: dict[str, Image], centre: tuple[float, float], count: int = FRAMES
) -> Iterator[Image]:
    """Frames (RGB) of a slow zoom of all panels at once onto `centre` (row, column), and back.

    All panels have the same size; they stand in rows of two.
    """
    pictures = {name: _in_colour(picture) for name, picture in panels.items()}
    for number in range(count):
        # In for the first half, a pause, and the picture turns back.
        share = np.clip(1.4 * (1 - abs(2 * number / max(count - 1, 1) - 1)), 0, 1)
        zoom = ZOOM_MOST ** (0.5 - 0.5 * np.cos(np.pi * share))
        views = [_labelled(_view(p, centre, float(zoom)), name) for name, p in pictures.items()]
        if len(views) % 2:
            views.append(np.full_like(views[0], 255))
        rows = [np.concatenate(views[n : n + 2], axis=1) for n in range(0, len(views), 2)]
        yield np.concatenate(rows, axis=0)


def most_changed(before: Image, after: Image) -> tuple[float, float]:
    """Row and column around which two pictures (H, W, 3) or (H, W) differ most, away from the border."""
    change = np.abs(_in_colour(before).astype(np.float32) - _in_colour(after)).mean(axis=2)
    local = cv2.blur(change, (33, 33), borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(np.argmax(local)), local.shape)
    return float(row), float(column)


def _view(picture: Image, centre: tuple[float, float], zoom: float) -> Image:
    """The picture fitted into a panel and enlarged `zoom` times about `centre` (row, column)."""
    width, height = PANEL_PX
    scale = min(width / picture.shape[1], height / picture.shape[0]) * zoom
    # The spot moves to the middle of the panel as far as the zoom has gone.
    share = 1 - 1 / zoom
    row = centre[0] * share + picture.shape[0] / 2 * (1 - share)
    column = centre[1] * share + picture.shape[1] / 2 * (1 - share)
    method = cv2.INTER_NEAREST if scale >= 1 else cv2.INTER_LINEAR
    # warpAffine does not average, so most of a reduction is done before it: down to less than a half.
    reduced = _reduced(picture, max(int(1 / scale), 1))
    across, down = scale * picture.shape[1] / reduced.shape[1], scale * picture.shape[0] / reduced.shape[0]
    # Centres of pixels lie half a pixel inside their corners.
    shift = np.array(
        [
            [across, 0, width / 2 - scale * column + (across - 1) / 2],
            [0, down, height / 2 - scale * row + (down - 1) / 2],
        ]
    )
    return np.asarray(
        cv2.warpAffine(reduced, shift, PANEL_PX, flags=method, borderValue=(255, 255, 255)), np.uint8
    )


def _reduced(picture: Image, factor: int) -> Image:
    """The picture at one `factor`-th of its size."""
    if factor == 1:
        return picture
    size = tuple(max(round(length / factor), 1) for length in (picture.shape[1], picture.shape[0]))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _labelled(picture: Image, name: str) -> Image:
    bar = np.full((LABEL_PX, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, name, (6, LABEL_PX - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (30, 30, 30), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture], axis=0)


def _in_colour(picture: Image) -> Image:
    return np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture
