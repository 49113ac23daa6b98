"""`sketch-cell machine`: a Grbl board on a port, step by step: check, configure, home, jog."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from sketch_cell import bringup
from sketch_cell.commands.options import FloatRange, settings_options, settings_over
from sketch_cell.errors import MachineError
from sketch_cell.machine.board import BoardSettings
from sketch_cell.machine.driver import DriverSettings, DriverState, GrblDriver
from sketch_cell.machine.serial_link import SerialLink
from sketch_cell.machine.session import Session
from sketch_cell.machine.waypoints import check_reach, reach_m

PERIOD_S = 0.005
ARRIVED_M = 0.0005


@click.group()
def machine() -> None:
    """Check, configure, home or jog a Grbl board."""


def _board_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = settings_options(BoardSettings, defaults=False)(function)
    for option in (
        click.option(
            "--params-file", default="", help="Parameters of the cell; by default config/grbl.yaml."
        ),
        click.option("--baud", default=115_200, show_default=True, help="Speed of the port."),
        click.option("--port", required=True, help="Serial port of the board, such as /dev/ttyUSB0."),
    ):
        function = option(function)
    return function


@machine.command()
@_board_options
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON instead.")
def check(port: str, baud: int, params_file: str, as_json: bool, **options: Any) -> None:
    """Say what the board is and what in its settings differs; exit 1 where moving would be unsafe.

    What is needed comes from the parameters that the cell runs with; an option goes before them. Nothing moves
    and nothing is written, but opening the port resets an Arduino: not while it draws.

    Example: sketch-cell machine check --port /dev/ttyUSB0
    """
    with Visit(port, baud, board_settings(params_file, options)) as visit:
        visit.wait()
        if as_json:
            visit.tell_json()
        else:
            visit.tell()
        visit.verdict("Run `sketch-cell machine configure` with the same options to mend it.", quiet=as_json)


@machine.command()
@_board_options
def configure(port: str, baud: int, params_file: str, **options: Any) -> None:
    """Write the settings that differ, one at a time, and check again.

    What is needed comes from the parameters that the cell runs with. Put what differs on your machine into a
    parameters file of your own, for the cell refuses a board that is set otherwise.

    Example: sketch-cell machine configure --port /dev/ttyUSB0 --params-file mine.yaml
    """
    with Visit(port, baud, board_settings(params_file, options)) as visit:
        visit.wait()
        changes = list(visit.driver.differences)
        if changes and not visit.keeps_its_settings:
            for difference in changes:
                click.echo(f"{difference.command}  {difference.meaning}")
            visit.driver.configure(time.monotonic())
            visit.wait()
            left = {difference.number for difference in visit.driver.differences}
            written = sum(difference.number not in left for difference in changes)
            click.echo(f"{written} of {len(changes)} settings written.")
        elif not changes:
            click.echo("Nothing to write.")
        visit.tell()
        visit.verdict("It did not take them; see the messages above.")


@machine.command()
@_board_options
def home(port: str, baud: int, params_file: str, **options: Any) -> None:
    """Find the switches, and say where the machine stands then.

    It moves: keep a hand on the switch of its power the first time. Ctrl-C stops it.

    Example: sketch-cell machine home --port /dev/ttyUSB0
    """
    board, driver = board_settings(params_file, options), driver_settings(params_file)
    with Visit(port, baud, board, driver) as visit:
        visit.home()
        visit.say_place()


@machine.command()
@_board_options
@click.option(
    "--speed-mm-per-s", type=FloatRange(0.1, 1000), default=20.0, show_default=True, help="Speed on the way."
)
@click.argument("x_mm", type=FloatRange())
@click.argument("y_mm", type=FloatRange())
def jog(
    port: str, baud: int, params_file: str, x_mm: float, y_mm: float, speed_mm_per_s: float, **options: Any
) -> None:
    """Home, then go to (X_MM, Y_MM) on the screen; Ctrl-C stops on the way.

    Example: sketch-cell machine jog --port /dev/ttyUSB0 50 40
    """
    board, driver = board_settings(params_file, options), driver_settings(params_file)
    goal_m = np.array([x_mm, y_mm]) / 1000
    check_reach(goal_m[None], reach_m(board, driver))
    with Visit(port, baud, board, driver) as visit:
        visit.home()
        visit.driver.jog(goal_m.tolist(), speed_mm_per_s / 1000, time.monotonic())
        visit.until(DriverState.IDLE)
        visit.say_place()
        if np.hypot(*(goal_m - visit.driver.reported_m)) > ARRIVED_M:
            raise MachineError(f"It did not get there: {visit.driver.reason}.")


def board_settings(params_file: str, options: dict[str, Any]) -> BoardSettings:
    """The machine as the cell's driver will want it: the parameters file, and what was typed in its place.

    Raises `InputError` where the file is absent, not YAML, or names a setting that does not exist.
    """
    return settings_over(bringup.board_settings(_file(params_file)), options)


def driver_settings(params_file: str) -> DriverSettings:
    """How the cell's driver talks to the board, by the same file."""
    parameters = bringup.node_parameters(_file(params_file), "stepper_driver")
    known = {item.name for item in dataclasses.fields(DriverSettings)}
    return DriverSettings(**{name: value for name, value in parameters.items() if name in known})


def _file(params_file: str) -> Path:
    return bringup.parameter_file(bringup.CellSettings(machine="grbl", params_file=params_file))


class Visit:
    """One conversation with the board on a port; leaving it, by Ctrl-C too, stops what moves and frees the port."""

    def __init__(
        self, port: str, baud: int, board: BoardSettings, settings: DriverSettings | None = None
    ) -> None:
        bringup.check_port(port)
        self.driver = GrblDriver(board, settings)
        self._session = Session(self.driver, lambda: SerialLink(port, baud))

    def __enter__(self) -> Visit:
        self._session.open(time.monotonic(), time.monotonic())
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def wait(self) -> None:
        """Until the board has answered, telling what went wrong meanwhile; raises `MachineError` where it does not."""
        try:
            self._session.wait_for_board(time.monotonic)
        finally:
            differences = {f"{difference}." for difference in self.driver.differences}  # `tell` prints these
            for event in self.driver.drain_events():
                if event.level != "info" and event.text not in differences:
                    click.echo(event.text, err=True)

    @property
    def keeps_its_settings(self) -> bool:
        """Whether the board's settings cannot be written from here."""
        return self.driver.firmware.firmware == "FluidNC"

    def until(self, state: DriverState) -> None:
        """Until the machine is in a state, telling what happens; raises `MachineError` where it ends in another."""
        while self.driver.state is not state or self.driver.wire.script is not None:
            now_s = time.monotonic()
            self._session.pump(now_s, now_s)
            self._tell_events()
            if self.driver.state is not state and self.driver.wire.script is None:
                raise MachineError(f"The machine is {self.driver.state.value}: {self.driver.reason}.")
            time.sleep(PERIOD_S)
        self._tell_events()

    def home(self) -> None:
        """Check the board and find its switches."""
        self.wait()
        self.verdict("Run `sketch-cell machine check` to see them.")
        self.driver.home(time.monotonic())
        self.until(DriverState.IDLE)

    def say_place(self) -> None:
        """Print where the machine stands."""
        x_m, y_m = self.driver.reported_m
        lowest, highest = np.multiply(self.driver.reach_m(), 1000)
        click.echo(
            f"The machine stands at x {x_m * 1000:.2f}, y {y_m * 1000:.2f} mm; it reaches x {lowest[0]:.1f} to "
            f"{highest[0]:.1f}, y {lowest[1]:.1f} to {highest[1]:.1f} mm."
        )

    def _tell_events(self) -> None:
        for event in self.driver.drain_events():
            click.echo(event.text, err=event.level != "info")

    def tell(self) -> None:
        """Print what the board is, and every difference."""
        options = self.driver.options
        click.echo(f"{self.driver.firmware}: {options.planner_blocks} blocks, {options.rx_bytes} bytes")
        for difference in self.driver.differences:
            click.echo(f"{difference}{'' if difference.dangerous else ' (advice)'}")

    def tell_json(self) -> None:
        """The same as one JSON object."""
        differences = [
            {
                "setting": difference.number,
                "meaning": difference.meaning,
                "found": difference.found,
                "needed": difference.needed,
                "command": difference.command,
                "dangerous": difference.dangerous,
            }
            for difference in self.driver.differences
        ]
        options = self.driver.options
        report = {
            "firmware": str(self.driver.firmware),
            "planner_blocks": options.planner_blocks,
            "rx_bytes": options.rx_bytes,
            "ready": self.driver.state is not DriverState.REFUSED,
            "differences": differences,
        }
        click.echo(json.dumps(report, indent=2))

    def verdict(self, advice: str, *, quiet: bool = False) -> None:
        """Raise `MachineError` unless the board may move."""
        if self.driver.state is DriverState.REFUSED and not self.driver.differences:
            raise MachineError(f"The board cannot be used: {self.driver.reason}.")
        if self.driver.state is DriverState.REFUSED:
            unsafe = sum(difference.dangerous for difference in self.driver.differences)
            if self.keeps_its_settings:
                advice = "Mend them in its config.yaml, where FluidNC keeps its settings."
            raise MachineError(f"{unsafe} settings of the board make it unsafe to move. {advice}")
        if not quiet:
            click.echo("The board is ready to be homed.")
