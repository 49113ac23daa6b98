"""Where the board says it is: machine millimetres as reported, and what they are called on the screen."""

from __future__ import annotations

from sketch_cell.machine.grbl import Status
from sketch_cell.machine.timeline import Point

SAME_OFFSET_MM = 0.02  # the board prints three decimals and stands on whole steps


class Whereabouts:
    """The position reported last; `name` says what it is called in the frame `screen`."""

    def __init__(self) -> None:
        self.machine_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
        self._work_offset_mm: tuple[float, ...] | None = None
        self._screen_offset_mm = (0.0, 0.0)  # machine minus screen

    def forget(self) -> None:
        """Another board, or another life of the same: its offset will be told anew."""
        self._work_offset_mm = None

    def take(self, status: Status) -> bool:
        """Take in a report; False where it does not tell a position (`WPos` before any `WCO`)."""
        self._work_offset_mm = status.wco_mm or self._work_offset_mm
        if status.mpos_mm is not None:
            self.machine_mm = status.mpos_mm
            return True
        if status.wpos_mm is None or self._work_offset_mm is None:
            return False
        self.machine_mm = tuple(
            work + offset for work, offset in zip(status.wpos_mm, self._work_offset_mm, strict=False)
        )
        return True

    def name(self, x_mm: float, y_mm: float) -> None:
        """The place where the machine stands is (x, y) on the screen."""
        self._screen_offset_mm = (self.machine_mm[0] - x_mm, self.machine_mm[1] - y_mm)

    def shift(self, axis: int, error_mm: float) -> None:
        """An axis is off by `error_mm`: from now on its places are called by that much less."""
        offset = list(self._screen_offset_mm)
        offset[axis] += error_mm
        self._screen_offset_mm = (offset[0], offset[1])

    def on_screen_m(self, axis: int, machine_mm: float) -> float:
        """A machine coordinate of one axis on the screen [m]."""
        return (machine_mm - self._screen_offset_mm[axis]) / 1000

    @property
    def screen_m(self) -> Point:
        """The position reported last [m, frame screen]."""
        return self.on_screen_m(0, self.machine_mm[0]), self.on_screen_m(1, self.machine_mm[1])

    def offset_is_lost(self, status: Status) -> bool:
        """Whether a report tells of another work offset than the one set with the position's name."""
        if status.wco_mm is None:
            return False
        return any(abs(status.wco_mm[i] - self._screen_offset_mm[i]) > SAME_OFFSET_MM for i in range(2))
