"""A board in a thread: the firmware twin behind a real pseudo-terminal, in real time, with switches."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from sketch_cell.machine.board import BoardSettings, needed_settings
from sketch_cell.twin.grbl_firmware import GrblFirmware
from sketch_cell.twin.pseudo_terminal import PseudoTerminal

START_M = (0.004, 0.003)


class Served:
    """What answers behind a pseudo-terminal in a thread of its own, `_run`, until the context ends."""

    def __init__(self, link: Path | None = None) -> None:
        self.terminal = PseudoTerminal(link)
        self.port = self.terminal.port
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.terminal.close()

    def _run(self) -> None:
        raise NotImplementedError


class BoardThread(Served):
    """`with BoardThread(path) as board:`; the faults `unplug`, `freeze` and `power_cycle` act on its port."""

    def __init__(
        self,
        link: Path | None = None,
        board: BoardSettings | None = None,
        period_s: float = 0.001,
        configured: bool = True,
    ) -> None:
        needed = needed_settings(board or BoardSettings())
        stored = {number: float(value) for number, (value, *_) in needed.items()}
        self.firmware = GrblFirmware(settings=stored if configured else None)
        super().__init__(link)
        self.received = bytearray()
        self.contact_m = (0.0, 0.0)  # below it an axis touches a contact on the probe input
        self.holds: list[float] = []  # when a `!` came, time.monotonic()
        self._period_s = period_s
        self._lock = threading.Lock()

    def unplug(self) -> None:
        with self._lock:
            self.terminal.close()

    def plug_in(self, link: Path) -> None:
        with self._lock:
            self.terminal = PseudoTerminal(link)
            self.firmware.power_cycle()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._done.wait(self._period_s):
            with self._lock:
                now = time.monotonic()
                if self.terminal.fileno() >= 0:
                    self._exchange(now)
                # In short steps however late this thread is: the board must not miss its switches.
                steps = max(1, round((now - last) / self._period_s))
                for _ in range(steps):
                    self._move((now - last) / steps)
                last = now

    def _move(self, duration_s: float) -> None:
        motor = self.firmware.advance(duration_s, duration_s)[-1]
        x, y = motor + np.array(START_M)
        self.firmware.limit_pins = (bool(x < 0), bool(y < 0), False)
        self.firmware.probe_pin = bool(x < self.contact_m[0] or y < self.contact_m[1])

    def _exchange(self, now: float) -> None:
        data = self.terminal.read()
        if b"!" in data:
            self.holds.append(now)
        self.received += data
        self.firmware.receive(data)
        self.terminal.write(self.firmware.transmit())
