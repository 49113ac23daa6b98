"""Every fault is detected, said in words, followed by no motion, and the machine can be used again after homing."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
from machine_pair import Pair

from sketch_cell.errors import MachineError
from sketch_cell.machine.board import BoardSettings
from sketch_cell.machine.driver import DriverSettings, DriverState, Touch
from sketch_cell.machine.motion import vertex_times_s
from sketch_cell.twin.grbl_flags import GrblBuild

BEFORE_S = 2.0


def zigzag() -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(0.01, 0.09, 160)
    xy = np.stack([x, 0.02 + 0.004 * np.sin(np.arange(160) * 0.7)], axis=1)
    xy = np.concatenate([[[0.001, 0.001]], xy])
    return vertex_times_s(xy), xy


class Job:
    """Feeds a drawing to the driver for as long as that is legal."""

    def __init__(self, pair: Pair) -> None:
        self.pair, self.sent, self.place_s = pair, 0, 0.0
        self.times, self.xy = zigzag()

    def run(self, duration_s: float) -> None:
        end_s = self.pair.now_s + duration_s
        while self.pair.now_s < end_s and not self.finished:
            self._feed()
            self.pair.step()

    def _feed(self) -> None:
        driver = self.pair.driver
        if driver.state in (DriverState.IDLE, DriverState.RUNNING):
            self.place_s = max(self.place_s, driver.motion(self.pair.now_s).timeline_s)
            end = max(int(np.searchsorted(self.times, self.place_s + 0.5)) + 1, self.sent)
            driver.append(self.times[self.sent : end], self.xy[self.sent : end], 0.04)
            self.sent = end

    @property
    def finished(self) -> bool:
        return self.sent >= len(self.times) and self.pair.driver.idle


def running() -> tuple[Pair, Job]:
    pair = Pair().ready()
    job = Job(pair)
    job.run(BEFORE_S)
    assert pair.driver.state is DriverState.RUNNING
    pair.events.clear()
    return pair, job


def silence(pair: Pair) -> None:
    pair.to_host = lambda data: b""


def freeze(pair: Pair) -> None:
    pair.firmware.freeze()


def unplug(pair: Pair) -> None:
    pair.driver.link_lost("the port /dev/x failed while reading: no such device")
    pair.to_board = lambda data: b""


def power_cycle(pair: Pair) -> None:
    pair.firmware.power_cycle()


def soft_reset(pair: Pair) -> None:
    pair.firmware.receive(b"\x18")


def leaves_the_limits(pair: Pair) -> None:
    pair.firmware.receive(b"X500\n")


def loses_digits(pair: Pair) -> None:
    rng = random.Random(4)
    pair.to_board = lambda data: bytes(byte for byte in data if rng.random() > 0.01)


def garbles(pair: Pair) -> None:
    rng = random.Random(5)
    pair.to_board = lambda data: bytes(
        rng.randrange(32, 127) if rng.random() < 0.01 else byte for byte in data
    )


def controller_dies(pair: Pair) -> None:
    pair.alive = False


OFFLINE, ALARM, UNHOMED, FAULT, HELD = (
    {DriverState.OFFLINE},
    {DriverState.ALARM},
    {DriverState.UNHOMED},
    {DriverState.FAULT},
    {DriverState.HELD},
)
TABLE = [
    (silence, OFFLINE, "silent"),
    (freeze, OFFLINE, "silent"),
    (unplug, OFFLINE, "no such device"),
    (power_cycle, UNHOMED, "reset itself"),
    (soft_reset, ALARM, "position is lost"),
    (leaves_the_limits, FAULT, "soft limits"),
    (loses_digits, FAULT | ALARM, "Stopped: "),
    (garbles, FAULT | ALARM, "Stopped: "),
]


@pytest.mark.parametrize(("fault", "states", "words"), TABLE, ids=lambda item: getattr(item, "__name__", ""))
def test_a_fault_is_detected_said_and_followed_by_no_motion(
    fault: Callable[[Pair], None], states: set[DriverState], words: str
) -> None:
    pair, job = running()
    fault(pair)
    job.run(3.0)
    assert pair.driver.state in states, f"{pair.driver.state}: {pair.said()}"
    assert words in pair.said()
    stands = pair.stylus_m
    with pytest.raises(MachineError):
        pair.driver.append([1000.0], [[0.05, 0.05]])
    pair.run(1.0)
    assert np.array_equal(pair.stylus_m, stands)


@pytest.mark.parametrize(
    ("fault", "states", "words"), TABLE[:6], ids=lambda item: getattr(item, "__name__", "")
)
def test_after_a_fault_the_machine_can_be_homed_and_drawn_with(
    fault: Callable[[Pair], None], states: set[DriverState], words: str
) -> None:
    pair, job = running()
    fault(pair)
    job.run(3.0)
    pair.to_host = pair.to_board = lambda data: data
    if pair.driver.state is DriverState.OFFLINE:
        pair.firmware.power_cycle()
        pair.connect()
    pair.home()
    assert pair.driver.state is DriverState.IDLE, pair.said()
    pair.driver.append([1.0], [[0.02, 0.03]])
    pair.until(lambda: pair.driver.idle)
    assert np.allclose(pair.stylus_m, [0.02, 0.03], atol=3e-5)


def test_silence_is_noticed_within_a_second() -> None:
    pair, job = running()
    silence(pair)
    start_s = pair.now_s
    while pair.driver.state is not DriverState.OFFLINE:
        job.run(pair.step_s)
    assert pair.now_s - start_s <= 1.0


def test_a_dead_controller_means_hold_within_a_quarter_second_and_the_job_goes_on_after_resume() -> None:
    pair, job = running()
    controller_dies(pair)
    holds = pair.sent.count(b"!")
    pair.run(0.24)
    assert pair.sent.count(b"!") == holds
    pair.run(0.02)
    assert pair.sent.count(b"!") == holds + 1
    pair.until_state(DriverState.HELD, limit_s=0.5)
    assert "No trajectory" in pair.said()
    pair.alive = True
    pair.run(1.0)
    assert pair.driver.state is DriverState.HELD, "it never moves again by itself"
    pair.driver.resume(pair.now_s)
    job.run(60.0)
    assert np.allclose(pair.stylus_m, job.xy[-1], atol=3e-5)


def test_lost_acknowledgements_cost_nothing() -> None:
    pair, job = running()
    left = [4]

    def lossy(data: bytes) -> bytes:
        if left[0] and b"ok\r\n" in data:
            left[0] -= 1
            return data.replace(b"ok\r\n", b"", 1)
        return data

    pair.to_host = lossy
    job.run(60.0)
    assert np.allclose(pair.stylus_m, job.xy[-1], atol=3e-5)
    assert left == [0]
    assert pair.driver.statistics.lost_acknowledgements == 4
    assert not pair.driver.wire.unanswered


def test_garbage_from_the_board_is_reported_and_survived() -> None:
    pair, job = running()
    rng = random.Random(3)
    pair.to_host = lambda data: bytes(rng.randrange(256) if rng.random() < 1e-3 else byte for byte in data)
    job.run(60.0)
    assert np.allclose(pair.stylus_m, job.xy[-1], atol=3e-5)


def test_emergency_stop_in_homing_loses_the_position_and_in_motion_keeps_it() -> None:
    pair = Pair()
    pair.connect()
    pair.driver.home(pair.now_s)
    pair.run(0.3)
    pair.driver.emergency_stop(pair.now_s)
    pair.run(2.0)
    pair.driver.release(pair.now_s)
    assert pair.driver.state is DriverState.UNHOMED
    pair, job = running()
    pair.driver.emergency_stop(pair.now_s)
    job.run(2.0)
    pair.driver.release(pair.now_s)
    assert pair.driver.state is DriverState.IDLE
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, pair.stylus_m, atol=3e-5)


class Late:
    """A wire on which every byte takes `steps` steps."""

    def __init__(self, steps: int) -> None:
        self.under_way = deque([b""] * steps)

    def __call__(self, data: bytes) -> bytes:
        self.under_way.append(data)
        return self.under_way.popleft()


@pytest.mark.parametrize("before_s", np.arange(0.0, 0.22, 0.02))
@pytest.mark.parametrize("moving_s", [0.002, 0.01, 0.018, 0.026])
def test_an_emergency_stop_as_the_motion_sets_off_keeps_the_position(
    before_s: float, moving_s: float
) -> None:
    # A report asked for before the stop says that the board stands; a reset then would be one in motion.
    pair = Pair(step_s=0.002).ready()
    pair.to_board, pair.to_host = Late(5), Late(5)
    pair.run(before_s)
    pair.driver.append([3.0], [[0.060, 0.050]])
    pair.run(moving_s)
    pair.driver.emergency_stop(pair.now_s)
    pair.run(2.0)
    pair.driver.release(pair.now_s)
    assert pair.driver.state is DriverState.IDLE, pair.said()
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, pair.stylus_m, atol=3e-5)


def noisy(rate: float, seed: int) -> Callable[[bytes], bytes]:
    rng = random.Random(seed)
    return lambda data: bytes(rng.randrange(256) if rng.random() < rate else byte for byte in data)


@pytest.mark.parametrize("seed", range(3))
def test_a_drawing_is_finished_over_a_line_that_garbles_a_byte_in_a_thousand(seed: int) -> None:
    """A person acknowledges, homes and lets it go on from where it was: nothing hangs, nothing is left out."""
    pair, job = running()
    pair.to_board, pair.to_host = noisy(1e-3, seed), noisy(1e-3, seed + 100)
    stops = 0
    while not job.finished:
        if pair.driver.state in (DriverState.IDLE, DriverState.RUNNING):
            job.run(pair.step_s)
            continue
        stops += 1
        assert stops < 40, pair.said()
        mend(pair)
        job.sent = int(np.searchsorted(job.times, job.place_s, side="right"))
    assert np.allclose(pair.stylus_m, job.xy[-1], atol=6e-5)
    assert stops > 0, "the noise was never noticed"


def mend(pair: Pair) -> None:
    """What a person does until the machine is ready again."""
    driver = pair.driver
    for _ in range(20):
        if driver.state is DriverState.IDLE:
            return
        if driver.state in (DriverState.FAULT, DriverState.HELD):
            driver.resume(pair.now_s)
            if driver.state is DriverState.RUNNING:
                driver.stop(pair.now_s)
        elif driver.state is DriverState.OFFLINE:
            pair.connect()
        elif driver.state in (DriverState.UNHOMED, DriverState.ALARM):
            driver.home(pair.now_s)
        pair.run(1.0)
    raise AssertionError(f"{driver.state}: {driver.reason}; {pair.said()}")


def test_a_hard_limit_stops_dead_in_words_and_only_homing_helps() -> None:
    pair = Pair(BoardSettings(hard_limits=True)).ready()
    job = Job(pair)
    job.run(BEFORE_S)
    pressed = [True]
    advance = pair.firmware.advance

    def advance_pressed(duration_s: float, period_s: float) -> np.ndarray:
        if pressed[0]:
            pair.firmware.limit_pins = (True, False, False)
        return advance(duration_s, period_s)

    pair.firmware.advance = advance_pressed  # type: ignore[method-assign]
    job.run(3.0)
    assert "ALARM:1, a hard limit switch was hit" in pair.said()
    assert "by hand" in pair.said()
    assert pair.driver.state is DriverState.ALARM
    stands = pair.stylus_m
    with pytest.raises(MachineError, match="home the machine first"):
        pair.driver.append([1000.0], [[0.05, 0.05]])
    pair.run(1.0)
    assert np.array_equal(pair.stylus_m, stands)
    pressed[0] = False
    pair.run(0.1)
    pair.home()
    assert pair.driver.state is DriverState.IDLE, pair.said()


def test_a_firmware_that_homes_a_z_which_is_not_there_says_what_to_do() -> None:
    pair = Pair(build=GrblBuild(homing_cycles=((2,), (0, 1))))
    pair.connect()
    pair.home()
    pair.until(lambda: pair.driver.wire.script is None)
    assert pair.driver.state is DriverState.ALARM
    assert "ALARM:9" in pair.said()
    assert "HOMING_CYCLE_0" in pair.said()
    assert not np.any(pair.motor_m), "neither x nor y moved"


@pytest.mark.parametrize(
    ("seek_s", "interruption", "words"),
    [(0.3, b"\x18", "homing was stopped by a reset"), (0.3, b"\x84", "safety door"), (0.0, b"", "release")],
)
def test_each_way_homing_fails_is_said_with_advice(seek_s: float, interruption: bytes, words: str) -> None:
    pair = Pair()
    pair.connect()
    if not interruption:  # a switch that never lets go
        pair.switches = False
        step, pair.firmware.limit_pins = pair.step, (True, True, False)

        def stuck() -> None:
            step()
            pair.firmware.limit_pins = (True, True, False)

        pair.step = stuck  # type: ignore[method-assign]
    pair.driver.home(pair.now_s)
    pair.run(seek_s)
    pair.firmware.receive(interruption)
    pair.until(lambda: pair.driver.state is DriverState.ALARM and pair.driver.wire.script is None)
    assert words in pair.said()
    with pytest.raises(MachineError, match="home the machine first"):
        pair.driver.append([1.0], [[0.05, 0.05]])


def test_a_switch_that_is_not_touched_is_said_in_words_and_the_machine_must_be_homed() -> None:
    pair = Pair().ready()
    pair.driver.touch(0, pair.now_s)  # the probe input is not wired
    pair.until(lambda: pair.driver.wire.script is None, limit_s=60.0)
    assert "ALARM:5" in pair.said() or "not touched" in pair.said()
    assert pair.driver.state is DriverState.ALARM
    pair.home()
    assert pair.driver.state is DriverState.IDLE


def test_a_touch_far_from_the_last_one_is_not_believed() -> None:
    pair = Pair(step_s=0.001).ready()
    moved_m = [0.0]
    step = pair.step

    def stepped() -> None:
        step()
        pair.firmware.probe_pin = bool(pair.stylus_m[0] - moved_m[0] < 0.0002)

    pair.step = stepped  # type: ignore[method-assign]
    for moved_m[0] in (0.0, 0.008):
        pair.driver.append([pair.now_s + 1000], [[0.02, 0.01]], 0.04)
        pair.until(lambda: pair.driver.idle)
        pair.driver.touch(0, pair.now_s)
        pair.until(lambda: pair.driver.wire.script is None, limit_s=30)
    assert pair.driver.state is DriverState.ALARM
    assert "more than lost steps" in pair.said()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_switch_is_touched_by_homing_its_axis_where_the_firmware_can(axis: int) -> None:
    settings = DriverSettings(touch="homing")
    plain = Pair(settings=settings).ready()
    with pytest.raises(MachineError, match="HOMING_SINGLE_AXIS_COMMANDS"):
        plain.driver.touch(axis, plain.now_s)
    pair = Pair(settings=settings, build=GrblBuild(single_axis_homing=True)).ready()
    pair.driver.append([2.0], [[0.010, 0.012]])
    pair.until(lambda: pair.driver.idle)
    pair.driver.touch(axis, pair.now_s)
    pair.until(lambda: pair.driver.wire.script is None, limit_s=60.0)
    assert pair.driver.state is DriverState.IDLE, pair.said()
    assert pair.driver.touches[axis].step_error_m is None
    assert np.allclose(pair.stylus_m, [0.010, 0.012], atol=6e-5)
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, pair.stylus_m, atol=6e-5)


def test_homing_without_switches_says_what_to_do() -> None:
    pair = Pair()
    pair.connect()
    pair.switches = False
    pair.home()
    pair.run(2.0)
    assert pair.driver.state is DriverState.ALARM
    assert "HOMING_CYCLE_0" in pair.said()


def test_a_stock_board_is_refused_with_a_sentence_per_difference_and_configured_on_request() -> None:
    pair = Pair(configured=False)
    pair.connect()
    assert pair.driver.state is DriverState.REFUSED
    assert "$100 (x steps/mm) is 250, needed is 88.889; send $100=88.889" in pair.said()
    assert "$20 (soft limits) is 0, needed is 1; send $20=1" in pair.said()
    with pytest.raises(MachineError, match="machine configure"):
        pair.driver.home(pair.now_s)
    pair.driver.configure(pair.now_s)
    pair.until_state(DriverState.UNHOMED)
    pair.home()
    assert pair.driver.state is DriverState.IDLE


def test_points_out_of_reach_and_nonsense_are_refused_and_nothing_is_queued() -> None:
    pair = Pair().ready()
    refused = [
        ([1.0], [[0.5, 0.05]], None, "outside the machine's reach"),
        ([1.0, 1.0], [[0.02, 0.02], [0.03, 0.03]], None, "do not increase"),
        ([1.0], [[np.nan, 0.02]], None, "finite"),
        ([1.0, 2.0], [[0.02, 0.02]], None, "each needs its own"),
        ([1.0], [[0.02, 0.02]], 0.0, "positive"),
    ]
    for times, points, feed, words in refused:
        with pytest.raises(MachineError, match=words):
            pair.driver.append(times, points, feed)
    pair.run(1.0)
    assert np.allclose(pair.stylus_m, 0.001, atol=3e-5)


def test_a_hold_by_somebody_else_is_noticed() -> None:
    pair, job = running()
    pair.firmware.receive(b"!")
    job.run(1.0)
    assert pair.driver.state is DriverState.HELD
    pair.driver.resume(pair.now_s)
    job.run(60.0)
    assert np.allclose(pair.stylus_m, job.xy[-1], atol=3e-5)


def test_a_board_that_goes_on_while_held_is_held_again() -> None:
    """A cycle-start button, or noise that reads as one."""
    pair, job = running()
    pair.driver.hold(pair.now_s)
    pair.until_state(DriverState.HELD, limit_s=1.0)
    pair.firmware.receive(b"~")
    pair.run(0.6)
    assert "went on by itself" in pair.said()
    stands = pair.stylus_m
    pair.run(1.0)
    assert np.array_equal(pair.stylus_m, stands)
    assert pair.driver.state is DriverState.HELD
    pair.driver.resume(pair.now_s)
    job.run(60.0)
    assert np.allclose(pair.stylus_m, job.xy[-1], atol=3e-5)


def test_a_feed_override_by_noise_is_taken_back() -> None:
    pair, job = running()
    pair.firmware.receive(b"\x91")
    job.run(5.0)
    assert "feed override is 110 %" in pair.said()
    assert b"\x90" in pair.sent


@pytest.mark.parametrize("percent", [150, 73, 10, 200])
def test_a_feed_override_is_reached_though_the_board_takes_one_step_of_a_kind_at_a_time(percent: int) -> None:
    pair = Pair().ready()
    pair.driver.append([5.0], [[0.06, 0.05]], 0.01)
    pair.driver.override_feed(percent)
    pair.run(4.0)
    found = [part for part in said_by_the_board(pair) if part.startswith("Ov:")]
    assert found[-1].startswith(f"Ov:{percent},")
    assert "though" not in pair.said()


def said_by_the_board(pair: Pair) -> list[str]:
    """All fields of status reports from now on, for ten seconds."""
    heard = bytearray()
    pass_on = pair.to_host

    def overhear(data: bytes) -> bytes:
        heard.extend(data)
        return pass_on(data)

    pair.to_host = overhear
    pair.run(10.0)
    return heard.decode().replace(">", "|").split("|")


def test_sleep_and_wake() -> None:
    pair = Pair().ready()
    pair.driver.sleep(pair.now_s)
    pair.run(1.0)
    assert pair.firmware.state == "Sleep"
    pair.driver.wake(pair.now_s)
    pair.until_state(DriverState.UNHOMED)
    pair.home()
    assert pair.driver.state is DriverState.IDLE


class Damages:
    """A wire that says something else instead, the first `count` times."""

    def __init__(self, said: bytes, instead: bytes, count: int = 1) -> None:
        self.said, self.instead, self.left = said, instead, count

    def __call__(self, data: bytes) -> bytes:
        if self.left and self.said in data:
            self.left -= 1
            data = data.replace(self.said, self.instead, 1)
        return data


@pytest.mark.parametrize("damaged", ["question", "answer", "nothing"])
def test_the_motors_count_as_released_only_when_the_board_has_said_so(damaged: str) -> None:
    pair = Pair().ready()
    if damaged == "question":
        pair.to_board = Damages(b"$SLP\n", b"$SLQ\n")
    elif damaged == "answer":
        pair.to_host = Damages(b"ok\r\n", b"o\xff\r\n")
    pair.driver.sleep(pair.now_s)
    assert pair.driver.state is not DriverState.ASLEEP
    pair.until(lambda: pair.driver.wire.script is None)
    assert pair.driver.state is DriverState.ASLEEP, pair.said()
    assert pair.firmware.state == "Sleep"
    pair.driver.wake(pair.now_s)
    pair.until_state(DriverState.UNHOMED)


def test_a_board_that_never_sleeps_keeps_its_position_and_says_why() -> None:
    pair = Pair().ready()
    pair.to_board = Damages(b"$SLP\n", b"$SLQ\n", 100)
    pair.driver.sleep(pair.now_s)
    pair.until(lambda: pair.driver.wire.script is None)
    assert pair.driver.state is DriverState.IDLE
    assert "The motors are not released" in pair.said()
    pair.driver.append([1.0], [[0.02, 0.03]])
    pair.until(lambda: pair.driver.idle)
    assert np.allclose(pair.stylus_m, [0.02, 0.03], atol=3e-5)


def test_an_emergency_stop_while_the_motors_are_released_ends_awake() -> None:
    pair = Pair().ready()
    pair.driver.sleep(pair.now_s)
    pair.driver.emergency_stop(pair.now_s)
    pair.run(2.0)
    assert pair.driver.state is DriverState.EMERGENCY
    pair.driver.release(pair.now_s)
    pair.home()
    assert pair.driver.state is DriverState.IDLE, pair.said()


@pytest.mark.parametrize("alive", [True, False])
def test_a_pause_of_the_driver_is_not_a_dead_controller(alive: bool) -> None:
    pair = Pair().ready()
    times = pair.now_s + 0.5 + np.arange(200) * 0.05
    pair.driver.append(times, np.stack([0.01 + np.arange(200) * 5e-4, np.full(200, 0.01)], axis=1), 0.01)
    pair.run(2.0)
    assert pair.driver.state is DriverState.RUNNING
    pair.alive = alive
    # A busy computer lets the driver stand still; then it looks at the port before it reads its messages.
    pair.now_s += 0.4
    pair.firmware.receive(pair.driver.transmit(pair.now_s))
    assert pair.driver.state is DriverState.RUNNING, "what came in the pause is yet to be read"
    pair.run(0.2)
    moving = pair.driver.state is DriverState.RUNNING
    assert moving is alive, "a dead controller is noticed within 0.25 s of looking" + pair.said()


def test_touching_a_switch_measures_lost_steps() -> None:
    pair = Pair().ready()
    lost_m = 0.0

    def probe() -> None:
        pair.firmware.probe_pin = bool(pair.stylus_m[0] - lost_m < 0.0002)

    step = pair.step

    def stepped() -> None:
        step()
        probe()

    pair.step = stepped  # type: ignore[method-assign]
    pair.step_s = 0.001
    for lost in (0.0, 0.00072):
        lost_m = lost
        pair.driver.append([pair.now_s + 1000], [[0.01, 0.01]], 0.04)
        pair.until(lambda: pair.driver.idle)
        pair.driver.touch(0, pair.now_s)
        pair.until_state(DriverState.IDLE, limit_s=30)
    assert pair.driver.touches[0].step_error_m == pytest.approx(0.00072, abs=3e-5)
    assert pair.driver.touches[0].count == 2
    assert np.allclose(pair.stylus_m, [0.01072, 0.01], atol=3e-5), "the lost steps are made up for"
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, 0.01, atol=3e-5)


def test_steady_clock_watches_while_the_other_stands_still() -> None:
    """With use_sim_time a frozen twin stops /clock too: silence must be noticed all the same."""
    pair, _ = running()
    for tenth in range(20):
        pair.driver.transmit(pair.now_s, pair.now_s + tenth * 0.1)
    assert pair.driver.state is not DriverState.RUNNING


def test_send_response_streaming_also_draws() -> None:
    pair = Pair(settings=DriverSettings(streaming="send-response")).ready()
    times, xy = zigzag()
    pair.draw(times, xy)
    assert np.allclose(pair.stylus_m, xy[-1], atol=3e-5)


@pytest.mark.parametrize("corner", ["lower left", "upper right"])
def test_reach_covers_the_travel_from_the_homing_corner(corner: str) -> None:
    board = BoardSettings(homing_corner=corner)
    home = (0.001, 0.001) if corner == "lower left" else (0.152, 0.106)
    pair = Pair(board, DriverSettings(home_x_m=home[0], home_y_m=home[1]))
    lowest, highest = pair.driver.reach_m()
    assert np.allclose(lowest, 0.0, atol=2.2e-5) and (lowest > 0).all()
    assert np.allclose(highest, [0.153, 0.107], atol=2.2e-5)


@pytest.mark.parametrize(
    "board",
    [BoardSettings(), BoardSettings(travel_x_m=0.159, travel_y_m=0.113, pull_off_m=0.004)],
    ids=["default", "grbl.yaml"],
)
def test_the_ends_of_the_reach_are_within_the_soft_limits(board: BoardSettings) -> None:
    pair = Pair(board).ready()
    pair.switches = False
    for end_m in pair.driver.reach_m():
        pair.driver.append([pair.now_s + 1000], [end_m], 0.09)
        pair.until(lambda: pair.driver.state is not DriverState.RUNNING)
        assert pair.driver.state is DriverState.IDLE, pair.said()
        assert np.allclose(pair.driver.reported_m, end_m, atol=3e-5)
        # From there the next path begins, and names the place as trajectories do.
        here_m, middle_m = pair.driver.reported_m, [0.07, 0.05]
        pair.driver.append([pair.now_s + 2000, pair.now_s + 2002], [here_m, middle_m])
        pair.until(lambda: pair.driver.idle)


@pytest.mark.parametrize("total_m", [0.00072, -0.00072])
def test_step_errors_taken_out_move_the_reach(total_m: float) -> None:
    pair = Pair().ready()
    pair.switches = False
    lowest, highest = pair.driver.reach_m()
    pair.driver.touches[0] = Touch(total_m, total_m, 2, 0.0)
    pair.driver.place.shift(0, total_m * 1000)
    assert np.allclose(pair.driver.reach_m()[0], lowest - [total_m, 0.0])
    refused = highest[0] if total_m > 0 else lowest[0]
    with pytest.raises(MachineError, match="outside the machine's reach"):
        pair.driver.append([pair.now_s + 1000], [[refused, 0.05]])
    with pytest.raises(MachineError, match="outside the machine's reach"):
        pair.driver.jog([refused, 0.05], 0.05, pair.now_s)


@pytest.mark.parametrize("steps_per_turn", [200, 400])
def test_coarse_steps_are_no_lost_lines(steps_per_turn: int) -> None:
    board = BoardSettings(steps_per_turn=steps_per_turn, pull_off_m=0.002)
    pair = Pair(board, build=GrblBuild(step_m=board.step_m)).ready()
    index = np.arange(1, 60)
    xy = np.stack([0.02 + 0.0007 * index, 0.03 + 0.01 * np.sin(index / 5)], axis=1)
    pair.driver.append(2 + 0.05 * index, xy)
    pair.until(lambda: pair.driver.state is not DriverState.RUNNING)
    assert pair.driver.state is DriverState.IDLE, pair.said()


def test_an_idle_board_asked_seldom_over_a_slow_wire_is_not_silent() -> None:
    pair = Pair(settings=DriverSettings(poll_period_s=0.5, link_timeout_s=0.4))
    pair.to_host = Late(4)
    pair.ready()
    pair.run(3.0)
    assert pair.driver.state is DriverState.IDLE, pair.said()
    silence(pair)
    pair.run(1.5)
    assert pair.driver.state is DriverState.OFFLINE


def test_a_rest_in_a_path_is_kept() -> None:
    pair = Pair().ready()
    times = np.array([0.5, 1.0, 6.0, 6.5, 6.7])
    xy = np.array([[0.02, 0.02], [0.03, 0.02], [0.03, 0.02], [0.03, 0.03], [0.03, 0.03]])
    pair.driver.append(times[:2], xy[:2])
    for time_s in np.arange(1.02, 5.99, 0.02):  # as many controllers sample a rest
        pair.driver.append([time_s], [xy[1]])
    pair.driver.append(times[2:], xy[2:])
    pair.until(lambda: bool(np.allclose(pair.stylus_m, xy[1], atol=3e-5)))
    arrived_s = pair.now_s
    pair.run(2.5)
    assert np.allclose(pair.stylus_m, xy[1], atol=3e-5)
    assert pair.driver.motion(pair.now_s).timeline_s == pytest.approx(3.5, abs=0.3)
    pair.until(lambda: not np.allclose(pair.stylus_m, xy[1], atol=3e-5))
    assert pair.now_s - arrived_s == pytest.approx(5.0, abs=0.2)
    pair.until(lambda: pair.driver.idle)
    assert np.allclose(pair.stylus_m, xy[-1], atol=3e-5)
    assert pair.driver.motion(pair.now_s).timeline_s == pytest.approx(6.7)


def test_rests_make_a_path_no_later() -> None:
    """Moves and rests in turn, as many controllers sample them: each rest ends at its time on the path."""
    pair = Pair().ready()
    cycles, period_s = 6, 1.0
    time_s = np.arange(0.0, cycles * period_s, 0.02)
    part = np.minimum(time_s % period_s, 0.5) / 0.5
    x_m = 0.02 + 0.005 * (time_s // period_s + 0.5 - 0.5 * np.cos(np.pi * part))
    pair.driver.append(0.5 + time_s, np.column_stack([x_m, np.full(len(x_m), 0.02)]))
    begun_s = pair.now_s
    pair.until(lambda: pair.driver.idle)
    assert pair.now_s - begun_s == pytest.approx(0.5 + time_s[-1], abs=0.35)


def test_a_path_that_is_sent_bit_by_bit_rests_until_its_time() -> None:
    pair = Pair().ready()
    index = np.arange(200)
    xy = np.stack([0.02 + 0.0002 * np.minimum(index, 50), np.full(200, 0.02)], axis=1)
    took_s = pair.draw(1.0 + 0.02 * index, xy, feed=0.02)
    assert took_s == pytest.approx(
        4.5, abs=0.3
    )  # a half for the way there, then until the last waypoint's time


def test_a_rest_ends_with_a_stop_and_lasts_through_a_hold() -> None:
    pair = Pair().ready()
    pair.driver.append([1.0, 4.0, 5.0], [[0.02, 0.02], [0.02, 0.02], [0.03, 0.02]], 0.04)
    pair.run(2.0)
    pair.driver.hold(pair.now_s)
    pair.until_state(DriverState.HELD, limit_s=1.0)
    pair.driver.resume(pair.now_s)
    assert pair.driver.state is DriverState.RUNNING
    pair.until(lambda: pair.driver.idle)
    assert np.allclose(pair.stylus_m, [0.03, 0.02], atol=3e-5)
    pair.driver.append([6.0, 60.0], [[0.02, 0.02], [0.02, 0.02]], 0.04)
    pair.run(2.0)
    pair.driver.stop(pair.now_s)
    pair.until_state(DriverState.IDLE, limit_s=2.0)
    pair.driver.append([1.0], [[0.03, 0.03]])
    pair.until(lambda: pair.driver.idle, limit_s=5.0)
