"""Boards that are not Grbl 1.1h on an Uno, from data files: what each says, and what the driver must make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sketch_cell.errors import MachineError
from sketch_cell.machine import grbl
from sketch_cell.machine.driver import DriverState, Event, GrblDriver

FILES = sorted((Path(__file__).parent / "data").glob("*.txt"))


class Dialogue:
    """A board that knows a few answers by heart."""

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, list[str]] = {}
        self.expected: list[tuple[str, str]] = []
        heard: list[str] = []
        for line in path.read_text().splitlines():
            word, _, rest = line.partition(" ")
            if word == "expect":
                what, _, value = rest.partition(" ")
                self.expected.append((what, value))
            elif line == "open" or word == ">":
                heard = self.answers.setdefault(rest or line, [])
            elif word != "#":
                heard.append(line)

    def reply(self, sent: bytes) -> bytes:
        lines: list[str] = []
        if b"?" in sent:
            lines += self.answers.get("?", ["<Idle|MPos:0.000,0.000,0.000|FS:0,0>"])
        for command in sent.replace(b"?", b"").decode("latin-1").split("\n"):
            lines += self.answers.get(command, [])
        return "".join(f"{line}\r\n" for line in lines).encode()


def visited(dialogue: Dialogue) -> tuple[GrblDriver, list[Event]]:
    """The driver after it has opened the port and asked what it asks."""
    driver = GrblDriver()
    driver.link_opened(0.0)
    driver.receive("\r\n".join([*dialogue.answers["open"], ""]).encode(), 0.01)
    for step in range(2, 200):
        driver.receive(dialogue.reply(driver.transmit(step * 0.01)), step * 0.01)
    return driver, driver.drain_events()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_board_says_is_understood(path: Path) -> None:
    dialogue = Dialogue(path)
    driver, events = visited(dialogue)
    said = " | ".join(event.text for event in events)
    for what, value in dialogue.expected:
        assert fits(driver, said, what, value), f"{what} {value}: {driver.state}, {driver.options}; {said}"


def fits(driver: GrblDriver, said: str, what: str, value: str) -> bool:
    number, _, words = value.partition(" ")
    family = driver.firmware.firmware
    if what == "alarm":
        return words in grbl.alarm_in_words(int(number), family)
    if what == "error":
        return words in grbl.error_in_words(int(number), family)
    if what == "said":
        return value in said
    found = {
        "state": driver.state.value,
        "firmware": str(driver.firmware),
        "rx_bytes": str(driver.options.rx_bytes),
        "single_axis": str(driver.options.homes_single_axes),
        "unknown": str(said.count("something unknown")),
    }
    return found[what] == value


def test_there_are_dialogues() -> None:
    assert len(FILES) >= 4


def test_a_refused_relative_does_not_move() -> None:
    driver, _ = visited(Dialogue(FILES[0].with_name("fluidnc.txt")))
    assert driver.state is DriverState.REFUSED
    with pytest.raises(MachineError):
        driver.home(3.0)
