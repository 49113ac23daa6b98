"""`sketch-cell machine` on a real pseudo-terminal with the firmware twin behind it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "machine"))

from machine_board import BoardThread

from sketch_cell.commands.machine import machine
from sketch_cell.errors import InputError, MachineError


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[BoardThread]:
    """A board as it leaves the factory."""
    with BoardThread(tmp_path / "board", configured=False) as thread:
        yield thread


def test_check_names_what_differs_and_the_command_that_mends_it(stock: BoardThread) -> None:
    result = CliRunner().invoke(machine, ["check", "--port", stock.port])
    assert isinstance(result.exception, MachineError)
    assert "$100 (x steps/mm) is 250, needed is 88.889; send $100=88.889" in result.output
    assert "$20 (soft limits) is 0" in result.output
    assert b"=" not in stock.received, "a check writes nothing"


def test_configure_mends_it_and_a_check_then_passes(stock: BoardThread) -> None:
    result = CliRunner().invoke(machine, ["configure", "--port", stock.port])
    assert result.exception is None, result.output
    assert "The board is ready to be homed." in result.output
    result = CliRunner().invoke(machine, ["check", "--port", stock.port])
    assert result.exception is None, result.output
    result = CliRunner().invoke(machine, ["configure", "--port", stock.port])
    assert "Nothing to write." in result.output


def test_options_are_the_machine(stock: BoardThread) -> None:
    result = CliRunner().invoke(machine, ["check", "--port", stock.port, "--travel-x-mm", "200"])
    assert "$130" not in result.output
    assert "$131 (y travel, mm) is 200, needed is 107" in result.output


def test_a_missing_port_is_said_in_words() -> None:
    result = CliRunner().invoke(machine, ["check", "--port", "/dev/nowhere"])
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_status == 2
    assert "/dev/nowhere" in str(result.exception)
