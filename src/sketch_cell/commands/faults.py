"""Fault sets for simulated drawings: fixed values, or ranges from which each seed draws its own toy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sketch_cell.commands.whole_cell import CellSettings
from sketch_cell.control.estimator import EstimatorSettings
from sketch_cell.control.job_words import ControlSettings
from sketch_cell.errors import InputError, SettingError
from sketch_cell.machine.motion import MotionSettings
from sketch_cell.settings import Settings
from sketch_cell.twin.camera import CameraSettings
from sketch_cell.twin.toy import ToySettings

Fault = Any  # a value, or [low, high]

DEFAULT_TOY: dict[str, Fault] = {
    "backlash_x_m": [0.0014, 0.00175],
    "backlash_y_m": [0.0012, 0.0020],
    "soft_zone": [0.0, 0.33],
    "backlash_variation": 0.10,
    "lost_step_probability": 1e-3,
}
# Lost steps shift the motors against the glass, by more in an hour than the default travel leaves room for.
ROOM: dict[str, Fault] = {"switch_x_m": -0.006, "switch_y_m": -0.006}
PARTS: dict[str, type[Settings]] = {"toy": ToySettings, "camera": CameraSettings}


@dataclass(frozen=True)
class Faults:
    """Settings of toy and camera by name, each a value or a range [low, high] drawn evenly per seed."""

    toy: dict[str, Fault] = field(default_factory=lambda: dict(DEFAULT_TOY))
    camera: dict[str, Fault] = field(default_factory=dict)

    def cell(self, seed: int, loop: str, motion: MotionSettings) -> CellSettings:
        """The cell that this seed gets. Only the `backlash` loop is told the toy's backlash, as if measured by hand."""
        rng = np.random.default_rng([seed, 0xFA])
        toy = ToySettings(**(ROOM | _drawn(self.toy, rng)))
        estimator = EstimatorSettings()
        if loop in ("backlash", "homing"):
            estimator = dataclasses.replace(
                estimator, backlash_x_m=toy.backlash_x_m, backlash_y_m=toy.backlash_y_m
            )
        return CellSettings(
            control=ControlSettings(loop=loop),
            estimator=estimator,
            motion=motion,
            toy=toy,
            camera=CameraSettings(**_drawn(self.camera, rng)),
        )


def read_faults(path: Path) -> Faults:
    """A fault set from a YAML file with the parts `toy` and `camera`; raises `InputError` naming what is wrong."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Check its name.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not YAML: {error}. Begin with `toy:` and `camera:`, each with settings below it."
        ) from error
    content = content or {}
    if not isinstance(content, dict) or not set(content) <= set(PARTS):
        raise InputError(f"{path} must hold the parts {' and '.join(PARTS)} and nothing else.")
    for part, kind in PARTS.items():
        values = content.get(part) or {}
        known = {item.name for item in dataclasses.fields(kind)}
        unknown = sorted(map(str, set(values) - known)) if isinstance(values, dict) else [str(values)]
        if unknown:
            raise InputError(
                f"{path}: {part} has no setting {unknown[0]}; it has {', '.join(sorted(known))}."
            )
    faults = Faults(content.get("toy") or {}, content.get("camera") or {})
    # Both ends of every range: a value out of reach is refused now, not after an hour.
    for end in (0, 1):
        try:
            ToySettings(**(ROOM | _end_of(faults.toy, end)))
            CameraSettings(**_end_of(faults.camera, end))
        except SettingError as error:
            raise InputError(f"{path}: {error}") from error
    return faults


def _is_range(value: Fault) -> bool:
    return isinstance(value, list) and len(value) == 2


def _end_of(values: dict[str, Fault], end: int) -> dict[str, Any]:
    """The settings with each range at its first or last value."""
    return {name: value[end] if _is_range(value) else value for name, value in values.items()}


def _drawn(values: dict[str, Fault], rng: np.random.Generator) -> dict[str, Any]:
    drawn = {}
    for name in sorted(values):
        value = values[name]
        drawn[name] = float(rng.uniform(*value)) if _is_range(value) else value
    return drawn
