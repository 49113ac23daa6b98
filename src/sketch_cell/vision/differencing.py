"""The plain methods: what changed between successive images. Kept as baselines, and for comparison."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST_AREA_PX = 3
_THRESHOLD = 30


class PlainDifference:
    """Centroid of the largest blob of |image - one before|; three frames also need |image - two before|."""

    def __init__(self, method: str) -> None:
        self._depth = 2 if method == "three_frame" else 1
        self._before: list[NDArray[np.uint8]] = []

    def centroid_px(self, image: NDArray[np.uint8]) -> Floats | None:
        """Centroid (2,) (x, y) [px] of the change in a grey image (H, W), or None where nothing changed."""
        smooth = cv2.GaussianBlur(image, (3, 3), 0)
        before, self._before = self._before, [smooth, *self._before][: self._depth]
        if len(before) < self._depth:
            return None
        change = cv2.absdiff(smooth, before[0])
        for older in before[1:]:
            change = cv2.min(change, cv2.absdiff(smooth, older))
        _, mask = cv2.threshold(change, _THRESHOLD, 255, cv2.THRESH_BINARY)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        if len(stats) < 2:
            return None
        largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        if stats[largest, cv2.CC_STAT_AREA] < _LEAST_AREA_PX:
            return None
        x, y, width, height = stats[largest, :4]
        part = (slice(y, y + height), slice(x, x + width))
        weight = np.where(labels[part] == largest, change[part], 0).astype(float)
        rows, columns = np.mgrid[y : y + height, x : x + width]
        centroid: Floats = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        return centroid
