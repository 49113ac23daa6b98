"""Who has said what: bytes out, lines in, lines not yet answered, and scripts of several steps.

A script is a generator that yields an `Ask` and is sent the `Reply`; it never blocks. Starting a new script drops
the one that ran: an alarm in the middle of homing takes over.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from sketch_cell.machine import grbl


@dataclass(frozen=True)
class Sent:
    """A line the board has not answered; `until_s` is its end on the timeline, None for a command."""

    size: int
    text: str
    until_s: float | None


@dataclass(frozen=True)
class Ask:
    """A step of a script: send a command and wait for its answer, or just wait for something to happen."""

    text: str = ""
    timeout_s: float = 3.0
    until: str = "answer"


BANNER, REPORT, STANDING, RESET_WANTED, PAUSE = "banner", "report", "standing", "reset wanted", "pause"
NO_ANSWER = "no answer in time"  # the reason of a reply that has not come


@dataclass(frozen=True)
class Reply:
    """How a step of a script ended, and what the board said meanwhile."""

    ok: bool
    reason: str = ""
    messages: list[grbl.Message] = field(default_factory=list)


Script = Generator[Ask, Reply, None]
Check = Generator[Ask, Reply, bool]


class Conversation:
    """The wire's bookkeeping on given time; `now_s` is the caller's clock, `steady_s` one that never stops."""

    def __init__(self) -> None:
        self.now_s = self.steady_s = 0.0
        self.forget()

    def forget(self) -> None:
        """Nothing is known of the board: the port was opened or lost."""
        self._splitter = grbl.LineSplitter()
        self._urgent = bytearray()
        self._out = bytearray()
        self.unanswered: deque[Sent] = deque()
        self.unanswered_bytes = 0
        self.script: Script | None = None
        self._ask: Ask | None = None
        self._begun_s = -math.inf
        self._deadline_s = self._steady_deadline_s = math.inf
        self._heard: list[grbl.Message] = []
        self.heard_s = self.steady_s

    # -- bytes --

    def lines(self, data: bytes) -> list[str]:
        """The lines that `data` completes."""
        self.heard_s = self.steady_s
        return self._splitter.feed(data)

    @property
    def unfinished(self) -> str:
        """What the board has begun to say: at a wrong baud rate lines never end."""
        return self._splitter.rest

    def send(self, line: str, until_s: float | None = None) -> None:
        """Queue a line; its answer is awaited."""
        data = line.encode("ascii") + b"\n"
        self.unanswered.append(Sent(len(data), line, until_s))
        self.unanswered_bytes += len(data)
        self._out += data

    def urgent(self, byte: bytes) -> None:
        """Queue a real-time character before all lines, but behind those that were as urgent."""
        self._urgent += byte

    def realtime(self, bytes_: bytes) -> None:
        """Queue real-time characters behind what is queued."""
        self._out += bytes_

    def drop_unsent(self) -> None:
        """Forget what has not been taken yet: a stop must not wait behind lines."""
        self._urgent.clear()
        self._out.clear()

    def take(self) -> bytes:
        """What must be written now."""
        out = bytes(self._urgent + self._out)
        self.drop_unsent()
        return out

    def answered(self) -> Sent | None:
        """The oldest unanswered line has got its answer; None if there was none (boards send strays)."""
        if not self.unanswered:
            return None
        sent = self.unanswered.popleft()
        self.unanswered_bytes -= sent.size
        return sent

    def void(self) -> None:
        """After a reset or alarm no answer can be trusted to belong to a line."""
        self.unanswered.clear()
        self.unanswered_bytes = 0

    # -- scripts --

    def start(self, script: Script) -> None:
        """Run a script up to its first wait; it replaces the one that ran."""
        self.script = script
        self._ask = None
        self._advance(lambda: next(script))

    def waits_for(self, what: str) -> bool:
        """Whether the script waits for a banner, a report, ..."""
        return self._ask is not None and self._ask.until == what

    def hear(self, message: grbl.Message) -> None:
        """Keep a message for the script that has asked for it."""
        if self._ask is not None:
            self._heard.append(message)

    def reply(self, ok: bool, reason: str = "") -> None:
        """The script's wait has ended."""
        script, reply = self.script, Reply(ok, reason, self._heard)
        self._heard, self._ask = [], None
        if script is not None:
            self._advance(lambda: script.send(reply))

    def check_deadline(self) -> None:
        """End a wait that has taken too long on both clocks; one that has been set back meanwhile does not count."""
        too_early = self._begun_s <= self.now_s < self._deadline_s or self.steady_s < self._steady_deadline_s
        if self._ask is None or too_early:
            return
        if self._ask.text:
            self.void()
        self.reply(False, NO_ANSWER)

    def _advance(self, step: Callable[[], Ask]) -> None:
        script = self.script
        try:
            ask = step()
        except StopIteration:
            if self.script is script:
                self.script = self._ask = None
            return
        if self.script is not script:
            return  # the step itself has started another script
        self._ask, self._heard = ask, []
        self._begun_s, self._deadline_s = self.now_s, self.now_s + ask.timeout_s
        self._steady_deadline_s = self.steady_s + ask.timeout_s
        if ask.text:
            self.send(ask.text)
