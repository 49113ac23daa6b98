"""What error and alarm numbers mean, and what to do about an alarm: Grbl 1.1, and where its relatives differ."""

from __future__ import annotations

ERRORS = {
    1: "a G-code word does not start with a letter",
    2: "a number is missing or malformed",
    3: "this $ command is not known or not supported by this build",
    4: "a value is negative that must not be",
    5: "homing is not enabled ($22=1)",
    6: "the step pulse must be at least 3 microseconds",
    7: "the stored settings could not be read and defaults were loaded",
    8: "this $ command is only legal while the machine is idle",
    9: "G-code is locked out during an alarm or a jog",
    10: "soft limits need homing to be enabled ($22=1) first",
    11: "the line is longer than 80 characters",
    12: "the setting would exceed the highest step rate",
    13: "the safety door is open",
    14: "the build info or startup line is too long to store",
    15: "the jog target is beyond the machine's travel",
    16: "the jog command has no '=' or holds forbidden G-code",
    17: "laser mode needs a PWM spindle",
    18: "homing of a single axis is not set up",
    20: "the G-code command is not supported",
    21: "two commands of one modal group are in the same line",
    22: "no feed rate has been set",
    23: "the command needs an integer value",
    24: "two commands in the line both use the axis words",
    25: "a word is repeated in the line",
    26: "the command needs axis words and has none",
    27: "the line number is out of range",
    28: "a required value word is missing",
    29: "only the work coordinate systems G54-G59 exist",
    30: "G53 needs G0 or G1 to be active",
    31: "axis words are in the line, but no command uses them",
    32: "the arc has no axis word in its plane",
    33: "the motion's target is invalid",
    34: "the arc's radius cannot reach its target",
    35: "the arc has no offset word in its plane",
    36: "words in the line are not used by any command",
    37: "a tool length offset is only possible on its configured axis",
    38: "the tool number is too high",
}

ALARMS = {
    1: "a hard limit switch was hit; the position is lost",
    2: "a move would have left the soft limits; nothing moved there and the position is kept",
    3: "a reset came during motion; the position is lost",
    4: "the probe was already triggered before probing",
    5: "the probe made no contact within its travel",
    6: "homing was stopped by a reset",
    7: "homing was stopped by the safety door",
    8: "homing could not release a limit switch by pulling off it",
    9: "homing found no limit switch within its travel",
    10: "homing did not find the second switch of a dual axis",
}

ALARM_ADVICE = {
    1: "clear the machine from its switch by hand, reset and home",
    2: "reset; no homing is needed",
    3: "home the machine",
    4: "check the probe's wiring and $6",
    5: "check the switch used as a probe, then home",
    6: "home again",
    7: "close the door and home again",
    8: "check the switch, $5 (invert) and $27 (pull-off distance)",
    9: (
        "check motor power, the switches, $5 and $23; stock Grbl homes Z first, so a machine without Z "
        "needs a firmware with HOMING_CYCLE_0 set to X and Y, or Z's switch input wired"
    ),
    10: "check both switches of the dual axis",
}

# Above these, and at a few numbers below, the relatives give numbers meanings of their own.
ERRORS_OF: dict[str, dict[int, str]] = {
    "grblHAL": {
        18: "a reset has been asked for",
        19: "a value is not positive that must be",
        39: "a value is out of range",
        40: "a tool change is pending",
        43: "the feed is above the highest rate",
        45: "only homing is legal while a limit switch is pressed",
        46: "the machine must be homed first",
        49: "the board's self-test has failed",
        50: "the emergency stop is active",
        51: "a motor driver reports a fault",
        52: "the setting's value is out of range",
        53: "the setting is not available or disabled by another one",
        55: "the homing cycles are not set up rightly",
        79: "this is not legal until the critical event is over; reset the board",
    },
    "FluidNC": {
        18: "the configuration has no homing cycle for any axis",
        19: "the configuration does not allow to home this axis alone",
        39: "the P word is too high",
        40: "a control pin is active",
        80: "the number is out of the setting's range",
        81: "the setting does not take this value",
        100: "the setting could not be stored",
        113: "a reset has been asked for",
        120: "another interface of the board is busy",
        130: "the jog was cancelled",
        152: "the board's config.yaml is invalid; read its boot messages",
        162: "the setting can only be changed in the board's config.yaml",
    },
}
ALARMS_OF: dict[str, dict[int, tuple[str, str]]] = {
    "grblHAL": {
        10: ("the emergency stop input is active", "release it, then reset the board"),
        11: ("the machine must be homed first", "home the machine"),
        12: ("a limit switch is pressed", "clear the machine from it by hand, or home"),
        13: ("the probe was hit outside of probing", "clear it by hand, then reset"),
        14: ("the spindle did not reach its speed", "switch the spindle control off, for there is none"),
        15: ("homing did not find the second switch of a dual axis", "check both switches"),
        16: ("the board's self-test has failed", "power the board off and on"),
        17: ("a motor driver reports a fault", "check the motors' wiring and their drivers' temperature"),
        18: ("homing has failed", "check the switches and the homing settings, then home"),
    },
    "FluidNC": {
        10: ("the spindle did not obey", "take the spindle out of config.yaml, for there is none"),
        11: ("a control pin was active when the board started", "check its wiring in config.yaml"),
        12: ("a switch shared by both ends of an axis is pressed", "clear the machine from it by hand"),
        13: ("the board was stopped hard", "home the machine"),
        14: ("the machine must be homed first", "home the machine"),
    },
}
