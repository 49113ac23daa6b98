"""No command writes over what it reads, nor over another of its own outputs: refused before any work."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest
from skimage import data

from sketch_cell import cli
from sketch_cell.mosaic.default_library import default_library
from sketch_cell.mosaic.library_files import write_library

LINE = "x_m,y_m\n0.01,0.01\n0.05,0.03\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the commands below read, in the folder they run in."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.png", data.astronaut()[::4, ::4, ::-1])
    Path("line.csv").write_text(LINE)
    Path("tone.csv").write_text("predicted,observed\n0,0\n1,1\n")
    Path("faults.yaml").write_text("toy: {}\n")
    write_library(Path("lib"), default_library()[:2])
    Path("lib/report.json").write_text("{}\n")
    cv2.imwrite("lib/board.png", data.astronaut()[::4, ::4, ::-1])
    Path("out").mkdir()
    cv2.imwrite("out/mosaic.png", data.astronaut()[::4, ::4, ::-1])
    Path("out/bill.csv").write_text("red,100\n")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "mosaic out/mosaic.png --out out",
        "mosaic photo.png --stock out/bill.csv --out out",
        "mosaic photo.png --library lib --out lib",
        "mosaic photo.png --out photo.png",
        "sweets lib/board.png --library lib",
        "sweets lib/chips/c00_top_0000.png --library lib",
        "simulate line.csv --json line.csv",
        "simulate line.csv --faults faults.yaml --json faults.yaml",
        "simulate line.csv --json .",
        "camera calibrate photo.png --output photo.png",
        "camera calibrate photo.png --picture photo.png",
        "camera calibrate photo.png --output same.png --picture same.png",
        "camera calibrate photo.png --picture seen.txt",
        "tone chart a.csv --gcode a.csv",
        "tone read photo.png line.csv line.csv",
        "linify photo.png --tone tone.csv --csv tone.csv",
        "linify photo.png --csv line.csv/a.csv",
        "linify photo.png --csv photo.png",
        "repair photo.png photo.png",
    ],
)
def test_it_is_refused_and_nothing_changes(folder, monkeypatch, capsys, command):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(sys, "argv", ["sketch-cell", *command.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
