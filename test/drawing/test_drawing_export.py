"""Exports read back by other parsers."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from sketch_cell.drawing.export import csv_text, gcode_text, svg_text
from sketch_cell.drawing.film import growing_frames, save_search_figure
from sketch_cell.drawing.parabolic import successive_parabolas

XY = np.array([[0.001, 0.002], [0.01, 0.0505], [0.1525, 0.1]])


def test_csv_reads_back():
    text = csv_text(XY)
    assert text.splitlines()[0] == "x_m,y_m"
    assert np.allclose(np.loadtxt(text.splitlines()[1:], delimiter=","), XY, atol=1e-6)


def test_svg_is_one_path_in_millimetres_with_y_downwards():
    text = svg_text(XY, width_m=0.153, height_m=0.107, line_width_m=0.0006, metadata={"note": "<a & b>"})
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("width") == "153mm" and root.get("viewBox") == "0 0 153 107"
    (path,) = root.findall(f"{space}path")
    points = np.array(re.findall(r"[-\d.]+", path.get("d")), float).reshape(-1, 2)
    assert np.allclose(points / 1000, np.stack([XY[:, 0], 0.107 - XY[:, 1]], axis=1), atol=1e-6)
    assert json.loads(root.find(f"{space}metadata").text) == {"note": "<a & b>"}
    assert path.get("stroke-width") == "0.6" and path.get("d").count("M") == 1


def test_gcode_is_what_grbl_takes():
    lines = gcode_text(XY, 0.04).split("\n")
    assert lines[-1] == "" and "G21" in lines and "G90" in lines
    assert all(len(line) <= 80 and line.isascii() for line in lines)
    assert not re.search(r"[!?~();\r]", "".join(lines))
    assert "G1 F2400" in lines
    moves = [re.fullmatch(r"X([-\d.]+) Y([-\d.]+)", line) for line in lines if line.startswith("X")]
    assert np.allclose([[float(v) / 1000 for v in move.groups()] for move in moves], XY, atol=1e-6)


def test_frames_grow_and_end_complete():
    frames = list(
        growing_frames(XY, [1, 2, 2], width_m=0.153, height_m=0.107, line_width_m=0.001, pixels_per_m=1000)
    )
    assert all(f.shape == frames[0].shape and f.dtype == np.uint8 for f in frames)
    assert frames[0].shape[0] % 2 == 0 and frames[0].shape[1] % 2 == 0
    dark = [(f < 128).all(axis=2).sum() for f in frames]
    assert 0 < dark[0] < dark[1] == dark[2]


def test_search_figure_is_a_png(tmp_path):
    search = successive_parabolas(lambda x: (x - 1) ** 2, (0.2, 5.0), np.random.default_rng(1))
    assert search.best_at == pytest.approx(1.0, abs=0.01)
    save_search_figure(search, tmp_path / "spi.png")
    assert (tmp_path / "spi.png").read_bytes().startswith(b"\x89PNG")
