"""Driver and firmware wired together on simulated time, with switches at the lower left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sketch_cell.machine.board import BoardSettings, needed_settings
from sketch_cell.machine.driver import DriverSettings, DriverState, Event, GrblDriver
from sketch_cell.twin.grbl_firmware import GrblFirmware
from sketch_cell.twin.grbl_flags import GrblBuild

START_M = (0.020, 0.010)  # the stylus at power-up, from the switches


class Pair:
    """`to_board` and `to_host` may be replaced to damage the wire."""

    def __init__(
        self,
        board: BoardSettings | None = None,
        settings: DriverSettings | None = None,
        *,
        configured: bool = True,
        build: GrblBuild | None = None,
        step_s: float = 0.005,
    ) -> None:
        self.board = board or BoardSettings()
        self.driver = GrblDriver(self.board, settings)
        stored = {number: float(value) for number, (value, *_) in needed_settings(self.board).items()}
        self.firmware = GrblFirmware(build, stored if configured else None)
        self.now_s, self.step_s = 0.0, step_s
        self.motor_m: NDArray[np.float64] = np.zeros(2)
        self.events: list[Event] = []
        self.sent = bytearray()
        self.to_board: Callable[[bytes], bytes] = lambda data: data
        self.to_host: Callable[[bytes], bytes] = lambda data: data
        self.switches = True
        self.alive = True  # a controller that keeps the dead man's switch pressed

    def step(self) -> None:
        if self.alive:
            self.driver.append([], np.empty((0, 2)))
        data = self.driver.transmit(self.now_s)
        self.sent += data
        self.firmware.receive(self.to_board(data))
        self.motor_m = self.firmware.advance(self.step_s, self.step_s)[-1]
        self.now_s += self.step_s
        x, y = self.motor_m + START_M
        self.firmware.limit_pins = (bool(x < 0), bool(y < 0), False) if self.switches else (False,) * 3
        self.driver.receive(self.to_host(self.firmware.transmit()), self.now_s)
        self.events += self.driver.drain_events()

    def run(self, duration_s: float) -> None:
        end_s = self.now_s + duration_s
        while self.now_s < end_s - 1e-9:
            self.step()

    def until(self, done: Callable[[], bool], limit_s: float = 60.0) -> None:
        end_s = self.now_s + limit_s
        while not done():
            assert self.now_s < end_s, f"{self.driver.state}: {self.driver.reason}; {self.said()}"
            self.step()

    def until_state(self, *states: DriverState, limit_s: float = 60.0) -> None:
        self.until(lambda: self.driver.state in states, limit_s)

    def connect(self) -> None:
        self.driver.link_opened(self.now_s)
        self.until_state(DriverState.UNHOMED, DriverState.REFUSED)

    def home(self) -> None:
        self.driver.home(self.now_s)
        self.until(lambda: self.driver.state is not DriverState.HOMING)

    def ready(self) -> Pair:
        self.connect()
        self.home()
        assert self.driver.state is DriverState.IDLE, self.said()
        return self

    def draw(
        self, times: NDArray[np.float64], xy: NDArray[np.float64], feed: float = 0.04, limit_s: float = 3000
    ) -> float:
        """Append a whole path a short horizon ahead, as a controller does; the seconds it took."""
        start_s, sent = self.now_s, 0
        while sent < len(times) or not self.driver.idle:
            assert self.driver.state in (DriverState.IDLE, DriverState.RUNNING), self.said()
            horizon_s = self.driver.motion(self.now_s).timeline_s + 0.6
            end = max(int(np.searchsorted(times, horizon_s)) + 1, sent)  # the one beyond the horizon too
            self.driver.append(times[sent:end], xy[sent:end], feed)
            sent = end
            self.step()
            assert self.now_s < start_s + limit_s
        return self.now_s - start_s

    def said(self) -> str:
        return " | ".join(f"{event.level}: {event.text}" for event in self.events)

    @property
    def stylus_m(self) -> NDArray[np.float64]:
        """Where the motors really are, frame screen, if homing set the switches to (0, 0)."""
        return self.motor_m + START_M
