"""The newest message wins: work that takes longer than messages take to come never falls behind."""

from __future__ import annotations

import threading
from collections.abc import Callable


class NewestFirst:
    """Calls `work` in a thread of its own with the newest of the messages `offer`ed; those overtaken are dropped.

    `dropped` counts them. The thread of the caller stays free, so that the newest is really the newest.
    """

    def __init__(self, work: Callable[[bytes], None]) -> None:
        self.dropped = 0
        self._work = work
        self._newest: bytes | None = None
        self._wake = threading.Condition()
        self._closed = False
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def offer(self, data: bytes) -> None:
        """Take a message; it replaces one that has not been begun. Raises where the work has failed before."""
        if self._failed is not None:
            raise self._failed
        with self._wake:
            self.dropped += self._newest is not None
            self._newest = data
            self._wake.notify()

    def close(self) -> None:
        """Let the work in hand end, and begin no more."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._newest is not None)
                data, self._newest = self._newest, None
            if self._closed:
                return
            assert data is not None
            try:
                self._work(data)
            except Exception as error:  # a thread that dies alone would leave the node deaf
                self._failed = error
                return
