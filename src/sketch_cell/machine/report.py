"""How the driver is, in words and figures, for diagnostics."""

from __future__ import annotations

from collections.abc import Mapping

from sketch_cell.machine.driver import DriverState, GrblDriver, Touch

OK, WARN, ERROR = "ok", "warn", "error"

_ERRORS = {
    DriverState.OFFLINE,
    DriverState.REFUSED,
    DriverState.FAULT,
    DriverState.ALARM,
    DriverState.EMERGENCY,
}
_WARNINGS = {DriverState.CONNECTING, DriverState.UNHOMED, DriverState.HELD, DriverState.ASLEEP}


def health(driver: GrblDriver) -> str:
    """OK, WARN or ERROR."""
    if driver.state in _ERRORS:
        return ERROR
    return WARN if driver.state in _WARNINGS or driver.statistics.starved else OK


def figures(driver: GrblDriver) -> dict[str, str]:
    """Key -> text, for a diagnostics message."""
    statistics = driver.statistics
    return {
        "firmware": str(driver.firmware),
        "homed": str(driver.homed).lower(),
        "link": "up" if driver.connected else "down",
        "lines sent": str(statistics.lines),
        "lines queued": str(driver.queued_lines),
        "buffer starvation": str(statistics.starved),
        "errors": str(statistics.errors),
        "alarms": str(statistics.alarms),
        "lost acknowledgements": str(statistics.lost_acknowledgements),
        "unknown lines": str(statistics.unknown_lines),
        "round trip [ms]": f"{statistics.round_trip_s * 1000:.1f}",
        "largest deviation [mm]": f"{statistics.largest_deviation_m * 1000:.3f}",
        "pins": driver.pins,
        "feed override [%]": str(driver.feed_percent),
        **_touches(driver.touches),
    }


def _touches(touches: Mapping[int, Touch]) -> dict[str, str]:
    """The step error of each axis that was touched since homing."""
    result = {}
    for axis, touch in sorted(touches.items()):
        name = "xy"[axis]
        result[f"{name} touches"] = str(touch.count)
        if touch.step_error_m is not None and touch.total_m is not None:
            result[f"{name} step error at last touch [mm]"] = f"{touch.step_error_m * 1000:.3f}"
            result[f"{name} step error since homing [mm]"] = f"{touch.total_m * 1000:.3f}"
    return result
