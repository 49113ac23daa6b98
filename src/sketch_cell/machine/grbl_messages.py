"""What a Grbl board can say, one class per kind of line."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ok:
    """`ok`: the oldest line not yet answered was taken."""


@dataclass(frozen=True)
class Error:
    """`error:N`: the oldest line not yet answered was refused."""

    code: int


@dataclass(frozen=True)
class Alarm:
    """`ALARM:N`: the board has stopped and is locked."""

    code: int


@dataclass(frozen=True)
class Welcome:
    """The banner, after power-up and after every reset."""

    firmware: str
    version: str

    @property
    def too_old(self) -> bool:
        """Whether it is a Grbl before 1.1, with another protocol."""
        return self.firmware == "Grbl" and self.version.startswith(("0.", "1.0"))

    def __str__(self) -> str:
        return f"{self.firmware} {self.version}"


@dataclass(frozen=True)
class Status:
    """One real-time status report; what the board left out is None or empty."""

    state: str
    substate: int | None = None
    mpos_mm: tuple[float, ...] | None = None
    wpos_mm: tuple[float, ...] | None = None
    wco_mm: tuple[float, ...] | None = None
    free_blocks: int | None = None
    free_bytes: int | None = None
    line_number: int | None = None
    feed_mm_per_min: float | None = None
    spindle_rpm: float | None = None
    pins: str = ""
    overrides_percent: tuple[int, ...] | None = None
    accessories: str = ""
    other: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """One line of `$$`: `$number=value`."""

    number: int
    value: str


@dataclass(frozen=True)
class Feedback:
    """`[tag:body]`: MSG, GC, VER, OPT, HLP, echo and the lines of `$#` that are not coordinates."""

    tag: str
    body: str


@dataclass(frozen=True)
class Parameter:
    """A line of `$#`: `[G54:x,y,z]`, `[G92:...]`, `[TLO:z]`, and `[PRB:x,y,z:1]` with its success."""

    name: str
    values_mm: tuple[float, ...]
    success: bool | None = None


@dataclass(frozen=True)
class StartupLine:
    """`$N0=...`, or `>...:ok` when the board has run one."""

    text: str
    executed: bool


@dataclass(frozen=True)
class Unknown:
    """A line that fits nothing; kept as it came."""

    text: str


Message = Ok | Error | Alarm | Welcome | Status | Setting | Feedback | Parameter | StartupLine | Unknown
