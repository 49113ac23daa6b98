"""`sketch-cell machine`: check a Grbl board against the machine's needs, or write what is missing into it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import click
import yaml

from sketch_cell.bringup import CellSettings, check_port, parameter_file
from sketch_cell.commands.options import settings_options, settings_over
from sketch_cell.errors import InputError, MachineError
from sketch_cell.machine.board import BoardSettings
from sketch_cell.machine.driver import DriverState, GrblDriver
from sketch_cell.machine.serial_link import SerialLink
from sketch_cell.machine.session import Session

PATIENCE_S = 15.0
PERIOD_S = 0.005


@click.group()
def machine() -> None:
    """Check or configure a Grbl board."""


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
        for difference in changes:
            click.echo(f"{difference.command}  {difference.meaning}")
        if changes:
            visit.driver.configure(time.monotonic())
            visit.wait()
        click.echo(f"{len(changes)} settings written." if changes else "Nothing to write.")
        visit.verdict("The board did not take its settings; see the messages above.")


def board_settings(params_file: str, options: dict[str, Any]) -> BoardSettings:
    """The machine as the cell's driver will want it: the parameters file, and what was typed in its place.

    Raises `InputError` where the file is absent, not YAML, or names a setting that does not exist.
    """
    path = parameter_file(CellSettings(machine="grbl", params_file=params_file))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        sections = [
            content.get(name, {}).get("ros__parameters", {}) for name in ("/**", "/**/stepper_driver")
        ]
        board = {key: value for section in sections for key, value in section.get("board", {}).items()}
        return settings_over(BoardSettings(**board), options)
    except (yaml.YAMLError, AttributeError, TypeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not a file of parameters: {error}. Begin with a copy of config/grbl.yaml."
        ) from error


class Visit:
    """One short conversation with the board on a port; nothing moves."""

    def __init__(self, port: str, baud: int, board: BoardSettings) -> None:
        check_port(port)
        self.driver = GrblDriver(board)
        self._session = Session(self.driver, lambda: SerialLink(port, baud))

    def __enter__(self) -> Visit:
        self._session.open(time.monotonic(), time.monotonic())
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def wait(self) -> None:
        """Until the board has answered; raises `MachineError` where it does not."""
        end_s = time.monotonic() + PATIENCE_S
        while not self.driver.answered:
            now_s = time.monotonic()
            self._session.pump(now_s, now_s)
            if not self._session.connected or now_s > end_s:
                raise MachineError(f"The board did not answer: {self.driver.reason}.")
            time.sleep(PERIOD_S)

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
        if self.driver.state is DriverState.REFUSED:
            unsafe = sum(difference.dangerous for difference in self.driver.differences)
            raise MachineError(f"{unsafe} settings of the board make it unsafe to move. {advice}")
        if not quiet:
            click.echo("The board is ready to be homed.")
