"""Settings are frozen dataclasses that carry their unit, range and description with every value.

The same class feeds the core, the ROS parameters (`ros/parameters.py`), the command line
(`commands/options.py`) and the tables in `doc/nodes.md`, so none of them can drift apart.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sketch_cell.errors import SettingError

T = TypeVar("T", bool, int, float, str)


def setting(
    default: T,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
    read_only: bool = False,
) -> T:
    """Declare one field of a `Settings` class: its default, meaning, unit and legal values.

    `read_only` marks what the hardware needs fixed while a node runs (a port, a baud rate).
    """
    metadata = {
        "description": description,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
        "read_only": read_only,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Base of every settings class; building one with an illegal value raises `SettingError`."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = _checked(item, getattr(self, item.name))
            object.__setattr__(self, item.name, value)


def _checked(item: dataclasses.Field[Any], value: Any) -> Any:
    default: Any = item.default
    kind = type(default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise SettingError(
            f"{item.name} is {value!r}, but must be of type {kind.__name__}: {item.metadata['description']}."
        )
    low, high, unit = (item.metadata[key] for key in ("minimum", "maximum", "unit"))
    if kind in (int, float) and not _in_range(value, low, high):
        raise SettingError(f"{item.name} is {value:g}, but must be {_range_in_words(low, high, unit)}.")
    choices = item.metadata["choices"]
    if choices and value not in choices:
        raise SettingError(f"{item.name} is {value!r}, but must be one of {', '.join(choices)}.")
    return value


def _in_range(value: float, low: float | None, high: float | None) -> bool:
    return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)


def _range_in_words(low: float | None, high: float | None, unit: str) -> str:
    unit = f" {unit}" if unit else ""
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}{unit}"
    if low is not None:
        return f"at least {low:g}{unit}"
    if high is not None:
        return f"at most {high:g}{unit}"
    return "a finite number"
