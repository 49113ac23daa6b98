"""Status requests: when to ask, and which report answers a question asked before or after something happened.

A report says how the board was when it got the question. One asked before a feed hold may still say that the board
stands while a line sets off, so whoever has given an order calls `outdate`: reports on their way then are not fresh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

REPORT_S = 0.006  # a report of 60 characters at 115,200 baud
SAMPLED_S = 0.0005  # from our question to the board's look at its position: the wire and a line in work
AGAIN_S = 0.5  # a question without an answer is asked again
MOST = 2  # questions under way that are believed in: more were lost


@dataclass(frozen=True)
class Answer:
    """What is known of a report besides its text; times are the caller's, `asked_s` None if nobody had asked."""

    stamp_s: float
    asked_s: float | None
    fresh: bool


class Questions:
    """One question at a time."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """No answer is to be expected any more: the board has reset itself, or the link is new."""
        self.asked_s: float | None = None
        self.open_since_s = math.inf  # steady time of the first question without an answer
        self._asked_last_s = self.next_s = -math.inf
        self._under_way = self._stale = 0

    def due(self, now_s: float) -> bool:
        """Whether the board should be asked now: at once where the clock has been set back since it was last."""
        if now_s < self._asked_last_s:
            return True
        return now_s >= self.next_s and (self.asked_s is None or now_s - self.asked_s >= AGAIN_S)

    def ask(self, now_s: float, steady_s: float, period_s: float) -> None:
        """The board is being asked; the next question follows after the period."""
        self.open_since_s = min(self.open_since_s, steady_s)
        self.asked_s = self._asked_last_s = now_s
        self.next_s = now_s + period_s
        self._under_way = min(self._under_way + 1, MOST)

    def outdate(self) -> None:
        """An order has been given: only questions from now on tell of its effect. The next is due at once."""
        self._stale = self._under_way
        self.asked_s, self.next_s = None, -math.inf

    def answered(self, now_s: float) -> Answer:
        """A report has come. The board took its position when it was asked, however late it is read here."""
        fresh, asked_s = self._stale == 0, self.asked_s
        self.open_since_s = math.inf
        self._stale = max(self._stale - 1, 0)
        self._under_way = max(self._under_way - 1, 0)
        if fresh:
            self.asked_s = None
        if not fresh or asked_s is None:
            return Answer(now_s - REPORT_S, None, fresh)
        return Answer(min(asked_s + SAMPLED_S, now_s), asked_s, fresh)
