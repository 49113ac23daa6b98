"""The Grbl driver over a pseudo-terminal against the firmware twin, in real time: issue 6's table.

    python bench/grbl.py [--quick]

The board runs in a process of its own. Peers, in the same run: a bare character-counting loop that does nothing
else, which is what the board can do, and the driver's own send-response mode. Writes doc/benchmarks/grbl.md.
The emergency stop and the processor share need rclpy and are left out where it is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from sketch_cell.files import write_whole  # noqa: E402
from sketch_cell.machine.board import BoardSettings, needed_settings  # noqa: E402
from sketch_cell.machine.driver import DriverSettings, DriverState, GrblDriver  # noqa: E402
from sketch_cell.machine.grbl import LinearMoves  # noqa: E402
from sketch_cell.machine.motion import MotionSettings, vertex_times_s  # noqa: E402
from sketch_cell.machine.serial_link import SerialLink  # noqa: E402
from sketch_cell.machine.session import Session  # noqa: E402
from sketch_cell.twin.grbl_firmware import GrblFirmware  # noqa: E402
from sketch_cell.twin.pseudo_terminal import PseudoTerminal  # noqa: E402

Array = NDArray[np.float64]

FAST = BoardSettings(max_rate_m_per_s=0.2, acceleration_m_per_s2=5.0)
START_M = np.array([0.004, 0.003])
PERIOD_S = 0.002
TRIALS = 100


# -- the board's process --


def serve(link: str, fast: bool) -> None:
    """Run a board in real time until SIGTERM; tell each feed hold's arrival, and at the end how it starved."""
    stored = {
        number: float(value[0])
        for number, value in needed_settings(FAST if fast else BoardSettings()).items()
    }
    firmware, terminal = GrblFirmware(settings=stored), PseudoTerminal(link)
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    last = time.monotonic()
    while going:
        time.sleep(0.001)
        now = time.monotonic()
        data = terminal.read()
        if b"!" in data:
            print("hold", now, flush=True)
        firmware.receive(data)
        x, y = firmware.advance(now - last, now - last)[-1] + START_M
        firmware.limit_pins = (bool(x < 0), bool(y < 0), False)
        terminal.write(firmware.transmit())
        last = now
    terminal.close()


class Board:
    """The board's process and its port."""

    def __init__(self, folder: str, name: str, fast: bool = False) -> None:
        self.port = str(Path(folder) / name)
        command = [sys.executable, __file__, "--board", self.port, *(["--fast"] if fast else [])]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while not Path(self.port).exists():
            time.sleep(0.01)

    def next_hold_s(self) -> float:
        """When the next feed hold arrived, on the monotonic clock."""
        assert self._process.stdout is not None
        return float(self._process.stdout.readline().split()[1])

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


# -- clients --


class Client:
    """The driver on a board, pumped in this process."""

    def __init__(
        self, port: str, settings: DriverSettings | None = None, board: BoardSettings | None = None
    ) -> None:
        self.driver = GrblDriver(board, settings)
        self._session = Session(self.driver, lambda: SerialLink(port))
        self.until(lambda: self.driver.state is DriverState.UNHOMED)
        self.driver.home(time.monotonic())
        self.until(lambda: self.driver.state is DriverState.IDLE)

    def pump(self) -> None:
        now_s = time.monotonic()
        self._session.pump(now_s, now_s)
        time.sleep(PERIOD_S)

    def until(self, done: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 60
        while not done():
            assert time.monotonic() < end_s, f"{self.driver.state}: {self.driver.reason}"
            self.pump()

    def draw(self, times: Array, xy: Array, feed: float) -> float:
        """Append a short horizon ahead until all is drawn; the seconds from the first append to rest."""
        start_s, sent, driver = time.monotonic(), 0, self.driver
        while sent < len(times) or not driver.idle:
            assert driver.state in (DriverState.IDLE, DriverState.RUNNING), driver.reason
            ahead_s = driver.motion(time.monotonic()).timeline_s + 0.5
            end = max(int(np.searchsorted(times, ahead_s)) + 1, sent)
            driver.append(times[sent:end], xy[sent:end], feed)
            sent = end
            self.pump()
        return time.monotonic() - start_s

    def close(self) -> None:
        self._session.close()


def circles(count: int) -> Array:
    """A path of 0.3 mm chords round and round a circle of 40 mm radius: nothing but the line rate limits it."""
    angle = np.arange(count) * (0.0003 / 0.04)
    return np.stack([0.06 + 0.04 * np.cos(angle), 0.05 + 0.04 * np.sin(angle)], axis=1)


def bare_rate(port: str, xy: Array) -> float:
    """Lines per second of a loop that counts characters and does nothing else."""
    moves, link = LinearMoves(), SerialLink(port)
    lines = deque(moves.line(x * 1000, y * 1000, 9000).encode() + b"\n" for x, y in xy)
    _command(link, b"$H\n", 6.0)
    _command(link, b"G21G90G94G92X1Y1\n", 0.2)
    _command(link, b"G1X100Y50F9000\n", 2.0)
    flight: deque[int] = deque()
    count, start_s = len(lines), time.monotonic()
    while lines or flight:
        for _ in range(link.read().count(b"\n")):
            assert flight, "the board answered more often than it was asked"
            flight.popleft()
        while lines and sum(flight) + len(lines[0]) <= 128:
            flight.append(len(lines[0]))
            link.write(lines.popleft())
        time.sleep(0.0005)
    rate = count / (time.monotonic() - start_s)
    _command(link, b"", 1.0)
    link.close()
    return rate


def _command(link: SerialLink, data: bytes, wait_s: float) -> None:
    link.write(data)
    time.sleep(wait_s)
    link.read()


def driver_rate(port: str, xy: Array, streaming: str) -> float:
    """Lines per second of the driver while it streams, from the first acknowledgement to the last."""
    client = Client(port, DriverSettings(streaming=streaming), FAST)
    lead = np.vstack([[0.001, 0.001], xy])
    limits = MotionSettings(feed_m_per_s=0.15, max_rate_m_per_s=0.2, acceleration_m_per_s2=5.0)
    times = vertex_times_s(lead, limits)
    client.draw(times[:2], lead[:2], 0.15)
    lines, start_s = client.driver.statistics.lines, time.monotonic()
    client.draw(times[2:], lead[2:], 0.15)
    rate = (client.driver.statistics.lines - lines) / (time.monotonic() - start_s)
    client.close()
    return rate


def drawing(rows: int) -> tuple[Array, Array]:
    """A drawing like the cell's: waves of about 1 mm, row by row."""
    x = np.linspace(0.012, 0.14, 320)
    parts = [[[0.001, 0.001]]]
    for row in range(rows):
        y = 0.015 + row * 0.002 + 0.0007 * np.sin(np.arange(320) * 0.9)
        parts.append(np.stack([x if row % 2 == 0 else x[::-1], y], axis=1).tolist())
    xy = np.concatenate(parts)
    return vertex_times_s(xy), xy


# -- the node --


def node_figures(folder: str, rows: int) -> dict[str, str]:
    """Emergency stop latency and processor share of the real node; empty without rclpy."""
    if importlib.util.find_spec("rclpy") is None:
        return {}
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    import grbl_node

    with Board(folder, "node") as board:
        return grbl_node.figures(board, *drawing(rows), trials=TRIALS)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    parser.add_argument("--images", help="not used; every benchmark takes it")
    parser.add_argument("--board", help=argparse.SUPPRESS)
    parser.add_argument("--fast", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.board:
        serve(arguments.board, arguments.fast)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(folder, 600 if arguments.quick else 2000, 2 if arguments.quick else 4)
    text = report(rows, fault_rows())
    print(text)
    write_whole(ROOT / "doc/benchmarks/grbl.md", text)


def measure(folder: str, lines: int, rows: int) -> list[tuple[str, str, str]]:
    """(what, goal, measured) for every goal."""
    xy = circles(lines)
    with Board(folder, "bare", fast=True) as board:
        bare = bare_rate(board.port, xy)
    with Board(folder, "counting", fast=True) as board:
        counting = driver_rate(board.port, xy, "character counting")
    with Board(folder, "one", fast=True) as board:
        one = driver_rate(board.port, xy[: lines // 2], "send-response")
    times, path = drawing(rows)
    with Board(folder, "draw") as board:
        client = Client(board.port)
        took_s = client.draw(times, path, 0.04)
        starved = client.driver.statistics.starved
        client.close()
    node = node_figures(folder, rows)
    share = 100 * counting / bare
    off = 100 * (took_s / times[-1] - 1)
    return [
        ("0.3 mm moves, bare character-counting loop", "", f"{bare:.0f} lines/s"),
        ("0.3 mm moves, driver, character counting", ">= 95 % of bare", f"{counting:.0f} lines/s, {share:.1f} %"),
        ("0.3 mm moves, driver, send-response", "", f"{one:.0f} lines/s"),
        (f"buffer starvation during a drawing of {len(path)} lines", "0", str(starved)),
        ("estimated draw time, real one", "within 3 %", f"{times[-1]:.1f} s, took {took_s:.1f} s: {off:+.1f} %"),
        ("emergency stop, topic to `!` on the wire, p99", "<= 20 ms", node.get("emergency", "not measured: no rclpy")),
        ("driver CPU while drawing", "<= 15 % of a core", node.get("cpu", "not measured: no rclpy")),
    ]  # fmt: skip


# -- the fault table --

FAULT_NAMES = {
    "silence": "cable cut: the board's bytes no longer come",
    "freeze": "board frozen",
    "unplug": "cable pulled: the port fails",
    "power_cycle": "board resets itself in the middle of a line",
    "soft_reset": "reset by a noise byte in motion",
    "leaves_the_limits": "alarm on a limit",
    "loses_digits": "bytes lost on the way to the board (1e-2)",
    "garbles": "bytes garbled on the way to the board (1e-2)",
    "controller_dies": "controller killed",
}


def fault_rows() -> list[tuple[str, str, str, str, str]]:
    """(fault, detected after, what is said, motion after the stop, usable again), on simulated time.

    The faults are those of test/machine/test_machine_faults.py, which holds them to their limits.
    """
    sys.path.insert(0, str(ROOT / "test/machine"))
    import test_machine_faults as faults

    injectors = [*(row[0] for row in faults.TABLE), faults.controller_dies]
    return [(FAULT_NAMES[inject.__name__], *_suffered(faults, inject)) for inject in injectors]


def _suffered(faults: Any, inject: Callable[[Any], None]) -> tuple[str, str, str, str]:
    pair, job = faults.running()
    begun_s = pair.now_s
    inject(pair)
    while pair.driver.state in (DriverState.IDLE, DriverState.RUNNING) and not job.finished:
        if pair.alive:
            job.run(pair.step_s)
        else:
            pair.step()
    detected_s = pair.now_s - begun_s
    pair.run(3.0)
    words = next((event.text for event in pair.events if event.level == "error"), "nothing")
    stands = pair.stylus_m
    pair.run(1.0)
    moved_mm = 1000 * float(np.abs(pair.stylus_m - stands).max())
    pair.to_board = pair.to_host = lambda data: data
    pair.alive = True
    if pair.driver.state is DriverState.OFFLINE:
        pair.firmware.power_cycle()
    faults.mend(pair)
    usable = "yes" if pair.driver.state is DriverState.IDLE else f"no: {pair.driver.state.value}"
    after = f"{detected_s:.2f} s" if detected_s > pair.step_s else "at once"
    return after, words.split(". ")[0].rstrip("."), f"{moved_mm:.3f} mm", usable


def report(rows: list[tuple[str, str, str]], faults: list[tuple[str, str, str, str, str]]) -> str:
    """The section for doc/benchmarks."""
    lines = [
        "# The Grbl driver over a pseudo-terminal",
        "",
        "`python bench/grbl.py`, against the firmware twin in a process of its own, in real time, on a machine with",
        f"{os.cpu_count()} cores and a load of {os.getloadavg()[0]:.1f} while it was measured.",
        "",
        "| what | goal | measured |",
        "|---|---|---|",
    ]
    lines += [f"| {what} | {goal} | {measured} |" for what, goal, measured in rows]
    lines += [
        "",
        "## Faults",
        "",
        "On simulated time, in the middle of a drawing; the noise is ten times the issue's, so that it strikes soon.",
        "",
        "| fault | detected after | first words | motion after the stop | usable again |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in faults),
        "",
        "Lost acknowledgements cost nothing: the position shows that the lines arrived. A drawing over a line that",
        "garbles one byte in a thousand both ways is finished with a person's help.",
        "`test/machine/test_machine_faults.py` holds all this; `test/machine/test_machine_chaos.py` asks for anything",
        "at any moment over a wire that delays.",
        "On a full disk the controller says that it keeps no journal, and draws on (`test/test_files.py`).",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
