"""One thing that the doctor found: its state in a word, a sentence, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(str, Enum):
    """How bad it is; `MISSING` means that a cell will not run."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """`check` names what was looked at; `remedy` is the next step and may only be empty where all is well."""

    check: str
    state: State
    text: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.state is not State.OK and not self.remedy:
            raise ValueError(f"{self.check}: a finding that is not ok says what to do")


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, State.OK, text)


def warning(check: str, text: str, remedy: str) -> Finding:
    """A cell runs without it, but something that a person may want does not."""
    return Finding(check, State.WARNING, text, remedy)


def missing(check: str, text: str, remedy: str) -> Finding:
    """A cell does not run without it."""
    return Finding(check, State.MISSING, text, remedy)
