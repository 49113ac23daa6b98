"""The serial side of the firmware twin: bytes take time, and the receive buffer really overflows."""

from __future__ import annotations

import math
import re
from collections import deque

RX_BYTES = 128
TX_BYTES = 104
REALTIME = bytes([0x18, *b"?!~", *range(0x80, 0x100)])
_EVENT = re.compile(rb"[\x18?!~\n\r\x80-\xff]")
_REALTIME = re.compile(rb"[\x18?!~\x80-\xff]")
_LONGEST_NAP = 48  # bytes that may arrive before the idle main loop must empty the buffer


class SerialPort:
    """Both directions of the board's UART on the firmware's own time; 0 baud makes bytes arrive at once."""

    def __init__(self, baud: int) -> None:
        self.byte_s = 10.0 / baud if baud else 0.0
        self.received = bytearray()
        self.overflow_bytes = 0
        self.deaf_until_s = 0.0  # interrupts are off: what arrives before is lost
        self._incoming: deque[tuple[float, bytes]] = deque()
        self._incoming_free_s = 0.0
        self._outgoing: deque[tuple[float, bytes]] = deque()
        self._outgoing_free_s = 0.0
        self.next_event_s = math.inf

    def push(self, data: bytes, now_s: float) -> None:
        """The host has begun to send `data`."""
        start_s = max(now_s, self._incoming_free_s)
        self._incoming_free_s = start_s + len(data) * self.byte_s
        self._incoming.append((start_s, data))
        self._schedule()

    def absorb(self, now_s: float) -> bytes:
        """Take in what has arrived by now; the real-time characters among it are returned, in order."""
        realtime = b""
        while self._incoming:
            start_s, data = self._incoming[0]
            count = self._arrived(start_s, len(data), now_s)
            if count <= 0:
                break
            lost = max(self._arrived(start_s, count, min(now_s, self.deaf_until_s)), 0)
            realtime += self._store(data[lost:count])
            if count == len(data):
                self._incoming.popleft()
            else:
                self._incoming[0] = (start_s + count * self.byte_s, data[count:])
                break
        self._schedule()
        return realtime

    def discard_received(self) -> None:
        """Empty the receive buffer (a soft reset); what is still on the wire arrives later."""
        self.received.clear()

    def write(self, text: str, now_s: float) -> None:
        """The board prints; the bytes leave one after another."""
        data = text.encode("latin-1")
        start_s = max(now_s, self._outgoing_free_s)
        self._outgoing_free_s = start_s + len(data) * self.byte_s
        self._outgoing.append((start_s, data))

    def sent(self, now_s: float) -> bytes:
        """The bytes that have left the board by now."""
        parts = []
        while self._outgoing:
            start_s, data = self._outgoing[0]
            count = self._arrived(start_s, len(data), now_s)
            if count <= 0:
                break
            parts.append(data[:count])
            if count < len(data):
                self._outgoing[0] = (start_s + count * self.byte_s, data[count:])
                break
            self._outgoing.popleft()
        return b"".join(parts)

    def stall_s(self, now_s: float) -> float:
        """How long printing has to wait because the transmit buffer is full."""
        return max(self._outgoing_free_s - now_s - TX_BYTES * self.byte_s, 0.0)

    def clear(self) -> None:
        """Power was cut: nothing is on its way any more."""
        self.received.clear()
        self._incoming.clear()
        self._outgoing.clear()
        self._incoming_free_s = self._outgoing_free_s = 0.0
        self._schedule()

    def _arrived(self, start_s: float, size: int, now_s: float) -> int:
        if not self.byte_s:
            return size if start_s <= now_s + 1e-9 else 0
        return min(size, int((now_s - start_s) / self.byte_s + 1e-6))

    def _store(self, data: bytes) -> bytes:
        realtime = b""
        if _REALTIME.search(data):
            realtime = bytes(byte for byte in data if byte in REALTIME)
            if b"\x18" in data:
                # the reset empties the buffer, so only what follows it can survive
                self.received.clear()
                data = data[data.rindex(b"\x18") + 1 :]
            data = data.translate(None, REALTIME)
        room = RX_BYTES - len(self.received)
        if len(data) > room:
            self.overflow_bytes += len(data) - room
        self.received += data[: max(room, 0)]
        return realtime

    def _schedule(self) -> None:
        """When the main loop has something to look at: a line end, a real-time character, a full buffer."""
        if not self._incoming:
            self.next_event_s = math.inf
            return
        start_s, data = self._incoming[0]
        found = _EVENT.search(data)
        count = min(found.start() + 1 if found else len(data), _LONGEST_NAP)
        self.next_event_s = start_s + (count + 1e-3) * self.byte_s
