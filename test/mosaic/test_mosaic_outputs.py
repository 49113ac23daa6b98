"""Bill, placements, build plan, library and stock files: sums agree, nothing is reached over, files are read back."""

from __future__ import annotations

import csv
import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from skimage import data

from sketch_cell.errors import InputError, SettingError
from sketch_cell.mosaic.bill import ROUNDING, bag_shares, bags_needed, bill_csv, make_bill
from sketch_cell.mosaic.default_library import default_library
from sketch_cell.mosaic.library_files import read_library, write_library
from sketch_cell.mosaic.mosaic import plan_mosaic
from sketch_cell.mosaic.outputs import make_outputs
from sketch_cell.mosaic.placements import laying_time_s, place, placements_csv
from sketch_cell.mosaic.plan_pdf import templates
from sketch_cell.mosaic.settings import FILES, BillSettings, LayingSettings, MosaicSettings
from sketch_cell.mosaic.stock import read_stock

LIBRARY = default_library()
NAMES = [colour.name for colour in LIBRARY]
PHOTO = data.chelsea()[::6, ::6]


@pytest.fixture(scope="module", params=["square", "hex", "side"])
def plan(request):
    return plan_mosaic(PHOTO, LIBRARY, MosaicSettings(layout=request.param, short_edge=15, passes=4))


def test_a_robot_never_reaches_over_a_laid_sweet(plan):
    xy = place(plan, 0.0127, 0.008).position_m[:, :2]
    for order in range(1, len(xy)):
        laid = xy[:order]
        in_the_way = (np.abs(laid[:, 0] - xy[order, 0]) < 0.012) & (laid[:, 1] < xy[order, 1] - 1e-6)
        assert not in_the_way.any()


def test_placements_are_short_of_way_and_each_cell_is_laid_once(plan):
    placements = place(plan, 0.0127, 0.008)
    way = np.linalg.norm(np.diff(placements.position_m, axis=0), axis=1)
    assert way.max() < 1.6 * 0.0127
    assert len(np.unique(np.round(placements.position_m, 6), axis=0)) == plan.layout.sweets
    np.testing.assert_array_equal(np.bincount(placements.colour, minlength=8), plan.counts())
    lines = placements_csv(placements).splitlines()
    assert lines[0] == "order,x_m,y_m,yaw_rad,colour"
    assert len(lines) == plan.layout.sweets + 1
    assert laying_time_s(placements, 2.5) == 2.5 * plan.layout.sweets


counts = st.lists(st.integers(0, 5000), min_size=4, max_size=4).map(np.array)
shares = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4).map(lambda s: np.array(s) / sum(s))


@hypothesis_settings(deadline=None)
@given(counts, shares, st.integers(1, 200))
def test_bags_hold_enough_and_one_less_does_not(needed, share, size):
    bags = bags_needed(needed, share, size)
    assert np.all(np.floor(share * size * bags + ROUNDING) >= needed)
    assert bags == 0 or np.any(np.floor(share * size * (bags - 1) + ROUNDING) < needed)


def test_bags_that_hold_exactly_enough_are_enough():
    for red in range(1, 100):
        share = bag_shares(f"red={red},blue={100 - red}", ["red", "blue"])
        assert bags_needed(np.array([red, 100 - red]) * 3, share, 100) == 3


def test_the_bills_sums_agree():
    settings = BillSettings(bag_shares="red=1,blue=3", bag_sweets=8, bag_price=2.0)
    bill = make_bill(["red", "blue"], np.array([10, 12]), (1.0, 2.0), settings, missing=np.array([0, 3]))
    assert bill.bags == 5
    assert bill.bags_price == 10.0
    assert [line.left_over for line in bill.lines] == [0, 18]
    assert bill.weight_kg == pytest.approx(22 * 0.00106)
    assert bill_csv(bill).splitlines()[-1] == "all,22,0.022,0.023,0.22,3,18"


@pytest.mark.parametrize("text", ["red", "red=x", "mauve=1", "red=-1", "red=0", "red=nan"])
def test_shares_that_make_no_sense_are_refused(text):
    with pytest.raises(SettingError, match="bag_shares"):
        bag_shares(text, ["red", "blue"])


@pytest.mark.parametrize("card", ["", "grey", "#12345", "#12345g", "black "])
def test_cards_that_are_no_colour_are_refused(card):
    with pytest.raises(SettingError, match="card"):
        MosaicSettings(card=card)


@hypothesis_settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(5, 40))
def test_templates_cover_each_cell_once(rows, cols, edge):
    cover = np.zeros((rows, cols), int)
    sheets = templates(rows, cols, edge)
    for sheet in sheets:
        cover[sheet.rows, sheet.cols] += 1
    assert np.all(cover == 1)
    assert len({sheet.name for sheet in sheets}) == len(sheets)


def test_every_output_is_there_and_the_pdf_has_a_sheet_per_template(plan):
    settings = MosaicSettings(layout=plan.layout.kind, short_edge=15)
    outputs = make_outputs(plan, settings, BillSettings(), LayingSettings(template_sweets=10))
    assert set(outputs.files) == {
        "mosaic.png", "from_afar.png", "placements.csv", "bill.csv", "plan.pdf", "gamut.png", "report.json",
    }  # fmt: skip
    sheets = len(templates(plan.layout.rows, plan.layout.cols, 10))
    assert len(re.findall(rb"/Type /Page\b", outputs.files["plan.pdf"])) == sheets + 1
    assert sum(outputs.report["counts"].values()) == outputs.report["sweets"] == plan.layout.sweets


def test_a_library_comes_back_as_written_and_can_be_renamed_and_merged(tmp_path):
    write_library(tmp_path, LIBRARY)
    back = read_library(tmp_path)
    assert [c.name for c in back] == NAMES
    np.testing.assert_array_equal(back[2].top[1], LIBRARY[2].top[1])
    np.testing.assert_array_equal(back[2].side[1], LIBRARY[2].side[1])
    palette = tmp_path / "palette.csv"
    palette.write_text(palette.read_text().replace("orange,", "warm,").replace("red,", "warm,"))
    merged = read_library(tmp_path)
    assert [c.name for c in merged] == ["warm", *NAMES[2:]]
    assert len(merged[0].top) == 8
    write_library(tmp_path, LIBRARY[:2])
    assert len(list((tmp_path / "chips").iterdir())) == 16


def test_a_library_without_chips_is_refused(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        read_library(tmp_path)
    (tmp_path / "palette.csv").write_text("name,L,a,b,count,chips\n")
    with pytest.raises(InputError, match="empty"):
        read_library(tmp_path)
    (tmp_path / "palette.csv").write_text("name,L,a,b,count,chips\nred,1,2,3,4,c00\n")
    with pytest.raises(InputError, match="red"):
        read_library(tmp_path)
    (tmp_path / "palette.csv").write_text("name,L,a,b,count,chips\nred,1,2,3,4,../c*\n")
    with pytest.raises(InputError, match="line 2"):
        read_library(tmp_path)


def test_stock_is_read_with_and_without_a_heading(tmp_path):
    path = tmp_path / "stock.csv"
    path.write_text("colour,count\nred,3\nblue, 4\nred,2\n")
    np.testing.assert_array_equal(read_stock(path, ["blue", "red", "pink"]), [4, 5, 0])
    path.write_text("red,3\n")
    np.testing.assert_array_equal(read_stock(path, ["blue", "red"]), [0, 3])


@pytest.mark.parametrize(
    ("text", "says"),
    [("mauve,3", "mauve"), ("red,-1", "-1"), ("red,many", "whole"), ("red", "whole"), ("", "no colours")],
)
def test_a_senseless_stock_is_refused_by_name(tmp_path, text, says):
    path = tmp_path / "stock.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_stock(path, ["red"])
    assert str(path) in str(caught.value)


@given(st.integers(1, 8), st.integers(1, 100))
def test_what_is_left_over_is_what_the_bags_hold_more(colours, size):
    names = [f"colour {n}" for n in range(colours)]
    settings = BillSettings(bag_sweets=max(size, colours))
    bill = make_bill(names, np.full(colours, 5), (1.0, 1.0), settings)
    assert bill.left_over == bill.bags * settings.bag_sweets - bill.sweets
    assert all(line.left_over >= 0 for line in bill.lines)


def test_a_palette_that_a_spreadsheet_saved_is_read_and_another_encoding_named(tmp_path):
    write_library(tmp_path, LIBRARY[:2])
    palette = tmp_path / "palette.csv"
    text = palette.read_text().replace("red", "grün")
    palette.write_text(text, encoding="utf-8-sig")
    assert "grün" in [colour.name for colour in read_library(tmp_path)]
    palette.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="UTF-8"):
        read_library(tmp_path)


def test_names_in_other_alphabets_are_written_in_the_plan(plan):
    colours = tuple(dataclasses.replace(colour, name="Лазурный") for colour in plan.colours[:1])
    other = dataclasses.replace(plan, colours=colours + plan.colours[1:])
    settings = MosaicSettings(layout=plan.layout.kind, short_edge=15)
    pdf = make_outputs(other, settings, BillSettings(), LayingSettings(template_sweets=10)).files["plan.pdf"]
    assert b"DejaVu" in pdf
    assert b"DejaVu" not in make_outputs(plan, settings, BillSettings(), LayingSettings()).files["plan.pdf"]


def test_names_with_commas_stay_one_column(plan):
    named = tuple(dataclasses.replace(colour, name=f"{colour.name}, dark") for colour in plan.colours)
    rows = list(
        csv.DictReader(
            placements_csv(place(dataclasses.replace(plan, colours=named), 0.01, 0.006)).splitlines()
        )
    )
    assert len(rows) == plan.layout.sweets
    assert {row["colour"] for row in rows} <= {colour.name for colour in named}


def test_without_reportlab_everything_but_the_plan_is_there(plan, monkeypatch):
    monkeypatch.setattr("sketch_cell.mosaic.outputs.is_installed", lambda module: module != "reportlab")
    settings = MosaicSettings(layout=plan.layout.kind, short_edge=15)
    files = make_outputs(plan, settings, BillSettings(), LayingSettings()).files
    assert {*files, "plan.pdf"} == {*FILES}
