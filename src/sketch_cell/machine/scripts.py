"""The driver's conversations of several steps: connecting, checking, homing, stopping, recovering.

Each is a generator over the driver it is given (see `conversation`); what it ends in is the driver's state.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from sketch_cell.machine import grbl
from sketch_cell.machine.board import Difference, differences
from sketch_cell.machine.conversation import (
    BANNER,
    NO_ANSWER,
    PAUSE,
    REPORT,
    RESET_WANTED,
    STANDING,
    Ask,
    Check,
    Reply,
    Script,
)
from sketch_cell.machine.driver_types import DriverState

if TYPE_CHECKING:
    from sketch_cell.machine.core import DriverCore

SETTLE_S = 0.05  # a board still prints for a moment after its banner
LATE_S = 0.5  # answers that are late have come by then
TRIES = 3  # on a noisy line a command or its answer may arrive damaged
BANNER_S = 1.5  # most boards take a few milliseconds; after an alarm half a second
JOG_PATIENCE_S = 10.0  # a jog may take this long beyond twice its distance over its feed
NO_RESET = "the board does not answer to a reset"
NO_GRBL = "no Grbl answers; check the port, the baud rate and the board's power"


def connect(driver: DriverCore, *, banner: bool = True) -> Script:
    """Wait for the banner (asking for it from boards that do not reset when their port opens), then check."""
    timeout_s = driver.settings.connect_timeout_s
    if banner:
        reply = yield Ask(until=BANNER, timeout_s=timeout_s / 3)
        if not reply.ok:
            driver.wire.realtime(grbl.RESET)
            reply = yield Ask(until=BANNER, timeout_s=timeout_s * 2 / 3)
        if not reply.ok:
            driver.link_lost(_not_grbl(driver))
            return
    yield Ask(until=PAUSE, timeout_s=SETTLE_S)
    driver.strange.clear()
    if driver.firmware.too_old:
        fault = f"board runs {driver.firmware}, and Grbl 1.1 or later is needed"
        driver.become(DriverState.REFUSED, f"the {fault}")
        driver.say("error", f"The {fault}. Load Grbl 1.1 onto the board.")
        return
    reply = yield from _told("$I", grbl.Feedback)
    _note_options(driver, reply)
    yield from check_settings(driver)


def _told(line: str, kind: type[grbl.Message]) -> Generator[Ask, Reply, Reply]:
    """Ask what is answered with messages of a kind; again where noise has damaged the question or its answer.

    An `ok` without such messages is a late one, for a line sent before a reset: boards that are slow to start answer
    resets that had waited for them, one after the other.
    """
    for _ in range(TRIES):
        reply = yield Ask(line)
        if reply.ok and any(isinstance(message, kind) for message in reply.messages):
            break
        yield Ask(until=PAUSE, timeout_s=LATE_S)
    return reply


def _not_grbl(driver: DriverCore) -> str:
    said = next(iter(driver.strange), "") or driver.wire.unfinished
    if not said:
        return NO_GRBL
    return f"what answers is no Grbl, or speaks at another baud rate; it said {said[:40]!r}"


def _note_options(driver: DriverCore, reply: Reply) -> None:
    driver.options = grbl.BuildOptions("")
    for message in reply.messages:
        if isinstance(message, grbl.Feedback) and message.tag == "OPT":
            driver.options = grbl.build_options(message.body) or driver.options
        elif message == grbl.Feedback("FIRMWARE", "grblHAL"):  # in its compatible mode the banner says Grbl
            driver.firmware = grbl.Welcome("grblHAL", driver.firmware.version)


def check_settings(driver: DriverCore) -> Script:
    """Read `$$` and compare it with what the machine needs; what differs is read again, for noise differs too."""
    wrong: list[Difference] | None = None
    for _ in range(TRIES):
        reply = yield from _told("$$", grbl.Setting)
        if not reply.ok:
            driver.say("error", f"The board did not tell its settings: {reply.reason}.")
            driver.become(DriverState.REFUSED, f"the board did not tell its settings ({reply.reason})")
            return
        found = {m.number: m.value for m in reply.messages if isinstance(m, grbl.Setting)}
        before, wrong = wrong, differences(driver.board, found)
        if before is not None:
            wrong = [item for item in wrong if item.number in {other.number for other in before}]
        if not wrong or wrong == before:
            break
    driver.differences = wrong or []
    for difference in driver.differences:
        driver.say("error" if difference.dangerous else "warning", f"{difference}.")
    if driver.differences and driver.firmware.firmware == "FluidNC":
        driver.say("warning", "FluidNC keeps its settings in config.yaml: mend them there.")
    driver.checked = not any(difference.dangerous for difference in driver.differences)
    driver.come_to_rest(DriverState.UNHOMED, "the position is unknown")
    if driver.checked:
        driver.say("info", f"{driver.firmware} is ready; home it.")


def configure(driver: DriverCore, changes: list[Difference]) -> Script:
    """Write settings one at a time, each with its `ok`; soft limits last, for they need homing enabled."""
    for change in sorted(changes, key=lambda change: (change.number == 20, change.number)):
        reply = yield Ask(change.command)
        if not reply.ok:
            driver.say("error", f"{change.command} ({change.meaning}) was refused: {reply.reason}.")
    yield from check_settings(driver)


def home(driver: DriverCore) -> Script:
    """`$H`, then name the place: work coordinates become screen millimetres."""
    started_s = driver.wire.now_s
    reply = yield Ask("$H", timeout_s=driver.settings.homing_timeout_s)
    if reply.ok:
        reply = yield Ask(until=REPORT, timeout_s=2.0)
    if not reply.ok:
        yield from _homing_failed(driver, reply.reason)
        return
    if any(letter in driver.pins for letter in "XY"):
        yield from _homing_failed(driver, f"a switch is still pressed (pins {driver.pins})")
        return
    if driver.wire.now_s - started_s < 0.1:
        driver.say("warning", "Homing took no time at all. Check that the machine has really moved.")
    driver.name_position()
    if (yield from set_modes(driver)):
        driver.homed = True
        driver.touches.clear()
        driver.come_to_rest(DriverState.IDLE, "homed")
        driver.say("info", "Homed.")


def _homing_failed(driver: DriverCore, reason: str) -> Script:
    driver.say("error", f"Homing failed: {reason}.")
    yield from reset(driver, DriverState.ALARM, f"homing failed: {reason}")


def set_modes(driver: DriverCore) -> Check:
    """Known modes, and work coordinates that are screen millimetres (G92: no EEPROM, lost in any reset)."""
    x_mm, y_mm = (value * 1000 for value in driver.reported_m)
    for line in ("G21G90G94G17G54", f"G92X{grbl.number(x_mm, 3)}Y{grbl.number(y_mm, 3)}"):
        for _ in range(TRIES):
            reply = yield Ask(line)
            if reply.ok:
                break
        if not reply.ok:
            driver.homed = False
            driver.say("error", f"The board refused {line}: {reply.reason}. Home the machine.")
            driver.come_to_rest(DriverState.ALARM, f"the board refused {line}: {reply.reason}")
            return False
    driver.stream.moves.forget()
    return True


def stop(driver: DriverCore, after: DriverState, reason: str) -> Script:
    """After a feed hold: wait until the board stands, reset it; the queue is gone and the position exact."""
    reply = yield Ask(until=STANDING, timeout_s=2.0)
    if not reply.ok and driver.homed:
        driver.homed = False
        driver.say("error", "The machine did not come to a standstill: its position is lost. Home it.")
    yield from reset(driver, after, reason)


def reset(driver: DriverCore, after: DriverState, reason: str) -> Script:
    """Soft reset; then see where the machine stands."""
    for _ in range(TRIES):
        driver.wire.void()
        driver.wire.realtime(grbl.RESET)
        reply = yield Ask(until=BANNER, timeout_s=BANNER_S)
        if reply.ok:
            break
    else:
        driver.link_lost(NO_RESET)
        return
    yield from settle(driver, after, reason)


def settle(driver: DriverCore, after: DriverState, reason: str) -> Script:
    """After a reset: a fresh report of where the machine stands, and its modes again."""
    yield Ask(until=PAUSE, timeout_s=SETTLE_S)
    reply = yield Ask(until=REPORT, timeout_s=2.0)
    driver.forget_motion()
    driver.homed = driver.homed and reply.ok
    if driver.homed and not (yield from set_modes(driver)):
        return
    if not driver.homed and after is not DriverState.UNHOMED:
        after = DriverState.ALARM
    driver.come_to_rest(after, reason)


def after_alarm(driver: DriverCore, after: DriverState, reason: str, *, critical: bool) -> Script:
    """Most alarms end in a banner by themselves; after limit alarms the board waits for a reset.

    It only sees a reset that comes after its "Reset to continue". A soft limit keeps the position but locks. An alarm
    while connecting has cut the questions short: they are asked again.
    """
    if critical:
        yield Ask(until=RESET_WANTED, timeout_s=BANNER_S)
        driver.wire.realtime(grbl.RESET)
    reply = yield Ask(until=BANNER, timeout_s=BANNER_S)
    if driver.state is DriverState.CONNECTING:
        yield from connect(driver, banner=critical and not reply.ok)
    elif critical and not reply.ok:
        yield from reset(driver, after, reason)
    elif driver.homed:
        yield Ask(until=PAUSE, timeout_s=SETTLE_S)
        yield Ask("$X")
        yield from settle(driver, after, reason)
    else:
        driver.come_to_rest(after, reason)


def touch_by_probe(driver: DriverCore, axis: int, feed_m_per_s: float) -> Script:
    """Probe an axis towards its switch: what it is off is the step error, which the position loses."""
    letter = "XY"[axis]
    back_mm = driver.reported_m[axis] * 1000
    low_end = ("left", "lower")[axis] in driver.board.homing_corner
    target_mm = float(driver.reach_m()[0 if low_end else 1][axis]) * 1000
    feed = grbl.number(feed_m_per_s * 60_000, 0)
    reply = yield Ask(f"G38.2{letter}{grbl.number(target_mm, 3)}F{feed}", timeout_s=60.0)
    probed = [m for m in reply.messages if isinstance(m, grbl.Parameter) and m.name == "PRB" and m.success]
    if not reply.ok or not probed:
        driver.say("error", f"The {letter.lower()} switch was not touched: {reply.reason or 'no contact'}.")
        yield from reset(driver, DriverState.FAULT, "a switch was not touched")
        return
    error_m = driver.note_touch(axis, probed[-1].values_mm[axis])
    if abs(error_m) > driver.settings.most_step_error_m:
        driver.homed = False
        reason = f"the {letter.lower()} switch was touched {error_m * 1000:+.2f} mm off"
        driver.say("error", f"Stopped: {reason}, which is more than lost steps. Look at it, then home.")
        yield from reset(driver, DriverState.ALARM, reason)
        return
    driver.place.shift(axis, error_m * 1000)
    yield Ask(until=REPORT, timeout_s=2.0)
    yield from _come_back(driver, axis, back_mm)


def touch_by_homing(driver: DriverCore, axis: int, feed_m_per_s: float) -> Script:
    """`$HX` or `$HY`: the firmware names the axis' position anew, so the step error is gone and unknown."""
    letter = "XY"[axis]
    back_mm = driver.reported_m[axis] * 1000
    reply = yield Ask(f"$H{letter}", timeout_s=driver.settings.homing_timeout_s)
    if not reply.ok:
        driver.homed = False
        yield from _homing_failed(driver, reply.reason)
        return
    driver.note_touch(axis, None)
    yield Ask(until=REPORT, timeout_s=2.0)
    yield from _come_back(driver, axis, back_mm)


def _come_back(driver: DriverCore, axis: int, back_mm: float) -> Script:
    """Name the place, and go to where the axis stood before its touch."""
    if not (yield from set_modes(driver)):
        return
    yield Ask(f"G0{'XY'[axis]}{grbl.number(back_mm, 3)}", timeout_s=10.0)
    yield Ask("G4P0.01", timeout_s=30.0)  # answered only when the move is done
    yield Ask(until=REPORT, timeout_s=2.0)
    driver.stream.moves.forget()
    driver.come_to_rest(DriverState.IDLE, "touched a switch")


def jog(driver: DriverCore, line: str, duration_s: float) -> Script:
    """`$J=`: a move that a jog cancel ends at once, with the position kept."""
    reply = yield Ask(line)
    if reply.ok:
        reply = yield Ask(until=STANDING, timeout_s=JOG_PATIENCE_S + 2 * duration_s)
    if reply.reason == NO_ANSWER:  # the board may be moving all the same
        driver.say("error", "The jog was stopped: the board gave no answer in time.")
        driver.halt(DriverState.IDLE, "the jog was stopped: no answer in time")
        return
    if not reply.ok:
        driver.say("error", f"The board refused to jog: {reply.reason}.")
    driver.stream.moves.forget()
    driver.come_to_rest(DriverState.IDLE, "jogged" if reply.ok else "the jog was refused")


def sleep(driver: DriverCore, after: DriverState) -> Script:
    """`$SLP`, until the board takes it or says that it sleeps: its motors are off. Else nothing has changed."""
    for _ in range(TRIES):
        reply = yield Ask("$SLP", timeout_s=1.0)
        report = reply if reply.ok else (yield Ask(until=REPORT, timeout_s=2.0))
        if reply.ok or any(isinstance(m, grbl.Status) and m.state == "Sleep" for m in report.messages):
            driver.homed = False
            driver.become(DriverState.ASLEEP, "the motors are released")
            return
    advice = "; grblHAL needs $62=1 for it" if driver.firmware.firmware == "grblHAL" else ""
    fault = f"motors are not released, for the board did not take $SLP ({reply.reason}{advice})"
    driver.say("error", f"The {fault}.")
    driver.come_to_rest(after, f"the {fault}")


def wake(driver: DriverCore) -> Script:
    """A reset ends the board's sleep and energises the motors; where they are nobody knows."""
    yield from reset(driver, DriverState.UNHOMED, "the position is unknown")
