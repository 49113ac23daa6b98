"""Grbl's G-code parser in the twin: one filtered line in, a checked block or an error code out.

The order of the checks is Grbl's, so that a line with several faults earns the same code as from the board.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sketch_cell.twin.grbl_words import (
    MOTION,
    NONE,
    TOOL_LENGTH,
    GcodeError,
    Modal,
    Words,
    read_words,
)

INCH_MM = 25.4
HIGHEST_LINE_NUMBER = 10_000_000

_AXES = "XYZ"
_OFFSETS = "IJK"


@dataclass
class State:
    """What the parser remembers between lines; lengths in millimetres, feed in mm/min (or 1/min in G93)."""

    modal: Modal = field(default_factory=Modal)
    feed: float = 0.0
    spindle_rpm: float = 0.0
    tool: int = 0
    line_number: int = 0
    position: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    coordinates: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    offset: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    tool_length: float = 0.0

    def work_offset(self) -> list[float]:
        """Machine position minus work position, per axis [mm]."""
        total = [self.coordinates[i] + self.offset[i] for i in range(3)]
        total[2] += self.tool_length
        return total


@dataclass
class Block:
    """A line that passed all checks, ready to be executed."""

    modal: Modal
    command: int
    non_modal: float
    feed: float
    spindle_rpm: float
    tool: int
    line_number: int
    target: list[float]
    axes: set[int]
    coordinates: list[float]
    dwell_s: float = 0.0
    ijk: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    radius: float = 0.0
    data_index: int = 0
    jog: bool = False


def parse(line: str, state: State, systems: list[list[float]], *, jog: bool = False) -> Block:
    """Check one filtered line against the state and Grbl's rules; raises GcodeError.

    `systems` are the stored coordinates: G54-G59, then G28 and G30.
    """
    words = read_words(line, state.modal, jog)
    values, axes = words.values, {i for i, letter in enumerate(_AXES) if letter in words.values}
    if axes and words.command == NONE:
        words.command = MOTION
    if values.get("N", 0) > HIGHEST_LINE_NUMBER:
        raise GcodeError(27)
    block = Block(
        words.modal,
        words.command,
        words.non_modal,
        _feed(words, state, jog),
        values.get("S", state.spindle_rpm),
        int(values.get("T", 0)),
        int(values.get("N", 0)),
        [0.0, 0.0, 0.0],
        axes,
        list(state.coordinates),
        jog=jog,
    )
    _check_dwell(words, block)
    scale = INCH_MM if words.modal.inches else 1.0
    given = {i: values[_AXES[i]] * scale for i in axes}
    if words.command == TOOL_LENGTH and words.modal.tool_offset and axes != {2}:
        raise GcodeError(37)
    if "G12" in words.groups and words.modal.coordinates != state.modal.coordinates:
        block.coordinates = list(systems[words.modal.coordinates])
    _targets(words, block, given, state, systems)
    _check_motion(words, block, state, scale)
    words.left -= {"N", "F"} if jog else {"N", "F", "S", "T"}
    if block.command != NONE:
        words.left -= set(_AXES)
    if words.left:
        raise GcodeError(36)
    if jog and (words.groups - {"G3", "G6", "G0"} or block.non_modal not in (0, 53)):
        raise GcodeError(16)
    return block


def _feed(words: Words, state: State, jog: bool) -> float:
    given = words.values.get("F")
    scale = INCH_MM if words.modal.inches else 1.0
    if jog:
        if given is None:
            raise GcodeError(22)
        return given * scale
    if words.modal.inverse_time:
        if given is None and words.command == MOTION and words.modal.motion not in (0, 800):
            raise GcodeError(22)
        return given or 0.0
    if state.modal.inverse_time:
        return given or 0.0
    return state.feed if given is None else given * scale


def _check_dwell(words: Words, block: Block) -> None:
    if words.non_modal == 4:
        if "P" not in words.values:
            raise GcodeError(28)
        words.left.discard("P")
        block.dwell_s = words.values["P"]


def _targets(
    words: Words, block: Block, given: dict[int, float], state: State, systems: list[list[float]]
) -> None:
    """Fill in the machine coordinates a line aims at, or the offsets it sets."""
    if words.non_modal == 10:
        _coordinate_data(words, block, given, state, systems)
    elif words.non_modal == 92:
        if not given:
            raise GcodeError(26)
        block.target = list(state.offset)
        for i, value in given.items():
            block.target[i] = state.position[i] - block.coordinates[i] - value
            if i == 2:
                block.target[i] -= state.tool_length
    else:
        _absolute_target(words, block, given, state)
        _check_non_modal(words, block, state, systems)


def _coordinate_data(
    words: Words, block: Block, given: dict[int, float], state: State, systems: list[list[float]]
) -> None:
    if not given:
        raise GcodeError(26)
    if "P" not in words.values and "L" not in words.values:
        raise GcodeError(28)
    select = int(words.values.get("P", 0)) & 255
    if select > 6:
        raise GcodeError(29)
    mode = words.values.get("L", 0)
    if mode not in (2, 20) or (mode == 2 and "R" in words.values):
        raise GcodeError(20)
    words.left -= {"L", "P"}
    block.data_index = select - 1 if select else words.modal.coordinates
    block.ijk = list(systems[block.data_index])
    for i, value in given.items():
        if mode == 20:
            value = state.position[i] - state.offset[i] - value - (state.tool_length if i == 2 else 0.0)
        block.ijk[i] = value


def _absolute_target(words: Words, block: Block, given: dict[int, float], state: State) -> None:
    if words.command == TOOL_LENGTH:
        block.target = [0.0, 0.0, given.get(2, 0.0)]
        return
    block.target = list(state.position)
    for i, value in given.items():
        if words.non_modal != 53:
            if words.modal.incremental:
                value += state.position[i]
            else:
                value += block.coordinates[i] + state.offset[i] + (state.tool_length if i == 2 else 0.0)
        block.target[i] = value


def _check_non_modal(words: Words, block: Block, state: State, systems: list[list[float]]) -> None:
    if words.non_modal in (28, 30):
        block.ijk = list(systems[6 if words.non_modal == 28 else 7])
        if block.axes:
            block.ijk = [block.ijk[i] if i in block.axes else state.position[i] for i in range(3)]
        else:
            block.command = NONE
    elif words.non_modal == 53 and words.modal.motion not in (0, 10):
        raise GcodeError(30)


def _check_motion(words: Words, block: Block, state: State, scale: float) -> None:
    motion = words.modal.motion
    if motion == 800:
        if block.axes:
            raise GcodeError(31)
        return
    if block.command != MOTION:
        return
    if motion == 0:
        if not block.axes:
            block.command = NONE
        return
    if block.feed == 0.0:
        raise GcodeError(22)
    if motion == 10:
        if not block.axes:
            block.command = NONE
    elif motion in (20, 30):
        _check_arc(words, block, state, scale)
    else:
        if not block.axes:
            raise GcodeError(26)
        if block.target == state.position:
            raise GcodeError(33)


def plane_axes(plane: int) -> tuple[int, int, int]:
    """The two axes of a plane (G17, G18, G19) and the one normal to it."""
    return ((0, 1, 2), (2, 0, 1), (1, 2, 0))[plane]


def _check_arc(words: Words, block: Block, state: State, scale: float) -> None:
    first, second, _ = plane_axes(words.modal.plane)
    if not block.axes:
        raise GcodeError(26)
    if not block.axes & {first, second}:
        raise GcodeError(32)
    x = block.target[first] - state.position[first]
    y = block.target[second] - state.position[second]
    if "R" in words.values:
        words.left.discard("R")
        if block.target == state.position:
            raise GcodeError(33)
        _arc_by_radius(words, block, x, y, words.values["R"] * scale)
    else:
        _arc_by_centre(words, block, x, y, scale)


def _arc_by_radius(words: Words, block: Block, x: float, y: float, radius: float) -> None:
    """Centre of the arc of given radius; a negative radius asks for the longer way round."""
    first, second, _ = plane_axes(words.modal.plane)
    discriminant = 4 * radius * radius - x * x - y * y
    if discriminant < 0:
        raise GcodeError(34)
    side = -math.sqrt(discriminant) / math.hypot(x, y)
    if (words.modal.motion == 30) != (radius < 0):
        side = -side
    block.radius = abs(radius)
    block.ijk[first] = (x - y * side) / 2
    block.ijk[second] = (y + x * side) / 2


def _arc_by_centre(words: Words, block: Block, x: float, y: float, scale: float) -> None:
    first, second, _ = plane_axes(words.modal.plane)
    if not {_OFFSETS[first], _OFFSETS[second]} & words.values.keys():
        raise GcodeError(35)
    words.left -= set(_OFFSETS)
    block.ijk = [words.values.get(letter, 0.0) * scale for letter in _OFFSETS]
    block.radius = math.hypot(block.ijk[first], block.ijk[second])
    error = abs(math.hypot(x - block.ijk[first], y - block.ijk[second]) - block.radius)
    if error > 0.5 or (error > 0.005 and error > 0.001 * block.radius):
        raise GcodeError(33)
