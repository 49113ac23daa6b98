"""The driver's conversations of several steps: connecting, checking, homing, stopping, recovering.

Each is a generator over the driver it is given (see `conversation`); what it ends in is the driver's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sketch_cell.machine import grbl
from sketch_cell.machine.board import Difference, differences
from sketch_cell.machine.conversation import (
    BANNER,
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
    from sketch_cell.machine.driver import GrblDriver

SETTLE_S = 0.05  # a board still prints for a moment after its banner
TRIES = 3
NO_RESET = "the board does not answer to a reset"


def connect(driver: GrblDriver, *, banner: bool = True) -> Script:
    """Wait for the banner (asking for it from boards that do not reset when their port opens), then check."""
    timeout_s = driver.settings.connect_timeout_s
    if banner:
        reply = yield Ask(until=BANNER, timeout_s=timeout_s / 3)
        if not reply.ok:
            driver.wire.realtime(grbl.RESET)
            reply = yield Ask(until=BANNER, timeout_s=timeout_s * 2 / 3)
        if not reply.ok:
            driver.link_lost("no Grbl answers; check the port, the baud rate and the board's power")
            return
    yield Ask(until=PAUSE, timeout_s=SETTLE_S)
    reply = yield Ask("$I")
    _note_options(driver, reply)
    yield from check_settings(driver)


def _note_options(driver: GrblDriver, reply: Reply) -> None:
    for message in reply.messages:
        if isinstance(message, grbl.Feedback) and message.tag == "OPT":
            driver.options = grbl.build_options(message.body) or driver.options


def check_settings(driver: GrblDriver) -> Script:
    """Read `$$` and compare it with what the machine needs."""
    reply = yield Ask("$$", timeout_s=5.0)
    if not reply.ok:
        driver.say("error", f"The board did not tell its settings: {reply.reason}.")
        driver.become(DriverState.REFUSED, f"the board did not tell its settings ({reply.reason})")
        return
    driver.found_settings = {m.number: m.value for m in reply.messages if isinstance(m, grbl.Setting)}
    driver.differences = differences(driver.board, driver.found_settings)
    for difference in driver.differences:
        driver.say("error" if difference.dangerous else "warning", f"{difference}.")
    if any(difference.dangerous for difference in driver.differences):
        driver.become(DriverState.REFUSED, "the board's settings differ from what the machine needs")
    else:
        driver.become(DriverState.UNHOMED, "the position is unknown")
        driver.say("info", f"{driver.firmware} is ready; home it.")


def configure(driver: GrblDriver, changes: list[Difference]) -> Script:
    """Write settings one at a time, each with its `ok`; soft limits last, for they need homing enabled."""
    for change in sorted(changes, key=lambda change: (change.number == 20, change.number)):
        reply = yield Ask(change.command)
        if not reply.ok:
            driver.say("error", f"{change.command} was refused: {reply.reason}.")
    yield from check_settings(driver)


def home(driver: GrblDriver) -> Script:
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
        driver.become(DriverState.IDLE, "homed")
        driver.say("info", "Homed.")


def _homing_failed(driver: GrblDriver, reason: str) -> Script:
    driver.say("error", f"Homing failed: {reason}.")
    driver.wire.void()
    driver.wire.realtime(grbl.RESET)
    yield Ask(until=BANNER)
    driver.become(DriverState.ALARM, f"homing failed: {reason}")


def set_modes(driver: GrblDriver) -> Check:
    """Known modes, and work coordinates that are screen millimetres (G92: no EEPROM, lost in any reset)."""
    x_mm, y_mm = (value * 1000 for value in driver.reported_m)
    for line in ("G21G90G94G17G54", f"G92X{grbl.number(x_mm, 3)}Y{grbl.number(y_mm, 3)}"):
        for _ in range(TRIES):  # on a noisy line it may arrive damaged
            reply = yield Ask(line)
            if reply.ok:
                break
        if not reply.ok:
            driver.homed = False
            driver.say("error", f"The board refused {line}: {reply.reason}. Home the machine.")
            driver.become(DriverState.ALARM, f"the board refused {line}: {reply.reason}")
            return False
    driver.stream.moves.forget()
    return True


def stop(driver: GrblDriver, after: DriverState, reason: str) -> Script:
    """After a feed hold: wait until the board stands, reset it; the queue is gone and the position exact."""
    reply = yield Ask(until=STANDING, timeout_s=2.0)
    if not reply.ok:
        driver.homed = False
    yield from reset(driver, after, reason)


def reset(driver: GrblDriver, after: DriverState, reason: str) -> Script:
    """Soft reset; then see where the machine stands."""
    driver.wire.void()
    driver.wire.realtime(grbl.RESET)
    reply = yield Ask(until=BANNER, timeout_s=2.0)
    if not reply.ok:
        driver.link_lost(NO_RESET)
        return
    yield from settle(driver, after, reason)


def settle(driver: GrblDriver, after: DriverState, reason: str) -> Script:
    """After a reset: a fresh report of where the machine stands, and its modes again."""
    yield Ask(until=PAUSE, timeout_s=SETTLE_S)
    reply = yield Ask(until=REPORT, timeout_s=2.0)
    driver.forget_motion()
    driver.homed = driver.homed and reply.ok
    if driver.homed and not (yield from set_modes(driver)):
        return
    if not driver.homed and after not in (DriverState.EMERGENCY, DriverState.UNHOMED):
        after = DriverState.ALARM
    driver.come_to_rest(after, reason)


def after_alarm(driver: GrblDriver, after: DriverState, *, critical: bool) -> Script:
    """Most alarms end in a banner by themselves; after limit alarms the board waits for a reset.

    It only sees a reset that comes after its "Reset to continue". A soft limit keeps the position but locks.
    """
    reason = driver.reason
    if critical:
        yield Ask(until=RESET_WANTED, timeout_s=1.5)
        driver.wire.realtime(grbl.RESET)
    reply = yield Ask(until=BANNER, timeout_s=1.5)
    if critical and not reply.ok:
        driver.link_lost(NO_RESET)
    elif driver.homed:
        yield Ask(until=PAUSE, timeout_s=SETTLE_S)
        yield Ask("$X")
        yield from settle(driver, after, reason)
    else:
        driver.come_to_rest(after, reason)


def touch(driver: GrblDriver, axis: int, target_mm: float, feed_mm_per_min: float) -> Script:
    """Probe an axis towards its switch (wired to the probe input); the step error is what it is off by."""
    letter = "XY"[axis]
    back_mm = driver.reported_m[axis] * 1000
    feed = grbl.number(feed_mm_per_min, 0)
    reply = yield Ask(f"G38.2{letter}{grbl.number(target_mm, 3)}F{feed}", timeout_s=60.0)
    probed = [m for m in reply.messages if isinstance(m, grbl.Parameter) and m.name == "PRB" and m.success]
    if not reply.ok or not probed:
        driver.say("error", f"The {letter.lower()} switch was not touched: {reply.reason or 'no contact'}.")
        yield from reset(driver, DriverState.FAULT, "a switch was not touched")
        return
    driver.note_touch(axis, probed[-1].values_mm[axis])
    yield Ask(f"G0{letter}{grbl.number(back_mm, 3)}", timeout_s=10.0)
    yield Ask("G4P0.01", timeout_s=30.0)  # answered only when the move is done
    yield Ask(until=REPORT, timeout_s=2.0)
    driver.stream.moves.forget()
    driver.come_to_rest(DriverState.IDLE, "touched a switch")


def jog(driver: GrblDriver, line: str) -> Script:
    """`$J=`: a move that a jog cancel ends at once, with the position kept."""
    reply = yield Ask(line)
    if reply.ok:
        reply = yield Ask(until=STANDING, timeout_s=120.0)
    else:
        driver.say("error", f"The board refused to jog: {reply.reason}.")
    driver.stream.moves.forget()
    driver.come_to_rest(DriverState.IDLE, "jogged" if reply.ok else "the jog was refused")


def wake(driver: GrblDriver) -> Script:
    """A reset ends the board's sleep and energises the motors; where they are nobody knows."""
    yield from reset(driver, DriverState.UNHOMED, "the position is unknown")
