"""The schedule of the training: which sets of weights there are, and which JPEGs each of them is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.jpeg import strength_of_quality
from sketch_cell.picture.train_data import Damage

# Qualities whose tables each get their own set of weights; between them sets are mixed.
KNOT_QUALITIES = (5, 10, 20, 35, 55, 80, 95)
KNOT_STRENGTHS = tuple(strength_of_quality(q) for q in KNOT_QUALITIES)
# How often a place among the sets is drawn from where: most are strong compressions, where there is most to repair
# and to learn (quality 8 to 14 and 28 to 49 above all: their sets gained most from more steps).
SPANS = {(0.6, 1.4): 0.47, (1.4, 2.5): 0.14, (2.5, 3.7): 0.28, (0.0, len(KNOT_QUALITIES) - 1): 0.11}
BATCH = 2


@dataclass(frozen=True)
class Stage:
    """One part of the schedule: what is damaged how, from which stage it starts, and for how long."""

    name: str
    damage: Damage
    steps: int
    rate: float
    parent: str = ""

    @property
    def sets(self) -> int:
        return len(KNOT_QUALITIES) if self.parent else 1


STAGES = (
    Stage("blind", Damage(off_grid_share=0.08), 50_000, 4e-3),
    Stage("grey", Damage(grey_share=1.0, double_share=0.05, resaved_share=0.08), 70_000, 2.5e-3, "blind"),
    Stage("colour", Damage(grey_share=0.0, double_share=0.05, resaved_share=0.08), 70_000, 2.5e-3, "blind"),
)


def draw_qualities(rng: np.random.Generator, stage: Stage) -> NDArray[np.int64]:
    """Qualities (BATCH,): all alike where the stage has a set per strength, else half of them in 5-50."""
    if stage.parent:
        low, high = list(SPANS)[rng.choice(len(SPANS), p=list(SPANS.values()))]
        position = rng.uniform(low, high)
        quality = np.interp(position, range(len(KNOT_QUALITIES)), KNOT_QUALITIES)
        return np.full(BATCH, round(float(quality)), np.int64)
    return np.where(rng.random(BATCH) < 0.5, rng.integers(5, 51, BATCH), rng.integers(5, 96, BATCH))


def position_of(quality: int, sets: int) -> float:
    """Where the table of `quality` lies among the sets, 0 .. sets - 1."""
    if sets == 1:
        return 0.0
    strength = strength_of_quality(quality)
    return float(np.interp(-strength, [-s for s in KNOT_STRENGTHS], range(sets)))
