"""What a board's `$` settings must say for this machine, and one sentence for each that differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sketch_cell.errors import SettingError
from sketch_cell.settings import Settings, setting

TOLERANCE = 1e-3  # relative: the board prints three decimals
REPORT_MASK = 10  # bit 0 is the machine position; other bits only add to the reports
# Bits that must be as needed; others belong to axes there are none of, or to options of grblHAL.
MASKS = {3: 0b11, REPORT_MASK: 0b1, 22: 0b1, 23: 0b11}


@dataclass(frozen=True)
class BoardSettings(Settings):
    """The machine behind the board: gearing, limits, switches."""

    steps_per_turn: int = setting(
        3200, "motor steps for one turn of a knob, microsteps included", minimum=200, maximum=51_200
    )
    travel_per_turn_m: float = setting(
        0.036, "stylus travel for one whole turn of a knob", unit="m", minimum=0.001, maximum=1.0
    )
    max_rate_m_per_s: float = setting(
        0.09, "fastest speed of one axis", unit="m/s", minimum=1e-4, maximum=0.5
    )
    acceleration_m_per_s2: float = setting(
        0.5, "acceleration of one axis", unit="m/s2", minimum=0.01, maximum=20.0
    )
    junction_deviation_m: float = setting(
        1e-5, "how far a rounded corner may pass inside the vertex", unit="m", minimum=0.0, maximum=1e-3
    )
    travel_x_m: float = setting(0.153, "length of the x axis", unit="m", minimum=0.01, maximum=2.0)
    travel_y_m: float = setting(0.107, "length of the y axis", unit="m", minimum=0.01, maximum=2.0)
    homing_corner: str = setting(
        "lower left",
        "where the switches are",
        choices=("lower left", "lower right", "upper left", "upper right"),
    )
    homing_seek_m_per_s: float = setting(
        0.025, "speed of the first approach to the switches", unit="m/s", minimum=1e-4, maximum=0.5
    )
    homing_feed_m_per_s: float = setting(
        0.002, "speed of the second, exact approach", unit="m/s", minimum=1e-5, maximum=0.1
    )
    pull_off_m: float = setting(
        0.001, "distance homing backs off from the switches", unit="m", minimum=1e-4, maximum=0.05
    )
    hard_limits: bool = setting(False, "whether a switch hit during a job stops the board at once")
    invert_x: bool = setting(False, "whether the x motor is wired to turn the other way")
    invert_y: bool = setting(False, "whether the y motor is wired to turn the other way")
    switches_normally_closed: bool = setting(False, "whether the switches open when pressed ($5)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.homing_feed_m_per_s > self.homing_seek_m_per_s:
            raise SettingError(
                "homing_feed_m_per_s is above homing_seek_m_per_s; the exact approach is slower."
            )

    @property
    def step_m(self) -> float:
        """What one motor step moves the stylus."""
        return self.travel_per_turn_m / self.steps_per_turn


@dataclass(frozen=True)
class Difference:
    """One setting of the board that is not what the machine needs."""

    number: int
    found: float | None
    needed: float
    meaning: str
    dangerous: bool

    @property
    def command(self) -> str:
        """The line that mends it."""
        return f"${self.number}={self.needed:.3f}".rstrip("0").rstrip(".")

    def __str__(self) -> str:
        found = "missing" if self.found is None else f"{self.found:g}"
        return f"${self.number} ({self.meaning}) is {found}, needed is {self.needed:g}; send {self.command}"


def needed_settings(board: BoardSettings) -> dict[int, tuple[float, str, bool]]:
    """Number -> (value, meaning, whether moving without it is unsafe or off scale)."""
    steps_per_mm = round(board.steps_per_turn / (board.travel_per_turn_m * 1000), 3)
    rate, acceleration = board.max_rate_m_per_s * 60_000, board.acceleration_m_per_s2 * 1000
    corner = board.homing_corner
    directions = int(board.invert_x) | int(board.invert_y) << 1
    needed: dict[int, tuple[float, str, bool]] = {
        1: (255, "motors stay energised when idle", False),
        3: (directions, "direction of the motors", True),
        5: (int(board.switches_normally_closed), "limit switches inverted", True),
        REPORT_MASK: (1, "status reports hold the machine position", True),
        11: (board.junction_deviation_m * 1000, "junction deviation, mm", False),
        13: (0, "reports in millimetres", True),
        22: (1, "homing enabled", True),
        20: (1, "soft limits", True),
        21: (int(board.hard_limits), "hard limits", False),
        23: (int("left" in corner) | int("lower" in corner) << 1, "corner of the homing switches", True),
        24: (board.homing_feed_m_per_s * 60_000, "homing feed, mm/min", False),
        25: (board.homing_seek_m_per_s * 60_000, "homing seek, mm/min", False),
        27: (board.pull_off_m * 1000, "homing pull-off, mm", True),
        32: (0, "laser mode off", False),
    }
    travel = (board.travel_x_m * 1000, board.travel_y_m * 1000)
    for axis, name in enumerate("xy"):
        needed[100 + axis] = (steps_per_mm, f"{name} steps/mm", True)
        needed[110 + axis] = (rate, f"{name} highest rate, mm/min", True)
        needed[120 + axis] = (acceleration, f"{name} acceleration, mm/s2", True)
        needed[130 + axis] = (travel[axis], f"{name} travel, mm", True)
    return {number: (round(value, 3), *rest) for number, (value, *rest) in needed.items()}  # type: ignore[misc]


def differences(board: BoardSettings, found: Mapping[int, str]) -> list[Difference]:
    """What differs between the board's `$$` (number -> text) and what the machine needs."""
    result = []
    for number, (needed, meaning, dangerous) in needed_settings(board).items():
        value = _number(found.get(number))
        if value is None or not _fits(number, value, needed):
            result.append(Difference(number, value, needed, meaning, dangerous))
    return result


def _fits(number: int, value: float, needed: float) -> bool:
    mask = MASKS.get(number)
    if mask is not None:
        return (int(value) ^ int(needed)) & mask == 0
    return abs(value - needed) <= max(TOLERANCE * abs(needed), 6e-4)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
