"""The `$` settings of the firmware twin: their numbers, stock values, text, and what may be stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

# The stock values of Grbl 1.1h (generic machine) and how many decimals `$$` prints.
_STOCK: dict[int, float] = {
    0: 10,
    1: 25,
    2: 0,
    3: 0,
    4: 0,
    5: 0,
    6: 0,
    10: 1,
    11: 0.01,
    12: 0.002,
    13: 0,
    20: 0,
    21: 0,
    22: 0,
    23: 0,
    24: 25.0,
    25: 500.0,
    26: 250,
    27: 1.0,
    30: 1000,
    31: 0,
    32: 0,
    **dict.fromkeys((100, 101, 102), 250.0),
    **dict.fromkeys((110, 111, 112), 500.0),
    **dict.fromkeys((120, 121, 122), 10.0),
    **dict.fromkeys((130, 131, 132), 200.0),
}
_THREE_DECIMALS = {11, 12, 24, 25, 27, *range(100, 103), *range(110, 113), *range(120, 123), *range(130, 133)}
_FLAGS = {4, 5, 6, 13, 20, 21, 22, 32}
_BYTES = {0, 1, 2, 3, 10, 23, 26}

ERROR_INVALID, ERROR_NEGATIVE, ERROR_PULSE, ERROR_SOFT_LIMIT = 3, 4, 6, 10


class GrblSettings:
    """The settings in the board's EEPROM; `store` answers with Grbl's status code."""

    def __init__(self, values: Mapping[int, float] | None = None) -> None:
        self._values = dict(_STOCK)
        self._axes: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]] | None = None
        for number, value in (values or {}).items():
            self._values[number] = value

    def __getitem__(self, number: int) -> float:
        return self._values[number]

    def flag(self, number: int) -> bool:
        """Whether an on/off setting is on."""
        return bool(self._values[number])

    def mask(self, number: int, axis: int) -> bool:
        """Whether a mask setting has the bit of an axis."""
        return bool(int(self._values[number]) >> axis & 1)

    @property
    def junction_deviation(self) -> float:
        return self._values[11]

    def axes(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        """Per axis: steps per mm, highest rate [mm/s], acceleration [mm/s2]."""
        if self._axes is None:
            per_axis = [tuple(self._values[base + axis] for axis in range(3)) for base in (100, 110, 120)]
            self._axes = per_axis[0], tuple(rate / 60 for rate in per_axis[1]), per_axis[2]
        return self._axes

    def travel_mm(self, axis: int) -> float:
        """Length of an axis; the machine's space is -travel .. 0."""
        return self._values[130 + axis]

    def store(self, number: int, value: float) -> int:
        """Store one setting; 0, or Grbl's error code when it is refused (nothing then changes)."""
        if value < 0:
            return ERROR_NEGATIVE
        if number not in self._values:
            return ERROR_INVALID
        if number in _FLAGS:
            value = float(int(value) & 255 != 0)
        elif number in _BYTES:
            value = float(int(value) & 255)
        if number == 0 and value < 3:
            return ERROR_PULSE
        if number == 20 and value and not self.flag(22):
            return ERROR_SOFT_LIMIT
        if number == 22 and not value:
            self._values[20] = 0.0  # soft limits mean nothing without homing
        self._values[number] = value
        self._axes = None
        return 0

    def restore_stock(self) -> None:
        """All settings as they left the factory (`$RST=$`)."""
        self._values = dict(_STOCK)
        self._axes = None

    def lines(self) -> Iterator[str]:
        """The answer to `$$`."""
        for number in sorted(self._values):
            decimals = 3 if number in _THREE_DECIMALS else 0
            yield f"${number}={decimal(self._values[number], decimals)}"


def decimal(value: float, decimals: int) -> str:
    """A number as Grbl prints it: halves away from zero, "-0.000" where a tiny negative rounds to zero."""
    scaled = int(abs(value) * 10**decimals + 0.5)
    sign = "-" if value < 0 else ""
    if decimals == 0:
        return f"{sign}{scaled}"
    whole, rest = divmod(scaled, 10**decimals)
    return f"{sign}{whole}.{rest:0{decimals}d}"
