"""The twin's node: every fault is a parameter, and switching it on while it runs changes the world."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from conftest import Spinner
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from sketch_cell.machine.driver import DriverState, GrblDriver
from sketch_cell.machine.serial_link import SerialLink
from sketch_cell.machine.session import Session
from sketch_cell.nodes.twin import REST_TICK_S, TwinNode
from sketch_cell.ros.qos import SENSOR
from sketch_cell.twin.camera_settings import CameraSettings
from sketch_cell.twin.toy import ToySettings
from sketch_cell.twin.wire import WireSettings

FAULTS = {
    "toy.": ToySettings(
        stiction_m=1e-4, soft_zone=0.1, backlash_variation=0.2, lost_step_probability=0.1, load=0.5,
        pull_out_m_per_s2=1.0, switch_bounce_s=0.005, switch_repeatability_m=1e-4, backlash_growth_per_m=0.1,
        backlash_x_m=0.002, backlash_y_m=0.001, lost_step_m=0.00036,
    ),
    "camera.": CameraSettings(
        hand_period_s=5.0, glare=50.0, flicker=0.05, vibration_px=0.5, exposure_s=0.02, exposure_step=0.1,
        dropped_fraction=0.5, latency_s=0.1, lens_k1=0.1, lens_k2=0.02, tilt_x_rad=0.1, tilt_y_rad=0.1, roll_rad=0.1,
        noise_sigma=9.0, stamp_error_s=0.01, bump_x_px=4.0, bump_y_px=3.0,
    ),
    "wire.": WireSettings(garbled_share=0.01, lost_answers_share=0.1, frozen=True),
}  # fmt: skip


def changed(prefix: str) -> list[tuple[str, object]]:
    """Every setting of a kind that differs from its default here."""
    settings = FAULTS[prefix]
    return [
        (prefix + item.name, getattr(settings, item.name))
        for item in dataclasses.fields(settings)
        if getattr(settings, item.name) != item.default
    ]


@pytest.fixture
def spinner(tmp_path: Path) -> Iterator[Spinner]:
    rclpy.init(args=["--ros-args", "-p", f"port:={tmp_path / 'board'}"])
    spinner = Spinner()
    yield spinner
    spinner.close()
    rclpy.try_shutdown()


@pytest.fixture
def twin(spinner: Spinner) -> TwinNode:
    node = TwinNode()
    spinner.add(node)
    return node


def set_one(node: Node, name: str, value: object) -> None:
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert result.successful, f"{name}: {result.reason}"


@pytest.mark.parametrize("prefix", list(FAULTS))
def test_every_fault_can_be_switched_on_while_it_runs(twin: TwinNode, prefix: str) -> None:
    for name, value in changed(prefix):
        set_one(twin, name, value)
    world = twin._world
    settings = {"toy.": world.toy.settings, "camera.": world.camera.settings, "wire.": twin._wire.settings}[
        prefix
    ]
    for name, value in changed(prefix):
        assert getattr(settings, name.removeprefix(prefix)) == value


def test_a_fault_of_the_camera_is_seen_at_once(twin: TwinNode, spinner: Spinner) -> None:
    user = spinner.add(Node("user"))
    images: list[np.ndarray] = []
    user.create_subscription(
        Image,
        "camera/image_raw",
        lambda m: images.append(np.frombuffer(m.data, np.uint8).astype(float)),
        SENSOR,
    )
    spinner.until(lambda: len(images) > 2)
    calm = images[-1]
    set_one(twin, "camera.glare", 200.0)
    spinner.until(lambda: np.abs(images[-1] - calm).mean() > 2.0)


def test_a_pulled_cable_and_a_frozen_board_are_noticed_and_come_back(
    twin: TwinNode, spinner: Spinner, tmp_path: Path
) -> None:
    driver = GrblDriver(twin_board(twin))
    session = Session(driver, lambda: SerialLink(os.fspath(tmp_path / "board")))

    def reached(state: DriverState) -> bool:
        now_s = time.monotonic()
        session.pump(now_s, now_s)
        return driver.state is state

    spinner.until(lambda: reached(DriverState.UNHOMED))
    for fault in ("wire.unplugged", "wire.frozen"):
        set_one(twin, fault, True)
        spinner.until(lambda: reached(DriverState.OFFLINE))
        set_one(twin, fault, False)
        spinner.until(lambda: reached(DriverState.UNHOMED))
    session.close()


def twin_board(twin: TwinNode):  # type: ignore[no-untyped-def]
    """The board as the twin's parameters have it."""
    from sketch_cell.machine.board import BoardSettings

    names = [item.name for item in dataclasses.fields(BoardSettings)]
    return BoardSettings(**{name: twin.get_parameter(f"board.{name}").value for name in names})


def test_a_fast_clock_waits_for_a_driver_that_lags_behind_a_moving_board(twin: TwinNode) -> None:
    twin.set_parameters([Parameter("real_time_factor", value=6.0)])
    assert twin._pace() == 6.0
    twin._world.exchange(b"", 0.1)
    twin._world.exchange(b"$X\nG91G1X-50F600\n", 0.5)
    assert twin._world.firmware.state == "Run"
    assert twin._pace() == 1.0
    twin._heard_s = twin._world.now_s
    assert twin._pace() == 6.0


def test_the_clock_of_a_standing_board_ticks_seldom_until_somebody_talks_to_it(
    twin: TwinNode, spinner: Spinner, tmp_path: Path
) -> None:
    link = SerialLink(os.fspath(tmp_path / "board"))
    tick_ns, rest_ns = round(twin._settings.tick_s * 1e9), round(REST_TICK_S * 1e9)
    spinner.until(lambda: twin._timer.timer_period_ns == rest_ns)
    link.write(b"$X\n")
    spinner.until(lambda: twin._timer.timer_period_ns == tick_ns)
    spinner.until(lambda: twin._timer.timer_period_ns == rest_ns)
    link.write(b"G91G1X-50F600\n")
    spinner.until(lambda: twin._world.firmware.state == "Run")
    assert twin._timer.timer_period_ns == tick_ns
    link.close()
