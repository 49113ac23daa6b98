"""`sketch-cell machine` on a real pseudo-terminal with the firmware twin behind it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "machine"))

from machine_board import BoardThread, Served
from test_machine_relatives import Dialogue

from sketch_cell.bringup import share_folder
from sketch_cell.commands.machine import Visit, machine
from sketch_cell.errors import InputError, MachineError
from sketch_cell.machine.board import BoardSettings
from sketch_cell.machine.serial_link import SerialLink


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
    assert "$131 (y travel, mm) is 200, needed is 113" in result.output


def test_a_missing_port_is_said_in_words() -> None:
    result = CliRunner().invoke(machine, ["check", "--port", "/dev/nowhere"])
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_status == 2
    assert "/dev/nowhere" in str(result.exception)


def test_the_board_is_set_as_the_cell_that_will_draw_wants_it(stock: BoardThread) -> None:
    """Found by following doc/hardware.md: `configure` once wrote defaults that the cell's driver then refused."""
    CliRunner().invoke(machine, ["configure", "--port", stock.port])
    parameters = yaml.safe_load((share_folder() / "config" / "grbl.yaml").read_text())
    cell = BoardSettings(**parameters["/**"]["ros__parameters"]["board"])
    with Visit(stock.port, 115_200, cell) as visit:
        visit.wait()
        assert [str(difference) for difference in visit.driver.differences] == []


def test_check_in_json(stock: BoardThread) -> None:
    result = CliRunner().invoke(machine, ["check", "--port", stock.port, "--json"])
    assert isinstance(result.exception, MachineError)
    report = json.loads(result.stdout)
    assert report["ready"] is False
    steps = next(item for item in report["differences"] if item["setting"] == 100)
    assert steps["command"] == "$100=88.889"
    assert steps["dangerous"] is True
    CliRunner().invoke(machine, ["configure", "--port", stock.port])
    result = CliRunner().invoke(machine, ["check", "--port", stock.port, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ready"] is True


def test_options_go_before_the_parameters_file(stock: BoardThread, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "/**:\n  ros__parameters:\n    board:\n      travel_x_m: 0.2\n"
        "/**/stepper_driver:\n  ros__parameters:\n    board:\n      travel_y_m: 0.3\n"
    )
    words = ["check", "--port", stock.port, "--params-file", str(mine)]
    result = CliRunner().invoke(machine, words)
    assert "$130" not in result.output
    assert "$131 (y travel, mm) is 200, needed is 300" in result.output
    result = CliRunner().invoke(machine, [*words, "--travel-y-mm", "200"])
    assert "$131" not in result.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/**: [1, 2", "is not a file of parameters"),
        ("/**:\n  ros__parameters:\n    board:\n      travel_m: 0.2\n", "travel_m"),
        ("/**:\n  ros__parameters:\n    board:\n      travel_x_m: 99.0\n", "travel_x_m is 99"),
        ("just words", "is not a file of parameters"),
    ],
)
def test_a_bad_parameters_file_is_said_in_words(
    stock: BoardThread, tmp_path: Path, text: str, reason: str
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    result = CliRunner().invoke(machine, ["check", "--port", stock.port, "--params-file", str(mine)])
    assert isinstance(result.exception, InputError)
    assert reason in str(result.exception)


FITTING = ["--travel-x-mm", "153", "--travel-y-mm", "107", "--pull-off-mm", "1", "--max-rate-mm-per-s", "90"]


def test_home_and_jog_move_and_say_where_the_machine_stands(tmp_path: Path) -> None:
    with BoardThread(tmp_path / "board") as board:
        result = CliRunner().invoke(machine, ["jog", "--port", board.port, *FITTING, "8", "6"])
        assert result.exception is None, result.output
        assert "Homed." in result.output
        assert "stands at x 8.00, y 6.00 mm; it reaches x 0.0 to 153.0" in result.output
        assert board.firmware.state in ("Idle", "Hold")


def test_home_is_refused_where_the_settings_are_wrong(stock: BoardThread) -> None:
    result = CliRunner().invoke(machine, ["home", "--port", stock.port])
    assert isinstance(result.exception, MachineError)
    assert "machine check" in str(result.exception)
    assert b"$H" not in stock.received


def test_a_port_that_is_none_or_in_use_is_said_in_words(stock: BoardThread) -> None:
    result = CliRunner().invoke(machine, ["check", "--port", "/dev/null"])
    assert "/dev/null cannot be opened: it is not a serial port" in str(result.exception)
    with SerialLink(stock.port):
        result = CliRunner().invoke(machine, ["check", "--port", stock.port])
    assert "another program uses it" in str(result.exception)


@pytest.mark.parametrize(
    "where",
    [["nan", "6"], ["300", "6"], ["8", "6", "--speed-mm-per-s", "nan"], ["8", "6", "--speed-mm-per-s", "0"]],
)
def test_a_jog_that_makes_no_sense_is_refused_before_anything_moves(tmp_path: Path, where: list[str]) -> None:
    with BoardThread(tmp_path / "board") as board:
        result = CliRunner().invoke(machine, ["jog", "--port", board.port, *FITTING, *where])
        assert result.exit_code != 0 and "Homed" not in result.output


class ByHeart(Served):
    """A board in a thread that says what a dialogue's file knows, and `refusal` to every setting."""

    def __init__(self, name: str, refusal: bytes) -> None:
        self.dialogue = Dialogue(Path(__file__).parents[1] / "machine" / "data" / name)
        self.refusal, self.received = refusal, b""
        super().__init__()

    def _run(self) -> None:
        while not self._done.wait(0.005):
            data = self.terminal.read()
            self.received += data
            if b"\x18" in data:
                self.terminal.write("\r\n".join([*self.dialogue.answers["open"], ""]).encode())
            self.terminal.write(self.dialogue.reply(data.replace(b"\x18", b"")))
            self.terminal.write(self.refusal * data.count(b"="))


def test_fluidnc_is_told_where_its_settings_are_and_none_is_written() -> None:
    for command in ("check", "configure"):
        with ByHeart("fluidnc.txt", b"error:162\r\n") as board:
            result = CliRunner().invoke(machine, [command, "--port", board.port])
        assert isinstance(result.exception, MachineError)
        assert "config.yaml" in str(result.exception)
        assert "configure" not in str(result.exception)
        assert "$100 (x steps/mm) is missing" in result.output
        assert "settings written" not in result.output
        assert b"=" not in board.received


def test_configure_says_which_setting_was_refused_and_counts_the_others() -> None:
    with ByHeart("grbl_without_eeprom.txt", b"error:3\r\n") as board:
        result = CliRunner().invoke(machine, ["configure", "--port", board.port])
    assert isinstance(result.exception, MachineError)
    assert "$100=88.889 (x steps/mm) was refused: error:3, this $ command is not known" in result.output
    assert "0 of " in result.output
    assert "$100 (x steps/mm) is 250, needed is 88.889" in result.output


def test_home_ends_in_words_when_the_board_resets_itself_on_the_way(tmp_path: Path) -> None:
    with BoardThread(tmp_path / "board") as board:
        advance = board.firmware.advance

        def reset_once(duration_s: float, period_s: float) -> np.ndarray:
            if board.firmware.state == "Home":
                board.firmware.advance = advance  # type: ignore[method-assign]
                board.firmware.power_cycle()
            return advance(duration_s, period_s)

        board.firmware.advance = reset_once  # type: ignore[method-assign]
        result = CliRunner().invoke(machine, ["home", "--port", board.port, *FITTING])
    assert isinstance(result.exception, MachineError)
    assert "The machine is unhomed" in str(result.exception)
    assert "The board has reset itself while homing" in result.output
