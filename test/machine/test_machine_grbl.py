"""Grbl as text: tables of what boards say, and properties that hold for anything they might."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sketch_cell.machine import grbl
from sketch_cell.machine.grbl import (
    Alarm,
    BuildOptions,
    Error,
    Feedback,
    LinearMoves,
    LineSplitter,
    Ok,
    Parameter,
    Setting,
    StartupLine,
    Status,
    Unknown,
    Welcome,
    build_options,
    number,
    parse_line,
)

SAID = [
    ("ok", Ok()),
    ("error:20", Error(20)),
    ("ALARM:9", Alarm(9)),
    ("Grbl 1.1h ['$' for help]", Welcome("Grbl", "1.1h")),
    ("GrblHAL 1.1f ['$' or '$HELP' for help]", Welcome("grblHAL", "1.1f")),
    ("Grbl 3.7 [FluidNC v3.7.8 (wifi) '$' for help]", Welcome("FluidNC", "3.7.8")),
    ("\\xfe\\x00Grbl 1.1h ['$' for help]", Welcome("Grbl", "1.1h")),
    ("$110=500.000", Setting(110, "500.000")),
    ("$0=10 (step pulse, usec)", Setting(0, "10")),
    ("$N0=G21", StartupLine("G21", executed=False)),
    (">G21:ok", StartupLine("G21:ok", executed=True)),
    ("[MSG:'$H'|'$X' to unlock]", Feedback("MSG", "'$H'|'$X' to unlock")),
    ("[MSG:]", Feedback("MSG", "")),
    ("[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]", Feedback("GC", "G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0")),
    ("[VER:1.1h.20190830:]", Feedback("VER", "1.1h.20190830:")),
    ("[OPT:V,15,128]", Feedback("OPT", "V,15,128")),
    ("[G54:4.000,0.000,-1.000]", Parameter("G54", (4.0, 0.0, -1.0))),
    ("[TLO:0.000]", Parameter("TLO", (0.0,))),
    ("[PRB:1.000,2.000,0.000:1]", Parameter("PRB", (1.0, 2.0, 0.0), success=True)),
    ("[PRB:0.000,0.000,0.000:0]", Parameter("PRB", (0.0, 0.0, 0.0), success=False)),
    (
        "<Idle|MPos:1.000,2.000,3.000|FS:0,0>",
        Status("Idle", None, (1.0, 2.0, 3.0), feed_mm_per_min=0.0, spindle_rpm=0.0),
    ),
    ("<Hold:1|WPos:1.5,2,3|F:500>", Status("Hold", 1, wpos_mm=(1.5, 2.0, 3.0), feed_mm_per_min=500.0)),
    ("<Door:3|MPos:0,0,0>", Status("Door", 3, (0.0, 0.0, 0.0))),
    (
        "<Run|MPos:1,2,3|Bf:15,128|Ln:99|FS:500,8000|WCO:1,0,0|Ov:100,50,90|A:SF|Pn:XP>",
        Status(
            "Run",
            None,
            (1.0, 2.0, 3.0),
            None,
            (1.0, 0.0, 0.0),
            15,
            128,
            99,
            500.0,
            8000.0,
            "XP",
            (100, 50, 90),
            "SF",
        ),
    ),
    (
        "<Idle|MPos:0.000,0.000,0.000|Bf:100,1023|FS:0,0|H:1,7|TLR:0>",
        Status(
            "Idle",
            None,
            (0.0, 0.0, 0.0),
            free_blocks=100,
            free_bytes=1023,
            feed_mm_per_min=0.0,
            spindle_rpm=0.0,
            other={"H": "1,7", "TLR": "0"},
        ),
    ),
]
BROKEN = [
    "o",
    "k",
    "okok",
    "error:",
    "error:x",
    "ALARM:",
    "<Run",
    "<Run|MPos:1,2,3",
    "Run|MPos:1,2,3>",
    "<>",
    "<|>",
    "<Idle|MPos:1,2,3<Idle|MPos:1,2,3>",
    "[G54:1,2",
    "[G54:x,y,z]",
    "$=",
    "$x=1",
    "",
    "\\x9d",
    "Grb 1.1h",
]


@pytest.mark.parametrize(("line", "message"), SAID)
def test_what_boards_say_is_understood(line: str, message: object) -> None:
    assert parse_line(line) == message


@pytest.mark.parametrize("line", BROKEN)
def test_what_is_not_understood_is_kept(line: str) -> None:
    assert parse_line(line) == Unknown(line)


def test_a_damaged_field_does_not_cost_the_others() -> None:
    status = parse_line("<Run|MPos:1.0,2.0|Bf:1|FS:x,0|Ov:100|Pn:>")
    assert isinstance(status, Status)
    assert status.mpos_mm == (1.0, 2.0)
    assert status.other == {"Bf": "1", "FS": "x,0", "Ov": "100"}


@given(st.permutations(["MPos:1,2,3", "FS:5,6", "WCO:0,0,0", "Ov:1,2,3", "Bf:1,2", "Pn:X"]))
def test_fields_come_in_any_order(fields: list[str]) -> None:
    assert parse_line(f"<Run|{'|'.join(fields)}>") == parse_line(
        "<Run|MPos:1,2,3|FS:5,6|WCO:0,0,0|Ov:1,2,3|Bf:1,2|Pn:X>"
    )


@given(st.text())
def test_no_text_is_a_crash(text: str) -> None:
    parse_line(text)


@given(st.sampled_from([line for line, _ in SAID]), st.data())
def test_no_damage_is_a_crash(line: str, data: st.DataObject) -> None:
    """Characters replaced, lost or doubled, as on a noisy line, give some message or other."""
    damaged = list(line)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(
            st.sampled_from(["", "\x00", "\xff", "|", ":", ",", ">", "9", damaged[at] * 2])
        )
    parse_line("".join(damaged))


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_are_a_crash(chunks: list[bytes]) -> None:
    splitter = LineSplitter()
    for chunk in chunks:
        for line in splitter.feed(chunk):
            parse_line(line)


@given(st.data())
def test_lines_come_whole_however_the_bytes_are_cut(data: st.DataObject) -> None:
    stream = b"".join(line.encode() + b"\r\n" for line, _ in SAID)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    splitter = LineSplitter()
    lines: list[str] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        lines += splitter.feed(stream[start:end])
    assert lines == [line for line, _ in SAID]


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        splitter.feed(b"x" * 1000)
    assert len(splitter.feed(b"\n")[0]) <= LineSplitter.LONGEST


@given(st.floats(-2000, 2000), st.integers(0, 3))
def test_numbers_are_as_short_as_they_can_be_and_mean_the_same(value: float, decimals: int) -> None:
    text = number(value, decimals)
    assert float(text) == pytest.approx(round(value, decimals), abs=1e-9)
    assert text != "-0"
    assert not text.startswith(("0.", "-0."))
    assert "." not in text or not text.endswith(("0", "."))


def test_moves_say_only_what_changes() -> None:
    moves = LinearMoves()
    assert moves.line(1.0, 2.0, 2400.0) == "G1X1Y2F2400"
    assert moves.line(1.5, 2.0, 2400.0) == "X1.5"
    assert moves.line(1.504, 2.001, 2400.0) == ""
    assert moves.line(1.5, 2.25, 1200.0) == "Y2.25F1200"
    moves.forget()
    assert moves.line(1.5, 2.25, 1200.0) == "G1X1.5Y2.25F1200"


@given(st.lists(st.tuples(st.floats(-999, 999), st.floats(-999, 999), st.floats(0, 9e5)), max_size=20))
def test_lines_are_short_ascii_and_safe_to_stream(moves: list[tuple[float, float, float]]) -> None:
    maker = LinearMoves()
    for x, y, feed in moves:
        line = maker.line(x, y, feed)
        assert len(line) < grbl.LINE_LIMIT_CHARACTERS
        assert set(line) <= set("GXYF0123456789.-")


def test_options_tell_the_true_buffers() -> None:
    assert build_options("V,15,128") == BuildOptions("V", 15, 128)
    assert build_options("VNM,100,1024,3,0") == BuildOptions("VNM", 100, 1024)
    assert build_options("V,x,128") is None
    assert build_options("V") is None


@pytest.mark.parametrize("code", [*grbl.ERRORS, 99])
def test_every_error_is_said_in_words(code: int) -> None:
    assert f"error:{code}, " in grbl.error_in_words(code)


@pytest.mark.parametrize("code", [*grbl.ALARMS, 99])
def test_every_alarm_says_what_to_do(code: int) -> None:
    assert f"ALARM:{code}, " in grbl.alarm_in_words(code)
    assert ": " in grbl.alarm_in_words(code)
