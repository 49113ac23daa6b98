"""The cell as a table: which nodes make it up, with their parameters; read by launch files and runner alike."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sketch_cell.errors import InputError, SettingError
from sketch_cell.files import check_outputs
from sketch_cell.machine.board import BoardSettings
from sketch_cell.packages import need
from sketch_cell.robot import robot_description
from sketch_cell.settings import Settings, setting

ParameterValue = bool | int | float | str

PACKAGE = "sketch_cell"
# What a person calls the loop -> what the controller calls it.
LOOPS = {"closed": "camera", "open": "open", "backlash": "backlash", "homing": "homing"}
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
VIEW_PORT, VIEW_STREAM_PORT = 9090, 9876  # rerun's own
TWIN_START_S = 60.0  # the twin's port and its answer may take so long on a busy computer
# The tracker, which compiles when it starts for the first time, before the driver: a drawing must not begin without it.
GROUPS = ("vision", "machine", "planning", "display")
# Who turns metres into turns of a knob, or back.
GEARED, GEARING = ("stepper_driver", "drawing_controller", "tip_tracker", "twin"), "travel_per_turn_m"
NAMESPACE_PATTERN = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True)
class CellSettings(Settings):
    """What one says when starting a cell: the launch arguments, and the options of `sketch-cell bringup`."""

    machine: str = setting("twin", "what draws", choices=("twin", "grbl"))
    port: str = setting("", "serial port of the Grbl board, such as /dev/ttyUSB0 (machine grbl)")
    photo: str = setting("", "picture file, or folder to watch")
    camera: str = setting("twin", "twin, a device such as /dev/video0, or topic: an image topic that exists")
    loop: str = setting("closed", "how the drawing is kept true", choices=tuple(LOOPS))
    mosaic: bool = setting(False, "lay each photo out of sweets, too: see mosaic/placements")
    queue: bool = setting(False, "draw the photos of a folder one after another, each when a person says so")
    rviz: bool = setting(False, "show the cell in RViz")
    view: bool = setting(False, "show the cell in a browser, see the address that is told at the start")
    record: str = setting("", "folder to make for a recording of all topics, for replay and ros2 bag")
    namespace: str = setting("", "namespace of the whole cell, also in front of its frames")
    mount_frame: str = setting("", "frame that carries the cell; by default the toy is a root of its own")
    mount_pose: str = setting("0 0 0 0 0 0", "x y z [m] and roll pitch yaw [rad] of the toy in mount_frame")
    params_file: str = setting("", "parameters of all nodes; by default config/<machine>.yaml")
    log_level: str = setting("info", "how much the nodes say", choices=LOG_LEVELS)
    use_sim_time: bool = setting(True, "take time from /clock (machine twin)")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "namespace", self.namespace.strip("/"))
        if self.namespace and not NAMESPACE_PATTERN.fullmatch(self.namespace):
            raise SettingError(
                f"namespace {self.namespace} is not one: use letters, digits and _, such as cell_1."
            )

    @property
    def frame_prefix(self) -> str:
        """What comes before every frame of the cell: cells side by side share no frame."""
        return f"{self.namespace}/" if self.namespace else ""


@dataclass(frozen=True)
class NodeSpec:
    """One node of the cell: its executable (also its name), parameters that are not in the file, and group.

    A cell ends with any of its nodes, except those that are not `required` (a window one may close).
    """

    name: str
    group: str
    lifecycle: bool = False
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    remaps: dict[str, str] = field(default_factory=dict)
    package: str = PACKAGE
    arguments: tuple[str, ...] = ()
    required: bool = True

    def enclave(self, namespace: str) -> list[str]:
        """Arguments that name the node's place in a keystore (config/security); without security they mean nothing.

        Nodes of other packages share the operator's.
        """
        return (
            ["--enclave", f"/{namespace}/{self.name}".replace("//", "/")] if self.package == PACKAGE else []
        )


def cell_nodes(cell: CellSettings, *, work_folder: Path, groups: Sequence[str] = GROUPS) -> list[NodeSpec]:
    """The nodes of a cell in starting order; raises `InputError` where the settings cannot work together.

    `work_folder` holds what lives only as long as the cell: the twin's port. Of a cell spread over hosts, `groups` are
    those of this host: only their hardware and packages must be there.
    """
    _check(cell, groups)
    twin = cell.machine == "twin"
    port = str(work_folder / "ttyTWIN") if twin else cell.port
    sim: dict[str, ParameterValue] = {"use_sim_time": twin and cell.use_sim_time}
    nodes = _recorder(cell) if "display" in groups else []
    if cell.loop == "closed":
        nodes.append(
            NodeSpec("tip_tracker", "vision", lifecycle=True, parameters={**sim, **_frame(cell, "screen")})
        )
    nodes += [
        *([NodeSpec("twin", "machine", parameters={"port": port, **_frame_prefix(cell)})] if twin else []),
        NodeSpec("stepper_driver", "machine", lifecycle=True, parameters={**sim, **_port(cell, port)}),
        NodeSpec("drawing_controller", "machine", parameters={**sim, "loop": LOOPS[cell.loop]}),
    ]
    if _device(cell):
        nodes.append(
            NodeSpec("camera_source", "vision", parameters={"device": cell.camera, **_frame(cell, "camera")})
        )
    source = "job_queue" if cell.queue else "picture_source"
    nodes += [
        NodeSpec(source, "planning", parameters={"photo": cell.photo}),
        NodeSpec("deblocker", "planning"),
        NodeSpec("line_planner", "planning", parameters=_frame(cell, "screen")),
    ]
    if cell.mosaic:
        nodes.append(NodeSpec("mosaic_planner", "planning", parameters=_frame(cell, "board")))
    nodes += _display(cell, sim) if "display" in groups else []
    return [_own_clock(cell, node) for node in nodes if node.group in groups]


def _recorder(cell: CellSettings) -> list[NodeSpec]:
    """A drawing goes on where its recording fails: a disk may be full."""
    if not cell.record:
        return []
    folder = Path(cell.record).resolve()
    if folder.exists():
        raise InputError(
            f"{folder} exists already: name another folder for the recording, or remove it first."
        )
    check_outputs([folder / "metadata.yaml"])
    need("mcap", "record")
    return [NodeSpec("recorder", "display", parameters={"folder": str(folder)}, required=False)]


def view_url(address: str = "127.0.0.1", port: int = VIEW_PORT, stream_port: int = VIEW_STREAM_PORT) -> str:
    """What a browser on this computer shows the live view at, where the node `view` listens on `address`."""
    host = "localhost" if address in ("127.0.0.1", "0.0.0.0", "::") else address
    return f"http://{host}:{port}/?url=rerun%2Bhttp%3A%2F%2F{host}%3A{stream_port}%2Fproxy"


def cell_view_url(cell: CellSettings) -> str:
    """The same for a cell, by its parameters file."""
    said = node_parameters(parameter_file(cell), "view")
    return view_url(**{key: said[key] for key in ("address", "port", "stream_port") if key in said})


def managed(nodes: list[NodeSpec]) -> list[NodeSpec]:
    """The same nodes, with those of a lifecycle left to whoever configures and activates them in order."""
    return [
        dataclasses.replace(node, parameters={**node.parameters, "autostart": False})
        if node.lifecycle
        else node
        for node in nodes
    ]


def _display(cell: CellSettings, sim: dict[str, ParameterValue]) -> list[NodeSpec]:
    """Robot model and RViz, each from its own package, where that is installed."""
    config = share_folder() / "config"
    description = robot_description(
        (config / "etch_a_sketch.urdf").read_text(encoding="utf-8"),
        prefix=cell.frame_prefix,
        mount_frame=cell.mount_frame,
        mount_pose=cell.mount_pose,
        travel_per_turn_m=board_settings(parameter_file(cell)).travel_per_turn_m,
    )
    nodes = []
    if cell.view:
        need("rerun", "view", "rerun-sdk")
        nodes.append(NodeSpec("view", "display", parameters=sim, required=False))
    if executable("robot_state_publisher", "robot_state_publisher"):
        parameters = {**sim, "robot_description": description}
        package = "robot_state_publisher"
        nodes.append(NodeSpec(package, "display", parameters=parameters, package=package))
    if cell.rviz:
        if not executable("rviz2", "rviz2"):
            raise InputError("rviz2 is not installed here: install ros-<distro>-rviz2, or leave rviz out.")
        arguments = ("-d", str(config / "sketch_cell.rviz"), "-f", f"{cell.frame_prefix}screen")
        window = NodeSpec("rviz2", "display", parameters=sim, package="rviz2", required=False)
        nodes.append(dataclasses.replace(window, arguments=arguments))
    return nodes


def _port(cell: CellSettings, port: str) -> dict[str, ParameterValue]:
    """A real port is there when the cell starts (see `check_port`); the twin's comes with the twin."""
    if cell.machine != "twin":
        return {"port": port}
    return {"port": port, "port_wait_s": TWIN_START_S, "connect_timeout_s": TWIN_START_S}


def _frame(cell: CellSettings, name: str) -> dict[str, ParameterValue]:
    return {"frame": cell.frame_prefix + name} if cell.namespace else {}


def _frame_prefix(cell: CellSettings) -> dict[str, ParameterValue]:
    return {"frame_prefix": cell.frame_prefix} if cell.namespace else {}


def _own_clock(cell: CellSettings, node: NodeSpec) -> NodeSpec:
    """Two twins side by side keep a time each: in a namespace /clock is the cell's own."""
    if cell.namespace and cell.machine == "twin":
        return dataclasses.replace(node, remaps={**node.remaps, "/clock": "clock"})
    return node


def _check(cell: CellSettings, groups: Sequence[str]) -> None:
    if cell.machine == "grbl" and "machine" in groups:
        check_port(cell.port)
    if cell.machine == "twin" and not cell.use_sim_time:
        raise InputError("machine twin keeps a time of its own: leave use_sim_time out, or say machine grbl.")
    if (
        {"machine", "vision"} & set(groups)
        and cell.loop == "closed"
        and (cell.machine == "twin") != (cell.camera == "twin")
    ):
        raise InputError(
            "machine grbl needs a camera of its own: camera /dev/video0 or topic, or loop open."
            if cell.machine == "grbl"
            else "machine twin has its own camera: leave camera out, or say machine grbl."
        )
    if _device(cell) and "vision" in groups and not Path(cell.camera).exists():
        raise InputError(
            f"camera {cell.camera} does not exist: plug it in, or look for its name with ls /dev/video*."
        )


def _device(cell: CellSettings) -> bool:
    """Whether the camera is a device (or a video file) that a node of this cell must open."""
    return cell.machine == "grbl" and cell.camera not in ("twin", "topic")


def executable(package: str, name: str) -> Path | None:
    """A node's executable where ROS packages have theirs, None where that package is not installed."""
    for prefix in _prefixes():
        path = prefix / "lib" / package / name
        if os.access(path, os.X_OK):
            return path
    return None


def parameter_file(cell: CellSettings) -> Path:
    """The YAML file with the parameters of all nodes; raises `InputError` where there is none."""
    path = Path(cell.params_file) if cell.params_file else share_folder() / "config" / f"{cell.machine}.yaml"
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a parameters file, or leave params_file empty.")
    node_parameters(path, PACKAGE)
    return path


def node_parameters(path: Path, node: str) -> dict[str, Any]:
    """What a parameters file says to one node: names with dots between them -> values.

    Raises `InputError` where the file is none.
    """
    said: dict[str, Any] = {}
    try:
        for content in yaml.load_all(path.read_text(encoding="utf-8"), _Loader):
            for name in ("/**", f"/**/{node}"):
                said |= _flat((content or {}).get(name, {}).get("ros__parameters", {}))
    except (yaml.YAMLError, AttributeError, TypeError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path} is not a file of parameters: {reason}. Begin with a copy of config/grbl.yaml."
        ) from error
    return said


def board_settings(path: Path) -> BoardSettings:
    """The board of a parameters file.

    Raises `InputError` where it names a setting that does not exist, or gives nodes different gearings.
    """
    by_node = [node_parameters(path, node) for node in GEARED]
    gearings = {(said.get(f"board.{GEARING}"), said.get(GEARING)) for said in by_node}
    if len(gearings) > 1 or any(flat is not None for _, flat in gearings):
        raise InputError(
            f"{path} must give {GEARING} once, under /**: board, where all nodes that need it read it."
        )
    said = by_node[0]
    board = {name.removeprefix("board."): value for name, value in said.items() if name.startswith("board.")}
    try:
        return BoardSettings(**board)
    except (TypeError, SettingError) as error:
        raise InputError(f"{path}, board: {error}") from error


class _Loader(yaml.SafeLoader):
    """Reads 1e-05 as a number, as ROS does (YAML 1.2) and PyYAML does not."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Parameters nested by their dots as one dictionary."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def share_folder() -> Path:
    """Where launch files and configuration are: the installed package's share folder, else the source tree."""
    for prefix in [*_prefixes(), Path(sys.prefix)]:
        if (prefix / "share/ament_index/resource_index/packages" / PACKAGE).exists():
            return prefix / "share" / PACKAGE
    return Path(__file__).resolve().parents[2]


def _prefixes() -> list[Path]:
    return [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]


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
