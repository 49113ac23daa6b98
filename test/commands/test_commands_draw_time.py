"""The draw time that a plan reports against what the firmware twin takes for the same bytes."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from skimage import data

from sketch_cell.commands.draw_time import draw_time
from sketch_cell.control.route import route
from sketch_cell.drawing.export import gcode_text
from sketch_cell.drawing.plan import plan_line
from sketch_cell.drawing.settings import WAVEFORMS, LineSettings
from sketch_cell.machine.motion import MotionSettings
from sketch_cell.twin.grbl_firmware import GrblFirmware

BOARD = {20: 0, 22: 0, 100: 88.889, 101: 88.889, 110: 5400, 111: 5400, 120: 500, 121: 500}


def drawn_s(xy: np.ndarray) -> float:
    """Simulated seconds from the first point of xy [m] to the end, streamed by counting characters."""
    firmware = GrblFirmware(None, BOARD)
    firmware.advance(0.1)
    firmware.transmit()
    waiting = deque(line.encode() + b"\n" for line in gcode_text(xy - xy[0]).splitlines()[:-1])
    flight: deque[int] = deque()
    start_s, answer = firmware.now_s, b""
    while waiting or flight or firmware.state == "Run":
        while waiting and sum(flight) + len(waiting[0]) <= 128:
            flight.append(len(waiting[0]))
            firmware.receive(waiting.popleft())
        firmware.advance(0.005)
        *lines, answer = (answer + firmware.transmit()).split(b"\n")
        assert not any(line.startswith(b"error") for line in lines)
        for _ in range(sum(line.startswith(b"ok") for line in lines)):
            flight.popleft()
    return firmware.now_s - start_s


@pytest.mark.parametrize("waveform", WAVEFORMS)
@pytest.mark.parametrize("backlash_m", [(0.0, 0.0), (0.0015, 0.002), (0.0, 0.004)])
def test_reported_time_is_what_the_firmware_takes(waveform, backlash_m):
    settings = LineSettings(cells=10, long_edge_m=0.024, waveform=waveform)
    commands = plan_line(data.camera(), settings).commands_xy
    foretold = draw_time(commands, MotionSettings(), backlash_m)
    motors, _ = route(commands, 0.0, 5e-5).with_take_ups(np.array(backlash_m))
    assert foretold.total_s == pytest.approx(drawn_s(motors), rel=0.03)


def test_a_take_up_costs_about_its_own_ramps():
    zigzag = np.array([[0, 0], [0.01, 0.01], [0.02, 0], [0.03, 0.01]])
    motion = MotionSettings()
    each = 2 * (0.002 / motion.acceleration_m_per_s2) ** 0.5
    assert draw_time(zigzag, motion, (0.0, 0.0)).take_up_s == 0
    assert draw_time(zigzag, motion, (0.0, 0.002)).take_up_s == pytest.approx(2 * each, rel=0.25)
