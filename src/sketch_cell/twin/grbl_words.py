"""The words of one G-code line, letter by letter, in Grbl's order of checks: what each means, and its errors."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

HIGHEST_TOOL = 255

_IGNORED = bytes(range(33)) + b"/"

NONE, NON_MODAL, MOTION, TOOL_LENGTH = range(4)  # which command of a line uses its axis words


class GcodeError(Exception):
    """A line Grbl refuses, with its error code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error:{code}")
        self.code = code


@dataclass(frozen=True)
class Modal:
    """The modal state; `motion` is 0, 1, 2, 3, 80 or 38.2-38.5 as "G" numbers times ten (10 = G1, 382)."""

    motion: int = 0
    coordinates: int = 0
    plane: int = 0
    inches: bool = False
    incremental: bool = False
    inverse_time: bool = False
    program: int = 0
    spindle: int = 5
    coolant: int = 9
    tool_offset: bool = False


@dataclass
class Words:
    """The words of one line, by what they say; `left` are value words nobody has used yet."""

    modal: Modal
    command: int = NONE
    non_modal: float = 0
    groups: set[str] = field(default_factory=set)
    values: dict[str, float] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)


def filter_line(raw: bytes, longest: int = 79) -> str | None:
    """A received line as Grbl keeps it: upper case, no blanks or comments; None where it is too long."""
    if b"(" not in raw and b";" not in raw:
        line = raw.upper().translate(None, _IGNORED)
        return None if len(line) > longest else line.decode("latin-1")
    kept: list[str] = []
    comment = ""
    for byte in raw:
        character = chr(byte)
        if comment:
            if character == ")" and comment == "(":
                comment = ""
        elif character in "(;":
            comment = character
        elif byte <= 32 or character == "/":
            continue
        elif len(kept) >= longest:
            return None
        else:
            kept.append(character.upper())
    return "".join(kept)


def read_number(text: str, start: int) -> tuple[float, int] | None:
    """A number at `start` as Grbl reads it (no exponent, eight digits count), and where it ends."""
    found = _NUMBER.match(text, start)
    if not found or not (found[2] or found[4]):
        return None
    return _value(found[1], found[2], found[4] or ""), found.end()


_NUMBER = re.compile(r"([-+]?)(\d*)(?:(\.)(\d*))?")


def _value(sign: str, whole: str, fraction: str) -> float:
    digits = len(whole) + len(fraction)
    if digits > 8:
        kept = (whole + fraction)[:8]
        value = (
            int(kept) * 10.0 ** (len(whole) - 8) if len(whole) >= 8 else int(kept) / 10.0 ** (8 - len(whole))
        )
    else:
        value = float(f"{whole or '0'}.{fraction or '0'}")
    return -value if sign == "-" else value


def read_words(line: str, modal: Modal, jog: bool) -> Words:
    words = Words(replace(modal, program=0) if modal.program else modal)
    if jog:
        words.modal = replace(words.modal, motion=10, inverse_time=False)
    position = 0
    while position < len(line):
        letter = line[position]
        if not "A" <= letter <= "Z":
            raise GcodeError(1)
        found = read_number(line, position + 1)
        if found is None:
            raise GcodeError(2)
        value, position = found
        if letter == "G":
            _g_word(words, value)
        elif letter == "M":
            _m_word(words, value)
        else:
            _value_word(words, letter, value)
    return words


def _claim(words: Words, command: int) -> None:
    if words.command != NONE:
        raise GcodeError(24)
    words.command = command


def _group(words: Words, group: str) -> None:
    if group in words.groups:
        raise GcodeError(21)
    words.groups.add(group)


def _g_word(words: Words, value: float) -> None:
    """One G word; the code is in hundredths so that G38.2 is 3820."""
    code, fraction = math.trunc(value) & 255, c_round(100 * (value - math.trunc(value)))
    if code in (10, 28, 30, 92, 4, 53):
        group, fraction = _non_modal_word(words, code, fraction)
    elif code in (0, 1, 2, 3, 38, 80):
        group, fraction = _motion_word(words, code, fraction)
    elif code in (43, 49):
        group, fraction = _tool_length_word(words, code, fraction)
    else:
        group, fraction = _mode_word(words, code, fraction)
    if fraction > 0:
        raise GcodeError(23)
    _group(words, group)


def _non_modal_word(words: Words, code: int, fraction: int) -> tuple[str, int]:
    if code in (10, 28, 30, 92) and fraction == 0:
        _claim(words, NON_MODAL)
    words.non_modal = code
    if code in (28, 30, 92):
        if fraction not in (0, 10):
            raise GcodeError(20)
        words.non_modal, fraction = code + fraction / 100, 0
    return "G0", fraction


def _motion_word(words: Words, code: int, fraction: int) -> tuple[str, int]:
    if code != 80:
        _claim(words, MOTION)
    motion = code * 10
    if code == 38:
        if fraction not in (20, 30, 40, 50):
            raise GcodeError(20)
        motion, fraction = 380 + fraction // 10, 0
    words.modal = replace(words.modal, motion=motion)
    return "G1", fraction


def _tool_length_word(words: Words, code: int, fraction: int) -> tuple[str, int]:
    _claim(words, TOOL_LENGTH)
    if code == 43 and fraction != 10:
        raise GcodeError(20)
    words.modal = replace(words.modal, tool_offset=code == 43)
    return "G8", 0


def _mode_word(words: Words, code: int, fraction: int) -> tuple[str, int]:
    if code in (17, 18, 19):
        words.modal = replace(words.modal, plane=code - 17)
        return "G2", fraction
    if code in (90, 91):
        if fraction == 0:
            words.modal = replace(words.modal, incremental=code == 91)
            return "G3", 0
        if fraction != 10 or code == 90:
            raise GcodeError(20)
        return "G4", 0
    if code in (93, 94):
        words.modal = replace(words.modal, inverse_time=code == 93)
        return "G5", fraction
    if code in (20, 21):
        words.modal = replace(words.modal, inches=code == 20)
        return "G6", fraction
    if code == 40:
        return "G7", fraction
    if 54 <= code <= 59:
        words.modal = replace(words.modal, coordinates=code - 54)
        return "G12", fraction
    if code == 61:
        if fraction:
            raise GcodeError(20)
        return "G13", 0
    raise GcodeError(20)


def _m_word(words: Words, value: float) -> None:
    code, fraction = math.trunc(value) & 255, c_round(100 * (value - math.trunc(value)))
    if fraction > 0:
        raise GcodeError(23)
    if code in (0, 1, 2, 30):
        if code != 1:
            words.modal = replace(words.modal, program={0: 3}.get(code, code))
        _group(words, "M4")
    elif code in (3, 4, 5):
        words.modal = replace(words.modal, spindle=code)
        _group(words, "M7")
    elif code in (8, 9):
        words.modal = replace(words.modal, coolant=code)
        _group(words, "M8")
    else:
        raise GcodeError(20)


def _value_word(words: Words, letter: str, value: float) -> None:
    if letter not in "FIJKLNPRSTXYZ":
        raise GcodeError(20)
    if letter == "T" and value > HIGHEST_TOOL:
        raise GcodeError(38)
    if letter in words.values:
        raise GcodeError(25)
    if letter in "FNPTS" and value < 0:
        raise GcodeError(4)
    words.values[letter] = float(math.trunc(value)) if letter in "LNT" else value
    words.left.add(letter)


def c_round(value: float) -> int:
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)
