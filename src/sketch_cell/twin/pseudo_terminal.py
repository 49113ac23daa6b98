"""A pseudo-terminal: the driver opens it as it would open a USB port, the twin holds the other end."""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import termios
import tty
from pathlib import Path

from sketch_cell.errors import InputError


class PseudoTerminal:
    """The board's end of a serial line. `link` is a stable path for the driver's end, e.g. /tmp/sketch_cell/grbl."""

    def __init__(self, link: Path | str | None = None) -> None:
        self._board, driver = pty.openpty()
        tty.setraw(driver, termios.TCSANOW)
        os.set_blocking(self._board, False)
        self.port = os.ttyname(driver)
        self._driver: int | None = driver
        self._backlog = b""
        self.link = Path(link) if link is not None else None
        if self.link is not None:
            self._make_link(self.link)

    def _make_link(self, link: Path) -> None:
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            fresh = link.with_name(f".{link.name}.{os.getpid()}")
            fresh.symlink_to(self.port)
            fresh.replace(link)
        except OSError as error:
            self.close()
            raise InputError(
                f"The port {link} cannot be made: {error.strerror}. Choose another path for the twin's port."
            ) from error

    def fileno(self) -> int:
        """For `select`."""
        return self._board

    def read(self) -> bytes:
        """What the driver has written."""
        try:
            return os.read(self._board, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:  # nobody has the driver's end open
                return b""
            raise

    def write(self, data: bytes) -> None:
        """Send to the driver; as on a real wire, what nobody reads in time is lost beyond 64 kB."""
        self._backlog = (self._backlog + data)[-65536:]
        if not self._backlog:
            return
        with contextlib.suppress(BlockingIOError):
            self._backlog = self._backlog[os.write(self._board, self._backlog) :]

    def pump(self, data: bytes) -> bytes:
        """One exchange: `data` to the driver, what it sent back."""
        self.write(data)
        return self.read()

    def unplug(self) -> None:
        """Fault: pull the cable. The driver's reads and writes fail, and the port's path is gone."""
        self.close()

    def close(self) -> None:
        """Close both ends and remove the link."""
        for end in (self._board, self._driver):
            if end is not None:
                with contextlib.suppress(OSError):
                    os.close(end)
        self._driver = None
        self._board = -1
        if self.link is not None and self.link.is_symlink() and str(self.link.readlink()) == self.port:
            self.link.unlink(missing_ok=True)
