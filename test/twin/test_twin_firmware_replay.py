"""Regression by data files: what the host sends, what time passes, and every byte the board must answer.

The files were recorded side by side with the real Grbl 1.1h; where a moving position is told, the two may differ by
a step or so, which is why reports of motion are compared within 0.1 mm.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sketch_cell.twin.grbl_firmware import GrblFirmware

FILES = sorted((Path(__file__).parent / "data").glob("grbl_*.txt"))
STEP_S = 0.005
POSITION = re.compile(r"(?<=Pos:)[-\d.,]+")


class Replay:
    """Reads one file and checks each answer where the next input begins."""

    def __init__(self, path: Path) -> None:
        self.settings: dict[int, float] = {}
        self.steps: list[tuple[bytes, float, list[str]]] = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            self._read(line, f"{path.name}:{number}")

    def _read(self, line: str, where: str) -> None:
        mark, _, rest = line.partition(" ")
        raw = rest.encode().decode("unicode_escape").encode("latin-1")
        if mark == "settings":
            self.settings = {int(a): float(b) for a, b in (item.split("=") for item in rest.split())}
        elif mark == ">":
            self.steps.append((raw + b"\n", 0.0, []))
        elif mark == "!":
            self.steps.append((raw, 0.0, []))
        elif mark == "@":
            data, _, answers = self.steps[-1]
            self.steps[-1] = (data, float(rest), answers)
        elif mark == "<":
            self.steps[-1][2].append(rest)
        else:
            assert line.startswith("#"), where


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_board_answers_byte_for_byte(path: Path) -> None:
    replay = Replay(path)
    board = GrblFirmware(settings=replay.settings)
    exchange(board, b"", 0.01)
    exchange(board, b"$X\n", 0.1)
    for data, duration_s, answers in replay.steps:
        said = exchange(board, data, duration_s)
        assert still(said) == still(answers), f"after {data!r}"
        assert places(said) == pytest.approx(places(answers), abs=0.1), f"after {data!r}"


def exchange(board: GrblFirmware, data: bytes, duration_s: float) -> list[str]:
    board.receive(data)
    out = b""
    for _ in range(round(duration_s / STEP_S)):
        board.advance(STEP_S, STEP_S)
        out += board.transmit()
    return out.decode("latin-1").replace("\r\n", "\n").split("\n")[:-1]


def still(lines: list[str]) -> list[str]:
    """The lines without the digits of positions."""
    return [POSITION.sub("*", line) for line in lines]


def places(lines: list[str]) -> list[float]:
    """All positions told."""
    return [float(value) for line in lines for found in POSITION.findall(line) for value in found.split(",")]


def test_there_are_data_files() -> None:
    assert len(FILES) >= 6
