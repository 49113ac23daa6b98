"""The twin in one piece: Grbl board, toy and camera, stepped together on one given time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.machine.motion import MotionSettings
from sketch_cell.settings import Settings, setting
from sketch_cell.twin.camera import Camera, CameraSettings, Frame
from sketch_cell.twin.grbl_firmware import GrblFirmware
from sketch_cell.twin.grbl_machine import GrblBuild
from sketch_cell.twin.toy import Toy, ToySettings

Array = NDArray[np.float64]

_NEAR_SWITCH_M = 0.006
_SWITCH_PERIOD_S = 0.002


@dataclass(frozen=True)
class BoardSettings(Settings):
    """What is stored on the twin's board, as its maker would have set it up for this toy."""

    microsteps_per_turn: int = setting(3200, "microsteps for one turn of a knob", minimum=1)
    travel_per_turn_m: float = setting(0.036, "stylus travel for one turn of a knob", unit="m", minimum=0.001)
    pull_off_m: float = setting(
        0.004, "how far homing backs off: more than the backlash, or the switch stays closed", unit="m"
    )
    homing_feed_m_per_s: float = setting(0.004, "slow approach of homing", unit="m/s", minimum=1e-4)
    homing_seek_m_per_s: float = setting(0.025, "fast approach of homing", unit="m/s", minimum=1e-4)
    margin_m: float = setting(0.004, "travel allowed beyond the far edges of the glass", unit="m", minimum=0.0)


def stored_settings(board: BoardSettings, motion: MotionSettings, toy: ToySettings) -> dict[int, float]:
    """Grbl's `$` settings (millimetres, minutes) for this board on this toy; homing is to the lower left."""
    per_mm = board.microsteps_per_turn / (board.travel_per_turn_m * 1e3)
    rate = motion.max_rate_m_per_s * 60e3
    travel_x = (toy.width_m + board.margin_m - toy.switch_x_m) * 1e3
    travel_y = (toy.height_m + board.margin_m - toy.switch_y_m) * 1e3
    return {
        1: 255.0,
        11: motion.junction_deviation_m * 1e3,
        20: 1.0,
        22: 1.0,
        23: 3.0,
        24: board.homing_feed_m_per_s * 60e3,
        25: board.homing_seek_m_per_s * 60e3,
        26: 25.0,
        27: board.pull_off_m * 1e3,
        **dict.fromkeys((100, 101), per_mm),
        **dict.fromkeys((110, 111), rate),
        **dict.fromkeys((120, 121), motion.acceleration_m_per_s2 * 1e3),
        130: travel_x,
        131: travel_y,
    }


class World:
    """Bytes in, time passes, bytes and images out; and the truth, which only reports may look at."""

    def __init__(
        self,
        toy: ToySettings | None = None,
        camera: CameraSettings | None = None,
        board: BoardSettings | None = None,
        motion: MotionSettings | None = None,
        seed: int = 0,
    ) -> None:
        toy, board = toy or ToySettings(), board or BoardSettings()
        step_m = board.travel_per_turn_m / board.microsteps_per_turn
        self.firmware = GrblFirmware(
            GrblBuild(step_m=step_m), stored_settings(board, motion or MotionSettings(), toy)
        )
        self.toy = Toy(toy, seed)
        self.camera = Camera(camera, seed)
        self._power_up_m = self.toy.stylus_m
        self._traces: list[Array] = []
        self._times: list[Array] = []

    @property
    def now_s(self) -> float:
        """The twin's time [s], from 0 at power-up."""
        return self.firmware.now_s

    def exchange(self, data: bytes, duration_s: float, sample_period_s: float = 1e-3) -> bytes:
        """The board receives `data`, time passes, and what the board has sent by then is returned."""
        self.firmware.receive(data)
        end_s = self.now_s + duration_s
        while self.now_s < end_s - 1e-9:
            left_s = end_s - self.now_s
            self._advance(min(left_s, _SWITCH_PERIOD_S) if self._near_switch() else left_s, sample_period_s)
        return self.firmware.transmit()

    def frames(self) -> list[Frame]:
        """Camera images that have arrived by now and were not returned before."""
        return self.camera.frames(self.now_s)

    def trace(self, since_s: float = 0.0) -> tuple[Array, Array]:
        """The truth: times (n,) [s] and stylus positions (n, 2) [m, screen] after `since_s`."""
        if not self._times:
            return np.zeros(0), np.zeros((0, 2))
        times, places = np.concatenate(self._times), np.concatenate(self._traces)
        later = times > since_s
        return times[later], places[later]

    def _near_switch(self) -> bool:
        settings, (x, y) = self.toy.settings, self.toy.stylus_m
        return bool(
            x < settings.switch_x_m + _NEAR_SWITCH_M or y < settings.switch_y_m + _NEAR_SWITCH_M
        )

    def _advance(self, duration_s: float, sample_period_s: float) -> None:
        motor_m = self.firmware.advance(duration_s, sample_period_s) + self._power_up_m
        period_s = duration_s / len(motor_m)
        stylus_m = self.toy.move(motor_m, period_s)
        times_s = self.now_s - period_s * np.arange(len(motor_m) - 1, -1, -1)
        self.camera.see(stylus_m, times_s)
        self._traces.append(stylus_m)
        self._times.append(times_s)
        x, y = self.toy.limit_switches()
        self.firmware.limit_pins = (x, y, False)
