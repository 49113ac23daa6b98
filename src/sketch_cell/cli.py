"""The `sketch-cell` command: every command of the cell under one name, errors as one sentence."""

from __future__ import annotations

import importlib
import signal
import sys

import click
from click.shell_completion import CompletionItem

from sketch_cell import __version__
from sketch_cell.errors import InputError, SketchCellError

# Command -> one line of help. Modules load only when used: `--help` needs neither ROS nor torch.
COMMANDS = {
    "demo": "Draw a photo on the simulated toy, everything included.",
    "bringup": "Start a whole cell, simulated or real, and draw when told to.",
    "record": "Record a running cell, for replay and for other tools.",
    "replay": "Play a recording: see, measure and compute again, without a machine.",
    "linify": "Turn a photo into one unbroken line.",
    "tone": "Measure how dark the machine really draws, for linify --tone.",
    "repair": "Remove the blocks from JPEG photos.",
    "sweets": "Cut the sweets out of photos into a library of chips.",
    "mosaic": "Lay a photo out of sweets.",
    "simulate": "Draw a photo in-process, with faults, many times faster than real time.",
    "machine": "Check, configure, home or jog a Grbl board.",
    "camera": "Calibrate the camera that watches the glass.",
    "doctor": "Check this computer for everything a cell needs.",
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(f"sketch_cell.commands.{cmd_name}")
        except ModuleNotFoundError as error:
            raise InputError(
                f"{cmd_name} needs {error.name}, which is not installed: `sketch-cell doctor` says how to get it."
            ) from error
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete command names from the table alone: loading every command would take a second per key."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        return [CompletionItem(name, help=COMMANDS[name]) for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sketch-cell")
def commands() -> None:
    """A robot cell that turns a photo into one unbroken line, or a mosaic of sweets.

    Begin with: sketch-cell demo. Where something does not work: sketch-cell doctor.

    Exit status: 0 done, 1 the cell or machine failed, 2 the input was wrong and nothing was changed, 130 Ctrl-C.
    """


def main() -> None:
    """Exit 0 when done, 1 when the cell failed, 2 when the input was wrong, 130 on Ctrl-C."""
    # SIGTERM ends a command as Ctrl-C does: processes stopped, nothing half-written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = commands.main(standalone_mode=False)
    except SketchCellError as error:
        click.echo(f"sketch-cell: {error}", err=True)
        sys.exit(error.exit_status)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("sketch-cell: stopped.", err=True)
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)
