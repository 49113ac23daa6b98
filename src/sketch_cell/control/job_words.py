"""The words between a drawing job and whoever runs it: settings, states, what it takes in and what it gives out."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sketch_cell.machine.driver_types import DriverState
from sketch_cell.settings import Settings, setting

Array = NDArray[np.float64]

LOOPS = ("open", "backlash", "homing", "camera", "closed")  # closed: another word for camera


class JobState(enum.Enum):
    """What the job is doing."""

    IDLE = "idle"
    HOMING = "homing"
    DRAWING = "drawing"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


class MachineState(enum.Enum):
    """What the job needs to know of the driver."""

    ABSENT = "absent"
    UNHOMED = "unhomed"
    HOMING = "homing"
    READY = "ready"
    MOVING = "moving"
    HELD = "held"
    FAULT = "fault"


_MACHINE_STATES = {
    DriverState.IDLE: MachineState.READY,
    DriverState.RUNNING: MachineState.MOVING,
    DriverState.HOMING: MachineState.HOMING,
    DriverState.HOLDING: MachineState.HELD,
    DriverState.HELD: MachineState.HELD,
    DriverState.STOPPING: MachineState.HELD,
    DriverState.UNHOMED: MachineState.UNHOMED,
    DriverState.CONNECTING: MachineState.ABSENT,
    DriverState.OFFLINE: MachineState.ABSENT,
}


def machine_state(driver: DriverState | str) -> MachineState:
    """What a driver's state, or its word for it, means for a job; all that is not listed is a fault."""
    try:
        return _MACHINE_STATES.get(DriverState(driver), MachineState.FAULT)
    except ValueError:
        return MachineState.FAULT


class Order(enum.Enum):
    """What the job wants of the driver besides motion."""

    HOME = "home"
    HOLD = "hold"
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True)
class ControlSettings(Settings):
    """How a job is run: which loop is closed, how the line is prepared, and when to stop and ask."""

    loop: str = setting(
        "camera",
        "what corrects the drawing: nothing, feed-forward of the backlash, row-end homing or the camera",
        choices=LOOPS,
    )
    homing_ends: str = setting(
        "both",
        "row ends at which loop homing touches the switches: after every row, or on the left after every second",
        choices=("both", "left"),
    )
    tolerance_m: float = setting(
        0.00003, "how far the line may move when vertices are dropped", unit="m", minimum=0.0, maximum=0.001
    )
    smallest_reversal_m: float = setting(
        0.00005, "wiggles of an axis smaller than this get no take-up", unit="m", minimum=0.0, maximum=0.01
    )
    calibrate: bool = setting(
        True, "draw a short zigzag in the left margin first, to measure the backlash (loop camera)"
    )
    no_tip_s: float = setting(
        15.0, "pause when no tip was seen for so long while drawing", unit="s", minimum=0.1
    )
    no_progress_s: float = setting(
        5.0, "pause when the board did not move for so long while drawing", unit="s", minimum=0.1
    )
    deviation_limit_m: float = setting(
        0.006, "pause when the stylus is this far from the line", unit="m", minimum=0.0001
    )
    journal: str = setting(
        "", "file that keeps a drawing's place, so that `resume` goes on after a crash; none without a name"
    )
    homing_timeout_s: float = setting(90.0, "give up homing after so long", unit="s", minimum=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loop == "closed":
            object.__setattr__(self, "loop", "camera")


@dataclass(frozen=True)
class Progress:
    """How far along the appended timeline the board had moved, and where the motors were (2,) [m], at a time."""

    stamp_s: float
    timeline_s: float
    position_m: Array


@dataclass(frozen=True)
class Commands:
    """Waypoints that another controller sent: times (n,) [s] on the timeline, motor positions (n, 2) [m]."""

    time_s: Array
    position_m: Array


@dataclass(frozen=True)
class TipSeen:
    """One tip from the tracker: exposure stamp, place (2,) [m, screen] and covariance (2, 2) [m^2]."""

    stamp_s: float
    xy_m: Array
    covariance_m2: Array


@dataclass(frozen=True)
class JobInputs:
    """What was observed since the last step; with `commands`, even empty ones, the board obeys another controller."""

    machine: MachineState
    progress: tuple[Progress, ...] = ()
    tips: tuple[TipSeen, ...] = ()
    reason: str = ""
    commands: Commands | None = None


@dataclass(frozen=True)
class JobStatus:
    """What a person wants to know."""

    state: JobState
    reason: str
    progress: float
    time_left_s: float
    deviation_m: float
    jumps: int
    offset_m: Array
    backlash_m: Array
    planned_s: float
    draw_s: float

    def figures(self) -> dict[str, str]:
        """All of it as text, for a status message."""
        numbers = {
            "progress": self.progress,
            "time_left_s": self.time_left_s,
            "deviation_mm": self.deviation_m * 1e3,
            "planned_s": self.planned_s,
            "draw_s": self.draw_s,
            "offset_x_mm": self.offset_m[0] * 1e3,
            "offset_y_mm": self.offset_m[1] * 1e3,
            "backlash_x_mm": self.backlash_m[0] * 1e3,
            "backlash_y_mm": self.backlash_m[1] * 1e3,
        }
        known = {name: f"{value:.6g}" for name, value in numbers.items() if math.isfinite(value)}
        return {"state": self.state.value, **known, "lost_steps_found": str(self.jumps)}


@dataclass(frozen=True)
class JobOutputs:
    """Waypoints to append (times (n,) [s] on the timeline, motor positions (n, 2) [m]), orders, and the status."""

    status: JobStatus
    orders: tuple[Order, ...] = ()
    waypoint_time_s: Array = field(default_factory=lambda: np.zeros(0))
    waypoint_m: Array = field(default_factory=lambda: np.zeros((0, 2)))
