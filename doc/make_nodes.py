"""Writes doc/nodes.md from the nodes themselves: what each reads, publishes, offers and can be told."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node

from sketch_cell.files import write_whole
from sketch_cell.ros.parameters import OPEN_END

PAGE = Path(__file__).parent / "nodes.md"
NODES = (
    "picture_source",
    "job_queue",
    "deblocker",
    "line_planner",
    "mosaic_planner",
    "drawing_controller",
    "stepper_driver",
    "tip_tracker",
    "camera_source",
    "twin",
    "recorder",
    "view",
)
# What every ROS node has, and says nothing about ours.
COMMON = ("/rosout", "/parameter_events", "use_sim_time", "start_type_description_service", "qos_overrides")
HEAD = """# The nodes

Made by `make nodes-page` from the nodes themselves; `test/test_nodes_page.py` keeps it true. Names are
relative, so a namespace moves a whole cell. Parameters change while a node runs unless marked fixed.

Where control_msgs is installed, `stepper_driver` also offers the action `stepper_driver/follow_joint_trajectory`
(control_msgs/FollowJointTrajectory, joints `knob_x` and `knob_y` in radians, only while the machine is idle); its
tolerances are the parameters `follow.*`.
"""


def page() -> str:
    """The whole page as Markdown; needs an initialised rclpy."""
    return "\n".join([HEAD, *(_section(name) for name in NODES)])


def node_class(name: str) -> Any:
    """The class of a node by the node's name."""
    module = importlib.import_module(f"sketch_cell.nodes.{name}")
    kinds = [
        kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__
    ]
    (kind,) = (kind for kind in kinds if issubclass(kind, Node))
    return kind


def _section(name: str) -> str:
    kind = node_class(name)
    node = kind()
    try:
        lines = [f"## `{name}`", "", (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " "), ""]
        lines += _connections(node)
        lines += ["", "| parameter | default | meaning | range |", "|---|---|---|---|"]
        lines += [_parameter_row(node, key) for key in sorted(node._parameters) if not key.startswith(COMMON)]
    finally:
        node.destroy_node()
    return "\n".join([*lines, ""])


def _connections(node: Node) -> list[str]:
    rows = {
        "reads": {(s.topic_name, _type(s.msg_type)) for s in node.subscriptions},
        "publishes": {(p.topic_name, _type(p.msg_type)) for p in node.publishers},
        "offers": {(s.service_name, _type(s.srv_type)) for s in node.services},
    }
    lines = ["| | name | type |", "|---|---|---|"]
    for word, items in rows.items():
        for full, kind in sorted(items):
            own = full.startswith(f"/{node.get_name()}/") and (
                "parameter" in full or "type_description" in full
            )
            if not (own or full.startswith(COMMON) or kind.startswith("lifecycle_msgs")):
                relative = full if full in ("/clock", "/diagnostics") else full.removeprefix("/")
                lines.append(f"| {word} | `{relative}` | {kind} |")
    return lines


def _type(kind: Any) -> str:
    return f"{kind.__module__.split('.')[0]}/{kind.__name__}"


def _parameter_row(node: Node, key: str) -> str:
    about = node.describe_parameter(key)
    default = node.get_parameter(key).value
    shown = (
        f'"{default}"'
        if isinstance(default, str)
        else f"{default:g}"
        if isinstance(default, float)
        else default
    )
    legal = ", ".join(filter(None, [_range(about), "fixed" if about.read_only else ""]))
    return f"| `{key}` | {shown} | {about.description} | {legal} |"


def _range(about: Any) -> str:
    for limits in (*about.floating_point_range, *about.integer_range):
        low, high = limits.from_value, limits.to_value
        if low > -OPEN_END and high < OPEN_END:
            return f"{low:g} to {high:g}"
        if low > -OPEN_END:
            return f"at least {low:g}"
        if high < OPEN_END:
            return f"at most {high:g}"
    return str(about.additional_constraints)


if __name__ == "__main__":
    rclpy.init()
    write_whole(PAGE, page())
    rclpy.try_shutdown()
