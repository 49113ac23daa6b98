"""What the driver does about each thing the board says.

Nothing that is sent once is believed to have arrived: feed hold, resume, jog cancel and override are repeated until a
report shows their effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sketch_cell.machine import grbl, scripts
from sketch_cell.machine.conversation import BANNER, REPORT, RESET_WANTED, STANDING
from sketch_cell.machine.driver_types import READY, STOPPABLE, DriverState
from sketch_cell.machine.questions import Answer
from sketch_cell.machine.stream import Rest

if TYPE_CHECKING:
    from sketch_cell.machine.core import DriverCore


def handle(driver: DriverCore, message: grbl.Message) -> None:
    """One message from the board."""
    if isinstance(message, grbl.Ok):
        _answer(driver, None)
    elif isinstance(message, grbl.Status):
        _status(driver, message)
    elif isinstance(message, grbl.Error):
        _answer(driver, message)
    elif isinstance(message, grbl.Alarm):
        _alarm(driver, message)
    elif isinstance(message, grbl.Welcome):
        _welcome(driver, message)
    else:
        _text(driver, message)


def _text(driver: DriverCore, message: grbl.Message) -> None:
    driver.wire.hear(message)
    if isinstance(message, grbl.Unknown):
        driver.statistics.unknown_lines += 1
        if driver.state is DriverState.CONNECTING:
            driver.strange.append(message.text)  # boot messages; told only if no board answers at all
        else:
            driver.say("warning", f"The board said something unknown: {message.text[:80]!r}.")
    elif isinstance(message, grbl.Feedback) and message.tag == "MSG" and message.body:
        driver.say("info", f"The board says: {message.body}.")
        if message.body == "Reset to continue" and driver.wire.waits_for(RESET_WANTED):
            driver.wire.reply(True)


def _answer(driver: DriverCore, error: grbl.Error | None) -> None:
    sent = driver.wire.answered()
    if sent is None:
        return
    driver.statistics.acknowledged += 1
    driver.statistics.errors += error is not None
    words = grbl.error_in_words(error.code, driver.firmware.firmware) if error else ""
    if sent.until_s is None:
        if driver.wire.waits_for("answer"):
            driver.wire.reply(error is None, words)
    elif error is not None and driver.state in STOPPABLE:
        driver.fault(f"the board refused the line {sent.text!r}: {words}")


def _alarm(driver: DriverCore, alarm: grbl.Alarm) -> None:
    driver.statistics.alarms += 1
    driver.wire.void()
    driver.forget_motion()
    driver.homed = driver.homed and alarm.code == 2
    words = grbl.alarm_in_words(alarm.code, driver.firmware.firmware)
    driver.say("error", f"{words}.")
    after = DriverState.FAULT if driver.homed else DriverState.ALARM
    if driver.state is DriverState.CONNECTING:
        driver.become(DriverState.CONNECTING, words)  # it is yet to be asked what it is
    elif driver.state is not DriverState.EMERGENCY:
        driver.become(DriverState.STOPPING, words)
    driver.wire.start(scripts.after_alarm(driver, after, words, critical=alarm.code in (1, 2)))


def _welcome(driver: DriverCore, welcome: grbl.Welcome) -> None:
    """The banner: asked for, or the board has reset itself and knows nothing of us any more."""
    driver.wire.void()
    driver.questions.forget()
    driver.feed_is_steered = True  # the board's override is 100 % again, whatever was asked for
    driver.firmware = welcome
    if driver.wire.waits_for(BANNER):
        driver.wire.reply(True)
        return
    was = driver.state
    if was is not DriverState.CONNECTING:
        lost = " Its position is lost: home the machine." if driver.homed else ""
        driver.say("error", f"The board has reset itself while {was.value}.{lost}")
    driver.start_over("the board has reset itself")


def _status(driver: DriverCore, status: grbl.Status) -> None:
    now_s = driver.wire.now_s
    answer = driver.questions.answered(now_s)
    driver.statistics.reports += 1
    if answer.asked_s is not None:
        driver.statistics.round_trip_s = now_s - answer.asked_s
    driver.pins = status.pins
    if not driver.place.take(status):
        return
    if driver.wire.waits_for(REPORT) or (driver.wire.waits_for(STANDING) and answer.fresh and stands(status)):
        driver.wire.hear(status)
        driver.wire.reply(True)
    if driver.homed:
        _track(driver, status, answer)
    if answer.fresh:
        _insist(driver, status)
        if driver.state in STOPPABLE:
            _check_board_state(driver, status)


def stands(status: grbl.Status) -> bool:
    """Whether nothing moves, and nothing will by itself."""
    if status.state in ("Hold", "Door"):
        return status.substate in (None, 0) or (status.state == "Door" and status.substate == 1)
    return status.state in ("Idle", "Alarm", "Sleep", "Check")


def _insist(driver: DriverCore, status: grbl.Status) -> None:
    """Repeat the real-time command whose effect a fresh report does not show."""
    state, board = driver.state, status.state
    stopping = driver.wire.waits_for(STANDING) and state in (DriverState.STOPPING, DriverState.EMERGENCY)
    if (stopping and board in ("Run", "Jog")) or (state is DriverState.HOLDING and board in ("Run", "Idle")):
        driver.wire.urgent(grbl.HOLD)
    elif state is DriverState.JOGGING and driver.jog_is_cancelled and board == "Jog":
        driver.wire.urgent(grbl.JOG_CANCEL)
    if board != "Hold":
        driver.resumes_left = 0
    if status.overrides_percent and driver.wire.script is None:
        driver.steer_feed(status.overrides_percent[0])


def _check_board_state(driver: DriverCore, status: grbl.Status) -> None:
    """What the board is doing must fit what the driver thinks."""
    held = status.state in ("Hold", "Door")
    if driver.state is DriverState.HOLDING and held and stands(status):
        driver.stands_held()
    elif held and driver.state in READY:
        if driver.resumes_left:
            driver.go_on(driver.resumes_left - 1)
            return
        driver.say("warning", f"The board is in {status.state} though nobody asked for it. Resume to go on.")
        driver.become(DriverState.HOLDING, "the board holds by itself")
    elif status.state in ("Alarm", "Sleep", "Check"):
        _unheard(driver, f"The board is in {status.state} though nothing told so")
    elif driver.homed and driver.place.offset_is_lost(status):
        _unheard(driver, "The board has another work offset than it was given, as after a reset")
    elif driver.state is DriverState.HELD and not held:
        driver.say("warning", "The board went on by itself, so it is held again. Resume to go on.")
        driver.feed_hold("the board went on by itself")


def _unheard(driver: DriverCore, what: str) -> None:
    """An alarm or a reset whose message was lost on the way."""
    driver.homed = False
    driver.forget_motion()
    driver.say("error", f"{what}. Home the machine.")
    driver.become(DriverState.STOPPING, what[0].lower() + what[1:])
    driver.wire.start(scripts.stop(driver, DriverState.ALARM, driver.reason))


def _track(driver: DriverCore, status: grbl.Status, answer: Answer) -> None:
    """Compare the position with the path that was sent."""
    deviation_m = driver.stream.observe(driver.reported_m, answer.stamp_s)
    driver.statistics.largest_deviation_m = max(driver.statistics.largest_deviation_m, deviation_m)
    if deviation_m > driver.tolerance_m and driver.state in READY:
        driver.fault(
            f"the board is {deviation_m * 1000:.2f} mm off the path it was sent, so lines were lost or "
            "corrupted on the way"
        )
    elif status.state == "Idle" and driver.state is DriverState.RUNNING:
        _at_rest(driver, answer)


def _at_rest(driver: DriverCore, answer: Answer) -> None:
    rest = driver.stream.at_rest(driver.reported_m, driver.tolerance_m, answer.asked_s, driver.wire.now_s)
    if rest is Rest.SHORT:
        driver.fault("the board stands still short of the last line sent, so lines were lost on the way")
    elif rest in (Rest.DONE, Rest.STARVED):
        _resynchronise(driver)
        if rest is Rest.DONE:
            driver.become(DriverState.IDLE, rest.value)
        else:
            driver.statistics.starved += 1


def _resynchronise(driver: DriverCore) -> None:
    """The board stands where the last line ends: answers that are still missing were lost on the way."""
    lost = len(driver.wire.unanswered)
    if lost:
        driver.statistics.lost_acknowledgements += lost
        driver.say("warning", f"{lost} acknowledgement(s) got lost; the position shows the lines did not.")
        driver.wire.void()
        driver.stream.moves.forget()
