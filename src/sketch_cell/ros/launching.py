"""The cell's table as launch actions: what the files in `launch/` are made of (needs launch and launch_ros)."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessIO, OnProcessStart
from launch.events import matches_action
from launch.events.process import ProcessExited, ProcessIO
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

from launch import Action, LaunchContext, LaunchDescription
from sketch_cell.bringup import (
    CellSettings,
    NodeSpec,
    cell_nodes,
    managed,
    parameter_file,
    share_folder,
)
from sketch_cell.errors import MachineError

# Where in the launch context the last lifecycle node of a cell is kept: the next one waits for it.
LAST_LIFECYCLE = "sketch_cell_last_lifecycle_"
# From where to where a lifecycle node falls back when a transition fails, and what it was asked for.
FAILURES = {
    ("configuring", "unconfigured"): "configured",
    ("activating", "inactive"): "activated",
    ("configuring", "errorprocessing"): "configured",
    ("activating", "errorprocessing"): "activated",
}


def cell_arguments(**defaults: str) -> list[DeclareLaunchArgument]:
    """One described launch argument per field of `CellSettings`; `defaults` overrides some defaults."""
    return [_argument(item, defaults) for item in dataclasses.fields(CellSettings)]


def _argument(item: dataclasses.Field[Any], defaults: Mapping[str, str]) -> DeclareLaunchArgument:
    choices = ["true", "false"] if isinstance(item.default, bool) else list(item.metadata["choices"])
    return DeclareLaunchArgument(
        item.name,
        default_value=defaults.get(item.name, str(item.default).lower()),
        description=item.metadata["description"],
        choices=choices or None,
    )


def group_description(group: str) -> LaunchDescription:
    """Launch description of the nodes of one group of the table: planning, machine, vision or display."""
    return LaunchDescription([*cell_arguments(), OpaqueFunction(function=_start_group, args=[group])])


def include(name: str) -> IncludeLaunchDescription:
    """Include another launch file of this package; it takes the same arguments."""
    path = share_folder() / "launch" / f"{name}.launch.py"
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(str(path)))


def scoped(actions: list[Action]) -> GroupAction:
    """The actions with the arguments as they are, which keep what they set to themselves."""
    return GroupAction(actions, scoped=True, forwarding=True)


def _start_group(context: LaunchContext, group: str) -> list[Action]:
    cell = _cell(context)
    specs = managed(cell_nodes(cell, work_folder=_work_folder(cell.namespace), groups=[group]))
    file = parameter_file(cell)
    actions: list[Action] = []
    for spec in specs:
        node = _action(spec, cell, file)
        actions += [*(_managed_actions(context, spec, cell, node) if spec.lifecycle else []), node]
    return actions


def _cell(context: LaunchContext) -> CellSettings:
    values: dict[str, Any] = {}
    for item in dataclasses.fields(CellSettings):
        text = LaunchConfiguration(item.name).perform(context)
        values[item.name] = text.lower() == "true" if isinstance(item.default, bool) else text
    return CellSettings(**values)


def _work_folder(namespace: str) -> Path:
    """A folder per cell, so that cells side by side have a port each."""
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    name = "_".join(filter(None, ["sketch_cell", str(os.getuid()), domain, *namespace.split("/")]))
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def _action(spec: NodeSpec, cell: CellSettings, parameters: Path) -> Node:
    kind = LifecycleNode if spec.lifecycle else Node
    # A text that looks like a number or like YAML must stay a text.
    values = {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in spec.parameters.items()
    }
    return kind(
        package=spec.package,
        executable=spec.name,
        name=spec.name,
        namespace=cell.namespace,
        parameters=[str(parameters), values],
        remappings=list(spec.remaps.items()),
        arguments=[
            *spec.arguments,
            "--ros-args",
            "--log-level",
            cell.log_level,
            *spec.enclave(cell.namespace),
        ],
        output="screen",
        on_exit=[OpaqueFunction(function=partial(_ended, name=spec.name))] if spec.required else None,
    )


def _ended(context: LaunchContext, name: str) -> None:
    """A cell without one of its nodes is none: the launch ends, with status 1 and the reason."""
    if context.is_shutdown:
        return
    event = context.locals.event
    status = event.returncode if isinstance(event, ProcessExited) else "unknown"
    raise MachineError(f"node {name} ended with status {status}: its last words are above.")


def _managed_actions(
    context: LaunchContext, spec: NodeSpec, cell: CellSettings, node: LifecycleNode
) -> list[Action]:
    """Configure the node once the cell's lifecycle node before it is active, then activate it."""
    key = LAST_LIFECYCLE + cell.namespace
    before = context.get_locals_as_dict().get(key)
    context.extend_globals({key: node})
    configure = EmitEvent(event=_change(node, Transition.TRANSITION_CONFIGURE))
    activate = EmitEvent(event=_change(node, Transition.TRANSITION_ACTIVATE))
    start = (
        OnProcessStart(target_action=node, on_start=[configure])
        if before is None
        else OnStateTransition(target_lifecycle_node=before, goal_state="active", entities=[configure])
    )
    words: list[str] = []
    handlers = [
        start,
        OnStateTransition(
            target_lifecycle_node=node,
            start_state="configuring",
            goal_state="inactive",
            entities=[activate],
        ),
        OnProcessIO(target_action=node, on_stderr=partial(_keep_error, words)),
    ]
    for (begin, end), wanted in FAILURES.items():
        failed = OpaqueFunction(function=partial(_failed, name=spec.name, wanted=wanted, words=words))
        handlers.append(
            OnStateTransition(
                target_lifecycle_node=node, start_state=begin, goal_state=end, entities=[failed]
            )
        )
    return [RegisterEventHandler(handler) for handler in handlers]


def _change(node: LifecycleNode, transition: int) -> ChangeState:
    return ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)


def _keep_error(words: list[str], event: ProcessIO) -> None:
    """Remember the node's last error: it is the reason when a transition fails."""
    lines = event.text.decode(errors="replace").splitlines()
    words.extend(line.split("]: ", 1)[-1] for line in lines if "[ERROR]" in line)


def _failed(context: LaunchContext, name: str, wanted: str, words: list[str]) -> None:
    if not context.is_shutdown:
        reason = words[-1] if words else "it did not say why."
        raise MachineError(f"node {name} could not be {wanted}: {reason}")
