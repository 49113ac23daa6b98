"""Runs each check in a process of its own, so that none can hang or crash the doctor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from sketch_cell.doctor.finding import Finding, State, missing

GIVE_UP_S = 2.0  # a process that was killed is gone by then, or stuck in the kernel (a broken USB device)


@dataclass(frozen=True)
class Check:
    """A function `module:name` that takes text arguments and returns findings, and how long it may take [s]."""

    name: str
    function: str
    limit_s: float = 15.0
    arguments: tuple[str, ...] = ()


def checks(port: str, camera: str) -> tuple[Check, ...]:
    """Every check; `port` and `camera` name the devices that must work, empty for whatever there is."""
    ros = "sketch_cell.ros.checkup"
    here = "sketch_cell.doctor"
    return (
        Check("python", f"{here}.computer:python"),
        Check("package", f"{here}.software:package"),
        Check("libraries", f"{here}.software:libraries", 60.0),
        Check("jpeg repair", f"{here}.software:jpeg_repair", 60.0),
        Check("ros", f"{ros}:packages", 30.0),
        Check("discovery", f"{ros}:discovery", 30.0),
        Check("shared memory", f"{here}.computer:shared_memory"),
        Check("serial port", f"{here}.serial_ports:serial_ports", arguments=(port,)),
        Check("camera", f"{here}.camera:camera", 20.0, (camera,)),
        Check("disk", f"{here}.computer:disk"),
        Check("clock", f"{here}.computer:clock"),
    )


def examine(wanted: Sequence[Check]) -> Iterator[Finding]:
    """The findings of each check as soon as it has ended, whatever way it ended."""
    for check in wanted:
        yield from run(check)


def run(check: Check) -> list[Finding]:
    """Findings of one check; a crash, or silence beyond its limit, is a finding, too."""
    command = [sys.executable, "-m", "sketch_cell.doctor", check.function, *check.arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            said, complaint = process.communicate(timeout=check.limit_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            return [_silent(check)]
    return _findings(said) or [_crashed(check, complaint, process.returncode)]


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=GIVE_UP_S)
    except subprocess.TimeoutExpired:
        process.returncode = -signal.SIGKILL  # leave it to the kernel: waiting on would be to hang with it


def _findings(said: bytes) -> list[Finding]:
    """The last line that the check's process wrote; libraries may have written others before."""
    lines = said.decode(errors="replace").strip().splitlines()
    try:
        return [Finding(**{**item, "state": State(item["state"])}) for item in json.loads(lines[-1])]
    except (IndexError, ValueError, TypeError, KeyError):
        return []


def as_json(findings: Sequence[Finding]) -> str:
    """One line that `run` reads back, and that `sketch-cell doctor --json` is made of."""
    return json.dumps([{**asdict(item), "state": item.state.value} for item in findings])


def _silent(check: Check) -> Finding:
    return missing(
        check.name,
        f"gave no answer within {check.limit_s:g} s",
        f"Find out what hangs: {_by_hand(check)}",
    )


def _crashed(check: Check, complaint: bytes, status: int) -> Finding:
    # The error itself is the last line that is not part of a traceback's listing.
    lines = [line for line in complaint.decode(errors="replace").splitlines() if line[:1].strip()]
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return missing(
        check.name,
        f"the check itself ended with {how}: {lines[-1] if lines else 'without a word'}",
        f"See the whole message: {_by_hand(check)}",
    )


def _by_hand(check: Check) -> str:
    arguments = "".join(f" '{argument}'" for argument in check.arguments)
    return f"{sys.executable} -m sketch_cell.doctor {check.function}{arguments}"
