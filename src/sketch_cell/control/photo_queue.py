"""Photos drawn one after another: what comes next, and when a person has to shake the toy. Pure: no files, no clock."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sketch_cell.errors import MachineError

_UNDER_WAY = ("homing", "drawing", "paused")  # states of a job


class QueueState(enum.Enum):
    """What the queue waits for."""

    EMPTY = "empty"
    PLANNING = "planning"
    WAITING = "waiting for a person"
    STARTING = "starting"
    DRAWING = "drawing"
    STOPPED = "stopped"


class QueueOrder(enum.Enum):
    """What must be done now."""

    PUBLISH = "publish the photo"
    DRAW = "ask for the drawing"


@dataclass(frozen=True)
class QueueInputs:
    """What was seen: photos (by name) that have come since the last step, whether there is a line for the one
    published or the reason why not, the job's last state (none yet since DRAW: ""), the answer to DRAW ("": yes).
    """

    arrived: Sequence[str] = ()
    planned: bool = False
    refused: str = ""
    job: str = ""
    answer: str | None = None


@dataclass(frozen=True)
class PhotoQueue:
    """The queue at one moment; `step` gives the next. `shake_needed`: there is a drawing on the glass."""

    state: QueueState = QueueState.EMPTY
    photo: str = ""
    waiting: tuple[str, ...] = ()
    drawn: int = 0
    shake_needed: bool = False
    confirmed: bool = False
    reason: str = ""

    def confirm(self) -> PhotoQueue:
        """A person says: the toy has been shaken, or is clean; go on. Raises `MachineError` where nothing waits."""
        if self.state is QueueState.WAITING:
            return replace(self, confirmed=True)
        if self.state is QueueState.STOPPED:
            return replace(self, confirmed=True, state=QueueState.WAITING, reason="")
        raise MachineError(f"There is nothing to confirm: the queue is {self.state.value}.")

    def skip(self) -> PhotoQueue:
        """Drop the photo in work without drawing it (again); raises `MachineError` while it is being drawn."""
        if self.state in (QueueState.EMPTY, QueueState.STARTING, QueueState.DRAWING):
            raise MachineError(f"There is nothing to skip: the queue is {self.state.value}.")
        return replace(self, state=QueueState.EMPTY, photo="", reason="", confirmed=False)

    def step(self, seen: QueueInputs) -> tuple[PhotoQueue, QueueOrder | None]:
        """The queue after what was `seen`, and what must be done about it."""
        # A photo that changes while it waits arrives again, but is read only when its turn comes.
        queue = replace(self, waiting=tuple(dict.fromkeys((*self.waiting, *seen.arrived))))
        return _STEPS[queue.state](queue, seen)


def _empty(queue: PhotoQueue, seen: QueueInputs) -> tuple[PhotoQueue, QueueOrder | None]:
    if not queue.waiting or seen.job in _UNDER_WAY:
        return queue, None
    photo, *rest = queue.waiting
    return replace(queue, state=QueueState.PLANNING, photo=photo, waiting=tuple(rest)), QueueOrder.PUBLISH


def _planning(queue: PhotoQueue, seen: QueueInputs) -> tuple[PhotoQueue, QueueOrder | None]:
    if seen.refused:
        return replace(queue, state=QueueState.EMPTY, photo="", reason=seen.refused), None
    # The controller has taken the new line once its job is idle again.
    ready = seen.planned and seen.job == "idle"
    return (replace(queue, state=QueueState.WAITING, reason=""), None) if ready else (queue, None)


def _waiting(queue: PhotoQueue, seen: QueueInputs) -> tuple[PhotoQueue, QueueOrder | None]:
    if not queue.confirmed:
        return queue, None
    return replace(queue, state=QueueState.STARTING, confirmed=False, shake_needed=False), QueueOrder.DRAW


def _starting(queue: PhotoQueue, seen: QueueInputs) -> tuple[PhotoQueue, QueueOrder | None]:
    if seen.answer:
        # Nothing was drawn, but the confirmation is spent: a person looks again.
        return replace(queue, state=QueueState.WAITING, reason=seen.answer), None
    if seen.job:
        return replace(queue, state=QueueState.DRAWING, shake_needed=True), None
    return queue, None


def _drawing(queue: PhotoQueue, seen: QueueInputs) -> tuple[PhotoQueue, QueueOrder | None]:
    if seen.job == "done":
        return replace(queue, state=QueueState.EMPTY, photo="", drawn=queue.drawn + 1), None
    if seen.job in ("failed", "idle"):
        reason = "the drawing ended early: shake the toy and confirm to draw it again, or skip it"
        return replace(queue, state=QueueState.STOPPED, reason=reason), None
    return queue, None


def _stopped(queue: PhotoQueue, seen: QueueInputs) -> tuple[PhotoQueue, QueueOrder | None]:
    if seen.job in _UNDER_WAY:  # the controller was told to resume
        return replace(queue, state=QueueState.DRAWING, reason=""), None
    return queue, None


_STEPS = {
    QueueState.EMPTY: _empty,
    QueueState.PLANNING: _planning,
    QueueState.WAITING: _waiting,
    QueueState.STARTING: _starting,
    QueueState.DRAWING: _drawing,
    QueueState.STOPPED: _stopped,
}
