"""Grbl 1.1 as pure text: every line a board says as a value, every line we say as a string.

Source: the interface document of Grbl 1.1 and its firmware's behaviour; grblHAL's and FluidNC's additions are
understood or kept. Nothing here raises on what a board says: what is not understood becomes `Unknown`.
Lengths are millimetres and speeds mm/min here, and only here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from sketch_cell.machine.grbl_messages import (
    Alarm,
    Error,
    Feedback,
    Message,
    Ok,
    Parameter,
    Setting,
    StartupLine,
    Status,
    Unknown,
    Welcome,
)
from sketch_cell.machine.grbl_words import ALARM_ADVICE, ALARMS, ALARMS_OF, ERRORS, ERRORS_OF

RX_BUFFER_BYTES = 128
LINE_LIMIT_CHARACTERS = 80

STATUS, HOLD, RESUME, RESET = b"?", b"!", b"~", b"\x18"
DOOR, JOG_CANCEL = b"\x84", b"\x85"
FEED_100, FEED_PLUS_10, FEED_MINUS_10, FEED_PLUS_1, FEED_MINUS_1 = b"\x90", b"\x91", b"\x92", b"\x93", b"\x94"


def feed_step(found_percent: int, wanted_percent: int) -> bytes:
    """The override commands that bring the feed nearer to the wanted one.

    One of each kind at most: Grbl keeps a flag per command, so two of a kind that come together count as one.
    """
    change = wanted_percent - found_percent
    if wanted_percent == 100:
        return FEED_100
    ten = b"" if abs(change) < 10 else FEED_PLUS_10 if change > 0 else FEED_MINUS_10
    one = b"" if change % 10 == 0 else FEED_PLUS_1 if change > 0 else FEED_MINUS_1
    return ten + one


def error_in_words(code: int, firmware: str = "Grbl") -> str:
    """What `error:N` means in a firmware, e.g. "error:20, the G-code command is not supported"."""
    meaning = ERRORS_OF.get(firmware, {}).get(code) or ERRORS.get(code, "which this program does not know")
    return f"error:{code}, {meaning}"


def alarm_in_words(code: int, firmware: str = "Grbl") -> str:
    """What `ALARM:N` means in a firmware and what to do about it."""
    other = ALARMS_OF.get(firmware, {}).get(code)
    meaning = ALARMS.get(code, "which this program does not know")
    meaning, advice = other or (meaning, ALARM_ADVICE.get(code, "read the firmware documentation"))
    return f"ALARM:{code}, {meaning}: {advice}"


@dataclass(frozen=True)
class BuildOptions:
    """What `$I` says in `[OPT:letters,blocks,bytes]`: the true sizes of the board's buffers."""

    letters: str
    planner_blocks: int = 15
    rx_bytes: int = RX_BUFFER_BYTES

    @property
    def homes_single_axes(self) -> bool:
        """Whether `$HX` exists."""
        return "H" in self.letters


class LineSplitter:
    """Cuts a stream of bytes into lines of text, however the bytes are chopped up."""

    LONGEST = 4096

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The complete, non-empty lines that `data` ends, 8-bit noise shown as escapes."""
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        self._rest = rest[-self.LONGEST :]
        return [line.decode("ascii", "backslashreplace") for line in lines if line]

    @property
    def rest(self) -> str:
        """A line begun but not ended."""
        return self._rest.decode("ascii", "backslashreplace")


def parse_line(line: str) -> Message:
    """One line a board sent, without its line end, as a message; never raises."""
    if line == "ok":
        return OK
    text = line.strip()
    if text == "ok":
        return OK
    for start, parse in _PARSERS:
        if text.startswith(start):
            return parse(text) or Unknown(line)
    return _welcome(text) or Unknown(line)


OK = Ok()
_ERROR = re.compile(r"error:\s*(\d{1,3})")
_ALARM = re.compile(r"ALARM:\s*(\d{1,3})")
_SETTING = re.compile(r"\$(\d{1,3})\s*=\s*(\S*)(?:\s*\(.*\))?")
_STARTUP = re.compile(r"\$N\d=(.*)")
_WELCOME = re.compile(r"(?<![A-Za-z])(Grbl|GrblHAL|grblHAL|FluidNC)\s+v?(\d[\w.\-]*)(?=[\s\[]|$)")
_FLUIDNC = re.compile(r"\[(FluidNC)\s+v(\d[\w.]*)")  # its banner begins like Grbl's
_FAMILY = {"GrblHAL": "grblHAL"}
_STATE = re.compile(r"([A-Za-z]+)(?::(\d{1,2}))?")
_PARAMETER = re.compile(r"(G5[4-9]|G59\.[123]|G28|G30|G92|TLO|PRB)")


def _error(text: str) -> Message | None:
    found = _ERROR.fullmatch(text)
    return Error(int(found[1])) if found else None


def _alarm(text: str) -> Message | None:
    found = _ALARM.fullmatch(text)
    return Alarm(int(found[1])) if found else None


def _welcome(text: str) -> Message | None:
    found = _FLUIDNC.search(text) or _WELCOME.search(text)
    return Welcome(_FAMILY.get(found[1], found[1]), found[2]) if found else None


def _setting(text: str) -> Message | None:
    found = _SETTING.fullmatch(text)
    if found:
        return Setting(int(found[1]), found[2])
    startup = _STARTUP.fullmatch(text)
    return StartupLine(startup[1], executed=False) if startup else None


def _executed(text: str) -> Message | None:
    return StartupLine(text[1:], executed=True)


def _bracket(text: str) -> Message | None:
    if not text.endswith("]"):
        return None
    tag, colon, body = text[1:-1].partition(":")
    if not colon:
        return None
    if _PARAMETER.fullmatch(tag):
        return _parameter(tag, body)
    return Feedback(tag, body)


def _parameter(name: str, body: str) -> Message | None:
    coordinates, _, success = body.partition(":")
    values = _numbers(coordinates)
    if values is None:
        return None
    return Parameter(name, values, {"1": True, "0": False}.get(success) if name == "PRB" else None)


def _numbers(text: str) -> tuple[float, ...] | None:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    return values if all(math.isfinite(value) for value in values) else None


def _integers(text: str) -> tuple[int, ...] | None:
    values = _numbers(text)
    return tuple(int(value) for value in values) if values else None


def _status(text: str) -> Message | None:
    if not text.endswith(">") or "<" in text[1:]:
        return None
    first, *parts = text[1:-1].split("|")
    state = _STATE.fullmatch(first)
    if not state:
        return None
    values: dict[str, object] = {}
    other: dict[str, str] = {}
    for part in parts:
        key, _, body = part.partition(":")
        known = _FIELDS.get(key)
        parsed = known(body) if known else None
        if parsed is None:
            other[key] = body
        else:
            values.update(parsed)
    substate = int(state[2]) if state[2] else None
    return Status(state[1], substate, other=other, **values)  # type: ignore[arg-type]


def _vector(name: str) -> Callable[[str], dict[str, object] | None]:
    def parse(body: str) -> dict[str, object] | None:
        values = _numbers(body)
        return {name: values} if values and len(values) >= 2 else None

    return parse


def _buffer(body: str) -> dict[str, object] | None:
    values = _integers(body)
    return {"free_blocks": values[0], "free_bytes": values[1]} if values and len(values) == 2 else None


def _feed(body: str) -> dict[str, object] | None:
    values = _numbers(body)
    if not values:
        return None
    return {"feed_mm_per_min": values[0], "spindle_rpm": values[1] if len(values) > 1 else None}


def _overrides(body: str) -> dict[str, object] | None:
    values = _integers(body)
    return {"overrides_percent": values} if values and len(values) == 3 else None


def _line_number(body: str) -> dict[str, object] | None:
    return {"line_number": int(body)} if body.isascii() and body.isdigit() else None


_FIELDS: dict[str, Callable[[str], dict[str, object] | None]] = {
    "MPos": _vector("mpos_mm"),
    "WPos": _vector("wpos_mm"),
    "WCO": _vector("wco_mm"),
    "Bf": _buffer,
    "FS": _feed,
    "F": _feed,
    "Ov": _overrides,
    "Ln": _line_number,
    "Pn": lambda body: {"pins": body},
    "A": lambda body: {"accessories": body},
}

_PARSERS: tuple[tuple[str, Callable[[str], Message | None]], ...] = (
    ("<", _status),
    ("error:", _error),
    ("ALARM:", _alarm),
    ("[", _bracket),
    ("$", _setting),
    (">", _executed),
)


def build_options(body: str) -> BuildOptions | None:
    """The body of `[OPT:...]`, e.g. "V,15,128"; None where it is not understood (buffers then stay stock)."""
    letters, _, sizes = body.partition(",")
    values = _integers(sizes) if sizes else None
    if not values or len(values) < 2 or min(values[:2]) < 1:
        return None
    return BuildOptions(letters, values[0], values[1])


def number(value: float, decimals: int = 2) -> str:
    """The shortest G-code text of a number: "12.3", "-.05", "0"; every byte costs time on the wire."""
    text = f"{value:.{decimals}f}"
    if decimals:
        text = text.rstrip("0").rstrip(".")
    if text.startswith("0."):
        return text[1:]
    if text.startswith("-0."):
        return "-" + text[2:]
    return "0" if text == "-0" else text


class LinearMoves:
    """Builds absolute, modal G1 lines with no redundant word; a move to where we are already is no line."""

    def __init__(self, decimals: int = 2) -> None:
        self._decimals = decimals
        self.forget()

    def forget(self) -> None:
        """Assume nothing about the board's modes and position: the next line says all."""
        self._x: str | None = None
        self._y: str | None = None
        self._feed: str | None = None

    def line(self, x_mm: float, y_mm: float, feed_mm_per_min: float) -> str:
        """The line, without its line end, that moves to (x, y) at the feed; "" where nothing would move."""
        x, y = number(x_mm, self._decimals), number(y_mm, self._decimals)
        feed = number(max(feed_mm_per_min, 1.0), 0)
        if x == self._x and y == self._y:
            return ""
        words = "" if self._feed is not None else "G1"
        if x != self._x:
            words += "X" + x
        if y != self._y:
            words += "Y" + y
        if feed != self._feed:
            words += "F" + feed
        self._x, self._y, self._feed = x, y, feed
        return words


__all__ = [
    "ALARMS", "DOOR", "ERRORS", "FEED_100", "FEED_MINUS_1", "FEED_MINUS_10", "FEED_PLUS_1",
    "FEED_PLUS_10", "HOLD", "JOG_CANCEL", "LINE_LIMIT_CHARACTERS", "OK", "RESET", "RESUME",
    "RX_BUFFER_BYTES", "STATUS", "Alarm", "BuildOptions", "Error", "Feedback", "LineSplitter",
    "LinearMoves", "Message", "Ok", "Parameter", "Setting", "StartupLine", "Status", "Unknown", "Welcome",
    "alarm_in_words", "build_options", "error_in_words", "feed_step", "number", "parse_line",
]  # fmt: skip
