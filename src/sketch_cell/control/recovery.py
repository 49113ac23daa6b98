"""What lost steps leave on the glass: how much line until the stylus is back, and what strays where none were lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sketch_cell.control.deviation import Deviation

# Nearer to its line than this the stylus is on it: without lost steps it strays about as far.
WITHIN_M = 0.0002
# And back only if it stays for so long: a slip across a straight stroke shows at its ends alone.
STAYS_M = 0.025


def recovered_m(found: Deviation, losses_along_m: Sequence[float]) -> list[float]:
    """How much line [m] was drawn after each loss of steps until the stylus was back on its line, and stayed.

    The losses are places along the trace that was compared [m], in order; those before or after the line are left
    out. One that happens before the stylus is back from the one before ends that one's stretch.
    """
    first, last = found.trace_along_m[0], found.trace_along_m[-1]
    return [back - loss for loss, back in spoilt(found, losses_along_m) if first <= loss <= last]


def strays_m(found: Deviation, losses_along_m: Sequence[float]) -> float:
    """The largest distance [m] of the trace from the line, what was drawn between a loss and its recovery left out."""
    along = found.trace_along_m
    kept = np.ones(len(along), bool)
    for loss, back in spoilt(found, losses_along_m):
        kept &= (along < loss) | (along > back)
    return float(found.trace_to_line_m[kept].max()) if kept.any() else 0.0


def spoilt(found: Deviation, losses_along_m: Sequence[float]) -> list[tuple[float, float]]:
    """For each loss its place along the trace [m] and that behind which the stylus is on its line, and stays."""
    off_m = found.trace_along_m[found.trace_to_line_m > WITHIN_M]
    ends = [*losses_along_m[1:], float("inf")]
    parts = []
    for loss, end in zip(losses_along_m, ends, strict=False):
        back = loss
        for place in off_m[(off_m >= loss) & (off_m < end)].tolist():
            if place - back > STAYS_M:
                break
            back = place
        parts.append((loss, back))
    return parts
