"""`sketch-cell mosaic`: all files appear, or one sentence does and none."""

from __future__ import annotations

import csv
import json
import sys

import cv2
import numpy as np
import pytest
from skimage import data

from sketch_cell import cli
from sketch_cell.mosaic.default_library import default_library
from sketch_cell.mosaic.library import Colour
from sketch_cell.mosaic.library_files import write_library

FILES = {
    "mosaic.png", "from_afar.png", "placements.csv", "bill.csv", "plan.pdf", "gamut.png", "report.json",
}  # fmt: skip


def run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr(sys, "argv", ["sketch-cell", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), data.astronaut()[::4, ::4, ::-1])
    return path


@pytest.mark.parametrize("layout", ["square", "hex", "side"])
def test_a_photo_becomes_all_files(monkeypatch, tmp_path, photo, layout):
    out = tmp_path / "out"
    assert (
        run(monkeypatch, "mosaic", photo, "--out", out, "--layout", layout, "--short-edge", 20, "--passes", 4)
        == 0
    )
    assert {path.name for path in out.iterdir()} == FILES
    report = json.loads((out / "report.json").read_text())
    keys = {"layout", "card", "sweets", "dE00_mean", "dE00_p95", "ssim", "floor_dE00", "cpu_s", "over_stock"}
    assert keys <= set(report)
    assert report["layout"] == layout
    assert len((out / "placements.csv").read_text().splitlines()) == report["sweets"] + 1
    assert cv2.imread(str(out / "mosaic.png")) is not None


def test_stock_is_kept_and_what_is_missing_is_said(monkeypatch, tmp_path, photo, capsys):
    stock = tmp_path / "stock.csv"
    stock.write_text("colour,count\npurple,10\nwhite,500\nred,500\n")
    out = tmp_path / "out"
    arguments = ("mosaic", photo, "--out", out, "--short-edge", 20, "--stock", stock, "--passes", 4)
    assert run(monkeypatch, *arguments) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["over_stock"] == 0
    assert report["counts"]["purple"] <= 10
    assert report["counts"]["blue"] == 0
    assert report["missing"]["purple"] > 0
    assert "purple" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "stock", "names"),
    [
        (("--short-edge", "0"), None, "--short-edge"),
        (("--short-edge", "3000"), None, "--short-edge"),
        (("--card", "plaid"), None, "--card is"),
        (("--bag-shares", "plaid=1"), None, "--bag-shares"),
        (("--bag-shares", "red=1,green=1"), None, "--bag-shares gives 0 to"),
        (("--library", "nowhere"), None, "nowhere"),
        ((), "mauve,3\n", "mauve"),
        ((), "red,-3\n", "stock.csv"),
        ((), "red,3\n", "stock.csv has 3 sweets"),
        (("--stock", "absent.csv"), None, "absent.csv"),
        (("--layout", "round"), None, "round"),
    ],
)
def test_wrong_input_is_one_sentence_and_no_file(monkeypatch, tmp_path, photo, capsys, options, stock, names):
    out = tmp_path / "out"
    arguments = ["mosaic", photo, "--out", out, "--short-edge", 20, "--passes", 2, *options]
    if stock is not None:
        path = tmp_path / "stock.csv"
        path.write_text(stock)
        arguments += ["--stock", path]
    assert run(monkeypatch, *arguments) == 2
    assert names in capsys.readouterr().err
    assert not out.exists()


def test_a_file_that_is_no_photo_is_named(monkeypatch, tmp_path, capsys):
    path = tmp_path / "no_photo.jpg"
    path.write_bytes(np.arange(100, dtype=np.uint8).tobytes())
    assert run(monkeypatch, "mosaic", path, "--out", tmp_path / "out") == 2
    assert "no_photo.jpg" in capsys.readouterr().err
    assert run(monkeypatch, "mosaic", tmp_path / "absent.jpg", "--out", tmp_path / "out") == 2
    assert "absent.jpg" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_colour_without_chips_for_the_layout_is_left_out_and_said(monkeypatch, tmp_path, photo, capsys):
    library = tmp_path / "library"
    top_only = [Colour("red", default_library()[0].top), *default_library()[3:6]]
    write_library(library, top_only)
    out = tmp_path / "out"
    arguments = ("mosaic", photo, "--library", library, "--out", out, "--short-edge", 10, "--passes", 2)
    assert run(monkeypatch, *arguments, "--layout", "side") == 0
    assert "red is left out" in capsys.readouterr().err
    assert "red" not in json.loads((out / "report.json").read_text())["counts"]
    # Who has such sweets may have them in stock and in bags.
    stock = tmp_path / "stock.csv"
    names = [colour.name for colour in top_only]
    stock.write_text("".join(f"{name},900\n" for name in names))
    shares = ",".join(f"{name}=1" for name in names)
    assert run(monkeypatch, *arguments, "--layout", "side", "--stock", stock, "--bag-shares", shares) == 0
    bill = list(csv.DictReader((out / "bill.csv").open()))
    assert {line["colour"]: line["sweets"] for line in bill}["red"] == "0"
    sweets, left_over = (
        sum(int(line[key]) for line in bill[:-1]) for key in ("sweets", "left_over_from_bags")
    )
    assert (sweets + left_over) % 60 == 0
    assert run(monkeypatch, *arguments, "--layout", "hex") == 0
    assert "red" in json.loads((out / "report.json").read_text())["counts"]
