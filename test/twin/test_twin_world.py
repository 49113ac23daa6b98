"""Board, toy and camera together: homing by the switches, and the same world twice from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from sketch_cell.machine.board import BoardSettings
from sketch_cell.twin.camera import CameraSettings
from sketch_cell.twin.toy import ToySettings
from sketch_cell.twin.world import World, board_for

PERIOD_S = 0.02


def wait(world: World, for_text: bytes, most_s: float = 30.0) -> bytes:
    out = b""
    while for_text not in out and most_s > 0:
        out += world.exchange(b"", PERIOD_S)
        most_s -= PERIOD_S
    assert for_text in out, out
    return out


def homed(seed: int = 1, **faults: float) -> World:
    world = World(ToySettings(**faults), CameraSettings(), seed=seed)
    wait(world, b"Grbl 1.1h")
    world.exchange(b"$H\n", PERIOD_S)
    wait(world, b"ok")
    return world


def test_homing_leaves_the_play_taken_up_from_the_switch() -> None:
    world = homed()
    x, y = world.toy.stylus_m
    settings = world.toy.settings
    widest = np.array([settings.backlash_x_m, settings.backlash_y_m]) * 1.1 * 1.17
    for place, switch, b in zip((x, y), (settings.switch_x_m, settings.switch_y_m), widest, strict=True):
        assert switch < place <= switch + board_for(settings).pull_off_m
        assert place >= switch + board_for(settings).pull_off_m - b - 1e-4
    assert world.toy.limit_switches() == (False, False)


def test_a_pull_off_smaller_than_the_backlash_ends_in_an_alarm_as_on_a_real_board() -> None:
    world = World(board=BoardSettings(pull_off_m=0.001), seed=1)
    wait(world, b"Grbl 1.1h")
    world.exchange(b"$H\n", PERIOD_S)
    wait(world, b"ALARM:8")


def test_a_move_draws_a_line_of_its_length_less_the_play() -> None:
    world = homed(backlash_variation=0.0)
    start_s = world.now_s
    world.exchange(b"G1X-106Y-103F2400\n", PERIOD_S)
    for _ in range(200):
        world.exchange(b"", PERIOD_S)
    times, trace = world.trace(start_s)
    # the machine's space begins where the switch closes; on the way back the play is lost once
    assert world.toy.stylus_m[0] == pytest.approx(-0.106 + 0.159 - 0.003 - 0.00175, abs=3e-5)
    assert np.all(np.diff(times) > 0)
    assert np.abs(np.diff(trace, axis=0)).max() < 0.09 * 1.2e-3 + 3e-5


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    def run(seed: int) -> tuple[np.ndarray, np.ndarray]:
        world = homed(seed, lost_step_probability=0.3)
        images = []
        for k in range(20):
            x = -100 + 2 * (k % 2)
            world.exchange(f"G1X{x}Y{-100 + k * 0.1:.1f}F4000\n".encode(), 0.2)
            images += [frame.image for frame in world.frames()]
        return world.trace()[1], np.array(images[-1])

    first, again, other = run(1), run(1), run(2)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_a_stylus_that_stands_for_hours_adds_nothing_to_its_trace() -> None:
    world = homed()
    world.exchange(b"", 0.1)
    before = len(world.trace()[0])
    for _ in range(50):
        world.exchange(b"", 0.1)
    times_s, trace_m = world.trace()
    assert len(times_s) == before
    assert times_s[-1] == pytest.approx(world.now_s) and (trace_m[-1] == world.toy.stylus_m).all()
