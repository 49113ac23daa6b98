"""The computer itself: Python, shared memory, disk and clock."""

from __future__ import annotations

import ctypes
import getpass
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

from sketch_cell.doctor.finding import Finding, missing, ok, warning

OLDEST, NEWEST = (3, 10), (3, 13)
LITTLE_DISK, NO_DISK = 1_000_000_000, 100_000_000  # bytes; a demo writes some 10 MB, a film 100 MB
LITTLE_SHARED_MEMORY = 16_000_000  # bytes; each process of a cell maps about 0.6 MB
DDS_FILES = ("fastdds_*", "fastrtps_*", "sem.fastdds_*", "sem.fastrtps_*")
CLOCK_UNSYNCHRONISED = 5  # adjtimex(2): TIME_ERROR
YEAR_OF_THIS_CODE = 2025
LATE_S = 0.02  # a driver that wakes later than this lets a board run dry while it draws fast


def python(version: tuple[int, int] | None = None) -> list[Finding]:
    """Python's version, and where it lives."""
    found = version or (sys.version_info[0], sys.version_info[1])
    where = f"{platform.python_version()} in {sys.prefix}, {platform.system()} {platform.machine()}"
    if found < OLDEST:
        return [missing("python", where, "Install Python 3.10 to 3.13.")]
    if found > NEWEST:
        return [warning("python", f"{where} is newer than what is tested", "Prefer Python 3.10 to 3.13.")]
    return [ok("python", where)]


def shared_memory(folder: str = "/dev/shm") -> list[Finding]:
    """Room for what nodes on one computer exchange, and no files in it that another user left behind."""
    place = Path(folder)
    if not place.is_dir():
        return [
            warning(
                "shared memory",
                f"{place} does not exist: nodes talk over UDP, slower",
                "Mount a tmpfs there.",
            )
        ]
    free = shutil.disk_usage(place).free
    if free < LITTLE_SHARED_MEMORY:
        return [
            warning(
                "shared memory",
                f"only {free / 1e6:.0f} MB free in {place}: nodes may not hear each other",
                "In a container start it with --shm-size=256m; elsewhere end old nodes and delete their files there.",
            )
        ]
    foreign = [path for pattern in DDS_FILES for path in place.glob(pattern) if not os.access(path, os.W_OK)]
    if foreign:
        return [
            warning(
                "shared memory",
                f"{len(foreign)} files of another user's nodes in {place}, such as {foreign[0].name}: "
                "nodes may start and yet not hear each other",
                f"With no cell running: sudo rm {place}/*fastdds_* {place}/*fastrtps_*",
            )
        ]
    return [ok("shared memory", f"{free / 1e6:.0f} MB free in {place}")]


def disk(folder: str = ".") -> list[Finding]:
    """Whether drawings can be written here, and temporary files where they go."""
    return [_folder_finding(Path(folder).resolve()), _folder_finding(Path(tempfile.gettempdir()))]


def _folder_finding(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB free in {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return missing("disk", f"{folder} cannot be written by {_user()}", "Change to a folder of your own.")
    if free < NO_DISK:
        return missing("disk", said, "Delete something, or change to a folder on another disk.")
    if free < LITTLE_DISK:
        return warning("disk", said, "Enough for a drawing, not for its film: make room.")
    return ok("disk", said)


def clock() -> list[Finding]:
    """Whether the time is plausible and kept by a server, and how late a sleeping process wakes."""
    return [_calendar(time.gmtime().tm_year, synchronised()), _waking(latest_waking_s())]


def _calendar(year: int, kept: bool) -> Finding:
    if year < YEAR_OF_THIS_CODE:
        return missing("clock", f"says the year {year}", "Set the clock: sudo timedatectl set-ntp true")
    if not kept:
        return warning(
            "clock",
            "is not kept by a time server: harmless on one computer, wrong corrections with nodes on two",
            "For a cell on two computers install chrony on both.",
        )
    return ok("clock", "kept by a time server")


def _waking(late_s: float) -> Finding:
    said = f"a process that sleeps 5 ms wakes up to {late_s * 1e3:.1f} ms late"
    if late_s > LATE_S:
        return warning("clock", said, "End other programs before drawing on a real toy.")
    return ok("clock", said)


def synchronised() -> bool:
    """Whether the kernel's clock is disciplined by a server (adjtimex(2); True where that cannot be asked)."""
    try:
        status = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return True
    return int(status) != CLOCK_UNSYNCHRONISED


def latest_waking_s(times: int = 40, sleep_s: float = 0.005) -> float:
    """The 95th percentile of how late this process woke from short sleeps [s]."""
    late = []
    for _ in range(times):
        begun = time.monotonic()
        time.sleep(sleep_s)
        late.append(time.monotonic() - begun - sleep_s)
    return sorted(late)[int(0.95 * times)]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name in this container
        return f"user {os.getuid()}"
