"""The cell as a table: which nodes make it up, with their parameters; read by launch files and runner alike."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from sketch_cell.errors import InputError
from sketch_cell.settings import Settings, setting

ParameterValue = bool | int | float | str

# What a person calls the loop -> what the controller calls it.
LOOPS = {"closed": "camera", "open": "open", "backlash": "backlash", "homing": "homing"}


@dataclass(frozen=True)
class CellSettings(Settings):
    """What one says when starting a cell: the launch arguments, and the options of `sketch-cell demo`."""

    machine: str = setting("twin", "what draws", choices=("twin", "grbl"))
    port: str = setting("", "serial port of the Grbl board, such as /dev/ttyUSB0 (machine grbl)")
    photo: str = setting("", "picture file, or folder to watch")
    camera: str = setting("twin", "twin, a device such as /dev/video0, or topic: an image topic that exists")
    loop: str = setting("closed", "how the drawing is kept true", choices=tuple(LOOPS))
    mosaic: bool = setting(False, "lay each photo out of sweets, too: see mosaic/placements")
    params_file: str = setting("", "parameters of all nodes; by default config/<machine>.yaml")
    use_sim_time: bool = setting(True, "take time from /clock (machine twin)")


@dataclass(frozen=True)
class NodeSpec:
    """One node of the cell: its executable (also its name), parameters that are not in the file, and group."""

    name: str
    group: str
    lifecycle: bool = False
    parameters: dict[str, ParameterValue] = field(default_factory=dict)


def cell_nodes(cell: CellSettings, *, work_folder: Path) -> list[NodeSpec]:
    """The nodes of a cell in starting order; raises `InputError` where the settings cannot work together.

    `work_folder` holds what lives only as long as the cell: the twin's port.
    """
    twin = cell.machine == "twin"
    port = str(work_folder / "ttyTWIN") if twin else cell.port
    if not twin:
        check_port(port)
    sim: dict[str, ParameterValue] = {"use_sim_time": twin and cell.use_sim_time}
    nodes = [
        NodeSpec("picture_source", "planning", parameters={"photo": cell.photo}),
        NodeSpec("deblocker", "planning"),
        NodeSpec("line_planner", "planning"),
        NodeSpec("stepper_driver", "machine", lifecycle=True, parameters={**sim, "port": port}),
        NodeSpec("drawing_controller", "machine", parameters={**sim, "loop": LOOPS[cell.loop]}),
    ]
    if cell.loop == "closed":
        nodes.append(NodeSpec("tip_tracker", "vision", lifecycle=True, parameters=sim))
    if cell.mosaic:
        nodes.append(NodeSpec("mosaic_planner", "planning"))
    if twin:
        nodes.insert(0, NodeSpec("twin", "machine", parameters={"port": port}))
    elif cell.camera.startswith("/dev/"):
        nodes.append(NodeSpec("camera_source", "vision", parameters={"device": cell.camera}))
    return nodes


def parameter_file(cell: CellSettings) -> Path:
    """The YAML file with the parameters of all nodes; raises `InputError` where there is none."""
    path = Path(cell.params_file) if cell.params_file else share_folder() / "config" / f"{cell.machine}.yaml"
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a parameters file, or leave params_file empty.")
    return path


def share_folder() -> Path:
    """Where launch files and configuration are: the installed package's share folder, else the source tree."""
    prefixes = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    for prefix in [*prefixes, Path(sys.prefix)]:
        if (prefix / "share/ament_index/resource_index/packages/sketch_cell").exists():
            return prefix / "share" / "sketch_cell"
    return Path(__file__).resolve().parents[2]


def check_port(port: str) -> None:
    """Raise `InputError` where there is no such serial port: a missing one is never simulated."""
    if not port:
        raise InputError(
            "machine grbl needs a port: say which, as in port:=/dev/ttyUSB0 or --port /dev/ttyUSB0."
        )
    if not Path(port).exists():
        raise InputError(
            f"port {port} does not exist: plug the board in, or look for its name with ls /dev/tty*."
        )
