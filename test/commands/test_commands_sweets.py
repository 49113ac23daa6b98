"""`sketch-cell sweets`: photos in, a library out that `sketch-cell mosaic` lays with."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest

from sketch_cell import cli
from sketch_cell.mosaic.default_library import DEFAULT_COLOURS
from sketch_cell.mosaic.library_files import read_library
from sketch_cell.mosaic.tray import render_tray

COATS = np.array([coat for name, coat in DEFAULT_COLOURS.items() if name != "white"], np.uint8)


def run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr(sys, "argv", ["sketch-cell", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def photograph(path, coats, count, seed, **kwargs):
    tray = render_tray(coats, count, np.random.default_rng(seed), gap=0.1, radius_px=24.0, **kwargs)
    cv2.imwrite(str(path), tray.photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return path


def test_two_photos_become_a_library_that_lays_a_mosaic(monkeypatch, tmp_path):
    bright = photograph(tmp_path / "bright.jpg", COATS, 30, 1)
    white = photograph(
        tmp_path / "white.jpg", np.array([DEFAULT_COLOURS["white"]], np.uint8), 9, 2, sheet=(40, 90, 170)
    )
    library = tmp_path / "library"
    assert run(monkeypatch, "sweets", bright, white, "--library", library) == 0
    report = json.loads((library / "report.json").read_text())
    assert report["count"] == 39
    assert report["photos"][str(bright)]["count"] == 30
    assert report["photos"][str(white)]["colours"] == {"white": 9}
    assert cv2.imread(str(library / "board.png")) is not None
    colours = read_library(library)
    assert sum(len(colour.top) for colour in colours) == 39
    heading = (library / "palette.csv").read_text().splitlines()[0]
    assert heading.startswith("name,L,a,b,count")
    out = tmp_path / "out"
    arguments = ("mosaic", bright, "--library", library, "--out", out, "--short-edge", 12, "--passes", 2)
    assert run(monkeypatch, *arguments) == 0
    assert (out / "mosaic.png").exists()


def test_a_photo_without_sweets_is_named_and_nothing_is_written(monkeypatch, tmp_path, capsys):
    good = photograph(tmp_path / "good.jpg", COATS, 5, 3)
    bare = tmp_path / "bare.jpg"
    cv2.imwrite(str(bare), np.full((300, 400, 3), 230, np.uint8))
    library = tmp_path / "library"
    assert run(monkeypatch, "sweets", good, bare, "--library", library) == 2
    assert "bare.jpg" in capsys.readouterr().err
    assert not library.exists()


def test_a_missing_photo_is_named(monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, "sweets", tmp_path / "absent.jpg", "--library", tmp_path / "library") == 2
    assert "absent.jpg" in capsys.readouterr().err
