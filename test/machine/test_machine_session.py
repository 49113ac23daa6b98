"""The driver on a real pseudo-terminal: exclusive ports, a cable pulled and plugged in again."""

from __future__ import annotations

import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from machine_board import BoardThread

from sketch_cell.errors import MachineError
from sketch_cell.machine.driver import DriverState, GrblDriver
from sketch_cell.machine.serial_link import SerialLink
from sketch_cell.machine.session import Session
from sketch_cell.twin.pseudo_terminal import PseudoTerminal


def pumped(session: Session, until: Callable[[], bool], limit_s: float = 20.0) -> None:
    end_s = time.monotonic() + limit_s
    while not until():
        now_s = time.monotonic()
        assert now_s < end_s, f"{session.driver.state}: {session.driver.reason}"
        session.driver.append([], [])
        session.pump(now_s, now_s)
        time.sleep(0.002)


def test_a_cable_pulled_in_motion_is_noticed_and_the_port_opened_again(tmp_path: Path) -> None:
    port = tmp_path / "board"
    with BoardThread(port) as board:
        driver = GrblDriver()
        session = Session(driver, lambda: SerialLink(str(port)))
        pumped(session, lambda: driver.state is DriverState.UNHOMED)
        driver.home(time.monotonic())
        pumped(session, lambda: driver.state is DriverState.IDLE)
        driver.append([3.0], [[0.06, 0.04]])
        pumped(session, lambda: driver.motion(time.monotonic()).position_m[0] > 0.01)
        board.unplug()
        pulled_s = time.monotonic()
        pumped(session, lambda: driver.state is DriverState.OFFLINE, limit_s=2.0)
        assert time.monotonic() - pulled_s < 1.0
        with pytest.raises(MachineError, match="offline"):
            driver.append([4.0], [[0.06, 0.04]])
        board.plug_in(port)
        pumped(session, lambda: driver.state is DriverState.UNHOMED)
        said = " ".join(event.text for event in driver.drain_events())
        assert "link to the board is down" in said
        assert "home the machine once it is back" in said
        session.close()


def test_a_port_in_use_is_refused_in_words(tmp_path: Path) -> None:
    terminal = PseudoTerminal(tmp_path / "board")
    with SerialLink(terminal.port), pytest.raises(MachineError, match=terminal.port):
        SerialLink(terminal.port)
    SerialLink(terminal.port).close()
    terminal.close()


@pytest.mark.parametrize("call", ["tcsetattr", "tcflush"])
def test_a_port_that_goes_away_as_it_is_opened_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise termios.error(5, "Input/output error")

    terminal, driver = PseudoTerminal(tmp_path / "board"), GrblDriver()
    session = Session(driver, lambda: SerialLink(terminal.port))
    with monkeypatch.context() as patch:
        patch.setattr(termios, call, fail)
        session.pump(0.0, 0.0)
    assert "cannot be opened: Input/output error; check the cable" in driver.drain_events()[0].text
    session.pump(1.0, 1.0)
    assert session.connected
    session.close()
    terminal.close()


def test_a_missing_port_is_tried_again_ever_more_seldom() -> None:
    driver = GrblDriver()
    session = Session(driver, lambda: SerialLink("/dev/nowhere"))
    tries = 0
    for tenth in range(300):
        session.pump(tenth * 0.1, tenth * 0.1)
        tries += sum("/dev/nowhere" in event.text for event in driver.drain_events())
    assert 4 <= tries <= 8


def test_real_time_characters_overtake_what_the_port_has_not_taken() -> None:
    class Slow:
        """Takes five bytes at a time."""

        def __init__(self) -> None:
            self.taken = b""

        def read(self) -> bytes:
            return b""

        def write(self, data: bytes) -> int:
            self.taken += data[:5]
            return min(len(data), 5)

        def close(self) -> None:
            pass

    slow, driver = Slow(), GrblDriver()
    session = Session(driver, lambda: slow)
    session.open(0.0, 0.0)
    driver.wire.script, driver.state = None, DriverState.IDLE
    driver.wire.send("G1X100Y100F2400")
    session.pump(0.01, 0.01)
    driver.emergency_stop(0.02)
    session.flush(0.02, 0.02)
    assert slow.taken.index(b"!") <= 6


def test_closing_holds_what_moves(tmp_path: Path) -> None:
    port = tmp_path / "board"
    with BoardThread(port) as board:
        driver = GrblDriver()
        session = Session(driver, lambda: SerialLink(str(port)))
        pumped(session, lambda: driver.state is DriverState.UNHOMED)
        driver.home(time.monotonic())
        pumped(session, lambda: driver.state is DriverState.IDLE)
        driver.append([3.0], [[0.06, 0.04]])
        pumped(session, lambda: driver.motion(time.monotonic()).position_m[0] > 0.01)
        session.close()
        time.sleep(0.3)
        assert board.firmware.state == "Hold"


def test_the_pseudo_terminal_leaves_no_link_behind(tmp_path: Path) -> None:
    link = tmp_path / "deep" / "board"
    terminal = PseudoTerminal(link)
    assert link.is_symlink()
    with SerialLink(str(link)) as port:
        port.write(b"?")
        deadline = time.monotonic() + 2
        seen = b""
        while seen != b"?" and time.monotonic() < deadline:
            seen += terminal.read()
        terminal.write(b"ok\r\n")
        seen = b""
        while seen != b"ok\r\n" and time.monotonic() < deadline:
            seen += port.read()
    assert seen == b"ok\r\n"
    terminal.close()
    assert not link.is_symlink()
