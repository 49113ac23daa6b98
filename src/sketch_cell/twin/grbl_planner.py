"""Grbl's planner in the twin: a ring of straight blocks, each re-planned as further ones arrive.

Rules of the real firmware: 16 places (15 usable), junction deviation, every block may have to be the last, so
the speed at each junction is what a stop at the end of the newest block allows. Units: millimetres, seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sketch_cell.twin.grbl_settings import GrblSettings

AXES = 3
CAPACITY = 15
STRAIGHT = 0.999999
SLOWEST_MM_PER_S = 1.0 / 60


@dataclass
class Block:
    """One straight move; `millimetres` shrinks while it is executed."""

    steps: tuple[int, int, int]
    events: int
    millimetres: float
    unit: tuple[float, float, float]
    acceleration: float
    rapid_rate: float
    programmed_rate: float
    rapid: bool = False
    overridable: bool = True
    junction_sq: float = 0.0
    entry_sq: float = 0.0
    max_entry_sq: float = 0.0


@dataclass(frozen=True)
class Move:
    """What the G-code parser asks of a line: speed and its kind."""

    feed_mm_per_s: float = 0.0
    rapid: bool = False
    inverse_time: bool = False
    overridable: bool = True


class Planner:
    """The queue of blocks. `on_replan` is told when the block in execution got a new exit speed."""

    def __init__(self, settings: GrblSettings, on_replan: Callable[[], None]) -> None:
        self._settings = settings
        self._on_replan = on_replan
        self.feed_override = 100
        self.rapid_override = 100
        self.blocks: list[Block] = []
        self.position = [0, 0, 0]
        self.reset()

    def reset(self) -> None:
        """Drop all blocks and the memory of the last direction."""
        self.blocks.clear()
        self._planned = 0
        self._last_unit = (0.0, 0.0, 0.0)
        self._last_nominal = 0.0

    @property
    def full(self) -> bool:
        return len(self.blocks) >= CAPACITY

    def block_to(self, target_mm: Sequence[float], move: Move, start: Sequence[int]) -> Block | None:
        """The block from `start` [steps] to `target_mm`; None where no step would be made."""
        per_mm, rates, accelerations = self._settings.axes()
        steps = [_round(target_mm[i] * per_mm[i]) - start[i] for i in range(AXES)]
        events = max(abs(steps[0]), abs(steps[1]), abs(steps[2]))
        if events == 0:
            return None
        delta = [steps[i] / per_mm[i] for i in range(AXES)]
        length = math.sqrt(delta[0] ** 2 + delta[1] ** 2 + delta[2] ** 2)
        unit = (delta[0] / length, delta[1] / length, delta[2] / length)
        rapid_rate = _limit(rates, unit)
        rate = rapid_rate if move.rapid else move.feed_mm_per_s * (length if move.inverse_time else 1.0)
        return Block(
            (steps[0], steps[1], steps[2]),
            events,
            length,
            unit,
            _limit(accelerations, unit),
            rapid_rate,
            rate,
            move.rapid,
            move.overridable,
        )

    def add(self, target_mm: Sequence[float], move: Move) -> bool:
        """Queue a move to `target_mm`; False where it makes no step. There must be room."""
        block = self.block_to(target_mm, move, self.position)
        if block is None:
            return False
        if self.blocks:
            block.junction_sq = self._junction_sq(block.unit)
        nominal = self.nominal(block)
        block.max_entry_sq = min(nominal**2, self._last_nominal**2, block.junction_sq)
        self._last_nominal, self._last_unit = nominal, block.unit
        for axis in range(AXES):
            self.position[axis] += block.steps[axis]
        self.blocks.append(block)
        self._replan()
        return True

    def discard(self) -> None:
        """Drop the block in execution: all its steps have been handed out."""
        self.blocks.pop(0)
        self._planned = max(self._planned - 1, 0)

    def exit_sq(self) -> float:
        """Squared speed at which the block in execution must end."""
        return self.blocks[1].entry_sq if len(self.blocks) > 1 else 0.0

    def nominal(self, block: Block) -> float:
        """The speed a block may reach, overrides applied."""
        rate = block.programmed_rate
        if block.rapid:
            rate *= self.rapid_override / 100
        elif block.overridable:
            rate *= self.feed_override / 100
        return max(min(rate, block.rapid_rate), SLOWEST_MM_PER_S)

    def overrides_changed(self) -> None:
        """Limit every junction by the new nominal speeds, then plan everything again."""
        last = math.inf
        for block in self.blocks:
            nominal = self.nominal(block)
            block.max_entry_sq = min(nominal**2, last**2, block.junction_sq)
            last = nominal
        if self.blocks:
            self._last_nominal = last
        self.replan_all()

    def replan_all(self) -> None:
        """Plan again from the speed the machine has now (after a hold or an override)."""
        self._on_replan()
        self._planned = 0
        self._replan()

    def _junction_sq(self, unit: tuple[float, float, float]) -> float:
        before = self._last_unit
        cosine = -(before[0] * unit[0] + before[1] * unit[1] + before[2] * unit[2])
        if cosine > STRAIGHT:
            return 0.0
        if cosine < -STRAIGHT:
            return math.inf
        change = (unit[0] - before[0], unit[1] - before[1], unit[2] - before[2])
        size = math.sqrt(change[0] ** 2 + change[1] ** 2 + change[2] ** 2)
        axis = (change[0] / size, change[1] / size, change[2] / size)
        sine_half = math.sqrt((1 - cosine) / 2)
        acceleration = _limit(self._settings.axes()[2], axis)
        return acceleration * self._settings.junction_deviation * sine_half / (1 - sine_half)

    def _replan(self) -> None:
        """Backward from a stop at the newest block, then forward from the last optimal one."""
        last = len(self.blocks) - 1
        if last <= self._planned:
            return
        exit_sq = 0.0
        for index in range(last, self._planned, -1):
            block = self.blocks[index]
            if index == 1:
                self._on_replan()
            if index == last or block.entry_sq != block.max_entry_sq:
                stoppable = exit_sq + 2 * block.acceleration * block.millimetres
                block.entry_sq = min(block.max_entry_sq, stoppable)
            exit_sq = block.entry_sq
        self._forward(last)

    def _forward(self, last: int) -> None:
        for index in range(self._planned, last):
            block, after = self.blocks[index], self.blocks[index + 1]
            if block.entry_sq < after.entry_sq:
                reachable = block.entry_sq + 2 * block.acceleration * block.millimetres
                if reachable < after.entry_sq:
                    after.entry_sq = reachable
                    self._planned = index + 1
            if after.entry_sq == after.max_entry_sq:
                self._planned = index + 1


def _limit(limits: Sequence[float], unit: tuple[float, float, float]) -> float:
    """The largest magnitude along `unit` that keeps every axis within its limit."""
    best = math.inf
    for axis in range(AXES):
        share = abs(unit[axis])
        if share:
            best = min(best, limits[axis] / share)
    return best


def _round(value: float) -> int:
    """Halves away from zero, as C's lround."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)
