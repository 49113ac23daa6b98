"""Serial ports: there, allowed, and free. Nothing is opened, for that would reset a board that may be drawing."""

from __future__ import annotations

import grp
import os
from collections.abc import Callable
from pathlib import Path

from sketch_cell.doctor.finding import Finding, missing, ok, warning

PATTERNS = ("ttyUSB*", "ttyACM*")  # USB adapters and boards with USB of their own
NAME = "serial port"


def serial_ports(port: str = "", devices: str = "/dev", locks: str = "/var/lock") -> list[Finding]:
    """One finding per USB serial port, or for `port` alone, which then must work."""
    if port:
        return [_finding(Path(port), Path(locks), needed=True)]
    found = sorted(path for pattern in PATTERNS for path in Path(devices).glob(pattern))
    if not found:
        return [
            warning(
                NAME,
                f"no {' or '.join(PATTERNS)} in {devices}: only the simulated toy can draw",
                "For a real toy, plug the board in with a cable that carries data, and look again; "
                "a board that stays away: doc/hardware.md, 'What is wrong?'.",
            )
        ]
    return [_finding(path, Path(locks), needed=False) for path in found]


def _finding(port: Path, locks: Path, *, needed: bool) -> Finding:
    bad = missing if needed else warning
    if not port.exists():
        return bad(NAME, f"{port} does not exist", "Plug the board in, or look for its name: ls /dev/tty*")
    if not os.access(port, os.R_OK | os.W_OK):
        return bad(NAME, f"{port} may not be opened by you", permission_remedy(port))
    holder = _holder(port)
    if holder:
        return bad(NAME, f"{port} is in use by {holder}", "End that program, or let it draw.")
    return _by_lock(port, locks / f"LCK..{port.name}", bad)


def _by_lock(port: Path, lock: Path, bad: Callable[[str, str, str], Finding]) -> Finding:
    """Other programs announce in lock files that they use a port, and a crash leaves the file behind."""
    try:
        number = int(lock.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return ok(NAME, f"{port} can be opened and is free")
    if Path(f"/proc/{number}").exists():
        return bad(NAME, f"{port} is locked by {_program(number)} ({lock})", "End that program.")
    return warning(NAME, f"{lock} was left behind by a program that has ended", f"sudo rm {lock}")


def permission_remedy(path: Path) -> str:
    """What a person does to be allowed to open a device: join its group, or log in anew as a member."""
    try:
        group = grp.getgrgid(path.stat().st_gid)
    except (KeyError, OSError):
        return f"Ask an administrator for the right to use {path}."
    user = _user_name()
    if user in group.gr_mem:
        return f"You are in the group {group.gr_name} since your last log-in: log out and in again."
    return f"sudo usermod -aG {group.gr_name} {user}, then log out and in again."


def _user_name() -> str:
    return os.environ.get("USER") or "$USER"


def _holder(port: Path) -> str:
    """The program that has the port open, as far as /proc shows; empty where none does."""
    target = str(port.resolve())
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(str(link.readlink()) == target for link in descriptors.iterdir()):
                return _program(int(descriptors.parent.name))
        except OSError:  # another user's process, or one that has just ended
            continue
    return ""


def _program(number: int) -> str:
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    return f"process {number} ({' '.join(words).strip()[:60] or 'unknown'})"
