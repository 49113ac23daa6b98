"""Anything asked for at any moment, over a wire that delays both directions: the position stays true, nothing hangs.

Every seed is another story of appends, holds, resumes, stops, jogs and emergencies in which answers to what was
before come after what is now. The same stories were run against the real Grbl 1.1h.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
from machine_pair import Pair

from sketch_cell.errors import MachineError
from sketch_cell.machine.driver import DriverSettings, DriverState

WEIGHTS = {
    "append": 12, "jog": 2, "cancel": 2, "hold": 4, "resume": 6, "stop": 3, "emergency": 2, "release": 3, "home": 0.7,
    "sleep": 0.3, "wake": 0.5, "override": 1,
}  # fmt: skip
PAUSES_S = [0.0, 0.002, 0.004, 0.01, 0.03, 0.06, 0.1, 0.3, 0.8]
LONGEST_DELAYS_S = [0.0, 0.005, 0.02, 0.04]
ACTIONS = 40
AT_REST = {
    DriverState.IDLE, DriverState.HELD, DriverState.UNHOMED, DriverState.EMERGENCY, DriverState.ASLEEP,
    DriverState.ALARM,
}  # fmt: skip
# Words of events that would tell of a fault where there was none.
FALSE_ALARMS = (
    "refused the line",
    "off the path",
    "short of the last",
    "unknown",
    "got lost",
    "reset itself",
)
FALSE_ALARMS += (
    "nobody asked",
    "nothing told",
    "work offset",
    "went on by itself",
    "link to the board",
    "standstill",
    "though 1",
)


class Jitter:
    """A wire that delays each piece by up to `longest_s` and keeps their order."""

    def __init__(self, pair: Pair, rng: random.Random, longest_s: float) -> None:
        self._pair, self._rng, self._longest_s = pair, rng, longest_s
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._last_s = 0.0

    def __call__(self, data: bytes) -> bytes:
        now_s = self._pair.now_s
        stall_s = 0.15 if self._rng.random() < 0.002 else 0.0
        self._last_s = max(self._last_s, now_s + self._rng.uniform(0, self._longest_s) + stall_s)
        self._under_way.append((self._last_s, data))
        out = b""
        while self._under_way and self._under_way[0][0] <= now_s + 1e-9:
            out += self._under_way.popleft()[1]
        return out


class Story:
    """One seeded sequence of requests, those refused included."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        streaming = self.rng.choice(["character counting", "character counting", "send-response"])
        self.pair = Pair(step_s=0.002, settings=DriverSettings(streaming=streaming)).ready()
        longest_s = self.rng.choice(LONGEST_DELAYS_S)
        self.pair.to_board = Jitter(self.pair, self.rng, longest_s)
        self.pair.to_host = Jitter(self.pair, self.rng, longest_s)
        self.time_s, self.here = 1.0, np.array([0.001, 0.001])
        self.stopped_homing = False
        driver = self.pair.driver
        self.requests: dict[str, Callable[[], None]] = {
            "append": self._append,
            "jog": lambda: driver.jog([self._place(), self._place()], 0.05, self.pair.now_s),
            "cancel": lambda: driver.cancel_jog(self.pair.now_s),
            "emergency": self._emergency,
            "override": lambda: driver.override_feed(self.rng.choice([50, 100, 120, 150])),
            **{name: self._plain(name) for name in ("hold", "resume", "stop", "release", "home", "sleep", "wake")},
        }  # fmt: skip

    def _plain(self, name: str) -> Callable[[], None]:
        def ask() -> None:
            self.stopped_homing |= name == "stop" and self.pair.driver.state is DriverState.HOMING
            getattr(self.pair.driver, name)(self.pair.now_s)

        return ask

    def _place(self) -> float:
        return self.rng.uniform(0.002, 0.1)

    def _append(self) -> None:
        times, points = [], []
        for _ in range(self.rng.randint(1, 40)):
            step_m, angle = self.rng.choice([0.0003, 0.0003, 0.001, 0.01]), self.rng.uniform(0, 2 * np.pi)
            self.here = np.clip(self.here + step_m * np.array([np.cos(angle), np.sin(angle)]), 0.002, 0.1)
            self.time_s += step_m / 0.03 + 1e-3
            times.append(self.time_s)
            points.append(self.here)
        self.pair.driver.append(times, points, self.rng.choice([None, 0.04, 0.02]))

    def _emergency(self) -> None:
        self.stopped_homing |= self.pair.driver.state is DriverState.HOMING
        self.pair.driver.emergency_stop(self.pair.now_s)

    def act(self) -> None:
        name = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        try:
            self.requests[name]()
            self.pair.run(self.rng.choice(PAUSES_S))
        except MachineError:
            self.pair.run(0.002)


@pytest.mark.parametrize("seed", range(16))
def test_whatever_is_asked_for_whenever_the_position_stays_true(seed: int) -> None:
    story = Story(seed)
    pair, driver = story.pair, story.pair.driver
    for count in range(1, ACTIONS + 1):
        story.act()
        if count % 10:
            continue
        pair.until(lambda: driver.state in AT_REST and driver.wire.script is None, limit_s=120.0)
        pair.run(0.2)  # for what is still under way on the wire
        stands = pair.stylus_m
        pair.run(0.3)
        assert np.array_equal(pair.stylus_m, stands), f"it moves while {driver.state}"
        if driver.homed:
            assert np.allclose(driver.motion(pair.now_s).position_m, stands, atol=3e-5)
        said = pair.said()
        assert not [words for words in FALSE_ALARMS if words in said], said
        assert story.stopped_homing or "ALARM" not in said, said
        if driver.latched:
            driver.release(pair.now_s)
        if driver.state in (DriverState.UNHOMED, DriverState.ALARM):
            pair.home()
