"""What the firmware twin does with time: pacing, buffers, motion, homing; and that nothing can crash it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sketch_cell.machine.motion import MotionSettings, draw_time_s
from sketch_cell.twin.grbl_firmware import GrblFirmware
from sketch_cell.twin.grbl_flags import GrblBuild

NEEDED = {
    1: 255, 20: 1, 22: 1, 23: 3, 24: 120, 25: 1500, 26: 25, 100: 88.889, 101: 88.889, 110: 5400, 111: 5400, 120: 500,
    121: 500, 130: 153, 131: 107,
}  # fmt: skip


def board(build: GrblBuild | None = None, **changes: float) -> GrblFirmware:
    """A board set up for the toy, unlocked."""
    stored = {**NEEDED, **{int(key[1:]): value for key, value in changes.items()}}
    firmware = GrblFirmware(build, stored)
    say(firmware, b"", 0.05)
    say(firmware, b"$X\n", 0.1)
    return firmware


def say(firmware: GrblFirmware, data: bytes, duration_s: float, step_s: float = 0.005) -> bytes:
    firmware.receive(data)
    out = b""
    for _ in range(round(duration_s / step_s)):
        firmware.advance(step_s, step_s)
        out += firmware.transmit()
    return out


def test_bytes_take_their_time_on_the_wire() -> None:
    firmware = board()
    firmware.receive(b"$$\n")
    first = next(t for t in range(1, 2000) if (firmware.advance(1e-4), firmware.transmit())[1])
    assert first * 1e-4 > 3 * 10 / 115_200
    length = len(say(board(), b"$$\n", 0.5)) + len(b"ok\r\n")
    quick = len(say(board(), b"$$\n", length * 10 / 115_200 / 2))
    assert 0 < quick < 0.6 * length


def test_a_full_receive_buffer_loses_bytes_and_tells_nobody() -> None:
    firmware = board()
    answers = say(firmware, b"N1\n" * 100, 2.0)
    assert firmware.overflow_bytes > 0
    assert 128 // 3 < answers.count(b"ok") < 100


def test_128_bytes_in_flight_lose_nothing() -> None:
    firmware = board()
    lines = [b"G1X-%.1fF3000\n" % (n % 90) for n in range(1, 200)]
    flight: list[int] = []
    answered = 0
    for line in lines:
        while sum(flight) + len(line) > 128:
            count = say(firmware, b"", 0.005).count(b"ok")
            answered += count
            del flight[:count]
        firmware.receive(line)
        flight.append(len(line))
    assert firmware.overflow_bytes == 0


def test_lines_sent_behind_an_eeprom_write_are_damaged() -> None:
    firmware = board()
    answers = say(firmware, b"$100=80\n", 0.005, 0.001)
    answers += say(firmware, b"G1X-1F100\nG1X-2F100\n", 0.5)
    assert answers.count(b"ok") < 3


@pytest.mark.parametrize("count", [2, 20, 120])
def test_motion_takes_the_time_that_was_foretold(count: int) -> None:
    angle = np.linspace(0, 3, count)
    xy = np.stack([20 + 15 * np.cos(angle), 20 + 15 * np.sin(angle)], axis=1) / 1000 - [0.035, 0.020]
    firmware = board()
    lines = [b"G1X%.3fY%.3fF2400\n" % (-50 + x * 1000, -50 + y * 1000) for x, y in xy]
    say(firmware, b"G0X-50Y-50\n", 3.0)
    start_s = firmware.now_s
    for line in lines:
        firmware.receive(line)
        while b"\n" not in firmware.transmit():
            firmware.advance(0.001)
    while firmware.state == "Run" or firmware.now_s == start_s:
        firmware.advance(0.001)
    foretold = draw_time_s(np.vstack([[0, 0], xy]), MotionSettings())
    assert firmware.now_s - start_s == pytest.approx(foretold, rel=0.03, abs=0.06)


def test_motors_end_exactly_where_the_position_says() -> None:
    firmware = board()
    before = firmware.advance(0.001)[-1]
    say(firmware, b"G1X-10Y-5F1000\nG2X-12Y-7I-2J0\nG1X-3Y-4\n", 3.0)
    moved = firmware.advance(0.001)[-1] - before
    assert moved * 1000 == pytest.approx([-3, -4], abs=0.006)
    assert list(firmware.machine_position_mm)[:2] == pytest.approx([-3, -4], abs=0.006)


def test_samples_show_the_path_and_no_step_is_lost_between_calls() -> None:
    whole, pieces = board(), board()
    for firmware in (whole, pieces):
        firmware.receive(b"G1X-10Y-3F2000\n")
    path = whole.advance(0.5, 0.001)
    parts = np.concatenate([pieces.advance(0.05, 0.001) for _ in range(10)])
    assert path.shape == parts.shape == (500, 2)
    assert np.abs(path - parts).max() <= 2.5 * 0.036 / 3200
    assert (np.diff(path[:, 0]) <= 1e-12).all()
    assert np.abs(path[:, 1] - 0.3 * path[:, 0]).max() < 2 * 0.036 / 3200


def switched(firmware: GrblFirmware, data: bytes, duration_s: float, start_m: tuple[float, float]) -> bytes:
    firmware.receive(data)
    out = b""
    for _ in range(round(duration_s / 0.001)):
        x, y = firmware.advance(0.001)[-1] + start_m
        firmware.limit_pins = (bool(x < 0), bool(y < 0), False)
        out += firmware.transmit()
    return out


def test_homing_finds_the_switches_wherever_it_starts() -> None:
    for start_m in ((0.004, 0.009), (0.009, 0.004), (0.002, 0.002)):
        firmware = board()
        assert switched(firmware, b"$H\n", 5.0, start_m).strip() == b"ok"
        x, y = firmware.advance(0.001)[-1] + start_m
        assert (x, y) == pytest.approx((0.001, 0.001), abs=3e-5)
        assert list(firmware.machine_position_mm)[:2] == pytest.approx([-152, -106], abs=0.01)


def test_stock_firmware_homes_a_z_that_is_not_there() -> None:
    firmware = board(GrblBuild(homing_cycles=((2,), (0, 1))), _132=10.0, _112=2000.0, _122=500.0)
    said = switched(firmware, b"$H\n", 3.0, (0.004, 0.009))
    assert b"ALARM:9" in said
    assert said.index(b"ALARM:9") < said.index(b"ok") < said.index(b"Grbl 1.1h")


def test_nothing_answers_while_homing_but_one_report_comes_at_its_end() -> None:
    firmware = board()
    said = switched(firmware, b"$H\n", 0.3, (0.004, 0.009)) + switched(firmware, b"????", 0.1, (0.004, 0.009))
    assert said == b""
    said = switched(firmware, b"", 5.0, (0.004, 0.009))
    assert said.count(b"<") == 1
    assert said.endswith(b"ok\r\n")


def test_a_switch_that_never_opens_is_alarm_8() -> None:
    firmware = board()
    firmware.limit_pins = (True, True, False)
    assert b"ALARM:8" in say(firmware, b"$H\n", 5.0)


def test_a_hard_limit_stops_dead_and_waits_for_a_reset() -> None:
    firmware = board(_21=1)
    say(firmware, b"G1X-50F2000\n", 0.5)
    firmware.limit_pins = (True, False, False)
    stopped = firmware.advance(0.001)[-1]
    said = say(firmware, b"?", 1.0)
    assert b"ALARM:1" in said
    assert b"<" not in said
    assert (firmware.advance(0.5)[-1] == stopped).all()
    assert b"Grbl 1.1h" in say(firmware, b"\x18", 0.2)


def test_power_cycle_keeps_settings_and_loses_the_position() -> None:
    firmware = board()
    say(firmware, b"$120=400\nG1X-5F1000\n", 1.0)
    say(firmware, b"G1X-5F1000\n", 1.0)
    firmware.power_cycle()
    said = say(firmware, b"", 0.1)
    assert b"Grbl 1.1h" in said
    assert b"unlock" in said
    assert b"$120=400.000" in say(firmware, b"$$\n", 0.3)
    assert list(firmware.machine_position_mm) == [0, 0, 0]


def test_a_frozen_board_neither_moves_nor_answers() -> None:
    firmware = board()
    say(firmware, b"G1X-50F2000\n", 0.5)
    firmware.freeze()
    place = firmware.advance(0.01)[-1]
    assert say(firmware, b"?\x18", 1.0) == b""
    assert (firmware.advance(0.5)[-1] == place).all()


WORDS = st.text(alphabet="GMXYZFIJKLNPRSTQ$#=0123456789.-+ ()/;!~?\x18\x84\x85\x91\n\r\xff", max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(WORDS.map(lambda text: text.encode("latin-1")), st.binary(max_size=40)), max_size=12)
)
def test_no_bytes_crash_it_and_a_reset_always_brings_it_back(chunks: list[bytes]) -> None:
    firmware = board()
    for chunk in chunks:
        say(firmware, chunk, 0.1, 0.02)
    firmware.power_cycle()
    assert b"Grbl 1.1h" in say(firmware, b"", 0.1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-150, 0), st.floats(-100, 0), st.floats(10, 5400)), min_size=1, max_size=12)
)
def test_acceleration_never_exceeds_its_setting(moves: list[tuple[float, float, float]]) -> None:
    """Per axis, over windows of 20 ms, allowing for whole steps and for what Grbl lets happen at a junction.

    There it turns at once at speed v with v^2 = a d s / (1 - s), s the sine of half the angle, d the junction
    deviation: a change of velocity of 2 v sqrt(1 - s^2), at most 2 sqrt(2 a d), where a is up to sqrt(2) times
    an axis' own limit.
    """
    firmware = board()
    firmware.receive("".join(f"G1X{x:.2f}Y{y:.2f}F{f:.0f}\n" for x, y, f in moves[:5]).encode())
    path = firmware.advance(3.0, 0.02) * 1000
    acceleration = np.diff(path, n=2, axis=0) / 0.02**2
    turn_mm_per_s = 2 * (2 * 500 * 2**0.5 * 0.01) ** 0.5
    assert np.abs(acceleration).max(initial=0.0) < 500 * 1.1 + 4 * 0.01125 / 0.02**2 + turn_mm_per_s / 0.02
