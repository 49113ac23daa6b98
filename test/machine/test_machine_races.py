"""What goes wrong between a command and its effect: lost bytes, boards that start late, resets nobody asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from machine_pair import Pair

from sketch_cell.errors import MachineError
from sketch_cell.machine.board import BoardSettings, differences, needed_settings
from sketch_cell.machine.driver import DriverState, GrblDriver

JOGGING = DriverState.JOGGING


class Loses:
    """A wire to the board that loses a byte the first `count` times it comes."""

    def __init__(self, byte: bytes, count: int = 1) -> None:
        self.byte, self.left = byte, count

    def __call__(self, data: bytes) -> bytes:
        while self.left and self.byte in data:
            data = data.replace(self.byte, b"", 1)
            self.left -= 1
        return data


def moving(pair: Pair) -> Pair:
    pair.ready()
    pair.driver.append([3.0], [[0.060, 0.050]])
    pair.run(0.5)
    assert pair.driver.state is DriverState.RUNNING
    return pair


def moved_in(pair: Pair, duration_s: float) -> float:
    before = pair.stylus_m
    pair.run(duration_s)
    return float(np.abs(pair.stylus_m - before).max())


@pytest.mark.parametrize("lost", [b"!", b"\x18"])
def test_a_stop_whose_byte_is_lost_is_said_again(lost: bytes) -> None:
    pair = moving(Pair())
    pair.to_board = Loses(lost)
    pair.driver.stop(pair.now_s)
    pair.run(0.3)
    assert moved_in(pair, 0.5) == 0.0
    pair.until_state(DriverState.IDLE, limit_s=5.0)
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, pair.stylus_m, atol=3e-5)


def test_a_hold_and_a_resume_that_are_lost_are_said_again() -> None:
    pair = moving(Pair())
    pair.to_board = Loses(b"!", 2)
    pair.driver.hold(pair.now_s)
    pair.until_state(DriverState.HELD, limit_s=1.0)
    pair.to_board = Loses(b"~", 2)
    pair.driver.resume(pair.now_s)
    pair.until_state(DriverState.IDLE, limit_s=5.0)
    assert np.allclose(pair.stylus_m, [0.060, 0.050], atol=3e-5)
    assert "nobody asked" not in pair.said()


def test_a_resume_while_the_board_slows_down_waits_until_it_stands() -> None:
    pair = moving(Pair(step_s=0.001))
    pair.driver.hold(pair.now_s)
    pair.run(0.02)
    pair.driver.resume(pair.now_s)
    assert pair.driver.state is DriverState.HOLDING
    pair.until_state(DriverState.IDLE, limit_s=5.0)
    assert np.allclose(pair.stylus_m, [0.060, 0.050], atol=3e-5)


def test_a_jog_cancelled_before_the_board_has_read_it_ends_all_the_same() -> None:
    pair = Pair(step_s=0.001).ready()
    pair.driver.jog([0.1, 0.1], 0.05, pair.now_s)
    pair.driver.stop(pair.now_s)  # overtakes the line: the board ignores it
    pair.until_state(DriverState.IDLE, limit_s=1.0)
    assert pair.stylus_m.max() < 0.02
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, pair.stylus_m, atol=3e-5)


def test_a_jog_is_followed_to_its_end_however_slow() -> None:
    pair = Pair().ready()
    pair.driver.jog([0.12, 0.001], 0.0008, pair.now_s)
    pair.until_state(DriverState.IDLE, limit_s=200.0)
    assert np.allclose(pair.stylus_m, [0.12, 0.001], atol=3e-5), pair.said()
    assert pair.firmware.state == "Idle"


def test_a_jog_without_an_answer_is_stopped() -> None:
    pair = Pair().ready()
    pair.to_host = lambda data: data.replace(b"ok\r\n", b"") if pair.driver.state is JOGGING else data
    pair.driver.jog([0.14, 0.09], 0.005, pair.now_s)
    pair.until_state(DriverState.IDLE, limit_s=10.0)
    assert "no answer in time" in pair.said() and "refused" not in pair.said()
    assert moved_in(pair, 1.0) == 0.0
    assert pair.driver.homed
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, pair.stylus_m, atol=3e-5)


@pytest.mark.parametrize("during", ["connecting", "refused", "offline"])
def test_an_emergency_stop_is_latched_whatever_the_link_does(during: str) -> None:
    pair = Pair(configured=during != "refused")
    if during == "offline":
        pair.driver.emergency_stop(pair.now_s)
    pair.driver.link_opened(pair.now_s)
    if during == "connecting":
        pair.run(0.02)
        pair.driver.emergency_stop(pair.now_s)
    if during == "refused":
        pair.until_state(DriverState.REFUSED)
        pair.driver.emergency_stop(pair.now_s)
    pair.until(lambda: pair.driver.state is DriverState.EMERGENCY and pair.driver.wire.script is None)
    with pytest.raises(MachineError, match="release the emergency stop"):
        pair.driver.home(pair.now_s)
    pair.driver.release(pair.now_s)
    pair.run(0.5)
    expected = DriverState.REFUSED if during == "refused" else DriverState.UNHOMED
    assert pair.driver.state is expected, "unfit settings stay refused after an emergency"


def test_an_emergency_stop_outlasts_a_reset_of_the_board() -> None:
    pair = moving(Pair())
    pair.driver.emergency_stop(pair.now_s)
    pair.run(1.0)
    pair.firmware.power_cycle()
    pair.run(2.0)
    assert pair.driver.state is DriverState.EMERGENCY
    pair.driver.release(pair.now_s)
    assert pair.driver.state is DriverState.UNHOMED


@pytest.mark.parametrize("code", ["1", "4", "7"])
def test_an_alarm_of_a_refused_board_is_no_way_round_its_settings(code: str) -> None:
    pair = Pair(configured=False)
    pair.connect()
    pair.driver.receive(f"ALARM:{code}\r\n".encode(), pair.now_s)
    pair.until(lambda: pair.driver.wire.script is None)
    with pytest.raises(MachineError, match="machine configure"):
        pair.driver.home(pair.now_s)


@pytest.mark.parametrize("board", ["draws", "homes", "hits a limit", "is stopped"])
def test_an_alarm_while_connecting_is_no_fault_of_the_settings(board: str) -> None:
    """A board that did not reset when its port opened has something to finish yet."""
    pair = Pair()
    if board == "homes":
        pair.connect()
        pair.driver.home(pair.now_s)
        pair.run(0.3)
    elif board in ("draws", "is stopped"):
        pair.ready()
        pair.driver.append([2.0, 12.0], [[0.001, 0.001], [0.14, 0.09]])
        pair.run(1.0)
    pair.driver = GrblDriver(pair.board)
    pair.driver.link_opened(pair.now_s)
    pair.run(0.02)
    if board == "hits a limit":
        pair.driver.receive(b"ALARM:1\r\n", pair.now_s)
    elif board == "is stopped":
        pair.driver.emergency_stop(pair.now_s)
        pair.run(6.0)
        pair.driver.release(pair.now_s)
    pair.until(lambda: pair.driver.answered and pair.driver.wire.script is None, limit_s=15.0)
    assert pair.driver.state is DriverState.UNHOMED, pair.said()
    pair.home()
    assert pair.driver.state is DriverState.IDLE, pair.said()


@pytest.mark.parametrize(
    ("said", "heard"),
    [(b"$110=", b"$1q0="), (b"$110=5400", b"$110=540"), (b"$$\n", b"$%\n"), (b"$$\n", b"$$*")],
)
def test_a_damaged_byte_while_connecting_refuses_no_board(said: bytes, heard: bytes) -> None:
    pair = Pair(step_s=0.1)  # whole lines at a time
    left = [1]

    def damage(data: bytes) -> bytes:
        if left[0] and said in data:
            left[0] -= 1
            return data.replace(said, heard, 1)
        return data

    pair.to_host = pair.to_board = damage
    pair.connect()
    assert left == [0]
    assert pair.driver.state is DriverState.UNHOMED, pair.said()
    assert not pair.driver.differences


class SlowWire:
    """Holds what is sent until a time, and delivers it late ever after."""

    def __init__(self, pair: Pair, opens_s: float, lag_s: float) -> None:
        self.pair, self.opens_s, self.lag_s = pair, opens_s, lag_s
        self.on_its_way: list[tuple[float, bytes]] = []

    def __call__(self, data: bytes) -> bytes:
        self.on_its_way.append((max(self.pair.now_s, self.opens_s) + self.lag_s, data))
        come = b"".join(part for due_s, part in self.on_its_way if due_s <= self.pair.now_s)
        self.on_its_way = [part for part in self.on_its_way if part[0] > self.pair.now_s]
        return come


@pytest.mark.parametrize("lag_s", [0.0, 0.1, 0.3])
def test_a_board_that_wakes_late_and_answers_resets_that_had_waited_is_understood(lag_s: float) -> None:
    wakes_s = 5.0
    pair = Pair()
    pair.to_board, pair.to_host = SlowWire(pair, wakes_s, lag_s), SlowWire(pair, wakes_s, lag_s)
    pair.driver.link_opened(pair.now_s)
    pair.run(wakes_s)
    assert pair.driver.connected
    pair.firmware.power_cycle()
    pair.until_state(DriverState.UNHOMED, DriverState.REFUSED)
    assert pair.driver.state is DriverState.UNHOMED, pair.said()
    pair.home()
    assert pair.driver.state is DriverState.IDLE, pair.said()


def test_a_board_that_does_not_reset_when_its_port_opens_is_asked_to() -> None:
    pair = Pair()
    pair.firmware.advance(0.5)
    pair.firmware.transmit()  # its banner was read by nobody
    pair.connect()
    assert pair.driver.state is DriverState.UNHOMED
    assert b"\x18" in pair.sent


def test_boot_messages_and_a_banner_that_comes_late_are_no_trouble() -> None:
    pair = Pair()
    held_back: list[bytes] = []

    def late(data: bytes) -> bytes:
        held_back.append(data)
        if pair.now_s < 1.2:
            return b"ets Jul 29 2019\r\nrst:0x1\r\n\xfe\x00" if pair.now_s < 0.01 else b""
        out = b"".join(held_back)
        held_back.clear()
        return out

    pair.to_host = late
    pair.connect()
    assert pair.driver.state is DriverState.UNHOMED
    assert "unknown" not in pair.said()


SILENCES: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda data: b"", "no Grbl answers; check the port, the baud rate"),
    (lambda data: b"\xf8\x00\x86" if data else b"", "another baud rate; it said"),
    (lambda data: b"start\r\necho:Marlin 2.1\r\n" if data else b"", "it said 'start'"),
]


@pytest.mark.parametrize(("answers", "words"), SILENCES)
def test_what_is_no_grbl_is_said_in_words(answers: Callable[[bytes], bytes], words: str) -> None:
    pair = Pair()
    pair.to_host = answers
    pair.driver.link_opened(pair.now_s)
    pair.until_state(DriverState.OFFLINE, limit_s=10.0)
    assert words in pair.said()


def test_a_grbl_too_old_is_refused_in_words() -> None:
    pair = Pair()
    pair.to_host = lambda data: data.replace(b"Grbl 1.1h", b"Grbl 0.9j")
    pair.connect()
    assert pair.driver.state is DriverState.REFUSED
    assert "Grbl 1.1 or later is needed" in pair.driver.reason
    with pytest.raises(MachineError):
        pair.driver.home(pair.now_s)


def test_a_reset_in_the_middle_of_writing_settings_leaves_none_unwritten_and_unsaid() -> None:
    pair = Pair(configured=False)
    pair.connect()
    pair.driver.configure(pair.now_s)
    pair.run(0.15)
    pair.firmware.power_cycle()
    pair.until_state(DriverState.REFUSED, DriverState.UNHOMED)
    assert pair.driver.state is DriverState.REFUSED
    assert pair.driver.differences
    pair.driver.configure(pair.now_s)
    pair.until_state(DriverState.UNHOMED)


def test_a_reset_whose_banner_is_lost_is_seen_by_its_work_offset() -> None:
    pair = Pair().ready()
    pair.run(0.3)
    pair.to_host = lambda data: data.replace(b"Grbl 1.1h", b"Gr\xbfl 1.1h")
    pair.firmware.receive(b"\x18")  # at rest: no alarm tells of it
    pair.run(2.0)
    assert "work offset" in pair.said()
    assert not pair.driver.homed


@pytest.mark.parametrize(("mask", "fits"), [(1, True), (3, True), (511, True), (0, False), (2, False)])
def test_the_report_mask_needs_the_machine_position_and_may_say_more(mask: int, fits: bool) -> None:
    board = BoardSettings()
    stored = {number: str(value) for number, (value, *_) in needed_settings(board).items()}
    assert (differences(board, {**stored, 10: str(mask)}) == []) is fits


def test_reports_of_the_work_position_do_too() -> None:
    pair = Pair().ready()
    pair.firmware.receive(b"$10=2\n")
    pair.run(0.5)
    pair.driver.append([1.0, 2.0], [[0.02, 0.03], [0.04, 0.01]])
    pair.until(lambda: pair.driver.idle)
    assert np.allclose(pair.stylus_m, [0.04, 0.01], atol=3e-5)
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, pair.stylus_m, atol=3e-5)
