"""`sketch-cell machine`: check a Grbl board against the machine's needs, or write what is missing into it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from sketch_cell.bringup import check_port
from sketch_cell.commands.options import settings_from, settings_options
from sketch_cell.errors import MachineError
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
    function = settings_options(BoardSettings)(function)
    function = click.option("--baud", default=115_200, show_default=True, help="speed of the port")(function)
    return click.option("--port", required=True, help="serial port of the board, such as /dev/ttyUSB0")(
        function
    )


@machine.command()
@_board_options
def check(port: str, baud: int, **options: Any) -> None:
    """Say what the board is and what in its settings differs; exit 1 where moving would be unsafe."""
    with Visit(port, baud, settings_from(BoardSettings, options)) as visit:
        visit.wait()
        visit.tell()
        visit.verdict("Run `sketch-cell machine configure` with the same options to mend it.")


@machine.command()
@_board_options
def configure(port: str, baud: int, **options: Any) -> None:
    """Write the settings that differ, one at a time, and check again."""
    with Visit(port, baud, settings_from(BoardSettings, options)) as visit:
        visit.wait()
        changes = list(visit.driver.differences)
        for difference in changes:
            click.echo(f"{difference.command}  {difference.meaning}")
        if changes:
            visit.driver.configure(time.monotonic())
            visit.wait()
        click.echo(f"{len(changes)} settings written." if changes else "Nothing to write.")
        visit.verdict("The board did not take its settings; see the messages above.")


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

    def verdict(self, advice: str) -> None:
        """Raise `MachineError` unless the board may move."""
        if self.driver.state is DriverState.REFUSED:
            unsafe = sum(difference.dangerous for difference in self.driver.differences)
            raise MachineError(f"{unsafe} settings of the board make it unsafe to move. {advice}")
        click.echo("The board is ready to be homed.")
