"""What goes into and comes out of the driver: its settings, states, events and figures."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.settings import Settings, setting


@dataclass(frozen=True)
class DriverSettings(Settings):
    """How the driver talks to the board and when it loses patience."""

    home_x_m: float = setting(
        0.001, "x of the stylus after homing, frame screen", unit="m", minimum=-1.0, maximum=2.0
    )
    home_y_m: float = setting(
        0.001, "y of the stylus after homing, frame screen", unit="m", minimum=-1.0, maximum=2.0
    )
    streaming: str = setting(
        "character counting", "how lines are streamed", choices=("character counting", "send-response")
    )
    poll_period_s: float = setting(0.1, "time between status requests", unit="s", minimum=0.01, maximum=0.5)
    link_timeout_s: float = setting(
        0.8, "silence after which the link is given up", unit="s", minimum=0.2, maximum=30.0
    )
    deadman_s: float = setting(
        0.25,
        "silence of the controller after which motion is held; 0 is never",
        unit="s",
        minimum=0.0,
        maximum=10.0,
    )
    homing_timeout_s: float = setting(90.0, "time homing may take", unit="s", minimum=5.0, maximum=600.0)
    connect_timeout_s: float = setting(
        6.0, "time a board may take to say its banner", unit="s", minimum=1.0, maximum=60.0
    )
    touch: str = setting(
        "probe",
        "how a switch is touched: probe, a contact on the probe input some mm inside the travel (Grbl probes no "
        "farther); homing, by $HX and $HY in firmware that has them",
        choices=("probe", "homing"),
    )
    most_step_error_m: float = setting(
        0.005, "step error at a touch beyond which it is not believed", unit="m", minimum=1e-4, maximum=0.1
    )
    deviation_m: float = setting(
        6e-5,
        "how far the reported position may be off the commanded path",
        unit="m",
        minimum=2e-5,
        maximum=0.01,
    )


class DriverState(enum.Enum):
    """What the machine is doing; moves are legal in IDLE and RUNNING, and wait while a path is held."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    REFUSED = "refused"
    UNHOMED = "unhomed"
    HOMING = "homing"
    IDLE = "idle"
    RUNNING = "running"
    JOGGING = "jogging"
    HOLDING = "holding"
    HELD = "held"
    STOPPING = "stopping"
    FAULT = "fault"
    ALARM = "alarm"
    EMERGENCY = "emergency"
    ASLEEP = "asleep"


READY = (DriverState.IDLE, DriverState.RUNNING)
STOPPABLE = (*READY, DriverState.HOLDING, DriverState.HELD)
AT_REST = (DriverState.UNHOMED, DriverState.IDLE, DriverState.ALARM, DriverState.FAULT)
OUT_OF_REACH = (DriverState.OFFLINE, DriverState.REFUSED, DriverState.ASLEEP)

ADVICE = {
    DriverState.OFFLINE: "connect the board first",
    DriverState.CONNECTING: "wait until it has answered",
    DriverState.REFUSED: "run `sketch-cell machine configure`",
    DriverState.UNHOMED: "home the machine first",
    DriverState.ALARM: "home the machine first",
    DriverState.FAULT: "resume to acknowledge the fault",
    DriverState.EMERGENCY: "release the emergency stop first",
    DriverState.ASLEEP: "enable and home the machine first",
}


@dataclass(frozen=True)
class Event:
    """Something a person should read; level is info, warning or error."""

    level: str
    text: str


@dataclass(frozen=True)
class Motion:
    """Where the motors are, frame screen, and how far along the appended timeline the board has moved."""

    stamp_s: float
    position_m: NDArray[np.float64]
    velocity_m_per_s: NDArray[np.float64]
    timeline_s: float


@dataclass(frozen=True)
class Touch:
    """An axis homed anew by its switch; errors are None where homing by the firmware hides them."""

    step_error_m: float | None  # what it was off since the touch before
    total_m: float | None  # what it has been off since the whole machine was homed
    count: int
    machine_mm: float | None  # where the switch was touched


@dataclass
class Statistics:
    """Counters for diagnostics since the link was opened."""

    lines: int = 0
    acknowledged: int = 0
    errors: int = 0
    alarms: int = 0
    lost_acknowledgements: int = 0
    unknown_lines: int = 0
    starved: int = 0
    reports: int = 0
    round_trip_s: float = 0.0
    largest_deviation_m: float = 0.0
