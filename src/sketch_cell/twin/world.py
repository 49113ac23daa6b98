"""The twin in one piece: Grbl board, toy and camera, stepped together on one given time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sketch_cell.machine.board import BoardSettings as BoardSettings
from sketch_cell.machine.board import needed_settings
from sketch_cell.machine.motion import MotionSettings
from sketch_cell.twin.camera import Camera, CameraSettings, Frame
from sketch_cell.twin.grbl_firmware import GrblFirmware
from sketch_cell.twin.grbl_flags import GrblBuild
from sketch_cell.twin.toy import Toy, ToySettings

Array = NDArray[np.float64]

_NEAR_SWITCH_M = 0.006
_SWITCH_PERIOD_S = 0.002


def board_for(toy: ToySettings, motion: MotionSettings | None = None) -> BoardSettings:
    """How the board of this toy is set up: reach beyond the glass on every side, a long pull-off.

    Lost steps shift the motors' coordinates against the glass, so the travel must go beyond it by as much; and
    homing must back off by more than the backlash, or the switch stays closed (ALARM:8).
    """
    motion = motion or MotionSettings()
    return BoardSettings(
        travel_x_m=toy.width_m - 2 * toy.switch_x_m,
        travel_y_m=toy.height_m - 2 * toy.switch_y_m,
        pull_off_m=0.004,
        max_rate_m_per_s=motion.max_rate_m_per_s,
        acceleration_m_per_s2=motion.acceleration_m_per_s2,
        junction_deviation_m=motion.junction_deviation_m,
    )


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
        """Everything just powered up; without `board` it is `board_for` the toy with the limits of `motion`."""
        toy = toy or ToySettings()
        board = board or board_for(toy, motion)
        stored = {number: needed for number, (needed, *_) in needed_settings(board).items()}
        self.firmware = GrblFirmware(GrblBuild(step_m=board.step_m), stored)
        self.toy = Toy(toy, seed)
        self.camera = Camera(camera, seed)
        self._power_up_m = self.toy.stylus_m
        self._traces: list[Array] = []
        self._times: list[Array] = []
        self._stands = False

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
        return bool(x < settings.switch_x_m + _NEAR_SWITCH_M or y < settings.switch_y_m + _NEAR_SWITCH_M)

    def _advance(self, duration_s: float, sample_period_s: float) -> None:
        motor_m = self.firmware.advance(duration_s, sample_period_s) + self._power_up_m
        period_s = duration_s / len(motor_m)
        stylus_m = self.toy.move(motor_m, period_s)
        times_s = np.asarray(self.now_s - period_s * np.arange(len(motor_m) - 1, -1, -1), np.float64)
        self.camera.see(stylus_m, times_s)
        self._remember(stylus_m, times_s)
        x, y = self.toy.limit_switches()
        self.firmware.limit_pins = (x, y, False)
        self.firmware.probe_pin = self.toy.probe_contact()

    def _remember(self, stylus_m: Array, times_s: Array) -> None:
        """Add to the trace; of a stylus that stands, only where it last stood, however long it does."""
        stood, self._stands = self._stands, bool((stylus_m == stylus_m[0]).all())
        if stood and self._stands and (self._traces[-1][-1] == stylus_m[0]).all():
            del self._traces[-1], self._times[-1]
        kept = slice(-1, None) if self._stands else slice(None)
        self._traces.append(stylus_m[kept])
        self._times.append(times_s[kept])
