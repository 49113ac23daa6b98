"""The serial port: the only file of the driver that touches a device."""

from __future__ import annotations

import contextlib
import errno
import termios
from types import TracebackType

import serial

from sketch_cell.errors import MachineError

# A port that goes away while it is being set up: pyserial passes on termios.error, which is no OSError.
FAILURES = (serial.SerialException, OSError, termios.error)


class SerialLink:
    """A port opened exclusively; reading and writing never block. Raises `MachineError` naming the port."""

    def __init__(self, port: str, baud: int = 115_200) -> None:
        self.port = port
        try:
            self._serial = serial.Serial(port, baud, timeout=0, write_timeout=0, exclusive=True)
        except (*FAILURES, ValueError) as error:
            raise MachineError(f"The port {port} cannot be opened: {_why_closed(error)}.") from error

    def read(self) -> bytes:
        """What has come since the last call; empty when nothing has."""
        try:
            return bytes(self._serial.read(4096))
        except (*FAILURES, TypeError) as error:
            raise MachineError(f"The port {self.port} failed while reading: {_reason(error)}.") from error

    def write(self, data: bytes) -> int:
        """Write as much of `data` as the port takes now; the number of bytes taken."""
        if not data:
            return 0
        try:
            return int(self._serial.write(data) or 0)
        except serial.SerialTimeoutException:
            return 0
        except (*FAILURES, TypeError) as error:
            raise MachineError(f"The port {self.port} failed while writing: {_reason(error)}.") from error

    def fileno(self) -> int:
        """For `select`."""
        return int(self._serial.fileno())

    def close(self) -> None:
        """Give the port back; harmless when it is gone already."""
        with contextlib.suppress(*FAILURES):
            self._serial.close()

    def __enter__(self) -> SerialLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _reason(error: BaseException) -> str:
    if isinstance(error, termios.error):
        return str(error.args[-1])
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).rstrip(".")


def _why_closed(error: BaseException) -> str:
    """Why a port does not open, and what to do about it."""
    code = getattr(error, "errno", None)
    if "ioctl" in str(error):  # pyserial hides the number of this one
        code = errno.ENOTTY
    return _CLOSED.get(code or 0, f"{_reason(error)}; check the cable and the name of the port")


_CLOSED = {
    errno.ENOENT: "there is no such port; plug the board in, or look for its name with ls /dev/tty*",
    errno.EACCES: "you may not use it; join its group (sudo usermod -aG dialout $USER) and log in again",
    errno.EAGAIN: "another program uses it; end that first",
    errno.EBUSY: "another program uses it; end that first",
    errno.ENOTTY: "it is not a serial port; look for the board's name with ls /dev/tty*",
}
