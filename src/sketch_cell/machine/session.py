"""Keeps a driver connected to its port: opens it, carries bytes both ways, and reopens it after a failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from sketch_cell.errors import MachineError
from sketch_cell.machine.driver import GrblDriver

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 8.0
WAIT_PERIOD_S = 0.005
_REALTIME = frozenset(b"?!~\x18") | frozenset(range(0x80, 0x100))


class Link(Protocol):
    """What `SerialLink` offers; tests bring their own."""

    def read(self) -> bytes:
        """What has come."""

    def write(self, data: bytes) -> int:
        """Write; the number of bytes taken."""

    def close(self) -> None:
        """Give the port back."""


class Session:
    """One driver on one port. `pump` does everything; call it every few milliseconds."""

    def __init__(self, driver: GrblDriver, open_link: Callable[[], Link]) -> None:
        self.driver = driver
        self._open_link = open_link
        self._link: Link | None = None
        self._pending = b""
        self._retry_s = FIRST_RETRY_S
        self._next_try_s = -float("inf")

    @property
    def connected(self) -> bool:
        """Whether the port is open."""
        return self._link is not None

    def open(self, now_s: float, steady_s: float) -> None:
        """Open the port; raises `MachineError` where that fails."""
        self._link = self._open_link()
        self._pending = b""
        self.driver.link_opened(now_s, steady_s)

    def wait_for_board(self, clock: Callable[[], float], alive: Callable[[], bool] = lambda: True) -> None:
        """Until the board has said what it is, which takes seconds; raises `MachineError` where it does not.

        `clock` is the caller's clock [s]; it may stand still. `alive` ends the wait early.
        """
        end_s = time.monotonic() + 2 * self.driver.settings.connect_timeout_s
        while self.driver.connected and not self.driver.answered and time.monotonic() < end_s and alive():
            self.pump(clock(), time.monotonic())
            time.sleep(WAIT_PERIOD_S)
        if not self.driver.answered:
            raise MachineError(f"The board did not answer: {self.driver.reason}.")

    def pump(self, now_s: float, steady_s: float) -> None:
        """Read, let the driver think, write. A failing port is closed and tried again, ever more seldom."""
        if self._link is None:
            self._reopen(now_s, steady_s)
            return
        try:
            self.driver.receive(self._link.read(), now_s, steady_s)
            self._write(self.driver.transmit(now_s, steady_s))
        except MachineError as error:
            self.driver.link_lost(str(error).rstrip("."))
        if not self.driver.connected:
            self._drop(steady_s)
        elif self.driver.answered:
            self._retry_s = FIRST_RETRY_S

    def flush(self, now_s: float, steady_s: float) -> None:
        """Write at once what the driver wants to send: an emergency stop does not wait for the next pump."""
        if self._link is not None:
            self._write(self.driver.transmit(now_s, steady_s))

    def close(self) -> None:
        """Hold what moves and give the port back."""
        link, self._link = self._link, None
        if link is not None:
            # The port may be gone already, and with it the way to hold the board.
            with suppress(MachineError):
                link.write(self.driver.farewell())
            link.close()
        self.driver.link_lost("the port was closed")

    def _write(self, data: bytes) -> None:
        """Real-time characters overtake lines that the port has not taken yet."""
        assert self._link is not None
        urgent = 0
        while urgent < len(data) and data[urgent] in _REALTIME:
            urgent += 1
        self._pending = data[:urgent] + self._pending + data[urgent:]
        if self._pending:
            self._pending = self._pending[self._link.write(self._pending) :]

    def _drop(self, steady_s: float) -> None:
        assert self._link is not None
        self._link.close()
        self._link, self._pending = None, b""
        self._next_try_s = steady_s + self._retry_s
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def _reopen(self, now_s: float, steady_s: float) -> None:
        if steady_s < self._next_try_s:
            return
        try:
            self.open(now_s, steady_s)
        except MachineError as error:
            self.driver.say("warning", f"{error} Trying again in {self._retry_s:g} s.")
            self._next_try_s = steady_s + self._retry_s
            self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
